//===- Explain.h - a plan and how it came about, for people ---------------===//
#pragma once

#include "backends/plan/PlanTree.h"

namespace quern::plan {

/// What became of a graph in its plan. In place of later stages there are the ops that wait for
/// them; the nodes of bodies have plans of their own. `inPlace` is what buildPlan refused.
Explanation explain(const Instance &instance, const UnlinkedPlan &plan,
                    const std::vector<Refusal> &inPlace);
/// What is known before there are plans, of a graph and of its bodies: each op counts as a step.
Explanation explain(const LoweredTree &tree);

} // namespace quern::plan
