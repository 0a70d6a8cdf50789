//===- Runner.cpp - what all compiled models and runners have in common ---===//
#include "quern/CompiledModel.h"
#include "quern/Progress.h"
#include "runtime/running/ExclusiveRunner.h"
#include "runtime/system/CpuCount.h"

using namespace quern;

Expected<std::unique_ptr<Runner>> CompiledModel::createRunner(const RunnerOptions &options) const {
  QUERN_TRY(checkThreads(options.threads));
  return makeRunner(options);
}

Status CompiledModel::planForInputs(std::span<const AnyValue> inputs,
                                    const Deadline &deadline) const {
  return planFor(dimsOf(inputs), deadline);
}

Expected<std::vector<AnyValue>> Runner::run(std::span<const AnyValue> inputs) {
  std::vector<AnyValue> results(outputs().size());
  QUERN_TRY(run(inputs, results));
  return results;
}

Expected<std::vector<Tensor>> Runner::run(std::span<const Tensor> inputs) {
  std::vector<Tensor> results(outputs().size());
  QUERN_TRY(run(inputs, results));
  return results;
}

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

Status ExclusiveRunner::runAlone(ValueList inputs, ValueTargets outputs) {
  if (running.exchange(true, std::memory_order_acquire))
    return usageError("the runner is in use by another thread; make one runner per thread");
  CancelWatcher watcher(cancelled);
  ProgressScope watched(watcher);
  Status status = compute(inputs, outputs);
  // A request that comes in the last step is not lost: the caller waits for its end.
  bool wasCancelled = cancelled.load(std::memory_order_relaxed) && cancelled.exchange(false);
  if (wasCancelled && status.isOk())
    status = Status(StatusCode::Cancelled, "the run was cancelled");
  running.store(false, std::memory_order_release);
  return status;
}
