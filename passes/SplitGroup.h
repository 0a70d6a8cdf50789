//===- SplitGroup.h - fusion groups taken apart ---------------------------===//
#pragma once

#include "mlir/IR/Operation.h"
#include "llvm/ADT/SmallVector.h"

namespace quern::passes {

/// Puts every op of `group` in its place, and gives them.
llvm::SmallVector<mlir::Operation *> splitGroup(mlir::Operation *group);

/// Cuts `group` at `misfit`, the first op in it that its kernel cannot compute: the ops before it
/// that have one result between them stay together, and so do the others. A misfit that is
/// the first op stands alone then. With no misfit every op is put in the group's place.
void cutGroup(mlir::Operation *group, mlir::Operation *misfit);

} // namespace quern::passes
