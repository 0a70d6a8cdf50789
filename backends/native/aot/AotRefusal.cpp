//===- AotRefusal.cpp - plans that cannot become code ---------------------===//
#include "backends/native/aot/AotRefusal.h"

#include "backends/native/aot/AotModel.h"

#include "llvm/ADT/STLExtras.h"

using namespace quern;
using namespace quern::native;

/// Whether the plan that a step runs gives what the step wants of it.
static bool fitsStep(const PlanStep &step, const Plan &body) {
  if (llvm::any_of(body.steps, isFailure)) // it never gives anything
    return true;
  auto isDynamic = [](const PlanPort &port) { return port.dynamic; };
  if (llvm::any_of(body.inputs, isDynamic) || llvm::any_of(body.outputs, isDynamic))
    return false;
  const auto *loop = step.as<LoopStep>();
  const IteratedStep *iterated = loop;
  if (const auto *branches = step.as<IfStep>()) {
    for (const auto &[port, ref] : llvm::zip_equal(body.outputs, branches->outputs))
      if (port.dims != ref.dims)
        return false;
    return true;
  }
  if (!loop)
    iterated = step.as<ScanStep>();
  if (loop && (body.outputs[0].dtype != DType::Bool ||
               CheckedSize::product(body.outputs[0].dims).value() != 1))
    return false;
  size_t input = loop ? 2 : 0, output = loop ? 1 : 0;
  for (const CarriedValue &carried : iterated->carried)
    if (body.inputs[input++].dims != carried.result.dims ||
        body.outputs[output++].dims != carried.result.dims)
      return false;
  for (const ScanOutput &collected : iterated->scanOutputs)
    if (CheckedSize::product(body.outputs[output++].dims).value() *
            dtypeBytes(collected.result.dtype) !=
        slicesOf(collected.result, collected.axis).sliceBytes())
      return false;
  return true;
}

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
    bool fits = llvm::all_of(refsOf(step), [](auto *ref) { return hasAddress(*ref); });
    if (neverIterates(step) && fits)
      continue;
    for (const CompiledPlan &body : compiled.bodies[i]) {
      findReasons(body, hasRuntime, reasons);
      fits = fits && (!body.broken.isOk() || fitsStep(step, body.plan.plan));
    }
    if (!fits)
      add("it takes or gives values of sizes that only a run can tell");
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
