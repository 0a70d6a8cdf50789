//===- GrowCaches.h - caches that grow along their first dimension --------===//
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern::passes {

/// Gives each output of `main` that is a concatenation of an input and more (present keys: past
/// keys and new ones), and that input, the dimension along which it grows as the first one, the
/// others in their order. The input's elements are then the first of the output's, so that a run
/// may leave them where they are. Outputs that are such a beginning anyhow stay as they are.
void growCaches(mlir::func::FuncOp main);

} // namespace quern::passes
