//===- Profile.cpp - the rows of a plan's profile -------------------------===//
#include "runtime/plan/Profile.h"

using namespace quern;

static void addRows(std::vector<ProfileRow> &rows, const Plan &plan, int depth) {
  for (const PlanStep &step : plan.steps) {
    auto *kernel = std::get_if<KernelStep>(&step.work);
    rows.push_back({.nodes = step.nodes,
                    .kernel = step.kernel,
                    .reference = std::holds_alternative<ReferenceStep>(step.work),
                    .depth = depth,
                    .tasks = kernel ? kernel->tasks : 1,
                    .flops = step.flops,
                    .bytes = step.bytes});
    for (const SubPlan *nested : subPlansOf(step))
      addRows(rows, *nested->plan, depth + 1);
  }
}

std::vector<ProfileRow> quern::profileRows(const Plan &plan) {
  std::vector<ProfileRow> rows;
  addRows(rows, plan, 0);
  return rows;
}
