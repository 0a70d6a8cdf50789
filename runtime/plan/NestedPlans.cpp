//===- NestedPlans.cpp - the plans that a step runs -----------------------===//
#include "runtime/plan/NestedPlans.h"

#include <algorithm>

using namespace quern;

std::unique_ptr<NestedPlans> NestedPlans::of(const PlanStep &step) {
  return step.visit([]<typename Step>(const Step &work) -> std::unique_ptr<NestedPlans> {
    if constexpr (RunsPlans<Step>)
      return work.nestedPlans();
    return nullptr;
  });
}

void NestedPlans::clear() {
  std::fill(passed.begin(), passed.end(), Passed());
  std::fill(carried.begin(), carried.end(), Passed());
  std::fill(results.begin(), results.end(), AnyValue());
  for (SlicedInput &sliced : slices)
    sliced.clear();
  for (StackedOutput &stacked : stacks)
    stacked.clear();
  for (NestedPlan &plan : plans)
    plan.clear();
}
