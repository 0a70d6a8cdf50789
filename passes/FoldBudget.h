//===- FoldBudget.h - bounds on constant folding --------------------------===//
#pragma once

#include "runtime/running/Budget.h"

#include "mlir/IR/Operation.h"

#include <memory>

namespace quern::passes {

/// What the folding passes of one compilation may spend together: maxFoldedWork,
/// maxFoldedBytes (of which heldBytes() have been created) and time. What exceeds
/// work or bytes is not folded, and computed when the model runs.
std::shared_ptr<Budget> makeFoldBudget(const Limits &limits);

/// The same for rounding constants that a graph holds already, whatever their making has left: it
/// takes no longer, and half their bytes.
std::shared_ptr<Budget> makeRoundingBudget(const Budget *folding);

/// The work of folding the weights of `module` that a model may ask for besides
/// maxFoldedWork: in proportion to what is in its files.
int64_t weightFoldingWork(mlir::Operation *module);

} // namespace quern::passes
