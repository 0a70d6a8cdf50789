//===- TileChoice.cpp - register tiles and task sizes, as data ------------===//
#include "backends/native/lowering/TileChoice.h"

#include "runtime/lib/CeilDiv.h"

#include <algorithm>
#include <span>

using namespace quern;
using namespace quern::native;

namespace {
/// Measured on Zen 4 and Zen 5 (docs/ARCHITECTURE.md, "Tiles"): each row lists the
/// most rows that leave registers for `vectors` vectors of B and a broadcast.
struct TileRow {
  int64_t vectors;
  int64_t maxRows;
};

// Convolution: A is 64 bytes per row and stays in L1; tall tiles reuse B best.
constexpr TileRow kConvAvx512[] = {{2, 14}, {3, 8}, {1, 14}};
constexpr TileRow kConv16Registers[] = {{2, 6}, {1, 6}};
// Few rows (small images): wide tiles keep enough independent accumulators.
constexpr TileRow kFewRowsAvx512[] = {{8, 2}, {6, 3}, {4, 5}};
constexpr TileRow kFewRows16Registers[] = {{4, 2}, {3, 3}};

std::span<const TileRow> convTiles(const Target &target) {
  if (target.vectorRegisters >= 32)
    return kConvAvx512;
  return kConv16Registers;
}

std::span<const TileRow> fewRowsTiles(const Target &target) {
  if (target.vectorRegisters >= 32)
    return kFewRowsAvx512;
  return kFewRows16Registers;
}

/// The rows of the largest tile, shared evenly among the tiles of a line.
int64_t balancedRows(int64_t lineRows, int64_t maxRows) {
  return ceilDiv(lineRows, ceilDiv(lineRows, maxRows));
}
} // namespace

TileShape native::chooseConvTile(const Target &target, int64_t lineRows, int64_t channelVectors) {
  lineRows = std::max<int64_t>(lineRows, 1);
  for (const TileRow &row : fewRowsTiles(target))
    if (lineRows <= row.maxRows && channelVectors % row.vectors == 0)
      return {lineRows, row.vectors};
  for (const TileRow &row : convTiles(target))
    if (channelVectors % row.vectors == 0)
      return {balancedRows(lineRows, row.maxRows), row.vectors};
  return {1, 1};
}

TileShape native::chooseGemmTile(const Target &target, DType dtype, int64_t rows, int64_t columns) {
  rows = std::max<int64_t>(rows, 1);
  int64_t vectors = ceilDiv(std::max<int64_t>(columns, 1), target.lanes(dtype));
  int64_t maxRows = 6, wide = target.vectorRegisters >= 32 ? 4 : 2;
  if (rows <= 2)
    wide *= 2;
  return {balancedRows(rows, maxRows), std::min(vectors, wide)};
}

int64_t native::chooseLineChunks(int64_t lines, int64_t otherTasks, double totalFlops,
                                 int64_t threads) {
  if (threads <= 1)
    return 1;
  // About 8 tasks a thread even out; below 1 MFLOP a task costs more than it gives.
  constexpr double kMinFlopsPerTask = 1e6;
  int64_t wanted = ceilDiv(8 * threads, std::max<int64_t>(otherTasks, 1));
  int64_t affordable =
      static_cast<int64_t>(totalFlops / kMinFlopsPerTask) / std::max<int64_t>(otherTasks, 1);
  return std::clamp<int64_t>(std::min(wanted, affordable), 1, std::max<int64_t>(lines, 1));
}

int64_t native::chooseGrain(int64_t tasks, double totalFlops) {
  constexpr double kMinFlopsPerThread = 5e5;
  double perTask = totalFlops / static_cast<double>(std::max<int64_t>(tasks, 1));
  return std::clamp<int64_t>(static_cast<int64_t>(kMinFlopsPerThread / std::max(perTask, 1.0)), 1,
                             std::max<int64_t>(tasks, 1));
}

int64_t native::chooseMoveGrain(int64_t bytesPerTask) {
  constexpr int64_t kMinBytesPerThread = 64 << 10;
  return std::max<int64_t>(kMinBytesPerThread / std::max<int64_t>(bytesPerTask, 1), 1);
}
