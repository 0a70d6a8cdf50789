//===- AttentionTiles.cpp - attention's products by tiles of matrices -----===//
//
// Queries are read where they lie, so that of a task's last rows a tile may begin earlier and find
// scores again that earlier rows have used already. Weights and sums of values have memory for
// whole tiles, whose rows past the last one may be anything.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/AttentionEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::native::attention;

namespace {
constexpr int64_t kHalf = TileUnit::kRows;
/// Sums are tiles 0 to 3, by rows.
constexpr int64_t kFirstA = 4, kFirstB = 6;
} // namespace

static Value callVector(KernelBuilder &kb, StringRef name, Type result, ValueRange operands) {
  OpBuilder &ops = kb.builder();
  return ops
      .create<LLVM::CallIntrinsicOp>(kb.loc(), result, ops.getStringAttr(name), operands,
                                     LLVM::FastmathFlags::none)
      ->getResult(0);
}

void AttentionEmitter::configureTiles(const Task &task) {
  // Each tile of A and of sums has as many rows as the task, 16 at most; those of B have 16.
  Value rows = kb.minSigned(task.rowCount, kb.index(kHalf));
  auto words = [&](int64_t ofRow, int64_t first, int64_t others) {
    TileUnit::Configuration shapes;
    for (int64_t tile = 0; tile < TileUnit::kTiles; ++tile) {
      shapes.rowBytes[tile] = ofRow;
      shapes.rows[tile] = tile < kFirstB ? first : others;
    }
    return shapes.words();
  };
  auto fixed = words(TileUnit::kRowBytes, 0, kHalf), each = words(0, 1, 0);
  std::array<Value, 3> configuration;
  for (size_t i = 0; i < configuration.size(); ++i)
    configuration[i] = kb.add(kb.index(fixed[i]), kb.mul(rows, each[i]));
  unit.configure(configuration);
}

void AttentionEmitter::multiplyPair(const PairOfTiles &a, const PairOfTiles &b) {
  unit.load(kFirstA, a.first, a.stride);
  unit.load(kFirstB, b.first, b.stride);
  unit.load(kFirstB + 1, b.second, b.stride);
  unit.load(kFirstA + 1, a.second, a.stride);
  for (int64_t half : {0, 1})
    for (int64_t v : {0, 1})
      unit.multiply(2 * half + v, kFirstA + half, kFirstB + v);
}

/// The scores of a slab of rows.
void AttentionEmitter::scoreTiles(const Block &block, Value row) {
  const Task &task = block.task;
  const int64_t columns = spec.scoreVectors * lanes;
  Value last = kb.sub(task.rowCount, kb.minSigned(task.rowCount, kb.index(kHalf)));
  Value rows[] = {kb.minSigned(row, last), kb.minSigned(kb.add(row, kHalf), last)};
  Value strideA = stride(&AttentionDims::query, kRow);
  Value queries[] = {advanceFactor(task.query, kb.mul(rows[0], strideA)),
                     advanceFactor(task.query, kb.mul(rows[1], strideA))};
  Value strideOfA = kb.mul(strideA, dtypeBytes(spec.factors));
  Value strideOfB = kb.index(columns * group * dtypeBytes(spec.factors));
  Value strideOfSums = kb.index(AttentionSpec::kBlock * dtypeBytes(dtype));
  kb.forLoop(kb.index(0), block.keyCount, AttentionSpec::kTileKeys, [&](Value key) {
    Value tile = kb.div(key, kb.index(columns)), column = kb.rem(key, kb.index(columns));
    Value keys = advanceFactor(
        task.memory.keys, kb.add(kb.mul(kb.mul(tile, sizePadded), columns), kb.mul(column, group)));
    for (int64_t i = 0; i < kFirstA; ++i)
      unit.clear(i);
    kb.forLoop(kb.index(0), kb.dim(&AttentionDims::size), AttentionSpec::kTileElements,
               [&](Value element) {
                 Value b = advanceFactor(keys, kb.mul(element, columns));
                 multiplyPair({advanceFactor(queries[0], element),
                               advanceFactor(queries[1], element), strideOfA},
                              {b, kb.advance(b, lanes * group, spec.factors), strideOfB});
               });
    for (int64_t half : {0, 1}) {
      Value to = advance(scoresOf(task, rows[half]), key);
      for (int64_t v : {0, 1})
        unit.store(2 * half + v, kb.advance(to, v * lanes, dtype), strideOfSums);
    }
  });
}

Value AttentionEmitter::weightOfBf16(Value score, Value base) {
  // 2^x is 2^n of the nearest integer, times a polynomial of what is left, which is within 3e-6 of
  // it (minimax, of relative error): the weights are rounded to 9 bits.
  constexpr double kLog2E = 1.4426950408889634, kLeast = -160;
  constexpr double kPolynomial[] = {9.58285e-3, 5.590643e-2, 0.24024099, 0.69312419, 1};
  OpBuilder &ops = kb.builder();
  nn::ScalarEmitter e = vectors();
  Value scale = e.constant(kLog2E), least = e.constant(kLeast);
  Value x = e.fma(score, scale, e.mul(base, e.constant(-kLog2E)));
  // Of NaN x itself.
  x = e.select(e.less(x, least), least, x);
  Value n = e.roundEven(x), rest = e.sub(x, n);
  Value sum = e.constant(kPolynomial[0]);
  for (double factor : llvm::drop_begin(kPolynomial))
    sum = e.fma(sum, rest, e.constant(factor));
  auto integer = [&](IntegerType type, int64_t value) -> Value {
    return ops.create<arith::ConstantOp>(kb.loc(), ops.getIntegerAttr(type, value));
  };
  constexpr int64_t kAllLanes = -1, kCurrentRounding = 4;
  return callVector(kb, "llvm.x86.avx512.mask.scalef.ps.512", sum.getType(),
                    {sum, n, sum, integer(ops.getI16Type(), kAllLanes),
                     integer(ops.getI32Type(), kCurrentRounding)});
}

Value AttentionEmitter::narrowed(Value weights) {
  Value flushed = spec.tiled ? kb.flushedToBFloat16(weights) : Value();
  return flushed ? flushed : vectors().castTo(weights, spec.factors);
}

/// sums = sums * factor + weights * values, of a slab of rows.
void AttentionEmitter::addTilesOfValues(const Block &block, Value row) {
  const Task &task = block.task;
  Value weights = scoresOf(task, row);
  Value second = kb.advance(weights, kHalf * AttentionSpec::kBlock, dtype);
  Value strideOfA = kb.index(AttentionSpec::kBlock * dtypeBytes(dtype));
  Value strideOfB = kb.mul(valuePadded, group * dtypeBytes(spec.factors));
  Value strideOfSums = kb.index(2 * lanes * dtypeBytes(dtype));
  Value end = kb.minSigned(kb.add(row, AttentionSpec::kTileRows), task.rowCount);
  kb.forLoop(kb.index(0), valuePadded, 2 * lanes, [&](Value column) {
    for (int64_t i = 0; i < kFirstA; ++i)
      unit.clear(i);
    Value values = advanceFactor(task.memory.values, kb.mul(column, group));
    kb.forLoop(kb.index(0), block.keyCount, AttentionSpec::kTileKeys, [&](Value key) {
      Value b = advanceFactor(values, kb.mul(key, valuePadded));
      multiplyPair({advanceFactor(weights, key), advanceFactor(second, key), strideOfA},
                   {b, kb.advance(b, lanes * group, spec.factors), strideOfB});
    });
    for (int64_t i = 0; i < kFirstA; ++i)
      unit.store(i, kb.advance(task.memory.tileSums, (i / 2 * kHalf * 2 + i % 2) * lanes, dtype),
                 strideOfSums);
    kb.forLoop(row, end, 1, [&](Value each) {
      Value from = advance(task.memory.tileSums, kb.mul(kb.sub(each, row), 2 * lanes));
      Value to = advance(task.memory.sums, kb.add(kb.mul(each, valuePadded), column));
      Value factor = kb.splat(stateOf(task.memory.factors, each), lanes);
      for (int64_t v : {0, 1}) {
        Value place = kb.advance(to, v * lanes, dtype);
        Value found = load(kb.advance(from, v * lanes, dtype));
        kb.store(vectors().fma(load(place), factor, found), place, dtype, lanes);
      }
    });
  });
}

/// Slab by slab, whose scores stay in the first cache until they are weights and are used.
void AttentionEmitter::emitSlabs(const Block &block) {
  const Task &task = block.task;
  kb.forLoop(kb.index(0), task.rowCount, AttentionSpec::kTileRows, [&](Value row) {
    scoreTiles(block, row);
    weighRows(block, row, kb.minSigned(kb.add(row, AttentionSpec::kTileRows), task.rowCount));
    addTilesOfValues(block, row);
  });
}

/// Products go over whole tiles of keys: past the last one weights are zero, and values must be
/// numbers.
void AttentionEmitter::clearValuesPast(Value keyCount, Value values) {
  Value zeros = kb.builder().create<arith::ConstantOp>(
      kb.loc(), kb.builder().getZeroAttr(VectorType::get({lanes}, kb.builder().getI32Type())));
  kb.forLoop(alignUp(keyCount, group), alignUp(keyCount, AttentionSpec::kTileKeys), group,
             [&](Value key) {
               kb.forLoop(kb.index(0), valuePadded, lanes, [&](Value at) {
                 Value place = kb.add(kb.mul(key, valuePadded), kb.mul(at, group));
                 kb.store(zeros, advanceFactor(values, place), DType::Int32, lanes);
               });
             });
}
