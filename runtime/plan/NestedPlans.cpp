//===- NestedPlans.cpp - the plans that a step runs -----------------------===//
#include "runtime/plan/RunControlFlow.h"

#include <algorithm>

using namespace quern;

static void resizeFor(const IteratedStep &step, NestedPlans &nested) {
  nested.plans.resize(1);
  nested.passed.resize(step.captured.size());
  nested.carried.resize(step.carried.size());
  nested.stacks.resize(step.scanOutputs.size());
}

std::unique_ptr<NestedPlans> NestedPlans::of(const PlanStep &step) {
  auto nested = std::make_unique<NestedPlans>();
  if (auto *stage = step.as<StageStep>()) {
    nested->plans.resize(1);
    nested->passed.resize(stage->inputs.size());
    nested->results.resize(stage->outputs.size());
  } else if (auto *branches = step.as<IfStep>()) {
    nested->plans.resize(2);
    nested->passed.resize(branches->inputs.size());
    nested->results.resize(branches->outputs.size());
    nested->hasFixedSizes =
        std::none_of(branches->inputs.begin(), branches->inputs.end(),
                     [](const ValueRef &input) { return input.buffer.isDynamic(); });
  } else if (auto *scan = step.as<ScanStep>()) {
    nested->slices.resize(scan->scanInputs.size());
    resizeFor(*scan, *nested);
  } else if (auto *loop = step.as<LoopStep>()) {
    resizeFor(*loop, *nested);
  } else {
    return nullptr;
  }
  return nested;
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
