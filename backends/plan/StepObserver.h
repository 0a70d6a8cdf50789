//===- StepObserver.h - steps that look at what others compute ------------===//
//
// What compares each op of a plan with something else, or plants an error to be found, has steps
// of its own before and behind those of the op. Which ops are fused, how they are computed and
// where their values lie is as without them; plans that nobody observes know nothing of it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/plan/ReferenceFunction.h"

#include <cstddef>

namespace quern::plan {

struct LoweredGraph;
struct LoweredOp;

/// An op with steps in a plan.
struct ObservedOp {
  const LoweredGraph &graph;
  const LoweredOp &op;
  /// Of its steps, among those that the plan would have without observers: the first one's number,
  /// and that behind the last one's.
  size_t firstStep, endStep;
};

struct StepsAround {
  /// Gets the operands of the op before its first step; elements that no step of it reads are
  /// zeros. Null: there is no such step.
  ReferenceFunction before;
  /// Gets the results behind its last step.
  ReferenceFunction after;
  /// Whether `after` gives the results anew.
  bool rewrites = false;
};

class StepObserver {
public:
  virtual ~StepObserver() = default;
  /// Called once for each op of each plan that is made, by any thread.
  virtual StepsAround observe(const ObservedOp &observed) = 0;
};

} // namespace quern::plan
