//===- InferShapes.h - refining types by the ops' shape rules -------------===//
#pragma once

#include "ir/ShapeFacts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Operation.h"

namespace quern::passes {

/// The more precise of two compatible tensor types, dimension by dimension;
/// never less precise than `declared`.
mlir::Type refineType(mlir::Type declared, const nn::InferredType &inferred);
/// Refines the result types of one op; fails when its shape rule emits an error.
mlir::LogicalResult refineResultTypes(mlir::Operation *op);
/// Calls `visit` for all ops of `func` in program order, those of bodies before the op
/// that has them. In a branch, which may never be taken, an op for which it fails becomes
/// an nn.fail that says why; elsewhere that ends the walk, and it fails. `visit` may
/// erase its op, and no other.
mlir::LogicalResult walkGraph(mlir::func::FuncOp func,
                              llvm::function_ref<mlir::LogicalResult(mlir::Operation *)> visit);
/// Makes the result types of `func` those of the values it returns.
void updateFunctionType(mlir::func::FuncOp func);

} // namespace quern::passes
