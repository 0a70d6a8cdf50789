//===- NestedPlan.cpp - a plan that a step runs ---------------------------===//
#include "runtime/plan/NestedPlan.h"

#include "runtime/plan/Profile.h"
#include "runtime/running/FloatEnvironment.h"

using namespace quern;

void NestedPlan::setPlan(std::shared_ptr<const Plan> plan, const RunContext &run) {
  current.reset();
  planned = std::move(plan);
  current.emplace(*planned);
  scratchStart = scratchOffset(*planned).value();
  scratchBytes = workerScratchBytes(*planned).value();
  if (!run.profile.empty())
    rows = profileRows(*planned, rows);
}

Status NestedPlan::enter(const Planner &planner, std::span<const AnyValue> operands,
                         const RunContext &run) {
  std::shared_ptr<const Plan> plan;
  {
    // Weights may be made now: not with the subnormals of this run.
    FloatEnvironment environment(/*flushSubnormals=*/false);
    QUERN_ASSIGN(plan, planner(operands, run.budget.limits().deadline));
  }
  if (plan != planned)
    setPlan(std::move(plan), run);
  return enterAgain(run);
}

Status NestedPlan::enterAgain(const RunContext &run) {
  CheckedSize bytes = runBytes(*planned, run.pool.threads());
  if (!arena.data() || !bytes.valid() || arena.size() < bytes.value()) {
    arena = Arena(); // free the old one before asking for more
    QUERN_ASSIGN(arena, Arena::allocate(bytes, run.budget.limits().maxActivationBytes));
  }
  current->arena = arena.data();
  entered = true;
  int64_t heldBefore = std::exchange(heldBytes, bytes.value());
  run.budget.release(heldBefore);
  return run.budget.hold(heldBytes);
}

Status NestedPlan::run(const RunContext &context) {
  RunContext own{.pool = context.pool,
                 .budget = context.budget,
                 .scratch = arena.data() + scratchStart,
                 .scratchBytes = scratchBytes};
  if (!context.profile.empty())
    own.profile = rows;
  return runSteps(*current, own);
}

void NestedPlan::leave(Budget &budget) {
  if (!entered)
    return;
  current->releaseAll(budget);
  budget.release(heldBytes);
  clear();
}

void NestedPlan::clear() {
  entered = false;
  heldBytes = 0;
  if (current)
    current->clearSlots();
}
