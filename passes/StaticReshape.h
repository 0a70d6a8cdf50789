//===- StaticReshape.h - reshapes whose result shape is known -------------===//
#pragma once

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace quern::passes {

/// `value` as a row-major tensor of `sizes` (the same number of elements):
/// an nn.reshape in the form that SimplifyGraph gives to all static reshapes.
mlir::Value createStaticReshape(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                                llvm::ArrayRef<int64_t> sizes);

} // namespace quern::passes
