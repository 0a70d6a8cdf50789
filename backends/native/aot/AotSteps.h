//===- AotSteps.h - what each kind of step is as code ---------------------===//
//
// For each kind of step (runtime/plan/StepKinds.h) there is
//
//   reasonAgainst  why such a step cannot become code, if it cannot
//   emitStep       its code
//
// and for those that say more than nothing
//
//   ownBytes       memory of its own that it needs while it runs a body
//   neverIterates  whether it is known to run its body not once
//
// Kernels: AotPlanCode.cpp; reference kernels and branches: AotBodyCode.cpp; loops and scans:
// AotLoopCode.cpp.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/aot/AotModel.h"
#include "backends/plan/PlanTree.h"

#include <algorithm>
#include <optional>

namespace quern::native {

class PlanCode;

/// A step of a plan that may become code.
struct PlannedSite {
  const plan::PlanTree &tree;
  size_t step;
  /// Whether there is an archive with reference kernels.
  bool hasRuntime;

  const plan::PlannedStep &origin() const { return tree.plan.steps[step]; }
  const std::vector<plan::PlanTree> &bodies() const { return tree.bodies[step]; }
};

/// A step of a plan that becomes code.
struct CodeSite {
  const AotPlan &plan;
  size_t step;
};

//===----------------------------------------------------------------------===//
// The kinds
//===----------------------------------------------------------------------===//

inline std::optional<Reason> reasonAgainst(const KernelStep &, const PlannedSite &) { return {}; }
void emitStep(const KernelStep &step, const CodeSite &site, PlanCode &code);

std::optional<Reason> reasonAgainst(const ReferenceStep &step, const PlannedSite &site);
void emitStep(const ReferenceStep &step, const CodeSite &site, PlanCode &code);

std::optional<Reason> reasonAgainst(const IfStep &step, const PlannedSite &site);
void emitStep(const IfStep &step, const CodeSite &site, PlanCode &code);

std::optional<Reason> reasonAgainst(const LoopStep &step, const PlannedSite &site);
void emitStep(const LoopStep &step, const CodeSite &site, PlanCode &code);
CheckedSize ownBytes(const LoopStep &step);
bool neverIterates(const LoopStep &step);

std::optional<Reason> reasonAgainst(const ScanStep &step, const PlannedSite &site);
void emitStep(const ScanStep &step, const CodeSite &site, PlanCode &code);
CheckedSize ownBytes(const ScanStep &step);
bool neverIterates(const ScanStep &step);

std::optional<Reason> reasonAgainst(const StageStep &step, const PlannedSite &site);
void emitStep(const StageStep &step, const CodeSite &site, PlanCode &code);

template <typename Step> CheckedSize ownBytes(const Step &) { return {}; }
template <typename Step> bool neverIterates(const Step &) { return false; }

//===----------------------------------------------------------------------===//
// Of steps of any kind
//===----------------------------------------------------------------------===//

/// Whether the step is an error.
bool isFailure(const PlanStep &step);
/// Whether running the plan is an error, whatever it is given.
bool alwaysFails(const plan::PlanTree &tree);
bool neverIterates(const PlanStep &step);
CheckedSize bytesOfStep(const PlanStep &step);

//===----------------------------------------------------------------------===//
// What they ask
//===----------------------------------------------------------------------===//

/// It takes or gives values of sizes that only a run can tell.
Reason unknownSizes();

/// Whether an operand is given at all.
bool isGiven(const ValueRef &ref);
/// A constant's, or those that are planned.
DType refDType(const ValueRef &ref);
const Tensor::Dims &refDims(const ValueRef &ref);
/// Whether it is one element of this type.
bool isOne(const ValueRef &ref, DType dtype);
/// Whether the port holds what `ref` is.
bool fits(const PlanPort &port, const ValueRef &ref);
/// Whether code can pass all results and operands of a step by their addresses.
template <typename Step> bool haveAddresses(const Step &step) {
  ValueRefs refs;
  step.addRefs(refs);
  return std::ranges::all_of(refs, [](const ValueRef *ref) { return hasAddress(*ref); });
}
} // namespace quern::native
