//===- RecurrentKernel.cpp - all time steps of an RNN, GRU or LSTM --------===//
#include "backends/native/kernels/RecurrentKernel.h"

#include "backends/native/kernels/DotMicroKernel.h"
#include "backends/native/kernels/RecurrentCell.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <bit>
#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

std::string RecurrentSpec::key() const {
  std::string key = fmt::format("{}/{}/{}", nameOf(cell), dtypeName(dtype), lanes);
  for (const Activation &a : activations)
    key += fmt::format("/{} {} {}", static_cast<int>(a.function), std::bit_cast<uint64_t>(a.alpha),
                       std::bit_cast<uint64_t>(a.beta));
  if (clip)
    key += fmt::format("/clip {}", std::bit_cast<uint64_t>(*clip));
  key += '/';
  for (bool flag : {inputForget, linearBeforeReset, hasBias, hasLengths, hasInitialH, hasInitialC,
                    hasPeepholes, maskTail})
    key += flag ? '1' : '0';
  for (TileHeights ofVectors : heights)
    key += fmt::format("/{}", fmt::join(ofVectors, ","));
  return key;
}

int64_t RecurrentSpec::stateArrays() const {
  constexpr int64_t kBeforeAndAfter = 2;
  if (cell == CellKind::Lstm)
    return kBeforeAndAfter + 1; // c
  if (cell == CellKind::Gru && !linearBeforeReset)
    return kBeforeAndAfter + 2; // z, and r * h
  return kBeforeAndAfter;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
enum Dim { kSteps, kBatch, kHidden, kDirections, kFirstDirection, kFirstReverse, kRows, kChunks };

/// A tile: sequences by blocks of hidden units.
struct Tile {
  int64_t rows, blocks;
  /// Its first sequence among those of the task, its first block.
  Value firstRow, firstBlock;
};

/// Where a sequence of a tile is read and written at a time step.
struct Row {
  Value input, y;
  /// Where its state is among those of the task.
  Value state;
  /// Whether the sequence has such a step; null: it has all.
  Value exists;
};

class RecurrentEmitter {
public:
  RecurrentEmitter(KernelBuilder &kb, const RecurrentSpec &spec)
      : kb(kb), spec(spec), cell(kb, spec), gates(gatesOf(spec.cell)), hidden(kb.dim(kHidden)),
        blocks(kb.div(kb.add(hidden, spec.lanes - 1), kb.index(spec.lanes))),
        stateStride(kb.mul(blocks, spec.lanes)) {
    int64_t next = kFirstOptional;
    auto take = [&](bool exists) { return exists ? next++ : int64_t{kAbsent}; };
    finalC = take(spec.cell == CellKind::Lstm);
    bias = take(spec.hasBias);
    lengths = take(spec.hasLengths);
    initialH = take(spec.hasInitialH);
    initialC = take(spec.hasInitialC);
    peepholes = take(spec.hasPeepholes);
  }

  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Values = KernelBuilder::Values;
  enum Buffer { kInput, kRecurrence, kY, kFinalH, kFirstOptional, kAbsent = -1 };

  // Loops.
  void emitTask(Value task);
  void emitStep();
  void forEachTile(int64_t vectorsOfBlock, const std::function<void(const Tile &)> &body);
  void forEachState(const std::function<void(Value state, Value place, Value active)> &body);
  void checkLengths();

  // Tiles.
  void emitRnnTile(const Tile &tile);
  void emitLstmTile(const Tile &tile);
  void emitLinearGruTile(const Tile &tile);
  void emitResetTile(const Tile &tile);
  void emitCandidateTile(const Tile &tile);
  SmallVector<Row> rowsOf(const Tile &tile);
  /// Sums of `count` gates from `first` on, [row][gate][block]: what `start` says, and the
  /// products with `from`.
  Values sumGates(const Tile &tile, int64_t first, int64_t count, Value from,
                  llvm::function_ref<Value(int64_t row, int64_t gate, int64_t block)> start);
  void finish(const Tile &tile, const Row &row, int64_t block, Value h);

  // Memory.
  Value columnOf(const Tile &tile, int64_t block) {
    return kb.mul(kb.add(tile.firstBlock, block), spec.lanes);
  }
  Value activeAt(Value column) {
    return spec.maskTail ? kb.minSigned(kb.sub(hidden, column), kb.index(spec.lanes)) : Value();
  }
  Value load(Value base, Value column) {
    return kb.load(kb.advance(base, column, spec.dtype), spec.dtype, spec.lanes, activeAt(column));
  }
  Value inputOf(const Row &row, const Tile &tile, int64_t gate, int64_t block) {
    return load(kb.advance(row.input, kb.mul(hidden, gate), spec.dtype), columnOf(tile, block));
  }
  /// `array` is a worker's, at the state of a row.
  Value loadState(Value array, const Row &row, const Tile &tile, int64_t block) {
    return kb.load(placeOf(array, row, tile, block), spec.dtype, spec.lanes);
  }
  void storeState(Value value, Value array, const Row &row, const Tile &tile, int64_t block) {
    kb.store(value, placeOf(array, row, tile, block), spec.dtype, spec.lanes);
  }
  Value placeOf(Value array, const Row &row, const Tile &tile, int64_t block) {
    return kb.advance(array, kb.add(row.state, columnOf(tile, block)), spec.dtype);
  }
  Value parameter(int64_t buffer, int64_t perDirection, int64_t number, const Tile &tile,
                  int64_t block) {
    Value offset = kb.mul(kb.add(kb.mul(direction, perDirection), number), hidden);
    return load(kb.advance(kb.buffer(buffer), offset, spec.dtype), columnOf(tile, block));
  }
  Value select(Value condition, Value a, Value b) {
    return kb.builder().create<arith::SelectOp>(kb.loc(), condition, a, b);
  }
  Value lengthOf(Value sequence);

  KernelBuilder &kb;
  const RecurrentSpec &spec;
  RecurrentCell cell;
  int64_t gates;
  int64_t finalC, bias, lengths, initialH, initialC, peepholes;
  Value hidden, blocks, stateStride;
  // Of the task.
  Value direction, isReverse, firstSequence, rowCount, weights;
  Value cState, zState, resetState;
  // Of the time step.
  Value step, before, after;
};
} // namespace

/// The steps of a sequence; those out of range have been refused and do no harm.
Value RecurrentEmitter::lengthOf(Value sequence) {
  Value length = kb.load(kb.advance(kb.buffer(lengths), sequence, DType::Int32), DType::Int32, 0);
  return kb.builder().create<arith::ExtSIOp>(kb.loc(), kb.builder().getI64Type(), length);
}

void RecurrentEmitter::checkLengths() {
  kb.forLoop(kb.index(0), rowCount, 1, [&](Value row) {
    Value length = lengthOf(kb.add(firstSequence, row));
    kb.trapIf(kb.lessThan(length, kb.index(0)), TrapCode::IndexOutOfRange);
    kb.trapIf(kb.lessThan(kb.dim(kSteps), length), TrapCode::IndexOutOfRange);
  });
}

/// Calls `body` with each vector of the task's states: its offset in a worker's array and in
/// a tensor [directions, batch, hidden].
void RecurrentEmitter::forEachState(
    const std::function<void(Value state, Value place, Value active)> &body) {
  kb.forLoop(kb.index(0), rowCount, 1, [&](Value row) {
    Value sequence = kb.add(kb.mul(direction, kb.dim(kBatch)), kb.add(firstSequence, row));
    kb.forLoop(kb.index(0), blocks, 1, [&](Value block) {
      Value column = kb.mul(block, spec.lanes);
      body(kb.add(kb.mul(row, stateStride), column), kb.add(kb.mul(sequence, hidden), column),
           activeAt(column));
    });
  });
}

void RecurrentEmitter::emitTask(Value task) {
  direction = kb.add(kb.dim(kFirstDirection), kb.div(task, kb.dim(kChunks)));
  isReverse = kb.lessThan(kb.add(kb.dim(kFirstReverse), -1), direction);
  firstSequence = kb.mul(kb.rem(task, kb.dim(kChunks)), kb.dim(kRows));
  rowCount = kb.minSigned(kb.dim(kRows), kb.sub(kb.dim(kBatch), firstSequence));
  Value arraySize = kb.mul(kb.dim(kRows), stateStride);
  Value gateSize = kb.mul(stateStride, hidden);
  weights =
      kb.advance(kb.buffer(kRecurrence), kb.mul(kb.mul(direction, gates), gateSize), spec.dtype);
  auto array = [&](int64_t i) {
    return kb.advance(kb.scratch(), kb.mul(arraySize, i), spec.dtype);
  };
  cState = zState = array(2);
  resetState = array(3);
  if (spec.hasLengths)
    checkLengths();
  auto start = [&](Value to, int64_t from) {
    forEachState([&](Value state, Value place, Value active) {
      Value value = from == kAbsent ? cell.constant(0)
                                    : kb.load(kb.advance(kb.buffer(from), place, spec.dtype),
                                              spec.dtype, spec.lanes, active);
      kb.store(value, kb.advance(to, state, spec.dtype), spec.dtype, spec.lanes);
    });
  };
  auto end = [&](Value from, int64_t to) {
    forEachState([&](Value state, Value place, Value active) {
      Value value = kb.load(kb.advance(from, state, spec.dtype), spec.dtype, spec.lanes);
      kb.store(value, kb.advance(kb.buffer(to), place, spec.dtype), spec.dtype, spec.lanes, active);
    });
  };
  start(array(0), initialH);
  if (spec.cell == CellKind::Lstm)
    start(cState, initialC);
  Values last = kb.forLoop(kb.index(0), kb.dim(kSteps), 1, {array(0), array(1)},
                           [&](Value s, ValueRange arrays) -> Values {
                             step = s;
                             before = arrays[0];
                             after = arrays[1];
                             emitStep();
                             return {arrays[1], arrays[0]};
                           });
  end(last[0], kFinalH);
  if (spec.cell == CellKind::Lstm)
    end(cState, finalC);
}

void RecurrentEmitter::emitStep() {
  if (spec.cell == CellKind::Rnn)
    return forEachTile(1, [&](const Tile &tile) { emitRnnTile(tile); });
  if (spec.cell == CellKind::Lstm)
    return forEachTile(4, [&](const Tile &tile) { emitLstmTile(tile); });
  if (spec.linearBeforeReset)
    return forEachTile(3, [&](const Tile &tile) { emitLinearGruTile(tile); });
  // The reset of all hidden units comes before the candidate of any.
  forEachTile(2, [&](const Tile &tile) { emitResetTile(tile); });
  forEachTile(1, [&](const Tile &tile) { emitCandidateTile(tile); });
}

/// Calls `body` with tiles that cover the task's sequences and all hidden units, of which
/// several blocks at a time where one alone would be too few accumulators. Sequences come
/// inside, for weights that they share.
void RecurrentEmitter::forEachTile(int64_t vectorsOfBlock,
                                   const std::function<void(const Tile &)> &body) {
  constexpr int64_t kVectors = 4;
  auto forBlocks = [&](Value from, Value to, int64_t count) {
    TileHeights heights = spec.heights[vectorsOfBlock * count - 1];
    kb.forLoop(from, to, count, [&](Value block) {
      Value row = kb.index(0);
      for (int64_t height : heights) {
        Value left = kb.sub(rowCount, row);
        Value end = kb.add(row, kb.mul(kb.div(left, kb.index(height)), height));
        kb.forLoop(row, end, height, [&](Value first) { body({height, count, first, block}); });
        row = end;
      }
    });
  };
  int64_t together = kVectors / vectorsOfBlock;
  if (together == 1)
    return forBlocks(kb.index(0), blocks, 1);
  Value whole = kb.mul(kb.div(blocks, kb.index(together)), together);
  forBlocks(kb.index(0), whole, together);
  forBlocks(whole, blocks, 1);
}

SmallVector<Row> RecurrentEmitter::rowsOf(const Tile &tile) {
  SmallVector<Row> rows;
  Value last = kb.sub(kb.dim(kSteps), kb.index(1));
  for (int64_t r = 0; r < tile.rows; ++r) {
    Row row;
    Value number = kb.add(tile.firstRow, r), sequence = kb.add(firstSequence, number);
    Value time = select(isReverse, kb.sub(last, step), step);
    if (spec.hasLengths) {
      // Of a sequence that ends early the rest is at the end in either direction.
      Value length = kb.minSigned(lengthOf(sequence), kb.dim(kSteps));
      row.exists = kb.lessThan(step, length);
      Value backwards = kb.sub(kb.sub(length, kb.index(1)), step);
      time = select(isReverse, select(row.exists, backwards, step), step);
    }
    Value inputRow = kb.add(kb.mul(time, kb.dim(kBatch)), sequence);
    inputRow = kb.add(kb.mul(inputRow, kb.dim(kDirections)), direction);
    row.input = kb.advance(kb.buffer(kInput), kb.mul(kb.mul(inputRow, gates), hidden), spec.dtype);
    Value yRow = kb.add(kb.mul(time, kb.dim(kDirections)), direction);
    yRow = kb.add(kb.mul(yRow, kb.dim(kBatch)), sequence);
    row.y = kb.advance(kb.buffer(kY), kb.mul(yRow, hidden), spec.dtype);
    row.state = kb.mul(number, stateStride);
    rows.push_back(row);
  }
  return rows;
}

RecurrentEmitter::Values
RecurrentEmitter::sumGates(const Tile &tile, int64_t first, int64_t count, Value from,
                           llvm::function_ref<Value(int64_t, int64_t, int64_t)> start) {
  DotTile dot;
  dot.types = DotTypes::all(spec.dtype);
  dot.lanes = spec.lanes;
  dot.vectors = count * tile.blocks;
  dot.levels = {{DotTile::kRuntime, 1, 2}};
  dot.packedB = false;
  DotOperands operands;
  operands.levels = {{hidden, Value()}};
  operands.rowStrideA = stateStride;
  operands.strideB = kb.index(spec.lanes);
  Values sums;
  Value blockSize = kb.mul(hidden, spec.lanes), gateSize = kb.mul(blockSize, blocks);
  for (int64_t gate = 0; gate < count; ++gate)
    for (int64_t block = 0; block < tile.blocks; ++block)
      operands.vectorOffsets.push_back(kb.add(kb.mul(gateSize, gate), kb.mul(blockSize, block)));
  for (int64_t row = 0; row < tile.rows; ++row)
    for (int64_t gate = 0; gate < count; ++gate)
      for (int64_t block = 0; block < tile.blocks; ++block)
        sums.push_back(start(row, first + gate, block));
  Value a = kb.advance(from, kb.mul(tile.firstRow, stateStride), spec.dtype);
  Value b = kb.advance(weights, kb.add(kb.mul(gateSize, first), kb.mul(blockSize, tile.firstBlock)),
                       spec.dtype);
  return DotMicroKernel(kb, dot, operands).accumulate(tile.rows, a, b, std::move(sums));
}

/// Writes a vector of the next state, and of Y.
void RecurrentEmitter::finish(const Tile &tile, const Row &row, int64_t block, Value h) {
  Value y = h;
  if (row.exists) {
    y = select(row.exists, h, cell.constant(0));
    h = select(row.exists, h, loadState(before, row, tile, block));
  }
  storeState(h, after, row, tile, block);
  Value column = columnOf(tile, block);
  kb.store(y, kb.advance(row.y, column, spec.dtype), spec.dtype, spec.lanes, activeAt(column));
}

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

void RecurrentEmitter::emitRnnTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums = sumGates(tile, 0, 1, before, [&](int64_t row, int64_t gate, int64_t block) {
    return inputOf(rows[row], tile, gate, block);
  });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q)
      finish(tile, rows[r], q, cell.gate(0, sums[r * tile.blocks + q]));
}

void RecurrentEmitter::emitLstmTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums = sumGates(tile, 0, gates, before, [&](int64_t row, int64_t gate, int64_t block) {
    return inputOf(rows[row], tile, gate, block);
  });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q) {
      auto sum = [&](int64_t gate) { return sums[(r * gates + gate) * tile.blocks + q]; };
      LstmPeepholes weights;
      if (spec.hasPeepholes)
        weights = {parameter(peepholes, 3, 0, tile, q), parameter(peepholes, 3, 1, tile, q),
                   parameter(peepholes, 3, 2, tile, q)};
      Value c = loadState(cState, rows[r], tile, q);
      LstmState next = cell.lstm({sum(0), sum(1), sum(2), sum(3)}, c, weights);
      if (rows[r].exists)
        next.c = select(rows[r].exists, next.c, c);
      storeState(next.c, cState, rows[r], tile, q);
      finish(tile, rows[r], q, next.h);
    }
}

/// A GRU whose reset gate is applied to the product: all gates at once.
void RecurrentEmitter::emitLinearGruTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums = sumGates(tile, 0, gates, before, [&](int64_t row, int64_t gate, int64_t block) {
    if (gate < 2)
      return inputOf(rows[row], tile, gate, block);
    return spec.hasBias ? parameter(bias, 1, 0, tile, block) : cell.constant(0);
  });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q) {
      auto sum = [&](int64_t gate) { return sums[(r * gates + gate) * tile.blocks + q]; };
      Value reset = cell.gate(0, sum(1));
      Value candidate = kb.multiplyAdd(reset, sum(2), inputOf(rows[r], tile, 2, q));
      Value h = cell.mix(cell.gate(0, sum(0)), cell.gate(1, candidate),
                         loadState(before, rows[r], tile, q));
      finish(tile, rows[r], q, h);
    }
}

/// The first half of other GRUs: z and r * h.
void RecurrentEmitter::emitResetTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums = sumGates(tile, 0, 2, before, [&](int64_t row, int64_t gate, int64_t block) {
    return inputOf(rows[row], tile, gate, block);
  });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q) {
      Value z = cell.gate(0, sums[2 * r * tile.blocks + q]);
      Value reset = cell.gate(0, sums[(2 * r + 1) * tile.blocks + q]);
      storeState(z, zState, rows[r], tile, q);
      storeState(cell.product(reset, loadState(before, rows[r], tile, q)), resetState, rows[r],
                 tile, q);
    }
}

/// The second half: the candidate, of r * h, and the next state.
void RecurrentEmitter::emitCandidateTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums = sumGates(tile, 2, 1, resetState, [&](int64_t row, int64_t gate, int64_t block) {
    return inputOf(rows[row], tile, gate, block);
  });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q) {
      Value candidate = cell.gate(1, sums[r * tile.blocks + q]);
      Value h = cell.mix(loadState(zState, rows[r], tile, q), candidate,
                         loadState(before, rows[r], tile, q));
      finish(tile, rows[r], q, h);
    }
}

KernelSpec native::makeRecurrentKernel(RecurrentSpec spec) {
  std::string key = "recurrent/" + spec.key();
  return {std::string(nameOf(spec.cell)), std::move(key),
          [spec = std::move(spec)](KernelBuilder &kb) { RecurrentEmitter(kb, spec).emit(); }};
}
