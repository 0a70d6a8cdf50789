//===- AttentionKernel.cpp - attention in blocks of keys ------------------===//
#include "backends/native/kernels/AttentionEmitter.h"

#include "backends/native/kernels/RowReduction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::native::attention;

Value AttentionEmitter::keep(Value value, Value otherwise, Value active) {
  OpBuilder &ops = kb.builder();
  Value count = ops.create<arith::IndexCastOp>(kb.loc(), ops.getIndexType(), active);
  Value exists =
      ops.create<vector::CreateMaskOp>(kb.loc(), VectorType::get({lanes}, ops.getI1Type()), count);
  return ops.create<arith::SelectOp>(kb.loc(), exists, value, otherwise);
}

Value AttentionEmitter::rounded(Value value) {
  if (!spec.scoreType)
    return value;
  Value narrow = vectors().castTo(value, *spec.scoreType);
  return nn::ScalarEmitter(kb.builder(), kb.loc(), *spec.scoreType, lanes).castTo(narrow, dtype);
}

Value AttentionEmitter::isMinusInfinity(Value scalar) {
  nn::ScalarEmitter e = scalars();
  return e.equal(scalar, e.constant(-kInfinity));
}

Value AttentionEmitter::active(Value size, Value at, int64_t count) {
  return kb.maxSigned(kb.index(0), kb.minSigned(kb.sub(size, at), kb.index(count)));
}

//===----------------------------------------------------------------------===//
// The task
//===----------------------------------------------------------------------===//

AttentionEmitter::OptionalBuffers::OptionalBuffers(const AttentionSpec &spec) {
  int64_t next = kFirstOptional;
  auto take = [&](bool exists) { return exists ? next++ : int64_t{kAbsent}; };
  mask = take(spec.mask.has_value());
  scale = take(spec.hasScale);
  offset = take(spec.hasOffset);
  condition = take(spec.condition.has_value());
}

Scratch AttentionEmitter::placeScratch() {
  Value at = kb.scratch(), rows = kb.dim(&AttentionDims::rows);
  auto takeOf = [&](DType type, Value elements) {
    Value here = at;
    at = kb.advance(at, elements, type);
    return here;
  };
  auto take = [&](Value elements) { return takeOf(dtype, elements); };
  Scratch memory;
  memory.keys = takeOf(spec.factors, kb.mul(sizePadded, AttentionSpec::kBlock));
  memory.values = takeOf(spec.factors, kb.mul(valuePadded, AttentionSpec::kBlock));
  Value rowsOfTiles = spec.tiled ? alignUp(rows, AttentionSpec::kTileRows) : rows;
  memory.scores = take(kb.mul(rowsOfTiles, AttentionSpec::kBlock));
  memory.sums = take(kb.mul(rowsOfTiles, valuePadded));
  if (spec.tiled)
    memory.tileSums = take(kb.index(AttentionSpec::kTileRows * 2 * lanes));
  Value states = alignUp(rows, lanes);
  for (Value *state : {&memory.largest, &memory.bases, &memory.factors, &memory.maskLargest})
    *state = take(states);
  for (Value *vectorState : {&memory.maxima, &memory.totals})
    *vectorState = take(kb.mul(states, lanes));
  return memory;
}

Task AttentionEmitter::startTask(Value number) {
  Task task;
  task.memory = placeScratch();
  Value ofHead = kb.div(number, kb.dim(&AttentionDims::chunks));
  task.batch = kb.div(ofHead, kb.dim(&AttentionDims::heads));
  task.head = kb.rem(ofHead, kb.dim(&AttentionDims::heads));
  task.firstQuery =
      kb.mul(kb.rem(number, kb.dim(&AttentionDims::chunks)), kb.dim(&AttentionDims::rows));
  task.rowCount = kb.minSigned(kb.dim(&AttentionDims::rows),
                               kb.sub(kb.dim(&AttentionDims::queries), task.firstQuery));
  task.copiesValues = kb.lessThan(kb.index(kRowsThatPayCopies - 1), task.rowCount);
  return task;
}

void AttentionEmitter::placeOperands(Task &task, Value zero) {
  auto base = [&](int64_t buffer, OperandStrides strides, Value ownHead, Value row, DType type) {
    Value at = kb.add(kb.mul(task.batch, stride(strides, kBatch)),
                      kb.mul(ownHead, stride(strides, kHead)));
    Value from = kb.add(at, kb.mul(row, stride(strides, kRow)));
    return kb.advance(kb.buffer(buffer), from, type);
  };
  task.query = base(kQuery, &AttentionDims::query, task.head, task.firstQuery, spec.factors);
  task.key = base(kKey, &AttentionDims::key, kb.div(task.head, kb.dim(&AttentionDims::keyGroup)),
                  zero, spec.factors);
  task.value = base(kValue, &AttentionDims::value,
                    kb.div(task.head, kb.dim(&AttentionDims::valueGroup)), zero, spec.factors);
  task.result = base(kResult, &AttentionDims::result, task.head, task.firstQuery, dtype);
  if (spec.mask)
    task.mask = base(optional.mask, &AttentionDims::mask, task.head, task.firstQuery, dtype);
  if (spec.condition)
    task.condition = base(optional.condition, &AttentionDims::condition, task.head, task.firstQuery,
                          DType::Bool);
  task.factor = scalars().constant(spec.scale);
  if (spec.hasScale)
    task.factor = scalars().mul(task.factor, kb.load(kb.buffer(optional.scale), dtype, 0));
}

void AttentionEmitter::limitKeys(Task &task) {
  task.seenKeys = kb.dim(&AttentionDims::keys);
  if (!spec.causal)
    return;
  // No further than it matters, so that sums do not overflow.
  Value offset =
      spec.hasOffset ? kb.load(kb.buffer(optional.offset), DType::Int64, 0) : kb.index(0);
  offset = kb.maxSigned(offset, kb.sub(kb.index(-1), kb.dim(&AttentionDims::queries)));
  task.causalOffset = kb.minSigned(offset, kb.dim(&AttentionDims::keys));
  Value end = kb.add(kb.add(task.firstQuery, task.rowCount), task.causalOffset);
  task.seenKeys = kb.maxSigned(kb.index(0), kb.minSigned(task.seenKeys, end));
}

void AttentionEmitter::emitTask(Value number) {
  Task task = startTask(number);
  Value zero = kb.index(0);
  placeOperands(task, zero);
  limitKeys(task);
  startRows(task);
  if (spec.tiled)
    configureTiles(task);
  kb.forLoop(zero, task.seenKeys, AttentionSpec::kBlock, [&](Value begin) {
    Value keyCount = kb.minSigned(kb.sub(task.seenKeys, begin), kb.index(AttentionSpec::kBlock));
    emitBlock({task, begin, keyCount});
  });
  kb.forLoop(zero, task.rowCount, lanes, [&](Value row) { sumWeights(task, row); });
  kb.forLoop(zero, task.rowCount, 1, [&](Value row) { finishRow(task, row); });
}

void AttentionEmitter::startRows(const Task &task) {
  const Scratch &memory = task.memory;
  nn::ScalarEmitter e = scalars();
  Value least = e.constant(-kInfinity), zeros = vectors().constant(0);
  kb.forLoop(kb.index(0), task.rowCount, 1, [&](Value row) {
    setState(least, memory.largest, row);
    kb.store(zeros, lanesOf(memory.totals, row), dtype, lanes);
    setState(least, memory.maskLargest, row);
    kb.forLoop(kb.index(0), valuePadded, lanes, [&](Value at) {
      kb.store(zeros, advance(memory.sums, kb.add(kb.mul(row, valuePadded), at)), dtype, lanes);
    });
  });
}

void AttentionEmitter::emitBlock(const Block &block) {
  if (spec.rowsOfKeys)
    packRowsOfKeys(block);
  else
    packColumnsOfKeys(block);
  ValueRows values = copyValues(block);
  if (spec.tiled)
    return emitSlabs(block);
  emitScores(block);
  weighRows(block, kb.index(0), block.task.rowCount);
  addValues(block, values);
}

void AttentionEmitter::weighRows(const Block &block, Value from, Value to) {
  // A loop for each, whose rows overlap: what one of them finds, the next one waits for.
  kb.forLoop(from, to, 1, [&](Value row) { bendRow(block, row); });
  kb.forLoop(from, to, lanes, [&](Value row) { rescaleRows(block.task, row); });
  kb.forLoop(from, to, 1, [&](Value row) { weighRow(block, row); });
}

Value AttentionEmitter::combineRowsAt(Combine kind, Value vectorsOfRows, Value row) {
  Values rows;
  for (int64_t i = 0; i < lanes; ++i)
    rows.push_back(load(lanesOf(vectorsOfRows, kb.add(row, i))));
  return combineRows(kb, kind, dtype, std::move(rows));
}

/// What the sums of values of a vector of rows are multiplied by in the end.
void AttentionEmitter::sumWeights(const Task &task, Value row) {
  nn::ScalarEmitter e = vectors();
  Value total = combineRowsAt(Combine::Add, task.memory.totals, row);
  kb.store(e.div(e.constant(1), total), advance(task.memory.factors, row), dtype, lanes);
}

void AttentionEmitter::finishRow(const Task &task, Value row) {
  nn::ScalarEmitter e = scalars(), v = vectors();
  // Without any keys all is 0, as of a product over nothing.
  Value isEmpty = kb.lessThan(kb.dim(&AttentionDims::keys), kb.index(1));
  if (spec.zeroMaskedRows)
    isEmpty = e.logicalOr(isEmpty, isMinusInfinity(stateOf(task.memory.maskLargest, row)));
  Value factor = kb.splat(stateOf(task.memory.factors, row), lanes);
  Value to = advance(task.result, kb.mul(row, stride(&AttentionDims::result, kRow)));
  Value from = advance(task.memory.sums, kb.mul(row, valuePadded));
  kb.forLoop(kb.index(0), kb.dim(&AttentionDims::valueSize), lanes, [&](Value at) {
    Value mean = v.mul(load(advance(from, at)), factor);
    Value result = kb.builder().create<arith::SelectOp>(kb.loc(), isEmpty, v.constant(0), mean);
    Value exists = spec.maskValueSize ? active(kb.dim(&AttentionDims::valueSize), at) : Value();
    kb.store(result, advance(to, at), dtype, lanes, exists);
  });
}

//===----------------------------------------------------------------------===//
// A block
//===----------------------------------------------------------------------===//

/// Calls `body` with tiles that cover the rows: a height, and the first row.
void AttentionEmitter::forEachTile(const Task &task, TileHeights heights,
                                   const std::function<void(int64_t, Value)> &body) {
  Value row = kb.index(0);
  for (int64_t height : heights) {
    Value left = kb.sub(task.rowCount, row);
    Value end = kb.add(row, kb.mul(kb.div(left, kb.index(height)), height));
    kb.forLoop(row, end, height, [&](Value first) { body(height, first); });
    row = end;
  }
}

DotTile AttentionEmitter::tileOf(int64_t vectors) const {
  DotTile tile;
  tile.types = spec.types();
  tile.group = group;
  tile.lanes = lanes;
  tile.vectors = vectors;
  return tile;
}

/// The scores of the keys [from, to), which begin at packed keys `keys`, in tiles of `vectors`.
void AttentionEmitter::emitScoreTiles(const Task &task, int64_t vectors, TileHeights heights,
                                      const ScoreColumns &range) {
  DotTile tile = tileOf(vectors);
  tile.levels = {{DotTile::kRuntime, spec.stridedQuery ? DotTile::kRuntime : group, 2}};
  tile.partialGroup = spec.partialGroup;
  tile.packedB = vectors == spec.scoreVectors;
  DotOperands operands;
  Value size = kb.dim(&AttentionDims::size);
  operands.levels = {{kb.div(size, kb.index(group)), stride(&AttentionDims::query, kElement)}};
  operands.leftOver = kb.rem(size, kb.index(group));
  operands.rowStrideA = stride(&AttentionDims::query, kRow);
  operands.strideB = kb.index(spec.scoreVectors * lanes * group);
  DotMicroKernel micro(kb, tile, operands);
  kb.forLoop(range.from, range.to, tile.columns(), [&](Value column) {
    Value keys = advanceFactor(range.keys, kb.mul(kb.sub(column, range.from), range.strideOfKeys));
    forEachTile(task, heights, [&](int64_t height, Value row) {
      Value queries = advanceFactor(task.query, kb.mul(row, operands.rowStrideA));
      Values found = micro.accumulate(height, queries, keys, micro.zeros(height));
      Value to = advance(task.memory.scores, kb.add(kb.mul(row, AttentionSpec::kBlock), column));
      for (int64_t i = 0; i < height * tile.vectors; ++i) {
        int64_t at = i / tile.vectors * AttentionSpec::kBlock + i % tile.vectors * lanes;
        kb.store(found[i], kb.advance(to, at, dtype), dtype, lanes);
      }
    });
  });
}

/// In whole tiles of packed keys; of the last one, if it is no more than half full, vector by
/// vector: 69 keys are 80, not 128.
void AttentionEmitter::emitScores(const Block &block) {
  const Task &task = block.task;
  int64_t columns = spec.scoreVectors * lanes;
  Value from = kb.index(0), to = block.keyCount;
  if (spec.scoreVectors > 2)
    to = kb.mul(kb.div(kb.add(block.keyCount, columns / 2 - 1), kb.index(columns)), columns);
  emitScoreTiles(task, spec.scoreVectors, spec.scoreHeights,
                 {from, to, task.memory.keys, sizePadded});
  if (spec.scoreVectors > 2)
    emitScoreTiles(task, 1, chooseCellHeights(kb.target(), 1),
                   {to, block.keyCount, advanceFactor(task.memory.keys, kb.mul(to, sizePadded)),
                    kb.index(group)});
}

/// Products of queries and keys, scaled and bent.
Value AttentionEmitter::productAt(const Task &task, const ScorePlace &place) {
  nn::ScalarEmitter e = vectors();
  Value score = rounded(load(advance(scoresOf(task, place.row), place.at)));
  if (spec.scale != 1 || spec.hasScale)
    score = rounded(e.mul(score, kb.splat(task.factor, lanes)));
  if (spec.softcap == 0)
    return score;
  Value cap = e.constant(spec.softcap);
  return rounded(e.mul(rounded(e.tanh(rounded(e.div(score, cap)))), cap));
}

/// The elements of the mask or of the condition that belong to these scores.
Value AttentionEmitter::readMask(const Block &block, const MaskOperand &operand,
                                 const ScorePlace &place) {
  DType type = operand.dtype;
  Value from = kb.advance(operand.base, kb.mul(place.row, stride(operand.strides, kRow)), type);
  if (operand.access == OperandAccess::PerRow)
    return kb.splat(kb.load(from, type, 0), lanes);
  return kb.load(kb.advance(from, kb.add(block.begin, place.at), type), type, lanes, place.active);
}

/// Scores as the softmax gets them; -infinity where no key is active. `maskMax` collects the
/// largest of the mask.
Value AttentionEmitter::scoreAt(const Block &block, const ScorePlace &place, Value &maskMax) {
  const Task &task = block.task;
  nn::ScalarEmitter e = vectors();
  Value score = productAt(task, place);
  // Whatever the product is, NaN and infinities too.
  if (spec.condition) {
    MaskOperand condition{*spec.condition, &AttentionDims::condition, DType::Bool, task.condition};
    score = e.select(readMask(block, condition, place), score, e.constant(spec.hiddenScore));
  }
  Value none = e.constant(-kInfinity), added;
  if (spec.mask) {
    added = readMask(block, {*spec.mask, &AttentionDims::mask, dtype, task.mask}, place);
    score = e.add(score, added);
    if (spec.roundSums)
      score = rounded(score);
  }
  if (spec.zeroMaskedRows) {
    Value found = added ? added : e.constant(0);
    maskMax = combine(kb, Combine::Max, dtype, lanes, maskMax,
                      place.active ? keep(found, none, place.active) : found);
  }
  return place.active ? keep(score, none, place.active) : score;
}

/// Turns the products of a row into scores, and notes the largest of them and of the mask.
void AttentionEmitter::bendRow(const Block &block, Value row) {
  const Task &task = block.task;
  const Scratch &memory = task.memory;
  Value seen = block.keyCount;
  if (spec.causal) {
    Value last = kb.add(kb.add(task.firstQuery, row), kb.add(task.causalOffset, 1));
    seen = kb.maxSigned(kb.index(0), kb.minSigned(seen, kb.sub(last, block.begin)));
  }
  Value whole = kb.mul(kb.div(seen, kb.index(lanes)), lanes), end = endOfScores(block);
  Value place = scoresOf(task, row);
  Value none = vectors().constant(-kInfinity);
  auto pass = [&](Value from, Value to, bool masked, ValueRange carried) {
    return kb.forLoop(from, to, lanes, carried, [&](Value at, ValueRange now) -> Values {
      Value maskMax = now[1];
      Value score = scoreAt(block, {row, at, masked ? active(seen, at) : Value()}, maskMax);
      kb.store(score, advance(place, at), dtype, lanes);
      // A NaN need not win: it makes the sum of weights NaN.
      return {combine(kb, Combine::MaxNumber, dtype, lanes, score, now[0]), maskMax};
    });
  };
  Values most = pass(kb.index(0), whole, /*masked=*/false, {none, none});
  most = pass(whole, end, /*masked=*/true, most);
  kb.store(most[0], lanesOf(memory.maxima, row), dtype, lanes);
  if (spec.zeroMaskedRows)
    setState(combine(kb, Combine::Max, dtype, 0, stateOf(memory.maskLargest, row),
                     combineLanes(kb, Combine::Max, dtype, most[1], lanes)),
             memory.maskLargest, row);
}

/// Notes what the weights of a vector of rows are relative to, and how much less those of earlier
/// blocks count now.
void AttentionEmitter::rescaleRows(const Task &task, Value row) {
  const Scratch &memory = task.memory;
  nn::ScalarEmitter e = vectors();
  Value largest = advance(memory.largest, row), bases = advance(memory.bases, row);
  Value before = load(largest);
  Value found = combineRowsAt(Combine::MaxNumber, memory.maxima, row);
  Value after = combine(kb, Combine::MaxNumber, dtype, lanes, found, before);
  // Relative to 0 while there is nothing but -infinity: all weights are 0 then.
  Value base = e.select(e.equal(after, e.constant(-kInfinity)), e.constant(0), after);
  kb.store(after, largest, dtype, lanes);
  kb.store(base, bases, dtype, lanes);
  kb.store(e.exp(e.sub(before, base)), advance(memory.factors, row), dtype, lanes);
}

/// Turns the scores of a row into weights.
void AttentionEmitter::weighRow(const Block &block, Value row) {
  const Scratch &memory = block.task.memory;
  nn::ScalarEmitter e = vectors();
  Value place = scoresOf(block.task, row), bases = kb.splat(stateOf(memory.bases, row), lanes);
  Value end = endOfScores(block);
  Value sum = kb.forLoop(kb.index(0), end, lanes, {e.constant(0)}, [&](Value at, ValueRange now) {
    Value score = load(advance(place, at));
    Value weight = spec.tiled ? weightOfBf16(score, bases) : e.exp(e.sub(score, bases));
    if (group == 1) {
      kb.store(weight, advance(place, at), dtype, lanes);
      return Values{e.add(now[0], weight)};
    }
    // Rounded weights lie before the scores that are still to be read, and are what is summed up.
    Value narrow = narrowed(weight);
    kb.store(narrow, advanceFactor(place, at), spec.factors, lanes);
    nn::ScalarEmitter factors(kb.builder(), kb.loc(), spec.factors, lanes);
    return Values{e.add(now[0], factors.castTo(narrow, dtype))};
  })[0];
  Value totals = lanesOf(memory.totals, row);
  Value factor = kb.splat(stateOf(memory.factors, row), lanes);
  kb.store(e.fma(load(totals), factor, sum), totals, dtype, lanes);
}

/// sums = sums * factor + weights * values
void AttentionEmitter::addValues(const Block &block, const ValueRows &rows) {
  const Task &task = block.task;
  DotTile tile = tileOf(spec.valueVectors);
  tile.levels = {{DotTile::kRuntime, group, 2}};
  tile.rowStrideA = AttentionSpec::kBlock * dtypeBytes(dtype) / dtypeBytes(spec.factors);
  tile.packedB = false;
  kb.forLoop(kb.index(0), kb.dim(&AttentionDims::valueSize), tile.columns(), [&](Value column) {
    DotOperands operands;
    // Past the last key of a group weights and values are zero.
    operands.levels = {{kb.div(kb.add(block.keyCount, group - 1), kb.index(group)), {}}};
    operands.strideB = rows.stride;
    // Of values that are not copied only those are read that exist.
    Value columns = kb.sub(kb.dim(&AttentionDims::valueSize), column);
    if (spec.maskValueSize && group == 1)
      for (int64_t v = 0; v < tile.vectors; ++v)
        operands.activeLanes.push_back(active(columns, kb.index(v * lanes)));
    DotMicroKernel micro(kb, tile, operands);
    forEachTile(task, spec.valueHeights, [&](int64_t height, Value row) {
      Value place = advance(task.memory.sums, kb.add(kb.mul(row, valuePadded), column));
      auto at = [&](int64_t r, int64_t v) {
        return advance(place, kb.add(kb.mul(valuePadded, r), v * lanes));
      };
      Values found;
      for (int64_t r = 0; r < height; ++r) {
        Value rescale = kb.splat(stateOf(task.memory.factors, kb.add(row, r)), lanes);
        for (int64_t v = 0; v < tile.vectors; ++v)
          found.push_back(vectors().mul(load(at(r, v)), rescale));
      }
      Value weights = scoresOf(task, row);
      Value values = advanceFactor(rows.first, kb.mul(column, group));
      found = micro.accumulate(height, weights, values, std::move(found));
      for (int64_t i = 0; i < height * tile.vectors; ++i)
        kb.store(found[i], at(i / tile.vectors, i % tile.vectors), dtype, lanes);
    });
  });
}

void AttentionSpec::emit(KernelBuilder &kb) const { AttentionEmitter(kb, *this).emit(); }
