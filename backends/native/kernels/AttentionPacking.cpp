//===- AttentionPacking.cpp - keys and values where tiles read them -------===//
#include "backends/native/kernels/AttentionEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::native::attention;

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

Value AttentionEmitter::groupAt(Value pointer, Value active, Value second, Value activeSecond) {
  if (group == 1)
    return kb.load(pointer, spec.factors, lanes, active);
  return kb.interleave({kb.load(pointer, DType::Int16, lanes, active),
                        kb.load(second, DType::Int16, lanes, activeSecond)});
}

void AttentionEmitter::packRowsOfKeys(const Block &block) {
  const Task &task = block.task;
  int64_t columns = spec.scoreVectors * lanes;
  DType word = group == 1 ? spec.factors : DType::Int32;
  auto wordsAt = [&](Value pointer, Value exists) -> Value {
    if (group == 1)
      return kb.load(pointer, spec.factors, lanes, exists);
    return kb.builder().create<vector::BitCastOp>(
        kb.loc(), VectorType::get({lanes}, kb.builder().getI32Type()),
        kb.load(pointer, DType::Int16, lanes * group, exists));
  };
  Value last = kb.sub(block.keyCount, kb.index(1));
  kb.forLoop(kb.index(0), block.keyCount, lanes, [&](Value key) {
    Value tile = kb.div(key, kb.index(columns)), column = kb.rem(key, kb.index(columns));
    Value to = advanceFactor(
        task.memory.keys, kb.add(kb.mul(kb.mul(tile, sizePadded), columns), kb.mul(column, group)));
    // Past the last one it is read again.
    Values rows;
    for (int64_t i = 0; i < lanes; ++i) {
      Value row = kb.add(block.begin, kb.minSigned(kb.add(key, i), last));
      rows.push_back(advanceFactor(task.key, kb.mul(row, stride(&AttentionDims::key, kRow))));
    }
    kb.forLoop(kb.index(0), kb.dim(&AttentionDims::size), lanes * group, [&](Value at) {
      Value exists =
          spec.maskSize ? active(kb.dim(&AttentionDims::size), at, lanes * group) : Value();
      Values elements;
      for (Value row : rows)
        elements.push_back(wordsAt(advanceFactor(row, at), exists));
      elements = transposed(kb, std::move(elements));
      for (int64_t i = 0; i < lanes; ++i)
        kb.store(elements[i], advanceFactor(to, kb.mul(kb.add(at, i * group), columns)), word,
                 lanes);
    });
  });
}

void AttentionEmitter::packColumnsOfKeys(const Block &block) {
  const Task &task = block.task;
  int64_t columns = spec.scoreVectors * lanes;
  DType word = group == 1 ? spec.factors : DType::Int32;
  Value from = advanceFactor(task.key, kb.mul(block.begin, stride(&AttentionDims::key, kRow)));
  Value size = kb.dim(&AttentionDims::size), apart = stride(&AttentionDims::key, kElement);
  kb.forLoop(kb.index(0), size, group, [&](Value element) {
    Value row = advanceFactor(from, kb.mul(element, apart));
    kb.forLoop(kb.index(0), block.keyCount, lanes, [&](Value key) {
      Value tile = kb.div(key, kb.index(columns)), column = kb.rem(key, kb.index(columns));
      Value at =
          kb.add(kb.mul(kb.add(kb.mul(tile, sizePadded), element), columns), kb.mul(column, group));
      Value exists = active(block.keyCount, key), second, existsSecond;
      if (group > 1) {
        second = advanceFactor(row, kb.add(apart, key));
        // Of a group that is not full the rest is zero.
        Value isThere = active(size, kb.add(element, 1), 1);
        existsSecond = kb.mul(exists, isThere);
      }
      kb.store(groupAt(advanceFactor(row, key), exists, second, existsSecond),
               advanceFactor(task.memory.keys, at), word, lanes);
    });
  });
}

/// The values of key `key` of the block, or of the group that it begins, in whole tiles.
void AttentionEmitter::copyRowOfValues(Value from, Value to, const Block &block, Value key) {
  Value rowStride = stride(&AttentionDims::value, kRow), size = kb.dim(&AttentionDims::valueSize);
  Value row = advanceFactor(from, kb.mul(key, rowStride));
  // Tiles of groups read padding.
  Value end = group == 1 ? size : valuePadded;
  kb.forLoop(kb.index(0), end, lanes, [&](Value at) {
    Value exists = spec.maskValueSize ? active(size, at) : Value(), second, existsSecond;
    if (group > 1) {
      second = advanceFactor(row, kb.add(rowStride, at));
      Value isThere = active(block.keyCount, kb.add(key, 1), 1);
      existsSecond = kb.mul(exists ? exists : kb.index(lanes), isThere);
    }
    kb.store(groupAt(advanceFactor(row, at), exists, second, existsSecond),
             advanceFactor(to, kb.add(kb.mul(key, valuePadded), kb.mul(at, group))),
             group == 1 ? spec.factors : DType::Int32, lanes);
  });
}

/// Values as [key / group][element in whole tiles][group], unless few rows read them one by one:
/// these do so where the values lie.
AttentionEmitter::ValueRows AttentionEmitter::copyValues(const Block &block) {
  const Task &task = block.task;
  Value rowStride = stride(&AttentionDims::value, kRow);
  Value from = advanceFactor(task.value, kb.mul(block.begin, rowStride));
  auto copy = [&] {
    kb.forLoop(kb.index(0), block.keyCount, group,
               [&](Value key) { copyRowOfValues(from, task.memory.values, block, key); });
  };
  if (group > 1) {
    copy();
    if (spec.tiled)
      clearValuesPast(block.keyCount, task.memory.values);
    return {task.memory.values, kb.mul(valuePadded, group)};
  }
  kb.ifThen(task.copiesValues, copy);
  auto select = [&](Value a, Value b) {
    return kb.builder().create<arith::SelectOp>(kb.loc(), task.copiesValues, a, b);
  };
  Value first = select(task.memory.values, from);
  return {first, select(valuePadded, rowStride)};
}
