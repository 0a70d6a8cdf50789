//===- PlanBuilder.h - from lowered steps to a plan -----------------------===//
#pragma once

#include "backends/plan/BufferAssignment.h"
#include "backends/plan/LowerGraph.h"
#include "backends/plan/PackedWeights.h"
#include "passes/OutlineBodies.h"
#include "runtime/plan/Plan.h"

#include "llvm/ADT/DenseSet.h"

#include <optional>

namespace quern::plan {

/// Where a step of a plan comes from.
struct PlannedStep {
  /// Of a kernel step: its number among UnlinkedPlan::kernels.
  std::optional<size_t> kernel = {};
  /// Of another step: why it has no native code, where that is to be expected. Because of an
  /// unknown size: the JIT leaves it to a later stage.
  std::optional<Reason> reason = {};
  /// The op of the graph that it computes, or a part of; null for copies and later stages.
  mlir::Operation *op = nullptr;
  /// Of a step that runs bodies: the number of the nn.run_bodies, whose planners are missing.
  std::optional<size_t> outlined = {};
  /// Of a kernel step: which op it belongs to, by PlanDecisions::order, and which of its steps it
  /// is.
  size_t opIndex = 0, part = 0;
  /// Of a kernel step: LoweredStep::way.
  const char *way = "";
};

/// What a plan was made by, for plans of other sizes (PlanTemplate).
struct PlanDecisions {
  /// The ops that have steps, by their numbers in LoweredGraph::ops.
  std::vector<size_t> order;
  /// They come after those.
  std::vector<LoweredOp> copies;
  /// The values that lie in the caller's memory.
  llvm::DenseSet<mlir::Value> ports;
  ArenaUse arena;
  /// The weights of the plan that are values as they are, by their numbers.
  llvm::DenseMap<mlir::Value, uint32_t> constants;
};

/// A plan whose kernel steps have no code yet.
struct UnlinkedPlan {
  Plan plan;
  /// One for each of the plan's.
  std::vector<PlannedStep> steps;
  /// The kernels it needs, each once.
  std::vector<KernelSpec> kernels;
  /// What the plan's StageStep, which has no planner yet, is to run; with no outputs
  /// when there is no such step.
  GraphPart later;
  PlanDecisions decisions;
};

/// Packs the weights of `graph`, gives every value a place and orders the steps. The
/// ports are those of the graph's part, a part of `main`, from which `outlined` was taken. What
/// is not in place is appended to `refusals`, unless that is null.
Expected<UnlinkedPlan> buildPlan(mlir::func::FuncOp main,
                                 std::span<const passes::OutlinedOp> outlined,
                                 const LoweredGraph &graph, const OpLowering &lowering,
                                 PackedWeights &weights, const Limits &limits,
                                 std::vector<Refusal> *refusals = nullptr);

} // namespace quern::plan
