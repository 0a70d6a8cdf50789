//===- AotRefusal.h - plans that cannot become code -----------------------===//
#pragma once

#include "backends/plan/PlanTree.h"

namespace quern::native {

/// Unsupported, with all nodes and ports named, when sizes depend on data, values are no
/// tensors of numbers, or reference kernels are needed that no archive (unless
/// `hasRuntime`) has.
Status checkPlan(const plan::PlanTree &tree, bool hasRuntime);

} // namespace quern::native
