//===- Stages.h - what each kind of optimisation brings, for people -------===//
#pragma once

#include "quern/Compare.h"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace quern::cli {

/// A row for each stage: time, what it brought, and the largest difference of any output.
std::string describeStages(const StagedComparison &comparison);
/// The same, with each output of each stage.
nlohmann::ordered_json stagesJson(const StagedComparison &comparison);
/// An output as comparisons have it.
nlohmann::ordered_json outputsJson(const std::vector<OutputComparison> &outputs);

} // namespace quern::cli
