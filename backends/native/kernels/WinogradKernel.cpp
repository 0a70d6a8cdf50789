//===- WinogradKernel.cpp - small filters by Winograd's algorithm ---------===//
#include "backends/native/kernels/WinogradKernel.h"

#include "backends/native/emit/Prefetch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

std::string WinogradSpec::name() const {
  return fmt::format(FMT_COMPILE("winograd{}_{}x{}{}"), tile.label(), heights.front(),
                     product.columns(), epilogue.program.label());
}

namespace {
constexpr DType kType = DType::Float32;

class WinogradEmitter {
public:
  WinogradEmitter(KernelBuilder &kb, const WinogradSpec &spec)
      : kb(kb), spec(spec), tile(spec.tile), lanes(spec.product.lanes) {}

  void emit() {
    zeros = kb.stackSpace(kType, lanes);
    kb.store(kb.floatConstant(kType, lanes, 0), zeros, kType, lanes);
    results = kb.stackSpace(kType, tile.results() * lanes);
    sums = kb.advance(kb.scratch(), kb.mul(dim(&WinogradDims::inputPoint), tile.points()), kType);
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Values = KernelBuilder::Values;

  /// A tile of an image: its first result.
  struct Place {
    Value image, y, x;
  };

  Value dim(int64_t WinogradDims::*member) { return kb.dim(member); }
  /// Of the channels that are summed up.
  Value fullBlocks() { return kb.div(dim(&WinogradDims::depth), kb.index(lanes)); }
  Place placeOf(Value index);
  void emitTask(Value task);
  /// All channels of tile `row` of a task with `count` of them, which is tile `index` of all
  /// images.
  void transformTile(Value index, Value row, Value count);
  /// The pixels that a part of each axis meets in the block of the image at `plane`: zeros outside.
  Values loadInputs(Value plane, const Place &at, WinogradFilter rows, WinogradFilter columns);
  /// Of a weight along an axis: whether several points share it, and how many points it has.
  struct Sharing {
    /// Null where all weights are alike; then `areAll` says it.
    Value isShared;
    Value points;
    bool areAll = false;
  };
  Sharing sharingOf(const WinogradAxis &axis, Value weight);
  /// Number `field` of the WinogradRows of a matrix.
  Value ofRows(const Sharing &rows, const Sharing &columns, Value isLast, int64_t field);
  /// The products of all points with a panel; the last task has fewer tiles.
  void multiply(Value panel, Value count, Value isLast);
  /// Of the panel at `weights`: of these weights along both axes.
  struct Matrix {
    Value weights, row, column;
  };
  /// The products with a matrix, of channels from block `firstBlock` on.
  void multiplyMatrix(const Matrix &of, Value firstBlock, Value count, Value isLast);
  /// `blockStride` is that of A, `ahead`: see DotOperands.
  void multiplyRows(int64_t rows, Value a, Value b, Value c, Value blockStride, Value ahead,
                    Value aheadStride);
  void finishTile(Value index, Value row, Value count, Value panel);
  /// `from`: where in the sums of a point the vector is.
  void finishVector(const Place &at, Value from, Value count, Value block);

  KernelBuilder &kb;
  const WinogradSpec &spec;
  const WinogradTile &tile;
  int64_t lanes;
  /// A vector of zeros; the results of a tile; the sums of a panel.
  Value zeros, results, sums;
};
} // namespace

namespace {
/// Where the products of a point are: rows of the matrix of all points that share its weight, which
/// follows the `before` points of others.
struct PointPlace {
  int64_t before = 0;
  /// How many points share it, and which of them this one is.
  int64_t sharing = 1, number = 0;

  PointPlace(const WinogradTile &tile, int64_t row, int64_t column) {
    auto weightOf = [](const WinogradAxis &axis, int64_t point) {
      return std::min(point, axis.ownPoints());
    };
    auto sharingOf = [](const WinogradAxis &axis, int64_t point) {
      return point < axis.ownPoints() ? int64_t{1} : axis.sharedPoints();
    };
    int64_t ofRow = sharingOf(tile.rows, row), ofColumn = sharingOf(tile.columns, column);
    int64_t rowWeight = weightOf(tile.rows, row), columnWeight = weightOf(tile.columns, column);
    before = rowWeight * tile.columns.points() + ofRow * columnWeight;
    sharing = ofRow * ofColumn;
    number = (row - rowWeight) * ofColumn + column - columnWeight;
  }
};
} // namespace

WinogradEmitter::Place WinogradEmitter::placeOf(Value index) {
  Value inImage = kb.rem(index, dim(&WinogradDims::tilesPerImage));
  return {kb.div(index, dim(&WinogradDims::tilesPerImage)),
          kb.mul(kb.div(inImage, dim(&WinogradDims::tilesPerLine)), tile.rows.results),
          kb.mul(kb.rem(inImage, dim(&WinogradDims::tilesPerLine)), tile.columns.results)};
}

void WinogradEmitter::emitTask(Value task) {
  Value part = kb.rem(task, dim(&WinogradDims::panelParts));
  Value first =
      kb.mul(kb.div(task, dim(&WinogradDims::panelParts)), dim(&WinogradDims::tilesPerTask));
  Value rest = kb.sub(dim(&WinogradDims::tiles), first);
  Value isLast = kb.lessThan(rest, dim(&WinogradDims::tilesPerTask));
  Value count = kb.minSigned(rest, dim(&WinogradDims::tilesPerTask));
  kb.forLoop(kb.index(0), count, 1,
             [&](Value row) { transformTile(kb.add(first, row), row, count); });
  Value from = kb.mul(part, dim(&WinogradDims::panelsPerPart));
  Value to =
      kb.minSigned(kb.add(from, dim(&WinogradDims::panelsPerPart)), dim(&WinogradDims::panels));
  kb.forLoop(from, to, 1, [&](Value panel) {
    multiply(panel, count, isLast);
    kb.forLoop(kb.index(0), count, 1,
               [&](Value row) { finishTile(kb.add(first, row), row, count, panel); });
  });
}

WinogradEmitter::Values WinogradEmitter::loadInputs(Value plane, const Place &at,
                                                    WinogradFilter rows, WinogradFilter columns) {
  OpBuilder &ops = kb.builder();
  // Row and column numbers below zero are large ones without a sign.
  auto isWithin = [&](Value number, Value size) -> Value {
    return ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ult, number, size);
  };
  Values offsets, areColumns;
  Value left = kb.sub(kb.mul(at.x, tile.columns.stride), dim(&WinogradDims::padLeft));
  for (int64_t j = 0; j < columns.points(); ++j) {
    Value x = kb.add(left, columns.firstTap + j * tile.columns.stride);
    offsets.push_back(kb.mul(x, lanes));
    areColumns.push_back(isWithin(x, dim(&WinogradDims::width)));
  }
  // The next tile of the line begins `nextTile` pixels further on, and has so many of these, too.
  int64_t nextTile = tile.columns.results * tile.columns.stride;
  int64_t ownPixels = tile.columns.taps - tile.columns.stride;
  Values inputs;
  Value top = kb.sub(kb.mul(at.y, tile.rows.stride), dim(&WinogradDims::padTop));
  for (int64_t i = 0; i < rows.points(); ++i) {
    Value y = kb.add(top, rows.firstTap + i * tile.rows.stride);
    Value isRow = isWithin(y, dim(&WinogradDims::height));
    Value line = kb.mul(kb.mul(y, dim(&WinogradDims::width)), lanes);
    for (int64_t j = 0; j < columns.points(); ++j) {
      Value isPixel = ops.create<arith::AndIOp>(kb.loc(), isRow, areColumns[j]);
      Value pixel = kb.advance(plane, kb.add(line, offsets[j]), kType);
      Value from = ops.create<arith::SelectOp>(kb.loc(), isPixel, pixel, zeros);
      inputs.push_back(kb.load(from, kType, lanes));
      if (columns.firstTap + j * tile.columns.stride >= ownPixels)
        prefetch(kb, kb.advance(pixel, nextTile * lanes, kType), CacheLevel::Second);
    }
  }
  return inputs;
}

void WinogradEmitter::transformTile(Value index, Value row, Value count) {
  Place at = placeOf(index);
  Value pixels = kb.mul(dim(&WinogradDims::height), dim(&WinogradDims::width));
  Value blocks = dim(&WinogradDims::inputBlocks);
  // The points of each part follow those of the parts before.
  auto transformParts = [&](Value plane, Value block, WinogradFilter rows, int64_t firstRow,
                            WinogradFilter columns, int64_t firstColumn) {
    Values inputs = loadInputs(plane, at, rows, columns);
    Value blockStart = kb.mul(block, dim(&WinogradDims::blockStride));
    for (auto [i, vector] : llvm::enumerate(transformInputs(kb, rows, columns, inputs, lanes))) {
      auto point = static_cast<int64_t>(i);
      PointPlace place(tile, firstRow + point / columns.points(),
                       firstColumn + point % columns.points());
      Value inBlock = kb.mul(kb.add(kb.mul(count, place.number), row), lanes);
      Value to = kb.add(kb.mul(dim(&WinogradDims::inputPoint), place.before),
                        kb.add(kb.mul(blockStart, place.sharing), inBlock));
      kb.store(vector, kb.advance(kb.scratch(), to, kType), kType, lanes);
    }
  };
  kb.forLoop(kb.index(0), blocks, 1, [&](Value block) {
    Value plane = kb.mul(kb.add(kb.mul(at.image, blocks), block), kb.mul(pixels, lanes));
    int64_t firstRow = 0;
    for (const WinogradFilter &rows : tile.rows.parts()) {
      int64_t firstColumn = 0;
      for (const WinogradFilter &columns : tile.columns.parts()) {
        transformParts(kb.advance(kb.buffer(0), plane, kType), block, rows, firstRow, columns,
                       firstColumn);
        firstColumn += columns.points();
      }
      firstRow += rows.points();
    }
  });
}

WinogradEmitter::Sharing WinogradEmitter::sharingOf(const WinogradAxis &axis, Value weight) {
  if (axis.sharedPoints() == 0)
    return {{}, kb.index(1)};
  if (axis.ownPoints() == 0)
    return {{}, kb.index(axis.sharedPoints()), true};
  Value isOwn = kb.lessThan(weight, kb.index(axis.ownPoints()));
  Value isShared = kb.lessThan(kb.index(axis.ownPoints() - 1), weight);
  return {isShared, kb.builder().create<arith::SelectOp>(kb.loc(), isOwn, kb.index(1),
                                                         kb.index(axis.sharedPoints()))};
}

Value WinogradEmitter::ofRows(const Sharing &rows, const Sharing &columns, Value isLast,
                              int64_t field) {
  auto select = [&](Value condition, Value yes, Value no) -> Value {
    return kb.builder().create<arith::SelectOp>(kb.loc(), condition, yes, no);
  };
  constexpr int64_t kFields = sizeof(WinogradRows) / sizeof(int64_t);
  auto ofKind = [&](bool rowsShare, bool columnsShare) {
    int64_t at = WinogradDims::kindOf(rowsShare, columnsShare) * kFields + field;
    return select(isLast, kb.dim(dimIndex(&WinogradDims::lastRows) + at),
                  kb.dim(dimIndex(&WinogradDims::rows) + at));
  };
  auto byColumns = [&](bool rowsShare) {
    if (!columns.isShared)
      return ofKind(rowsShare, columns.areAll);
    return select(columns.isShared, ofKind(rowsShare, true), ofKind(rowsShare, false));
  };
  if (!rows.isShared)
    return byColumns(rows.areAll);
  return select(rows.isShared, byColumns(true), byColumns(false));
}

void WinogradEmitter::multiplyRows(int64_t rows, Value a, Value b, Value c, Value blockStride,
                                   Value ahead, Value aheadStride) {
  DotOperands operands;
  operands.ahead = ahead;
  operands.aheadStride = aheadStride;
  operands.levels.push_back({fullBlocks(), blockStride, {}});
  operands.levels.push_back({});
  DotMicroKernel micro(kb, spec.product, operands);
  Values products = micro.accumulate(rows, a, b, micro.zeros(rows));
  for (auto [i, product] : llvm::enumerate(products))
    kb.store(product, kb.advance(c, static_cast<int64_t>(i) * lanes, kType), kType, lanes);
}

void WinogradEmitter::multiply(Value panel, Value count, Value isLast) {
  Value matrix = kb.mul(dim(&WinogradDims::depth), spec.product.columns());
  Value weights = kb.advance(kb.buffer(1), kb.mul(panel, kb.mul(matrix, tile.weights())), kType);
  // A group of several has whole blocks.
  Value firstBlock = kb.mul(kb.div(panel, dim(&WinogradDims::panelsOfGroup)), fullBlocks());
  kb.forLoop(kb.index(0), kb.index(tile.rows.weights()), 1, [&](Value row) {
    kb.forLoop(kb.index(0), kb.index(tile.columns.weights()), 1, [&](Value column) {
      multiplyMatrix({weights, row, column}, firstBlock, count, isLast);
    });
  });
}

void WinogradEmitter::multiplyMatrix(const Matrix &of, Value firstBlock, Value count,
                                     Value isLast) {
  Sharing rows = sharingOf(tile.rows, of.row), columns = sharingOf(tile.columns, of.column);
  Value before = kb.add(kb.mul(of.row, tile.columns.points()), kb.mul(rows.points, of.column));
  Value matrix = kb.mul(dim(&WinogradDims::depth), spec.product.columns());
  Value number = kb.add(kb.mul(of.row, tile.columns.weights()), of.column);
  Value blockStride = kb.mul(dim(&WinogradDims::blockStride), kb.mul(rows.points, columns.points));
  Value inputs =
      kb.add(kb.mul(before, dim(&WinogradDims::inputPoint)), kb.mul(firstBlock, blockStride));
  Value a = kb.advance(kb.scratch(), inputs, kType);
  Value b = kb.advance(of.weights, kb.mul(number, matrix), kType);
  Value c = kb.advance(sums, kb.mul(before, dim(&WinogradDims::sumPoint)), kType);
  bool asks = spec.product.linesAhead > 0;
  Value next = kb.advance(b, matrix, kType), share, stride;
  constexpr auto kShare = static_cast<int64_t>(kMaxTileHeights), kStride = kShare + 1;
  if (asks) {
    share = ofRows(rows, columns, isLast, kShare);
    stride = ofRows(rows, columns, isLast, kStride);
  }
  Value firstRow = kb.index(0), firstTile = kb.index(0);
  for (auto [i, height] : llvm::enumerate(spec.heights)) {
    Value tiles = ofRows(rows, columns, isLast, static_cast<int64_t>(i));
    kb.forLoop(kb.index(0), tiles, 1, [&, height = height](Value t) {
      Value ahead;
      if (asks)
        ahead = kb.advance(next, kb.mul(kb.add(firstTile, t), share), DType::UInt8);
      Value first = kb.add(firstRow, kb.mul(t, height));
      multiplyRows(height, kb.advance(a, kb.mul(first, lanes), kType), b,
                   kb.advance(c, kb.mul(first, spec.product.columns()), kType), blockStride, ahead,
                   stride);
    });
    firstRow = kb.add(firstRow, kb.mul(tiles, height));
    firstTile = kb.add(firstTile, tiles);
  }
}

void WinogradEmitter::finishTile(Value index, Value row, Value count, Value panel) {
  Place at = placeOf(index);
  kb.forLoop(kb.index(0), kb.index(spec.product.vectors), 1, [&](Value vector) {
    Value from = kb.add(kb.mul(row, spec.product.columns()), kb.mul(vector, lanes));
    finishVector(at, from, count, kb.add(kb.mul(panel, spec.product.vectors), vector));
  });
}

void WinogradEmitter::finishVector(const Place &at, Value from, Value count, Value block) {
  Values products;
  for (int64_t i = 0; i < tile.rows.points(); ++i)
    for (int64_t j = 0; j < tile.columns.points(); ++j) {
      PointPlace place(tile, i, j);
      Value rows = kb.mul(count, place.number * spec.product.columns());
      Value start = kb.add(kb.mul(dim(&WinogradDims::sumPoint), place.before), kb.add(rows, from));
      products.push_back(kb.load(kb.advance(sums, start, kType), kType, lanes));
    }
  Value channel = kb.mul(block, lanes);
  Value bias =
      spec.hasBias ? kb.load(kb.advance(kb.buffer(3), channel, kType), kType, lanes) : Value();
  for (auto [i, result] : llvm::enumerate(transformSums(kb, tile, products, lanes))) {
    Value sum = bias ? kb.builder().create<arith::AddFOp>(kb.loc(), result, bias) : result;
    kb.store(sum, kb.advance(results, static_cast<int64_t>(i) * lanes, kType), kType, lanes);
  }
  // By way of memory, so that the epilogue's code is there once; tiles reach over the edges.
  Values operands = epilogueBuffers(kb, spec.epilogue, spec.hasBias ? 4 : 3);
  Value height = dim(&WinogradDims::outputHeight), width = dim(&WinogradDims::outputWidth);
  Value plane = kb.mul(kb.add(kb.mul(at.image, dim(&WinogradDims::outputBlocks)), block), height);
  Value lines = kb.minSigned(kb.index(tile.rows.results), kb.sub(height, at.y));
  Value pixels = kb.minSigned(kb.index(tile.columns.results), kb.sub(width, at.x));
  kb.forLoop(kb.index(0), lines, 1, [&](Value i) {
    Value line = kb.add(kb.mul(kb.add(plane, kb.add(at.y, i)), width), at.x);
    kb.forLoop(kb.index(0), pixels, 1, [&](Value j) {
      Value place = kb.mul(kb.add(kb.mul(i, tile.columns.results), j), lanes);
      Value result = kb.load(kb.advance(results, place, kType), kType, lanes);
      emitEpilogue(kb, spec.epilogue, result, operands,
                   {kb.mul(kb.add(line, j), lanes), {}, channel}, lanes, kb.buffer(2));
    });
  });
}

void WinogradSpec::emit(KernelBuilder &kb) const { WinogradEmitter(kb, *this).emit(); }
