//===- AttentionEmitter.h - the code of attention -------------------------===//
//
// Used by the sources of the attention kernel only.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/AttentionKernel.h"
#include "backends/native/kernels/DotMicroKernel.h"
#include "ir/ScalarEmitter.h"

#include <functional>
#include <limits>

namespace quern::native::attention {

using mlir::Value;
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

enum Dim { kHeads, kQueries, kKeys, kSize, kValueSize, kRows, kChunks, kKeyGroup, kValueGroup };
/// Whose strides follow, four each.
enum Operand { kOfQuery, kOfKey, kOfValue, kOfResult, kOfMask, kOfCondition };
enum Axis { kBatch, kHead, kRow, kElement };

class AttentionEmitter {
public:
  AttentionEmitter(KernelBuilder &kb, const AttentionSpec &spec)
      : kb(kb), spec(spec), dtype(spec.dtype), lanes(spec.lanes),
        sizePadded(alignUp(kb.dim(kSize), lanes)),
        valuePadded(alignUp(kb.dim(kValueSize), spec.valueVectors * lanes)) {
    int64_t next = kFirstOptional;
    auto take = [&](bool exists) { return exists ? next++ : int64_t{kAbsent}; };
    mask = take(spec.mask != AttentionSpec::Mask::None);
    scale = take(spec.hasScale);
    offset = take(spec.hasOffset);
    condition = take(spec.condition != AttentionSpec::Mask::None);
  }

  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Values = KernelBuilder::Values;
  enum Buffer { kQuery, kKey, kValue, kResult, kFirstOptional, kAbsent = -1 };
  /// Rows that pay copying values to where they lie together.
  static constexpr int64_t kRowsThatPayCopies = 12;

  // The task.
  void emitTask(Value task);
  void placeScratch();
  void startRows();
  void emitBlock(Value begin);
  void finishRow(Value row);

  // Keys and values of a block, where tiles read them.
  // Keys are [tile][element][key of the tile]; what lies past the end may be anything.
  void packRowsOfKeys();
  void packColumnsOfKeys();
  void copyValues();

  // A block.
  void emitScores();
  void weighRow(Value row);
  Value scoreAt(Value row, Value at, Value active, Value &maskMax);
  Value productAt(Value row, Value at);
  Value readMask(AttentionSpec::Mask kind, Operand of, DType type, Value base, Value row, Value at,
                 Value active);
  void addValues();
  void forEachTile(TileHeights heights, const std::function<void(int64_t, Value)> &body);
  DotTile tileOf(int64_t vectors) const;

  // Memory.
  Value stride(int64_t of, Axis axis) { return kb.dim(kValueGroup + 1 + 4 * of + axis); }
  Value advance(Value base, Value elements) { return kb.advance(base, elements, dtype); }
  Value load(Value pointer, Value active = {}) { return kb.load(pointer, dtype, lanes, active); }
  Value alignUp(Value size, int64_t to) {
    return kb.mul(kb.div(kb.add(size, to - 1), kb.index(to)), to);
  }
  Value stateOf(Value array, Value row) { return kb.load(advance(array, row), dtype, 0); }
  void setState(Value value, Value array, Value row) {
    kb.store(value, advance(array, row), dtype, 0);
  }
  Value active(Value size, Value at) {
    return kb.maxSigned(kb.index(0), kb.minSigned(kb.sub(size, at), kb.index(lanes)));
  }

  // Arithmetic.
  nn::ScalarEmitter vectors() { return {kb.builder(), kb.loc(), dtype, lanes}; }
  nn::ScalarEmitter scalars() { return {kb.builder(), kb.loc(), dtype, 0}; }
  /// `value` in the first lanes, `otherwise` in those that are not active.
  Value keep(Value value, Value otherwise, Value active);
  /// `value` rounded to the type of scores, where that is another.
  Value rounded(Value value) {
    if (!spec.scoreType)
      return value;
    Value narrow = vectors().castTo(value, *spec.scoreType);
    return nn::ScalarEmitter(kb.builder(), kb.loc(), *spec.scoreType, lanes).castTo(narrow, dtype);
  }
  Value isMinusInfinity(Value scalar) {
    nn::ScalarEmitter e = scalars();
    return e.equal(scalar, e.constant(-kInfinity));
  }

  KernelBuilder &kb;
  const AttentionSpec &spec;
  DType dtype;
  int64_t lanes;
  int64_t mask, scale, offset, condition;
  Value sizePadded, valuePadded;
  // Of the task.
  Value batch, head, firstQuery, rowCount, queryBase, keyBase, valueBase, maskBase, conditionBase,
      resultBase;
  Value factor, offsetValue, copiesValues;
  // Of the worker.
  Value packedKeys, packedValues, scores, sums, largest, totals, factors, maskLargest;
  // Of the block.
  Value blockBegin, keyCount, valueRows, valueStride;
};

} // namespace quern::native::attention
