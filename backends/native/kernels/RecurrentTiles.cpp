//===- RecurrentTiles.cpp - sequences by hidden units at a time step ------===//
#include "backends/native/kernels/RecurrentEmitter.h"

#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::native::recurrent;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value RecurrentEmitter::activeAt(Value column) {
  return spec.maskTail ? kb.minSigned(kb.sub(hidden, column), kb.index(spec.lanes)) : Value();
}

Value RecurrentEmitter::columnOf(const Tile &tile, int64_t block) {
  return kb.mul(kb.add(tile.firstBlock, block), spec.lanes);
}

Value RecurrentEmitter::load(Value base, Value column) {
  return kb.load(kb.advance(base, column, spec.dtype), spec.dtype, spec.lanes, activeAt(column));
}

Value RecurrentEmitter::inputOf(const Row &row, const Tile &tile, int64_t gate, int64_t block) {
  return load(kb.advance(row.input, kb.mul(hidden, gate), spec.dtype), columnOf(tile, block));
}

Value RecurrentEmitter::placeOf(Value array, const Row &row, const Tile &tile, int64_t block,
                                DType type) {
  return kb.advance(array, kb.add(row.state, columnOf(tile, block)), type);
}

Value RecurrentEmitter::loadState(Value array, const Row &row, const Tile &tile, int64_t block) {
  return kb.load(placeOf(array, row, tile, block, spec.dtype), spec.dtype, spec.lanes);
}

void RecurrentEmitter::storeState(Value value, Value array, const Row &row, const Tile &tile,
                                  int64_t block) {
  kb.store(value, placeOf(array, row, tile, block, spec.dtype), spec.dtype, spec.lanes);
}

Value RecurrentEmitter::rounded(Value value) {
  if (!isNarrow)
    return value;
  return nn::ScalarEmitter(kb.builder(), kb.loc(), spec.dtype, spec.lanes)
      .castTo(value, spec.factors);
}

void RecurrentEmitter::storeFactor(Value value, Value array, const Row &row, const Tile &tile,
                                   int64_t block) {
  kb.store(rounded(value), placeOf(array, row, tile, block, spec.factors), spec.factors,
           spec.lanes);
}

Value RecurrentEmitter::parameter(int64_t buffer, int64_t perDirection, int64_t number,
                                  const Tile &tile, int64_t block) {
  Value direction = tile.step.task.direction;
  Value offset = kb.mul(kb.add(kb.mul(direction, perDirection), number), hidden);
  return load(kb.advance(kb.buffer(buffer), offset, spec.dtype), columnOf(tile, block));
}

Value RecurrentEmitter::bias(const Tile &tile, int64_t block) {
  return spec.hasBias ? parameter(optional.bias, 1, 0, tile, block) : cell.constant(0);
}

LstmPeepholes RecurrentEmitter::peepholes(const Tile &tile, int64_t block) {
  if (!spec.hasPeepholes)
    return {};
  auto weights = [&](int64_t number) {
    return parameter(optional.peepholes, 3, number, tile, block);
  };
  return {weights(0), weights(1), weights(2)};
}

Value RecurrentEmitter::select(Value condition, Value a, Value b) {
  return kb.builder().create<arith::SelectOp>(kb.loc(), condition, a, b);
}

//===----------------------------------------------------------------------===//
// Sums of gates
//===----------------------------------------------------------------------===//

SmallVector<Row> RecurrentEmitter::rowsOf(const Tile &tile) {
  const Task &task = tile.step.task;
  Value step = tile.step.number;
  SmallVector<Row> rows;
  Value last = kb.sub(kb.dim(&RecurrentDims::steps), kb.index(1));
  for (int64_t r = 0; r < tile.rows; ++r) {
    Row row;
    Value number = kb.add(tile.firstRow, r), sequence = kb.add(task.firstSequence, number);
    Value time = select(task.isReverse, kb.sub(last, step), step);
    if (spec.hasLengths) {
      // Of a sequence that ends early the rest is at the end in either direction.
      Value length = kb.minSigned(lengthOf(sequence), kb.dim(&RecurrentDims::steps));
      row.exists = kb.lessThan(step, length);
      Value backwards = kb.sub(kb.sub(length, kb.index(1)), step);
      time = select(task.isReverse, select(row.exists, backwards, step), step);
    }
    Value inputRow = kb.add(kb.mul(time, kb.dim(&RecurrentDims::batch)), sequence);
    inputRow = kb.add(kb.mul(inputRow, kb.dim(&RecurrentDims::directions)), task.direction);
    row.input = kb.advance(kb.buffer(kInput), kb.mul(kb.mul(inputRow, gates), hidden), spec.dtype);
    Value yRow = kb.add(kb.mul(time, kb.dim(&RecurrentDims::directions)), task.direction);
    yRow = kb.add(kb.mul(yRow, kb.dim(&RecurrentDims::batch)), sequence);
    row.y = kb.advance(kb.buffer(kY), kb.mul(yRow, hidden), spec.dtype);
    row.state = kb.mul(number, stateStride);
    rows.push_back(row);
  }
  return rows;
}

RecurrentEmitter::Values RecurrentEmitter::sumGates(const Tile &tile, int64_t first, int64_t count,
                                                    Value from, GateStart start) {
  if (spec.tiled) {
    Values sums;
    for (int64_t row = 0; row < tile.rows; ++row)
      for (int64_t gate = 0; gate < count; ++gate) {
        Value place = gateSums(tile.step.task, kb.add(tile.firstRow, row), first + gate);
        sums.push_back(kb.builder().create<arith::AddFOp>(kb.loc(), start(row, first + gate, 0),
                                                          kb.load(place, spec.dtype, spec.lanes)));
      }
    return sums;
  }
  DotTile dot;
  dot.types = spec.types();
  dot.group = group;
  dot.partialGroup = spec.partialGroup;
  dot.lanes = spec.lanes;
  dot.vectors = count * tile.blocks;
  dot.levels = {{DotTile::kRuntime, group, 2}};
  dot.packedB = false;
  DotOperands operands;
  operands.levels = {{kb.div(hidden, kb.index(group)), Value()}};
  operands.leftOver = kb.rem(hidden, kb.index(group));
  operands.rowStrideA = stateStride;
  operands.strideB = kb.index(spec.lanes * group);
  Values sums;
  Value blockSize = kb.mul(depth, spec.lanes), gateSize = kb.mul(blockSize, blocks);
  for (int64_t gate = 0; gate < count; ++gate)
    for (int64_t block = 0; block < tile.blocks; ++block)
      operands.vectorOffsets.push_back(kb.add(kb.mul(gateSize, gate), kb.mul(blockSize, block)));
  for (int64_t row = 0; row < tile.rows; ++row)
    for (int64_t gate = 0; gate < count; ++gate)
      for (int64_t block = 0; block < tile.blocks; ++block)
        sums.push_back(start(row, first + gate, block));
  Value a = kb.advance(from, kb.mul(tile.firstRow, stateStride), spec.factors);
  Value b =
      kb.advance(tile.step.task.weights,
                 kb.add(kb.mul(gateSize, first), kb.mul(blockSize, tile.firstBlock)), spec.factors);
  return DotMicroKernel(kb, dot, operands).accumulate(tile.rows, a, b, std::move(sums));
}

//===----------------------------------------------------------------------===//
// Tiles of matrices
//===----------------------------------------------------------------------===//

void RecurrentEmitter::configureTiles() {
  TileUnit::Configuration shapes;
  shapes.rows.fill(TileUnit::kRows);
  shapes.rowBytes.fill(TileUnit::kRowBytes);
  std::array<Value, 3> words;
  for (auto [word, number] : llvm::zip_equal(words, shapes.words()))
    word = kb.index(number);
  unit.configure(words);
}

/// Rows past the last one are multiplied, too: they and their sums have memory.
void RecurrentEmitter::multiplyTiles(const Task &task, const GateProduct &product, Value block) {
  kb.forLoop(kb.index(0), task.rowCount, RecurrentSpec::kTileRows, [&](Value row) {
    Value isOneHalf = kb.lessThan(kb.sub(task.rowCount, row), kb.index(TileUnit::kRows + 1));
    auto multiply = [&](int64_t halves) {
      for (int64_t gate = 0; gate < product.count; gate += 2) {
        int64_t count = std::min<int64_t>(2, product.count - gate);
        multiplyGates(task, {product.first + gate, count, product.from}, block, row, halves);
      }
    };
    kb.ifThen(isOneHalf, [&] { multiply(1); }, [&] { multiply(2); });
  });
}

/// Of one gate or two, and 16 rows or 32.
void RecurrentEmitter::multiplyGates(const Task &task, const GateProduct &product, Value block,
                                     Value row, int64_t halves) {
  constexpr int64_t kFirstA = 4, kFirstB = 6;
  const int64_t sizeOfFactor = dtypeBytes(spec.factors);
  Value blockSize = kb.mul(depth, spec.lanes), gateSize = kb.mul(blockSize, blocks);
  Value a = kb.advance(product.from, kb.mul(row, stateStride), spec.factors);
  Value strideA = kb.mul(stateStride, sizeOfFactor), ofHalf = kb.mul(stateStride, TileUnit::kRows);
  Value b =
      kb.advance(task.weights, kb.add(kb.mul(gateSize, product.first), kb.mul(blockSize, block)),
                 spec.factors);
  for (int64_t half = 0; half < halves; ++half)
    for (int64_t gate = 0; gate < product.count; ++gate)
      unit.clear(2 * half + gate);
  kb.forLoop(kb.index(0), hidden, RecurrentSpec::kTileDepth, [&](Value k) {
    for (int64_t half = 0; half < halves; ++half)
      unit.load(kFirstA + half, kb.advance(a, kb.add(kb.mul(ofHalf, half), k), spec.factors),
                strideA);
    for (int64_t gate = 0; gate < product.count; ++gate) {
      Value place = kb.add(kb.mul(gateSize, gate), kb.mul(k, spec.lanes));
      unit.load(kFirstB + gate, kb.advance(b, place, spec.factors),
                kb.index(spec.lanes * group * sizeOfFactor));
    }
    for (int64_t half = 0; half < halves; ++half)
      for (int64_t gate = 0; gate < product.count; ++gate)
        unit.multiply(2 * half + gate, kFirstA + half, kFirstB + gate);
  });
  Value stride = kb.index(gates * spec.lanes * dtypeBytes(spec.dtype));
  for (int64_t half = 0; half < halves; ++half)
    for (int64_t gate = 0; gate < product.count; ++gate)
      unit.store(2 * half + gate,
                 gateSums(task, kb.add(row, half * TileUnit::kRows), product.first + gate), stride);
}

/// Writes a vector of the next state, and of Y.
void RecurrentEmitter::finish(const Tile &tile, const Row &row, int64_t block, Value h) {
  Value y = h;
  if (row.exists) {
    y = select(row.exists, h, cell.constant(0));
    h = select(row.exists, h, loadState(tile.step.before, row, tile, block));
  }
  storeState(h, tile.step.after, row, tile, block);
  if (isNarrow)
    storeFactor(h, tile.step.factorAfter, row, tile, block);
  Value column = columnOf(tile, block);
  kb.store(y, kb.advance(row.y, column, spec.dtype), spec.dtype, spec.lanes, activeAt(column));
}

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

void RecurrentEmitter::emitRnnTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums =
      sumGates(tile, 0, 1, tile.step.factorBefore, [&](int64_t row, int64_t gate, int64_t block) {
        return inputOf(rows[row], tile, gate, block);
      });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q)
      finish(tile, rows[r], q, cell.gate(0, sums[r * tile.blocks + q]));
}

void RecurrentEmitter::emitLstmTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums = sumGates(tile, 0, gates, tile.step.factorBefore,
                         [&](int64_t row, int64_t gate, int64_t block) {
                           return inputOf(rows[row], tile, gate, block);
                         });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q) {
      auto sum = [&](int64_t gate) { return sums[(r * gates + gate) * tile.blocks + q]; };
      LstmPeepholes weights = peepholes(tile, q);
      Value c = loadState(tile.step.task.c, rows[r], tile, q);
      LstmState next = cell.lstm({sum(0), sum(1), sum(2), sum(3)}, c, weights);
      if (rows[r].exists)
        next.c = select(rows[r].exists, next.c, c);
      storeState(next.c, tile.step.task.c, rows[r], tile, q);
      finish(tile, rows[r], q, next.h);
    }
}

/// A GRU whose reset gate is applied to the product: all gates at once.
void RecurrentEmitter::emitLinearGruTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums = sumGates(tile, 0, gates, tile.step.factorBefore,
                         [&](int64_t row, int64_t gate, int64_t block) {
                           if (gate < 2)
                             return inputOf(rows[row], tile, gate, block);
                           return bias(tile, block);
                         });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q) {
      auto sum = [&](int64_t gate) { return sums[(r * gates + gate) * tile.blocks + q]; };
      Value reset = cell.gate(0, sum(1));
      Value candidate = kb.multiplyAdd(reset, sum(2), inputOf(rows[r], tile, 2, q));
      Value h = cell.mix(cell.gate(0, sum(0)), cell.gate(1, candidate),
                         loadState(tile.step.before, rows[r], tile, q));
      finish(tile, rows[r], q, h);
    }
}

/// The first half of other GRUs: z and r * h.
void RecurrentEmitter::emitResetTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums =
      sumGates(tile, 0, 2, tile.step.factorBefore, [&](int64_t row, int64_t gate, int64_t block) {
        return inputOf(rows[row], tile, gate, block);
      });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q) {
      Value z = cell.gate(0, sums[2 * r * tile.blocks + q]);
      Value reset = cell.gate(0, sums[(2 * r + 1) * tile.blocks + q]);
      storeState(z, tile.step.task.z, rows[r], tile, q);
      storeFactor(cell.product(reset, loadState(tile.step.before, rows[r], tile, q)),
                  tile.step.task.reset, rows[r], tile, q);
    }
}

/// The second half: the candidate, of r * h, and the next state.
void RecurrentEmitter::emitCandidateTile(const Tile &tile) {
  SmallVector<Row> rows = rowsOf(tile);
  Values sums =
      sumGates(tile, 2, 1, tile.step.task.reset, [&](int64_t row, int64_t gate, int64_t block) {
        return inputOf(rows[row], tile, gate, block);
      });
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t q = 0; q < tile.blocks; ++q) {
      Value candidate = cell.gate(1, sums[r * tile.blocks + q]);
      Value h = cell.mix(loadState(tile.step.task.z, rows[r], tile, q), candidate,
                         loadState(tile.step.before, rows[r], tile, q));
      finish(tile, rows[r], q, h);
    }
}
