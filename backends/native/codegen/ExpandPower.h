//===- ExpandPower.h - powers without libm --------------------------------===//
#pragma once

#include "mlir/Dialect/Math/IR/Math.h"

namespace quern::native {

/// What `op` becomes, equal to C's pow on special values; null when it stays.
/// float32 always does, with 1 ulp error at most, 3 ulp for the constant
/// exponents that few multiplications and square roots serve; float64 does for
/// these exponents only.
mlir::Value expandPower(mlir::math::PowFOp op);

} // namespace quern::native
