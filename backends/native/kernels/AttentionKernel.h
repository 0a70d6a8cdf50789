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

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/DotEngine.h"
#include "backends/native/kernels/EpilogueLoads.h"
#include "backends/native/target/TileChoice.h"
#include "quern/DType.h"
#include "runtime/reference/AttentionShape.h"

#include <array>
#include <optional>
#include <string>

namespace quern::native {

/// What shapes the code. Buffers: query, key, value, result, then those that there are of:
/// mask, scale, offset (int64), condition (bool).
struct AttentionSpec {
  /// Keys of a block.
  static constexpr int64_t kBlock = 128;
  /// What products by tiles of matrices take at once: rows of a slab, keys, and elements of a key.
  static constexpr int64_t kTileRows = 32, kTileKeys = 32, kTileElements = 32;
  /// Whether keys of `size` elements are whole steps of a TileUnit.
  static bool isWholeTiles(int64_t size) { return size > 0 && size % kTileElements == 0; }

  /// Of query, key and value, and of all else: mask, scores, sums, result.
  DType factors = DType::Float32, dtype = DType::Float32;
  int64_t lanes = 16;
  /// Of a tile of scores, and of a tile of sums of values.
  int64_t scoreVectors = 4, valueVectors = 4;
  TileHeights scoreHeights, valueHeights;
  double scale = 1, softcap = 0;
  /// How the mask and the condition are read, where there are any: Full or PerRow.
  std::optional<OperandAccess> mask, condition;
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
  /// The size of a value may be no multiple of a tile's columns, that of a key of a vector of it.
  bool maskSize = true, maskValueSize = true;
  /// The size of a key may be no multiple of a group (DotTypes::group).
  bool partialGroup = false;
  /// A TileUnit multiplies. Keys are of whole steps of it.
  bool tiled = false;

  static constexpr std::string_view kFamily = "attention";
  QUERN_FIELDS(factors, dtype, lanes, scoreVectors, valueVectors, scoreHeights, valueHeights, scale,
               softcap, mask, condition, hiddenScore, scoreType, roundSums, hasScale, causal,
               hasOffset, zeroMaskedRows, rowsOfKeys, stridedQuery, maskSize, maskValueSize,
               partialGroup, tiled)
  DotTypes types() const { return {factors, factors, dtype, dtype}; }
  std::string name() const { return (tiled ? "tiles_" : "") + types().label() + "attention"; }
  void emit(KernelBuilder &kb) const;
};

/// Run-time sizes and strides.
struct AttentionDims {
  /// Of batch, head, row and element.
  using Strides = std::array<int64_t, 4>;

  int64_t heads = 0, queries = 0, keys = 0, size = 0, valueSize = 0;
  /// Queries of a task, and tasks of a head.
  int64_t rows = 0, chunks = 0;
  /// Heads of the result that share keys, and that share values.
  int64_t keyGroup = 1, valueGroup = 1;
  Strides query{}, key{}, value{}, result{}, mask{}, condition{};

  /// All but rows and chunks.
  static AttentionDims of(const AttentionShape &shape);
  /// The bytes that a worker needs.
  CheckedSize scratch(const AttentionSpec &spec) const;
};

} // namespace quern::native
