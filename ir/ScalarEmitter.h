//===- ScalarEmitter.h - code of elementwise ops on scalars or vectors ----===//
#pragma once

#include "quern/DType.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace quern::nn {

/// Emits arith and math ops for one element type, on scalars (lanes = 0) or on
/// 1-D vectors. Integers are signless in the IR; the DType tells the sign.
class ScalarEmitter {
public:
  ScalarEmitter(mlir::OpBuilder &builder, mlir::Location loc, DType dtype, int64_t lanes)
      : builder(builder), loc(loc), elementType(dtype), laneCount(lanes) {}

  DType dtype() const { return elementType; }
  int64_t lanes() const { return laneCount; }
  /// The IR type of values of `dtype`: signless, bool is i1.
  mlir::Type typeOf(DType dtype) const;

  /// `value` in the current element type (splat over the lanes).
  mlir::Value constant(double value);
  /// The same for integers and bool, whose values a double cannot all hold.
  mlir::Value integerConstant(int64_t value);
  /// `value` converted to `to` by the rules of `nn.cast`: float to integer
  /// saturates with NaN giving 0, integers wrap, everything but 0 is true.
  mlir::Value castTo(mlir::Value value, DType to);

  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  /// Integer division is defined everywhere: by zero gives 0, MIN / -1 gives MIN.
  mlir::Value div(mlir::Value a, mlir::Value b);
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  /// NaN of either operand wins, as in ONNX.
  mlir::Value min(mlir::Value a, mlir::Value b);
  mlir::Value max(mlir::Value a, mlir::Value b);

  /// Ordered comparisons (false on NaN) of the current element type; i1 lanes.
  mlir::Value less(mlir::Value a, mlir::Value b);
  mlir::Value equal(mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);

private:
  bool isFloatType() const { return isFloat(elementType); }

  mlir::OpBuilder &builder;
  mlir::Location loc;
  DType elementType;
  int64_t laneCount;
};

} // namespace quern::nn
