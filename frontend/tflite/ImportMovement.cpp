//===- ImportMovement.cpp - elements at other places ----------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/Images.h"
#include "frontend/tflite/OpTable.h"

#include <fmt/format.h>

#include <numeric>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;
using Values = llvm::ArrayRef<Value>;

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static void importReshape(OpReader &op) {
  Value shape;
  if (op.hasInput(1)) {
    shape = op.sizes(1);
  } else if (const auto *dims = op.options<file::ReshapeOptions>().shape()) {
    shape = op.intsConstant({dims->begin(), dims->end()});
  } else {
    shape = op.intsConstant(op.outputDims(0));
  }
  op.setMoved(0, {0},
              [&](Values x) { return op.create<nn::ReshapeOp>(x[0], shape, /*allowzero=*/true); });
}

static void importSqueeze(OpReader &op) {
  const auto *dims = op.options<file::SqueezeOptions>().dims();
  Value axes = op.none();
  if (dims && dims->size() > 0)
    axes = op.intsConstant({dims->begin(), dims->end()});
  op.setMoved(0, {0}, [&](Values x) { return op.create<nn::SqueezeOp>(x[0], axes); });
}

static void importExpandDims(OpReader &op) {
  op.setMoved(0, {0}, [&](Values x) { return op.create<nn::UnsqueezeOp>(x[0], op.sizes(1)); });
}

static void importShape(OpReader &op) {
  Value shape = createSizes(op, op.stored(0), 0);
  op.setStored(0, convert(op, shape, op.outputDType(0)));
}

static void importRank(OpReader &op) {
  op.setStored(0, op.constant(Tensor::of<int32_t>({}, {static_cast<int32_t>(op.rankOf(0))})));
}

static void importBroadcastTo(OpReader &op) {
  op.setMoved(0, {0}, [&](Values x) { return op.create<nn::ExpandOp>(x[0], op.sizes(1)); });
}

static void importFill(OpReader &op) {
  op.setMoved(0, {1}, [&](Values x) { return op.create<nn::ExpandOp>(x[0], op.sizes(0)); });
}

static void importZerosLike(OpReader &op) {
  Value zero = convert(op, op.scalarConstant(0, DType::Int32), op.outputDType(0));
  op.setStored(0, op.create<nn::ExpandOp>(zero, createSizes(op, op.stored(0), 0)));
}

/// Scalars, but files also have vectors of one.
static void importRange(OpReader &op) {
  auto scalar = [&](int i) {
    Value value = op.stored(i);
    return op.rankOf(i) == 0 ? value : op.create<nn::ReshapeOp>(value, op.intsConstant({}), false);
  };
  op.setStored(0, op.create<nn::RangeOp>(scalar(0), scalar(1), scalar(2)));
}

static void importTile(OpReader &op) {
  op.setMoved(0, {0}, [&](Values x) { return op.create<nn::TileOp>(x[0], op.sizes(1)); });
}

static void importTranspose(OpReader &op) {
  std::vector<int64_t> perm = op.requireConstants(1, "a permutation");
  // An empty one would reverse.
  op.setMoved(0, {0}, [&](Values x) {
    return perm.empty() ? x[0] : op.create<nn::TransposeOp>(x[0], perm);
  });
}

//===----------------------------------------------------------------------===//
// Several tensors
//===----------------------------------------------------------------------===//

static llvm::SmallVector<int> allInputs(OpReader &op) {
  llvm::SmallVector<int> numbers(static_cast<size_t>(op.inputCount()));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

static void importConcatenation(OpReader &op) {
  const auto &options = op.options<file::ConcatenationOptions>();
  op.setMoved(0, allInputs(op), [&](Values x) {
    Value all = op.create<nn::ConcatOp>(mlir::ValueRange(x), int64_t{options.axis()});
    return createFused(op, all, options.activation());
  });
}

static void importPack(OpReader &op) {
  Value axis = op.intsConstant({op.options<file::PackOptions>().axis()});
  op.setMoved(0, allInputs(op), [&](Values x) {
    llvm::SmallVector<Value> parts;
    for (Value value : x)
      parts.push_back(op.create<nn::UnsqueezeOp>(value, axis));
    return op.create<nn::ConcatOp>(mlir::ValueRange(parts),
                                   int64_t{op.options<file::PackOptions>().axis()});
  });
}

//===----------------------------------------------------------------------===//
// Padding
//===----------------------------------------------------------------------===//

/// [rank, 2] as the begins of all axes, then the ends.
static Value padsOf(OpReader &op, int i) {
  if (std::optional<std::vector<int64_t>> pads = op.constants(i); pads && pads->size() % 2 == 0) {
    std::vector<int64_t> sorted;
    for (size_t end : {0u, 1u})
      for (size_t axis = 0; axis < pads->size() / 2; ++axis)
        sorted.push_back((*pads)[2 * axis + end]);
    return op.intsConstant(sorted);
  }
  Value turned = op.create<nn::TransposeOp>(convert(op, op.stored(i), DType::Int64),
                                            llvm::ArrayRef<int64_t>{1, 0});
  return op.create<nn::ReshapeOp>(turned, op.intsConstant({-1}), /*allowzero=*/false);
}

static void importPad(OpReader &op) {
  Value pads = padsOf(op, 1), zero = op.storedZero(0);
  bool isStored = op.areAlike(0, {0});
  op.setMoved(0, {0}, [&](Values x) {
    Value beyond = isStored ? zero : constantLike(op, 0, x[0]);
    return op.create<nn::PadOp>(x[0], pads, beyond, PadMode::Constant);
  });
}

/// The value is a tensor of its own.
static void importPadV2(OpReader &op) {
  Value pads = padsOf(op, 1);
  op.setMoved(0, {0, 2}, [&](Values x) {
    Value beyond = op.create<nn::ReshapeOp>(x[1], op.intsConstant({}), /*allowzero=*/false);
    return op.create<nn::PadOp>(x[0], pads, beyond, PadMode::Constant);
  });
}

/// The places that an axis of `size` elements is read at when its ends are mirrored, the last
/// element once or (`isSymmetric`) twice.
static std::vector<int64_t> mirrored(int64_t size, int64_t before, int64_t after,
                                     bool isSymmetric) {
  std::vector<int64_t> places;
  for (int64_t i = -before; i < size + after; ++i) {
    int64_t shift = isSymmetric ? 1 : 0;
    places.push_back(i < 0 ? -i - shift : i >= size ? 2 * size - i - 2 + shift : i);
  }
  return places;
}

static void importMirrorPad(OpReader &op) {
  bool isSymmetric = op.options<file::MirrorPadOptions>().mode() == file::MirrorMode::Symmetric;
  if (!isSymmetric)
    return op.setMoved(0, {0}, [&](Values x) {
      return op.create<nn::PadOp>(x[0], padsOf(op, 1), op.none(), PadMode::Reflect);
    });
  std::vector<int64_t> pads = op.requireConstants(1, "padding");
  std::optional<nn::Shape> shape = op.inputShape(0);
  if (!shape || static_cast<int64_t>(pads.size()) != 2 * shape->rank())
    return op.invalid("padding that does not fit the rank");
  op.setMoved(0, {0}, [&](Values x) {
    Value y = x[0];
    for (int64_t axis = 0; axis < shape->rank(); ++axis) {
      int64_t before = pads[2 * axis], after = pads[2 * axis + 1];
      if (before == 0 && after == 0)
        continue;
      int64_t size = (*shape)[axis].isStatic() ? (*shape)[axis].size() : -1;
      if (before < 0 || after < 0 || before > size || after > size) {
        op.unsupported("mirrored padding of an axis that is shorter, or of unknown size");
        return y;
      }
      y = op.create<nn::GatherOp>(y, op.intsConstant(mirrored(size, before, after, true)), axis);
    }
    return y;
  });
}

//===----------------------------------------------------------------------===//
// Blocks of pixels
//===----------------------------------------------------------------------===//

static void importSpaceToDepth(OpReader &op) {
  int64_t block = op.options<file::BlockOptions>().size();
  if (!checkRank(op, 0, 4) || !checkWindow(op, {block}))
    return;
  op.setMoved(0, {0}, [&](Values x) {
    Value size = op.intsConstant({block});
    Value batch = op.sizeOf(x[0], 0), channels = op.sizeOf(x[0], 3);
    Value height = dividedSize(op, op.sizeOf(x[0], 1), block);
    Value width = dividedSize(op, op.sizeOf(x[0], 2), block);
    Value split = reshapeTo(op, x[0], {batch, height, size, width, size, channels});
    Value moved = op.create<nn::TransposeOp>(split, llvm::ArrayRef<int64_t>{0, 1, 3, 2, 4, 5});
    return reshapeTo(op, moved, {batch, height, width, timesSize(op, channels, block * block)});
  });
}

static void importDepthToSpace(OpReader &op) {
  int64_t block = op.options<file::BlockOptions>().size();
  if (!checkRank(op, 0, 4) || !checkWindow(op, {block}))
    return;
  op.setMoved(0, {0}, [&](Values x) {
    Value size = op.intsConstant({block});
    Value batch = op.sizeOf(x[0], 0), height = op.sizeOf(x[0], 1), width = op.sizeOf(x[0], 2);
    Value channels = dividedSize(op, op.sizeOf(x[0], 3), block * block);
    Value split = reshapeTo(op, x[0], {batch, height, width, size, size, channels});
    Value moved = op.create<nn::TransposeOp>(split, llvm::ArrayRef<int64_t>{0, 1, 3, 2, 4, 5});
    return reshapeTo(op, moved,
                     {batch, timesSize(op, height, block), timesSize(op, width, block), channels});
  });
}

namespace {
/// What moves blocks of pixels to the batch, or back.
struct Blocks {
  /// Of the dimensions after the first.
  std::vector<int64_t> sizes;
  /// How much is padded or cropped before and after each of them.
  Value before, after;
  int64_t rank = 0;

  int64_t spatial() const { return static_cast<int64_t>(sizes.size()); }
  int64_t count() const {
    return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
  }
};
} // namespace

/// Column `k` of a matrix of two.
static Value columnOf(OpReader &op, int i, int64_t k) {
  if (std::optional<std::vector<int64_t>> known = op.constants(i); known) {
    std::vector<int64_t> column;
    for (size_t at = static_cast<size_t>(k); at < known->size(); at += 2)
      column.push_back((*known)[at]);
    return op.intsConstant(column);
  }
  Value column = op.create<nn::GatherOp>(convert(op, op.stored(i), DType::Int64),
                                         op.intsConstant({k}), /*axis=*/1);
  return op.create<nn::ReshapeOp>(column, op.intsConstant({-1}), /*allowzero=*/false);
}

static std::optional<Blocks> readBlocks(OpReader &op) {
  Blocks blocks{.sizes = op.requireConstants(1, "sizes of blocks"),
                .before = columnOf(op, 2, 0),
                .after = columnOf(op, 2, 1),
                .rank = op.rankOf(0)};
  std::optional<std::vector<int64_t>> edges = op.constants(2);
  if (!op.failed() &&
      ((edges && edges->size() != 2 * blocks.sizes.size()) || blocks.spatial() >= blocks.rank))
    op.invalid("sizes of blocks that do not fit the rank");
  for (int64_t block : blocks.sizes)
    checkWindow(op, {block});
  return op.failed() ? std::nullopt : std::optional(std::move(blocks));
}

/// `x` with its dimensions after the first padded.
static Value padded(OpReader &op, Value x, const Blocks &blocks, Value beyond) {
  Value first = op.intsConstant({0});
  Value rest = op.intsConstant(
      std::vector<int64_t>(static_cast<size_t>(blocks.rank - 1 - blocks.spatial()), 0));
  Value pads = joinSizes(op, {first, blocks.before, rest, first, blocks.after, rest});
  return op.create<nn::PadOp>(x, pads, beyond, PadMode::Constant);
}

static void importSpaceToBatch(OpReader &op) {
  std::optional<Blocks> blocks = readBlocks(op);
  if (!blocks)
    return;
  Value zero = op.storedZero(0);
  bool isStored = op.areAlike(0, {0});
  op.setMoved(0, {0}, [&](Values given) {
    Value x = padded(op, given[0], *blocks, isStored ? zero : constantLike(op, 0, given[0]));
    llvm::SmallVector<Value> split = {op.sizeOf(x, 0)};
    llvm::SmallVector<Value> joined = {timesSize(op, split[0], blocks->count())};
    std::vector<int64_t> perm, inner = {0};
    for (int64_t i = 0; i < blocks->spatial(); ++i) {
      int64_t block = blocks->sizes[static_cast<size_t>(i)];
      Value part = dividedSize(op, op.sizeOf(x, 1 + i), block);
      split.append({part, op.intsConstant({block})});
      joined.push_back(part);
      perm.push_back(2 + 2 * i);
      inner.push_back(1 + 2 * i);
    }
    for (int64_t i = 1 + blocks->spatial(); i < blocks->rank; ++i) {
      split.push_back(op.sizeOf(x, i));
      joined.push_back(split.back());
      inner.push_back(i + blocks->spatial());
    }
    perm.insert(perm.end(), inner.begin(), inner.end());
    return reshapeTo(op, op.create<nn::TransposeOp>(reshapeTo(op, x, split), perm), joined);
  });
}

static void importBatchToSpace(OpReader &op) {
  std::optional<Blocks> blocks = readBlocks(op);
  if (!blocks)
    return;
  op.setMoved(0, {0}, [&](Values x) {
    Value batch = dividedSize(op, op.sizeOf(x[0], 0), blocks->count());
    llvm::SmallVector<Value> split, joined = {batch};
    std::vector<int64_t> perm = {blocks->spatial()}, axes;
    for (int64_t block : blocks->sizes)
      split.push_back(op.intsConstant({block}));
    split.push_back(batch);
    for (int64_t i = 0; i < blocks->spatial(); ++i) {
      split.push_back(op.sizeOf(x[0], 1 + i));
      joined.push_back(timesSize(op, split.back(), blocks->sizes[static_cast<size_t>(i)]));
      perm.insert(perm.end(), {blocks->spatial() + 1 + i, i});
      axes.push_back(1 + i);
    }
    Value ends =
        op.create<nn::SubOp>(joinSizes(op, llvm::ArrayRef(joined).drop_front()), blocks->after);
    for (int64_t i = 1 + blocks->spatial(); i < blocks->rank; ++i) {
      split.push_back(op.sizeOf(x[0], i));
      joined.push_back(split.back());
      perm.push_back(i + blocks->spatial());
    }
    Value moved = op.create<nn::TransposeOp>(reshapeTo(op, x[0], split), perm);
    return op.create<nn::SliceOp>(reshapeTo(op, moved, joined), blocks->before, ends,
                                  op.intsConstant(axes), op.none());
  });
}

std::span<const OpRow> tflite::movementImports() {
  static constexpr OpRow rows[] = {
      {Op::BATCH_TO_SPACE_ND, 3, 3, importBatchToSpace},
      {Op::BROADCAST_TO, 2, 2, importBroadcastTo},
      {Op::CONCATENATION, 1, kAnyNumber, importConcatenation},
      {Op::DEPTH_TO_SPACE, 1, 1, importDepthToSpace},
      {Op::EXPAND_DIMS, 2, 2, importExpandDims},
      {Op::FILL, 2, 2, importFill},
      {Op::MIRROR_PAD, 2, 2, importMirrorPad},
      {Op::PACK, 1, kAnyNumber, importPack},
      {Op::PAD, 2, 2, importPad},
      {Op::PADV2, 3, 3, importPadV2},
      {Op::RANGE, 3, 3, importRange},
      {Op::RANK, 1, 1, importRank},
      {Op::RESHAPE, 1, 2, importReshape},
      {Op::SHAPE, 1, 1, importShape},
      {Op::SPACE_TO_BATCH_ND, 3, 3, importSpaceToBatch},
      {Op::SPACE_TO_DEPTH, 1, 1, importSpaceToDepth},
      {Op::SQUEEZE, 1, 1, importSqueeze},
      {Op::TILE, 2, 2, importTile},
      {Op::TRANSPOSE, 2, 2, importTranspose},
      {Op::ZEROS_LIKE, 1, 1, importZerosLike},
  };
  return rows;
}
