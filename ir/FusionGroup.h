//===- FusionGroup.h - what a fusion group is made of ---------------------===//
#pragma once

#include "ir/NNDialect.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace quern::nn {

/// Opaque for ops that say nothing of fusion.
FusionKind fusionKindOf(mlir::Operation *op);
/// The anchor of a group, or null. An anchor outside a group is its own anchor.
mlir::Operation *groupAnchor(mlir::Operation *group);
/// The group that `op` is in; `op` itself when it is in none.
mlir::Operation *groupOf(mlir::Operation *op);
/// The value outside `group` that its body value `inner` stands for; `inner`
/// itself when it is defined in the body.
mlir::Value outerValue(mlir::Operation *group, mlir::Value inner);

/// Replaces `members`, in program order, by a group in the last one's place; what others use of
/// them, they use behind it. Its results are those that others use, and the last one's.
/// Constants that `belongsInside` accepts are copied into it, other operands are given to it.
GroupOp createGroup(llvm::ArrayRef<mlir::Operation *> members,
                    llvm::function_ref<bool(mlir::Value)> belongsInside);

} // namespace quern::nn
