//===- NestedFrames.cpp - the frames of plans that a step runs ------------===//
#include "runtime/plan/RunControlFlow.h"

#include <algorithm>

using namespace quern;

std::unique_ptr<NestedFrames> NestedFrames::of(const PlanStep &step, size_t firstRow) {
  std::vector<const SubPlan *> plans = subPlansOf(step);
  auto *stage = step.as<StageStep>();
  if (plans.empty() && !stage)
    return nullptr;
  auto nested = std::make_unique<NestedFrames>();
  nested->frames.reserve(plans.size());
  for (const SubPlan *each : plans) {
    nested->frames.emplace_back(*each->plan, firstRow);
    firstRow = nested->frames.back().endRow;
  }
  if (stage) {
    nested->passed.resize(stage->inputs.size());
    nested->results.resize(stage->outputs.size());
  } else if (auto *branches = step.as<IfStep>()) {
    nested->passed.resize(std::max(branches->thenInputs.size(), branches->elseInputs.size()));
    nested->results.resize(branches->outputs.size());
  } else if (auto *scan = step.as<ScanStep>()) {
    nested->slices.resize(scan->scanInputs.size());
    nested->resizeFor(*scan);
  } else if (auto *loop = step.as<LoopStep>()) {
    nested->resizeFor(*loop);
  }
  return nested;
}

void NestedFrames::resizeFor(const IteratedPlan &step) {
  passed.resize(step.captured.size());
  carried.resize(step.carried.size());
  stacks.resize(step.scanOutputs.size());
}

void NestedFrames::clear() {
  std::fill(passed.begin(), passed.end(), Passed());
  std::fill(carried.begin(), carried.end(), Passed());
  std::fill(results.begin(), results.end(), AnyValue());
  for (SlicedInput &sliced : slices)
    sliced.clear();
  for (StackedOutput &stacked : stacks)
    stacked.clear();
  for (Frame &frame : frames)
    frame.clearSlots();
}
