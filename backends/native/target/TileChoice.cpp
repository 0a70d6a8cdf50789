//===- TileChoice.cpp - register tiles and task sizes, as data ------------===//
#include "backends/native/target/TileChoice.h"

#include "runtime/values/CeilDiv.h"

#include <algorithm>
#include <cassert>
#include <limits>

using namespace quern;
using namespace quern::native;

namespace {
/// Measured on Zen 4 and Zen 5 (docs/decisions/code-generation.md, "Tiles"). The tallest tile
/// leaves registers for its vectors of B and a broadcast. The others are chosen so
/// that they cover nearly every number of rows with tiles that hide the latency
/// of the FMA (8 accumulators), for each is code of its own.
struct TileRow {
  int64_t nrVectors;
  /// Lines of at most so many rows, a multiple of `multiple`.
  int64_t maxLine;
  int64_t multiple;
  TileHeights heights;
};
constexpr int64_t kAnyLine = std::numeric_limits<int64_t>::max();
constexpr int64_t kSmall[] = {6, 4, 3, 2, 1};
constexpr int64_t kOne[] = {1};
// Most networks halve images of 224 pixels, which needs no more code than this.
constexpr int64_t kTallEven[] = {14, 7};
constexpr int64_t kTallTwoVectors[] = {14, 7, 5, 4, 1};
constexpr int64_t kTallOneVector[] = {14, 7, 4, 2, 1};
constexpr int64_t kTallThreeVectors[] = {8, 4, 3, 1};
constexpr int64_t kFewRows[] = {5, 4, 3, 2, 1};
constexpr int64_t kOneOrTwo[] = {2, 1};
constexpr int64_t kNeonTwoVectors[] = {12, 7, 4, 2, 1};
// Pairs that start at even numbers, so that lines of 13, 27 and 55 rows share their kernels.
constexpr int64_t kEvenPairs[][2] = {{2, 1}, {4, 3}, {6, 5}, {8, 7}, {10, 9}, {12, 11}, {14, 13}};

// Convolution: A is 64 bytes per row and stays in L1; tall tiles reuse B best. Few
// rows (small images) take wide tiles for enough independent accumulators.
constexpr TileRow kConvAvx512[] = {{4, 5, 1, kFewRows},
                                   {2, kAnyLine, 7, kTallEven},
                                   {2, kAnyLine, 1, kTallTwoVectors},
                                   {3, kAnyLine, 1, kTallThreeVectors},
                                   {1, kAnyLine, 7, kTallEven},
                                   {1, kAnyLine, 1, kTallOneVector}};
constexpr TileRow kConv16Registers[] = {
    {4, 2, 1, kOneOrTwo}, {2, kAnyLine, 1, kSmall}, {1, kAnyLine, 1, kSmall}};

// A multiply-add of NEON takes its element of A from a register: fewer accumulators.
constexpr TileRow kConvNeon[] = {{4, 5, 1, kFewRows},
                                 {3, kAnyLine, 1, kTallThreeVectors},
                                 {2, kAnyLine, 1, kNeonTwoVectors},
                                 {1, kAnyLine, 1, kNeonTwoVectors}};

std::span<const TileRow> convTiles(const Target &target) {
  if (target.has(Isa::Neon))
    return kConvNeon;
  if (target.has(Isa::Avx512))
    return kConvAvx512;
  return kConv16Registers;
}

/// In accumulators that one step of k takes as long as, and what a tile costs
/// besides. Sums of products of several elements take longer than those of one.
int64_t costOfTile(int64_t mr, int64_t nrVectors, int64_t group) {
  constexpr int64_t kHiddenLatency = 10, kOfGroups = 12, kPerStep = 8, kOverhead = 3;
  return kPerStep * std::max(mr * nrVectors, group > 1 ? kOfGroups : kHiddenLatency) + kOverhead;
}
} // namespace

TileShape native::chooseConvTile(const Target &target, int64_t lineRows, int64_t channelVectors) {
  for (const TileRow &row : convTiles(target))
    if (lineRows <= row.maxLine && lineRows % row.multiple == 0 &&
        channelVectors % row.nrVectors == 0)
      return {row.nrVectors, row.heights};
  return {1, kSmall};
}

TileShape native::chooseBlockTile(const Target &target, int64_t nrVectors) {
  assert(target.has(Isa::Avx512) && (nrVectors == 2 || nrVectors == 4) && "blocks of few vectors");
  return {nrVectors, nrVectors == 2 ? TileHeights(kTallTwoVectors) : TileHeights(kSmall)};
}

TileShape native::chooseGemmTile(const Target &target, DType dtype, int64_t columns, bool oneRow) {
  int64_t wide = target.vectorRegisters >= 32 ? 4 : 2, vectors = wide;
  if (columns > 0) {
    int64_t all = ceilDiv(columns, target.lanes(dtype));
    vectors = std::min(all, wide);
    // Columns that are not there are multiplied, too: two tiles of three vectors for six of them.
    // Three vectors reach a little less of the peak.
    constexpr double kCostOfThree = 1.03;
    auto multiplied = [&](int64_t width) { return double(ceilDiv(all, width) * width); };
    if (wide > 3 && kCostOfThree * multiplied(3) < multiplied(vectors))
      vectors = 3;
  }
  if (oneRow)
    return {vectors, kOne};
  return {vectors, vectors == 3 ? TileHeights(kTallThreeVectors) : TileHeights(kSmall)};
}

TileHeights native::chooseCellHeights(const Target &target, int64_t nrVectors) {
  // Each MR is much code, for the functions of the cell follow: few, and what is left
  // over by the tallest hides the latency of the FMA with two rows.
  static constexpr int64_t kFourVectors[] = {6, 2, 1}, kThreeVectors[] = {8, 3, 1},
                           kFewVectors[] = {8, 4, 1};
  if (target.vectorRegisters >= 32)
    return nrVectors >= 4   ? TileHeights(kFourVectors)
           : nrVectors == 3 ? TileHeights(kThreeVectors)
                            : TileHeights(kFewVectors);
  static constexpr int64_t kThreeRows[] = {3, 1};
  return nrVectors >= 4   ? TileHeights(kOneOrTwo)
         : nrVectors == 3 ? TileHeights(kThreeRows)
                          : TileHeights(kSmall);
}

TileCover native::coverRows(int64_t rows, TileHeights heights, int64_t nrVectors, int64_t group) {
  constexpr int64_t kMaxMr = 14, kImpossible = int64_t{1} << 40;
  assert(heights.front() <= kMaxMr);
  TileCover cover{};
  // All tallest tiles but one; what is left may be shared more evenly.
  int64_t rest = rows % heights.front();
  cover[0] = rows / heights.front();
  if (rest == 0)
    return cover;
  if (cover[0] > 0) {
    --cover[0];
    rest += heights.front();
  }
  // The least cost of each number of rows, and the last tile of its cover.
  std::array<int64_t, 2 * kMaxMr> cost{};
  std::array<uint8_t, 2 * kMaxMr> last{};
  for (int64_t n = 1; n <= rest; ++n) {
    cost[n] = kImpossible;
    for (size_t i = 0; i < heights.size(); ++i) {
      if (heights[i] > n)
        continue;
      int64_t with = cost[n - heights[i]] + costOfTile(heights[i], nrVectors, group);
      if (with < cost[n]) {
        cost[n] = with;
        last[n] = static_cast<uint8_t>(i);
      }
    }
  }
  assert(cost[rest] < kImpossible && "the heights do not cover these rows");
  for (; rest > 0; rest -= heights[last[rest]])
    ++cover[last[rest]];
  return cover;
}

int64_t native::costOfRows(int64_t rows, const TileShape &shape, int64_t group) {
  TileCover cover = coverRows(rows, shape.heights, shape.vectors, group);
  int64_t cost = 0;
  for (size_t i = 0; i < shape.heights.size(); ++i)
    cost += cover[i] * costOfTile(shape.heights[i], shape.vectors, group);
  return cost;
}

TileShape native::evenTiles(const TileShape &shape, int64_t rows, int64_t group) {
  // Of a line's time; less is not worth a kernel of its own.
  constexpr double kWorthwhile = 0.95;
  int64_t tallest = shape.heights.front(), tiles = ceilDiv(rows, tallest);
  int64_t pair = ceilDiv(ceilDiv(rows, tiles), 2);
  TileHeights heights = kEvenPairs[pair - 1];
  // coverRows takes all but one of the tallest: at most two can be lower.
  int64_t lower = tiles * heights.front() - rows;
  if (heights.front() > tallest || lower > std::min<int64_t>(tiles, 2))
    return shape;
  TileShape even{shape.vectors, heights};
  bool pays =
      double(costOfRows(rows, even, group)) < kWorthwhile * double(costOfRows(rows, shape, group));
  return pays ? even : shape;
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

int64_t native::chooseLineParts(int64_t lines, const LineWork &work) {
  bool isSmall = work.bytesOfA <= work.bytesOfB || lines < 2 * work.threads;
  return isSmall || work.batches % work.threads == 0 ? 1 : work.threads;
}

int64_t native::chooseImages(int64_t batch, CheckedSize bytes) {
  constexpr int64_t kScratchBytes = int64_t{1} << 20, kMaxParts = 1024;
  int64_t fitting = bytes.valid() ? kScratchBytes / std::max<int64_t>(bytes.value(), 1) : 1;
  return std::clamp<int64_t>(std::max(fitting, ceilDiv(batch, kMaxParts)), 1, batch);
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
