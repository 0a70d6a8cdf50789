//===- ObserverSteps.h - where observers stand in a plan ------------------===//
#pragma once

#include "backends/plan/PlanBuilder.h"
#include "backends/plan/StepObserver.h"

#include <functional>

namespace quern::plan {

/// Adds the steps of observers to a plan while it is built.
class ObserverSteps {
public:
  /// `refOf` tells where an operand or a result lies. All of them outlive this.
  ObserverSteps(std::span<const std::shared_ptr<StepObserver>> observers, const LoweredGraph &graph,
                UnlinkedPlan &plan, std::function<Expected<ValueRef>(mlir::Value)> refOf)
      : observers(observers), graph(graph), built(plan), refOf(std::move(refOf)) {}

  /// Around the steps of `op`, which are the last of the plan, from `firstStep` on.
  void add(const LoweredOp &op, size_t firstStep);

private:
  std::vector<ValueRef> operandsOf(const LoweredOp &op) const;
  std::vector<ValueRef> resultsOf(const LoweredOp &op) const;

  std::span<const std::shared_ptr<StepObserver>> observers;
  const LoweredGraph &graph;
  UnlinkedPlan &built;
  std::function<Expected<ValueRef>(mlir::Value)> refOf;
  /// How many steps they have so far.
  size_t count = 0;
};

} // namespace quern::plan
