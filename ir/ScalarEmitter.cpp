//===- ScalarEmitter.cpp - code of elementwise ops on scalars or vectors --===//
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

Type ScalarEmitter::typeOf(DType dtype) const {
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
    scalar = builder.getIntegerType(dtypeBits(dtype));
  }
  return laneCount == 0 ? scalar : VectorType::get({laneCount}, scalar);
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

Value ScalarEmitter::div(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::DivFOp>(loc, a, b);
  Value zero = constant(0), one = constant(1);
  Value byZero = builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, b, zero);
  if (isUnsignedInteger(elementType)) {
    Value quotient = builder.create<arith::DivUIOp>(loc, a, select(byZero, one, b));
    return select(byZero, zero, quotient);
  }
  // MIN / -1 traps on x86: negate (with wrapping) instead.
  Value byMinusOne = builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, b, constant(-1));
  Value special = builder.create<arith::OrIOp>(loc, byZero, byMinusOne);
  Value quotient = builder.create<arith::DivSIOp>(loc, a, select(special, one, b));
  return select(byZero, zero, select(byMinusOne, sub(zero, a), quotient));
}

Value ScalarEmitter::fma(Value a, Value b, Value c) {
  return builder.create<math::FmaOp>(loc, a, b, c);
}

Value ScalarEmitter::min(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::MinimumFOp>(loc, a, b);
  if (isUnsignedInteger(elementType))
    return builder.create<arith::MinUIOp>(loc, a, b);
  return builder.create<arith::MinSIOp>(loc, a, b);
}

Value ScalarEmitter::max(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::MaximumFOp>(loc, a, b);
  if (isUnsignedInteger(elementType))
    return builder.create<arith::MaxUIOp>(loc, a, b);
  return builder.create<arith::MaxSIOp>(loc, a, b);
}

Value ScalarEmitter::less(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OLT, a, b);
  auto predicate =
      isUnsignedInteger(elementType) ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt;
  return builder.create<arith::CmpIOp>(loc, predicate, a, b);
}

Value ScalarEmitter::equal(Value a, Value b) {
  if (isFloatType())
    return builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OEQ, a, b);
  return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, a, b);
}

Value ScalarEmitter::select(Value condition, Value a, Value b) {
  return builder.create<arith::SelectOp>(loc, condition, a, b);
}
