//===- TileChoice.h - register tiles and task sizes, as data --------------===//
#pragma once

#include "backends/native/codegen/Target.h"

#include <cstdint>

namespace quern::native {

/// A register tile: `rows` x `vectors` accumulators.
struct TileShape {
  int64_t rows;
  int64_t vectors;
};

/// The tile of a convolution whose output lines have `lineRows` pixels and whose
/// output channels fill `channelVectors` vectors. Rows are balanced over the
/// line, so that the tail tile is nearly full; vectors divide channelVectors.
TileShape chooseConvTile(const Target &target, int64_t lineRows, int64_t channelVectors);

/// The tile of a matrix product with row-major A: few rows, so that rows a
/// multiple of 4096 bytes apart do not evict each other from L1.
TileShape chooseGemmTile(const Target &target, DType dtype, int64_t rows, int64_t columns);

/// How many parts to split `lines` of equal work into, so that `otherTasks`
/// times the parts keep `threads` busy without making tasks tiny.
int64_t chooseLineChunks(int64_t lines, int64_t otherTasks, double totalFlops, int64_t threads);

/// Tasks that are worth handing to another thread.
int64_t chooseGrain(int64_t tasks, double totalFlops);
/// The same of tasks that take as long as moving `bytesPerTask` bytes.
int64_t chooseMoveGrain(int64_t bytesPerTask);

} // namespace quern::native
