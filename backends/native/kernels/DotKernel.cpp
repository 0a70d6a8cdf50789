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
  tiles = native::coverRows(rows, spec.heights, spec.tile.vectors, spec.tile.types.group());
  if (spec.flat)
    lines = std::accumulate(tiles.begin(), tiles.end(), int64_t{0});
}

void DotDims::splitLines(const LineWork &work) {
  int64_t chunks = chooseLineChunks(lines, columnTiles * work.batches, work.flops, work.threads);
  lineParts = chooseLineParts(lines, work);
  chunksOfPart = ceilDiv(chunks, lineParts);
  linesPerChunk = ceilDiv(lines, lineChunks());
}

void DotDims::splitK(const DotSpec &spec) {
  // Half of a second cache of 1 MiB for this part of B and the next.
  constexpr int64_t kBytesOfPart = 256 << 10, kTilesOfChunk = 64;
  int64_t bytes = tileStrideB * dtypeBits(spec.tile.types.b) / 8, steps = levels[0].trip;
  int64_t unroll = spec.tile.levels[0].unroll;
  // A single tile reads B once.
  int64_t wanted = lines > 1 ? ceilDiv(bytes, kBytesOfPart) : 1;
  stepsOfPart = std::max(ceilDiv(ceilDiv(steps, wanted), unroll) * unroll, int64_t{1});
  partsOfK = ceilDiv(steps, stepsOfPart);
  chunksOfPart = std::max(chunksOfPart, ceilDiv(lines, kTilesOfChunk * lineParts));
  linesPerChunk = ceilDiv(lines, lineChunks());
}

int64_t DotDims::bytesOfPartialSums(const DotSpec &spec) const {
  return linesPerChunk * spec.heights.front() * spec.tile.columns() *
         dtypeBytes(spec.tile.types.accumulate);
}

void DotDims::shareAhead(const DotSpec &spec) {
  constexpr int64_t kLineBytes = 64;
  int64_t ofLine = spec.flat ? 0 : std::accumulate(tiles.begin(), tiles.end(), int64_t{0});
  int64_t sharers = spec.splitsK ? linesPerChunk : spec.flat ? lines : lines * ofLine;
  int64_t asked = sharers * spec.tile.linesAhead;
  for (size_t i = 0; i < spec.tile.levels.size(); ++i)
    asked *= spec.splitsK ? stepsOfPart : levels[i].trip;
  if (asked == 0)
    return;
  int64_t elements =
      spec.splitsK ? stepsOfPart * spec.tile.columns() * spec.tile.group : tileStrideB;
  int64_t bytes = elements * dtypeBits(spec.tile.types.b) / 8, stride = ceilDiv(bytes, asked);
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
  /// The same, one part of k after the other.
  void emitParts(const Tile &tile, Value from, Value to);
  /// `tile` in steps [first, first + steps) of k.
  Tile partOf(const Tile &tile, Value first, Value steps);
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
  /// What accumulators of `rows` rows from `firstRow` on start from.
  Values startSums(const Tile &tile, Value firstRow, int64_t rows);
  /// The vectors of a row of the line.
  ResultRow rowOfTile(Value row);
  /// What the epilogue makes of the sums of whole rows of a tile, from `firstRow` on.
  void storeTileRows(const Tile &tile, const Values &sums, Value firstRow,
                     const SharedOperands &shared);
  /// Stores the sums by way of `memory`, so that the epilogue's code is there once
  /// for all rows.
  void storeByRows(const Tile &tile, Value memory, Value firstRow, int64_t rows);
  /// Elements of the sums of a tile of the tallest height.
  int64_t elementsOfTile() const { return spec.heights.front() * spec.tile.columns(); }
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
  auto [tile, from, to] = placeOfTask(task);
  if (spec.flat)
    return spec.splitsK ? emitParts(tile, from, to) : emitTiles(tile, from, to);
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

void DotEmitter::emitParts(const Tile &tile, Value from, Value to) {
  Value size = kb.index(elementsOfTile());
  Value zeros = kb.floatConstant(types.accumulate, spec.tile.lanes, 0);
  kb.forLoop(kb.index(0), kb.mul(kb.sub(to, from), size), spec.tile.lanes, [&](Value at) {
    kb.store(zeros, kb.advance(kb.scratch(), at, types.accumulate), types.accumulate,
             spec.tile.lanes);
  });
  Value all = ofLevel(0, &DotDims::Level::trip), parts = kb.dim(&DotDims::partsOfK);
  kb.forLoop(kb.index(0), parts, 1, [&](Value part) {
    Value first = kb.mul(part, kb.dim(&DotDims::stepsOfPart));
    Value steps = kb.minSigned(kb.dim(&DotDims::stepsOfPart), kb.sub(all, first));
    Tile ofPart = partOf(tile, first, steps);
    ofPart.isLastPart = kb.lessThan(kb.sub(parts, kb.index(2)), part);
    // Of tile number 0, of which there need be none.
    ofPart.partialSums =
        kb.advance(kb.scratch(), kb.mul(kb.sub(kb.index(0), from), size), types.accumulate);
    if (tile.ahead)
      ofPart.ahead =
          kb.advance(ofPart.ahead, kb.mul(kb.sub(kb.index(0), from), kb.dim(&DotDims::aheadShare)),
                     DType::UInt8);
    emitTiles(ofPart, from, to);
  });
}

DotEmitter::Tile DotEmitter::partOf(const Tile &tile, Value first, Value steps) {
  Tile part = tile;
  int64_t ofStep = spec.tile.columns() * spec.tile.group;
  int64_t stride = spec.tile.levels[0].strideA;
  Value strideA =
      stride == DotSpec::kRuntime ? ofLevel(0, &DotDims::Level::strideA) : kb.index(stride);
  part.steps = steps;
  part.a = kb.advance(tile.a, kb.mul(first, strideA), types.a);
  part.b = kb.advance(tile.b, kb.mul(first, ofStep), types.b);
  // The next part, or after the last one the next column tile, follows.
  if (tile.ahead)
    part.ahead = kb.advance(part.b, kb.mul(steps, ofStep), types.b);
  return part;
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
  if (tile.steps)
    operands.levels[0].trip = tile.steps;
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
  if (tile.partialSums)
    asking.partialSums =
        kb.advance(tile.partialSums, kb.mul(t, elementsOfTile()), types.accumulate);
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

DotEmitter::Values DotEmitter::startSums(const Tile &tile, Value firstRow, int64_t rows) {
  Values sums = DotMicroKernel(kb, spec.tile, operandsOf(tile)).zeros(rows);
  int64_t vectors = spec.tile.vectors, lanes = spec.tile.lanes;
  for (int64_t i = 0; i < rows * vectors; ++i)
    if (tile.partialSums)
      sums[i] = kb.load(kb.advance(tile.partialSums, i * lanes, types.accumulate), types.accumulate,
                        lanes);
    else if (spec.bias)
      sums[i] = loadOperand(kb, tile.bias, *spec.bias, types.accumulate,
                            position(kb.add(firstRow, i / vectors), i % vectors), lanes,
                            active(i % vectors));
  return sums;
}

void DotEmitter::emitRows(const Tile &tile, Value firstRow, int64_t rows) {
  int64_t vectors = spec.tile.vectors, lanes = spec.tile.lanes;
  Value strideA = strideOf(spec.tile.rowStrideA, &DotDims::rowStrideA);
  Value a = kb.advance(tile.a, kb.mul(firstRow, strideA), types.a);
  Values sums = accumulate(tile, a, rows, startSums(tile, firstRow, rows));
  if (tile.partialSums || (rows > 1 && !spec.epilogue.isShort())) {
    Value memory = tile.partialSums ? tile.partialSums
                                    : kb.stackSpace(types.accumulate, rows * vectors * lanes);
    for (auto [i, sum] : llvm::enumerate(sums))
      kb.store(sum, kb.advance(memory, static_cast<int64_t>(i) * lanes, types.accumulate),
               types.accumulate, lanes);
    auto store = [&] { storeByRows(tile, memory, firstRow, rows); };
    return tile.isLastPart ? kb.ifThen(tile.isLastPart, store) : store();
  }
  storeTileRows(tile, sums, firstRow, {});
}

ResultRow DotEmitter::rowOfTile(Value row) {
  ResultRow vectors;
  vectors.areAdjacent = spec.contiguousColumns;
  for (int64_t v = 0; v < spec.tile.vectors; ++v) {
    vectors.at.push_back(position(row, v));
    vectors.active.push_back(active(v));
  }
  return vectors;
}

void DotEmitter::storeByRows(const Tile &tile, Value memory, Value firstRow, int64_t rows) {
  int64_t lanes = spec.tile.lanes, vectors = spec.tile.vectors;
  SharedOperands shared =
      loadShared(kb, spec.epilogue, tile.operands, rowOfTile(kb.index(0)), lanes);
  auto store = [&](Value row, int64_t count) {
    Value ofRow = kb.advance(memory, kb.mul(row, vectors * lanes), types.accumulate);
    Values sums;
    for (int64_t i = 0; i < count * vectors; ++i)
      sums.push_back(
          kb.load(kb.advance(ofRow, i * lanes, types.accumulate), types.accumulate, lanes));
    storeTileRows(tile, sums, kb.add(firstRow, row), shared);
  };
  int64_t step = std::min(rowsPackedAtOnce(), rows), rest = rows % step;
  kb.forLoop(kb.index(0), kb.index(rows - rest), step, [&](Value row) { store(row, step); });
  if (rest > 0)
    store(kb.index(rows - rest), rest);
}

void DotEmitter::storeTileRows(const Tile &tile, const Values &sums, Value firstRow,
                               const SharedOperands &shared) {
  SmallVector<ResultRow> rows;
  for (int64_t i = 0; i * spec.tile.vectors < static_cast<int64_t>(sums.size()); ++i)
    rows.push_back(rowOfTile(kb.add(firstRow, i)));
  storeRows(tile, rows, sums, shared);
}

void DotSpec::emit(KernelBuilder &kb) const { DotEmitter(kb, *this).emit(); }
