//===- Plan.cpp - what a compiled graph is at run time --------------------===//
#include "runtime/plan/Plan.h"

#include "runtime/lib/Arena.h"

#include <algorithm>

using namespace quern;

CheckedSize quern::workerScratchBytes(const Plan &plan) {
  int64_t largest = 0;
  for (const PlanStep &step : plan.steps)
    if (auto *kernel = std::get_if<KernelStep>(&step.work))
      largest = std::max(largest, kernel->scratchBytes);
  return CheckedSize(largest).alignedTo(Arena::kAlignment);
}

CheckedSize quern::scratchOffset(const Plan &plan) {
  return CheckedSize(plan.arenaBytes).alignedTo(Arena::kAlignment);
}

CheckedSize quern::runBytes(const Plan &plan, int workers) {
  CheckedSize scratch = workerScratchBytes(plan);
  if (scratch.valid() && scratch.value() == 0)
    return plan.arenaBytes;
  return scratchOffset(plan) + CheckedSize(workers) * scratch;
}

void quern::releaseSlotsAfterLastUse(Plan &plan) {
  std::vector<bool> neededLater(plan.dynamicSlots, false);
  for (const PlanPort &output : plan.outputs)
    if (output.dynamic)
      neededLater[output.slot] = true;
  for (size_t i = plan.steps.size(); i-- > 0;) {
    auto *step = std::get_if<ReferenceStep>(&plan.steps[i].work);
    if (!step)
      continue;
    step->released.clear();
    for (const std::vector<ValueRef> *refs : {&step->outputs, &step->inputs})
      for (const ValueRef &ref : *refs)
        if (ref.buffer.isDynamic() && !neededLater[ref.buffer.index]) {
          neededLater[ref.buffer.index] = true;
          step->released.push_back(ref.buffer.index);
        }
  }
}

int64_t quern::approximateBytes(const Plan &plan) {
  size_t bytes = sizeof(Plan) + plan.weights.size() * sizeof(Tensor) +
                 (plan.inputs.size() + plan.outputs.size()) * sizeof(PlanPort);
  for (const PlanStep &step : plan.steps) {
    bytes += sizeof(PlanStep) + step.nodes.capacity() + step.kernel.capacity();
    if (auto *kernel = std::get_if<KernelStep>(&step.work))
      bytes += kernel->buffers.capacity() * sizeof(BufferRef) +
               kernel->dims.capacity() * sizeof(int64_t);
    else if (auto *reference = std::get_if<ReferenceStep>(&step.work))
      bytes += (reference->inputs.size() + reference->outputs.size()) * sizeof(ValueRef);
  }
  return static_cast<int64_t>(bytes);
}
