//===- PlanTree.h - all plans of a graph and of the bodies in it ----------===//
//
// For whoever needs them before a run, for what is known of the inputs then: ahead-of-time
// compilation, `check`.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/plan/Instantiator.h"

namespace quern::plan {

/// A graph and its bodies lowered, each for what is known of its arguments.
struct LoweredTree {
  Instance instance;
  /// Of each of the family's outlined ops.
  std::vector<std::vector<LoweredTree>> bodies = {};
  /// Why there is nothing else: a branch that breaks a rule for its sizes.
  Status broken;
};
Expected<LoweredTree> lowerTree(GraphFamily &family, std::span<const KnownValue> arguments,
                                UnknownSizes unknown, Instantiator &instantiator,
                                const Deadline &deadline);

/// A plan that is not linked, and those that its steps run.
struct PlanTree {
  UnlinkedPlan plan;
  /// For each step its branches, or its body.
  std::vector<std::vector<PlanTree>> bodies = {};
  /// What the ops of reference steps belong to.
  SharedGraph graph;
  /// Why there is no plan: a branch that breaks a rule for its sizes.
  Status broken;
};
Expected<PlanTree> buildTree(const GraphFamily &family, const LoweredTree &lowered,
                             Instantiator &instantiator, const Deadline &deadline);

/// Calls visit for the plan and those that its steps run.
template <typename Visit> void visitPlans(const PlanTree &tree, Visit &&visit) {
  if (tree.broken.isOk())
    visit(tree.plan);
  for (const std::vector<PlanTree> &bodies : tree.bodies)
    for (const PlanTree &body : bodies)
      visitPlans(body, visit);
}

} // namespace quern::plan
