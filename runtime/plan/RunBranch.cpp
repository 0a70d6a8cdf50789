//===- RunBranch.cpp - runs a plan once: a branch, a stage ----------------===//
#include "runtime/plan/NestedPlans.h"

#include <algorithm>

using namespace quern;

//===----------------------------------------------------------------------===//
// What the steps are made of
//===----------------------------------------------------------------------===//

void IfStep::addRefs(ValueRefs &refs) const {
  addAll(refs, outputs);
  addAll(refs, inputs);
  refs.push_back(&condition);
}

void StageStep::addRefs(ValueRefs &refs) const {
  addAll(refs, outputs);
  addAll(refs, inputs);
}

std::unique_ptr<NestedPlans> IfStep::nestedPlans() const {
  auto nested = std::make_unique<NestedPlans>();
  nested->plans.resize(2);
  nested->passed.resize(inputs.size());
  nested->results.resize(outputs.size());
  nested->hasFixedSizes = std::none_of(
      inputs.begin(), inputs.end(), [](const ValueRef &input) { return input.buffer.isDynamic(); });
  return nested;
}

std::unique_ptr<NestedPlans> StageStep::nestedPlans() const {
  auto nested = std::make_unique<NestedPlans>();
  nested->plans.resize(1);
  nested->passed.resize(inputs.size());
  nested->results.resize(outputs.size());
  return nested;
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

static Status enter(const Planner &planner, const std::vector<ValueRef> &inputs, Frame &caller,
                    NestedPlan &called, const RunContext &run) {
  std::vector<AnyValue> operands;
  operands.reserve(inputs.size());
  for (const ValueRef &ref : inputs)
    operands.push_back(caller.operand(ref));
  return called.enter(planner, operands, run);
}

/// Runs the plan for these operands, and gives its outputs to the caller.
static Status runOnce(const Planner &planner, const std::vector<ValueRef> &inputs,
                      const std::vector<ValueRef> &outputs, const StepRun &at, NestedPlan &called) {
  Frame &caller = at.caller;
  NestedPlans &nested = *at.nested;
  const RunContext &run = at.run;
  bool isKnown = nested.hasFixedSizes && called.hasPlan();
  QUERN_TRY(isKnown ? called.enterAgain(run) : enter(planner, inputs, caller, called, run));
  Frame &callee = called.frame();
  for (size_t i = 0; i < inputs.size(); ++i) {
    QUERN_ASSIGN(nested.passed[i], passFrom(caller, inputs[i], callee.plan.inputs[i]));
    QUERN_TRY(bindInput(callee, i, nested.passed[i], run.budget));
  }
  for (size_t i = 0; i < outputs.size(); ++i)
    QUERN_TRY(bindOutput(callee, i, outputs[i], caller, nested.results[i], run.budget));
  QUERN_TRY(called.run(run));
  for (size_t i = 0; i < outputs.size(); ++i)
    QUERN_TRY(giveOutput(callee, i, outputs[i], caller, nested.results[i], run.budget));
  called.leave(run.budget);
  nested.clear();
  return Status::ok();
}

Status StageStep::run(const StepRun &at) const {
  at.run.budget.beginStep();
  return runOnce(planner, inputs, outputs, at, at.nested->plans[0]);
}

Status IfStep::run(const StepRun &at) const {
  QUERN_ASSIGN(bool holds, readScalar<bool>(at.caller, condition, "condition"));
  at.run.budget.beginStep();
  Status status = runOnce(holds ? thenPlanner : elsePlanner, inputs, outputs, at,
                          at.nested->plans[holds ? 0 : 1]);
  return status.isOk() ? status : status.withContext(holds ? "then" : "else");
}
