//===- ExclusiveRunner.h - one run at a time, which can be cancelled ------===//
#pragma once

#include "quern/Runner.h"

#include <atomic>

namespace quern {

/// What all runners have in common: a run while another one is on is refused, and cancel()
/// ends the run, or what is done for it before it computes.
class ExclusiveRunner : public Runner {
public:
  using Runner::run;
  Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs) final {
    return runAlone(inputs, outputs);
  }
  Status run(std::span<const AnyValue> inputs, std::span<AnyValue> outputs) final {
    return runAlone(inputs, outputs);
  }
  void setDeadline(const Deadline &deadline) final { options.limits.deadline = deadline; }
  void cancel() final { cancelled.store(true, std::memory_order_relaxed); }

protected:
  explicit ExclusiveRunner(const RunnerOptions &options) : options(options) {}

  /// Runs once; `cancelled` is looked at meanwhile, and watchers ask for it, too.
  virtual Status compute(ValueList inputs, ValueTargets outputs) = 0;

  RunnerOptions options;
  std::atomic<bool> cancelled = false;

private:
  Status runAlone(ValueList inputs, ValueTargets outputs);

  std::atomic<bool> running = false;
};

} // namespace quern
