//===- RunStage.cpp - runs what follows a size that depends on data -------===//
#include "runtime/plan/RunControlFlow.h"

#include "runtime/lib/FloatEnvironment.h"
#include "runtime/plan/Profile.h"

using namespace quern;

/// The plan for the operands of this run, with a frame and an arena.
static Status enterStage(const StageStep &step, const Frame &caller, NestedFrames &nested,
                         const RunContext &run) {
  std::vector<Tensor> operands;
  for (const ValueRef &ref : step.inputs) {
    AnyValue value = caller.operand(ref);
    const Tensor *tensor = value.asTensor();
    if (!tensor)
      return internalError("a stage is passed a " + value.describe() + ", planned was a tensor");
    operands.push_back(*tensor);
  }
  std::shared_ptr<const Plan> plan;
  {
    // Weights may be made now: not with the subnormals of this run.
    FloatEnvironment environment(/*flushSubnormals=*/false);
    QUERN_ASSIGN(plan, step.planner(operands, run.budget.limits().deadline));
  }
  if (plan != nested.plan) {
    nested.frames.clear();
    nested.plan = plan;
    nested.frames.emplace_back(*nested.plan);
    if (!run.profile.empty())
      nested.rows = profileRows(*nested.plan, nested.rows);
  }
  CheckedSize bytes = runBytes(*plan, run.pool.threads());
  if (!nested.arena.data() || !bytes.valid() || nested.arena.size() < bytes.value()) {
    nested.arena = Arena(); // free the old one before asking for more
    QUERN_ASSIGN(nested.arena, Arena::allocate(bytes, run.budget.limits().maxActivationBytes));
  }
  nested.frames[0].arena = nested.arena.data();
  return run.budget.hold(bytes.value());
}

Status quern::runStage(const StageStep &step, Frame &caller, NestedFrames &nested,
                       const RunContext &run) {
  run.budget.beginStep();
  QUERN_TRY(enterStage(step, caller, nested, run));
  Frame &stage = nested.frames[0];
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    QUERN_ASSIGN(nested.passed[i], passFrom(caller, step.inputs[i], stage.plan.inputs[i]));
    QUERN_TRY(bindInput(stage, i, nested.passed[i], run.budget));
  }
  for (size_t i = 0; i < step.outputs.size(); ++i)
    QUERN_TRY(bindOutput(stage, i, step.outputs[i], caller, nested.results[i], run.budget));
  RunContext context{.pool = run.pool,
                     .budget = run.budget,
                     .scratch = nested.arena.data() + scratchOffset(stage.plan).value(),
                     .scratchBytes = workerScratchBytes(stage.plan).value()};
  context.profile = nested.rows;
  QUERN_TRY(runSteps(stage, context));
  for (size_t i = 0; i < step.outputs.size(); ++i)
    QUERN_TRY(giveOutput(stage, i, step.outputs[i], caller, nested.results[i], run.budget));
  stage.releaseAll(run.budget);
  run.budget.release(runBytes(stage.plan, run.pool.threads()).value());
  nested.clear();
  return Status::ok();
}
