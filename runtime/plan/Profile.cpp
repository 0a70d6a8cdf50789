//===- Profile.cpp - the rows of a plan's profile -------------------------===//
#include "runtime/plan/Profile.h"

#include "runtime/plan/NestedPlans.h"

#include <algorithm>

using namespace quern;

std::vector<ProfileRow> quern::profileRows(const Plan &plan) {
  std::vector<ProfileRow> rows;
  for (const PlanStep &step : plan.steps) {
    auto *kernel = step.as<KernelStep>();
    auto *reference = step.as<ReferenceStep>();
    rows.push_back({.nodes = step.nodes,
                    .kernel = step.kernel,
                    .reference = reference != nullptr,
                    .reason = reference ? reference->reason : std::nullopt,
                    .tasks = kernel ? kernel->tasks : 1,
                    .cost = step.cost,
                    .expectedNanoseconds = step.expectedNanoseconds});
  }
  return rows;
}

std::vector<ProfileRow> quern::profileRows(const Plan &plan, std::span<const ProfileRow> old) {
  std::vector<ProfileRow> rows = profileRows(plan);
  auto own = static_cast<std::ptrdiff_t>(rows.size());
  for (const ProfileRow &row : old) {
    if (row.runs == 0)
      continue;
    auto same = std::find_if(rows.begin(), rows.begin() + own, [&](const ProfileRow &each) {
      return each.runs == 0 && each.nodes == row.nodes && each.kernel == row.kernel;
    });
    if (same == rows.begin() + own) {
      rows.push_back(row);
      continue;
    }
    same->runs = row.runs;
    same->nanoseconds = row.nanoseconds;
    same->fastestNanoseconds = row.fastestNanoseconds;
  }
  return rows;
}

static void appendRows(std::vector<ProfileRow> &all, std::span<const ProfileRow> rows,
                       const Frame &frame, int depth) {
  for (size_t i = 0; i < rows.size(); ++i) {
    all.push_back(rows[i]);
    all.back().depth += depth;
    // Behind the rows of the frame's plan are those of plans before it.
    if (i >= frame.nested.size() || !frame.nested[i])
      continue;
    for (const NestedPlan &nested : frame.nested[i]->plans)
      if (!nested.rows.empty())
        appendRows(all, nested.rows, nested.frame(), depth + 1);
  }
}

std::vector<ProfileRow> quern::rowsWithNested(std::span<const ProfileRow> rows,
                                              const Frame &frame) {
  std::vector<ProfileRow> all;
  appendRows(all, rows, frame, 0);
  return all;
}

void quern::clearNestedRows(Frame &frame) {
  for (const std::unique_ptr<NestedPlans> &step : frame.nested)
    for (NestedPlan &nested : step ? std::span(step->plans) : std::span<NestedPlan>())
      if (!nested.rows.empty()) {
        nested.rows = profileRows(nested.plan());
        clearNestedRows(nested.frame());
      }
}
