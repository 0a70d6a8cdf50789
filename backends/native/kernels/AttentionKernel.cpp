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

//===----------------------------------------------------------------------===//
// The task
//===----------------------------------------------------------------------===//

void AttentionEmitter::placeScratch() {
  Value at = kb.scratch();
  auto take = [&](Value elements) {
    Value here = at;
    at = advance(at, elements);
    return here;
  };
  packedKeys = take(kb.mul(sizePadded, AttentionSpec::kBlock));
  packedValues = take(kb.mul(valuePadded, AttentionSpec::kBlock));
  scores = take(kb.mul(kb.dim(kRows), AttentionSpec::kBlock));
  sums = take(kb.mul(kb.dim(kRows), valuePadded));
  largest = take(kb.dim(kRows));
  totals = take(kb.dim(kRows));
  factors = take(kb.dim(kRows));
  maskLargest = take(kb.dim(kRows));
}

void AttentionEmitter::emitTask(Value task) {
  placeScratch();
  Value ofHead = kb.div(task, kb.dim(kChunks));
  batch = kb.div(ofHead, kb.dim(kHeads));
  head = kb.rem(ofHead, kb.dim(kHeads));
  firstQuery = kb.mul(kb.rem(task, kb.dim(kChunks)), kb.dim(kRows));
  rowCount = kb.minSigned(kb.dim(kRows), kb.sub(kb.dim(kQueries), firstQuery));
  copiesValues = kb.lessThan(kb.index(kRowsThatPayCopies - 1), rowCount);
  auto base = [&](int64_t buffer, int64_t strides, Value ownHead, Value row,
                  std::optional<DType> type = {}) {
    Value at =
        kb.add(kb.mul(batch, stride(strides, kBatch)), kb.mul(ownHead, stride(strides, kHead)));
    Value from = kb.add(at, kb.mul(row, stride(strides, kRow)));
    return kb.advance(kb.buffer(buffer), from, type.value_or(dtype));
  };
  Value none = kb.index(0);
  queryBase = base(kQuery, kOfQuery, head, firstQuery);
  keyBase = base(kKey, kOfKey, kb.div(head, kb.dim(kKeyGroup)), none);
  valueBase = base(kValue, kOfValue, kb.div(head, kb.dim(kValueGroup)), none);
  resultBase = base(kResult, kOfResult, head, firstQuery);
  if (mask != kAbsent)
    maskBase = base(mask, kOfMask, head, firstQuery);
  if (condition != kAbsent)
    conditionBase = base(condition, kOfCondition, head, firstQuery, DType::Bool);
  factor = scalars().constant(spec.scale);
  if (scale != kAbsent)
    factor = scalars().mul(factor, kb.load(kb.buffer(scale), dtype, 0));
  Value seen = kb.dim(kKeys);
  if (spec.causal) {
    // No further than it matters, so that sums do not overflow.
    offsetValue = offset == kAbsent ? kb.index(0) : kb.load(kb.buffer(offset), DType::Int64, 0);
    offsetValue = kb.maxSigned(offsetValue, kb.sub(kb.index(-1), kb.dim(kQueries)));
    offsetValue = kb.minSigned(offsetValue, kb.dim(kKeys));
    Value end = kb.add(kb.add(firstQuery, rowCount), offsetValue);
    seen = kb.maxSigned(kb.index(0), kb.minSigned(seen, end));
  }
  startRows();
  kb.forLoop(none, seen, AttentionSpec::kBlock, [&](Value begin) {
    keyCount = kb.minSigned(kb.sub(seen, begin), kb.index(AttentionSpec::kBlock));
    emitBlock(begin);
  });
  kb.forLoop(none, rowCount, 1, [&](Value row) { finishRow(row); });
}

void AttentionEmitter::startRows() {
  nn::ScalarEmitter e = scalars();
  Value least = e.constant(-kInfinity), zero = e.constant(0), zeros = vectors().constant(0);
  kb.forLoop(kb.index(0), rowCount, 1, [&](Value row) {
    setState(least, largest, row);
    setState(zero, totals, row);
    setState(least, maskLargest, row);
    kb.forLoop(kb.index(0), valuePadded, lanes, [&](Value at) {
      kb.store(zeros, advance(sums, kb.add(kb.mul(row, valuePadded), at)), dtype, lanes);
    });
  });
}

void AttentionEmitter::emitBlock(Value begin) {
  blockBegin = begin;
  if (spec.rowsOfKeys)
    packRowsOfKeys();
  else
    packColumnsOfKeys();
  copyValues();
  emitScores();
  kb.forLoop(kb.index(0), rowCount, 1, [&](Value row) { weighRow(row); });
  addValues();
}

void AttentionEmitter::finishRow(Value row) {
  nn::ScalarEmitter e = scalars(), v = vectors();
  // Without any keys all is 0, as of a product over nothing.
  Value isEmpty = kb.lessThan(kb.dim(kKeys), kb.index(1));
  if (spec.zeroMaskedRows)
    isEmpty = e.logicalOr(isEmpty, isMinusInfinity(stateOf(maskLargest, row)));
  Value total = kb.splat(stateOf(totals, row), lanes);
  Value to = advance(resultBase, kb.mul(row, stride(kOfResult, kRow)));
  Value from = advance(sums, kb.mul(row, valuePadded));
  kb.forLoop(kb.index(0), kb.dim(kValueSize), lanes, [&](Value at) {
    Value quotient = v.div(load(advance(from, at)), total);
    Value result = kb.builder().create<arith::SelectOp>(kb.loc(), isEmpty, v.constant(0), quotient);
    Value exists = spec.maskValueSize ? active(kb.dim(kValueSize), at) : Value();
    kb.store(result, advance(to, at), dtype, lanes, exists);
  });
}

//===----------------------------------------------------------------------===//
// A block
//===----------------------------------------------------------------------===//

/// Calls `body` with tiles that cover the rows: a height, and the first row.
void AttentionEmitter::forEachTile(TileHeights heights,
                                   const std::function<void(int64_t, Value)> &body) {
  Value row = kb.index(0);
  for (int64_t height : heights) {
    Value left = kb.sub(rowCount, row);
    Value end = kb.add(row, kb.mul(kb.div(left, kb.index(height)), height));
    kb.forLoop(row, end, height, [&](Value first) { body(height, first); });
    row = end;
  }
}

DotTile AttentionEmitter::tileOf(int64_t vectors) const {
  DotTile tile;
  tile.types = DotTypes::all(dtype);
  tile.lanes = lanes;
  tile.vectors = vectors;
  return tile;
}

void AttentionEmitter::emitScores() {
  DotTile tile = tileOf(spec.scoreVectors);
  tile.levels = {{DotTile::kRuntime, spec.stridedQuery ? DotTile::kRuntime : 1, 2}};
  DotOperands operands;
  operands.levels = {{kb.dim(kSize), stride(kOfQuery, kElement)}};
  operands.rowStrideA = stride(kOfQuery, kRow);
  DotMicroKernel micro(kb, tile, operands);
  kb.forLoop(kb.index(0), keyCount, tile.columns(), [&](Value column) {
    Value keys = advance(packedKeys, kb.mul(column, sizePadded));
    forEachTile(spec.scoreHeights, [&](int64_t height, Value row) {
      Value queries = advance(queryBase, kb.mul(row, operands.rowStrideA));
      Values found = micro.accumulate(height, queries, keys, micro.zeros(height));
      Value to = advance(scores, kb.add(kb.mul(row, AttentionSpec::kBlock), column));
      for (int64_t i = 0; i < height * tile.vectors; ++i) {
        int64_t at = i / tile.vectors * AttentionSpec::kBlock + i % tile.vectors * lanes;
        kb.store(found[i], kb.advance(to, at, dtype), dtype, lanes);
      }
    });
  });
}

/// The products of a row from key `at` of the block on, scaled and bent.
Value AttentionEmitter::productAt(Value row, Value at) {
  nn::ScalarEmitter e = vectors();
  Value place = advance(scores, kb.add(kb.mul(row, AttentionSpec::kBlock), at));
  Value score = rounded(load(place));
  if (spec.scale != 1 || spec.hasScale)
    score = rounded(e.mul(score, kb.splat(factor, lanes)));
  if (spec.softcap == 0)
    return score;
  Value cap = e.constant(spec.softcap);
  return rounded(e.mul(rounded(e.tanh(rounded(e.div(score, cap)))), cap));
}

/// What mask or condition, of elements of `type`, has for a row from key `at` on.
Value AttentionEmitter::readMask(AttentionSpec::Mask kind, Operand of, DType type, Value base,
                                 Value row, Value at, Value active) {
  Value from = kb.advance(base, kb.mul(row, stride(of, kRow)), type);
  if (kind == AttentionSpec::Mask::Scalar)
    return kb.splat(kb.load(from, type, 0), lanes);
  return kb.load(kb.advance(from, kb.add(blockBegin, at), type), type, lanes, active);
}

/// The scores of a row from key `at` of the block on, as the softmax gets them; -infinity where
/// no key is active (null: all are). `maskMax` collects the largest of the mask.
Value AttentionEmitter::scoreAt(Value row, Value at, Value active, Value &maskMax) {
  nn::ScalarEmitter e = vectors();
  Value score = productAt(row, at);
  // Whatever the product is, NaN and infinities too.
  if (condition != kAbsent)
    score = e.select(
        readMask(spec.condition, kOfCondition, DType::Bool, conditionBase, row, at, active), score,
        e.constant(spec.hiddenScore));
  Value none = e.constant(-kInfinity), added;
  if (mask != kAbsent) {
    added = readMask(spec.mask, kOfMask, dtype, maskBase, row, at, active);
    score = e.add(score, added);
    if (spec.roundSums)
      score = rounded(score);
  }
  if (spec.zeroMaskedRows) {
    Value found = added ? added : e.constant(0);
    maskMax = combine(kb, Combine::Max, dtype, lanes, maskMax,
                      active ? keep(found, none, active) : found);
  }
  return active ? keep(score, none, active) : score;
}

/// Turns the scores of a row into weights, and notes what they are relative to and how much
/// less those of earlier blocks count now.
void AttentionEmitter::weighRow(Value row) {
  nn::ScalarEmitter e = vectors(), s = scalars();
  Value seen = keyCount;
  if (spec.causal) {
    Value last = kb.add(kb.add(firstQuery, row), kb.add(offsetValue, 1));
    seen = kb.maxSigned(kb.index(0), kb.minSigned(seen, kb.sub(last, blockBegin)));
  }
  Value whole = kb.mul(kb.div(seen, kb.index(lanes)), lanes), end = alignUp(keyCount, lanes);
  Value place = advance(scores, kb.mul(row, AttentionSpec::kBlock));
  Value none = e.constant(-kInfinity);
  auto pass = [&](Value from, Value to, bool masked, ValueRange carried) {
    return kb.forLoop(from, to, lanes, carried, [&](Value at, ValueRange now) -> Values {
      Value maskMax = now[1];
      Value score = scoreAt(row, at, masked ? active(seen, at) : Value(), maskMax);
      kb.store(score, advance(place, at), dtype, lanes);
      return {combine(kb, Combine::Max, dtype, lanes, now[0], score), maskMax};
    });
  };
  Values most = pass(kb.index(0), whole, /*masked=*/false, {none, none});
  most = pass(whole, end, /*masked=*/true, most);
  Value before = stateOf(largest, row);
  Value after = combine(kb, Combine::Max, dtype, 0, before,
                        combineLanes(kb, Combine::Max, dtype, most[0], lanes));
  if (spec.zeroMaskedRows)
    setState(combine(kb, Combine::Max, dtype, 0, stateOf(maskLargest, row),
                     combineLanes(kb, Combine::Max, dtype, most[1], lanes)),
             maskLargest, row);
  // Relative to 0 while there is nothing but -infinity: all weights are 0 then.
  Value base = s.select(isMinusInfinity(after), s.constant(0), after);
  Value bases = kb.splat(base, lanes);
  Value sum = kb.forLoop(kb.index(0), end, lanes, {e.constant(0)}, [&](Value at, ValueRange now) {
    Value weight = e.exp(e.sub(load(advance(place, at)), bases));
    kb.store(weight, advance(place, at), dtype, lanes);
    return Values{e.add(now[0], weight)};
  })[0];
  Value rescale = s.exp(s.sub(before, base));
  setState(after, largest, row);
  setState(rescale, factors, row);
  setState(s.fma(stateOf(totals, row), rescale, combineLanes(kb, Combine::Add, dtype, sum, lanes)),
           totals, row);
}

/// sums = sums * factor + weights * values
void AttentionEmitter::addValues() {
  DotTile tile = tileOf(spec.valueVectors);
  tile.levels = {{DotTile::kRuntime, 1, 2}};
  tile.rowStrideA = AttentionSpec::kBlock;
  tile.packedB = false;
  kb.forLoop(kb.index(0), kb.dim(kValueSize), tile.columns(), [&](Value column) {
    DotOperands operands;
    operands.levels = {{keyCount, {}}};
    operands.strideB = valueStride;
    // Of values that are not copied only those are read that exist.
    Value columns = kb.sub(kb.dim(kValueSize), column);
    if (spec.maskValueSize)
      for (int64_t v = 0; v < tile.vectors; ++v)
        operands.activeLanes.push_back(active(columns, kb.index(v * lanes)));
    DotMicroKernel micro(kb, tile, operands);
    forEachTile(spec.valueHeights, [&](int64_t height, Value row) {
      Value place = advance(sums, kb.add(kb.mul(row, valuePadded), column));
      auto at = [&](int64_t r, int64_t v) {
        return advance(place, kb.add(kb.mul(valuePadded, r), v * lanes));
      };
      Values found;
      for (int64_t r = 0; r < height; ++r) {
        Value rescale = kb.splat(stateOf(factors, kb.add(row, r)), lanes);
        for (int64_t v = 0; v < tile.vectors; ++v)
          found.push_back(vectors().mul(load(at(r, v)), rescale));
      }
      Value weights = advance(scores, kb.mul(row, AttentionSpec::kBlock));
      found = micro.accumulate(height, weights, advance(valueRows, column), std::move(found));
      for (int64_t i = 0; i < height * tile.vectors; ++i)
        kb.store(found[i], at(i / tile.vectors, i % tile.vectors), dtype, lanes);
    });
  });
}

KernelSpec native::makeAttentionKernel(const AttentionSpec &spec) {
  std::string key = "attention/" + spec.key();
  return {"attention", std::move(key),
          [spec](KernelBuilder &kb) { AttentionEmitter(kb, spec).emit(); }};
}
