//===- AotRefusal.cpp - plans that cannot become code ---------------------===//
#include "backends/native/aot/AotRefusal.h"

#include "backends/native/aot/AotSteps.h"

using namespace quern;
using namespace quern::native;

/// Appends a line for each step that cannot become code, those of bodies too.
static void findReasons(const plan::PlanTree &tree, bool hasRuntime, std::string &reasons) {
  const Plan &plan = tree.plan.plan;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep &step = plan.steps[i];
    if (isFailure(step))
      return; // what follows is never reached
    if (!neverIterates(step))
      for (const plan::PlanTree &body : tree.bodies[i])
        findReasons(body, hasRuntime, reasons);
    PlannedSite site{tree, i, hasRuntime};
    if (std::optional<Reason> reason =
            step.visit([&](const auto &work) { return reasonAgainst(work, site); }))
      reasons += "\n  node '" + step.nodes.str() + "' (" + step.kernel.str() + "): " + reason->text;
  }
}

Status native::checkPlan(const plan::PlanTree &tree, bool hasRuntime) {
  const Plan &plan = tree.plan.plan;
  std::string reasons;
  findReasons(tree, hasRuntime, reasons);
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
