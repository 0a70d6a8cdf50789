//===- RunSteps.cpp - runs the steps of a plan ----------------------------===//
#include "runtime/plan/RunSteps.h"

#include "runtime/plan/NestedPlans.h"
#include "runtime/running/TraceScope.h"

#include <fmt/format.h>

#include <chrono>

using namespace quern;

/// Ranges that one thread takes at once: it shares them with nobody, and 64 KB of a map come from
/// the third cache in as little time as 25 calls of a function take. Whether to stop is asked
/// between them, about every 100 us.
static constexpr int64_t kRangesOfOneThread = 16;

Status KernelStep::run(const StepRun &at) const {
  if (tasks <= 0)
    return Status::ok();
  const RunContext &run = at.run;
  std::vector<void *> &pointers = at.caller.pointers;
  for (size_t i = 0; i < buffers.size(); ++i)
    pointers[i] = at.caller.resolve(buffers[i]);
  if (copiesWhole && pointers[0] == pointers[1])
    return Status::ok();
  auto call = [&](int64_t begin, int64_t end) {
    void *scratch = nullptr;
    if (scratchBytes > 0)
      scratch = run.scratch + run.pool.currentWorker() * run.scratchBytes;
    return function(pointers.data(), dims.data(), begin, end, scratch);
  };
  int64_t ranges = run.pool.threads() == 1 ? kRangesOfOneThread : 1;
  if (tasks / ranges <= grain) {
    int32_t reason = call(0, tasks);
    return reason == 0 ? Status::ok() : trapStatus(reason);
  }
  const Budget &budget = run.budget;
  FirstTrap refusal;
  run.pool.parallelFor(tasks, ranges * grain, [&](int64_t begin, int64_t end) {
    if (budget.mustStop() || refusal.comesBefore(begin))
      return;
    TraceScope part([&] {
      return TraceSpan{.category = "tasks", .name = at.kernel, .firstTask = begin, .endTask = end};
    });
    refusal.note(begin, call(begin, end));
  });
  // A range was left out only if the budget says so still, or after a refusal.
  QUERN_TRY(budget.check());
  return refusal.status();
}

void ReferenceStep::addRefs(ValueRefs &refs) const {
  addAll(refs, outputs);
  addAll(refs, inputs);
}

Status ReferenceStep::run(const StepRun &at) const {
  Frame &frame = at.caller;
  Budget &budget = at.run.budget;
  std::vector<AnyValue> operands;
  std::vector<Tensor> places;
  operands.reserve(inputs.size());
  places.reserve(outputs.size());
  budget.beginStep();
  for (const ValueRef &ref : inputs)
    operands.push_back(frame.operand(ref));
  for (const ValueRef &ref : outputs)
    places.push_back(frame.place(ref));
  int64_t givenBytes = frame.giveSlots(at.released);
  QUERN_ASSIGN(std::vector<AnyValue> results,
               function({operands, budget, places, /*takeable=*/operands}));
  if (results.size() != outputs.size())
    return internalError(
        fmt::format("computed {} results, planned were {}", results.size(), outputs.size()));
  for (size_t i = 0; i < results.size(); ++i)
    QUERN_TRY(frame.store(outputs[i], std::move(results[i]), budget));
  budget.release(givenBytes);
  return Status::ok();
}

Status quern::inStep(const PlanStep &step, Status status) {
  if (status.isOk())
    return status;
  return status.withContext("node '" + step.nodes.str() + "' (" + step.kernel.str() + ")");
}

/// The nanoseconds of steps between two questions whether the run must stop: watchers and clocks
/// take as long as a step on a few numbers.
static constexpr double kAskInterval = 10'000;

Status quern::runSteps(Frame &frame, const RunContext &run) {
  using Clock = std::chrono::steady_clock;
  double unasked = kAskInterval;
  bool profile = !run.profile.empty(), sideBySide = run.pool.threads() > 1;
  for (size_t i = 0; i < frame.plan.steps.size(); ++i) {
    const PlanStep &step = frame.plan.steps[i];
    if (sideBySide && step.wave > 1) {
      QUERN_TRY(runWave(frame, run, i));
      i += step.wave - 1;
      continue;
    }
    TraceScope span([&] {
      return TraceSpan{
          .category = "step", .name = step.kernel, .nodes = step.nodes, .cost = step.cost};
    });
    Clock::time_point start = profile ? Clock::now() : Clock::time_point();
    if (unasked >= kAskInterval) {
      if (Status stopped = run.budget.check(); !stopped.isOk())
        return inStep(step, stopped);
      unasked = 0;
    }
    // Of what nobody can tell it may be long.
    unasked += step.expectedNanoseconds > 0 ? step.expectedNanoseconds : kAskInterval;
    Status status = step.visit([&](const auto &work) {
      return work.run({frame, frame.nested[i].get(), run, step.released, step.kernel});
    });
    if (!status.isOk())
      return inStep(step, status);
    frame.releaseSlots(step.released, run.budget);
    if (profile)
      run.profile[i].addRun(std::chrono::nanoseconds(Clock::now() - start).count());
  }
  return Status::ok();
}
