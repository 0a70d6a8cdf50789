//===- ByteLookup.cpp - tables of bytes ------------------------------------===//
#include "backends/native/kernels/ByteLookup.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// Lanes of the instruction that permutes the bytes of two vectors.
static constexpr int64_t kWide = 64;

/// The entry whose number is one byte.
static Value lookUpOne(KernelBuilder &kb, Value byte, Value table) {
  Value place = kb.builder().create<arith::ExtUIOp>(kb.loc(), kb.builder().getI64Type(), byte);
  return kb.load(kb.advance(table, place, DType::UInt8), DType::UInt8, 0);
}

/// The first lanes of `vector`, as many as are wanted; more than there are: any.
static Value resized(KernelBuilder &kb, Value vector, int64_t from, int64_t to) {
  if (from == to)
    return vector;
  constexpr int32_t kAny = -1;
  SmallVector<int32_t> lanes;
  for (int64_t i = 0; i < to; ++i)
    lanes.push_back(i < from ? static_cast<int32_t>(i) : kAny);
  return kb.builder().create<LLVM::ShuffleVectorOp>(kb.loc(), vector, vector, lanes);
}

/// The table lies in four vectors; the upper bit of a number says in which two, the next one in
/// which of these.
static Value lookUpByPermutation(KernelBuilder &kb, Value bytes, Value table, int64_t lanes) {
  OpBuilder &ops = kb.builder();
  Type type = VectorType::get({kWide}, ops.getI8Type());
  Value places = resized(kb, bytes, lanes, kWide);
  auto part = [&](int64_t i) {
    return kb.load(kb.advance(table, i * kWide, DType::UInt8), DType::UInt8, kWide);
  };
  auto fromTwo = [&](int64_t first) -> Value {
    auto name = ops.getStringAttr("llvm.x86.avx512.vpermi2var.qi.512");
    return ops
        .create<LLVM::CallIntrinsicOp>(kb.loc(), type, name,
                                       ValueRange{part(first), places, part(first + 1)})
        ->getResult(0);
  };
  Value zero = ops.create<arith::ConstantOp>(
      kb.loc(), SplatElementsAttr::get(cast<VectorType>(type), ops.getI8IntegerAttr(0)));
  Value isUpper = ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::slt, places, zero);
  Value found = ops.create<arith::SelectOp>(kb.loc(), isUpper, fromTwo(2), fromTwo(0));
  return resized(kb, found, kWide, lanes);
}

Value native::lookUpBytes(KernelBuilder &kb, Value bytes, Value table, int64_t lanes) {
  if (lanes == 0)
    return lookUpOne(kb, bytes, table);
  if (kb.target().has(Isa::BytePermute) && lanes <= kWide)
    return lookUpByPermutation(kb, bytes, table, lanes);
  OpBuilder &ops = kb.builder();
  Value found = bytes;
  for (int64_t i = 0; i < lanes; ++i) {
    Value byte = ops.create<vector::ExtractOp>(kb.loc(), bytes, i);
    found = ops.create<vector::InsertOp>(kb.loc(), lookUpOne(kb, byte, table), found, i);
  }
  return found;
}
