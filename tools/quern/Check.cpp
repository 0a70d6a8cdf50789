//===- Check.cpp - quern check --------------------------------------------===//
#include "quern/OutputGuard.h"
#include "quern/Reports.h"
#include "tools/quern/Explained.h"
#include "tools/quern/OpenModel.h"
#include "tools/quern/Ports.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct CheckOptions {
  ModelOptions model;
  CompileOptions compile;
  InputOptions inputs;
  OutputStyle style;
};

/// What is known of a model.
struct Findings {
  Explanation explanation;
  /// The options that would say the sizes that some steps depend on.
  std::vector<std::string> wantedOptions;
};
} // namespace

static void addOptions(CLI::App &verb, CheckOptions &options) {
  addModelOptions(verb, options.model);
  addCompileOptions(verb, options.compile);
  addSampleOptions(verb, options.inputs);
  verb.footer(
      "Dimensions without a size are taken as 1. Where a model does not work at size 1, only "
      "what holds for\nall sizes is checked, and the options that would decide the rest are "
      "named. With --json an object is written\nafter a failure as well, with all "
      "unsupported ops and nodes.");
}

static bool hasUnknownSizes(const PortSignature &port) {
  return !port.ranked || !port.shape.isStatic();
}

/// The options that give all inputs their sizes: "--dim N=SIZE", and "--shape
/// x=1x?" for inputs with dimensions that have no name.
static std::vector<std::string> sizeOptions(std::span<const PortSignature> inputs) {
  std::vector<std::string> options;
  std::set<std::string> known;
  auto isNameless = [](const PortDim &dim) { return dim.isUnknown(); };
  for (const PortSignature &port : inputs) {
    auto dims = port.shape.dims();
    if (port.ranked && std::none_of(dims.begin(), dims.end(), isNameless))
      continue;
    options.push_back(
        fmt::format("--shape {}={}", port.name, port.ranked ? port.shape.str() : "SIZES"));
    for (const PortDim &dim : dims)
      if (dim.isSymbolic())
        known.insert(dim.symbolName());
  }
  for (const PortSignature &port : inputs)
    for (const PortDim &dim : port.shape.dims())
      if (dim.isSymbolic() && known.insert(dim.symbolName()).second)
        options.push_back("--dim " + dim.symbolName() + "=SIZE");
  return options;
}

/// What `work` gives, with a line of progress until it is done.
static Expected<Explanation> watched(const OutputStyle &style,
                                     const std::function<Expected<Explanation>()> &work) {
  Progress progress(style);
  progress.show("checking");
  return work();
}

/// Plans for the sizes given, unknown ones taken as 1; falls back on what holds
/// for all sizes where 1 is too small.
static Expected<Findings> findOut(OpenedModel &opened, const CheckOptions &options) {
  const Model &model = opened.model;
  QUERN_ASSIGN(CompileOptions compile, settleChoices(model, options.compile.within(opened.limits),
                                                     options.inputs, options.style, opened.guard));
  std::vector<Tensor::Dims> dims = defaultDims(model.inputs());
  auto planned = watched(options.style, [&] { return model.explainPlan(compile, dims); });
  bool areSizesKnown = std::none_of(model.inputs().begin(), model.inputs().end(), hasUnknownSizes);
  if (!planned && !areSizesKnown) {
    QUERN_ASSIGN(Explanation explanation,
                 watched(options.style, [&] { return model.explainWithoutSizes(compile); }));
    note(options.style,
         "does not work with 1 for the unknown sizes: " + planned.status().message());
    return Findings{std::move(explanation), sizeOptions(model.inputs())};
  }
  if (!planned)
    return planned.status();
  for (size_t i = 0; i < dims.size(); ++i)
    if (const PortSignature &port = model.inputs()[i]; hasUnknownSizes(port))
      note(options.style, fmt::format("input '{}' is {}; checked at {}", port.name, port.describe(),
                                      formatDims(dims[i])));
  return Findings{planned.take(), {}};
}

static void addFindings(const Findings &findings, Json &report) {
  report.update(Json::parse(explanationReport(findings.explanation)));
  report["wanted_options"] = findings.wantedOptions;
}

/// The error, all ops that are not supported, and what is wrong with single nodes.
static void addFailure(const CheckOptions &options, const Status &status, Json &report) {
  report["error"] = {{"exit_code", static_cast<int>(status.code())}, {"message", status.message()}};
  report["unsupported_ops"] = Json::array();
  report["problems"] = Json::array();
  if (status.code() == StatusCode::Unsupported || status.code() == StatusCode::InvalidModel)
    if (auto found = problemsReport(options.model.path))
      report.update(Json::parse(*found));
}

static Status check(const CheckOptions &options, Json &report) {
  QUERN_ASSIGN(OpenedModel opened, openModel(options.model, options.style));
  const Model &model = opened.model;
  report["precision"] = precisionName(options.compile.precision);
  report["inputs"] = portsJson(model.inputs());
  report["outputs"] = portsJson(model.outputs());
  QUERN_ASSIGN(Findings findings, findOut(opened, options));
  addFindings(findings, report);
  if (!options.style.printsTable())
    return Status::ok();
  return printText(
      describePorts("input", model.inputs()) + describePorts("output", model.outputs()) +
      fmt::format("precision {}\n", precisionName(options.compile.precision)) +
      describeExplanation(findings.explanation, options.style, findings.wantedOptions));
}

static Status execute(const CheckOptions &options) {
  FileGuard guard;
  QUERN_TRY(guard.reads("model", options.model.path));
  QUERN_TRY(checkJsonWritable(options.style, guard));
  Json report = {{"schema", "quern.check/1"}, {"model", options.model.path}};
  Status status = check(options, report);
  // A model that cannot be loaded has files, too.
  if (!status.isOk() && options.style.jsonPath)
    if (auto files = findModelFiles(options.model.path))
      QUERN_TRY(guardModelFiles(*files, guard));
  if (!status.isOk() && options.style.jsonPath)
    addFailure(options, status, report);
  Status written = writeJson(report, options.style);
  return status.isOk() ? written : status;
}

void cli::addCheckVerb(CLI::App &app, Command &command) {
  addVerb<CheckOptions>(app, command, "check",
                        "Says whether a model compiles, and what runs without native code",
                        addOptions, execute);
}
