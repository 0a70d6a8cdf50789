//===- DotEngine.cpp - how factors become sums ----------------------------===//
#include "backends/native/kernels/DotEngine.h"

#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

using Place = DotEngine::Place;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static bool isByte(DType dtype) { return dtype == DType::Int8 || dtype == DType::UInt8; }

bool DotTypes::areWeightsOfFewBits() const {
  bool isInteger = isSignedInteger(b) || isUnsignedInteger(b);
  return a == DType::Float32 && accumulate == a && isInteger && dtypeBits(b) <= 8;
}

int64_t DotTypes::group() const {
  if (areWeightsOfFewBits())
    return 32 / dtypeBits(b);
  if (isByte(a) && isByte(b) && accumulate == DType::Int32)
    return 4;
  return a == DType::BFloat16 && b == a && accumulate == DType::Float32 ? 2 : 1;
}

std::string DotTypes::label() const {
  if (a == accumulate && b == accumulate)
    return "";
  auto nameOf = [](DType dtype) {
    if (dtype == DType::BFloat16)
      return std::string("bf16");
    return fmt::format("{}{}",
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

static Value loadElement(KernelBuilder &kb, const Place &place, Value pointer, Value) {
  DType a = place.types.a;
  if (place.vectorA)
    return widen(kb, place, kb.load(pointer, a, place.lanes), a, place.lanes);
  return kb.splat(widen(kb, place, kb.load(pointer, a, 0), a, 0), place.lanes);
}

static Value loadElements(KernelBuilder &kb, const Place &place, Value pointer, Value active) {
  DType b = place.types.b;
  return widen(kb, place, kb.load(pointer, b, place.lanes, active), b, place.lanes);
}

static Value wholeGroup(KernelBuilder &, const Place &, Value loaded, int64_t) { return loaded; }

static Value addProduct(KernelBuilder &kb, const Place &, Value a, Value b, Value sum) {
  return kb.multiplyAdd(a, b, sum);
}

static Value addInteger(KernelBuilder &kb, const Place &, Value a, Value b, Value sum) {
  OpBuilder &ops = kb.builder();
  return ops.create<arith::AddIOp>(kb.loc(), ops.create<arith::MulIOp>(kb.loc(), a, b), sum);
}

constexpr DotEngine kMultiplyAdd{1, loadElement, loadElements, wholeGroup, wholeGroup, addProduct};
constexpr DotEngine kIntegers{1, loadElement, loadElements, wholeGroup, wholeGroup, addInteger};

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

/// Lanes shifted by `bits` to the right, with or without sign; negative: to the left.
static Value shift(KernelBuilder &kb, Value lanes, int64_t bits, bool isSigned) {
  if (bits == 0)
    return lanes;
  OpBuilder &ops = kb.builder();
  auto type = cast<VectorType>(lanes.getType());
  Attribute each = ops.getIntegerAttr(type.getElementType(), std::abs(bits));
  Value count = ops.create<arith::ConstantOp>(kb.loc(), SplatElementsAttr::get(type, each));
  if (bits < 0)
    return ops.create<arith::ShLIOp>(kb.loc(), lanes, count);
  if (isSigned)
    return ops.create<arith::ShRSIOp>(kb.loc(), lanes, count);
  return ops.create<arith::ShRUIOp>(kb.loc(), lanes, count);
}

/// Number `index`, of `bits` bits, of each group; that of the lowest bits is the first.
static Value numberAt(KernelBuilder &kb, Value groups, int64_t index, int64_t bits, bool isSigned) {
  Value top = shift(kb, groups, bits * (index + 1) - 32, isSigned);
  return shift(kb, top, 32 - bits, isSigned);
}

static Value callIntrinsic(KernelBuilder &kb, const std::string &name, Type result,
                           ValueRange operands) {
  OpBuilder &ops = kb.builder();
  return ops.create<LLVM::CallIntrinsicOp>(kb.loc(), result, ops.getStringAttr(name), operands)
      ->getResult(0);
}

static int64_t bitsOf(const Place &place) { return place.lanes * 32; }

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

/// VPDPBUSD.
static Value addVnni(KernelBuilder &kb, const Place &place, Value a, Value b, Value sum) {
  std::string name = fmt::format("llvm.x86.avx512.vpdpbusd.{}", bitsOf(place));
  return callIntrinsic(kb, name, sum.getType(), {sum, a, b});
}

constexpr DotEngine kVnni{1, loadGroup, loadGroups, wholeGroup, wholeGroup, addVnni};

/// Bytes 0 and 2 of each group as 16-bit numbers, or 1 and 3.
static Value pairOf(KernelBuilder &kb, const Place &place, Value groups, int64_t part,
                    DType dtype) {
  Value words = bitCast(kb, groups, place.lanes * 2, kb.builder().getI16Type());
  bool isSigned = dtype == DType::Int8;
  return shift(kb, part == 0 ? shift(kb, words, -8, isSigned) : words, 8, isSigned);
}

static Value pairOfA(KernelBuilder &kb, const Place &place, Value loaded, int64_t part) {
  return pairOf(kb, place, loaded, part, place.types.a);
}
static Value pairOfB(KernelBuilder &kb, const Place &place, Value loaded, int64_t part) {
  return pairOf(kb, place, loaded, part, place.types.b);
}

/// PMADDWD: products of 16-bit numbers, which two bytes never saturate.
static Value addPairs(KernelBuilder &kb, const Place &place, Value a, Value b, Value sum) {
  std::string name = bitsOf(place) == 512   ? "llvm.x86.avx512.pmaddw.d.512"
                     : bitsOf(place) == 256 ? "llvm.x86.avx2.pmadd.wd"
                                            : "llvm.x86.sse2.pmadd.wd";
  Value pairs = callIntrinsic(kb, name, sum.getType(), {a, b});
  return kb.builder().create<arith::AddIOp>(kb.loc(), sum, pairs);
}

constexpr DotEngine kPairs{2, loadGroup, loadGroups, pairOfA, pairOfB, addPairs};

static Value byteOfA(KernelBuilder &kb, const Place &place, Value loaded, int64_t part) {
  return numberAt(kb, loaded, part, 8, place.types.a == DType::Int8);
}
static Value byteOfB(KernelBuilder &kb, const Place &place, Value loaded, int64_t part) {
  return numberAt(kb, loaded, part, 8, place.types.b == DType::Int8);
}

constexpr DotEngine kBytes{4, loadGroup, loadGroups, byteOfA, byteOfB, addInteger};

//===----------------------------------------------------------------------===//
// bfloat16
//===----------------------------------------------------------------------===//

/// VDPBF16PS, whose last operand may be one group in memory for all lanes: that of A, where only
/// one vector of B meets it. In an instruction of its own LLVM broadcasts it as float32, which
/// takes a Zen 4 a third longer.
static Value addBf16(KernelBuilder &kb, const Place &place, Value a, Value b, Value sum) {
  Type bf16 = kb.builder().getBF16Type();
  std::string name = fmt::format("llvm.x86.avx512bf16.dpbf16ps.{}", bitsOf(place));
  return callIntrinsic(
      kb, name, sum.getType(),
      {sum, bitCast(kb, b, place.lanes * 2, bf16), bitCast(kb, a, place.lanes * 2, bf16)});
}

constexpr DotEngine kBf16{1, loadGroup, loadGroups, wholeGroup, wholeGroup, addBf16};

/// The second bfloat16 of each group in float32, then the first: in the order in which they are
/// added.
static Value halfOf(KernelBuilder &kb, const Place &place, Value groups, int64_t part) {
  OpBuilder &ops = kb.builder();
  if (part == 1)
    return bitCast(kb, shift(kb, groups, -16, false), place.lanes, ops.getF32Type());
  Attribute upper = ops.getI32IntegerAttr(-0x10000);
  Value mask = ops.create<arith::ConstantOp>(
      kb.loc(), SplatElementsAttr::get(cast<VectorType>(groups.getType()), upper));
  return bitCast(kb, ops.create<arith::AndIOp>(kb.loc(), groups, mask), place.lanes,
                 ops.getF32Type());
}

constexpr DotEngine kHalves{2, loadGroup, loadGroups, halfOf, halfOf, addProduct};

//===----------------------------------------------------------------------===//
// Weights of few bits
//===----------------------------------------------------------------------===//

/// A's numbers stay in memory until they are multiplied.
static Value placeOfGroup(KernelBuilder &, const Place &, Value pointer, Value count) {
  assert(!count && "groups of weights are whole");
  return pointer;
}
static Value numberOfA(KernelBuilder &kb, const Place &place, Value loaded, int64_t part) {
  DType a = place.types.a;
  return kb.splat(kb.load(kb.advance(loaded, part, a), a, 0), place.lanes);
}

static Value weightOf(KernelBuilder &kb, const Place &place, Value loaded, int64_t part) {
  OpBuilder &ops = kb.builder();
  Type floats = VectorType::get({place.lanes}, ops.getF32Type());
  DType b = place.types.b;
  Value number = numberAt(kb, loaded, part, dtypeBits(b), isSignedInteger(b));
  // What has no sign is small enough to count as signed, too.
  return ops.create<arith::SIToFPOp>(kb.loc(), floats, number);
}

/// The same of 4 bits by VPERMPS, which looks at no other bits of its indices.
static Value lookUpWeight(KernelBuilder &kb, const Place &place, Value loaded, int64_t part) {
  OpBuilder &ops = kb.builder();
  bool isSigned = isSignedInteger(place.types.b);
  SmallVector<float, 16> numbers;
  for (int i = 0; i < 16; ++i)
    numbers.push_back(static_cast<float>(isSigned && i >= 8 ? i - 16 : i));
  auto floats = VectorType::get({16}, ops.getF32Type());
  Value table = ops.create<arith::ConstantOp>(
      kb.loc(), DenseElementsAttr::get(floats, ArrayRef<float>(numbers)));
  return callIntrinsic(kb, "llvm.x86.avx512.permvar.sf.512", floats,
                       {table, shift(kb, loaded, 4 * part, false)});
}

/// The same of 2 and 8 bits by VPTERNLOGD and a subtraction, which are exact: a number's bits
/// become those of the fraction of a float whose unit is theirs, 2^23 or less, which is then taken
/// off. Numbers above the 23 bits of a fraction are moved down first, all at once. What has a sign
/// counts from the least number, by flipping the sign's bit.
static Value raiseWeight(KernelBuilder &kb, const Place &place, Value loaded, int64_t part) {
  constexpr int64_t kFractionBits = 23, kMovedBits = 16;
  OpBuilder &ops = kb.builder();
  int64_t bits = dtypeBits(place.types.b), at = bits * part;
  if (at + bits > kFractionBits) {
    loaded = shift(kb, loaded, kMovedBits, false);
    at -= kMovedBits;
  }
  int64_t least = isSignedInteger(place.types.b) ? int64_t{1} << (bits - 1) : 0;
  float zero = std::ldexp(1.0F, static_cast<int>(kFractionBits - at)) + static_cast<float>(least);
  auto constant = [&](int64_t lane) -> Value {
    Attribute each = ops.getI32IntegerAttr(static_cast<int32_t>(lane));
    return ops.create<arith::ConstantOp>(
        kb.loc(), SplatElementsAttr::get(cast<VectorType>(loaded.getType()), each));
  };
  Value number = ops.create<arith::AndIOp>(kb.loc(), loaded, constant(((1 << bits) - 1) << at));
  Value raised =
      ops.create<arith::XOrIOp>(kb.loc(), number, constant(std::bit_cast<int32_t>(zero)));
  Value floats = bitCast(kb, raised, place.lanes, ops.getF32Type());
  return ops.create<arith::SubFOp>(
      kb.loc(), floats,
      nn::ScalarEmitter(ops, kb.loc(), DType::Float32, place.lanes).constant(zero));
}

/// Those of one part after the other, of 2, 4 or 8 bits.
static const DotEngine &weightsEngine(int64_t bits, bool isAvx512) {
  constexpr auto engineOf = [](int64_t parts, auto partOfB) {
    return DotEngine{parts, placeOfGroup, loadGroups, numberOfA, partOfB, addProduct};
  };
  static constexpr DotEngine avx512[] = {engineOf(16, raiseWeight), engineOf(8, lookUpWeight),
                                         engineOf(4, raiseWeight)};
  static constexpr DotEngine others[] = {engineOf(16, weightOf), engineOf(8, weightOf),
                                         engineOf(4, weightOf)};
  return (isAvx512 ? avx512 : others)[bits == 2 ? 0 : bits == 4 ? 1 : 2];
}

//===----------------------------------------------------------------------===//
// The choice
//===----------------------------------------------------------------------===//

const DotEngine &native::chooseEngine(const Target &target, const DotTypes &types, int64_t group,
                                      int64_t lanes) {
  assert(isFloat(types.a) == isFloat(types.accumulate) &&
         (types.areWeightsOfFewBits() || isFloat(types.b) == isFloat(types.accumulate)) &&
         "products of integers sum up in integers, all others in floats");
  assert((group == 1 || group == types.group()) && "no instruction takes such groups");
  if (group == 1)
    return isFloat(types.accumulate) ? kMultiplyAdd : kIntegers;
  bool isWhole = lanes * 4 == target.vectorBytes;
  if (types.areWeightsOfFewBits())
    return weightsEngine(dtypeBits(types.b), isWhole && target.has(Isa::Avx512));
  if (types.a == DType::BFloat16)
    return isWhole && target.has(Isa::Bf16Dot) ? kBf16 : kHalves;
  if (isWhole && target.has(Isa::Vnni) && types.a == DType::UInt8 && types.b == DType::Int8)
    return kVnni;
  return isWhole && target.arch == Target::Arch::X86 ? kPairs : kBytes;
}
