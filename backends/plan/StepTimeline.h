//===- StepTimeline.h - where the bytes of a plan's steps come from -------===//
#pragma once

#include "backends/plan/LoweredStep.h"
#include "runtime/plan/Plan.h"

#include <functional>
#include <vector>

namespace quern::plan {

/// The steps of a plan in their order, what each is estimated to compute, and what it reads and
/// writes: together they tell how long each takes. Bytes are as far away as what was touched since
/// they were touched last, perhaps by the run before.
class StepTimeline {
public:
  struct Access {
    BufferRef place;
    double bytes;
  };
  void add(const StepEstimate &estimate, std::vector<Access> accesses) {
    steps.push_back({estimate, std::move(accesses)});
  }
  /// That of `step`, as `work` in `plan`; `bytesOf` is for its graph values.
  void add(const StepEstimate &estimate, const LoweredStep &step, const KernelStep &work,
           const Plan &plan, const std::function<int64_t(mlir::Value)> &bytesOf);
  /// Sets PlanStep::expectedNanoseconds of the kernel steps, of which there are as many.
  void setTimes(Plan &plan, const OpLowering &lowering) const;

  /// The nanoseconds of each step, in one thread and in a run among many; 0 where the backend
  /// cannot tell.
  std::vector<double> expectedTimes(const OpLowering &lowering) const;

private:
  struct Step {
    StepEstimate estimate;
    std::vector<Access> accesses;
  };
  std::vector<Step> steps;
};

} // namespace quern::plan
