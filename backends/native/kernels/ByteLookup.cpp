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

constexpr int64_t kRow = 16, kRows = 16;

/// Memory of 16 vectors: each row of the table, less what the one before it has, over and over.
/// The first and the middle one are as they are.
static Value differencesOfRows(KernelBuilder &kb, Value table, int64_t lanes) {
  Value memory = kb.stackSpace(DType::UInt8, kRows * lanes), before;
  SmallVector<int64_t> repeated;
  for (int64_t i = 0; i < lanes; ++i)
    repeated.push_back(i % kRow);
  for (int64_t i = 0; i < kRows; ++i) {
    Value row = kb.load(kb.advance(table, i * kRow, DType::UInt8), DType::UInt8, kRow);
    Value difference =
        i % (kRows / 2) == 0 ? row : kb.builder().create<arith::XOrIOp>(kb.loc(), row, before);
    kb.store(kb.builder().create<vector::ShuffleOp>(kb.loc(), difference, difference, repeated),
             kb.advance(memory, i * lanes, DType::UInt8), DType::UInt8, lanes);
    before = row;
  }
  return memory;
}

/// The table lies in 16 rows, of which PSHUFB finds the entries of the numbers that are not
/// negative, by their lower half, and zeros of others. A number n is taken 16 from until it is
/// negative, once for each row; those above 127 count as negative the first time, and are moved by
/// 128 the second time. What is found of differences is together row n / 16.
static Value lookUpByRows(KernelBuilder &kb, Value bytes, Value rows, int64_t lanes) {
  OpBuilder &ops = kb.builder();
  auto type = VectorType::get({lanes}, ops.getI8Type());
  auto each = [&](int8_t byte) -> Value {
    return ops.create<arith::ConstantOp>(kb.loc(),
                                         SplatElementsAttr::get(type, ops.getI8IntegerAttr(byte)));
  };
  auto call = [&](StringRef name, ValueRange operands) {
    return ops.create<LLVM::CallIntrinsicOp>(kb.loc(), type, ops.getStringAttr(name), operands)
        ->getResult(0);
  };
  StringRef permute = lanes == kWide ? "llvm.x86.avx512.pshuf.b.512" : "llvm.x86.avx2.pshuf.b";
  Value found = each(0), left = bytes;
  for (int64_t i = 0; i < kRows; ++i) {
    if (i == kRows / 2)
      left = ops.create<arith::XOrIOp>(kb.loc(), bytes, each(INT8_MIN));
    else if (i > 0)
      left = call("llvm.ssub.sat", {left, each(kRow)});
    Value row = kb.load(kb.advance(rows, i * lanes, DType::UInt8), DType::UInt8, lanes);
    found = ops.create<arith::XOrIOp>(kb.loc(), found, call(permute, {row, left}));
  }
  return found;
}

Value native::lookUpBytes(KernelBuilder &kb, Value bytes, Value table, int64_t lanes) {
  if (lanes == 0)
    return lookUpOne(kb, bytes, table);
  if (kb.target().has(Isa::BytePermute) && lanes <= kWide)
    return lookUpByPermutation(kb, bytes, table, lanes);
  // Of fewer bytes it takes as long as one by one.
  if (kb.target().has(Isa::Avx2) && lanes == kb.target().vectorBytes)
    if (Value rows = kb.madeAtEntry(table, [&] { return differencesOfRows(kb, table, lanes); }))
      return lookUpByRows(kb, bytes, rows, lanes);
  OpBuilder &ops = kb.builder();
  Value found = bytes;
  for (int64_t i = 0; i < lanes; ++i) {
    Value byte = ops.create<vector::ExtractOp>(kb.loc(), bytes, i);
    found = ops.create<vector::InsertOp>(kb.loc(), lookUpOne(kb, byte, table), found, i);
  }
  return found;
}
