//===- ExpandSigmoid.h - sigmoids as one function -------------------------===//
#pragma once

#include "mlir/IR/Operation.h"

namespace quern::native {

struct Target;

/// Makes one function of each sigmoid of float32 in `top`, written as ir/ElementwiseOps.td has it,
/// whose exponential has not been expanded.
void expandSigmoids(mlir::Operation *top, const Target &target);

} // namespace quern::native
