//===- Tune.cpp - quern tune ----------------------------------------------===//
#include "tools/quern/Duration.h"
#include "tools/quern/NodeNames.h"
#include "tools/quern/OpenModel.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct TuneOptions {
  ModelOptions model;
  InputOptions inputs;
  CompileOptions compile;
  std::string budget = "20s";
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, TuneOptions &options) {
  addModelOptions(verb, options.model);
  addInputOptions(verb, options.inputs);
  addCompileOptions(verb, options.compile);
  verb.remove_option(verb.get_option("--tune"));
  verb.add_option("--budget", options.budget, "How long to measure (default 20s)")
      ->type_name("TIME");
}

static Expected<TuningChoice> tune(const TuneOptions &options) {
  QUERN_ASSIGN(double seconds, parseSeconds(options.budget));
  if (seconds == 0)
    return usageError("--budget " + options.budget + ": wanted more than 0");
  QUERN_ASSIGN(OpenedModel opened, openModel(options.model, options.style));
  QUERN_TRY(checkJsonWritable(options.style, opened.guard));
  CompileOptions compile = options.compile.within(opened.limits);
  compile.tuneSeconds = seconds;
  QUERN_ASSIGN(compile.samples,
               makeInputs(opened.model.inputs(), options.inputs, MissingInputs::Random,
                          options.style, opened.limits, {}, &opened.guard));
  Progress progress(options.style);
  progress.show("measuring ways");
  QUERN_ASSIGN(std::shared_ptr<const TuningChoice> choice, opened.model.tune(compile));
  return *choice;
}

/// "12.3"; "-" of what was not measured.
static std::string microseconds(double ns) {
  return std::isnan(ns) ? "-" : fmt::format("{:.1f}", ns * 1e-3);
}

/// How many problems have another way than the cost model's.
static size_t numOthers(const TuningChoice &choice) {
  return static_cast<size_t>(std::ranges::count_if(
      choice.problems, [](const TunedProblem &p) { return p.chosen != p.ways.front().name; }));
}

static std::string describe(const TuningChoice &choice, const OutputStyle &style) {
  Table table({"node", "way", "expected us", "measured us", ""}, /*leftColumns=*/2);
  for (const TunedProblem &problem : choice.problems)
    for (size_t i = 0; i < problem.ways.size(); ++i) {
      const TunedWay &way = problem.ways[i];
      size_t others = problem.nodes.size() - 1;
      std::string nodes = i > 0 ? ""
                                : shownNodes(problem.nodes.front(), style) +
                                      (others ? fmt::format(" and {} more", others) : "");
      double ofAll = static_cast<double>(problem.nodes.size());
      table.addRow({nodes, way.name, microseconds(way.expectedNs),
                    microseconds(way.measuredNs / ofAll),
                    way.name != problem.chosen ? ""
                    : problem.wasKnown         ? "known"
                                               : "chosen"});
    }
  std::string text = choice.problems.empty() ? "" : table.str();
  text += fmt::format("{} problems with several ways, {} of them in another than the cost model's; "
                      "{:.1f} s\n",
                      choice.problems.size(), numOthers(choice), choice.seconds);
  if (choice.beforeMs > 0)
    text += fmt::format("whole runs {:.3f} ms, before {:.3f} ms ({:.3f} x)\n", choice.afterMs,
                        choice.beforeMs, choice.beforeMs / choice.afterMs);
  if (!choice.refusal.empty())
    text += "nothing changes: " + choice.refusal + "\n";
  return text;
}

static Json numberOrNull(double value) { return std::isnan(value) ? Json(nullptr) : Json(value); }

static Json describeJson(const TuneOptions &options, const TuningChoice &choice) {
  Json problems = Json::array();
  for (const TunedProblem &problem : choice.problems) {
    Json ways = Json::array();
    for (const TunedWay &way : problem.ways)
      ways.push_back({{"way", way.name},
                      {"expected_ns", way.expectedNs},
                      {"measured_ns",
                       numberOrNull(way.measuredNs / static_cast<double>(problem.nodes.size()))}});
    problems.push_back({{"problem", problem.problem},
                        {"op", problem.op},
                        {"nodes", problem.nodes},
                        {"ways", std::move(ways)},
                        {"chosen", problem.chosen},
                        {"known", problem.wasKnown}});
  }
  return {{"schema", "quern.tune/1"},
          {"model", options.model.path},
          {"problems", std::move(problems)},
          {"others", numOthers(choice)},
          {"before_ms", choice.beforeMs > 0 ? Json(choice.beforeMs) : Json(nullptr)},
          {"after_ms", choice.beforeMs > 0 ? Json(choice.afterMs) : Json(nullptr)},
          {"refusal", choice.refusal.empty() ? Json(nullptr) : Json(choice.refusal)},
          {"trouble", choice.trouble.empty() ? Json(nullptr) : Json(choice.trouble)},
          {"seconds", choice.seconds}};
}

static Status execute(const TuneOptions &options) {
  QUERN_ASSIGN(TuningChoice choice, tune(options));
  noteTuning(choice, options.style);
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(choice, options.style)));
  return writeJson(describeJson(options, choice), options.style);
}

void cli::addTuneVerb(CLI::App &app, Command &command) {
  addVerb<TuneOptions>(app, command, "tune",
                       "Measures which ways of computing a model's ops are fastest here",
                       addOptions, execute);
}
