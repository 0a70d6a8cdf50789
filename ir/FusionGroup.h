//===- FusionGroup.h - what a fusion group is made of ---------------------===//
#pragma once

#include "ir/NNDialect.h"

namespace quern::nn {

/// Opaque for ops that say nothing of fusion.
FusionKind fusionKindOf(mlir::Operation *op);
/// The anchor of a group (its FusionKind::Anchor op), or null. A anchor op outside a
/// group is its own anchor.
mlir::Operation *groupAnchor(mlir::Operation *group);
/// The group that `op` is in; `op` itself when it is in none.
mlir::Operation *groupOf(mlir::Operation *op);
/// The value outside `group` that its body value `inner` stands for; `inner`
/// itself when it is defined in the body.
mlir::Value outerValue(mlir::Operation *group, mlir::Value inner);

} // namespace quern::nn
