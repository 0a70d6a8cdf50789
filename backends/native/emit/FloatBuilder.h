//===- FloatBuilder.h - arithmetic that math ops are expanded into --------===//
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/TypeUtilities.h"

#include <initializer_list>

namespace quern::native {

/// float32 or float64 arithmetic on scalars or vectors of one shape. Integers,
/// "bits", have the width of the floats.
class FloatBuilder {
public:
  using Value = mlir::Value;

  /// Of the type of `op`'s result, in the place of `op`.
  explicit FloatBuilder(mlir::Operation *op)
      : ops(op), loc(op->getLoc()), type(op->getResult(0).getType()) {}
  /// The same shape and place with float64 elements.
  FloatBuilder inDouble() { return FloatBuilder(*this, ops.getF64Type()); }

  bool isDouble() const { return mlir::getElementTypeOrSelf(type).isF64(); }

  Value constant(double v) { return splat(ops.getFloatAttr(mlir::getElementTypeOrSelf(type), v)); }
  Value integer(int64_t v) { return splat(ops.getIntegerAttr(integerElement(), v)); }

  Value add(Value a, Value b) { return create<mlir::arith::AddFOp>(a, b); }
  Value sub(Value a, Value b) { return create<mlir::arith::SubFOp>(a, b); }
  Value mul(Value a, Value b) { return create<mlir::arith::MulFOp>(a, b); }
  Value mul(Value a, double b) { return mul(a, constant(b)); }
  Value div(Value a, Value b) { return create<mlir::arith::DivFOp>(a, b); }
  Value neg(Value a) { return create<mlir::arith::NegFOp>(a); }
  Value abs(Value a) { return create<mlir::math::AbsFOp>(a); }
  Value sqrt(Value a) { return create<mlir::math::SqrtOp>(a); }
  Value copySign(Value a, Value sign) { return create<mlir::math::CopySignOp>(a, sign); }
  /// a * b + c, fused where the target can.
  Value multiplyAdd(Value a, Value b, Value c) { return create<mlir::LLVM::FMulAddOp>(a, b, c); }
  Value multiplyAdd(Value a, double b, Value c) { return multiplyAdd(a, constant(b), c); }
  /// c[0] + c[1] x + c[2] x^2 + ...
  Value polynomial(Value x, std::initializer_list<double> c);

  using Predicate = mlir::arith::CmpFPredicate;
  Value compare(Predicate p, Value a, Value b) { return create<mlir::arith::CmpFOp>(p, a, b); }
  Value compare(Predicate p, Value a, double b) { return compare(p, a, constant(b)); }
  Value logicalAnd(Value a, Value b) { return create<mlir::arith::AndIOp>(a, b); }
  Value logicalOr(Value a, Value b) { return create<mlir::arith::OrIOp>(a, b); }
  Value select(Value condition, Value a, Value b) {
    return create<mlir::arith::SelectOp>(condition, a, b);
  }
  /// Bounds that keep NaN.
  Value atMost(Value x, double bound);
  Value atLeast(Value x, double bound);
  /// One condition for all lanes.
  Value anyLane(Value condition);

  /// The integer part of a float64 below 2^31.
  Value truncated(Value x);

  /// From and to the type of another builder of this shape.
  Value extend(Value narrow) { return create<mlir::arith::ExtFOp>(type, narrow); }
  Value truncate(Value wide) { return create<mlir::arith::TruncFOp>(type, wide); }

  Value bitsOf(Value x) { return create<mlir::arith::BitcastOp>(like(integerElement()), x); }
  Value fromBits(Value i) { return create<mlir::arith::BitcastOp>(type, i); }
  Value toFloat(Value i) { return create<mlir::arith::SIToFPOp>(type, i); }
  /// Towards zero; `x` must be in range.
  Value toInteger(Value x) { return create<mlir::arith::FPToSIOp>(like(integerElement()), x); }
  Value addBits(Value a, Value b) { return create<mlir::arith::AddIOp>(a, b); }
  Value subBits(Value a, Value b) { return create<mlir::arith::SubIOp>(a, b); }
  Value andBits(Value a, Value b) { return create<mlir::arith::AndIOp>(a, b); }
  Value orBits(Value a, Value b) { return create<mlir::arith::OrIOp>(a, b); }
  Value xorBits(Value a, Value b) { return create<mlir::arith::XOrIOp>(a, b); }
  Value shiftLeft(Value a, int64_t b) { return create<mlir::arith::ShLIOp>(a, integer(b)); }
  /// Copies of the sign move in.
  Value shiftRight(Value a, int64_t b) { return create<mlir::arith::ShRSIOp>(a, integer(b)); }
  Value shiftRightUnsigned(Value a, int64_t b) {
    return create<mlir::arith::ShRUIOp>(a, integer(b));
  }
  /// Whether the lowest bit is 1.
  Value isOdd(Value a);

private:
  FloatBuilder(const FloatBuilder &other, mlir::Type element)
      : ops(other.ops), loc(other.loc), type(like(other.type, element)) {}

  template <typename Op, typename... Args> Value create(Args &&...args) {
    return ops.create<Op>(loc, std::forward<Args>(args)...);
  }
  static mlir::Type like(mlir::Type shaped, mlir::Type element) {
    auto vector = mlir::dyn_cast<mlir::VectorType>(shaped);
    return vector ? mlir::Type(mlir::VectorType::get(vector.getShape(), element)) : element;
  }
  mlir::Type like(mlir::Type element) const { return like(type, element); }
  mlir::Type integerElement() {
    return ops.getIntegerType(mlir::getElementTypeOrSelf(type).getIntOrFloatBitWidth());
  }
  Value splat(mlir::TypedAttr element);

  mlir::OpBuilder ops;
  mlir::Location loc;
  mlir::Type type;
};

} // namespace quern::native
