//===- SimplifyGraph.h - rewrites of SimplifyGraph in files of their own --===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/PatternMatch.h"

namespace quern::passes {

/// Reshapes and transposes in one form, and merged.
void populateReshapePatterns(mlir::RewritePatternSet &patterns);
/// Pools and reductions over whole images as global pools.
void populateGlobalPoolPatterns(mlir::RewritePatternSet &patterns);
/// What is padded for convolutions as their own pads.
void populatePadPatterns(mlir::RewritePatternSet &patterns);

/// What follows the concatenation of what convolutions make, before it.
void populateConcatPatterns(mlir::RewritePatternSet &patterns);

/// The type of a value whose sizes are all numbers; null otherwise.
inline mlir::RankedTensorType staticType(mlir::Value value) {
  auto type = llvm::dyn_cast<mlir::RankedTensorType>(value.getType());
  return type && type.hasStaticShape() ? type : mlir::RankedTensorType();
}

} // namespace quern::passes
