//===- ScalarEmitter.h - code of elementwise ops on scalars or vectors ----===//
#pragma once

#include "quern/DType.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace quern::nn {

/// The IR type of `lanes` elements (0: a scalar) in registers: integers are
/// signless, bool is i1.
mlir::Type registerType(mlir::MLIRContext *context, DType dtype, int64_t lanes);

/// Emits arith and math ops for one element type, on scalars (lanes = 0) or on
/// 1-D vectors. Integers are signless in the IR; the DType tells the sign.
class ScalarEmitter {
public:
  /// `hasFma`: the target multiplies and adds floats at once.
  ScalarEmitter(mlir::OpBuilder &builder, mlir::Location loc, DType dtype, int64_t lanes,
                bool hasFma = true)
      : builder(builder), loc(loc), elementType(dtype), laneCount(lanes), hasFma(hasFma) {}

  DType dtype() const { return elementType; }
  int64_t lanes() const { return laneCount; }
  /// The IR type of values of `dtype`.
  mlir::Type typeOf(DType dtype) const {
    return registerType(builder.getContext(), dtype, laneCount);
  }

  /// `value` in the current element type (splat over the lanes).
  mlir::Value constant(double value);
  /// The same for integers and bool, whose values a double cannot all hold.
  mlir::Value integerConstant(int64_t value);
  /// `value` converted to `to` by the rules of `nn.cast`: float to integer
  /// saturates with NaN giving 0, integers wrap, everything but 0 is true.
  mlir::Value castTo(mlir::Value value, DType to);
  /// A float within the bounds of `to`, an integer type of at most 16 bits; NaN gets a number that
  /// castTo makes the same of.
  mlir::Value boundedBy(mlir::Value value, DType to);

  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  /// Integer division is defined everywhere: by zero gives 0, MIN / -1 gives MIN.
  mlir::Value div(mlir::Value a, mlir::Value b);
  /// a * b + c, rounded once; of float32 in float64 where the target cannot.
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  /// The remainder with the sign of `a`; an integer by zero gives 0.
  mlir::Value remainder(mlir::Value a, mlir::Value b);
  /// The remainder with the sign of `b`.
  mlir::Value floorMod(mlir::Value a, mlir::Value b);
  /// Integers wrap; to a negative power they are 0 unless the base is 1 or -1.
  mlir::Value power(mlir::Value a, mlir::Value b);
  mlir::Value neg(mlir::Value x);
  mlir::Value abs(mlir::Value x);
  /// Logical shifts of unsigned integers; by the width or more gives 0.
  mlir::Value shiftLeft(mlir::Value a, mlir::Value b);
  mlir::Value shiftRight(mlir::Value a, mlir::Value b);

  /// NaN of either operand wins, as in ONNX.
  mlir::Value min(mlir::Value a, mlir::Value b);
  mlir::Value max(mlir::Value a, mlir::Value b);
  /// max(x, bound) and min(x, bound); NaN stays. One instruction on x86.
  mlir::Value atLeast(mlir::Value x, double bound);
  mlir::Value atMost(mlir::Value x, double bound);

  /// Functions on floats; log1p(x) is log(1 + x), expm1(x) is exp(x) - 1.
  mlir::Value ceil(mlir::Value x);
  mlir::Value floor(mlir::Value x);
  mlir::Value roundEven(mlir::Value x);
  mlir::Value sqrt(mlir::Value x);
  mlir::Value exp(mlir::Value x);
  mlir::Value expm1(mlir::Value x);
  mlir::Value log(mlir::Value x);
  mlir::Value log1p(mlir::Value x);
  mlir::Value erf(mlir::Value x);
  mlir::Value sin(mlir::Value x);
  mlir::Value cos(mlir::Value x);
  mlir::Value tan(mlir::Value x);
  mlir::Value asin(mlir::Value x);
  mlir::Value acos(mlir::Value x);
  mlir::Value atan(mlir::Value x);
  mlir::Value sinh(mlir::Value x);
  mlir::Value cosh(mlir::Value x);
  mlir::Value tanh(mlir::Value x);
  mlir::Value asinh(mlir::Value x);
  mlir::Value acosh(mlir::Value x);
  mlir::Value atanh(mlir::Value x);

  /// Ordered comparisons (false on NaN) of the current element type; i1 lanes.
  mlir::Value equal(mlir::Value a, mlir::Value b);
  mlir::Value less(mlir::Value a, mlir::Value b);
  mlir::Value lessOrEqual(mlir::Value a, mlir::Value b);
  mlir::Value greater(mlir::Value a, mlir::Value b) { return less(b, a); }
  mlir::Value isNan(mlir::Value x);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);

  /// Logic on i1 lanes; the first three also bit by bit on integers.
  mlir::Value logicalAnd(mlir::Value a, mlir::Value b);
  mlir::Value logicalOr(mlir::Value a, mlir::Value b);
  mlir::Value logicalXor(mlir::Value a, mlir::Value b);
  mlir::Value logicalNot(mlir::Value a);

private:
  bool isFloatType() const { return isFloat(elementType); }
  /// A constant of i1 lanes.
  mlir::Value booleanConstant(bool value);

  mlir::OpBuilder &builder;
  mlir::Location loc;
  DType elementType;
  int64_t laneCount;
  bool hasFma;
};

} // namespace quern::nn
