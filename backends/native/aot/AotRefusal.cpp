//===- AotRefusal.cpp - plans that cannot become code ---------------------===//
#include "backends/native/aot/AotRefusal.h"

#include "backends/native/aot/AotModel.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <optional>

using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// Branches and loops
//===----------------------------------------------------------------------===//

static DType dtypeOf(const ValueRef &ref) {
  const Tensor *constant = ref.constant.asTensor();
  return constant && constant->isPresent() ? constant->dtype() : ref.dtype;
}

static Tensor::Dims dimsOf(const ValueRef &ref) {
  const Tensor *constant = ref.constant.asTensor();
  return constant && constant->isPresent() ? constant->dims() : ref.dims;
}

static bool isOne(const ValueRef &ref, DType dtype) {
  return dtypeOf(ref) == dtype && CheckedSize::product(dimsOf(ref)).value() == 1;
}

static bool fits(const PlanPort &port, const ValueRef &ref) {
  return !port.dynamic && port.dtype == dtypeOf(ref) && port.dims == dimsOf(ref);
}

/// Whether the port holds a slice of `ref`.
static bool fitsSlice(const PlanPort &port, const ValueRef &ref, int64_t axis) {
  return !port.dynamic && port.dtype == dtypeOf(ref) &&
         portBytes(port) == slicesOf(ref, axis).sliceBytes();
}

/// Whether the plan of a branch takes and gives what the step does.
static bool fitsBranch(const IfStep &step, const Plan &branch) {
  return llvm::all_of_zip(branch.inputs, step.inputs, fits) &&
         llvm::all_of_zip(branch.outputs, step.outputs, fits);
}

/// The same of the plan of a body, behind the ports that only loops have.
static bool fitsBody(const IteratedStep &step, const ScanStep *scan, const Plan &body) {
  const PlanPort *input = body.inputs.data() + (scan ? 0 : 2);
  const PlanPort *output = body.outputs.data() + (scan ? 0 : 1);
  for (const CarriedValue &carried : step.carried)
    if (!fits(*input++, carried.result) || !fits(*output++, carried.result))
      return false;
  for (size_t i = 0; scan && i < scan->scanInputs.size(); ++i)
    if (!fitsSlice(*input++, scan->scanInputs[i].operand, scan->scanInputs[i].axis))
      return false;
  for (const ValueRef &captured : step.captured)
    if (!fits(*input++, captured))
      return false;
  for (const ScanOutput &collected : step.scanOutputs)
    if (!fitsSlice(*output++, collected.result, collected.axis))
      return false;
  return true;
}

/// Whether a step iterates as often as there are slices to take, and has room for those that
/// it gives.
static bool hasAsManySlices(const IteratedStep &step, const LoopStep *loop, const ScanStep *scan) {
  std::optional<int64_t> count;
  if (loop && loop->tripCount.constant.isPresent())
    count = std::max<int64_t>(*loop->tripCount.constant.asTensor()->data<int64_t>(), 0);
  if (scan)
    count = slicesOf(scan->scanInputs.front().operand, scan->scanInputs.front().axis).count;
  for (size_t i = 0; scan && i < scan->scanInputs.size(); ++i)
    if (slicesOf(scan->scanInputs[i].operand, scan->scanInputs[i].axis).count != count)
      return false;
  return llvm::all_of(step.scanOutputs, [&](const ScanOutput &collected) {
    return count == slicesOf(collected.result, collected.axis).count;
  });
}

static constexpr const char *kUnknownSizes =
    "it takes or gives values of sizes that only a run can tell";

/// Why a step that iterates cannot become code; empty when it can.
static std::string reasonOf(const PlanStep &step, const IteratedStep &iterated,
                            const CompiledPlan &body) {
  const auto *loop = step.as<LoopStep>();
  const auto *scan = step.as<ScanStep>();
  if (loop && isGiven(loop->tripCount) && !isOne(loop->tripCount, DType::Int64))
    return "its trip count is not one int64";
  if (loop && isGiven(loop->condition) && !isOne(loop->condition, DType::Bool))
    return "its condition is not one bool";
  for (const CarriedValue &carried : iterated.carried)
    if (dimsOf(carried.initial) != carried.result.dims)
      return kUnknownSizes;
  if (neverIterates(step) || !body.broken.isOk() || llvm::any_of(body.plan.plan.steps, isFailure))
    return {}; // the body gives nothing
  if (!hasAsManySlices(iterated, loop, scan))
    return "how often it iterates is not the number of its slices";
  const Plan &plan = body.plan.plan;
  if (loop && (plan.outputs[0].dynamic || plan.outputs[0].dtype != DType::Bool ||
               portBytes(plan.outputs[0]) != 1))
    return "the condition that its body gives is not one bool";
  return fitsBody(iterated, scan, plan) ? "" : kUnknownSizes;
}

/// Why a step that runs bodies cannot become code; empty when it can.
static std::string reasonOf(const PlanStep &step, const std::vector<CompiledPlan> &bodies) {
  if (!llvm::all_of(refsOf(step), [](auto *ref) { return hasAddress(*ref); }))
    return kUnknownSizes;
  if (auto *loop = step.as<LoopStep>())
    return reasonOf(step, *loop, bodies.front());
  if (auto *scan = step.as<ScanStep>())
    return reasonOf(step, *scan, bodies.front());
  const IfStep &branches = *step.as<IfStep>();
  if (!isOne(branches.condition, DType::Bool))
    return "its condition is not one bool";
  for (const CompiledPlan &branch : bodies)
    if (branch.broken.isOk() && llvm::none_of(branch.plan.plan.steps, isFailure) &&
        !fitsBranch(branches, branch.plan.plan))
      return kUnknownSizes;
  return {};
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

/// Why a reference step cannot become code; empty when it can.
static std::string reasonOf(const CompiledPlan &compiled, size_t step, bool hasRuntime) {
  const std::string &refusal = compiled.plan.refusals[step];
  if (compiled.runtimeCalls[step].exists() && hasRuntime)
    return {};
  std::string reason = refusal.empty() ? "no native code" : refusal;
  if (compiled.runtimeCalls[step].exists())
    reason += ", and libquern_runtime.a, which has its reference kernel, is not there";
  return reason;
}

/// Appends a line for each step that cannot become code, those of bodies too.
static void findReasons(const CompiledPlan &compiled, bool hasRuntime, std::string &reasons) {
  const Plan &plan = compiled.plan.plan;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep &step = plan.steps[i];
    auto add = [&](const std::string &reason) {
      reasons += "\n  node '" + step.nodes.str() + "' (" + step.kernel.str() + "): " + reason;
    };
    if (isFailure(step))
      return; // what follows is never reached
    if (step.as<KernelStep>())
      continue;
    if (compiled.bodies[i].empty()) {
      if (std::string reason = reasonOf(compiled, i, hasRuntime); !reason.empty())
        add(reason);
      continue;
    }
    if (!neverIterates(step))
      for (const CompiledPlan &body : compiled.bodies[i])
        findReasons(body, hasRuntime, reasons);
    if (std::string reason = reasonOf(step, compiled.bodies[i]); !reason.empty())
      add(reason);
  }
}

Status native::checkPlan(const CompiledPlan &compiled, bool hasRuntime) {
  const Plan &plan = compiled.plan.plan;
  std::string reasons;
  findReasons(compiled, hasRuntime, reasons);
  for (const PlanPort &port : plan.outputs)
    if (port.dynamic)
      reasons += "\n  output '" + port.name + "' has a size that only a run can tell";
  for (const auto *ports : {&plan.inputs, &plan.outputs})
    for (const PlanPort &port : *ports)
      if (port.dtype == DType::String)
        reasons += "\n  '" + port.name + "' holds strings";
  if (!reasons.empty())
    return unsupported("this model cannot be compiled ahead of time:" + reasons);
  return Status::ok();
}
