//===- ImportDataMovement.cpp - shapes, moves and copies ------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/GatherOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// A list that was an attribute before it became operand `operand`.
static Value attributeOrInput(NodeReader &node, const char *attribute, int operand,
                              bool isAttribute) {
  if (!isAttribute)
    return node.input(operand);
  std::vector<int64_t> values = node.getInts(attribute);
  return values.empty() ? node.none() : node.intsConstant(values);
}

static void importConcat(NodeReader &node) {
  // The axis became required with opset 4.
  int64_t axis = node.opset() < 4 ? node.getInt("axis", 1) : node.getInt("axis");
  node.setOutput(0, node.create<nn::ConcatOp>(node.allInputs(), axis));
}

static void importSplit(NodeReader &node) {
  int64_t axis = node.getInt("axis", 0);
  // Opset 1 had both.
  bool isAttribute = node.opset() < 13 && !node.hasInput(1);
  Value sizes = attributeOrInput(node, "split", 1, isAttribute);
  int64_t parts = node.outputCount();
  if (node.opset() >= 18) {
    parts = node.getInt("num_outputs", parts);
    if (parts != node.outputCount())
      return node.invalid(
          fmt::format("num_outputs is {}, but there are {} outputs", parts, node.outputCount()));
  } else if (auto shape = node.inputShape(0); shape && nn::isNone(sizes)) {
    // Uneven parts came with opset 18.
    int64_t at = axis < 0 ? axis + shape->rank() : axis;
    if (at >= 0 && at < shape->rank() && (*shape)[at].isStatic() &&
        (*shape)[at].size() % parts != 0)
      return node.invalid(fmt::format("dimension {} does not split into {} equal parts",
                                      (*shape)[at].str(), parts));
  }
  auto results =
      node.createMulti<nn::SplitOp>(static_cast<size_t>(parts), node.input(0), sizes, axis);
  for (int i = 0; i < parts; ++i)
    node.setOutput(i, results[i]);
}

/// Slice of opset 1: starts, ends and axes are attributes.
static void importSliceV1(NodeReader &node) {
  std::vector<int64_t> starts = node.getInts("starts"), ends = node.getInts("ends");
  std::vector<int64_t> axes = node.getInts("axes");
  if (starts.empty() || starts.size() != ends.size())
    return node.invalid("attributes 'starts' and 'ends' need the same number of entries");
  Value axesValue = axes.empty() ? node.none() : node.intsConstant(axes);
  node.setOutput(0, node.create<nn::SliceOp>(node.input(0), node.intsConstant(starts),
                                             node.intsConstant(ends), axesValue, node.none()));
}

static void importSlice(NodeReader &node) {
  node.setOutput(0, node.create<nn::SliceOp>(node.input(0), node.input(1), node.input(2),
                                             node.input(3), node.input(4)));
}

static void importReshapeV1(NodeReader &node) {
  Value shape = node.intsConstant(node.getInts("shape"));
  node.setOutput(0, node.create<nn::ReshapeOp>(node.input(0), shape, /*allowzero=*/false));
}

static void importReshape(NodeReader &node) {
  bool allowZero = node.opset() >= 14 && node.getBool("allowzero", false);
  node.setOutput(0, node.create<nn::ReshapeOp>(node.input(0), node.input(1), allowZero));
}

static void importFlatten(NodeReader &node) {
  int64_t axis = node.getInt("axis", 1);
  node.setOutput(0, node.create<nn::FlattenOp>(node.input(0), axis));
}

static void importTranspose(NodeReader &node) {
  std::vector<int64_t> perm = node.getInts("perm");
  node.setOutput(0, node.create<nn::TransposeOp>(node.input(0), perm));
}

static void importSqueeze(NodeReader &node) {
  Value axes = attributeOrInput(node, "axes", 1, node.opset() < 13);
  node.setOutput(0, node.create<nn::SqueezeOp>(node.input(0), axes));
}

static void importUnsqueeze(NodeReader &node) {
  Value axes = attributeOrInput(node, "axes", 1, node.opset() < 13);
  if (nn::isNone(axes))
    return node.invalid("axes are missing");
  node.setOutput(0, node.create<nn::UnsqueezeOp>(node.input(0), axes));
}

template <typename Op> static void importWithShape(NodeReader &node) {
  node.setOutput(0, node.create<Op>(node.input(0), node.input(1)));
}

static void importGather(NodeReader &node) {
  int64_t axis = node.getInt("axis", 0);
  node.setOutput(0, node.create<nn::GatherOp>(node.input(0), node.input(1), axis));
}

static void importShape(NodeReader &node) {
  int64_t start = 0;
  mlir::IntegerAttr end;
  if (node.opset() >= 15) {
    start = node.getInt("start", 0);
    if (node.hasAttribute("end"))
      end = node.builder().getI64IntegerAttr(node.getInt("end"));
  }
  node.setOutput(
      0, node.create<nn::ShapeOp>(node.input(0), node.builder().getI64IntegerAttr(start), end));
}

static void importSize(NodeReader &node) {
  node.setOutput(0, node.create<nn::ReduceOp>(createSizes(node, node.input(0), 0), node.none(),
                                              ReduceKind::Prod,
                                              /*keepdims=*/false, /*noop_with_empty_axes=*/false));
}

/// Small floats are computed in more precision than either stash type, and rounded once.
static void importRange(NodeReader &node) {
  if (node.opset() >= 27) {
    int64_t stash = node.getInt("stash_type", 1);
    if (stash != static_cast<int64_t>(DType::Float32) &&
        stash != static_cast<int64_t>(DType::Float64))
      return node.unsupported(fmt::format("attribute 'stash_type' = {}", stash));
  }
  node.setOutput(0, node.create<nn::RangeOp>(node.input(0), node.input(1), node.input(2)));
}

static void importNonZero(NodeReader &node) {
  node.setOutput(0, node.create<nn::NonZeroOp>(node.input(0)));
}

//===----------------------------------------------------------------------===//
// DepthToSpace and SpaceToDepth
//===----------------------------------------------------------------------===//

/// The input in the shape `split`, transposed, in the shape `joined`.
static Value regrouped(NodeReader &node, llvm::ArrayRef<Value> split,
                       const std::vector<int64_t> &perm, llvm::ArrayRef<Value> joined) {
  Value parts = node.create<nn::ReshapeOp>(node.input(0), joinSizes(node, split), true);
  parts = node.create<nn::TransposeOp>(parts, perm);
  return node.create<nn::ReshapeOp>(parts, joinSizes(node, joined), true);
}

/// The attribute `blocksize`, once the input can have four dimensions.
static int64_t readBlockSize(NodeReader &node) {
  constexpr int64_t kMaxBlock = 1 << 15; // so that its square is harmless
  int64_t block = node.getInt("blocksize");
  if (block < 1 || block > kMaxBlock)
    node.invalid(fmt::format("blocksize must be in [1, {}], found {}", kMaxBlock, block));
  if (auto shape = node.inputShape(0); shape && shape->rank() != 4)
    node.invalid(fmt::format("the input must have rank 4, found {}", shape->rank()));
  return block;
}

static void importDepthToSpace(NodeReader &node) {
  int64_t block = readBlockSize(node);
  std::string mode = node.opset() < 11 ? "DCR" : node.getString("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    node.unsupported("mode '" + mode + "'");
  if (node.failed())
    return;
  Value image = node.input(0), b = node.intsConstant({block});
  Value n = node.sizeOf(image, 0), h = node.sizeOf(image, 2), w = node.sizeOf(image, 3);
  Value c = dividedSize(node, node.sizeOf(image, 1), block * block);
  Value joined[] = {n, c, multiplySizes(node, h, b), multiplySizes(node, w, b)};
  if (mode == "DCR")
    node.setOutput(0, regrouped(node, {n, b, b, c, h, w}, {0, 3, 4, 1, 5, 2}, joined));
  else
    node.setOutput(0, regrouped(node, {n, c, b, b, h, w}, {0, 1, 4, 2, 5, 3}, joined));
}

static void importSpaceToDepth(NodeReader &node) {
  int64_t block = readBlockSize(node);
  std::string mode = node.opset() < 28 ? "DCR" : node.getString("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    node.unsupported("mode '" + mode + "'");
  if (node.failed())
    return;
  Value image = node.input(0), b = node.intsConstant({block});
  Value n = node.sizeOf(image, 0), c = node.sizeOf(image, 1);
  Value h = dividedSize(node, node.sizeOf(image, 2), block);
  Value w = dividedSize(node, node.sizeOf(image, 3), block);
  Value joined[] = {n, multiplySizes(node, c, node.intsConstant({block * block})), h, w};
  if (mode == "DCR")
    node.setOutput(0, regrouped(node, {n, c, h, b, w, b}, {0, 3, 5, 1, 2, 4}, joined));
  else
    node.setOutput(0, regrouped(node, {n, c, h, b, w, b}, {0, 1, 3, 5, 2, 4}, joined));
}

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

static PadMode readPadMode(NodeReader &node) { return node.getEnum("mode", PadMode::Constant); }

/// Pad of opsets 1 and 2: pads and value are attributes.
static void importPadV2(NodeReader &node) {
  const char *name = node.opset() < 2 ? "paddings" : "pads";
  PadMode mode = readPadMode(node);
  std::vector<int64_t> pads = node.getInts(name);
  double value = node.getFloat("value", 0);
  if (pads.empty())
    return node.invalid(fmt::format("required attribute '{}' is missing", name));
  node.setOutput(0, node.create<nn::PadOp>(node.input(0), node.intsConstant(pads),
                                           node.scalarConstant(value, node.inputDType(0)), mode));
}

/// The pads of all axes, when those of some `axes` (opset 18) are given.
static Value padsOfAllAxes(NodeReader &node) {
  if (!node.hasInput(3))
    return node.input(1);
  auto given = nn::constantInts(node.input(1)), axes = nn::constantInts(node.input(3));
  auto shape = node.inputShape(0);
  if (!shape) {
    node.unsupported("axes, when the rank of the data is unknown");
    return node.input(1);
  }
  if (!given || !axes) {
    auto halves = node.createMulti<nn::SplitOp>(2, node.input(1), node.none(), /*axis=*/0);
    Value pads[] = {entriesAt(node, halves[0], node.input(3), shape->rank()),
                    entriesAt(node, halves[1], node.input(3), shape->rank())};
    return node.create<nn::ConcatOp>(mlir::ValueRange(pads), /*axis=*/0);
  }
  if (given->size() != 2 * axes->size())
    node.invalid(fmt::format("pads have {} entries, need {}", given->size(), 2 * axes->size()));
  int64_t rank = shape->rank();
  std::vector<int64_t> pads(2 * rank, 0);
  for (size_t i = 0; i < axes->size() && !node.failed(); ++i) {
    int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + rank : (*axes)[i];
    if (axis < 0 || axis >= rank) {
      node.invalid(fmt::format("axis {} is not in [-{}, {})", (*axes)[i], rank, rank));
      break;
    }
    pads[axis] = (*given)[i];
    pads[rank + axis] = (*given)[axes->size() + i];
  }
  return node.intsConstant(pads);
}

/// The elements from `begin` before an axis to `end` behind it, which goes around: those at
/// places begin, begin + 1, ... modulo its size.
static Value wrapAxis(NodeReader &node, Value x, Value begin, Value end, int64_t axis) {
  auto scalar = [&](Value size) {
    return node.create<nn::SqueezeOp>(size, node.intsConstant({0}));
  };
  Value size = node.sizeOf(x, axis);
  Value first = node.create<nn::NegOp>(begin), last = node.create<nn::AddOp>(size, end);
  Value places =
      node.create<nn::RangeOp>(scalar(first), scalar(last), node.scalarConstant(1, DType::Int64));
  return node.create<nn::GatherOp>(x, node.create<nn::ModOp>(places, size), axis);
}

static Value atMostZero(NodeReader &node, Value size) {
  return node.create<nn::MinOp>(size, node.intsConstant({0}));
}

static Value atLeastZero(NodeReader &node, Value size) {
  return node.create<nn::MaxOp>(size, node.intsConstant({0}));
}

/// Takes off what negative pads of an axis say.
static Value cropAxis(NodeReader &node, Value x, Value begin, Value end, int64_t axis) {
  Value first = node.create<nn::NegOp>(atMostZero(node, begin));
  Value last = node.create<nn::AddOp>(node.sizeOf(x, axis), atMostZero(node, end));
  return node.create<nn::SliceOp>(x, first, atLeastZero(node, last), node.intsConstant({axis}),
                                  node.none());
}

/// Mode wrap (opset 19), axis by axis; those with no pads stay. What negative pads take off does
/// not come back on the other side: as in ONNX Runtime, of which ONNX says nothing.
static void importWrappingPad(NodeReader &node, Value pads) {
  auto shape = node.inputShape(0);
  if (!shape)
    return node.unsupported("mode 'wrap', when the rank of the data is unknown");
  int64_t rank = shape->rank();
  auto known = nn::constantInts(pads);
  if (known && static_cast<int64_t>(known->size()) != 2 * rank)
    return node.invalid(fmt::format("pads have {} entries, need {}", known->size(), 2 * rank));
  if (!known) // so that a run with another number of them fails
    pads = node.create<nn::ReshapeOp>(pads, node.intsConstant({2 * rank}), /*allowzero=*/false);
  auto entry = [&](int64_t i) {
    return known ? node.intsConstant({(*known)[i]})
                 : node.create<nn::GatherOp>(pads, node.intsConstant({i}), /*axis=*/0);
  };
  auto mayBe = [&](int64_t axis, auto condition) {
    return !known || condition((*known)[axis]) || condition((*known)[rank + axis]);
  };
  Value x = node.input(0);
  for (int64_t axis = 0; axis < rank; ++axis)
    if (mayBe(axis, [](int64_t pad) { return pad < 0; }))
      x = cropAxis(node, x, entry(axis), entry(rank + axis), axis);
  for (int64_t axis = 0; axis < rank; ++axis)
    if (mayBe(axis, [](int64_t pad) { return pad > 0; }))
      x = wrapAxis(node, x, atLeastZero(node, entry(axis)), atLeastZero(node, entry(rank + axis)),
                   axis);
  node.setOutput(0, x);
}

static void importPad(NodeReader &node) {
  if (node.opset() >= 19 && node.getString("mode", "constant") == "wrap")
    return importWrappingPad(node, padsOfAllAxes(node));
  PadMode mode = readPadMode(node);
  Value pads = padsOfAllAxes(node);
  node.setOutput(0, node.create<nn::PadOp>(node.input(0), pads, node.input(2), mode));
}

/// ONNX Runtime's op, the pads of which may be a row.
static void importMicrosoftPad(NodeReader &node) {
  PadMode mode = readPadMode(node);
  Value pads = node.create<nn::ReshapeOp>(node.input(1), node.intsConstant({-1}),
                                          /*allowzero=*/false);
  node.setOutput(0, node.create<nn::PadOp>(node.input(0), pads, node.input(2), mode));
}

//===----------------------------------------------------------------------===//
// Tile
//===----------------------------------------------------------------------===//

/// Tile of opset 1: `tiles` times along `axis`, both of any type.
static void importTileV1(NodeReader &node) {
  auto shape = node.inputShape(0);
  if (!shape)
    return node.unsupported("an input of unknown rank");
  auto vectorOf = [&](int i) -> Value {
    Value scalar = readScalar(node, i, DType::Int64);
    return node.create<nn::UnsqueezeOp>(scalar, node.intsConstant({0}));
  };
  Value ones = node.intsConstant(std::vector<int64_t>(static_cast<size_t>(shape->rank()), 1));
  Value repeats = node.create<nn::ScatterElementsOp>(ones, vectorOf(2), vectorOf(1),
                                                     ScatterReduction::None, /*axis=*/0);
  node.setOutput(0, node.create<nn::TileOp>(node.input(0), repeats));
}

//===----------------------------------------------------------------------===//
// CenterCropPad
//===----------------------------------------------------------------------===//

/// Cuts what is too large and surrounds with zeros what is too small, half of it on
/// either side; the odd element goes to the end.
static void importCenterCropPad(NodeReader &node) {
  auto shape = node.inputShape(0);
  if (!shape)
    return node.unsupported("an input of unknown rank");
  std::vector<int64_t> axes = node.getInts("axes");
  if (axes.empty())
    for (int64_t d = 0; d < shape->rank(); ++d)
      axes.push_back(d);
  Value axesValue = node.intsConstant(axes);
  Value sizes = node.create<nn::ShapeOp>(node.input(0), node.builder().getI64IntegerAttr(0),
                                         mlir::IntegerAttr());
  sizes = node.create<nn::GatherOp>(sizes, axesValue, /*axis=*/0);
  Value wanted = node.input(1);
  if (node.inputDType(1) != DType::Int64)
    wanted = node.createCast(wanted, DType::Int64);
  Value zero = node.scalarConstant(0, DType::Int64), two = node.scalarConstant(2, DType::Int64);
  Value lost = node.create<nn::MaxOp>(node.create<nn::SubOp>(sizes, wanted), zero);
  Value start = node.create<nn::DivOp>(lost, two), end = node.create<nn::AddOp>(start, wanted);
  Value cropped = node.create<nn::SliceOp>(node.input(0), start, end, axesValue, node.none());
  Value added = node.create<nn::MaxOp>(node.create<nn::SubOp>(wanted, sizes), zero);
  Value before = node.create<nn::DivOp>(added, two), after = node.create<nn::SubOp>(added, before);
  Value pads[] = {entriesAt(node, before, axesValue, shape->rank()),
                  entriesAt(node, after, axesValue, shape->rank())};
  node.setOutput(0, node.create<nn::PadOp>(cropped,
                                           node.create<nn::ConcatOp>(mlir::ValueRange(pads), 0),
                                           node.none(), PadMode::Constant));
}

std::span<const OpsetRow> quern::onnx::dataMovementImports() {
  static constexpr OpsetRow rows[] = {
      {"CenterCropPad", 18, kNewestOpset, 2, 2, 1, importCenterCropPad},
      {"Concat", 1, kNewestOpset, 1, kVariadic, 1, importConcat},
      {"DepthToSpace", 1, kNewestOpset, 1, 1, 1, importDepthToSpace},
      {"Expand", 8, kNewestOpset, 2, 2, 1, importWithShape<nn::ExpandOp>},
      {"Flatten", 1, kNewestOpset, 1, 1, 1, importFlatten},
      {"Gather", 1, kNewestOpset, 2, 2, 1, importGather},
      {"Pad", 1, 10, 1, 1, 1, importPadV2},
      {"Pad", 11, 17, 2, 3, 1, importPad},
      {"Pad", 18, kNewestOpset, 2, 4, 1, importPad},
      {"Pad", 1, 1, 2, 3, 1, importMicrosoftPad, kMicrosoftDomain},
      {"Range", 11, kNewestOpset, 3, 3, 1, importRange},
      {"NonZero", 9, kNewestOpset, 1, 1, 1, importNonZero},
      {"Reshape", 1, 4, 1, 1, 1, importReshapeV1},
      {"Reshape", 5, kNewestOpset, 2, 2, 1, importReshape},
      {"Shape", 1, kNewestOpset, 1, 1, 1, importShape},
      {"Size", 1, kNewestOpset, 1, 1, 1, importSize},
      {"Slice", 1, 9, 1, 1, 1, importSliceV1},
      {"Slice", 10, kNewestOpset, 3, 5, 1, importSlice},
      {"SpaceToDepth", 1, kNewestOpset, 1, 1, 1, importSpaceToDepth},
      {"Split", 1, 1, 1, 2, kVariadic, importSplit},
      {"Split", 2, 12, 1, 1, kVariadic, importSplit},
      {"Split", 13, kNewestOpset, 1, 2, kVariadic, importSplit},
      {"Squeeze", 1, 12, 1, 1, 1, importSqueeze},
      {"Squeeze", 13, kNewestOpset, 1, 2, 1, importSqueeze},
      {"Tile", 1, 5, 3, 3, 1, importTileV1},
      {"Tile", 6, kNewestOpset, 2, 2, 1, importWithShape<nn::TileOp>},
      {"Transpose", 1, kNewestOpset, 1, 1, 1, importTranspose},
      {"Unsqueeze", 1, 12, 1, 1, 1, importUnsqueeze},
      {"Unsqueeze", 13, kNewestOpset, 2, 2, 1, importUnsqueeze},
  };
  return rows;
}
