//===- Check.cpp - quern check --------------------------------------------===//
#include "quern/Reports.h"
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
  BackendOptions backend;
  OutputStyle style;
};

/// What is known of a model.
struct Findings {
  std::vector<StepSummary> steps;
  /// The options that would say the sizes that some steps depend on.
  std::vector<std::string> wantedOptions;
};

/// Lists of names are cut to this many for people.
constexpr size_t kMaxPrintedNames = 10;
} // namespace

static void addOptions(CLI::App &verb, CheckOptions &options) {
  addModelOptions(verb, options.model);
  addCompileOptions(verb, options.backend);
  verb.footer("Dimensions without a size are taken as 1. Where a model is too small for that, only "
              "what holds for\nall sizes is checked, and the options that give the rest are named. "
              "With --json an object is written\nafter a failure as well, with all unsupported "
              "ops and nodes.");
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

/// Plans for the sizes given, unknown ones taken as 1; falls back on what holds
/// for all sizes where 1 is too small.
static Expected<Findings> findOut(const OpenedModel &opened, const CheckOptions &options) {
  const Model &model = opened.model;
  CompileOptions compile = compileOptions(options.backend, opened.limits);
  std::vector<Tensor::Dims> dims;
  for (const PortSignature &port : model.inputs())
    dims.push_back(defaultDims(port));
  auto planned = model.planSteps(compile, dims);
  bool areSizesKnown = std::none_of(model.inputs().begin(), model.inputs().end(), hasUnknownSizes);
  if (!planned && !areSizesKnown) {
    QUERN_ASSIGN(std::vector<StepSummary> steps, model.checkWithoutSizes(compile));
    note(options.style, "not checked with 1 for unknown sizes: " + planned.status().message());
    return Findings{std::move(steps), sizeOptions(model.inputs())};
  }
  if (!planned)
    return planned.status();
  for (size_t i = 0; i < dims.size(); ++i)
    if (const PortSignature &port = model.inputs()[i]; hasUnknownSizes(port))
      note(options.style, fmt::format("input '{}' is {}; checked at {}", port.name, port.describe(),
                                      formatDims(dims[i])));
  return Findings{planned.take(), {}};
}

/// "a, b, c and 7 more".
static std::string listNames(const std::vector<std::string> &names, const char *separator) {
  size_t shown = std::min(names.size(), kMaxPrintedNames);
  std::string text = fmt::format("{}", fmt::join(std::span(names).first(shown), separator));
  if (names.size() > kMaxPrintedNames)
    text += fmt::format(" and {} more", names.size() - kMaxPrintedNames);
  return text;
}

static std::string describeFindings(const Findings &findings) {
  std::vector<std::string> undecided;
  size_t native = 0;
  std::string reference;
  for (const StepSummary &step : findings.steps) {
    native += step.native;
    if (step.needsSizes)
      undecided.push_back(step.nodes);
    else if (!step.native)
      reference += fmt::format("reference kernel: {} ({}){}\n", step.nodes, step.kernel,
                               step.refusal.empty() ? "" : ": " + step.refusal);
  }
  std::string text =
      fmt::format("{} of {} steps run as native code{}", native, findings.steps.size(),
                  findings.wantedOptions.empty() ? "\n" : " for all sizes\n");
  if (!undecided.empty() && findings.wantedOptions.empty())
    text += fmt::format("left until a run tells their sizes, then native where possible: {}\n",
                        listNames(undecided, ", "));
  else if (!undecided.empty())
    text += fmt::format("undecided without sizes: {}; give {}\n", listNames(undecided, ", "),
                        listNames(findings.wantedOptions, " "));
  return text + reference;
}

static void addFindings(const Findings &findings, Json &report) {
  report.update(Json::parse(stepsReport(findings.steps)));
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
  report["inputs"] = portsJson(model.inputs());
  report["outputs"] = portsJson(model.outputs());
  QUERN_ASSIGN(Findings findings, findOut(opened, options));
  addFindings(findings, report);
  if (!options.style.printsTable())
    return Status::ok();
  return printText(describePorts("input", model.inputs()) +
                   describePorts("output", model.outputs()) + describeFindings(findings));
}

static Status execute(const CheckOptions &options) {
  QUERN_TRY(checkJsonWritable(options.style, options.model.path));
  Json report = {{"schema", "quern.check/1"}, {"model", options.model.path}};
  Status status = check(options, report);
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
