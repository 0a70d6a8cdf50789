//===- RunSteps.h - runs the steps of a plan ------------------------------===//
#pragma once

#include "quern/ProfileRow.h"
#include "runtime/plan/Frame.h"
#include "runtime/running/Budget.h"
#include "runtime/running/TaskPool.h"

#include <cstddef>
#include <span>

namespace quern {

/// What all steps of a run share, whichever plan they belong to.
struct RunContext {
  TaskPool &pool;
  /// Asked between steps that take a while, between the task ranges of a step and by reference
  /// kernels; holds the arena and the values in dynamic slots.
  Budget &budget;
  /// The scratch memory of worker 0, and how much each has; the others' follow.
  std::byte *scratch = nullptr;
  int64_t scratchBytes = 0;
  /// The time of each step is added here, when it is not empty; a row for each of
  /// profileRows(plan), see runtime/plan/Profile.h.
  std::span<ProfileRow> profile = {};
};

/// One step of a run.
struct StepRun {
  Frame &caller;
  /// The plans that the step runs; null for one that runs none.
  NestedPlans *nested;
  const RunContext &run;
  /// Slots that end with the step.
  std::span<const uint32_t> released;
  /// Of the step, for traces.
  const SharedText &kernel;
};

/// Runs the plan of a frame whose arena and ports are bound. Dynamic outputs are in
/// their slots then. Errors name the nodes of the step that failed.
Status runSteps(Frame &frame, const RunContext &run);
/// Runs the wave that begins with the step `first`: its chunks are dealt out together.
Status runWave(Frame &frame, const RunContext &run, size_t first);
/// The status, with the step's nodes where it is an error.
Status inStep(const PlanStep &step, Status status);

} // namespace quern
