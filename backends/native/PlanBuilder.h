//===- PlanBuilder.h - from lowered steps to a plan -----------------------===//
#pragma once

#include "backends/native/KernelCache.h"
#include "backends/native/LowerGraph.h"
#include "runtime/plan/Plan.h"

namespace quern::native {

/// A plan whose kernel steps have no code yet.
struct UnlinkedPlan {
  Plan plan;
  /// The kernel key of each step; empty for reference steps.
  std::vector<std::string> kernelKeys;
  /// Why each step has no native code; empty for kernel steps.
  std::vector<std::string> refusals;
};

/// Compiles the kernels of `graph`, packs its weights, gives every value a place
/// and orders the steps. `main` is the function that `graph` was lowered from.
Expected<UnlinkedPlan> buildPlan(mlir::func::FuncOp main, const LoweredGraph &graph,
                                 KernelCache &cache, const Limits &limits);

/// Sets the functions of all kernel steps.
Expected<std::shared_ptr<const Plan>> linkPlan(UnlinkedPlan plan, KernelCache &cache);

} // namespace quern::native
