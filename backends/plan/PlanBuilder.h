//===- PlanBuilder.h - from lowered steps to a plan -----------------------===//
#pragma once

#include "backends/plan/LowerGraph.h"
#include "backends/plan/PackedWeights.h"
#include "passes/OutlineBodies.h"
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
  /// The op of each reference step that calls a kernel; null for other steps.
  std::vector<mlir::Operation *> referenceOps;
  /// Whether each step has no native code only because a size is not known: the JIT
  /// leaves it to a later stage.
  std::vector<bool> needsSizes;
  /// The numbers of the nn.run_bodies that steps come from, whose planners are missing;
  /// -1 for other steps.
  std::vector<int64_t> outlined;
  /// What the plan's StageStep, which has no planner yet, is to run; with no outputs
  /// when there is no such step.
  GraphPart later;
};

/// Packs the weights of `graph`, gives every value a place and orders the steps. The
/// ports are those of the graph's part, a part of `main`, from which `outlined` was taken.
Expected<UnlinkedPlan> buildPlan(mlir::func::FuncOp main,
                                 std::span<const passes::OutlinedOp> outlined,
                                 const LoweredGraph &graph, const OpLowering &lowering,
                                 PackedWeights &weights, const Limits &limits);

} // namespace quern::plan
