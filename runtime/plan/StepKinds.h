//===- StepKinds.h - what the steps of plans do ---------------------------===//
//
// Each step of a plan is of one of these kinds. Who handles steps visits them
// (PlanStep::visit) instead of listing the kinds once more. A kind has
//
//   addRefs      its results and operands that are values
//   run          what it does
//
// and, if it runs plans of its own (the branches of an If, the body of a Loop or Scan, what
// follows a size that depends on data),
//
//   planners     what finds its plans
//   nestedPlans  the plans at hand, of one frame, and what it keeps while it runs them
//
// Such a plan is complete in itself. It sees nothing of its caller but what is passed to its
// inputs; values of the outer graph that it uses are inputs, too. It is found, or made, for
// the values at hand, when the step runs: a branch that is not taken needs no plan. A static
// port is passed by address: nothing is copied. A dynamic one is passed as a value, and then
// lies in the port's slot.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Reason.h"
#include "runtime/plan/Boxed.h"
#include "runtime/plan/IteratedStep.h"
#include "runtime/plan/Kernel.h"
#include "runtime/plan/ReferenceFunction.h"

#include <optional>
#include <variant>

namespace quern {

struct StepRun;

/// Runs native code.
struct KernelStep {
  KernelFunction function = nullptr;
  std::vector<BufferRef> buffers;
  std::vector<int64_t> dims;
  int64_t tasks = 1;
  /// Tasks that are worth one unit of parallel work; `tasks <= grain` runs inline.
  int64_t grain = 1;
  /// Memory of its own that each worker gets for the kernel; 0: none.
  int64_t scratchBytes = 0;
  /// It copies all of buffer 0 to the beginning of buffer 1: nothing, where the caller had both
  /// begin at one place.
  bool copiesWhole = false;

  void addRefs(ValueRefs &) const {}
  Status run(const StepRun &at) const;
};

/// Calls a reference kernel on values: the path of ops without native code.
struct ReferenceStep {
  ReferenceFunction function;
  std::vector<ValueRef> inputs;
  std::vector<ValueRef> outputs;
  /// Why there is no native code, for profiles.
  std::optional<Reason> reason = {};

  void addRefs(ValueRefs &refs) const;
  Status run(const StepRun &at) const;
};

/// Runs one of two plans. Both have the same inputs, and an output for each of the step's.
struct IfStep {
  /// One bool.
  ValueRef condition;
  Planner thenPlanner, elsePlanner;
  std::vector<ValueRef> inputs;
  std::vector<ValueRef> outputs;

  void addRefs(ValueRefs &refs) const;
  Status run(const StepRun &at) const;
  std::vector<Planner *> planners() { return {&thenPlanner, &elsePlanner}; }
  std::unique_ptr<NestedPlans> nestedPlans() const;
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

  void addRefs(ValueRefs &refs) const;
  Status run(const StepRun &at) const;
};

/// Runs its body once for each slice of the scan inputs, which are at least one. The
/// body's inputs are the carried values, the slices and the captured values; its
/// outputs are the carried values and the slices of the scan outputs.
struct ScanStep : IteratedStep {
  std::vector<ScanInput> scanInputs;

  void addRefs(ValueRefs &refs) const;
  Status run(const StepRun &at) const;
  std::unique_ptr<NestedPlans> nestedPlans() const;
};

/// Runs what follows a size that depends on data: a plan that is made, or found, when
/// the steps before have told the size. The last step of its plan but for copies to
/// outputs.
struct StageStep {
  Planner planner;
  std::vector<ValueRef> inputs;
  std::vector<ValueRef> outputs;

  void addRefs(ValueRefs &refs) const;
  Status run(const StepRun &at) const;
  std::vector<Planner *> planners() { return {&planner}; }
  std::unique_ptr<NestedPlans> nestedPlans() const;
};

/// What a step does. Kernels are what most steps are: others stand elsewhere.
using StepWork = std::variant<KernelStep, Boxed<ReferenceStep>, Boxed<IfStep>, Boxed<LoopStep>,
                              Boxed<ScanStep>, Boxed<StageStep>>;

/// Whether steps of a kind run plans of their own.
template <typename Step>
concept RunsPlans = requires(Step &step) { step.planners(); };

} // namespace quern
