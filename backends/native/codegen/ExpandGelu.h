//===- ExpandGelu.h - the exact GELU as one function ----------------------===//
#pragma once

#include "mlir/IR/Operation.h"

namespace quern::native {

struct Target;

/// Makes one function of each x / 2 (1 + erf(x / sqrt(2))) of float32 in `top`, whatever the order
/// of its factors.
void expandGelus(mlir::Operation *top, const Target &target);

} // namespace quern::native
