//===- StaticReshape.h - reshapes whose result shape is known -------------===//
#pragma once

#include "ir/Types.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace quern::passes {

/// `value` as a tensor of `sizes` (the same number of elements, in their order):
/// an nn.reshape in the form that SimplifyGraph gives to all static reshapes.
mlir::Value createStaticReshape(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                                llvm::ArrayRef<int64_t> sizes, nn::Layout layout = {});

} // namespace quern::passes
