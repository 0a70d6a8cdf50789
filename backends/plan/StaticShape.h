//===- StaticShape.h - types and sizes of statically shaped values --------===//
#pragma once

#include "quern/DType.h"

#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"

namespace quern::plan {

/// The element type of a tensor value.
DType dtypeOfValue(mlir::Value value);
/// The sizes of a statically shaped tensor value.
llvm::ArrayRef<int64_t> sizesOf(mlir::Value value);
/// Their product.
int64_t elementsOf(mlir::Value value);
/// The product of `sizes`; 1 when there are none.
int64_t productOf(llvm::ArrayRef<int64_t> sizes);

} // namespace quern::plan
