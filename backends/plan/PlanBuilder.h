//===- PlanBuilder.h - from lowered steps to a plan -----------------------===//
#pragma once

#include "backends/plan/LowerGraph.h"
#include "backends/plan/PackedWeights.h"
#include "runtime/plan/Plan.h"

namespace quern::plan {

/// A plan whose kernel steps have no code yet.
struct UnlinkedPlan {
  Plan plan;
  /// The kernels it needs, each once.
  std::vector<KernelSpec> kernels;
  /// The kernel key of each step; empty for reference steps.
  std::vector<std::string> kernelKeys;
  /// Why each step has no native code; empty for kernel steps.
  std::vector<std::string> refusals;
  /// Whether each step has no native code only because a size is not known: the JIT
  /// leaves it to a later stage.
  std::vector<bool> needsSizes;
  /// What the plan's StageStep, which has no planner yet, is to run; with no outputs
  /// when there is no such step.
  GraphPart later;
};

/// Packs the weights of `graph`, gives every value a place and orders the steps. The
/// ports are those of the graph's part, a part of `main`.
Expected<UnlinkedPlan> buildPlan(mlir::func::FuncOp main, const LoweredGraph &graph,
                                 const OpLowering &lowering, PackedWeights &weights,
                                 const Limits &limits);

} // namespace quern::plan
