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

void AttentionEmitter::packRowsOfKeys(const Block &block) {
  const Task &task = block.task;
  int64_t columns = spec.scoreVectors * lanes;
  Value last = kb.sub(block.keyCount, kb.index(1));
  kb.forLoop(kb.index(0), block.keyCount, lanes, [&](Value key) {
    Value tile = kb.div(key, kb.index(columns)), column = kb.rem(key, kb.index(columns));
    Value to = advance(task.memory.keys, kb.add(kb.mul(kb.mul(tile, sizePadded), columns), column));
    // Past the last one it is read again.
    Values rows;
    for (int64_t i = 0; i < lanes; ++i) {
      Value row = kb.add(block.begin, kb.minSigned(kb.add(key, i), last));
      rows.push_back(advance(task.key, kb.mul(row, stride(&AttentionDims::key, kRow))));
    }
    kb.forLoop(kb.index(0), kb.dim(&AttentionDims::size), lanes, [&](Value at) {
      Value exists = spec.maskSize ? active(kb.dim(&AttentionDims::size), at) : Value();
      Values elements;
      for (Value row : rows)
        elements.push_back(load(advance(row, at), exists));
      elements = transposed(kb, std::move(elements));
      for (int64_t i = 0; i < lanes; ++i)
        kb.store(elements[i], advance(to, kb.mul(kb.add(at, i), columns)), dtype, lanes);
    });
  });
}

void AttentionEmitter::packColumnsOfKeys(const Block &block) {
  const Task &task = block.task;
  int64_t columns = spec.scoreVectors * lanes;
  Value from = advance(task.key, kb.mul(block.begin, stride(&AttentionDims::key, kRow)));
  kb.forLoop(kb.index(0), kb.dim(&AttentionDims::size), 1, [&](Value element) {
    Value row = advance(from, kb.mul(element, stride(&AttentionDims::key, kElement)));
    kb.forLoop(kb.index(0), block.keyCount, lanes, [&](Value key) {
      Value tile = kb.div(key, kb.index(columns)), column = kb.rem(key, kb.index(columns));
      Value at = kb.mul(kb.add(kb.mul(tile, sizePadded), element), columns);
      kb.store(load(advance(row, key), active(block.keyCount, key)),
               advance(task.memory.keys, kb.add(at, column)), dtype, lanes);
    });
  });
}

/// Values as [key][element in whole tiles], unless few rows read them: these do so where the
/// values lie.
AttentionEmitter::ValueRows AttentionEmitter::copyValues(const Block &block) {
  const Task &task = block.task;
  Value rowStride = stride(&AttentionDims::value, kRow);
  Value from = advance(task.value, kb.mul(block.begin, rowStride));
  kb.ifThen(task.copiesValues, [&] {
    kb.forLoop(kb.index(0), block.keyCount, 1, [&](Value key) {
      Value row = advance(from, kb.mul(key, rowStride));
      Value to = advance(task.memory.values, kb.mul(key, valuePadded));
      kb.forLoop(kb.index(0), kb.dim(&AttentionDims::valueSize), lanes, [&](Value at) {
        Value exists = spec.maskValueSize ? active(kb.dim(&AttentionDims::valueSize), at) : Value();
        kb.store(load(advance(row, at), exists), advance(to, at), dtype, lanes);
      });
    });
  });
  auto select = [&](Value a, Value b) {
    return kb.builder().create<arith::SelectOp>(kb.loc(), task.copiesValues, a, b);
  };
  Value first = select(task.memory.values, from);
  return {first, select(valuePadded, rowStride)};
}
