//===- Plan.cpp - what a compiled graph is at run time --------------------===//
#include "runtime/plan/Plan.h"

#include "runtime/lib/Arena.h"

#include <algorithm>

using namespace quern;

CheckedSize quern::workerScratchBytes(const Plan &plan) {
  int64_t largest = 0;
  for (const PlanStep &step : plan.steps)
    if (auto *kernel = step.as<KernelStep>())
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

namespace {
using Refs = std::vector<const ValueRef *>;

void addAll(Refs &refs, const std::vector<ValueRef> &list) {
  for (const ValueRef &ref : list)
    refs.push_back(&ref);
}

void addIterated(Refs &refs, const IteratedStep &step) {
  for (const CarriedValue &carried : step.carried)
    refs.insert(refs.end(), {&carried.initial, &carried.result});
  for (const ScanOutput &output : step.scanOutputs)
    refs.push_back(&output.result);
  addAll(refs, step.captured);
}

} // namespace

Refs quern::refsOf(const PlanStep &step) {
  Refs refs;
  if (auto *reference = step.as<ReferenceStep>()) {
    addAll(refs, reference->outputs);
    addAll(refs, reference->inputs);
  } else if (auto *branches = step.as<IfStep>()) {
    addAll(refs, branches->outputs);
    addAll(refs, branches->inputs);
    refs.push_back(&branches->condition);
  } else if (auto *loop = step.as<LoopStep>()) {
    addIterated(refs, *loop);
    refs.insert(refs.end(), {&loop->tripCount, &loop->condition});
  } else if (auto *scan = step.as<ScanStep>()) {
    addIterated(refs, *scan);
    for (const ScanInput &input : scan->scanInputs)
      refs.push_back(&input.operand);
  } else if (auto *stage = step.as<StageStep>()) {
    addAll(refs, stage->outputs);
    addAll(refs, stage->inputs);
  }
  return refs;
}

void quern::releaseSlotsAfterLastUse(Plan &plan) {
  std::vector<bool> neededLater(plan.dynamicSlots, false);
  for (const PlanPort &output : plan.outputs)
    if (output.dynamic)
      neededLater[output.slot] = true;
  for (size_t i = plan.steps.size(); i-- > 0;) {
    PlanStep &step = plan.steps[i];
    step.released.clear();
    auto use = [&](uint32_t slot) {
      if (!neededLater[slot])
        step.released.push_back(slot);
      neededLater[slot] = true;
    };
    for (const ValueRef *ref : refsOf(step))
      if (ref->buffer.isDynamic())
        use(ref->buffer.index);
    if (i == 0)
      for (const PlanPort &input : plan.inputs)
        if (input.dynamic)
          use(input.slot);
  }
}

/// Whether a step reads or writes the caller's memory of a port.
static bool usesPort(const PlanStep &step, BufferRef::Space space, uint32_t index) {
  auto isPort = [&](const BufferRef &ref) { return ref.space == space && ref.index == index; };
  if (auto *kernel = step.as<KernelStep>())
    return std::any_of(kernel->buffers.begin(), kernel->buffers.end(), isPort);
  Refs refs = refsOf(step);
  return std::any_of(refs.begin(), refs.end(),
                     [&](const ValueRef *ref) { return isPort(ref->buffer); });
}

void quern::findUpdatedInputs(Plan &plan) {
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    auto *copy = plan.steps[i].as<KernelStep>();
    if (!copy || !copy->copiesWhole || copy->buffers[0].space != BufferRef::Space::Input ||
        copy->buffers[1].space != BufferRef::Space::Output)
      continue;
    uint32_t from = copy->buffers[0].index, to = copy->buffers[1].index;
    const PlanPort &input = plan.inputs[from];
    PlanPort &output = plan.outputs[to];
    auto at = plan.steps.begin() + static_cast<int64_t>(i);
    // What is no kernel may keep a view of its operand for later steps.
    auto hinders = [&](const PlanStep &before) {
      return usesPort(before, BufferRef::Space::Output, to) ||
             (!before.as<KernelStep>() && usesPort(before, BufferRef::Space::Input, from));
    };
    auto reads = [&](const PlanStep &later) {
      return usesPort(later, BufferRef::Space::Input, from);
    };
    if (input.dtype == output.dtype && input.dims == output.dims &&
        std::none_of(plan.steps.begin(), at, hinders) &&
        std::none_of(at + 1, plan.steps.end(), reads))
      output.updates = from;
  }
}

int64_t quern::approximateBytes(const Plan &plan) {
  size_t bytes = sizeof(Plan) + plan.weights.size() * sizeof(Tensor) +
                 (plan.inputs.size() + plan.outputs.size()) * sizeof(PlanPort);
  for (const PlanStep &step : plan.steps) {
    bytes += sizeof(PlanStep);
    if (auto *kernel = step.as<KernelStep>())
      bytes += kernel->buffers.capacity() * sizeof(BufferRef) +
               kernel->dims.capacity() * sizeof(int64_t);
    else if (auto *reference = step.as<ReferenceStep>())
      bytes += sizeof(ReferenceStep) +
               (reference->inputs.size() + reference->outputs.size()) * sizeof(ValueRef);
  }
  return static_cast<int64_t>(bytes);
}
