//===- RecurrentKernel.cpp - all time steps of an RNN, GRU or LSTM --------===//
#include "backends/native/kernels/RecurrentEmitter.h"

#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::native::recurrent;

//===----------------------------------------------------------------------===//
// Scratch memory
//===----------------------------------------------------------------------===//

int64_t RecurrentSpec::stateArrays() const {
  const int64_t kBeforeAndAfter = factors == dtype ? 2 : 3;
  if (cell == CellKind::Lstm)
    return kBeforeAndAfter + 1; // c
  if (cell == CellKind::Gru && !linearBeforeReset)
    return kBeforeAndAfter + 2; // z, and r * h
  return kBeforeAndAfter;
}

int64_t RecurrentSpec::scratchBytes(int64_t rows, int64_t columns) const {
  int64_t bytes = stateArrays() * rows * columns * dtypeBytes(dtype);
  if (!tiled)
    return bytes;
  // Sums of all gates for 16 units; and tiles read rows past the last one, which may be anything.
  int64_t sums = ceilDiv(rows, kTileRows) * kTileRows * gatesOf(cell) * lanes;
  return bytes + sums * dtypeBytes(dtype) + kTileRows * columns * dtypeBytes(factors);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

OptionalBuffers::OptionalBuffers(const RecurrentSpec &spec) {
  int64_t next = kFirst;
  auto take = [&](bool exists) { return exists ? next++ : int64_t{kAbsent}; };
  finalC = take(spec.cell == CellKind::Lstm);
  bias = take(spec.hasBias);
  lengths = take(spec.hasLengths);
  initialH = take(spec.hasInitialH);
  initialC = take(spec.hasInitialC);
  peepholes = take(spec.hasPeepholes);
}

/// The steps of a sequence; those out of range have been refused and do no harm.
Value RecurrentEmitter::lengthOf(Value sequence) {
  Value length =
      kb.load(kb.advance(kb.buffer(optional.lengths), sequence, DType::Int32), DType::Int32, 0);
  return kb.builder().create<arith::ExtSIOp>(kb.loc(), kb.builder().getI64Type(), length);
}

void RecurrentEmitter::checkLengths(const Task &task) {
  kb.forLoop(kb.index(0), task.rowCount, 1, [&](Value row) {
    Value length = lengthOf(kb.add(task.firstSequence, row));
    kb.trapIf(kb.lessThan(length, kb.index(0)), TrapCode::IndexOutOfRange);
    kb.trapIf(kb.lessThan(kb.dim(&RecurrentDims::steps), length), TrapCode::IndexOutOfRange);
  });
}

/// Calls `body` with each vector of the task's states: its offset in a worker's array and in
/// a tensor [directions, batch, hidden].
void RecurrentEmitter::forEachState(
    const Task &task, const std::function<void(Value state, Value place, Value active)> &body) {
  kb.forLoop(kb.index(0), task.rowCount, 1, [&](Value row) {
    Value sequence = kb.add(kb.mul(task.direction, kb.dim(&RecurrentDims::batch)),
                            kb.add(task.firstSequence, row));
    kb.forLoop(kb.index(0), blocks, 1, [&](Value block) {
      Value column = kb.mul(block, spec.lanes);
      body(kb.add(kb.mul(row, stateStride), column), kb.add(kb.mul(sequence, hidden), column),
           activeAt(column));
    });
  });
}

void RecurrentEmitter::loadStates(const Task &task, Value to, int64_t from) {
  forEachState(task, [&](Value state, Value place, Value active) {
    Value value = from == OptionalBuffers::kAbsent
                      ? cell.constant(0)
                      : kb.load(kb.advance(kb.buffer(from), place, spec.dtype), spec.dtype,
                                spec.lanes, active);
    kb.store(value, kb.advance(to, state, spec.dtype), spec.dtype, spec.lanes);
  });
}

void RecurrentEmitter::storeStates(const Task &task, Value from, int64_t to) {
  forEachState(task, [&](Value state, Value place, Value active) {
    Value value = kb.load(kb.advance(from, state, spec.dtype), spec.dtype, spec.lanes);
    kb.store(value, kb.advance(kb.buffer(to), place, spec.dtype), spec.dtype, spec.lanes, active);
  });
}

void RecurrentEmitter::roundStates(const Task &task, Value from, Value to) {
  forEachState(task, [&](Value state, Value, Value) {
    Value value = kb.load(kb.advance(from, state, spec.dtype), spec.dtype, spec.lanes);
    kb.store(rounded(value), kb.advance(to, state, spec.factors), spec.factors, spec.lanes);
  });
}

Task RecurrentEmitter::startTask(Value number) {
  Task task;
  task.direction = kb.add(kb.dim(&RecurrentDims::firstDirection),
                          kb.div(number, kb.dim(&RecurrentDims::chunks)));
  task.isReverse = kb.lessThan(kb.add(kb.dim(&RecurrentDims::firstReverse), -1), task.direction);
  task.firstSequence =
      kb.mul(kb.rem(number, kb.dim(&RecurrentDims::chunks)), kb.dim(&RecurrentDims::rows));
  task.rowCount = kb.minSigned(kb.dim(&RecurrentDims::rows),
                               kb.sub(kb.dim(&RecurrentDims::batch), task.firstSequence));
  task.arraySize = kb.mul(kb.dim(&RecurrentDims::rows), stateStride);
  Value gateSize = kb.mul(stateStride, depth);
  task.weights = kb.advance(kb.buffer(kRecurrence), kb.mul(kb.mul(task.direction, gates), gateSize),
                            spec.factors);
  task.c = task.z = stateArray(task, 2);
  task.reset = stateArray(task, 3);
  return task;
}

void RecurrentEmitter::emitTask(Value number) {
  Task task = startTask(number);
  if (spec.hasLengths)
    checkLengths(task);
  loadStates(task, stateArray(task, 0), optional.initialH);
  if (spec.cell == CellKind::Lstm)
    loadStates(task, task.c, optional.initialC);
  Values arrays = {stateArray(task, 0), stateArray(task, 1)};
  if (isNarrow) { // both in the last array
    Value first = stateArray(task, spec.stateArrays() - 1);
    arrays.append({first, kb.advance(first, task.arraySize, spec.factors)});
    roundStates(task, arrays[0], first);
  }
  Values last = kb.forLoop(kb.index(0), kb.dim(&RecurrentDims::steps), 1, arrays,
                           [&](Value step, ValueRange now) -> Values {
                             ValueRange factors = isNarrow ? now.drop_front(2) : now;
                             emitStep({task, step, now[0], now[1], factors[0], factors[1]});
                             Values next = {now[1], now[0]};
                             if (isNarrow)
                               next.append({factors[1], factors[0]});
                             return next;
                           });
  storeStates(task, last[0], kFinalH);
  if (spec.cell == CellKind::Lstm)
    storeStates(task, task.c, optional.finalC);
}

void RecurrentEmitter::emitStep(const TimeStep &step) {
  if (spec.cell == CellKind::Rnn)
    return forEachTile(step, {0, 1, step.factorBefore},
                       [&](const Tile &tile) { emitRnnTile(tile); });
  if (spec.cell == CellKind::Lstm)
    return forEachTile(step, {0, 4, step.factorBefore},
                       [&](const Tile &tile) { emitLstmTile(tile); });
  if (spec.linearBeforeReset)
    return forEachTile(step, {0, 3, step.factorBefore},
                       [&](const Tile &tile) { emitLinearGruTile(tile); });
  // The reset of all hidden units comes before the candidate of any.
  forEachTile(step, {0, 2, step.factorBefore}, [&](const Tile &tile) { emitResetTile(tile); });
  forEachTile(step, {2, 1, step.task.reset}, [&](const Tile &tile) { emitCandidateTile(tile); });
}

/// Calls `body` with tiles that cover the task's sequences and all hidden units, of which
/// several blocks at a time where one alone would be too few accumulators. Sequences come
/// inside, for weights that they share.
void RecurrentEmitter::forEachTile(const TimeStep &step, const GateProduct &product,
                                   const std::function<void(const Tile &)> &body) {
  constexpr int64_t kVectors = 4;
  const int64_t vectorsOfBlock = product.count;
  auto forBlocks = [&](Value from, Value to, int64_t count) {
    TileHeights heights = spec.heights[vectorsOfBlock * count - 1];
    kb.forLoop(from, to, count, [&](Value block) {
      if (spec.tiled)
        multiplyTiles(step.task, product, block);
      Value row = kb.index(0);
      for (int64_t height : heights) {
        Value left = kb.sub(step.task.rowCount, row);
        Value end = kb.add(row, kb.mul(kb.div(left, kb.index(height)), height));
        kb.forLoop(row, end, height,
                   [&](Value first) { body({step, height, count, first, block}); });
        row = end;
      }
    });
  };
  int64_t together = spec.tiled ? 1 : kVectors / vectorsOfBlock;
  if (together == 1)
    return forBlocks(kb.index(0), blocks, 1);
  Value whole = kb.mul(kb.div(blocks, kb.index(together)), together);
  forBlocks(kb.index(0), whole, together);
  forBlocks(whole, blocks, 1);
}

void RecurrentSpec::emit(KernelBuilder &kb) const { RecurrentEmitter(kb, *this).emit(); }
