//===- Executor.cpp - runs a plan -----------------------------------------===//
#include "runtime/plan/Executor.h"

#include "runtime/lib/FloatEnvironment.h"

#include <algorithm>
#include <chrono>
#include <cstring>

using namespace quern;
using Space = BufferRef::Space;

Executor::Executor(std::shared_ptr<const Plan> plan)
    : compiled(std::move(plan)), slots(compiled->dynamicSlots),
      scratchBytes(workerScratchBytes(*compiled).value()) {
  size_t widest = 0;
  for (const PlanStep &step : compiled->steps)
    if (auto *kernel = std::get_if<KernelStep>(&step.work))
      widest = std::max(widest, kernel->buffers.size());
  pointers.resize(widest);
}

void *Executor::resolve(const BufferRef &ref, const Binding &binding) const {
  auto at = [&](const void *base) -> std::byte * {
    // The storage of an empty tensor may be nowhere.
    if (!base)
      return nullptr;
    return const_cast<std::byte *>(static_cast<const std::byte *>(base)) + ref.offset;
  };
  switch (ref.space) {
  case Space::Arena:
    return at(binding.resources.arena);
  case Space::Weights:
    return at(compiled->weights[ref.index].rawData());
  case Space::Input:
    return at(binding.inputs[ref.index].rawData());
  case Space::Output:
    return at(binding.outputs[ref.index].rawData());
  case Space::Dynamic:
    break;
  }
  return nullptr;
}

/// The memory of the worker that asks.
void *Executor::workerScratch(const KernelStep &step, const RunResources &resources) const {
  if (step.scratchBytes == 0)
    return nullptr;
  return resources.arena + scratchOffset(*compiled).value() +
         resources.pool.currentWorker() * scratchBytes;
}

Status Executor::runKernel(const KernelStep &step, const Binding &binding) {
  if (step.tasks <= 0)
    return Status::ok();
  for (size_t i = 0; i < step.buffers.size(); ++i)
    pointers[i] = resolve(step.buffers[i], binding);
  void *const *buffers = pointers.data();
  const RunResources &resources = binding.resources;
  auto call = [&](int64_t begin, int64_t end) {
    return step.function(buffers, step.dims.data(), begin, end, workerScratch(step, resources));
  };
  if (step.tasks <= step.grain) {
    int32_t reason = call(0, step.tasks);
    return reason == 0 ? Status::ok() : refusalStatus(reason);
  }
  const Budget &budget = resources.budget;
  FirstRefusal refusal;
  resources.pool.parallelFor(step.tasks, step.grain, [&](int64_t begin, int64_t end) {
    if (!budget.mustStop() && !refusal.comesBefore(begin))
      refusal.note(begin, call(begin, end));
  });
  // A range was left out only if the budget says so still, or after a refusal.
  QUERN_TRY(budget.check());
  return refusal.status();
}

Tensor Executor::operand(const TensorRef &ref, const Binding &binding) const {
  if (ref.constant.isPresent())
    return ref.constant;
  if (ref.dtype == DType::Undefined)
    return Tensor();
  if (ref.buffer.space == Space::Dynamic)
    return slots[ref.buffer.index];
  return Tensor::borrow(ref.dtype, ref.dims, resolve(ref.buffer, binding));
}

Tensor Executor::place(const TensorRef &ref, const Binding &binding) const {
  // Strings are objects, which only the tensors of the caller hold.
  bool hasObjects = ref.dtype != DType::String || ref.buffer.space == Space::Output;
  if (ref.buffer.space == Space::Dynamic || !hasObjects)
    return Tensor();
  return Tensor::borrow(ref.dtype, ref.dims, resolve(ref.buffer, binding));
}

Status Executor::storeInSlot(uint32_t slot, Tensor result, const Binding &binding) {
  QUERN_TRY(binding.budget().hold(result.numBytes()));
  // A result may share its operand's storage (a reshape). Static buffers are
  // overwritten by later steps, and so are no tensor's to keep.
  if (!result.isOwner()) {
    QUERN_ASSIGN(result, result.clone());
  }
  slots[slot] = std::move(result);
  return Status::ok();
}

Status Executor::storeResult(const TensorRef &ref, Tensor result, const Binding &binding) {
  if (result.dtype() != ref.dtype)
    return internalError("a result has type " + std::string(dtypeName(result.dtype())) +
                         ", planned was " + std::string(dtypeName(ref.dtype)));
  if (ref.buffer.space == Space::Dynamic)
    return storeInSlot(ref.buffer.index, std::move(result), binding);
  if (result.dims() != ref.dims)
    return internalError("a result has shape " + formatDims(result.dims()) + ", planned was " +
                         formatDims(ref.dims));
  void *target = resolve(ref.buffer, binding);
  if (result.rawData() == target) // where the kernel has written it
    return Status::ok();
  if (ref.dtype == DType::String) {
    if (ref.buffer.space != Space::Output)
      return internalError("a string result is planned in the arena");
    std::copy_n(result.data<std::string>(), result.numElements(),
                static_cast<std::string *>(target));
  } else if (result.numElements() > 0) {
    std::memmove(target, result.rawData(), static_cast<size_t>(result.numBytes()));
  }
  return Status::ok();
}

Status Executor::runReference(const ReferenceStep &step, const Binding &binding) {
  std::vector<Tensor> operands, places;
  operands.reserve(step.inputs.size());
  places.reserve(step.outputs.size());
  binding.budget().beginStep();
  for (const TensorRef &ref : step.inputs)
    operands.push_back(operand(ref, binding));
  for (const TensorRef &ref : step.outputs)
    places.push_back(place(ref, binding));
  QUERN_ASSIGN(std::vector<Tensor> results, step.function({operands, binding.budget(), places}));
  if (results.size() != step.outputs.size())
    return internalError("computed " + std::to_string(results.size()) + " results, planned were " +
                         std::to_string(step.outputs.size()));
  for (size_t i = 0; i < results.size(); ++i)
    QUERN_TRY(storeResult(step.outputs[i], std::move(results[i]), binding));
  for (uint32_t slot : step.released) {
    binding.budget().release(slots[slot].numBytes());
    slots[slot] = Tensor();
  }
  return Status::ok();
}

Status Executor::runSteps(const Binding &binding) {
  const RunResources &resources = binding.resources;
  using Clock = std::chrono::steady_clock;
  bool profile = !resources.profile.empty();
  for (size_t i = 0; i < compiled->steps.size(); ++i) {
    const PlanStep &step = compiled->steps[i];
    Clock::time_point start = profile ? Clock::now() : Clock::time_point();
    Status status = resources.budget.check();
    if (auto *kernel = std::get_if<KernelStep>(&step.work); status.isOk() && kernel)
      status = runKernel(*kernel, binding);
    else if (status.isOk())
      status = runReference(std::get<ReferenceStep>(step.work), binding);
    if (!status.isOk())
      return status.withContext("node '" + step.nodes + "' (" + step.kernel + ")");
    if (profile)
      resources.profile[i].addRun(std::chrono::nanoseconds(Clock::now() - start).count());
  }
  return assignDynamicOutputs(binding);
}

Status Executor::assignDynamicOutputs(const Binding &binding) {
  if (slots.empty())
    return Status::ok();
  std::vector<std::pair<size_t, Tensor>> results;
  for (size_t i = 0; i < compiled->outputs.size(); ++i)
    if (compiled->outputs[i].dynamic)
      results.emplace_back(i, slots[compiled->outputs[i].slot]);
  std::fill(slots.begin(), slots.end(), Tensor());
  for (auto &[i, result] : results) {
    Status status = binding.budget().unshare(result);
    if (!status.isOk())
      return status.withContext("output '" + compiled->outputs[i].name + "'");
  }
  for (auto &[i, result] : results)
    binding.outputs[i] = std::move(result);
  return Status::ok();
}

Status Executor::run(std::span<const Tensor> inputs, std::span<Tensor> outputs,
                     const RunResources &resources) {
  Binding binding{inputs, outputs, resources};
  int64_t heldBefore = resources.budget.heldBytes();
  CheckedSize memory = runBytes(*compiled, resources.pool.threads());
  if (!memory.valid())
    return resourceLimit("the size of the scratch memory overflows");
  QUERN_TRY(resources.budget.hold(memory.value()));
  Status status;
  resources.pool.enter([&] {
    FloatEnvironment environment(resources.flushSubnormals);
    status = runSteps(binding);
  });
  std::fill(slots.begin(), slots.end(), Tensor());
  resources.budget.release(resources.budget.heldBytes() - heldBefore);
  return status;
}
