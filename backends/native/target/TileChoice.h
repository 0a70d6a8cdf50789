//===- TileChoice.h - register tiles and task sizes, as data --------------===//
//
// A register tile is MR x NR sums, in the words of the literature on matrix products: MR rows of
// A, NR columns of B. NR is a number of whole vectors. A kernel has tiles of one NR, which its
// packed weights follow, and of several MR, its heights, for rows that the tallest do not cover.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/target/Target.h"
#include "quern/CheckedSize.h"

#include <array>
#include <cstdint>
#include <span>

namespace quern::native {

/// Each MR of a kernel's register tiles, tallest first; a table of TileChoice.
using TileHeights = std::span<const int64_t>;
constexpr size_t kMaxTileHeights = 6;
/// How many tiles of each MR; zeros follow.
using TileCover = std::array<int64_t, kMaxTileHeights>;

/// The register tiles of a kernel.
struct TileShape {
  /// NR, in vectors: the accumulators of a row.
  int64_t vectors;
  /// Each MR.
  TileHeights heights;
};

/// The tiles of a convolution whose output lines have `lineRows` pixels and whose
/// output channels fill `channelVectors` vectors, of which NR is a divisor. Few
/// shapes serve all images, as weights are packed and code is emitted for each.
TileShape chooseConvTile(const Target &target, int64_t lineRows, int64_t channelVectors);

/// As `lineRows`: tiles that cover lines of any length.
constexpr int64_t kAnyLineRows = 13;

/// The tiles of a convolution whose channel blocks are `nrVectors` vectors, which NR is.
TileShape chooseBlockTile(const Target &target, int64_t nrVectors);

/// `shape` with the heights for lines of `rows` rows: two that follow each other and share the line
/// evenly, where short tiles for what its own heights leave over would cost clearly more.
TileShape evenTiles(const TileShape &shape, int64_t rows, int64_t group = 1);

/// The tiles of a matrix product with row-major A and any number of rows: few at a
/// time, so that rows a multiple of 4096 bytes apart do not evict each other from
/// L1. `columns` is 0 when it is not fixed; `oneRow` says that there will never be
/// more. NR does not depend on rows, so that weights are packed in one way.
TileShape chooseGemmTile(const Target &target, DType dtype, int64_t columns, bool oneRow = false);

/// Each MR of tiles whose NR is `nrVectors` vectors, in which gates are summed up for rows of a
/// batch; the last is 1.
TileHeights chooseCellHeights(const Target &target, int64_t nrVectors);

/// The tiles that cover `rows` rows exactly in the least time. `group` products are added by each
/// instruction.
TileCover coverRows(int64_t rows, TileHeights heights, int64_t nrVectors, int64_t group = 1);

/// What those tiles take for one step of k, in units of which only the ratio counts.
int64_t costOfRows(int64_t rows, const TileShape &shape, int64_t group = 1);

/// How many parts to split `lines` of equal work into, so that `otherTasks`
/// times the parts keep `threads` busy without making tasks tiny.
int64_t chooseLineChunks(int64_t lines, int64_t otherTasks, double totalFlops, int64_t threads);

/// What is split among threads: an op over lines of images, or a product over rows.
struct LineWork {
  int64_t batches = 1;
  double flops = 0;
  /// What all lines and what all columns read of their operand. None where no other op is computed
  /// by lines of the same image.
  double bytesOfA = 0, bytesOfB = 0;
  int64_t threads = 1;
};

/// How many parts `lines` are cut into before all other tasks: one for each thread where A is more
/// than B, for then a thread reads lines that it wrote itself in the op before, and asks no other
/// CPU's cache for them. 1 where whole batches can be kept apart.
int64_t chooseLineParts(int64_t lines, const LineWork &work);

/// How many images of a batch go through one step after the other together, when each needs
/// `bytes` of scratch memory between them: enough for a step, few enough for the caches. The
/// number of steps is bounded, however many images there are.
int64_t chooseImages(int64_t batch, CheckedSize bytes);

/// Tasks that are worth handing to another thread.
int64_t chooseGrain(int64_t tasks, double totalFlops);
/// The same of tasks that take as long as moving `bytesPerTask` bytes.
int64_t chooseMoveGrain(int64_t bytesPerTask);

} // namespace quern::native
