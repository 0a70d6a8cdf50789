//===- AttentionKernel.h - attention in blocks of keys --------------------===//
//
// A task is some queries of one head. For a block of keys at a time it computes the
// scores of all its rows, turns them into weights relative to the largest score so far,
// and adds the weighed values to sums that are rescaled when that largest score grows.
// No more than rows x block scores exist at a time, and a row has the same bits among any
// others: blocks begin at the same keys for all.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/target/TileChoice.h"
#include "backends/plan/LoweredStep.h"
#include "quern/DType.h"
#include "runtime/reference/AttentionShape.h"

#include <optional>
#include <string>
#include <vector>

namespace quern::native {

/// What shapes the code. Buffers: query, key, value, result, then those that there are of:
/// mask, scale, offset (int64), condition (bool).
struct AttentionSpec {
  /// Keys of a block.
  static constexpr int64_t kBlock = 128;
  /// How a row of the mask or of the condition is read.
  enum class Mask { None, Row, Scalar };

  DType dtype = DType::Float32;
  int64_t lanes = 16;
  /// Of a tile of scores, and of a tile of sums of values.
  int64_t scoreVectors = 4, valueVectors = 4;
  TileHeights scoreHeights, valueHeights;
  double scale = 1, softcap = 0;
  Mask mask = Mask::None, condition = Mask::None;
  /// What scores become where the condition is false.
  double hiddenScore = 0;
  /// What scores are rounded to, step by step; and their sums with the mask.
  std::optional<DType> scoreType;
  bool roundSums = false;
  bool hasScale = false, causal = false, hasOffset = false, zeroMaskedRows = false;
  /// The elements of a key lie together; else equal elements of neighbouring keys do.
  bool rowsOfKeys = true;
  /// The elements of a query may not lie together.
  bool stridedQuery = false;
  /// The sizes may be no multiples of the lanes.
  bool maskSize = true, maskValueSize = true;

  std::string key() const;
};

/// Run-time sizes.
struct AttentionSizes {
  /// Queries of a task, and tasks of a head.
  int64_t rows = 0, chunks = 0;

  std::vector<int64_t> flatten(const AttentionShape &shape) const;
  /// What a worker needs, in elements.
  static CheckedSize scratch(const AttentionSpec &spec, const AttentionShape &shape, int64_t rows);
};

KernelSpec makeAttentionKernel(const AttentionSpec &spec);

} // namespace quern::native
