//===- AttentionKernel.cpp - attention in blocks of keys ------------------===//
#include "backends/native/kernels/AttentionKernel.h"

#include "backends/native/kernels/DotMicroKernel.h"
#include "backends/native/kernels/RowReduction.h"
#include "ir/ScalarEmitter.h"
#include "runtime/lib/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <bit>
#include <fmt/format.h>
#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::native;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

//===----------------------------------------------------------------------===//
// Keys, sizes
//===----------------------------------------------------------------------===//

std::string AttentionSpec::key() const {
  std::string key = fmt::format("{} {} {} {} {} {} {} ", dtypeName(dtype), lanes, scoreVectors,
                                valueVectors, std::bit_cast<uint64_t>(scale),
                                std::bit_cast<uint64_t>(softcap), static_cast<int>(mask));
  for (bool flag : {hasScale, causal, hasOffset, zeroMaskedRows, rowsOfKeys, stridedQuery, maskSize,
                    maskValueSize})
    key += flag ? '1' : '0';
  return key;
}

std::vector<int64_t> AttentionSizes::flatten(const AttentionShape &s) const {
  std::vector<int64_t> dims = {s.heads, s.queries, s.keys,      s.size,       s.valueSize,
                               rows,    chunks,    s.key.group, s.value.group};
  for (const AttentionOperand *operand : {&s.query, &s.key, &s.value, &s.result, &s.mask})
    dims.insert(dims.end(), operand->strides.begin(), operand->strides.end());
  return dims;
}

CheckedSize AttentionSizes::scratch(const AttentionSpec &spec, const AttentionShape &shape,
                                    int64_t rows) {
  CheckedSize size = CheckedSize(shape.size).alignedTo(spec.lanes),
              valueSize = CheckedSize(shape.valueSize).alignedTo(spec.valueVectors * spec.lanes);
  constexpr int64_t kStates = 4; // of a row
  return CheckedSize(AttentionSpec::kBlock) * (size + valueSize) +
         CheckedSize(rows) * (valueSize + CheckedSize(AttentionSpec::kBlock + kStates));
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
enum Dim { kHeads, kQueries, kKeys, kSize, kValueSize, kRows, kChunks, kKeyGroup, kValueGroup };
/// Whose strides follow, four each.
enum Operand { kOfQuery, kOfKey, kOfValue, kOfResult, kOfMask };
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
  Value isMinusInfinity(Value scalar) {
    nn::ScalarEmitter e = scalars();
    return e.equal(scalar, e.constant(-kInfinity));
  }

  KernelBuilder &kb;
  const AttentionSpec &spec;
  DType dtype;
  int64_t lanes;
  int64_t mask, scale, offset;
  Value sizePadded, valuePadded;
  // Of the task.
  Value batch, head, firstQuery, rowCount, queryBase, keyBase, valueBase, maskBase, resultBase;
  Value factor, offsetValue, copiesValues;
  // Of the worker.
  Value packedKeys, packedValues, scores, sums, largest, totals, factors, maskLargest;
  // Of the block.
  Value blockBegin, keyCount, valueRows, valueStride;
};
} // namespace

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
  auto base = [&](int64_t buffer, int64_t strides, Value ownHead, Value row) {
    Value at =
        kb.add(kb.mul(batch, stride(strides, kBatch)), kb.mul(ownHead, stride(strides, kHead)));
    return advance(kb.buffer(buffer), kb.add(at, kb.mul(row, stride(strides, kRow))));
  };
  Value none = kb.index(0);
  queryBase = base(kQuery, kOfQuery, head, firstQuery);
  keyBase = base(kKey, kOfKey, kb.div(head, kb.dim(kKeyGroup)), none);
  valueBase = base(kValue, kOfValue, kb.div(head, kb.dim(kValueGroup)), none);
  resultBase = base(kResult, kOfResult, head, firstQuery);
  if (mask != kAbsent)
    maskBase = base(mask, kOfMask, head, firstQuery);
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
// Keys and values of a block
//===----------------------------------------------------------------------===//

/// The transposed matrix of as many vectors as they have lanes: each step puts the lanes of
/// two vectors, half of all apart, between each other.
static KernelBuilder::Values transposed(KernelBuilder &kb, KernelBuilder::Values rows) {
  auto count = static_cast<int64_t>(rows.size());
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < count / 2; ++i) {
    low.append({i, count + i});
    high.append({count / 2 + i, count + count / 2 + i});
  }
  for (int64_t step = 1; step < count; step *= 2) {
    KernelBuilder::Values next;
    for (int64_t i = 0; i < count / 2; ++i)
      for (ArrayRef<int64_t> order : {ArrayRef(low), ArrayRef(high)})
        next.push_back(
            kb.builder().create<vector::ShuffleOp>(kb.loc(), rows[i], rows[count / 2 + i], order));
    rows = std::move(next);
  }
  return rows;
}

void AttentionEmitter::packRowsOfKeys() {
  int64_t columns = spec.scoreVectors * lanes;
  Value last = kb.sub(keyCount, kb.index(1));
  kb.forLoop(kb.index(0), keyCount, lanes, [&](Value key) {
    Value tile = kb.div(key, kb.index(columns)), column = kb.rem(key, kb.index(columns));
    Value to = advance(packedKeys, kb.add(kb.mul(kb.mul(tile, sizePadded), columns), column));
    // Past the last one it is read again.
    Values rows;
    for (int64_t i = 0; i < lanes; ++i) {
      Value row = kb.add(blockBegin, kb.minSigned(kb.add(key, i), last));
      rows.push_back(advance(keyBase, kb.mul(row, stride(kOfKey, kRow))));
    }
    kb.forLoop(kb.index(0), kb.dim(kSize), lanes, [&](Value at) {
      Value exists = spec.maskSize ? active(kb.dim(kSize), at) : Value();
      Values elements;
      for (Value row : rows)
        elements.push_back(load(advance(row, at), exists));
      elements = transposed(kb, std::move(elements));
      for (int64_t i = 0; i < lanes; ++i)
        kb.store(elements[i], advance(to, kb.mul(kb.add(at, i), columns)), dtype, lanes);
    });
  });
}

void AttentionEmitter::packColumnsOfKeys() {
  int64_t columns = spec.scoreVectors * lanes;
  Value from = advance(keyBase, kb.mul(blockBegin, stride(kOfKey, kRow)));
  kb.forLoop(kb.index(0), kb.dim(kSize), 1, [&](Value element) {
    Value row = advance(from, kb.mul(element, stride(kOfKey, kElement)));
    kb.forLoop(kb.index(0), keyCount, lanes, [&](Value key) {
      Value tile = kb.div(key, kb.index(columns)), column = kb.rem(key, kb.index(columns));
      Value at = kb.mul(kb.add(kb.mul(tile, sizePadded), element), columns);
      kb.store(load(advance(row, key), active(keyCount, key)),
               advance(packedKeys, kb.add(at, column)), dtype, lanes);
    });
  });
}

/// Values as [key][element in whole tiles], unless few rows read them: these do so where the
/// values lie.
void AttentionEmitter::copyValues() {
  Value rowStride = stride(kOfValue, kRow);
  Value from = advance(valueBase, kb.mul(blockBegin, rowStride));
  kb.ifThen(copiesValues, [&] {
    kb.forLoop(kb.index(0), keyCount, 1, [&](Value key) {
      Value row = advance(from, kb.mul(key, rowStride));
      Value to = advance(packedValues, kb.mul(key, valuePadded));
      kb.forLoop(kb.index(0), kb.dim(kValueSize), lanes, [&](Value at) {
        Value exists = spec.maskValueSize ? active(kb.dim(kValueSize), at) : Value();
        kb.store(load(advance(row, at), exists), advance(to, at), dtype, lanes);
      });
    });
  });
  auto select = [&](Value a, Value b) {
    return kb.builder().create<arith::SelectOp>(kb.loc(), copiesValues, a, b);
  };
  valueRows = select(packedValues, from);
  valueStride = select(valuePadded, rowStride);
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

/// The scores of a row from key `at` of the block on, as the softmax gets them; -infinity where
/// no key is active (null: all are). `maskMax` collects the largest of the mask.
Value AttentionEmitter::scoreAt(Value row, Value at, Value active, Value &maskMax) {
  nn::ScalarEmitter e = vectors();
  Value place = advance(scores, kb.add(kb.mul(row, AttentionSpec::kBlock), at));
  Value score = e.mul(load(place), kb.splat(factor, lanes));
  if (spec.softcap != 0) {
    Value cap = e.constant(spec.softcap);
    score = e.mul(e.tanh(e.div(score, cap)), cap);
  }
  Value none = e.constant(-kInfinity);
  if (mask != kAbsent) {
    Value from = advance(maskBase, kb.mul(row, stride(kOfMask, kRow)));
    Value added = spec.mask == AttentionSpec::Mask::Row
                      ? load(advance(from, kb.add(blockBegin, at)), active)
                      : kb.splat(kb.load(from, dtype, 0), lanes);
    score = e.add(score, added);
    if (spec.zeroMaskedRows)
      maskMax = combine(kb, Combine::Max, dtype, lanes, maskMax,
                        active ? keep(added, none, active) : added);
  } else if (spec.zeroMaskedRows) {
    Value zero = e.constant(0);
    maskMax =
        combine(kb, Combine::Max, dtype, lanes, maskMax, active ? keep(zero, none, active) : zero);
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
