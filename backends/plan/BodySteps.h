//===- BodySteps.h - the steps that run branches and bodies ---------------===//
#pragma once

#include "passes/OutlineBodies.h"
#include "runtime/plan/Plan.h"

namespace quern::plan {

/// The step of an nn.run_bodies with these operands and results, of `nodes`. Its planners
/// are missing, see setPlanners.
PlanStep bodyStep(const passes::OutlinedOp &op, SharedText nodes, std::vector<ValueRef> operands,
                  std::vector<ValueRef> results);

/// Gives a step that runs plans what finds them, in the order of its bodies.
void setPlanners(PlanStep &step, std::vector<Planner> planners);

} // namespace quern::plan
