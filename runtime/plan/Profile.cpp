//===- Profile.cpp - the rows of a plan's profile -------------------------===//
#include "runtime/plan/Profile.h"

using namespace quern;

static void addRows(std::vector<ProfileRow> &rows, const Plan &plan, int depth) {
  for (const PlanStep &step : plan.steps) {
    auto *kernel = step.as<KernelStep>();
    rows.push_back({.nodes = step.nodes,
                    .kernel = step.kernel,
                    .reference = step.as<ReferenceStep>() != nullptr,
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
