//===- AttentionEmitter.h - the code of attention -------------------------===//
//
// Used by the sources of the attention kernel only.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/AttentionTask.h"
#include "backends/native/kernels/DotMicroKernel.h"
#include "backends/native/kernels/RowReduction.h"
#include "backends/native/kernels/TileUnit.h"
#include "ir/ScalarEmitter.h"

#include <functional>
#include <limits>

namespace quern::native::attention {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

class AttentionEmitter {
public:
  AttentionEmitter(KernelBuilder &kb, const AttentionSpec &spec)
      : kb(kb), spec(spec), dtype(spec.dtype), lanes(spec.lanes), group(spec.types().group()),
        optional(spec), sizePadded(alignUp(kb.dim(&AttentionDims::size), lanes * group)),
        valuePadded(alignUp(kb.dim(&AttentionDims::valueSize), spec.valueVectors * lanes)),
        unit(kb, factorTypes) {}

  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
    if (spec.tiled)
      unit.release();
  }

private:
  using Values = KernelBuilder::Values;
  enum Buffer { kQuery, kKey, kValue, kResult, kFirstOptional, kAbsent = -1 };
  /// Rows that pay copying values to where they lie together.
  static constexpr int64_t kRowsThatPayCopies = 12;

  /// The buffers of operands that not every kernel has.
  struct OptionalBuffers {
    explicit OptionalBuffers(const AttentionSpec &spec);
    int64_t mask, scale, offset, condition;
  };
  /// The mask, or the condition: its elements, and where those of the task's first row are.
  struct MaskOperand {
    OperandAccess access;
    OperandStrides strides;
    DType dtype;
    Value base;
  };
  /// Where a block's values are read, and how far apart those of neighbouring keys are.
  struct ValueRows {
    Value first, stride;
  };

  // The task.
  void emitTask(Value number);
  Task startTask(Value number);
  Scratch placeScratch();
  void placeOperands(Task &task, Value zero);
  void limitKeys(Task &task);
  void startRows(const Task &task);
  void emitBlock(const Block &block);
  void sumWeights(const Task &task, Value row);
  void finishRow(const Task &task, Value row);

  // Keys and values of a block, where tiles read them.
  void packRowsOfKeys(const Block &block);
  void packColumnsOfKeys(const Block &block);
  /// The group of each of `lanes` columns: elements at `pointer` and, in groups of two, those at
  /// `second`.
  Value groupAt(Value pointer, Value active, Value second, Value activeSecond);
  void copyRowOfValues(Value from, Value to, const Block &block, Value key);
  ValueRows copyValues(const Block &block);
  void clearValuesPast(Value keyCount, Value values);

  // A block.
  void emitScores(const Block &block);
  void emitScoreTiles(const Task &task, int64_t vectors, TileHeights heights,
                      const ScoreColumns &range);
  void bendRow(const Block &block, Value row);
  void rescaleRows(const Task &task, Value row);
  void weighRow(const Block &block, Value row);
  Value scoreAt(const Block &block, const ScorePlace &place, Value &maskMax);
  Value productAt(const Task &task, const ScorePlace &place);
  Value readMask(const Block &block, const MaskOperand &operand, const ScorePlace &place);
  void addValues(const Block &block, const ValueRows &rows);
  void forEachTile(const Task &task, TileHeights heights,
                   const std::function<void(int64_t height, Value firstRow)> &body);
  DotTile tileOf(int64_t vectors) const;
  /// Turns the scores of the rows [from, to) into weights.
  void weighRows(const Block &block, Value from, Value to);
  /// Where the scores of a row end: what lies past the last key has no weight.
  Value endOfScores(const Block &block) {
    return alignUp(block.keyCount, spec.tiled ? AttentionSpec::kTileKeys : lanes);
  }

  // Tiles of matrices.
  void configureTiles(const Task &task);
  void multiplyPair(const PairOfTiles &a, const PairOfTiles &b);
  void scoreTiles(const Block &block, Value row);
  void addTilesOfValues(const Block &block, Value row);
  void emitSlabs(const Block &block);
  /// exp(score - base), of which the bits of bfloat16 count; 0 of minus infinity, NaN of NaN.
  Value weightOfBf16(Value score, Value base);
  /// A vector of weights in the type of factors.
  Value narrowed(Value weights);

  // Memory.
  Value stride(OperandStrides of, Axis axis) { return kb.dim(dimIndex(of) + axis); }
  Value advance(Value base, Value elements) { return kb.advance(base, elements, dtype); }
  Value advanceFactor(Value base, Value elements) {
    return kb.advance(base, elements, spec.factors);
  }
  Value load(Value pointer, Value active = {}) { return kb.load(pointer, dtype, lanes, active); }
  Value alignUp(Value size, int64_t to) {
    return kb.mul(kb.div(kb.add(size, to - 1), kb.index(to)), to);
  }
  /// Of arrays of a vector for each row: that of `row`; and for a vector of rows from `row` on,
  /// what the lanes of each come to.
  Value lanesOf(Value array, Value row) { return advance(array, kb.mul(row, lanes)); }
  Value combineRowsAt(Combine kind, Value vectorsOfRows, Value row);
  Value stateOf(Value array, Value row) { return kb.load(advance(array, row), dtype, 0); }
  /// Of the block, of a row: in kBlock elements.
  Value scoresOf(const Task &task, Value row) {
    return advance(task.memory.scores, kb.mul(row, AttentionSpec::kBlock));
  }
  void setState(Value value, Value array, Value row) {
    kb.store(value, advance(array, row), dtype, 0);
  }
  /// Lanes from `at` on that lie within `size`, of as many as `count`.
  Value active(Value size, Value at, int64_t count);
  Value active(Value size, Value at) { return active(size, at, lanes); }

  // Arithmetic.
  nn::ScalarEmitter vectors() { return {kb.builder(), kb.loc(), dtype, lanes}; }
  nn::ScalarEmitter scalars() { return {kb.builder(), kb.loc(), dtype, 0}; }
  /// `value` in the first lanes, `otherwise` in those that are not active.
  Value keep(Value value, Value otherwise, Value active);
  /// `value` rounded to the type of scores, where that is another.
  Value rounded(Value value);
  Value isMinusInfinity(Value scalar);

  KernelBuilder &kb;
  const AttentionSpec &spec;
  const DType dtype;
  const int64_t lanes, group;
  const OptionalBuffers optional;
  /// The sizes of a key and of a value in whole vectors and tiles.
  const Value sizePadded, valuePadded;
  const DotTypes factorTypes = spec.types();
  TileUnit unit;
};

} // namespace quern::native::attention
