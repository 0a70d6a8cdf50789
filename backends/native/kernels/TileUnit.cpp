//===- TileUnit.cpp - instructions that multiply tiles of matrices --------===//
#include "backends/native/kernels/TileUnit.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

std::array<int64_t, 3> TileUnit::Configuration::words() const {
  std::array<int64_t, 3> words{};
  for (int64_t tile = 0; tile < kTiles; ++tile) {
    words[tile / 4] |= rowBytes[tile] << 16 * (tile % 4);
    words[2] |= rows[tile] << 8 * tile;
  }
  return words;
}

bool TileUnit::has(const Target &target, const DotTypes &types) {
  if (types.areWeightsOfFewBits() || types.group() == 1)
    return false;
  return target.has(types.a == DType::BFloat16 ? Isa::Bf16Tiles : Isa::ByteTiles);
}

void TileUnit::call(StringRef name, ValueRange operands) {
  OpBuilder &ops = kb.builder();
  ops.create<LLVM::CallIntrinsicOp>(kb.loc(), Type(), ops.getStringAttr(name), operands,
                                    LLVM::FastmathFlags::none);
}

Value TileUnit::number(int64_t tile) {
  OpBuilder &ops = kb.builder();
  return ops.create<arith::ConstantOp>(kb.loc(), ops.getI8IntegerAttr(static_cast<int8_t>(tile)));
}

void TileUnit::configure(const std::array<Value, 3> &words) {
  constexpr int64_t kNumbers = 8, kPalette = 1;
  Value memory = kb.stackSpace(DType::Int64, kNumbers);
  std::array<Value, kNumbers> numbers;
  numbers.fill(kb.index(0));
  numbers[0] = kb.index(kPalette);
  for (size_t i = 0; i < words.size(); ++i)
    numbers[Configuration::kWords[i]] = words[i];
  for (int64_t i = 0; i < kNumbers; ++i)
    kb.store(numbers[i], kb.advance(memory, i, DType::Int64), DType::Int64, 0);
  call("llvm.x86.ldtilecfg", memory);
}

void TileUnit::release() { call("llvm.x86.tilerelease", {}); }

void TileUnit::clear(int64_t tile) { call("llvm.x86.tilezero", number(tile)); }

void TileUnit::load(int64_t tile, Value pointer, Value stride) {
  call("llvm.x86.tileloadd64", {number(tile), pointer, stride});
}

void TileUnit::store(int64_t tile, Value pointer, Value stride) {
  call("llvm.x86.tilestored64", {number(tile), pointer, stride});
}

void TileUnit::multiply(int64_t sums, int64_t a, int64_t b) {
  bool isSignedA = types.a == DType::Int8, isSignedB = types.b == DType::Int8;
  StringRef name = types.a == DType::BFloat16 ? "llvm.x86.tdpbf16ps"
                   : isSignedA ? (isSignedB ? "llvm.x86.tdpbssd" : "llvm.x86.tdpbsud")
                               : (isSignedB ? "llvm.x86.tdpbusd" : "llvm.x86.tdpbuud");
  call(name, {number(sums), number(a), number(b)});
}
