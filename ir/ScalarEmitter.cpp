//===- ScalarEmitter.cpp - code of elementwise ops on scalars or vectors --===//
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/TypeUtilities.h"

#include <algorithm>
#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::nn;

Type nn::registerType(MLIRContext *context, DType dtype, int64_t lanes) {
  Builder builder(context);
  Type scalar;
  switch (dtype) {
  case DType::Float32:
    scalar = builder.getF32Type();
    break;
  case DType::Float64:
    scalar = builder.getF64Type();
    break;
  case DType::Float16:
    scalar = builder.getF16Type();
    break;
  case DType::BFloat16:
    scalar = builder.getBF16Type();
    break;
  case DType::Bool:
    scalar = builder.getI1Type();
    break;
  default:
    scalar = builder.getIntegerType(std::max(dtypeBits(dtype), 8)); // as in memory
  }
  return lanes == 0 ? scalar : VectorType::get({lanes}, scalar);
}

Value ScalarEmitter::constant(double value) {
  Type type = typeOf(elementType);
  Type scalar = getElementTypeOrSelf(type);
  TypedAttr attr = isFloatType()
                       ? TypedAttr(builder.getFloatAttr(scalar, value))
                       : TypedAttr(builder.getIntegerAttr(scalar, static_cast<int64_t>(value)));
  if (auto vector = dyn_cast<VectorType>(type))
    attr = SplatElementsAttr::get(vector, attr);
  return builder.create<arith::ConstantOp>(loc, attr);
}

Value ScalarEmitter::add(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::AddFOp>(loc, a, b);
  return builder.create<arith::AddIOp>(loc, a, b);
}

Value ScalarEmitter::sub(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::SubFOp>(loc, a, b);
  return builder.create<arith::SubIOp>(loc, a, b);
}

Value ScalarEmitter::mul(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::MulFOp>(loc, a, b);
  return builder.create<arith::MulIOp>(loc, a, b);
}

/// `b`, or 1 where dividing by it is not defined or traps.
static Value harmlessDivisor(ScalarEmitter &e, Value b) {
  Value special = e.equal(b, e.integerConstant(0));
  if (isSignedInteger(e.dtype()))
    special = e.logicalOr(special, e.equal(b, e.integerConstant(-1)));
  return e.select(special, e.integerConstant(1), b);
}

Value ScalarEmitter::div(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::DivFOp>(loc, a, b);
  Value zero = integerConstant(0), divisor = harmlessDivisor(*this, b);
  Value byZero = equal(b, zero);
  if (isUnsignedInteger(elementType))
    return select(byZero, zero, builder.create<arith::DivUIOp>(loc, a, divisor));
  // MIN / -1 traps on x86: negate (with wrapping) instead.
  Value quotient = builder.create<arith::DivSIOp>(loc, a, divisor);
  Value byMinusOne = equal(b, integerConstant(-1));
  return select(byZero, zero, select(byMinusOne, neg(a), quotient));
}

Value ScalarEmitter::fma(Value a, Value b, Value c) {
  if (!hasFma && elementType == DType::Float32) {
    ScalarEmitter wide(builder, loc, DType::Float64, laneCount);
    auto widened = [&](Value x) { return castTo(x, DType::Float64); };
    Value sum = wide.add(wide.mul(widened(a), widened(b)), widened(c));
    return wide.castTo(sum, DType::Float32);
  }
  return builder.create<math::FmaOp>(loc, a, b, c);
}

Value ScalarEmitter::remainder(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::RemFOp>(loc, a, b);
  // The remainder by 1 is 0, which is also right for divisors 0 and -1.
  Value divisor = harmlessDivisor(*this, b);
  if (isUnsignedInteger(elementType))
    return builder.create<arith::RemUIOp>(loc, a, divisor);
  return builder.create<arith::RemSIOp>(loc, a, divisor);
}

Value ScalarEmitter::floorMod(Value a, Value b) {
  Value r = remainder(a, b);
  if (isUnsignedInteger(elementType))
    return r;
  Value zero = constant(0);
  Value differentSigns = logicalXor(less(r, zero), less(b, zero));
  // NaN remainders stay NaN either way.
  Value adjust = logicalAnd(logicalNot(equal(r, zero)), differentSigns);
  return select(adjust, add(r, b), r);
}

Value ScalarEmitter::power(Value a, Value b) {
  if (isFloatType())
    return builder.create<math::PowFOp>(loc, a, b);
  Value zero = integerConstant(0), one = integerConstant(1);
  // By squaring, over all bits of the exponent taken as unsigned. The parity of
  // a negative exponent is that of its bits, so that bases 1 and -1 come out right.
  Value result = one, square = a;
  for (int bit = 0; bit < dtypeBits(elementType); ++bit) {
    Value mask = integerConstant(static_cast<int64_t>(uint64_t{1} << bit));
    Value unset = equal(builder.create<arith::AndIOp>(loc, b, mask), zero);
    result = select(unset, result, mul(result, square));
    square = mul(square, square);
  }
  if (isUnsignedInteger(elementType))
    return result;
  Value isUnit = logicalOr(equal(a, one), equal(a, integerConstant(-1)));
  Value vanishes = logicalAnd(less(b, zero), logicalNot(isUnit));
  return select(vanishes, zero, result);
}

Value ScalarEmitter::neg(Value x) {
  if (isFloatType())
    return builder.create<arith::NegFOp>(loc, x);
  return sub(integerConstant(0), x);
}

Value ScalarEmitter::abs(Value x) {
  if (isFloatType())
    return builder.create<math::AbsFOp>(loc, x);
  return isUnsignedInteger(elementType) ? x : select(less(x, integerConstant(0)), neg(x), x);
}

Value ScalarEmitter::shiftLeft(Value a, Value b) {
  // The unselected arm may be poison, which select does not propagate.
  Value inRange = less(b, integerConstant(dtypeBits(elementType)));
  return select(inRange, builder.create<arith::ShLIOp>(loc, a, b), integerConstant(0));
}

Value ScalarEmitter::shiftRight(Value a, Value b) {
  Value inRange = less(b, integerConstant(dtypeBits(elementType)));
  return select(inRange, builder.create<arith::ShRUIOp>(loc, a, b), integerConstant(0));
}

//===----------------------------------------------------------------------===//
// Minimum and maximum
//===----------------------------------------------------------------------===//

// Compare and select becomes one minps or maxps, whose second operand wins on NaN.
// arith.minimumf and maximumf also order -0 below +0, at three to five instructions.

Value ScalarEmitter::min(Value a, Value b) {
  Value smaller = select(less(a, b), a, b);
  return isFloatType() ? select(isNan(a), a, smaller) : smaller;
}

Value ScalarEmitter::max(Value a, Value b) {
  Value larger = select(greater(a, b), a, b);
  return isFloatType() ? select(isNan(a), a, larger) : larger;
}

Value ScalarEmitter::atLeast(Value x, double bound) {
  Value limit = constant(bound);
  return select(less(x, limit), limit, x);
}

Value ScalarEmitter::atMost(Value x, double bound) {
  Value limit = constant(bound);
  return select(greater(x, limit), limit, x);
}

//===----------------------------------------------------------------------===//
// Functions on floats
//===----------------------------------------------------------------------===//

Value ScalarEmitter::ceil(Value x) { return builder.create<math::CeilOp>(loc, x); }
Value ScalarEmitter::floor(Value x) { return builder.create<math::FloorOp>(loc, x); }
Value ScalarEmitter::roundEven(Value x) { return builder.create<math::RoundEvenOp>(loc, x); }
Value ScalarEmitter::sqrt(Value x) { return builder.create<math::SqrtOp>(loc, x); }
Value ScalarEmitter::exp(Value x) { return builder.create<math::ExpOp>(loc, x); }
Value ScalarEmitter::expm1(Value x) { return builder.create<math::ExpM1Op>(loc, x); }
Value ScalarEmitter::log(Value x) { return builder.create<math::LogOp>(loc, x); }
Value ScalarEmitter::log1p(Value x) { return builder.create<math::Log1pOp>(loc, x); }
Value ScalarEmitter::erf(Value x) { return builder.create<math::ErfOp>(loc, x); }
Value ScalarEmitter::sin(Value x) { return builder.create<math::SinOp>(loc, x); }
Value ScalarEmitter::cos(Value x) { return builder.create<math::CosOp>(loc, x); }
Value ScalarEmitter::tan(Value x) { return builder.create<math::TanOp>(loc, x); }
Value ScalarEmitter::asin(Value x) { return builder.create<math::AsinOp>(loc, x); }
Value ScalarEmitter::acos(Value x) { return builder.create<math::AcosOp>(loc, x); }
Value ScalarEmitter::atan(Value x) { return builder.create<math::AtanOp>(loc, x); }
Value ScalarEmitter::sinh(Value x) { return builder.create<math::SinhOp>(loc, x); }
Value ScalarEmitter::cosh(Value x) { return builder.create<math::CoshOp>(loc, x); }
Value ScalarEmitter::tanh(Value x) { return builder.create<math::TanhOp>(loc, x); }
Value ScalarEmitter::asinh(Value x) { return builder.create<math::AsinhOp>(loc, x); }
Value ScalarEmitter::acosh(Value x) { return builder.create<math::AcoshOp>(loc, x); }
Value ScalarEmitter::atanh(Value x) { return builder.create<math::AtanhOp>(loc, x); }

//===----------------------------------------------------------------------===//
// Comparison and logic
//===----------------------------------------------------------------------===//

Value ScalarEmitter::equal(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OEQ, a, b);
  return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, a, b);
}

Value ScalarEmitter::less(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OLT, a, b);
  auto predicate =
      isUnsignedInteger(elementType) ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt;
  return builder.create<arith::CmpIOp>(loc, predicate, a, b);
}

Value ScalarEmitter::lessOrEqual(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OLE, a, b);
  auto predicate =
      isUnsignedInteger(elementType) ? arith::CmpIPredicate::ule : arith::CmpIPredicate::sle;
  return builder.create<arith::CmpIOp>(loc, predicate, a, b);
}

Value ScalarEmitter::isNan(Value x) {
  return builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::UNO, x, x);
}

Value ScalarEmitter::select(Value condition, Value a, Value b) {
  return builder.create<arith::SelectOp>(loc, condition, a, b);
}

Value ScalarEmitter::logicalAnd(Value a, Value b) {
  return builder.create<arith::AndIOp>(loc, a, b);
}

Value ScalarEmitter::logicalOr(Value a, Value b) { return builder.create<arith::OrIOp>(loc, a, b); }

Value ScalarEmitter::logicalXor(Value a, Value b) {
  return builder.create<arith::XOrIOp>(loc, a, b);
}

Value ScalarEmitter::logicalNot(Value a) { return logicalXor(a, booleanConstant(true)); }

Value ScalarEmitter::booleanConstant(bool value) {
  return ScalarEmitter(builder, loc, DType::Bool, laneCount).integerConstant(value);
}
