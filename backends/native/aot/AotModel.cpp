//===- AotModel.cpp - what the parts of an artefact are made from ---------===//
#include "backends/native/aot/AotModel.h"

#include "backends/native/aot/AotSteps.h"
#include "runtime/reference/StepRecord.h"
#include "runtime/running/Arena.h"

#include <algorithm>

using namespace quern;
using namespace quern::native;

static CheckedSize aligned(CheckedSize bytes) { return bytes.alignedTo(Arena::kAlignment); }

int64_t native::stepOffset(const AotPlan &plan) { return aligned(plan.plan->arenaBytes).value(); }

CheckedSize native::frameBytes(const AotPlan &plan) {
  if (!plan.plan)
    return {};
  CheckedSize most;
  for (size_t i = 0; i < plan.plan->steps.size(); ++i) {
    CheckedSize callee;
    for (const AotPlan &body : plan.bodiesOf(i)) {
      CheckedSize bytes = frameBytes(body);
      if (!bytes.valid() || bytes.value() > callee.value())
        callee = bytes;
    }
    CheckedSize bytes = bytesOfStep(plan.plan->steps[i]) + callee;
    if (!bytes.valid())
      return bytes;
    most = std::max(most.value(), bytes.value());
  }
  return most.value() == 0 ? CheckedSize(plan.plan->arenaBytes)
                           : aligned(plan.plan->arenaBytes) + aligned(most);
}

/// A multiple of 64, for every step of the plan and of those that its steps run.
static int64_t scratchOf(const AotPlan &plan) {
  int64_t most = plan.plan ? workerScratchBytes(*plan.plan).value() : 0;
  for (const std::vector<AotPlan> &bodies : plan.bodies)
    most = std::max(most, scratchBytes(bodies));
  return most;
}

int64_t native::scratchBytes(std::span<const AotPlan> plans) {
  int64_t most = 0;
  for (const AotPlan &plan : plans)
    most = std::max(most, scratchOf(plan));
  return most;
}

int64_t native::scratchOffset(const AotPlan &plan) { return aligned(frameBytes(plan)).value(); }

CheckedSize native::workspaceBytes(std::span<const AotPlan> plans, int workers) {
  CheckedSize scratch = CheckedSize(workers) * scratchBytes(plans), most;
  for (const AotPlan &plan : plans) {
    CheckedSize frame = frameBytes(plan);
    CheckedSize bytes = scratch.valid() && scratch.value() == 0 ? frame : aligned(frame) + scratch;
    if (!bytes.valid())
      return bytes;
    most = std::max(most.value(), bytes.value());
  }
  return most;
}

/// Port `number` of the plans; `ports` are the inputs of a plan, or the outputs.
static ArtifactPort portOf(std::span<const AotPlan> plans, size_t number,
                           std::vector<PlanPort> Plan::*ports, const PortSignature &signature) {
  const PlanPort &first = (plans.front().plan->*ports)[number];
  ArtifactPort port{first.name, first.dtype, first.dims, {}};
  port.updates = first.updates;
  for (const AotPlan &plan : plans) {
    const PlanPort &other = (plan.plan->*ports)[number];
    port.bytes = std::max(port.bytes, portBytes(other));
    if (other.updates != port.updates)
      port.updates = std::nullopt;
    for (size_t d = 0; d < port.dims.size(); ++d)
      if (other.dims[d] != port.dims[d])
        port.dims[d] = -1;
  }
  bool hasNames = signature.ranked && signature.shape.dims().size() == port.dims.size();
  for (size_t d = 0; d < port.dims.size(); ++d)
    port.dimNames.push_back(port.dims[d] < 0 && hasNames ? signature.shape.dims()[d].symbolName()
                                                         : "");
  return port;
}

ArtifactPorts native::artifactPorts(std::span<const AotPlan> plans, const AotInterface &interface) {
  ArtifactPorts ports;
  for (size_t i = 0; i < interface.inputs.size(); ++i)
    ports.inputs.push_back(portOf(plans, i, &Plan::inputs, interface.inputs[i]));
  for (size_t i = 0; i < interface.outputs.size(); ++i)
    ports.outputs.push_back(portOf(plans, i, &Plan::outputs, interface.outputs[i]));
  return ports;
}

/// Whether a call of the plan, or of those that its steps run, is such a one.
template <typename Predicate> static bool anyCall(const AotPlan &plan, Predicate isOne) {
  auto inPlan = [&](const AotPlan &body) { return anyCall(body, isOne); };
  return std::ranges::any_of(plan.runtimeCalls, isOne) ||
         std::ranges::any_of(plan.bodies, [&](const std::vector<AotPlan> &bodies) {
           return std::ranges::any_of(bodies, inPlan);
         });
}

bool native::callsRuntime(const AotPlan &plan) {
  return anyCall(plan, [](const RuntimeCall &call) { return call.exists(); });
}

bool native::drawsAtRandom(const AotPlan &plan) {
  std::optional<std::string> table = reference::evaluatorTableSymbol("nn.random");
  return anyCall(plan, [&](const RuntimeCall &call) { return call.table == table; });
}

ModelFunctions AotModel::functions() const {
  return {.takeSizes = !interface.sizes.empty(),
          .useWeights = inFile.has_value(),
          .useRandom = std::ranges::any_of(plans, drawsAtRandom)};
}

static void addWeights(const AotPlan &plan, std::vector<Tensor> &tensors) {
  if (!plan.plan)
    return;
  for (size_t i = 0; i < plan.plan->steps.size(); ++i) {
    const PlanStep &step = plan.plan->steps[i];
    if (auto *kernel = step.as<KernelStep>())
      for (const BufferRef &ref : kernel->buffers)
        if (ref.space == BufferRef::Space::Weights)
          tensors.push_back(plan.plan->weights[ref.index]);
    for (const ValueRef *ref : refsOf(step))
      if (const Tensor *constant = ref->constant.asTensor(); constant && constant->isPresent())
        tensors.push_back(*constant);
    for (const AotPlan &body : plan.bodiesOf(i))
      addWeights(body, tensors);
  }
}

std::vector<Tensor> native::usedWeights(std::span<const AotPlan> plans) {
  std::vector<Tensor> tensors;
  for (const AotPlan &plan : plans)
    addWeights(plan, tensors);
  return tensors;
}
