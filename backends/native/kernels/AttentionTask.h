//===- AttentionTask.h - what tasks of attention work on ------------------===//
//
// Made by AttentionEmitter, which passes it from function to function.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/AttentionKernel.h"

#include "mlir/IR/Value.h"

namespace quern::native::attention {

using mlir::Value;

/// Positions in AttentionDims::Strides.
enum Axis { kBatch, kHead, kRow, kElement };
/// The strides of an operand.
using OperandStrides = AttentionDims::Strides AttentionDims::*;

/// The worker's own memory.
struct Scratch {
  /// A block's keys as [tile][element / group][key of the tile][group], where what lies past the
  /// last key may be anything, and its values as [key / group][element in whole tiles][group].
  Value keys, values;
  /// [row][key of the block] and [row][element in whole tiles]. Narrow weights lie at the
  /// beginning of their row of scores.
  Value scores, sums;
  /// [row][two vectors]: what a slab of rows adds to their sums, where tiles multiply.
  Value tileSums;
  /// A number for each row, in whole vectors of rows: the largest score so far; what weights are
  /// relative to; how much less earlier blocks count now; the largest of the mask.
  Value largest, bases, factors, maskLargest;
  /// A vector for each of these rows, of which each lane is of some keys: the largest scores of the
  /// block, and the sums of weights so far.
  Value maxima, totals;
};

/// A task: some queries of one head.
struct Task {
  Scratch memory;
  Value batch, head, firstQuery, rowCount;
  /// Where its first query, that one's row of the result, of the mask and of the condition are,
  /// and where the keys and values of its head begin.
  Value query, result, mask, condition, key, value;
  /// What scores are multiplied by.
  Value factor;
  /// Keys that any of its queries sees; query i of a causal head sees none after i + offset.
  Value seenKeys, causalOffset;
  /// It has as many rows as pay copying values to where they lie together. Groups always do.
  Value copiesValues;
};

/// A block of keys.
struct Block {
  const Task &task;
  Value begin, keyCount;
};

/// Two tiles of a factor, and the bytes that their rows are apart.
struct PairOfTiles {
  Value first, second, stride;
};

/// Keys [from, to) of a block that are multiplied in tiles of one width: where the first of them
/// lies packed, and how far apart, in elements, neighbouring keys are on the whole.
struct ScoreColumns {
  Value from, to, keys, strideOfKeys;
};

/// A vector of scores: those of `row` from key `at` of the block on, of which `active` exist
/// (null: all).
struct ScorePlace {
  Value row, at, active;
};

} // namespace quern::native::attention
