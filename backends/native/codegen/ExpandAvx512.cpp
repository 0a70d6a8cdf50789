//===- ExpandAvx512.cpp - math ops by instructions of AVX-512 -------------===//
#include "backends/native/codegen/ExpandAvx512.h"

#include "backends/native/codegen/Segments.h"
#include "backends/native/emit/FloatBuilder.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/ADT/bit.h"

#include <array>
#include <cmath>

using namespace mlir;
using namespace quern::native;

/// Lanes of a full vector.
static constexpr int64_t kLanes = 16;

//===----------------------------------------------------------------------===//
// Functions of full vectors
//===----------------------------------------------------------------------===//

static Value instruction(OpBuilder &ops, Location loc, StringRef name, ValueRange operands) {
  return ops
      .create<LLVM::CallIntrinsicOp>(loc, operands.front().getType(), ops.getStringAttr(name),
                                     operands)
      ->getResult(0);
}

/// x 2^n with one rounding (VSCALEFPS). NaN times 2^infinity is infinite, times 2^-infinity zero.
static Value scale(OpBuilder &ops, Location loc, Value x, Value n) {
  constexpr int32_t kRoundAsSet = 4;
  Value all = ops.create<arith::ConstantOp>(loc, ops.getI16IntegerAttr(-1));
  Value rounding = ops.create<arith::ConstantOp>(loc, ops.getI32IntegerAttr(kRoundAsSet));
  return instruction(ops, loc, "llvm.x86.avx512.mask.scalef.ps.512", {x, n, x, all, rounding});
}

namespace {
/// x = n ln 2 + r, n in sixteenths. They lie in the last bits of `shifted`, and what 2^n has beside
/// a power of two is one of 16 numbers, which VPERMPS takes out of a register: so r is so small
/// that a cubic serves, where a whole n needs degree 6.
struct FineExponent {
  Value shifted, n, r;
};
} // namespace

static FineExponent reduceFinely(FloatBuilder &b, Value x, double log2e) {
  constexpr float kRounder = 786432.0f; // 1.5 * 2^19, whose last bit is worth 1/16
  FineExponent e;
  e.shifted = b.multiplyAdd(x, log2e, b.constant(kRounder));
  e.n = b.sub(e.shifted, b.constant(kRounder));
  // ln 2 in two parts; the first has so few bits that its product is exact.
  e.r = b.multiplyAdd(e.n, -0.693359375f, x);
  e.r = b.multiplyAdd(e.n, 2.12194440e-4f, e.r);
  return e;
}

/// For each lane the entry that the lowest four bits of `numbers` say (VPERMPS).
static Value lookUpSixteenth(OpBuilder &ops, Location loc, function_ref<float(int)> entry,
                             Value numbers) {
  std::array<float, kLanes> entries;
  for (size_t i = 0; i < entries.size(); ++i)
    entries[i] = entry(static_cast<int>(i));
  auto type = VectorType::get({kLanes}, ops.getF32Type());
  Value table =
      ops.create<arith::ConstantOp>(loc, DenseElementsAttr::get(type, ArrayRef<float>(entries)));
  return instruction(ops, loc, "llvm.x86.avx512.permvar.sf.512", {table, numbers});
}

/// Only the lower end needs a bound: from 2^18 on n has rounding errors that make r large. The
/// factor is less than 1 / ln 2 by 5e-7, so that n is too small and r positive there, and exp(r)
/// infinite; that is right for positive x, also for those whose r is NaN, for n is infinite.
static Value expandExp(Operation *op) {
  FloatBuilder b(op);
  OpBuilder ops(op);
  FineExponent e = reduceFinely(b, b.atLeast(op->getOperand(0), -104.0f), 1.4426943f);
  Value power = lookUpSixteenth(
      ops, op->getLoc(), [](int i) { return static_cast<float>(std::exp2(i / 16.0)); },
      b.bitsOf(e.shifted));
  Value rest = b.mul(b.polynomial(e.r, {1.0f, 0.5000162f, 0.16666667f}), e.r);
  return scale(ops, op->getLoc(), b.multiplyAdd(power, rest, power), e.n);
}

/// exp(x) / (exp(x) + 1) as 2^n / (2^n + exp(x) / 2^n) with a whole n, the second exponential by
/// that of the rest of -x: what is small keeps its relative error, down to subnormal numbers, and
/// between the bounds no power is infinite. What the powers' rounding loses is added to the rest.
static Value expandSigmoid(Operation *op) {
  FloatBuilder b(op);
  OpBuilder ops(op);
  Value x = b.atMost(b.atLeast(op->getOperand(0), -104.0f), 64.0f);
  FineExponent e = reduceFinely(b, x, 1.44269504f);
  auto power = [](int i) { return static_cast<float>(std::exp2(-i / 16.0)); };
  auto lost = [&](int i) { return static_cast<float>(std::exp2(-i / 16.0) / power(i) - 1); };
  Value numbers = b.bitsOf(e.shifted);
  Value ofSixteenth = lookUpSixteenth(ops, op->getLoc(), power, numbers);
  Value rest = b.multiplyAdd(b.polynomial(e.r, {-1.0f, 0.5000162f, -0.16666667f}), e.r,
                             lookUpSixteenth(ops, op->getLoc(), lost, numbers));
  Value whole = scale(ops, op->getLoc(), b.constant(1.0f), e.n);
  return b.div(whole, b.add(whole, b.multiplyAdd(ofSixteenth, rest, ofSixteenth)));
}

/// 1 / (1 + 2^y) of y = -x / ln 2, off by 1.4e-4 of the result at most: 2^y is 2^floor(y) times a
/// cubic of the rest (VREDUCEPS), and the reciprocal one of 14 bits. VSCALEFPS takes the floor of y
/// itself, and makes 0 or infinity of what lies beyond the range.
static Value expandCoarseSigmoid(Operation *op) {
  constexpr int32_t kRestOfFloor = 1, kSilently = 8, kRoundAsSet = 4;
  FloatBuilder b(op);
  OpBuilder ops(op);
  Location loc = op->getLoc();
  Value y = b.mul(op->getOperand(0), -1.44269504f);
  Value all = ops.create<arith::ConstantOp>(loc, ops.getI16IntegerAttr(-1));
  auto number = [&](int32_t v) -> Value {
    return ops.create<arith::ConstantOp>(loc, ops.getI32IntegerAttr(v));
  };
  Value rest = instruction(ops, loc, "llvm.x86.avx512.mask.reduce.ps.512",
                           {y, number(kRestOfFloor | kSilently), y, all, number(kRoundAsSet)});
  Value power = b.polynomial(rest, {0.999925219f, 0.69583354f, 0.226067155f, 0.0780245226f});
  Value sum = b.add(scale(ops, loc, power, y), b.constant(1.0f));
  return instruction(ops, loc, "llvm.x86.avx512.rcp14.ps.512", {sum, sum, all});
}

/// For each lane the entry of 32 that the lowest bits of `numbers` say (VPERMI2PS).
static Value lookUp(OpBuilder &ops, Location loc, ArrayRef<float> entries, Value numbers) {
  auto half = [&](size_t begin) -> Value {
    auto type = VectorType::get({kLanes}, ops.getF32Type());
    return ops.create<arith::ConstantOp>(
        loc, DenseElementsAttr::get(type, entries.slice(begin, kLanes)));
  };
  return instruction(ops, loc, "llvm.x86.avx512.vpermi2var.ps.512",
                     {half(0), numbers, half(kLanes)});
}

/// Segments are numbered by the upper bits of |x|. As the lookup takes five of these, their
/// coefficients stand in tables of 32 from the place of the first segment on, around the end.
static Value expandOdd(Operation *op, const SegmentedFunction &function) {
  FloatBuilder b(op);
  OpBuilder ops(op);
  Value x = op->getOperand(0), magnitude = b.atMost(b.abs(x), function.limit);
  Value numbers = b.shiftRightUnsigned(b.bitsOf(b.atLeast(magnitude, SegmentedFunction::kInFirst)),
                                       SegmentedFunction::kIgnoredBits);
  auto lookUpMember = [&](auto member) {
    std::array<float, 2 * kLanes> table = {};
    size_t place =
        llvm::bit_cast<uint32_t>(SegmentedFunction::kInFirst) >> SegmentedFunction::kIgnoredBits;
    for (const Segment &segment : function.segments)
      table[place++ % table.size()] = member(segment);
    return lookUp(ops, op->getLoc(), table, numbers);
  };
  Value d = b.sub(magnitude, lookUpMember([](const Segment &s) { return s.center; }));
  Value sum;
  for (size_t i = std::size(Segment().c); i-- > 0;) {
    Value coefficient = lookUpMember([i](const Segment &s) { return s.c[i]; });
    sum = sum ? b.multiplyAdd(sum, d, coefficient) : coefficient;
  }
  return b.copySign(sum, x);
}

static Value expandErf(Operation *op) { return expandOdd(op, kSegmentedErf); }
static Value expandTanh(Operation *op) { return expandOdd(op, kSegmentedTanh); }

/// x times the normal distribution function, of the operand of `op`; it errs by less than the steps
/// of the formula. Adding 1.5 * 2^23 rounds to an integer, which is then in the lowest bits.
static Value expandGeluOf(Operation *op) {
  constexpr float kRounder = 12582912.0f;
  FloatBuilder b(op);
  OpBuilder ops(op);
  Value x = op->getOperand(0), magnitude = b.atMost(b.abs(x), kGeluLimit);
  Value rounded = b.multiplyAdd(magnitude, kGeluSegmentsPerUnit, b.constant(kRounder));
  Value center = b.sub(b.constant(kRounder), rounded);
  Value d = b.multiplyAdd(magnitude, kGeluSegmentsPerUnit, center);
  Value sum;
  for (size_t i = std::size(kGeluSegments[0]); i-- > 0;) {
    std::array<float, 2 * kLanes> table;
    for (auto [entry, segment] : llvm::zip_equal(table, kGeluSegments))
      entry = segment[i];
    Value coefficient = lookUp(ops, op->getLoc(), table, b.bitsOf(rounded));
    sum = sum ? b.multiplyAdd(sum, d, coefficient) : coefficient;
  }
  return b.mul(x, b.add(b.copySign(sum, x), b.constant(0.5)));
}

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

using Expansion = Value (*)(Operation *);

/// `kLanes` lanes of `x` from one on; any where it has no more.
static Value piece(OpBuilder &ops, Location loc, Value x, int64_t begin) {
  auto type = dyn_cast<VectorType>(x.getType());
  if (!type)
    return ops.create<vector::BroadcastOp>(loc, VectorType::get({kLanes}, x.getType()), x);
  constexpr int32_t kAny = -1;
  SmallVector<int32_t> lanes;
  for (int64_t i = begin; i < begin + kLanes; ++i)
    lanes.push_back(i < type.getNumElements() ? static_cast<int32_t>(i) : kAny);
  return ops.create<LLVM::ShuffleVectorOp>(loc, x, x, lanes);
}

/// The first of the lanes that `pieces` have together, as `type`.
static Value join(OpBuilder &ops, Location loc, ArrayRef<Value> pieces, Type type) {
  auto vector = dyn_cast<VectorType>(type);
  if (!vector)
    return ops.create<vector::ExtractOp>(loc, pieces.front(), ArrayRef<int64_t>{0});
  if (pieces.size() == 1) {
    auto lanes = llvm::to_vector(llvm::seq<int32_t>(0, vector.getNumElements()));
    return ops.create<LLVM::ShuffleVectorOp>(loc, pieces.front(), pieces.front(), lanes);
  }
  Value whole = ops.create<arith::ConstantOp>(loc, ops.getZeroAttr(vector));
  for (auto [i, part] : llvm::enumerate(pieces))
    whole = ops.create<vector::InsertStridedSliceOp>(loc, part, whole, int64_t(i) * kLanes, 1);
  return whole;
}

static Expansion findExpansion(Operation *op) {
  return llvm::TypeSwitch<Operation *, Expansion>(op)
      .Case([](math::ExpOp) { return expandExp; })
      .Case([](math::ErfOp) { return expandErf; })
      .Case([](math::TanhOp) { return expandTanh; })
      .Default(Expansion());
}

/// `expand` of `x`, of which there is one result for each lane, in the place of `op`.
static Value expandInPieces(Expansion expand, Operation *op, Value x) {
  Type type = x.getType();
  auto vector = dyn_cast<VectorType>(type);
  int64_t lanes = vector ? vector.getNumElements() : 1;
  if (vector && (vector.getRank() != 1 || (lanes > kLanes && lanes % kLanes != 0)))
    return {};
  OpBuilder ops(op);
  auto expandPiece = [&](Value operand) {
    // An op of a piece's type, for what builders take from one.
    Operation *part = ops.create<math::ExpOp>(op->getLoc(), operand);
    Value result = expand(part);
    part->erase();
    return result;
  };
  if (vector && lanes == kLanes)
    return expandPiece(x);
  SmallVector<Value> pieces;
  for (int64_t begin = 0; begin < lanes; begin += kLanes)
    pieces.push_back(expandPiece(piece(ops, op->getLoc(), x, begin)));
  return join(ops, op->getLoc(), pieces, type);
}

Value quern::native::expandByAvx512(Operation *op) {
  Expansion expand = findExpansion(op);
  return expand ? expandInPieces(expand, op, op->getOperand(0)) : Value();
}

Value quern::native::expandGeluByAvx512(Operation *at, Value x) {
  return expandInPieces(expandGeluOf, at, x);
}

Value quern::native::expandSigmoidByAvx512(Operation *at, Value x, bool isRounded) {
  return expandInPieces(isRounded ? expandCoarseSigmoid : expandSigmoid, at, x);
}
