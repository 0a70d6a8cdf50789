//===- Executor.cpp - runs a plan -----------------------------------------===//
#include "runtime/plan/Executor.h"

#include "runtime/plan/Profile.h"
#include "runtime/running/FloatEnvironment.h"

#include <vector>

using namespace quern;

Executor::Executor(std::shared_ptr<const Plan> plan)
    : compiled(std::move(plan)), frame(*compiled),
      scratchBytes(workerScratchBytes(*compiled).value()),
      scratchStart(scratchOffset(*compiled).value()) {}

CheckedSize Executor::runBytes(int workers) {
  if (memoryWorkers != workers)
    memory = quern::runBytes(*compiled, workers);
  memoryWorkers = workers;
  return memory;
}

Status Executor::bindPorts(ValueList inputs, ValueTargets outputs, Budget &budget) {
  for (size_t i = 0; i < compiled->inputs.size(); ++i) {
    const PlanPort &port = compiled->inputs[i];
    const Tensor *tensor = inputs.asTensor(i);
    if (port.dynamic)
      QUERN_TRY(frame.holdInSlot(port.slot, inputs[i], budget));
    else if (tensor)
      frame.inputs[i] = const_cast<void *>(tensor->rawData());
    else
      return internalError("input '" + port.name + "' is planned as a tensor");
  }
  for (size_t i = 0; i < compiled->outputs.size(); ++i) {
    const PlanPort &port = compiled->outputs[i];
    Tensor *tensor = port.dynamic ? nullptr : outputs.asTensor(i);
    if (!port.dynamic && !tensor)
      return internalError("output '" + port.name + "' is planned as a tensor");
    frame.outputs[i] = tensor ? tensor->mutableRawData() : nullptr;
  }
  return Status::ok();
}

Status Executor::assignDynamicOutputs(ValueTargets outputs, Budget &budget) {
  if (frame.slots.empty())
    return Status::ok();
  std::vector<std::pair<size_t, AnyValue>> results;
  for (size_t i = 0; i < compiled->outputs.size(); ++i)
    if (compiled->outputs[i].dynamic)
      results.emplace_back(i, frame.slots[compiled->outputs[i].slot]);
  frame.clearSlots();
  auto named = [&](size_t i, const Status &status) {
    return status.withContext("output '" + compiled->outputs[i].name + "'");
  };
  for (auto &[i, result] : results)
    QUERN_TRY(named(i, budget.unshare(result)));
  for (auto &[i, result] : results)
    QUERN_TRY(named(i, outputs.set(i, std::move(result))));
  return Status::ok();
}

Status Executor::run(ValueList inputs, ValueTargets outputs, const RunResources &resources) {
  Budget &budget = resources.budget;
  int64_t heldBefore = budget.heldBytes();
  CheckedSize needed = runBytes(resources.pool.threads());
  if (!needed.valid())
    return resourceLimit("the size of the scratch memory overflows");
  QUERN_TRY(budget.hold(needed.value()));
  RunContext context{.pool = resources.pool,
                     .budget = budget,
                     .scratch = resources.arena + scratchStart,
                     .scratchBytes = scratchBytes,
                     .profile = resources.profile};
  frame.arena = resources.arena;
  Status status = bindPorts(inputs, outputs, budget);
  if (status.isOk())
    resources.pool.enter([&] {
      FloatEnvironment environment(resources.flushSubnormals);
      status = runSteps(frame, context);
    });
  if (status.isOk())
    status = assignDynamicOutputs(outputs, budget);
  frame.clearSlots();
  budget.release(budget.heldBytes() - heldBefore);
  return status;
}

std::vector<ProfileRow> Executor::profile(std::span<const ProfileRow> rows) const {
  return rowsWithNested(rows, frame);
}

void Executor::clearNestedProfile() { clearNestedRows(frame); }
