//===- TiledDotDims.cpp - how rows and k are split up for tiles of matrices ===//
#include "backends/native/kernels/TiledDotKernel.h"
#include "runtime/values/CeilDiv.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>
#include <utility>

using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

int64_t native::grainOfTiles(int64_t tasks, const LineWork &work) {
  // Of vectors, while a byte comes from the third cache at 30 GB/s.
  constexpr double kProductsOfByte = 8;
  return chooseGrain(tasks, std::max(work.flops / kTileSpeed, kProductsOfByte * work.bytesOfB));
}

int64_t native::stepElementsOf(DType a, int64_t elements) {
  return std::min(elements, TileUnit::kRowBytes / dtypeBytes(a));
}

// In cycles of one step for 32 columns on Sapphire Rapids. Vectors: two for each group of bytes, of
// which two begin in a cycle, and of bfloat16, of which one begins in two cycles. Tiles: two rows
// of sums for each row, but not less than the loads of two tiles of B take; and once, what it takes
// until the sums are in memory.
bool native::tilesPay(const DotTypes &types, int64_t rows, int64_t steps, int64_t stepBytes) {
  constexpr int64_t kLatency = 4, kOnce = 100;
  int64_t groups = stepBytes / 4, tileRows = std::min(rows, TiledDotDims::kTileRows);
  int64_t ofVectors = tileRows * groups * (types.a == DType::BFloat16 ? 4 : 1);
  int64_t ofTiles = std::max(2 * tileRows, groups + kLatency);
  return steps * ofVectors > steps * ofTiles + kOnce;
}

//===----------------------------------------------------------------------===//
// Dims
//===----------------------------------------------------------------------===//

void TiledDotDims::coverRows(TiledDotSpec &spec, int64_t lines, int64_t rows, int64_t stepBytes) {
  auto takeStride = [](int64_t &baked, int64_t &stride) {
    if (int64_t taken = std::exchange(baked, DotSpec::kRuntime); taken != DotSpec::kRuntime)
      stride = taken;
  };
  takeStride(spec.dot.tile.rowStrideA, dot.rowStrideA);
  // Vectors of neighbouring rows that are adjacent are stored together: that is code.
  if (spec.dot.contiguousColumns || spec.dot.rowStrideC != kLanes)
    takeStride(spec.dot.rowStrideC, dot.rowStrideC);
  spec.dot.tile.linesAhead = 0;
  int64_t tiles = ceilDiv(rows, kTileRows), tileRows = ceilDiv(rows, tiles);
  lineRows = rows;
  tileStep = storedRows = tileRows;
  firstRows = std::min(tileRows, kHalfRows);
  secondRows = tileRows - firstRows;
  secondA = firstRows * dot.rowStrideA;
  tilesOfLine = spec.dot.flat ? 1 : tiles;
  allLines = spec.dot.flat ? 1 : lines;
  if (!spec.dot.flat && rows <= kHalfRows && lines > 1)
    pairHalves();
  dot.lines = spec.dot.flat ? tiles : ceilDiv(lines, linesOfUnit);
  // Sums 0 to 3, by rows; A 4 and 5; B 6 and 7, with one half 5 to 7.
  spec.oneHalf = secondRows == 0;
  int64_t ofSecond = spec.oneHalf ? firstRows : secondRows;
  TileUnit::Configuration shapes;
  auto setShape = [&](size_t tile, int64_t rowsOfTile, int64_t bytes) {
    shapes.rows[tile] = rowsOfTile;
    shapes.rowBytes[tile] = bytes;
  };
  for (size_t tile : {0, 1})
    setShape(tile, firstRows, TileUnit::kRowBytes);
  for (size_t tile : {2, 3})
    setShape(tile, ofSecond, TileUnit::kRowBytes);
  setShape(4, firstRows, stepBytes);
  if (!spec.oneHalf)
    setShape(5, secondRows, stepBytes);
  for (size_t tile = spec.oneHalf ? 5 : 6; tile < 8; ++tile)
    setShape(tile, stepBytes / 4, TileUnit::kRowBytes);
  configuration = shapes.words();
}

void TiledDotDims::pairHalves() {
  if (dot.lineStrideA % dot.rowStrideA == 0)
    lineGap = dot.lineStrideA / dot.rowStrideA;
  if (lineGap >= lineRows)
    linesOfHalf = std::clamp<int64_t>((kHalfRows - lineRows) / lineGap + 1, 1, allLines / 2);
  linesOfUnit = 2 * linesOfHalf;
  firstRows = secondRows = (linesOfHalf - 1) * lineGap + lineRows;
  secondA = linesOfHalf * dot.lineStrideA;
}

void TiledDotDims::splitLines(const LineWork &work) {
  // Half of the second-level cache of the CPUs that have tiles.
  constexpr double kChunkBytes = 1 << 20;
  auto forCache =
      static_cast<int64_t>(std::min(std::ceil(work.bytesOfA / kChunkBytes), double(dot.lines)));
  int64_t forThreads = chooseLineChunks(dot.lines, dot.columnTiles * work.batches,
                                        work.flops / kTileSpeed, work.threads);
  int64_t parts = chooseLineParts(dot.lines, work);
  int64_t chunks = ceilDiv(std::max(forCache, forThreads), parts) * parts;
  dot.lineParts = std::clamp<int64_t>(chunks, 1, dot.lines);
  dot.linesPerChunk = ceilDiv(dot.lines, dot.lineParts);
}

/// Products of 16 columns that a tile of rows has at a time.
static int64_t vectorsOfPass(const TiledDotSpec &spec) {
  return std::min<int64_t>(spec.dot.tile.vectors, spec.oneHalf ? 4 : 2);
}

void TiledDotDims::splitK(TiledDotSpec &spec) {
  // Sums are read and written for each part, which is as much as two or three steps.
  constexpr int64_t kStepsOfPart = 8, kFewestTiles = 3;
  const DotTile &tile = spec.dot.tile;
  int64_t innerSteps = 1;
  for (size_t i = 1; i < tile.levels.size(); ++i)
    innerSteps *= dot.levels[i].trip;
  tripElementsB = innerSteps * stepElements * tile.columns();
  bool isLong = dot.levels[0].trip * innerSteps >= 2 * kStepsOfPart;
  if (!spec.dot.flat || spec.partialStep || spec.oneHalf || !isLong ||
      dot.linesPerChunk < kFewestTiles || innerSteps > kStepsOfPart)
    return;
  spec.dot.splitsK = true;
  dot.partsOfK = dot.levels[0].trip * innerSteps / kStepsOfPart;
  dot.stepsOfPart = ceilDiv(dot.levels[0].trip, dot.partsOfK);
  dot.partsOfK = ceilDiv(dot.levels[0].trip, dot.stepsOfPart);
}

int64_t TiledDotDims::bytesOfPartialSums(const TiledDotSpec &spec) const {
  if (!spec.dot.splitsK)
    return 0;
  int64_t blocks = dot.linesPerChunk * ceilDiv(spec.dot.tile.vectors, int64_t{2});
  return blocks * kElementsOfBlock * dtypeBytes(spec.dot.tile.types.accumulate);
}

void TiledDotDims::shareAhead(TiledDotSpec &spec) {
  constexpr int64_t kLineBytes = 64, kMostSharers = 64;
  DotTile &tile = spec.dot.tile;
  int64_t passes = ceilDiv(tile.vectors, vectorsOfPass(spec));
  int64_t sharers = dot.linesPerChunk * tilesOfLine, steps = sharers * passes;
  for (size_t i = 0; i < tile.levels.size(); ++i)
    steps *= dot.levels[i].trip;
  int64_t bytes = dot.tileStrideB * dtypeBytes(tile.types.b);
  if (steps == 0 || sharers > kMostSharers || dot.columnTiles == 1)
    return;
  int64_t lines = ceilDiv(ceilDiv(bytes, kLineBytes), steps);
  if (lines > kMostLinesAhead)
    return;
  tile.linesAhead = kMostLinesAhead;
  linesAhead = std::max<int64_t>(static_cast<int64_t>(llvm::PowerOf2Ceil(lines)), 2);
  dot.aheadStride = ceilDiv(bytes, steps * linesAhead);
  aheadShareOfPass = bytes / (sharers * passes);
  aheadShareOfTrip = aheadShareOfPass / dot.levels[0].trip;
  dot.aheadShare = aheadShareOfPass * passes;
  dot.aheadShareOfLine = dot.aheadShare * tilesOfLine;
}
