//===- ExpandAvx512.cpp - math ops by instructions of AVX-512 -------------===//
#include "backends/native/codegen/ExpandAvx512.h"

#include "backends/native/codegen/Exponential.h"
#include "backends/native/codegen/Segments.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/ADT/bit.h"

#include <array>

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

/// Only the lower end needs a bound: from 2^23 on n has rounding errors that make r large, and
/// exp(r) infinite; that is right for positive x, also for those whose r is NaN, for n is infinite.
static Value expandExp(Operation *op) {
  FloatBuilder b(op);
  OpBuilder ops(op);
  ReducedExponent e = reduceExponent(b, b.atLeast(op->getOperand(0), -104.0f));
  return scale(ops, op->getLoc(), expOfRest(b, e.r), e.n);
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

static Value expandInPieces(Operation *op, Expansion expand) {
  Type type = op->getResult(0).getType();
  auto vector = dyn_cast<VectorType>(type);
  int64_t lanes = vector ? vector.getNumElements() : 1;
  if (vector && (vector.getRank() != 1 || (lanes > kLanes && lanes % kLanes != 0)))
    return {};
  if (vector && lanes == kLanes)
    return expand(op);
  OpBuilder ops(op);
  SmallVector<Value> pieces;
  for (int64_t begin = 0; begin < lanes; begin += kLanes) {
    Value operand = piece(ops, op->getLoc(), op->getOperand(0), begin);
    OperationState state(op->getLoc(), op->getName(), operand, operand.getType());
    Operation *part = ops.create(state);
    pieces.push_back(expand(part));
    part->erase();
  }
  return join(ops, op->getLoc(), pieces, type);
}

Value quern::native::expandByAvx512(Operation *op) {
  Expansion expand = findExpansion(op);
  return expand ? expandInPieces(op, expand) : Value();
}

Value quern::native::expandGeluByAvx512(Operation *at, Value x) {
  OpBuilder ops(at);
  auto placeholder = ops.create<math::ErfOp>(at->getLoc(), x);
  Value expansion = expandInPieces(placeholder, expandGeluOf);
  placeholder.erase();
  return expansion;
}
