//===- Profile.h - the rows of a plan's profile ---------------------------===//
#pragma once

#include "quern/ProfileRow.h"
#include "runtime/plan/Frame.h"

#include <span>
#include <vector>

namespace quern {

/// A row without times for each step.
std::vector<ProfileRow> profileRows(const Plan &plan);
/// Rows for `plan` with the times of `old`, where these are of the same nodes and kernels;
/// behind them the others of `old` that have run.
std::vector<ProfileRow> profileRows(const Plan &plan, std::span<const ProfileRow> old);
/// `rows`, those of the frame's plan, each before those of the plans that its step has
/// run: branches, bodies, stages.
std::vector<ProfileRow> rowsWithNested(std::span<const ProfileRow> rows, const Frame &frame);
/// Forgets the times of such plans.
void clearNestedRows(Frame &frame);

} // namespace quern
