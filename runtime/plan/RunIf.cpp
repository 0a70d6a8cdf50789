//===- RunIf.cpp - runs one of two plans ----------------------------------===//
#include "runtime/plan/RunControlFlow.h"

using namespace quern;

Status quern::runIf(const IfStep &step, Frame &caller, NestedFrames &nested,
                    const RunContext &run) {
  QUERN_ASSIGN(bool condition, readScalar<bool>(caller, step.condition, "condition"));
  const std::vector<ValueRef> &inputs = condition ? step.thenInputs : step.elseInputs;
  Frame &branch = nested.frames[condition ? 0 : 1];
  branch.arena = caller.arena + (condition ? step.thenPlan : step.elsePlan).frameOffset;
  run.budget.beginStep();
  for (size_t i = 0; i < inputs.size(); ++i) {
    QUERN_ASSIGN(nested.passed[i], passFrom(caller, inputs[i], branch.plan.inputs[i]));
    QUERN_TRY(bindInput(branch, i, nested.passed[i], run.budget));
  }
  for (size_t i = 0; i < step.outputs.size(); ++i)
    QUERN_TRY(bindOutput(branch, i, step.outputs[i], caller, nested.results[i], run.budget));
  QUERN_TRY(runSteps(branch, run).withContext(condition ? "then" : "else"));
  for (size_t i = 0; i < step.outputs.size(); ++i)
    QUERN_TRY(giveOutput(branch, i, step.outputs[i], caller, nested.results[i], run.budget));
  branch.releaseAll(run.budget);
  nested.clear();
  return Status::ok();
}
