//===- NestedPlans.h - the plans that a step runs -------------------------===//
#pragma once

#include "runtime/plan/NestedPlan.h"
#include "runtime/plan/ScanSlices.h"

namespace quern {

/// The plans that a step runs, and what it keeps while it does.
struct NestedPlans {
  /// Null for a step that runs no plan.
  static std::unique_ptr<NestedPlans> of(const PlanStep &step);

  /// Lets go of what a run held.
  void clear();

  /// Whether every run of the step finds operands of the same sizes, and so the same plan.
  bool hasFixedSizes = false;
  /// Then and else, or the one of a body or a stage.
  std::vector<NestedPlan> plans;
  /// What is passed to a branch or a stage, or captured by a body; and carried values.
  std::vector<Passed> passed, carried;
  /// Results of a branch or a stage that have no place.
  std::vector<AnyValue> results;
  std::vector<SlicedInput> slices;
  std::vector<StackedOutput> stacks;
};

} // namespace quern
