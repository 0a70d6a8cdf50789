//===- NestedPlan.h - a plan that a step runs -----------------------------===//
#pragma once

#include "runtime/plan/CallPlan.h"
#include "runtime/running/Arena.h"

#include <optional>

namespace quern {

/// A branch, a body or a stage: the plan that it ran last, with the memory of its runs,
/// which stays from run to run.
class NestedPlan {
public:
  /// Gets the plan for these operands ready to run. The ports are bound, and values
  /// taken, in its frame.
  Status enter(const Planner &planner, std::span<const AnyValue> operands, const RunContext &run);
  /// The same for operands of the sizes of the last time, with the same plan.
  Status enterAgain(const RunContext &run);
  /// Runs the plan, with its own scratch memory and profile.
  Status run(const RunContext &context);
  /// After the last run of a step: lets go of what the plan holds.
  void leave(Budget &budget);
  /// The same, when the run has ended early and its budget is settled otherwise.
  void clear();

  bool isEntered() const { return entered; }
  bool hasPlan() const { return planned != nullptr; }
  Frame &frame() { return *current; }
  const Frame &frame() const { return *current; }
  const Plan &plan() const { return *planned; }

  /// The profile, of all plans that it has run; empty when nobody asks for one.
  std::vector<ProfileRow> rows;

private:
  void setPlan(std::shared_ptr<const Plan> plan, const RunContext &run);

  std::shared_ptr<const Plan> planned;
  /// Of the plan.
  int64_t scratchStart = 0, scratchBytes = 0;
  std::optional<Frame> current;
  Arena arena;
  /// Whether a step is running it, and what the budget holds for that.
  bool entered = false;
  int64_t heldBytes = 0;
};

} // namespace quern
