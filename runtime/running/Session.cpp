//===- Session.cpp - runs a compiled model --------------------------------===//
#include "quern/Session.h"

#include "quern/Progress.h"
#include "runtime/plan/Executor.h"
#include "runtime/plan/Profile.h"
#include "runtime/running/Arena.h"
#include "runtime/running/Budget.h"
#include "runtime/values/PortOverlap.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

using namespace quern;

namespace {
/// An executor with the profile of its runs.
struct PlannedRun {
  explicit PlannedRun(std::shared_ptr<const Plan> plan)
      : executor(std::move(plan)), overlap(executor.plan()) {}
  Executor executor;
  PortOverlap overlap;
  /// Empty when nobody asks for one.
  std::vector<ProfileRow> profile;
};

/// Input shapes whose executors a session keeps.
constexpr size_t kKeptExecutors = 8;
} // namespace

struct Session::State {
  State(std::shared_ptr<const Executable> executable, const SessionOptions &options)
      : executable(std::move(executable)), options(options),
        pool(options.threads, options.flushDenormals) {}

  Status run(ValueList inputs, ValueTargets outputs);
  bool matches(const Plan &plan, ValueList inputs) const;
  Status selectPlan(ValueList inputs);
  Status checkInputStorage(ValueList inputs) const;
  Status growArena(CheckedSize bytes);
  Status bindOutputs(const Plan &plan, ValueTargets outputs) const;

  std::shared_ptr<const Executable> executable;
  SessionOptions options;
  TaskPool pool;
  Arena arena;
  /// Most recently used first.
  std::vector<std::unique_ptr<PlannedRun>> planned;
  std::atomic<bool> cancelled = false;
  std::atomic<bool> running = false;
};

/// Whether the plan is one for these inputs. What it does not tell, the types of what
/// is no tensor, is told by the signature.
bool Session::State::matches(const Plan &plan, ValueList inputs) const {
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
Status Session::State::selectPlan(ValueList inputs) {
  auto at = std::find_if(planned.begin(), planned.end(), [&](const auto &candidate) {
    return matches(candidate->executor.plan(), inputs);
  });
  if (at != planned.end()) {
    std::rotate(planned.begin(), at, at + 1);
    return Status::ok();
  }
  QUERN_TRY(checkInputs(executable->inputs(), inputs));
  std::vector<Tensor::Dims> dims;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor *tensor = inputs.asTensor(i);
    dims.push_back(tensor ? tensor->dims() : Tensor::Dims());
  }
  QUERN_ASSIGN(std::shared_ptr<const Plan> plan,
               executable->planFor(dims, options.limits.deadline));
  if (!matches(*plan, inputs) || plan->outputs.size() != executable->outputs().size())
    return internalError("the plan does not agree with the executable's signature");
  planned.insert(planned.begin(), std::make_unique<PlannedRun>(std::move(plan)));
  if (options.profile)
    planned.front()->profile = profileRows(planned.front()->executor.plan());
  if (planned.size() > kKeptExecutors)
    planned.pop_back();
  return Status::ok();
}

Status Session::State::growArena(CheckedSize bytes) {
  if (arena.data() && bytes.valid() && arena.size() >= bytes.value())
    return Status::ok();
  arena = Arena(); // free the old one before asking for more
  auto grown = Arena::allocate(bytes, options.limits.maxActivationBytes);
  if (!grown)
    return grown.status().withContext("activations");
  arena = grown.take();
  return Status::ok();
}

Status Session::State::checkInputStorage(ValueList inputs) const {
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

Status Session::State::bindOutputs(const Plan &plan, ValueTargets outputs) const {
  for (size_t i = 0; i < outputs.size(); ++i)
    if (!plan.outputs[i].dynamic)
      QUERN_TRY(bindOutput(plan.outputs[i], outputs, i, options.limits));
  return Status::ok();
}

Status Session::State::run(ValueList inputs, ValueTargets outputs) {
  if (outputs.size() != executable->outputs().size())
    return invalidInput(
        fmt::format("wanted {} outputs, found {}", executable->outputs().size(), outputs.size()));
  QUERN_TRY(selectPlan(inputs));
  QUERN_TRY(checkInputStorage(inputs));
  PlannedRun &current = *planned.front();
  const Plan &plan = current.executor.plan();
  QUERN_TRY(growArena(runBytes(plan, pool.threads())));
  QUERN_TRY(bindOutputs(plan, outputs));
  QUERN_TRY(current.overlap.check(inputs, outputs.list()));

  Budget budget(options.limits, &cancelled);
  RunResources resources{.pool = pool,
                         .budget = budget,
                         .arena = arena.data(),
                         .flushSubnormals = options.flushDenormals,
                         .profile = current.profile};
  QUERN_TRY(current.executor.run(inputs, outputs, resources));
  return Status::ok();
}

Session::Session(std::unique_ptr<State> s) : state(std::move(s)) {}
Session::~Session() = default;
Session::Session(Session &&) noexcept = default;
Session &Session::operator=(Session &&) noexcept = default;

Expected<Session> Session::create(std::shared_ptr<const Executable> executable,
                                  const SessionOptions &options) {
  if (options.threads < 0)
    return usageError(fmt::format(
        "the number of threads is {}; wanted 1 or more, or 0 for all CPUs", options.threads));
  return Session(std::make_unique<State>(std::move(executable), options));
}

const Executable &Session::executable() const { return *state->executable; }
int Session::threads() const { return state->pool.threads(); }
void Session::setDeadline(const Deadline &deadline) { state->options.limits.deadline = deadline; }
void Session::cancel() { state->cancelled.store(true, std::memory_order_relaxed); }

namespace {
/// Ends planning, which may compile, as cancel() ends the run that it is for.
class CancelWatcher : public ProgressWatcher {
public:
  explicit CancelWatcher(const std::atomic<bool> &cancelled) : cancelled(cancelled) {}
  bool goOn(std::string_view) override { return !cancelled.load(std::memory_order_relaxed); }

private:
  const std::atomic<bool> &cancelled;
};
} // namespace

Status Session::runValues(ValueList inputs, ValueTargets outputs) {
  if (state->running.exchange(true, std::memory_order_acquire))
    return usageError("the session is in use by another thread; make one session per thread");
  CancelWatcher watcher(state->cancelled);
  ProgressScope watched(watcher);
  Status status = state->run(inputs, outputs);
  // A request that comes in the last step is not lost: the caller waits for its end.
  if (state->cancelled.exchange(false, std::memory_order_relaxed) && status.isOk())
    status = Status(StatusCode::Cancelled, "the run was cancelled");
  state->running.store(false, std::memory_order_release);
  return status;
}

Status Session::run(std::span<const Tensor> inputs, std::span<Tensor> outputs) {
  return runValues(inputs, outputs);
}

Status Session::run(std::span<const AnyValue> inputs, std::span<AnyValue> outputs) {
  return runValues(inputs, outputs);
}

Expected<std::vector<AnyValue>> Session::run(std::span<const AnyValue> inputs) {
  std::vector<AnyValue> outputs(executable().outputs().size());
  QUERN_TRY(run(inputs, outputs));
  return outputs;
}

Expected<std::vector<Tensor>> Session::run(std::span<const Tensor> inputs) {
  std::vector<Tensor> outputs(executable().outputs().size());
  QUERN_TRY(run(inputs, outputs));
  return outputs;
}

std::vector<ProfileRow> Session::profile() const {
  if (!state->options.profile || state->planned.empty())
    return {};
  const PlannedRun &current = *state->planned.front();
  return current.executor.profile(current.profile);
}

void Session::clearProfile() {
  if (!state->options.profile)
    return;
  for (auto &run : state->planned) {
    run->profile = profileRows(run->executor.plan());
    run->executor.clearNestedProfile();
  }
}
