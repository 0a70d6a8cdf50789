//===- ReshapeTargets.h - reshapes whose target need not be computed ------===//
#pragma once

#include "mlir/IR/PatternMatch.h"

namespace quern::passes {

/// Where the sizes of a reshape's target are numbers, sizes of its input at the same
/// place, or one size that the others decide, the target becomes a constant: what
/// exporters compute from shapes ([batch, length, 12, 64]) is [0, 0, 12, 64].
void populateReshapeTargetPatterns(mlir::RewritePatternSet &patterns);

} // namespace quern::passes
