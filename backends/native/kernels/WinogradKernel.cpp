//===- WinogradKernel.cpp - small filters by Winograd's algorithm ---------===//
#include "backends/native/kernels/WinogradKernel.h"

#include "backends/native/kernels/WinogradTiles.h"

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
      : kb(kb), spec(spec), tile(spec.tile), lanes(spec.product.lanes), tiles(kb, spec) {}

  void emit() {
    sums = kb.advance(kb.scratch(), kb.mul(dim(&WinogradDims::inputPoint), tile.points()), kType);
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Values = KernelBuilder::Values;

  Value dim(int64_t WinogradDims::*member) { return kb.dim(member); }
  /// Of the channels that are summed up.
  Value fullBlocks() { return kb.div(dim(&WinogradDims::depth), kb.index(lanes)); }
  void emitTask(Value task);
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

  KernelBuilder &kb;
  const WinogradSpec &spec;
  const WinogradTile &tile;
  int64_t lanes;
  WinogradTiles tiles;
  /// Of a panel.
  Value sums;
};
} // namespace

void WinogradEmitter::emitTask(Value task) {
  Value part = kb.rem(task, dim(&WinogradDims::panelParts));
  Value first =
      kb.mul(kb.div(task, dim(&WinogradDims::panelParts)), dim(&WinogradDims::tilesPerTask));
  Value rest = kb.sub(dim(&WinogradDims::tiles), first);
  Value isLast = kb.lessThan(rest, dim(&WinogradDims::tilesPerTask));
  Value count = kb.minSigned(rest, dim(&WinogradDims::tilesPerTask));
  kb.forLoop(kb.index(0), count, 1,
             [&](Value number) { tiles.transform({kb.add(first, number), number, count}); });
  Value from = kb.mul(part, dim(&WinogradDims::panelsPerPart));
  Value to =
      kb.minSigned(kb.add(from, dim(&WinogradDims::panelsPerPart)), dim(&WinogradDims::panels));
  kb.forLoop(from, to, 1, [&](Value panel) {
    multiply(panel, count, isLast);
    kb.forLoop(kb.index(0), count, 1, [&](Value number) {
      tiles.finish({kb.add(first, number), number, count}, sums, panel);
    });
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

void WinogradSpec::emit(KernelBuilder &kb) const { WinogradEmitter(kb, *this).emit(); }
