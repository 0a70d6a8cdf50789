//===- ControlFlowSteps.h - steps that run other plans --------------------===//
//
// A step of a plan can run plans of its own: the branches of an If, the body of a
// Loop or Scan. Such a plan is complete in itself. It sees nothing of its caller but
// what is passed to its inputs; values of the outer graph that it uses are inputs, too.
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

/// A plan that a step runs, and where its arena lies in the caller's.
struct SubPlan {
  std::shared_ptr<const Plan> plan;
  /// A multiple of 64. Nothing else of the caller's that lives during the step
  /// overlaps the plan's arenaBytes from here on.
  int64_t frameOffset = 0;
};

/// Runs one of two plans. Both have an output for each of the step's.
struct IfStep {
  /// One bool.
  ValueRef condition;
  SubPlan thenPlan, elsePlan;
  std::vector<ValueRef> thenInputs, elseInputs;
  std::vector<ValueRef> outputs;
};

/// A value that each iteration gives to the next one.
struct CarriedValue {
  ValueRef initial;
  /// Where the body writes a static output, in turn: an iteration reads one and writes
  /// the other. They overlap nothing that lives during the step, except that one may
  /// be the place of the result. Dynamic outputs need none.
  BufferRef buffers[2];
  /// What it is after the last iteration.
  ValueRef result;
};

/// An operand of which each iteration sees one slice.
struct ScanInput {
  ValueRef operand;
  /// Along which it is cut; counts from the front.
  int64_t axis = 0;
  bool backward = false;
  /// Where a slice is put together for a static input of the body, unless axis is 0.
  BufferRef slice = {};
};

/// A result that has a slice of each iteration.
struct ScanOutput {
  ValueRef result;
  /// Along which slices are joined; counts from the front. 0 in a LoopStep.
  int64_t axis = 0;
  /// Never in a LoopStep.
  bool backward = false;
  /// Where the body writes a static output, unless axis is 0.
  BufferRef slice = {};
  /// The dims of the slices of no iterations, if the body's output is dynamic: 0 for
  /// those that are not known.
  Tensor::Dims emptySlice = {};
};

/// What all steps that iterate have.
struct IteratedPlan {
  SubPlan body;
  std::vector<CarriedValue> carried;
  std::vector<ScanOutput> scanOutputs;
  /// The same for all iterations.
  std::vector<ValueRef> captured;
};

/// Runs its body while the condition holds, as often as the trip count says at most.
/// The body's inputs are the iteration's number (a static int64 scalar), the condition
/// (a static bool scalar), the carried and the captured values; its outputs are the
/// next condition (a static bool scalar), the carried values and the slices of the
/// scan outputs.
struct LoopStep : IteratedPlan {
  /// One int64 and one bool; absent: no limit, and true.
  ValueRef tripCount, condition;
};

/// Runs its body once for each slice of the scan inputs, which are at least one. The
/// body's inputs are the carried values, the slices and the captured values; its
/// outputs are the carried values and the slices of the scan outputs.
struct ScanStep : IteratedPlan {
  std::vector<ScanInput> scanInputs;
};

/// Runs what follows a size that depends on data: a plan that is made, or found, when
/// the steps before have told the size. The last step of its plan but for copies to
/// outputs.
struct StageStep {
  /// The plan of the next stage for these operands, one per input of the step: for their
  /// dims, and the elements of those that sizes depend on. Thread-safe.
  using Planner = std::function<Expected<std::shared_ptr<const Plan>>(
      std::span<const Tensor> operands, const Deadline &deadline)>;
  Planner planner;
  std::vector<ValueRef> inputs;
  std::vector<ValueRef> outputs;
};

} // namespace quern
