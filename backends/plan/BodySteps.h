//===- BodySteps.h - the steps that run branches and bodies ---------------===//
#pragma once

#include "passes/OutlineBodies.h"
#include "runtime/plan/Plan.h"

namespace quern::plan {

/// What an nn.run_bodies with these operands and results does in a plan. Its planners
/// are missing, see setPlanners.
decltype(PlanStep::work) bodyStep(const passes::OutlinedOp &op, std::vector<ValueRef> operands,
                                  std::vector<ValueRef> results);

/// Gives such a step the planners of its bodies.
void setPlanners(PlanStep &step, std::vector<Planner> planners);

} // namespace quern::plan
