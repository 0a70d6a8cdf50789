//===- RunControlFlow.h - runs steps that run other plans -----------------===//
#pragma once

#include "runtime/lib/Arena.h"
#include "runtime/plan/CallPlan.h"
#include "runtime/plan/ScanSlices.h"

namespace quern {

/// The frames of the plans that a step runs, and what it keeps while it does. All of it
/// is allocated once for all runs.
struct NestedFrames {
  /// Null for a step that runs no plan. `firstRow` as in Frame. A stage gets its frame
  /// when its plan is known.
  static std::unique_ptr<NestedFrames> of(const PlanStep &step, size_t firstRow);

  /// Lets go of what a run held.
  void clear();

  /// Then and else, or the body; of a stage, the one of `plan`.
  std::vector<Frame> frames;
  /// The plan that a stage ran last, and the memory of its runs.
  std::shared_ptr<const Plan> plan;
  Arena arena;
  /// The profile of a stage, of all plans that it has run; empty when nobody asks for one.
  std::vector<ProfileRow> rows;
  /// What is passed to a branch or a stage, or captured by a body; and carried values.
  std::vector<Passed> passed, carried;
  /// Results of a branch or a stage that have no place.
  std::vector<AnyValue> results;
  std::vector<SlicedInput> slices;
  std::vector<StackedOutput> stacks;

private:
  void resizeFor(const IteratedPlan &step);
};

Status runIf(const IfStep &step, Frame &caller, NestedFrames &nested, const RunContext &run);
Status runLoop(const LoopStep &step, Frame &caller, NestedFrames &nested, const RunContext &run);
Status runScan(const ScanStep &step, Frame &caller, NestedFrames &nested, const RunContext &run);
Status runStage(const StageStep &step, Frame &caller, NestedFrames &nested, const RunContext &run);

} // namespace quern
