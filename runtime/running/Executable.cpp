//===- Executable.cpp - a compiled model whose runs follow plans ----------===//
#include "runtime/running/Executable.h"

#include "runtime/plan/PlanCache.h"
#include "runtime/running/Session.h"

using namespace quern;

Executable::Executable(std::vector<PortSignature> inputs, std::vector<PortSignature> outputs,
                       Planner planner, int64_t planCacheBytes, BodyPlanner bodyPlanner,
                       Precision precision, std::shared_ptr<const PrecisionChoice> choice)
    : inputPorts(std::move(inputs)), outputPorts(std::move(outputs)), planner(std::move(planner)),
      bodyPlanner(std::move(bodyPlanner)), cache(std::make_unique<PlanCache>(planCacheBytes)),
      asked(precision), choice(std::move(choice)) {}

Executable::~Executable() = default;

Expected<std::shared_ptr<const Plan>> Executable::findPlan(std::span<const Tensor::Dims> inputDims,
                                                           const Deadline &deadline) const {
  PlanKey key;
  appendDims(key, inputDims);
  if (auto plan = cache->find(key))
    return plan;
  QUERN_TRY(checkInputDims(inputPorts, inputDims));
  QUERN_ASSIGN(std::shared_ptr<const Plan> plan, planner(inputDims, deadline));
  return cache->insert(key, std::move(plan));
}

Status Executable::warmUp(std::span<const Tensor::Dims> inputDims, const Deadline &deadline) const {
  QUERN_TRY(planFor(inputDims, deadline));
  return bodyPlanner ? bodyPlanner(inputDims, deadline) : Status::ok();
}

Expected<std::unique_ptr<Runner>> Executable::makeRunner(const RunnerOptions &options) const {
  return std::unique_ptr<Runner>(std::make_unique<Session>(shared_from_this(), options));
}
