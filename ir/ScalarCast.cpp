//===- ScalarCast.cpp - code of element type conversions ------------------===//
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::nn;

Value ScalarEmitter::integerConstant(int64_t value) {
  Type type = typeOf(elementType);
  TypedAttr attr = builder.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = SplatElementsAttr::get(vector, attr);
  return builder.create<arith::ConstantOp>(loc, attr);
}

static bool isUnsignedOrBool(DType dtype) {
  return isUnsignedInteger(dtype) || dtype == DType::Bool;
}

namespace {
/// The bounds of an integer type.
struct Bounds {
  explicit Bounds(DType dtype) {
    int bits = dtypeBits(dtype) - (isSignedInteger(dtype) ? 1 : 0);
    highest = isSignedInteger(dtype) ? static_cast<int64_t>((uint64_t{1} << bits) - 1)
                                     : static_cast<int64_t>(~uint64_t{0} >> (64 - bits));
    lowest = isSignedInteger(dtype) ? -highest - 1 : 0;
  }
  int64_t lowest, highest;
};
} // namespace

/// By a minimum and a maximum of the processor's, which give their second operand for NaN.
Value ScalarEmitter::boundedBy(Value value, DType to) {
  Bounds bounds(to);
  Value low = constant(static_cast<double>(bounds.lowest)),
        high = constant(static_cast<double>(bounds.highest));
  if (bounds.lowest < 0) // else NaN becomes the lowest
    value = select(isNan(value), constant(0), value);
  value = select(less(low, value), value, low);
  return select(less(value, high), value, high);
}

/// Truncation towards zero; outside the range of `to` its nearest bound, NaN 0.
static Value floatToInteger(OpBuilder &b, Location loc, ScalarEmitter &from, ScalarEmitter &to,
                            Value value) {
  bool isSigned = isSignedInteger(to.dtype());
  int bits = dtypeBits(to.dtype()) - (isSigned ? 1 : 0);
  Type type = to.typeOf(to.dtype());
  if (bits <= 16 && getElementTypeOrSelf(type).getIntOrFloatBitWidth() < 32) {
    // Bounds that are floats can be taken first.
    Value words = b.create<arith::FPToSIOp>(loc, from.typeOf(DType::Int32),
                                            from.boundedBy(value, to.dtype()));
    return b.create<arith::TruncIOp>(loc, type, words);
  }
  Value converted = isSigned ? Value(b.create<arith::FPToSIOp>(loc, type, value))
                             : Value(b.create<arith::FPToUIOp>(loc, type, value));
  Value tooLow = from.less(value, from.constant(isSigned ? std::ldexp(-1.0, bits) : 0.0));
  Value tooHigh = b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OGE, value,
                                          from.constant(std::ldexp(1.0, bits)));
  Value isNan = b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::UNO, value, value);
  converted = to.select(tooLow, to.integerConstant(Bounds(to.dtype()).lowest), converted);
  converted = to.select(tooHigh, to.integerConstant(Bounds(to.dtype()).highest), converted);
  return to.select(isNan, to.integerConstant(0), converted);
}

/// The low bits of integers of 2 or 4 bits, which lie in bytes.
static Value wrapInByte(OpBuilder &b, Location loc, ScalarEmitter &to, Value byte) {
  int bits = dtypeBits(to.dtype());
  if (!isSignedInteger(to.dtype()))
    return b.create<arith::AndIOp>(loc, byte, to.integerConstant((1 << bits) - 1));
  Value shift = to.integerConstant(8 - bits);
  return b.create<arith::ShRSIOp>(loc, b.create<arith::ShLIOp>(loc, byte, shift), shift);
}

/// The integer type of the same sign that a register holds.
static DType inRegister(DType dtype) {
  if (dtype == DType::Int4 || dtype == DType::Int2)
    return DType::Int8;
  return dtype == DType::UInt4 || dtype == DType::UInt2 ? DType::UInt8 : dtype;
}

Value ScalarEmitter::castTo(Value value, DType to) {
  if (to == elementType)
    return value;
  // The halves convert through f32: their range is too small for the bounds of
  // integers, and they do not convert into each other.
  if (dtypeBits(elementType) == 16 && isFloatType() && to != DType::Float32) {
    ScalarEmitter wide(builder, loc, DType::Float32, laneCount);
    return wide.castTo(castTo(value, DType::Float32), to);
  }
  ScalarEmitter target(builder, loc, to, laneCount);
  if (DType byte = inRegister(elementType); byte != elementType)
    return ScalarEmitter(builder, loc, byte, laneCount).castTo(value, to);
  if (DType byte = inRegister(to); byte != to && !isFloatType())
    return wrapInByte(builder, loc, target, castTo(value, byte));
  Type type = typeOf(to);
  int from = dtypeBits(elementType), wanted = dtypeBits(to);
  if (to == DType::Bool) {
    if (isFloatType())
      return builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::UNE, value, constant(0));
    return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::ne, value, integerConstant(0));
  }
  if (isFloatType() && isFloat(to)) {
    if (wanted > from)
      return builder.create<arith::ExtFOp>(loc, type, value);
    return builder.create<arith::TruncFOp>(loc, type, value);
  }
  if (isFloatType())
    return floatToInteger(builder, loc, *this, target, value);
  if (isFloat(to)) {
    if (isUnsignedOrBool(elementType))
      return builder.create<arith::UIToFPOp>(loc, type, value);
    return builder.create<arith::SIToFPOp>(loc, type, value);
  }
  if (elementType == DType::Bool || (wanted > from && isUnsignedInteger(elementType)))
    return builder.create<arith::ExtUIOp>(loc, type, value);
  if (wanted > from)
    return builder.create<arith::ExtSIOp>(loc, type, value);
  if (wanted < from)
    return builder.create<arith::TruncIOp>(loc, type, value);
  return value;
}
