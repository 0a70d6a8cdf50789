//===- ControlFlowSteps.h - steps that run other plans --------------------===//
//
// A step of a plan can run plans of its own: the branches of an If, the body of a
// Loop or Scan, what follows a size that depends on data. Such a plan is complete in
// itself. It sees nothing of its caller but what is passed to its inputs; values of the
// outer graph that it uses are inputs, too. It is found, or made, for the values at
// hand, when the step runs: a branch that is not taken needs no plan.
//
// A static port is passed by address: nothing is copied. A dynamic one is passed as a
// value, and then lies in the port's slot.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Deadline.h"
#include "runtime/plan/ValueRef.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace quern {

struct Plan;

/// Finds a plan for these operands, one per input of the plan: for their dims, and the
/// elements of those that its sizes depend on. Thread-safe.
using Planner = std::function<Expected<std::shared_ptr<const Plan>>(
    std::span<const AnyValue> operands, const Deadline &deadline)>;

/// Runs one of two plans. Both have the same inputs, and an output for each of the step's.
struct IfStep {
  /// One bool.
  ValueRef condition;
  Planner thenPlanner, elsePlanner;
  std::vector<ValueRef> inputs;
  std::vector<ValueRef> outputs;
};

/// A value that each iteration gives to the next one.
struct CarriedValue {
  ValueRef initial;
  /// What it is after the last iteration.
  ValueRef result;
};

/// An operand of which each iteration sees one slice.
struct ScanInput {
  ValueRef operand;
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
};

/// Runs its body while the condition holds, as often as the trip count says at most.
/// The body's inputs are the iteration's number (one int64), the condition (one bool),
/// the carried and the captured values; its outputs are the next condition (one bool),
/// the carried values and the slices of the scan outputs.
struct LoopStep : IteratedStep {
  /// One int64 and one bool; absent: no limit, and true.
  ValueRef tripCount, condition;
  /// The dims with which the body wants its number and its condition: none, or ones.
  Tensor::Dims numberDims = {}, conditionDims = {};
};

/// Runs its body once for each slice of the scan inputs, which are at least one. The
/// body's inputs are the carried values, the slices and the captured values; its
/// outputs are the carried values and the slices of the scan outputs.
struct ScanStep : IteratedStep {
  std::vector<ScanInput> scanInputs;
};

/// Runs what follows a size that depends on data: a plan that is made, or found, when
/// the steps before have told the size. The last step of its plan but for copies to
/// outputs.
struct StageStep {
  Planner planner;
  std::vector<ValueRef> inputs;
  std::vector<ValueRef> outputs;
};

} // namespace quern
