//===- DotEngine.cpp - how factors become sums ----------------------------===//
#include "backends/native/kernels/DotEngine.h"

#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <cassert>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

using Factor = DotEngine::Factor;
using Place = DotEngine::Place;

static bool isByte(DType dtype) { return dtype == DType::Int8 || dtype == DType::UInt8; }

int64_t DotTypes::group() const {
  if (isByte(a) && isByte(b) && accumulate == DType::Int32)
    return 4;
  return a == DType::BFloat16 && b == a && accumulate == DType::Float32 ? 2 : 1;
}

std::string DotTypes::label() const {
  if (a == accumulate && b == accumulate)
    return "";
  auto nameOf = [](DType dtype) {
    return dtype == DType::BFloat16 ? std::string("bf16")
                                    : fmt::format("{}{}",
                                                  isFloat(dtype)           ? 'f'
                                                  : isSignedInteger(dtype) ? 's'
                                                                           : 'u',
                                                  dtypeBits(dtype));
  };
  return (a == b ? nameOf(a) : nameOf(a) + nameOf(b)) + "_";
}

//===----------------------------------------------------------------------===//
// One element at a time
//===----------------------------------------------------------------------===//

/// `value`, of `lanes` lanes of `from`, as numbers of the type of the sums.
static Value widen(KernelBuilder &kb, const Place &place, Value value, DType from, int64_t lanes) {
  if (from == place.types.accumulate)
    return value;
  return nn::ScalarEmitter(kb.builder(), kb.loc(), from, lanes)
      .castTo(value, place.types.accumulate);
}

static Factor loadElement(KernelBuilder &kb, const Place &place, Value pointer, Value) {
  DType a = place.types.a;
  if (place.vectorA)
    return {widen(kb, place, kb.load(pointer, a, place.lanes), a, place.lanes)};
  return {kb.splat(widen(kb, place, kb.load(pointer, a, 0), a, 0), place.lanes)};
}

static Factor loadElements(KernelBuilder &kb, const Place &place, Value pointer, Value active) {
  DType b = place.types.b;
  return {widen(kb, place, kb.load(pointer, b, place.lanes, active), b, place.lanes)};
}

static Value addProduct(KernelBuilder &kb, const Place &, const Factor &a, const Factor &b,
                        Value sum) {
  return kb.multiplyAdd(a[0], b[0], sum);
}

static Value addInteger(KernelBuilder &kb, const Place &, const Factor &a, const Factor &b,
                        Value sum) {
  OpBuilder &ops = kb.builder();
  return ops.create<arith::AddIOp>(kb.loc(), ops.create<arith::MulIOp>(kb.loc(), a[0], b[0]), sum);
}

constexpr DotEngine kMultiplyAdd{loadElement, loadElements, addProduct};
constexpr DotEngine kIntegers{loadElement, loadElements, addInteger};

//===----------------------------------------------------------------------===//
// Groups of 32 bits
//===----------------------------------------------------------------------===//

/// The bits of a group in all lanes; elements from `count` on are zero.
static Value loadGroup(KernelBuilder &kb, const Place &place, Value pointer, Value count) {
  if (!count)
    return kb.splat(kb.loadWord(pointer, place.types.a), place.lanes);
  OpBuilder &ops = kb.builder();
  DType element = dtypeBytes(place.types.a) == 1 ? DType::UInt8 : DType::Int16;
  Value elements = kb.load(pointer, element, 4 / dtypeBytes(element), count);
  Value word =
      ops.create<vector::BitCastOp>(kb.loc(), VectorType::get({1}, ops.getI32Type()), elements);
  return kb.splat(ops.create<vector::ExtractOp>(kb.loc(), word, ArrayRef<int64_t>{0}), place.lanes);
}

/// The bits of a group for each lane.
static Value loadGroups(KernelBuilder &kb, const Place &place, Value pointer, Value active) {
  assert(!active && "groups are of packed factors, which are whole");
  return kb.load(pointer, DType::Int32, place.lanes, active);
}

static Value bitCast(KernelBuilder &kb, Value value, int64_t lanes, Type element) {
  return kb.builder().create<vector::BitCastOp>(kb.loc(), VectorType::get({lanes}, element), value);
}

static Value callIntrinsic(KernelBuilder &kb, const std::string &name, Type result,
                           ValueRange operands) {
  OpBuilder &ops = kb.builder();
  return ops.create<LLVM::CallIntrinsicOp>(kb.loc(), result, ops.getStringAttr(name), operands)
      ->getResult(0);
}

static int64_t bitsOf(const Place &place) { return place.lanes * 32; }

static Factor loadGroupOfA(KernelBuilder &kb, const Place &place, Value pointer, Value count) {
  return {loadGroup(kb, place, pointer, count)};
}
static Factor loadGroupsOfB(KernelBuilder &kb, const Place &place, Value pointer, Value active) {
  return {loadGroups(kb, place, pointer, active)};
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

/// VPDPBUSD.
static Value addVnni(KernelBuilder &kb, const Place &place, const Factor &a, const Factor &b,
                     Value sum) {
  std::string name = fmt::format("llvm.x86.avx512.vpdpbusd.{}", bitsOf(place));
  return callIntrinsic(kb, name, sum.getType(), {sum, a[0], b[0]});
}

constexpr DotEngine kVnni{loadGroupOfA, loadGroupsOfB, addVnni};

/// Lanes of words, shifted by `bits` to the right, with or without sign; negative: to the left.
static Value shift(KernelBuilder &kb, Value words, int64_t bits, bool isSigned) {
  OpBuilder &ops = kb.builder();
  auto type = cast<VectorType>(words.getType());
  Value count = ops.create<arith::ConstantOp>(
      kb.loc(),
      SplatElementsAttr::get(type, ops.getIntegerAttr(type.getElementType(), std::abs(bits))));
  if (bits < 0)
    return ops.create<arith::ShLIOp>(kb.loc(), words, count);
  if (isSigned)
    return ops.create<arith::ShRSIOp>(kb.loc(), words, count);
  return ops.create<arith::ShRUIOp>(kb.loc(), words, count);
}

/// The first and third byte of each group as 16-bit numbers, the second and the fourth.
static Factor splitBytes(KernelBuilder &kb, const Place &place, Value groups, DType dtype) {
  Value words = bitCast(kb, groups, place.lanes * 2, kb.builder().getI16Type());
  bool isSigned = dtype == DType::Int8;
  return {shift(kb, shift(kb, words, -8, isSigned), 8, isSigned), shift(kb, words, 8, isSigned)};
}

static Factor loadPairsOfA(KernelBuilder &kb, const Place &place, Value pointer, Value count) {
  return splitBytes(kb, place, loadGroup(kb, place, pointer, count), place.types.a);
}
static Factor loadPairsOfB(KernelBuilder &kb, const Place &place, Value pointer, Value active) {
  return splitBytes(kb, place, loadGroups(kb, place, pointer, active), place.types.b);
}

/// PMADDWD of both pairs: products of 16-bit numbers, which two bytes never saturate.
static Value addPairs(KernelBuilder &kb, const Place &place, const Factor &a, const Factor &b,
                      Value sum) {
  std::string name = bitsOf(place) == 512   ? "llvm.x86.avx512.pmaddw.d.512"
                     : bitsOf(place) == 256 ? "llvm.x86.avx2.pmadd.wd"
                                            : "llvm.x86.sse2.pmadd.wd";
  for (auto [x, y] : llvm::zip(a, b)) {
    Value pair = callIntrinsic(kb, name, sum.getType(), {x, y});
    sum = kb.builder().create<arith::AddIOp>(kb.loc(), sum, pair);
  }
  return sum;
}

constexpr DotEngine kPairs{loadPairsOfA, loadPairsOfB, addPairs};

/// Each byte of a group as a number of the sums' type.
static Factor splitGroups(KernelBuilder &kb, Value groups, DType dtype) {
  bool isSigned = dtype == DType::Int8;
  Factor bytes;
  for (int64_t left : {24, 16, 8, 0})
    bytes.push_back(
        shift(kb, left == 0 ? groups : shift(kb, groups, -left, isSigned), 24, isSigned));
  return bytes;
}

static Factor loadBytesOfA(KernelBuilder &kb, const Place &place, Value pointer, Value count) {
  return splitGroups(kb, loadGroup(kb, place, pointer, count), place.types.a);
}
static Factor loadBytesOfB(KernelBuilder &kb, const Place &place, Value pointer, Value active) {
  return splitGroups(kb, loadGroups(kb, place, pointer, active), place.types.b);
}

static Value addBytes(KernelBuilder &kb, const Place &place, const Factor &a, const Factor &b,
                      Value sum) {
  for (auto [x, y] : llvm::zip(a, b))
    sum = addInteger(kb, place, {x}, {y}, sum);
  return sum;
}

constexpr DotEngine kBytes{loadBytesOfA, loadBytesOfB, addBytes};

//===----------------------------------------------------------------------===//
// bfloat16
//===----------------------------------------------------------------------===//

/// VDPBF16PS.
static Value addBf16(KernelBuilder &kb, const Place &place, const Factor &a, const Factor &b,
                     Value sum) {
  Type bf16 = kb.builder().getBF16Type();
  std::string name = fmt::format("llvm.x86.avx512bf16.dpbf16ps.{}", bitsOf(place));
  return callIntrinsic(
      kb, name, sum.getType(),
      {sum, bitCast(kb, a[0], place.lanes * 2, bf16), bitCast(kb, b[0], place.lanes * 2, bf16)});
}

constexpr DotEngine kBf16{loadGroupOfA, loadGroupsOfB, addBf16};

/// The second and the first bfloat16 of each group in float32: in the order in which they are
/// added.
static Factor splitHalves(KernelBuilder &kb, const Place &place, Value groups) {
  OpBuilder &ops = kb.builder();
  auto type = cast<VectorType>(groups.getType());
  Value upper = ops.create<arith::ConstantOp>(
      kb.loc(), SplatElementsAttr::get(type, ops.getI32IntegerAttr(-0x10000)));
  Value second = ops.create<arith::AndIOp>(kb.loc(), groups, upper);
  return {bitCast(kb, second, place.lanes, ops.getF32Type()),
          bitCast(kb, shift(kb, groups, -16, false), place.lanes, ops.getF32Type())};
}

static Factor loadHalvesOfA(KernelBuilder &kb, const Place &place, Value pointer, Value count) {
  return splitHalves(kb, place, loadGroup(kb, place, pointer, count));
}
static Factor loadHalvesOfB(KernelBuilder &kb, const Place &place, Value pointer, Value active) {
  return splitHalves(kb, place, loadGroups(kb, place, pointer, active));
}

static Value addHalves(KernelBuilder &kb, const Place &, const Factor &a, const Factor &b,
                       Value sum) {
  for (auto [x, y] : llvm::zip(a, b))
    sum = kb.multiplyAdd(x, y, sum);
  return sum;
}

constexpr DotEngine kHalves{loadHalvesOfA, loadHalvesOfB, addHalves};

//===----------------------------------------------------------------------===//
// The choice
//===----------------------------------------------------------------------===//

const DotEngine &native::chooseEngine(const Target &target, const DotTypes &types, int64_t group,
                                      int64_t lanes) {
  assert(isFloat(types.a) == isFloat(types.accumulate) &&
         isFloat(types.b) == isFloat(types.accumulate) &&
         "products of integers sum up in integers, all others in floats");
  assert((group == 1 || group == types.group()) && "no instruction takes such groups");
  if (group == 1)
    return isFloat(types.accumulate) ? kMultiplyAdd : kIntegers;
  bool isWhole = lanes * 4 == target.vectorBytes;
  if (types.a == DType::BFloat16)
    return isWhole && target.has(Isa::Bf16Dot) ? kBf16 : kHalves;
  if (isWhole && target.has(Isa::Vnni) && types.a == DType::UInt8 && types.b == DType::Int8)
    return kVnni;
  return isWhole && target.arch == Target::Arch::X86 ? kPairs : kBytes;
}
