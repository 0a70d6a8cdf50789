//===- DotKernel.cpp - products of whole matrices and convolutions --------===//
#include "backends/native/kernels/DotKernel.h"

#include "backends/native/kernels/DotDriver.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <fmt/compile.h>
#include <fmt/format.h>
#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// Dims
//===----------------------------------------------------------------------===//

void DotDims::coverRows(const DotSpec &spec, int64_t rows) {
  tiles = native::coverRows(rows, spec.heights, spec.tile.vectors);
  if (spec.flat)
    lines = std::accumulate(tiles.begin(), tiles.end(), int64_t{0});
}

void DotDims::splitLines(int64_t batches, double totalFlops, int64_t threads) {
  lineChunks = chooseLineChunks(lines, columnTiles * batches, totalFlops, threads);
  linesPerChunk = ceilDiv(lines, lineChunks);
}

void DotDims::shareAhead(const DotSpec &spec) {
  constexpr int64_t kLineBytes = 64;
  int64_t ofLine = spec.flat ? 0 : std::accumulate(tiles.begin(), tiles.end(), int64_t{0});
  int64_t sharers = spec.flat ? lines : lines * ofLine, asked = sharers * spec.tile.linesAhead;
  for (size_t i = 0; i < spec.tile.levels.size(); ++i)
    asked *= levels[i].trip;
  if (asked == 0)
    return;
  int64_t bytes = tileStrideB * dtypeBits(spec.tile.types.b) / 8, stride = ceilDiv(bytes, asked);
  if (stride > kLineBytes)
    return;
  aheadStride = stride;
  aheadShare = bytes / sharers;
  aheadShareOfLine = aheadShare * ofLine;
}

//===----------------------------------------------------------------------===//
// Specs
//===----------------------------------------------------------------------===//

std::string DotSpec::name() const {
  return fmt::format(FMT_COMPILE("dot_{}{}x{}{}"), tile.types.label(), heights.front(),
                     tile.columns(), epilogue.program.label());
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
class DotEmitter : DotDriver {
public:
  using DotDriver::DotDriver;

  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  void emitTask(Value task);
  /// Tiles [from, to) of a line, or all when null, in the order of their heights.
  void emitTiles(const Tile &tile, Value from, Value to);
  /// Tiles [begin, end) of one height, of which tile number `firstTile` of all begins at
  /// `firstRow`.
  void emitTilesOf(const Tile &tile, Value begin, Value end, Value firstTile, Value firstRow,
                   int64_t rows);
  /// The same of the tallest, the first of all, with a panel of B that is widened before where they
  /// are many.
  void emitWidened(const Tile &tile, Value begin, Value end, int64_t rows);
  void emitRows(const Tile &tile, Value firstRow, int64_t rows);
  /// The same of tile number `t` of them, which asks for its share of the next column tile of B.
  Tile withShareAhead(const Tile &tile, Value t, int64_t rows);
  /// Stores the sums by way of memory, so that the epilogue's code is there once
  /// for all rows.
  void storeByRows(const Tile &tile, const Values &sums, Value firstRow, int64_t rows);
  DotOperands operandsOf(const Tile &tile);
  /// The sum of the block that begins at `a`, in all lanes.
  Value sumOfBlock(Value a);
  /// `sums`, and what the sums of the products of one block come to.
  Values addBlock(const Tile &tile, Value block, Value a, Values part, Values sums);
  /// The products of all k of rows at `a`, added to `sums`.
  Values accumulate(const Tile &tile, Value a, int64_t rows, Values sums);
};
} // namespace

void DotEmitter::emitTask(Value task) {
  Value chunk = kb.rem(task, kb.dim(&DotDims::lineChunks));
  Value outer = kb.div(task, kb.dim(&DotDims::lineChunks));
  Tile tile = tileOfTask(kb.div(outer, kb.dim(&DotDims::columnTiles)),
                         kb.rem(outer, kb.dim(&DotDims::columnTiles)));
  Value from = kb.mul(chunk, kb.dim(&DotDims::linesPerChunk));
  Value to = kb.minSigned(kb.add(from, kb.dim(&DotDims::linesPerChunk)), kb.dim(&DotDims::lines));
  if (spec.flat)
    return emitTiles(tile, from, to);
  kb.forLoop(from, to, 1, [&](Value line) { emitTiles(tileOfLine(tile, line), {}, {}); });
}

void DotEmitter::emitTiles(const Tile &tile, Value from, Value to) {
  // The first tile of a height, and its row.
  Value firstTile = kb.index(0), firstRow = kb.index(0);
  for (auto [i, height] : llvm::enumerate(spec.heights)) {
    Value count = kb.dim(dimIndex(&DotDims::tiles) + static_cast<int64_t>(i));
    Value begin = kb.index(0), end = count;
    if (from) {
      begin = kb.maxSigned(kb.sub(from, firstTile), begin);
      end = kb.minSigned(kb.sub(to, firstTile), end);
    }
    if (i == 0 && spec.widensPanel)
      emitWidened(tile, begin, end, height);
    else
      emitTilesOf(tile, begin, end, firstTile, firstRow, height);
    firstTile = kb.add(firstTile, count);
    firstRow = kb.add(firstRow, kb.mul(count, height));
  }
}

void DotEmitter::emitTilesOf(const Tile &tile, Value begin, Value end, Value firstTile,
                             Value firstRow, int64_t rows) {
  kb.forLoop(begin, end, 1, [&](Value t) {
    emitRows(withShareAhead(tile, kb.add(firstTile, t), rows), kb.add(firstRow, kb.mul(t, rows)),
             rows);
  });
}

void DotEmitter::emitWidened(const Tile &tile, Value begin, Value end, int64_t rows) {
  // Widening a panel takes as long as the products of a row or two; in registers it costs up to a
  // quarter of all products where it has no unit of its own.
  constexpr int64_t kManyTiles = 16;
  DotSpec wide = spec;
  wide.widensPanel = false;
  wide.tile.types.b = types.accumulate;
  DotEmitter inner(kb, wide);
  inner.activeLanes = activeLanes;
  Tile widened = tile;
  widened.b = kb.scratch();
  kb.ifThen(
      kb.lessThan(kb.sub(end, begin), kb.index(kManyTiles)),
      [&] { emitTilesOf(tile, begin, end, kb.index(0), kb.index(0), rows); },
      [&] {
        int64_t lanes = spec.tile.lanes, vectors = spec.tile.vectors;
        nn::ScalarEmitter narrow(kb.builder(), kb.loc(), types.b, lanes);
        kb.forLoop(kb.index(0), kb.dim(&DotDims::tileStrideB), vectors * lanes, [&](Value row) {
          for (int64_t v = 0; v < vectors; ++v) {
            Value place = kb.add(row, v * lanes);
            Value value = kb.load(kb.advance(tile.b, place, types.b), types.b, lanes);
            kb.store(narrow.castTo(value, types.accumulate),
                     kb.advance(widened.b, place, types.accumulate), types.accumulate, lanes);
          }
        });
        inner.emitTilesOf(widened, begin, end, kb.index(0), kb.index(0), rows);
      });
}

DotOperands DotEmitter::operandsOf(const Tile &tile) {
  DotOperands operands;
  for (size_t i = 0; i < spec.tile.levels.size(); ++i)
    operands.levels.push_back({ofLevel(i, &DotDims::Level::trip),
                               ofLevel(i, &DotDims::Level::strideA),
                               ofLevel(i, &DotDims::Level::strideB)});
  if (tile.filterRows)
    operands.levels[1].trip = tile.filterRows;
  operands.rowStrideA = kb.dim(&DotDims::rowStrideA);
  operands.strideB = kb.dim(&DotDims::strideB);
  if (spec.tile.partialGroup)
    operands.leftOver = kb.dim(&DotDims::leftOver);
  if (!spec.tile.packedB)
    operands.activeLanes = activeLanes;
  operands.ahead = tile.ahead;
  operands.aheadStride = kb.dim(&DotDims::aheadStride);
  return operands;
}

/// One row waits for memory whatever it asks for.
DotEmitter::Tile DotEmitter::withShareAhead(const Tile &tile, Value t, int64_t rows) {
  Tile asking = tile;
  if (rows == 1)
    asking.ahead = {};
  else if (tile.ahead)
    asking.ahead = kb.advance(tile.ahead, kb.mul(t, kb.dim(&DotDims::aheadShare)), DType::UInt8);
  return asking;
}

Value DotEmitter::sumOfBlock(Value a) {
  int64_t lanes = spec.tile.lanes;
  OpBuilder &ops = kb.builder();
  Values sum = kb.forLoop(kb.index(0), kb.dim(&DotDims::blockSize), lanes,
                          Values{kb.floatConstant(types.accumulate, lanes, 0)},
                          [&](Value i, ValueRange now) -> Values {
                            Value next = kb.load(kb.advance(a, i, types.a), types.a, lanes);
                            return {ops.create<arith::AddFOp>(kb.loc(), now[0], next)};
                          });
  Value whole = ops.create<vector::ReductionOp>(kb.loc(), vector::CombiningKind::ADD, sum[0],
                                                arith::FastMathFlags::reassoc);
  return kb.splat(whole, lanes);
}

DotEmitter::Values DotEmitter::addBlock(const Tile &tile, Value block, Value a, Values part,
                                        Values sums) {
  int64_t lanes = spec.tile.lanes, vectors = spec.tile.vectors;
  Value first = kb.mul(block, spec.tile.columns());
  auto numberOf = [&](Value numbers, int64_t v) {
    Value place = kb.advance(numbers, kb.add(first, v * lanes), types.accumulate);
    return kb.load(place, types.accumulate, lanes);
  };
  auto rows = static_cast<int64_t>(sums.size()) / vectors;
  Value strideA = strideOf(spec.tile.rowStrideA, &DotDims::rowStrideA);
  for (int64_t r = 0; r < rows; ++r) {
    Value lessOfA;
    if (spec.shiftedBlocks)
      lessOfA = kb.builder().create<arith::NegFOp>(
          kb.loc(), sumOfBlock(kb.advance(a, kb.mul(strideA, r), types.a)));
    for (int64_t v = 0; v < vectors; ++v) {
      Value &product = part[r * vectors + v], &sum = sums[r * vectors + v];
      if (lessOfA)
        product = kb.multiplyAdd(lessOfA, numberOf(tile.zeros, v), product);
      sum = kb.multiplyAdd(product, numberOf(tile.scales, v), sum);
    }
  }
  return sums;
}

DotEmitter::Values DotEmitter::accumulate(const Tile &tile, Value a, int64_t rows, Values sums) {
  DotMicroKernel micro(kb, spec.tile, operandsOf(tile));
  if (!spec.scaledBlocks)
    return micro.accumulate(rows, a, tile.b, std::move(sums));
  return kb.forLoop(kb.index(0), kb.dim(&DotDims::blocks), 1, sums,
                    [&](Value block, ValueRange now) {
                      Value k = kb.mul(block, kb.dim(&DotDims::blockSize));
                      Value b = micro.advanceB(tile.b, kb.mul(k, spec.tile.columns()));
                      Value ofBlock = kb.advance(a, k, types.a);
                      Values part = micro.accumulate(rows, ofBlock, b, micro.zeros(rows));
                      return addBlock(tile, block, ofBlock, std::move(part), Values(now));
                    });
}

void DotEmitter::emitRows(const Tile &tile, Value firstRow, int64_t rows) {
  Values sums = DotMicroKernel(kb, spec.tile, operandsOf(tile)).zeros(rows);
  int64_t vectors = spec.tile.vectors;
  if (spec.bias)
    for (int64_t i = 0; i < rows * vectors; ++i)
      sums[i] = loadOperand(kb, tile.bias, *spec.bias, types.accumulate,
                            position(kb.add(firstRow, i / vectors), i % vectors), spec.tile.lanes,
                            active(i % vectors));
  Value strideA = strideOf(spec.tile.rowStrideA, &DotDims::rowStrideA);
  Value a = kb.advance(tile.a, kb.mul(firstRow, strideA), types.a);
  sums = accumulate(tile, a, rows, std::move(sums));
  if (rows > 1 && !spec.epilogue.isShort())
    return storeByRows(tile, sums, firstRow, rows);
  for (int64_t i = 0; i < rows * vectors; ++i)
    emitEpilogue(kb, spec.epilogue, sums[i], tile.operands,
                 position(kb.add(firstRow, i / vectors), i % vectors), spec.tile.lanes, tile.c,
                 active(i % vectors));
}

void DotEmitter::storeByRows(const Tile &tile, const Values &sums, Value firstRow, int64_t rows) {
  int64_t lanes = spec.tile.lanes, vectors = spec.tile.vectors;
  Value memory = kb.stackSpace(types.accumulate, rows * vectors * lanes);
  for (auto [i, sum] : llvm::enumerate(sums))
    kb.store(sum, kb.advance(memory, static_cast<int64_t>(i) * lanes, types.accumulate),
             types.accumulate, lanes);
  kb.forLoop(kb.index(0), kb.index(rows), 1, [&](Value row) {
    Value ofRow = kb.advance(memory, kb.mul(row, vectors * lanes), types.accumulate);
    for (int64_t v = 0; v < vectors; ++v) {
      Value sum = kb.load(kb.advance(ofRow, v * lanes, types.accumulate), types.accumulate, lanes);
      emitEpilogue(kb, spec.epilogue, sum, tile.operands, position(kb.add(firstRow, row), v), lanes,
                   tile.c, active(v));
    }
  });
}

void DotSpec::emit(KernelBuilder &kb) const { DotEmitter(kb, *this).emit(); }
