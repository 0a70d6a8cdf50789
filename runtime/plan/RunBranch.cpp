//===- RunBranch.cpp - runs a plan once: a branch, a stage ----------------===//
#include "runtime/plan/RunControlFlow.h"

using namespace quern;

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
                      const std::vector<ValueRef> &outputs, Frame &caller, NestedPlans &nested,
                      NestedPlan &called, const RunContext &run) {
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

Status quern::runStage(const StageStep &step, Frame &caller, NestedPlans &nested,
                       const RunContext &run) {
  run.budget.beginStep();
  return runOnce(step.planner, step.inputs, step.outputs, caller, nested, nested.plans[0], run);
}

Status quern::runIf(const IfStep &step, Frame &caller, NestedPlans &nested, const RunContext &run) {
  QUERN_ASSIGN(bool condition, readScalar<bool>(caller, step.condition, "condition"));
  run.budget.beginStep();
  Status status = runOnce(condition ? step.thenPlanner : step.elsePlanner, step.inputs,
                          step.outputs, caller, nested, nested.plans[condition ? 0 : 1], run);
  return status.isOk() ? status : status.withContext(condition ? "then" : "else");
}
