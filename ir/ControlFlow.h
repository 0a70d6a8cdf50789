//===- ControlFlow.h - types of values that several paths lead to ---------===//
#pragma once

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"

namespace quern::nn {

/// The most precise tensor type of which the values of both are, which have the same
/// element type.
mlir::Type widenType(mlir::Type a, mlir::Type b);

/// The type of the slices of `input` along `axis`. Emits an error on `op` when there
/// is no such dimension.
llvm::FailureOr<mlir::Type> scanSliceType(mlir::Operation *op, mlir::Value input, int64_t axis);

} // namespace quern::nn
