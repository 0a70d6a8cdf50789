//===- Explain.cpp - quern explain ----------------------------------------===//
#include "quern/EscapedText.h"
#include "quern/Reports.h"
#include "quern/SampleInputs.h"
#include "quern/TimeAnalysis.h"
#include "tools/quern/Duration.h"
#include "tools/quern/FileIo.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/NodeNames.h"
#include "tools/quern/OpenModel.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct ExplainOptions {
  ModelOptions model;
  InputOptions inputs;
  BackendOptions backend;
  std::string duration = "1s";
  bool noTrials = false;
  std::string htmlPath, annotatedPath;
  /// The node whose code is shown; nothing is measured then.
  std::string codeOf;
  OutputStyle style;
};
/// Of a terminal that nobody made wider.
constexpr size_t kColumns = 80;
} // namespace

static void addOptions(CLI::App &verb, ExplainOptions &options) {
  addModelOptions(verb, options.model);
  addInputOptions(verb, options.inputs);
  addCompileOptions(verb, options.backend.compile);
  verb.remove_option(verb.get_option("--tune")); // what is tried has its own time
  verb.add_option("--duration", options.duration,
                  "How long to measure the steps (default 1s); trials take a few times as long")
      ->type_name("TIME");
  verb.add_flag("--no-trials", options.noTrials,
                "Does not try other precisions, weights, threads and batch sizes");
  verb.add_option("--html", options.htmlPath,
                  "Writes a page, too: roofline, causes, curves, a table of all steps")
      ->type_name("FILE");
  verb.add_option("--annotate", options.annotatedPath,
                  "Writes the model with the step and the time of each node as its metadata, as "
                  "Netron shows them")
      ->type_name("FILE");
  verb.add_option(
          "--asm", options.codeOf,
          "Shows the kernel of this node, and what its inner loops do, and measures nothing")
      ->type_name("NODE")
      ->excludes("--html", "--annotate", "--duration", "--no-trials");
}

//===----------------------------------------------------------------------===//
// For people
//===----------------------------------------------------------------------===//

/// `text` in lines of kColumns at most, the first after `first`, the others after `rest`. Words
/// that are longer stay whole.
static std::string wrapped(const std::string &first, const std::string &rest,
                           const std::string &text) {
  std::string result, line = first;
  bool isEmpty = true;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(' ', at), text.size());
    std::string word = text.substr(at, end - at);
    if (!isEmpty && line.size() + 1 + word.size() > kColumns) {
      result += line + "\n";
      line = rest;
      isEmpty = true;
    }
    line += (isEmpty ? "" : " ") + word;
    isEmpty = false;
    at = end + 1;
  }
  return result + line + "\n";
}

static std::string bar(double share) {
  constexpr double kWidth = 28;
  std::string text;
  for (int i = 0; i < static_cast<int>(std::clamp(share, 0.0, 1.0) * kWidth + 0.5); ++i)
    text += "█";
  return text;
}

/// Where a run goes, by what holds its steps up.
static std::string describeShares(const TimeAnalysis &analysis) {
  Table table({"where a run goes", "", "time", "%"}, /*leftColumns=*/2);
  for (const TimeShare &share : analysis.shares()) {
    double part = share.ms / std::max(analysis.run.steady.mean, 1e-9);
    if (share.ms > 0)
      table.addRow({std::string(share.meaning), bar(part), shownTime(share.ms),
                    fmt::format("{:.0f}", 100 * part)});
  }
  return table.str();
}

static std::string describeCause(const TimeCause &cause, size_t number, double runMs) {
  std::string text = cause.title;
  if (std::string saving = cause.saving(runMs); !saving.empty())
    text += ": " + saving;
  auto escaped = [](const std::string &line) { return escapeText(line, TextPlace::Line); };
  std::string result = wrapped(fmt::format("{:2}. ", number), "    ", escaped(text));
  for (const std::string &line : cause.evidence)
    result += wrapped("    - ", "      ", escaped(line));
  return cause.advice.empty() ? result : result + wrapped("    > ", "      ", cause.advice);
}

/// Whether anything but kernels of Quern's own could make runs faster by much.
static bool isNearTheMachine(const TimeAnalysis &analysis) {
  constexpr double kMuch = 0.1;
  return std::ranges::all_of(analysis.causes, [&](const TimeCause &cause) {
    return cause.isOnce || cause.savedMs < kMuch * analysis.run.steady.p50;
  });
}

static std::string describe(const TimeAnalysis &analysis, const std::string &backend) {
  const Statistics &times = analysis.run.steady;
  std::string text =
      fmt::format("{}: {} a run (median of {}), {} thread{}\n"
                  "{}: {:.0f} GFLOP/s and {:.0f} GB/s with these threads\n\n",
                  backend, shownTime(times.p50), analysis.run.runs, analysis.run.threads,
                  analysis.run.threads == 1 ? "" : "s",
                  analysis.machine.cpuModel.empty() ? "this machine" : analysis.machine.cpuModel,
                  analysis.rates.peaks.float32, analysis.rates.readGBps);
  text += describeShares(analysis) + "\n";
  if (isNearTheMachine(analysis))
    text += fmt::format("as fast as this machine allows, nearly: {:.0f} % of a run is near its "
                        "rates\n",
                        100 * analysis.shareNearRoof());
  if (!analysis.causes.empty())
    text += "what takes time, and what would help\n";
  for (size_t i = 0; i < analysis.causes.size(); ++i)
    text += describeCause(analysis.causes[i], i + 1, times.p50);
  return text;
}

/// The steps that take longest, with --verbose.
static std::string describeSteps(const TimeAnalysis &analysis, const OutputStyle &style) {
  std::vector<const StepTime *> steps;
  for (const StepTime &step : analysis.steps)
    steps.push_back(&step);
  std::ranges::sort(steps, {}, [](const StepTime *step) { return std::pair(-step->ms, step); });
  Table table({"node", "kernel", "ms", "compute", "memory", "bound"}, /*leftColumns=*/2);
  for (const StepTime *step : steps)
    table.addRow({shownNodes(step->row.nodes, style), shownName(step->row.kernel, style),
                  fmt::format("{:.3f}", step->ms), fmt::format("{:.3f}", step->computeMs),
                  fmt::format("{:.3f}", step->memoryMs),
                  step->hasNested ? "nested" : std::string(stepBoundName(step->bound))});
  return "\n" + table.str();
}

//===----------------------------------------------------------------------===//
// The code of a node
//===----------------------------------------------------------------------===//

static std::string describe(const KernelCode &code) {
  std::string text =
      fmt::format("# {}\n# {}\n{}", escapeText(code.step + ": " + code.kernel, TextPlace::Line),
                  escapeText(code.parameters, TextPlace::Line), code.assembly);
  if (code.loops.empty())
    return text;
  Table table({"# a turn of", "instructions", "operations", "loads", "bytes", "stores", "bytes",
               "vectors on the stack"});
  constexpr size_t kShown = 8;
  std::vector<KernelLoop> loops = code.loops;
  std::ranges::stable_sort(loops, std::greater(), &KernelLoop::flops);
  loops.resize(std::min(loops.size(), kShown));
  for (const KernelLoop &loop : loops)
    table.addRow({"# " + loop.label, std::to_string(loop.instructions), std::to_string(loop.flops),
                  std::to_string(loop.loads), std::to_string(loop.loadedBytes),
                  std::to_string(loop.stores), std::to_string(loop.storedBytes),
                  std::to_string(loop.spills)});
  size_t others = code.loops.size() - loops.size();
  return text + table.str() + (others ? fmt::format("# and {} other inner loops\n", others) : "");
}

static Json jsonOf(const KernelCode &code) {
  Json loops = Json::array();
  for (const KernelLoop &loop : code.loops)
    loops.push_back({{"label", loop.label},
                     {"instructions", loop.instructions},
                     {"flops", loop.flops},
                     {"loads", loop.loads},
                     {"loaded_bytes", loop.loadedBytes},
                     {"stores", loop.stores},
                     {"stored_bytes", loop.storedBytes},
                     {"spills", loop.spills}});
  return {{"step", code.step},
          {"kernel", code.kernel},
          {"parameters", code.parameters},
          {"assembly", code.assembly},
          {"loops", std::move(loops)}};
}

static Status showCode(const ExplainOptions &options) {
  QUERN_ASSIGN(OpenedModel opened, openModel(options.model, options.style));
  QUERN_TRY(checkJsonWritable(options.style, opened.guard));
  std::vector<Tensor::Dims> dims = defaultDims(opened.model.inputs());
  Progress progress(options.style);
  progress.show("compiling");
  QUERN_ASSIGN(
      std::vector<KernelCode> codes,
      opened.model.codeOfNode(options.backend.compile.within(opened.limits), dims, options.codeOf));
  progress.clear();
  Json kernels = Json::array();
  for (const KernelCode &code : codes) {
    if (options.style.printsTable())
      QUERN_TRY(printText(describe(code)));
    kernels.push_back(jsonOf(code));
  }
  return writeJson({{"schema", "quern.code/1"},
                    {"model", options.model.path},
                    {"node", options.codeOf},
                    {"kernels", std::move(kernels)}},
                   options.style);
}

//===----------------------------------------------------------------------===//
// The verb
//===----------------------------------------------------------------------===//

/// Weights in other files are found from the folder of the model only.
static Status checkFindsWeights(const Model &model, const std::string &path) {
  namespace fs = std::filesystem;
  std::error_code error;
  auto folderOf = [&](const std::string &file) {
    return fs::weakly_canonical(fs::absolute(file, error), error).parent_path();
  };
  if (model.files().size() > 1 && folderOf(path) != folderOf(model.files().front()))
    return usageError(fmt::format("the weights of {} are in other files, which {} would not find: "
                                  "write it beside the model",
                                  model.files().front(), path));
  return Status::ok();
}

static Expected<TimeAnalysis> analyze(const ExplainOptions &options, std::string &backend) {
  QUERN_ASSIGN(double seconds, parseSeconds(options.duration));
  QUERN_ASSIGN(OpenedModel opened, openModel(options.model, options.style));
  for (const auto &[what, path] :
       {std::pair("page", &options.htmlPath), {"annotated model", &options.annotatedPath}})
    if (!path->empty()) {
      QUERN_TRY(opened.guard.writes(what, *path));
      QUERN_TRY(checkWritable(*path));
    }
  if (!options.annotatedPath.empty()) {
    QUERN_ASSIGN(ModelFacts facts, inspectModelFile(options.model.path, opened.limits));
    if (facts.format != "ONNX")
      return usageError(fmt::format("--annotate writes ONNX models: {} is one of {}",
                                    options.model.path, facts.format));
    QUERN_TRY(checkFindsWeights(opened.model, options.annotatedPath));
  }
  QUERN_ASSIGN(std::vector<AnyValue> inputs,
               makeInputs(opened.model.inputs(), options.inputs, MissingInputs::Random,
                          options.style, opened.limits, {}, &opened.guard));
  CompileOptions compile = options.backend.compile.within(opened.limits);
  backend = fmt::format("{}, {}", options.model.path, precisionName(compile.precision));
  Progress progress(options.style);
  progress.show("measuring");
  EndsEarly interruptible;
  RunnerOptions session{.threads = compile.threads, .limits = opened.limits};
  return analyzeTime(opened.model, inputs, compile, session,
                     {.seconds = seconds,
                      .tries = !options.noTrials,
                      .stages = !options.htmlPath.empty() && !options.noTrials,
                      .loadMs = opened.loadMs});
}

static Status execute(const ExplainOptions &options) {
  if (!options.codeOf.empty())
    return showCode(options);
  std::string backend;
  QUERN_ASSIGN(TimeAnalysis analysis, analyze(options, backend));
  for (const std::string &warning : analysis.run.warnings())
    warn(options.style, warning);
  if (options.style.printsTable())
    QUERN_TRY(
        printText(describe(analysis, backend) +
                  (options.style.verbosity > 0 ? describeSteps(analysis, options.style) : "")));
  Json report = {{"schema", "quern.explain/1"}, {"model", options.model.path}};
  report.update(Json::parse(timeReport(analysis)));
  QUERN_TRY(writeJson(report, options.style));
  if (!options.htmlPath.empty())
    QUERN_TRY(writeFile(options.htmlPath, timePage(analysis, options.model.path)));
  if (!options.annotatedPath.empty()) {
    QUERN_ASSIGN(std::string model, annotatedModel(options.model.path, analysis));
    QUERN_TRY(writeFile(options.annotatedPath, model));
  }
  return analysis.isComplete ? Status::ok() : Status(StatusCode::Cancelled, "interrupted");
}

void cli::addExplainVerb(CLI::App &app, Command &command) {
  addVerb<ExplainOptions>(app, command, "explain",
                          "Says where the time of a run goes, and what would make it faster",
                          addOptions, execute);
}
