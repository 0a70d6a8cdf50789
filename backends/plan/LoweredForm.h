//===- LoweredForm.h - what is the same of steps for other sizes ----------===//
#pragma once

#include "backends/plan/LowerGraph.h"

#include "llvm/ADT/DenseMap.h"

namespace quern::plan {

/// From values of one op to those of another one.
using ValueMap = llvm::DenseMap<mlir::Value, mlir::Value>;

/// Whether two lowerings of one op, for different sizes, differ in numbers only: dims, tasks,
/// offsets, sizes of scratch memory, shares of the cost.
bool haveSameForm(const LoweredSteps &a, const LoweredSteps &b);

/// Whether the steps of two ops are the same but for the values that they work on, numbers
/// included. `map` leads from the values of `a` to those of `b`.
bool areLoweredAlike(const LoweredOp &a, const LoweredOp &b, const ValueMap &map);

} // namespace quern::plan
