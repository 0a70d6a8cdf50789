//===- RunSteps.cpp - runs the steps of a plan ----------------------------===//
#include "runtime/plan/RunSteps.h"

#include "runtime/plan/RunControlFlow.h"

#include <fmt/format.h>

#include <chrono>

using namespace quern;

static Status runKernel(const KernelStep &step, Frame &frame, const RunContext &run) {
  if (step.tasks <= 0)
    return Status::ok();
  for (size_t i = 0; i < step.buffers.size(); ++i)
    frame.pointers[i] = frame.resolve(step.buffers[i]);
  void *const *buffers = frame.pointers.data();
  if (step.copiesWhole && buffers[0] == buffers[1])
    return Status::ok();
  auto call = [&](int64_t begin, int64_t end) {
    void *scratch = nullptr;
    if (step.scratchBytes > 0)
      scratch = run.scratch + run.pool.currentWorker() * run.scratchBytes;
    return step.function(buffers, step.dims.data(), begin, end, scratch);
  };
  if (step.tasks <= step.grain) {
    int32_t reason = call(0, step.tasks);
    return reason == 0 ? Status::ok() : trapStatus(reason);
  }
  const Budget &budget = run.budget;
  FirstTrap refusal;
  run.pool.parallelFor(step.tasks, step.grain, [&](int64_t begin, int64_t end) {
    if (!budget.mustStop() && !refusal.comesBefore(begin))
      refusal.note(begin, call(begin, end));
  });
  // A range was left out only if the budget says so still, or after a refusal.
  QUERN_TRY(budget.check());
  return refusal.status();
}

static Status runReference(const ReferenceStep &step, std::span<const uint32_t> released,
                           Frame &frame, Budget &budget) {
  std::vector<AnyValue> operands;
  std::vector<Tensor> places;
  operands.reserve(step.inputs.size());
  places.reserve(step.outputs.size());
  budget.beginStep();
  for (const ValueRef &ref : step.inputs)
    operands.push_back(frame.operand(ref));
  for (const ValueRef &ref : step.outputs)
    places.push_back(frame.place(ref));
  int64_t givenBytes = frame.giveSlots(released);
  QUERN_ASSIGN(std::vector<AnyValue> results,
               step.function({operands, budget, places, /*takeable=*/operands}));
  if (results.size() != step.outputs.size())
    return internalError(
        fmt::format("computed {} results, planned were {}", results.size(), step.outputs.size()));
  for (size_t i = 0; i < results.size(); ++i)
    QUERN_TRY(frame.store(step.outputs[i], std::move(results[i]), budget));
  budget.release(givenBytes);
  return Status::ok();
}

static Status runStep(const PlanStep &step, Frame &frame, NestedPlans *nested,
                      const RunContext &run) {
  if (auto *kernel = step.as<KernelStep>())
    return runKernel(*kernel, frame, run);
  if (auto *reference = step.as<ReferenceStep>())
    return runReference(*reference, step.released, frame, run.budget);
  if (auto *branches = step.as<IfStep>())
    return runIf(*branches, frame, *nested, run);
  if (auto *loop = step.as<LoopStep>())
    return runLoop(*loop, frame, *nested, run);
  if (auto *scan = step.as<ScanStep>())
    return runScan(*scan, frame, *nested, run);
  if (auto *stage = step.as<StageStep>())
    return runStage(*stage, frame, *nested, run);
  return internalError("a step without work");
}

Status quern::runSteps(Frame &frame, const RunContext &run) {
  using Clock = std::chrono::steady_clock;
  bool profile = !run.profile.empty();
  for (size_t i = 0; i < frame.plan.steps.size(); ++i) {
    const PlanStep &step = frame.plan.steps[i];
    Clock::time_point start = profile ? Clock::now() : Clock::time_point();
    Status status = run.budget.check();
    if (status.isOk())
      status = runStep(step, frame, frame.nested[i].get(), run);
    if (!status.isOk())
      return status.withContext("node '" + step.nodes.str() + "' (" + step.kernel.str() + ")");
    frame.releaseSlots(step.released, run.budget);
    if (profile)
      run.profile[i].addRun(std::chrono::nanoseconds(Clock::now() - start).count());
  }
  return Status::ok();
}
