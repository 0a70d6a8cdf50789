//===- Session.cpp - runs an executable -----------------------------------===//
#include "runtime/running/Session.h"

#include "runtime/plan/Executor.h"
#include "runtime/plan/Profile.h"
#include "runtime/running/Budget.h"
#include "runtime/running/TraceScope.h"
#include "runtime/values/PortOverlap.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;

/// Input shapes whose executors a session keeps.
static constexpr size_t kKeptExecutors = 8;

/// An executor with the profile of its runs.
struct Session::PlannedRun {
  explicit PlannedRun(std::shared_ptr<const Plan> plan)
      : executor(std::move(plan)), overlap(executor.plan()) {}
  Executor executor;
  PortOverlap overlap;
  /// Empty when nobody asks for one.
  std::vector<ProfileRow> profile;
};

Session::Session(std::shared_ptr<const Executable> model, const RunnerOptions &options)
    : ExclusiveRunner(options), executable(std::move(model)),
      pool(options.threads, options.flushDenormals) {}
Session::~Session() = default;

/// Whether the plan is one for these inputs. What it does not tell, the types of what
/// is no tensor, is told by the signature.
bool Session::matches(const Plan &plan, ValueList inputs) const {
  if (plan.inputs.size() != inputs.size())
    return false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const PlanPort &port = plan.inputs[i];
    const Tensor *tensor = inputs.asTensor(i);
    bool fits = tensor ? port.kind == ValueType::Kind::Tensor && port.dtype == tensor->dtype() &&
                             (port.dynamic || port.dims == tensor->dims())
                       : port.dynamic && inputs[i].fits(executable->inputs()[i]);
    if (!fits)
      return false;
  }
  return true;
}

/// Brings the executor for these inputs to the front, planning when it is new.
Status Session::selectPlan(ValueList inputs) {
  auto at = std::find_if(planned.begin(), planned.end(), [&](const auto &candidate) {
    return matches(candidate->executor.plan(), inputs);
  });
  if (at != planned.end()) {
    std::rotate(planned.begin(), at, at + 1);
    return Status::ok();
  }
  QUERN_TRY(checkInputs(executable->inputs(), inputs));
  QUERN_ASSIGN(std::shared_ptr<const Plan> plan,
               executable->findPlan(dimsOf(inputs), options.limits.deadline));
  if (!matches(*plan, inputs) || plan->outputs.size() != executable->outputs().size())
    return internalError("the plan does not agree with the executable's signature");
  planned.insert(planned.begin(), std::make_unique<PlannedRun>(std::move(plan)));
  if (options.profile)
    planned.front()->profile = profileRows(planned.front()->executor.plan());
  if (planned.size() > kKeptExecutors)
    planned.pop_back();
  return Status::ok();
}

Status Session::growArena(CheckedSize bytes) {
  if (arena.data() && bytes.valid() && arena.size() >= bytes.value())
    return Status::ok();
  arena = Arena(); // free the old one before asking for more
  auto grown = Arena::allocate(bytes, options.limits.maxActivationBytes);
  if (!grown)
    return grown.status().withContext("activations");
  arena = grown.take();
  return Status::ok();
}

Status Session::checkInputStorage(ValueList inputs) const {
  Status status;
  for (size_t i = 0; i < inputs.size() && status.isOk(); ++i) {
    auto check = [&](const Tensor &tensor) {
      if (status.isOk())
        status = checkPortStorage("input", executable->inputs()[i].name, tensor);
    };
    if (const Tensor *tensor = inputs.asTensor(i))
      check(*tensor);
    else
      inputs[i].forEachTensor(check);
  }
  return status;
}

Status Session::bindOutputs(const Plan &plan, ValueTargets outputs) {
  outputMemory.beginRun();
  for (size_t i = 0; i < outputs.size(); ++i)
    if (!plan.outputs[i].dynamic)
      QUERN_TRY(bindOutput(plan.outputs[i], outputs, i, outputMemory, options.limits));
  return Status::ok();
}

Status Session::compute(ValueList inputs, ValueTargets outputs) {
  if (outputs.size() != executable->outputs().size())
    return invalidInput(
        fmt::format("wanted {} outputs, found {}", executable->outputs().size(), outputs.size()));
  QUERN_TRY(selectPlan(inputs));
  QUERN_TRY(checkInputStorage(inputs));
  PlannedRun &current = *planned.front();
  const Plan &plan = current.executor.plan();
  QUERN_TRY(growArena(current.executor.runBytes(pool.threads())));
  QUERN_TRY(bindOutputs(plan, outputs));
  QUERN_TRY(current.overlap.check(inputs, outputs.list()));

  Budget budget(options.limits, &cancelled);
  RunResources resources{.pool = pool,
                         .budget = budget,
                         .arena = arena.data(),
                         .flushSubnormals = options.flushDenormals,
                         .profile = current.profile};
  TraceScope span("run", "run");
  return current.executor.run(inputs, outputs, resources);
}

std::vector<ProfileRow> Session::profile() const {
  if (!options.profile || planned.empty())
    return {};
  const PlannedRun &current = *planned.front();
  return current.executor.profile(current.profile);
}

void Session::clearProfile() {
  if (!options.profile)
    return;
  for (auto &run : planned) {
    run->profile = profileRows(run->executor.plan());
    run->executor.clearNestedProfile();
  }
}
