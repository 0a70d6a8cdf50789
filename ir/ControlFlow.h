//===- ControlFlow.h - types of values that several paths lead to ---------===//
#pragma once

#include "quern/Tensor.h"

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"

namespace quern::nn {

/// The most precise type that the values of both types are of; null when they differ in kind
/// or element type.
mlir::Type joinTypes(mlir::Type a, mlir::Type b);
/// The type with all tensors in it of any sizes, but of their ranks.
mlir::Type withoutSizes(mlir::Type type);
/// The type with all tensors in it of any shape.
mlir::Type withoutShapes(mlir::Type type);

/// The dims of a loop's iteration number or condition, one element, as `argument` of the
/// body wants it: none, or ones.
Tensor::Dims loopScalarDims(mlir::Value argument);

/// The type of the slices of `input` along `axis`. Emits an error on `op` when there
/// is no such dimension, or `input` is no tensor.
llvm::FailureOr<mlir::Type> scanSliceType(mlir::Operation *op, mlir::Value input, int64_t axis);

} // namespace quern::nn
