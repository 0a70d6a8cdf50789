//===- Plan.cpp - what a compiled graph is at run time --------------------===//
#include "runtime/plan/Plan.h"

#include "runtime/running/Arena.h"

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

ValueRefs quern::refsOf(const PlanStep &step) {
  ValueRefs refs;
  step.visit([&](const auto &work) { work.addRefs(refs); });
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

namespace {
/// The steps that read or write the caller's memory of a port, by their numbers.
struct PortUse {
  static constexpr size_t kNone = SIZE_MAX;
  size_t first = kNone, last = 0;
  /// The first that is no kernel, and may keep a view of its operand for later steps.
  size_t firstOfValues = kNone;

  void add(size_t step, bool isKernel) {
    first = std::min(first, step);
    last = std::max(last, step);
    if (!isKernel)
      firstOfValues = std::min(firstOfValues, step);
  }
};

struct PortUses {
  explicit PortUses(const Plan &plan);
  std::vector<PortUse> inputs, outputs;
};
} // namespace

PortUses::PortUses(const Plan &plan) : inputs(plan.inputs.size()), outputs(plan.outputs.size()) {
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    auto *kernel = plan.steps[i].as<KernelStep>();
    auto add = [&](const BufferRef &ref) {
      if (ref.space == BufferRef::Space::Input)
        inputs[ref.index].add(i, kernel);
      else if (ref.space == BufferRef::Space::Output)
        outputs[ref.index].add(i, kernel);
    };
    if (kernel)
      std::for_each(kernel->buffers.begin(), kernel->buffers.end(), add);
    for (const ValueRef *ref : refsOf(plan.steps[i]))
      add(ref->buffer);
  }
}

bool quern::continues(const PlanPort &output, const PlanPort &input) {
  const Tensor::Dims &from = input.dims, &to = output.dims;
  if (output.dtype != input.dtype || from.size() != to.size())
    return false;
  // Before the dimension along which it grows there are only ones.
  bool mayGrow = true;
  for (size_t d = 0; d < from.size(); ++d) {
    if (from[d] != to[d] && (!mayGrow || from[d] > to[d]))
      return false;
    mayGrow = mayGrow && from[d] == 1 && to[d] == 1;
  }
  return true;
}

/// Why `output`, which step `copy` first copies `input` to, does not continue it.
static std::optional<Reason> refuseUpdate(const Plan &plan, const PortUses &uses, size_t copy,
                                          uint32_t input, uint32_t output) {
  const PlanPort &from = plan.inputs[input], &to = plan.outputs[output];
  if (!continues(to, from))
    return Reason{ReasonCode::Shape, "the output is of another type or size than the input"};
  if (uses.outputs[output].first != copy)
    return Reason{ReasonCode::Order, "the output is written before it is copied to"};
  // What only grows behind the input leaves it as it is.
  if (from.dims == to.dims && uses.inputs[input].last != copy)
    return Reason{ReasonCode::SeveralUses, "the input is needed later"};
  if (uses.inputs[input].firstOfValues <= copy)
    return Reason{ReasonCode::NoKernel, "a step without native code has read the input"};
  return std::nullopt;
}

void quern::findUpdatedInputs(Plan &plan, std::vector<Refusal> *refusals) {
  PortUses uses(plan);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    auto *copy = plan.steps[i].as<KernelStep>();
    if (!copy || !copy->copiesWhole || copy->buffers[0].space != BufferRef::Space::Input ||
        copy->buffers[1].space != BufferRef::Space::Output)
      continue;
    uint32_t from = copy->buffers[0].index, to = copy->buffers[1].index;
    std::optional<Reason> reason = refuseUpdate(plan, uses, i, from, to);
    if (!reason) {
      plan.outputs[to].updates = from;
    } else if (refusals) {
      reason->nodes = {plan.steps[i].nodes.str()};
      refusals->push_back({Refusal::Kind::Update, std::move(*reason)});
    }
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
    else
      bytes += step.visit([](const auto &work) { return sizeof(work); }) +
               refsOf(step).size() * sizeof(ValueRef);
    if (auto *reference = step.as<ReferenceStep>(); reference && reference->reason)
      bytes += reference->reason->text.capacity();
  }
  return static_cast<int64_t>(bytes) + plan.ownWeightBytes;
}
