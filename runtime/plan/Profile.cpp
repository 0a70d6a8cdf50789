//===- Profile.cpp - the rows of a plan's profile -------------------------===//
#include "runtime/plan/Profile.h"

#include "runtime/plan/RunControlFlow.h"

#include <algorithm>

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
  auto append = [&](size_t begin, size_t end) {
    for (ProfileRow row : rows.subspan(begin, end - begin)) {
      row.depth += depth;
      all.push_back(std::move(row));
    }
  };
  for (size_t i = 0; i < frame.rows.size(); ++i) {
    append(frame.rows[i], i + 1 < frame.rows.size() ? frame.rows[i + 1] : frame.endRow);
    const NestedFrames *stage = frame.nested[i].get();
    if (stage && !stage->rows.empty())
      appendRows(all, stage->rows, stage->frames.front(), depth + 1);
  }
  append(frame.endRow, rows.size());
}

std::vector<ProfileRow> quern::rowsWithStages(std::span<const ProfileRow> rows,
                                              const Frame &frame) {
  std::vector<ProfileRow> all;
  appendRows(all, rows, frame, 0);
  return all;
}

void quern::clearStageRows(Frame &frame) {
  for (const std::unique_ptr<NestedFrames> &stage : frame.nested)
    if (stage && !stage->rows.empty()) {
      stage->rows = profileRows(*stage->plan);
      clearStageRows(stage->frames.front());
    }
}
