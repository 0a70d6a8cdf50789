//===- RunIf.cpp - runs one of two plans ----------------------------------===//
#include "runtime/plan/RunControlFlow.h"

using namespace quern;

/// Where the branch writes a static output: its place, or storage that becomes the
/// value of a slot, which is kept in `own`.
static Status bindOutput(Frame &branch, size_t number, const ValueRef &ref, const Frame &caller,
                         AnyValue &own, Budget &budget) {
  const PlanPort &port = branch.plan.outputs[number];
  if (port.dynamic)
    return Status::ok();
  bool isPlaced = !ref.buffer.isDynamic() && ref.dtype == port.dtype && ref.dims == port.dims;
  if (isPlaced) {
    branch.outputs[number] = caller.resolve(ref.buffer);
    return Status::ok();
  }
  QUERN_ASSIGN(Tensor storage, budget.allocateUninitialized(port.dtype, port.dims));
  branch.outputs[number] = storage.mutableRawData();
  own = std::move(storage);
  return budget.hold(own.numBytes());
}

/// Gives an output of the branch to the caller, unless it is in its place.
static Status giveOutput(Frame &branch, size_t number, const ValueRef &ref, Frame &caller,
                         AnyValue &own, Budget &budget) {
  if (branch.plan.outputs[number].dynamic) {
    QUERN_ASSIGN(AnyValue result, takeOutput(branch, number));
    return caller.store(ref, std::move(result), budget);
  }
  if (!own.isPresent())
    return Status::ok();
  budget.release(own.numBytes());
  return caller.store(ref, std::move(own), budget);
}

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
