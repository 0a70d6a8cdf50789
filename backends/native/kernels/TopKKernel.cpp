//===- TopKKernel.cpp - the largest or smallest elements of rows ----------===//
//
// An element becomes an unsigned number, its key, in the order that is wanted: of floats the
// bits, with all NaN and both zeros made equal. A key with the inverted place below it is an
// entry; entries are all different, and the larger one is the first. The best so far
// are a heap with the last of them on top. What comes later must exceed its key, which
// vectors of keys are compared with: few pass. Sorting takes the heap down.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/TopKKernel.h"

#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/target/TileChoice.h"
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <functional>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
enum TopKDim { kLength, kCount };
enum TopKBuffer { kInput, kValues, kIndices };
/// Vectors that are compared before looking whether any element passes.
constexpr int64_t kVectors = 4;

/// Emits the kernel.
class TopKEmitter {
public:
  TopKEmitter(KernelBuilder &kb, const TopKSpec &spec)
      : kb(kb), ops(kb.builder()), spec(spec), bits(bitsOf(spec.dtype)), width(dtypeBits(bits)),
        half(width <= 32 ? 32 : 64), entryType(ops.getIntegerType(2 * half)) {}
  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitRow(task); });
  }

private:
  nn::ScalarEmitter keys(int64_t lanes) { return {ops, kb.loc(), bits, lanes}; }
  Value loadKey(Value row, Value at, int64_t lanes);
  Value keyOfFloat(Value x, int64_t lanes);

  Value entryConstant(int64_t value) {
    return ops.create<arith::ConstantOp>(kb.loc(), ops.getIntegerAttr(entryType, value));
  }
  Value makeEntry(Value key, Value at);
  Value placeOf(Value entry);
  Value keyOfTop();
  Value entryAt(Value i) {
    return ops.create<LLVM::GEPOp>(kb.loc(), kb.scratch().getType(), entryType, kb.scratch(),
                                   ArrayRef<LLVM::GEPArg>{i});
  }
  Value loadEntry(Value i) { return ops.create<LLVM::LoadOp>(kb.loc(), entryType, entryAt(i), 8); }
  void storeEntry(Value entry, Value i) {
    ops.create<LLVM::StoreOp>(kb.loc(), entry, entryAt(i), 8);
  }
  Value isLess(Value a, Value b) {
    return ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ult, a, b);
  }

  void siftDown(Value entry, Value from, Value count);
  void offer(Value row, Value at);
  /// Calls `body` with the number of each lane that is set, in order.
  void forEachSet(Value mask, int64_t lanes, const std::function<void(Value lane)> &body);
  void scan(Value row);
  void emitRow(Value task);

  KernelBuilder &kb;
  OpBuilder &ops;
  const TopKSpec &spec;
  /// The unsigned type of keys and its bits; half of an entry's bits.
  DType bits;
  int width, half;
  Type entryType;
};
} // namespace

//===----------------------------------------------------------------------===//
// Keys and entries
//===----------------------------------------------------------------------===//

/// The bits of infinity of a float type.
static int64_t infinityOf(DType dtype) {
  switch (dtype) {
  case DType::Float64:
    return 0x7ff0000000000000;
  case DType::Float32:
    return 0x7f800000;
  case DType::Float16:
    return 0x7c00;
  default:
    return 0x7f80;
  }
}

/// Negative floats have their bits inverted, others get the sign bit.
Value TopKEmitter::keyOfFloat(Value x, int64_t lanes) {
  nn::ScalarEmitter e = keys(lanes);
  auto signBit = static_cast<int64_t>(uint64_t{1} << (width - 1));
  Value sign = e.integerConstant(signBit);
  Value negative = ops.create<arith::ShRSIOp>(kb.loc(), x, e.integerConstant(width - 1));
  Value ordered = e.logicalXor(x, e.logicalOr(negative, sign));
  Value magnitude = e.logicalAnd(x, e.integerConstant(~signBit));
  Value isNan = e.less(e.integerConstant(infinityOf(spec.dtype)), magnitude);
  Value isZero = e.equal(magnitude, e.integerConstant(0));
  return e.select(isNan, e.integerConstant(-1), e.select(isZero, sign, ordered));
}

Value TopKEmitter::loadKey(Value row, Value at, int64_t lanes) {
  nn::ScalarEmitter e = keys(lanes);
  Value key = kb.load(kb.advance(row, at, bits), bits, lanes);
  if (isFloat(spec.dtype))
    key = keyOfFloat(key, lanes);
  else if (isSignedInteger(spec.dtype))
    key = e.logicalXor(key, e.integerConstant(static_cast<int64_t>(uint64_t{1} << (width - 1))));
  return spec.largest ? key : e.logicalXor(key, e.integerConstant(-1));
}

Value TopKEmitter::makeEntry(Value key, Value at) {
  Value high = ops.create<arith::ExtUIOp>(kb.loc(), entryType, key);
  high = ops.create<arith::ShLIOp>(kb.loc(), high, entryConstant(half));
  Value inverted = kb.sub(kb.index(kMaxTopKLength), at);
  Value low = entryType == inverted.getType()
                  ? inverted
                  : Value(ops.create<arith::ExtUIOp>(kb.loc(), entryType, inverted));
  return ops.create<arith::OrIOp>(kb.loc(), high, low);
}

Value TopKEmitter::placeOf(Value entry) {
  Value low = ops.create<arith::AndIOp>(kb.loc(), entry, entryConstant(kMaxTopKLength));
  if (entryType != ops.getI64Type())
    low = ops.create<arith::TruncIOp>(kb.loc(), ops.getI64Type(), low);
  return kb.sub(kb.index(kMaxTopKLength), low);
}

Value TopKEmitter::keyOfTop() {
  Value key = ops.create<arith::ShRUIOp>(kb.loc(), loadEntry(kb.index(0)), entryConstant(half));
  return ops.create<arith::TruncIOp>(kb.loc(), nn::registerType(ops.getContext(), bits, 0), key);
}

//===----------------------------------------------------------------------===//
// Heap
//===----------------------------------------------------------------------===//

/// Puts `entry` in the place `from` of the first `count` entries, or below where smaller
/// ones are, which move up. No branch but the loop's.
void TopKEmitter::siftDown(Value entry, Value from, Value count) {
  Value last = kb.sub(count, kb.index(1));
  auto loop = ops.create<scf::WhileOp>(
      kb.loc(), TypeRange{ops.getI64Type(), ops.getI64Type(), entryType}, ValueRange{from},
      [&](OpBuilder &inner, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
        Value first = kb.add(kb.add(carried[0], carried[0]), 1);
        Value a = kb.minSigned(first, last), b = kb.minSigned(kb.add(first, 1), last);
        Value x = loadEntry(a), y = loadEntry(b);
        Value isSecond = isLess(y, x);
        auto select = [&](Value p, Value q) -> Value {
          return ops.create<arith::SelectOp>(kb.loc(), isSecond, p, q);
        };
        Value child = select(y, x);
        Value moves =
            ops.create<arith::AndIOp>(kb.loc(), kb.lessThan(first, count), isLess(child, entry));
        ops.create<scf::ConditionOp>(kb.loc(), moves, ValueRange{carried[0], select(b, a), child});
      },
      [&](OpBuilder &inner, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
        storeEntry(carried[2], carried[0]);
        ops.create<scf::YieldOp>(kb.loc(), ValueRange{carried[1]});
      });
  storeEntry(entry, loop.getResult(0));
}

/// Takes in the element at `at` if it is larger than the last of the best.
void TopKEmitter::offer(Value row, Value at) {
  Value key = loadKey(row, at, 0);
  kb.ifThen(keys(0).less(keyOfTop(), key),
            [&] { siftDown(makeEntry(key, at), kb.index(0), kb.dim(kCount)); });
}

void TopKEmitter::forEachSet(Value mask, int64_t lanes,
                             const std::function<void(Value lane)> &body) {
  Type i64 = ops.getI64Type();
  Value set =
      ops.create<LLVM::BitcastOp>(kb.loc(), ops.getIntegerType(static_cast<unsigned>(lanes)), mask);
  if (lanes < 64)
    set = ops.create<arith::ExtUIOp>(kb.loc(), i64, set);
  ops.create<scf::WhileOp>(
      kb.loc(), TypeRange{i64}, ValueRange{set},
      [&](OpBuilder &inner, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
        Value isSet =
            ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ne, carried[0], kb.index(0));
        ops.create<scf::ConditionOp>(kb.loc(), isSet, carried);
      },
      [&](OpBuilder &inner, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
        body(ops.create<math::CountTrailingZerosOp>(kb.loc(), carried[0]));
        Value rest =
            ops.create<arith::AndIOp>(kb.loc(), carried[0], kb.sub(carried[0], kb.index(1)));
        ops.create<scf::YieldOp>(kb.loc(), rest);
      });
}

/// All elements after the first `count`.
void TopKEmitter::scan(Value row) {
  int64_t lanes = kb.target().lanes(bits), wide = lanes * kVectors;
  Value length = kb.dim(kLength), count = kb.dim(kCount);
  Value wideEnd = kb.sub(length, kb.rem(kb.sub(length, count), kb.index(wide)));
  kb.forLoop(count, wideEnd, wide, [&](Value at) {
    Value top = kb.splat(keyOfTop(), lanes), passes[kVectors], any;
    auto anyLane = [&](Value mask) -> Value {
      return ops.create<vector::ReductionOp>(kb.loc(), vector::CombiningKind::OR, mask);
    };
    for (int64_t v = 0; v < kVectors; ++v) {
      passes[v] = keys(lanes).less(top, loadKey(row, kb.add(at, v * lanes), lanes));
      any = v == 0 ? passes[v] : Value(ops.create<arith::OrIOp>(kb.loc(), any, passes[v]));
    }
    kb.ifThen(anyLane(any), [&] {
      for (int64_t v = 0; v < kVectors; ++v)
        forEachSet(passes[v], lanes,
                   [&](Value lane) { offer(row, kb.add(kb.add(at, v * lanes), lane)); });
    });
  });
  kb.forLoop(wideEnd, length, 1, [&](Value at) { offer(row, at); });
}

void TopKEmitter::emitRow(Value task) {
  Value count = kb.dim(kCount), one = kb.index(1);
  Value row = kb.advance(kb.buffer(kInput), kb.mul(task, kb.dim(kLength)), spec.dtype);
  kb.forLoop(kb.index(0), count, 1,
             [&](Value i) { storeEntry(makeEntry(loadKey(row, i, 0), i), i); });
  Value parents = kb.div(count, kb.index(2));
  kb.forLoop(kb.index(0), parents, 1, [&](Value i) {
    Value parent = kb.sub(kb.sub(parents, one), i);
    siftDown(loadEntry(parent), parent, count);
  });
  scan(row);
  // The last of what is left goes to the end of it.
  kb.forLoop(one, count, 1, [&](Value i) {
    Value end = kb.sub(count, i);
    Value last = loadEntry(kb.index(0)), moved = loadEntry(end);
    siftDown(moved, kb.index(0), end);
    storeEntry(last, end);
  });
  Value to = kb.mul(task, count);
  kb.forLoop(kb.index(0), count, 1, [&](Value i) {
    Value place = placeOf(loadEntry(i)), at = kb.add(to, i);
    kb.store(kb.load(kb.advance(row, place, bits), bits, 0),
             kb.advance(kb.buffer(kValues), at, bits), bits, 0);
    kb.store(place, kb.advance(kb.buffer(kIndices), at, DType::Int64), DType::Int64, 0);
  });
}

void TopKSpec::emit(KernelBuilder &kb) const { TopKEmitter(kb, *this).emit(); }

LoweredStep native::selectTopK(const TopKSpec &spec, const TopKShape &shape, StepBuffer input,
                               StepBuffer values, StepBuffer indices) {
  LoweredStep step;
  step.buffers = {std::move(input), std::move(values), std::move(indices)};
  step.dims = {shape.length, shape.count};
  step.tasks = shape.rows;
  int64_t bytes = dtypeBytes(spec.dtype);
  step.scratchBytes = shape.count * (bytes <= 4 ? 8 : 16);
  // Each of the best is moved through the heap, about once for each doubling of the row.
  int64_t rowBytes = shape.length * bytes + 128 * shape.count;
  step.grain = chooseMoveGrain(rowBytes);
  step.kernel = kernelOf(spec);
  return step;
}
