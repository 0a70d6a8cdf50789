//===- ExpandElementary.h - circular and hyperbolic functions -------------===//
#pragma once

#include "mlir/IR/Operation.h"

namespace quern::native {

/// What `op` becomes when it is a circular or hyperbolic function or a remainder
/// in float32, null for others. The error is 1 ulp at most, special values are
/// those of C. Sines of huge arguments and remainders of huge quotients are left
/// to libm, behind a branch.
mlir::Value expandElementary(mlir::Operation *op);

} // namespace quern::native
