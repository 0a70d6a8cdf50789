//===- Stages.cpp - what each kind of optimisation brings, for people -----===//
#include "tools/quern/Stages.h"

#include "tools/quern/Console.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

Json cli::outputsJson(const std::vector<OutputComparison> &outputs) {
  Json result = Json::array();
  for (const auto &[name, d, flushMatters, direct] : outputs)
    result.push_back({{"name", name},
                      {"max_abs", d.maxAbsolute},
                      {"max_rel", d.maxRelative},
                      {"max_of_largest", d.maxOfLargest},
                      {"max_ulp", d.maxUlp},
                      {"ulps", d.ulps},
                      {"cosine", d.cosine},
                      {"top_1", d.topAgreement ? Json(*d.topAgreement) : nullptr},
                      {"mismatches", d.mismatches},
                      {"pass", d.passes()},
                      {"flush_matters", flushMatters},
                      {"max_abs_without_winograd", direct ? Json(direct->maxAbsolute) : nullptr}});
  return result;
}

std::string cli::describeStages(const StagedComparison &comparison) {
  Table table({"stage", "median ms", "+-", "faster", "compile", "max abs", "% max", ""});
  for (const Stage &stage : comparison.stages) {
    double absolute = 0, ofLargest = 0;
    bool passes = true;
    for (const OutputComparison &output : stage.outputs) {
      absolute = std::max(absolute, output.difference.maxAbsolute);
      ofLargest = std::max(ofLargest, output.difference.maxOfLargest);
      passes &= output.difference.passes();
    }
    bool isFirst = stage.outputs.empty();
    table.addRow({stage.name, fmt::format("{:.3f}", stage.times.p50),
                  fmt::format("{:.3f}", stage.times.standardDeviation),
                  isFirst ? "-" : fmt::format("{:.2f}", stage.timesAsFast),
                  isFirst ? "-" : fmt::format("{:.0f}", stage.compileMs),
                  isFirst ? "-" : fmt::format("{:.3g}", absolute),
                  isFirst ? "-" : fmt::format("{:.3g}", 100 * ofLargest),
                  isFirst  ? ""
                  : passes ? "pass"
                           : "FAIL"});
  }
  const std::vector<Stage> &stages = comparison.stages;
  return table.str() +
         fmt::format("speed-up {:.1f}x\n",
                     stages.front().times.p50 / std::max(stages.back().times.p50, 1e-9));
}

Json cli::stagesJson(const StagedComparison &comparison) {
  Json result = Json::array();
  for (const Stage &stage : comparison.stages)
    result.push_back({{"stage", stage.name},
                      {"p50_ms", stage.times.p50},
                      {"mean_ms", stage.times.mean},
                      {"stddev_ms", stage.times.standardDeviation},
                      {"times_as_fast", stage.timesAsFast},
                      {"compile_ms", stage.compileMs},
                      {"outputs", outputsJson(stage.outputs)}});
  return result;
}
