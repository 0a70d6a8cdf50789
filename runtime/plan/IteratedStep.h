//===- IteratedStep.h - what steps that iterate have ----------------------===//
#pragma once

#include "quern/Deadline.h"
#include "runtime/plan/ValueRef.h"

#include <functional>
#include <memory>
#include <span>

namespace quern {

struct NestedPlans;
struct Plan;

/// Finds a plan for these operands, one per input of the plan: for their dims, and the
/// elements of those that its sizes depend on. Thread-safe.
using Planner = std::function<Expected<std::shared_ptr<const Plan>>(
    std::span<const AnyValue> operands, const Deadline &deadline)>;

/// A value that each iteration gives to the next one.
struct CarriedValue {
  ValueRef initial;
  /// What it is after the last iteration.
  ValueRef result;
};

/// An operand of which each iteration sees one slice.
struct ScanInput {
  ValueRef operand = {};
  /// Along which it is cut; counts from the end when negative.
  int64_t axis = 0;
  bool backward = false;
};

/// A result that has a slice of each iteration.
struct ScanOutput {
  ValueRef result;
  /// Along which slices are joined; counts from the end when negative. 0 in a LoopStep.
  int64_t axis = 0;
  /// Never in a LoopStep.
  bool backward = false;
  /// The dims of the slices of no iterations: 0 for those that are not known.
  Tensor::Dims emptySlice = {};
};

/// What all steps that iterate have.
struct IteratedStep {
  Planner body;
  std::vector<CarriedValue> carried;
  std::vector<ScanOutput> scanOutputs;
  /// The same for all iterations.
  std::vector<ValueRef> captured;

  // As in StepKinds.h.
  void addRefs(ValueRefs &refs) const;
  std::vector<Planner *> planners() { return {&body}; }
  std::unique_ptr<NestedPlans> nestedPlans() const;
};

} // namespace quern
