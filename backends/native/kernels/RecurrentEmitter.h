//===- RecurrentEmitter.h - the code of RNN, GRU and LSTM -----------------===//
//
// Used by the sources of the recurrent kernel only.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/DotMicroKernel.h"
#include "backends/native/kernels/RecurrentCell.h"
#include "backends/native/kernels/RecurrentTask.h"
#include "backends/native/kernels/TileUnit.h"

#include <functional>

namespace quern::native::recurrent {

class RecurrentEmitter {
public:
  RecurrentEmitter(KernelBuilder &kb, const RecurrentSpec &spec)
      : kb(kb), spec(spec), cell(kb, spec), gates(gatesOf(spec.cell)), group(spec.types().group()),
        isNarrow(spec.factors != spec.dtype), optional(spec),
        hidden(kb.dim(&RecurrentDims::hidden)),
        depth(kb.mul(kb.div(kb.add(hidden, group - 1), kb.index(group)), group)),
        blocks(kb.div(kb.add(hidden, spec.lanes - 1), kb.index(spec.lanes))),
        stateStride(kb.mul(blocks, spec.lanes)), unit(kb, factorTypes) {}

  void emit() {
    if (spec.tiled)
      configureTiles();
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
    if (spec.tiled)
      unit.release();
  }

private:
  using Values = KernelBuilder::Values;
  enum Buffer { kInput, kRecurrence, kY, kFinalH };
  /// What the sum of a gate starts from.
  using GateStart = llvm::function_ref<Value(int64_t row, int64_t gate, int64_t block)>;

  // Loops.
  void emitTask(Value number);
  Task startTask(Value number);
  void emitStep(const TimeStep &step);
  void forEachTile(const TimeStep &step, const GateProduct &product,
                   const std::function<void(const Tile &)> &body);
  void forEachState(const Task &task,
                    const std::function<void(Value state, Value place, Value active)> &body);
  void checkLengths(const Task &task);

  // States of a task, in and out.
  Value stateArray(const Task &task, int64_t number) {
    return kb.advance(kb.scratch(), kb.mul(task.arraySize, number), spec.dtype);
  }
  /// Sets the states at `to` to what buffer `from` has, or to 0 where there is none.
  void loadStates(const Task &task, Value to, int64_t from);
  void storeStates(const Task &task, Value from, int64_t to);
  /// Rounds the states at `from` to factors at `to`.
  void roundStates(const Task &task, Value from, Value to);

  // Tiles.
  void emitRnnTile(const Tile &tile);
  void emitLstmTile(const Tile &tile);
  void emitLinearGruTile(const Tile &tile);
  void emitResetTile(const Tile &tile);
  void emitCandidateTile(const Tile &tile);
  llvm::SmallVector<Row> rowsOf(const Tile &tile);
  /// Sums of `count` gates from `first` on, [row][gate][block]: what `start` says, and the
  /// products with `from`.
  Values sumGates(const Tile &tile, int64_t first, int64_t count, Value from, GateStart start);
  /// The products for 16 hidden units and all rows, into gateSums, by a TileUnit.
  void configureTiles();
  void multiplyTiles(const Task &task, const GateProduct &product, Value block);
  void multiplyGates(const Task &task, const GateProduct &gates, Value block, Value row,
                     int64_t halves);
  /// [row][gate][lane], behind the states.
  Value gateSums(const Task &task, Value row, int64_t gate) {
    Value place = kb.add(kb.mul(row, gates * spec.lanes), gate * spec.lanes);
    return kb.advance(stateArray(task, spec.stateArrays()), place, spec.dtype);
  }
  void finish(const Tile &tile, const Row &row, int64_t block, Value h);

  // Memory.
  Value activeAt(Value column);
  Value columnOf(const Tile &tile, int64_t block);
  Value inputOf(const Row &row, const Tile &tile, int64_t gate, int64_t block);
  /// `array` is a worker's, at the state of a row.
  Value loadState(Value array, const Row &row, const Tile &tile, int64_t block);
  void storeState(Value value, Value array, const Row &row, const Tile &tile, int64_t block);
  /// As a factor, rounded if these are.
  void storeFactor(Value value, Value array, const Row &row, const Tile &tile, int64_t block);
  Value rounded(Value value);
  Value placeOf(Value array, const Row &row, const Tile &tile, int64_t block, DType type);
  Value bias(const Tile &tile, int64_t block);
  LstmPeepholes peepholes(const Tile &tile, int64_t block);
  /// Vector `number` of the `perDirection` that `buffer` has for each direction.
  Value parameter(int64_t buffer, int64_t perDirection, int64_t number, const Tile &tile,
                  int64_t block);
  Value load(Value base, Value column);
  Value select(Value condition, Value a, Value b);
  Value lengthOf(Value sequence);

  KernelBuilder &kb;
  const RecurrentSpec &spec;
  RecurrentCell cell;
  const int64_t gates, group;
  const bool isNarrow;
  const OptionalBuffers optional;
  /// `depth`: the hidden size in whole groups.
  const Value hidden, depth, blocks, stateStride;
  const DotTypes factorTypes = spec.types();
  TileUnit unit;
};
} // namespace quern::native::recurrent
