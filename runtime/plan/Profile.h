//===- Profile.h - the rows of a plan's profile ---------------------------===//
#pragma once

#include "quern/Session.h"
#include "runtime/plan/Plan.h"

#include <vector>

namespace quern {

/// A row without times for each step, each before those of the plans that it runs.
std::vector<ProfileRow> profileRows(const Plan &plan);

} // namespace quern
