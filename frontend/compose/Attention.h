//===- Attention.h - what attention ops are composed of -------------------===//
//
// Queries, keys and values are [batch, heads, length, size], all of one type, float32 or
// float64. Keys and values may have fewer heads than queries: each of theirs then serves
// as many consecutive ones of the queries, and is never repeated in memory.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "frontend/compose/Composition.h"

#include <optional>

namespace quern::frontend {

/// [batch, length, heads * size] as [batch, heads, length, size].
mlir::Value splitHeads(GraphBuilder &graph, mlir::Value packed, int64_t heads);
/// [batch, heads, length, size] as [batch, length, heads * size].
mlir::Value joinHeads(GraphBuilder &graph, mlir::Value tensor);

/// An error when it is certain that the heads of queries are no multiple of those of keys.
void requireGroupedHeads(GraphBuilder &graph, mlir::Value queries, mlir::Value keys);

/// `given`, or 1 / sqrt(size of a head), in the type of the queries.
mlir::Value attentionScale(GraphBuilder &graph, mlir::Value queries, std::optional<double> given);
/// The products of queries and keys, times `scale`: [batch, heads, queries, keys].
mlir::Value createScores(GraphBuilder &graph, mlir::Value queries, mlir::Value keys,
                         mlir::Value scale);
/// cap * tanh(scores / cap); as they are when the cap is 0.
mlir::Value capScores(GraphBuilder &graph, mlir::Value scores, double cap);
/// The softmax over keys, in `dtype` where that is given, and then as `scores` were.
mlir::Value createProbabilities(GraphBuilder &graph, mlir::Value scores,
                                std::optional<DType> dtype);
/// The sums of values, weighed by probabilities: [batch, heads, queries, size].
mlir::Value sumValues(GraphBuilder &graph, mlir::Value probabilities, mlir::Value values);

/// Which keys a query sees: those for which all of this holds.
struct KeyMask {
  /// The place of each query among the keys, [queries, 1] or with dimensions before.
  mlir::Value places;
  /// That of each key: 0, 1, ...
  mlir::Value keys;
  /// A bool that broadcasts to the scores; null: all see all.
  mlir::Value allowed = {};

  void require(GraphBuilder &graph, mlir::Value condition);
  /// No key after the query.
  void requireCausal(GraphBuilder &graph);
  /// At most so many keys before and after the query's own; negative: any number.
  void requireWindow(GraphBuilder &graph, int64_t left, int64_t right);
  /// Only the first `counts` keys, int64, broadcast to the scores.
  void requireFirst(GraphBuilder &graph, mlir::Value counts);
};
/// The mask where query i stands at key i + offset (null: 0), of int64.
KeyMask keyMask(GraphBuilder &graph, mlir::Value queries, mlir::Value keys, mlir::Value offset);
/// What is added to scores of `dtype`: `added` (null: 0), and -infinity where a key is
/// not allowed. Null when nothing is.
mlir::Value createBias(GraphBuilder &graph, const KeyMask &mask, mlir::Value added, DType dtype);

/// Rotary position embeddings.
struct Rotary {
  /// [batch, length, rotated size / 2], of the type of what is rotated.
  mlir::Value cos, sin;
  /// Whether pairs are neighbours, instead of an element of each half.
  bool interleaved = false;
  /// How many elements of a head are rotated; 0: all.
  int64_t size = 0;
};
/// `x`, [batch, heads, length, size] or [batch, length, heads, size], rotated.
mlir::Value rotate(GraphBuilder &graph, mlir::Value x, const Rotary &rotary, bool headsLast);

} // namespace quern::frontend
