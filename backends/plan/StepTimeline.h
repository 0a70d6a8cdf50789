//===- StepTimeline.h - where the bytes of a plan's steps come from -------===//
#pragma once

#include "backends/plan/LoweredStep.h"
#include "runtime/plan/ValueRef.h"

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
