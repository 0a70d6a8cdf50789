//===- Compare.cpp - quern compare ----------------------------------------===//
#include "quern/Compare.h"
#include "quern/OutputGuard.h"
#include "quern/Reports.h"
#include "tools/quern/Against.h"
#include "tools/quern/ChosenPrecision.h"
#include "tools/quern/Duration.h"
#include "tools/quern/Explained.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/OpenModel.h"
#include "tools/quern/Peer.h"
#include "tools/quern/PerNode.h"
#include "tools/quern/Reduce.h"
#include "tools/quern/Stages.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct CompareCommand {
  ModelOptions model;
  InputOptions inputs;
  BackendOptions backend;
  /// Where either is given, they alone count.
  std::optional<double> relative, absolute;
  std::string duration = "2s";
  /// The model of a compiled library.
  std::string reference;
  /// Other systems.
  std::vector<std::string> against;
  bool byStage = false, perNode = false, reduces = false;
  /// Of --reduce.
  std::string output;
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, CompareCommand &options) {
  addModelOptions(verb, options.model);
  addInputOptions(verb, options.inputs);
  addCompileOptions(verb, options.backend.compile);
  verb.add_option("--reference", options.reference,
                  "The model, when MODEL is a library that quern compile has made of it")
      ->type_name("FILE");
  verb.add_flag("--by-stage", options.byStage,
                "Adds one kind of optimisation after the other: what each brings, and what it "
                "changes");
  verb.add_option("--against", options.against,
                  "Another system, which runs the same in turns: onnxruntime, openvino (in the "
                  "precision that it chooses) or openvino-f32, from the packages of python3")
      ->type_name("SYSTEM")
      ->take_all()
      ->allow_extra_args(false)
      ->check(CLI::IsMember(peerNames()));
  verb.add_flag("--per-node", options.perNode,
                "Compares each node as it is computed, fused and all, with the interpreter on the "
                "same operands: which is the first that differs");
  verb.add_flag("--reduce", options.reduces,
                "Leaves out nodes and makes sizes smaller as long as outputs, or nodes, still "
                "differ, or the program still crashes: the rest is a model to look at");
  verb.add_option("-o,--output", options.output, "The file for the model of --reduce")
      ->type_name("FILE");
  verb.add_option("--rtol", options.relative,
                  "Relative tolerance (default 1e-3; at a lower precision neither this nor "
                  "--atol counts, but 1 % of the largest magnitude of each output)")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--atol", options.absolute, "Absolute tolerance (default 1e-5)")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--duration", options.duration,
                  "How long to measure (default 2s); each backend runs once at least")
      ->type_name("TIME");
}

/// What is interpreted: the model itself, or that of a library, with the library's sizes.
static Expected<Runnable> openReference(const CompareCommand &options, Runnable &opened) {
  if (!opened.library) {
    if (!options.reference.empty())
      return usageError("--reference is the model of a compiled library, and " +
                        options.model.path + " is none");
    return Runnable{.model = std::move(opened.model),
                    .library = nullptr,
                    .limits = opened.limits,
                    .guard = opened.guard};
  }
  if (options.reference.empty())
    return usageError(options.model.path +
                      " is a compiled library; give the model it was made of: --reference MODEL");
  InputSizes sizes;
  for (const PortSignature &port : opened.inputs())
    if (std::optional<std::vector<int64_t>> shape = port.shape.sizes())
      sizes.shapes[port.name] = std::move(*shape);
  QUERN_ASSIGN(Model model, Model::load(options.reference, sizes, opened.limits));
  QUERN_TRY(guardModelFiles(model.files(), opened.guard));
  return Runnable{.model = std::move(model), .library = nullptr, .limits = opened.limits};
}

/// That of --rtol and --atol, where one of them is given.
static std::optional<Tolerance> givenTolerance(const CompareCommand &options) {
  if (!options.relative && !options.absolute)
    return std::nullopt;
  return Tolerance{.relative = options.relative.value_or(Tolerance().relative),
                   .absolute = options.absolute.value_or(Tolerance().absolute)};
}

static Tolerance toleranceFor(const CompareCommand &options, const Runnable &compiled,
                              const std::optional<Explanation> &explanation) {
  if (std::optional<Tolerance> given = givenTolerance(options))
    return *given;
  return toleranceOf(compiled.precision(options.backend),
                     (explanation && explanation->multipliesBytes()) ||
                         options.backend.compile.weights != WeightType::Given,
                     compiled.choice(options.backend),
                     explanation ? explanation->unroundedType() : DType::Undefined);
}

/// The model compiled without Winograd's algorithm, where that would make a difference.
static Expected<std::unique_ptr<Runner>>
prepareDirect(const CompareCommand &options, const Runnable &compiled,
              const std::optional<Explanation> &explanation, std::span<const AnyValue> inputs) {
  if (!explanation || !explanation->usesWinograd())
    return std::unique_ptr<Runner>();
  BackendOptions direct = options.backend;
  direct.compile.winograd = WinogradUse::Off;
  direct.compile.dumpPhasesTo.clear();
  return prepare(compiled, direct, inputs);
}

namespace {
struct Measured {
  Comparison comparison;
  std::vector<PeerComparison> peers;
};
} // namespace

static Expected<Measured> compareBackends(const CompareCommand &options, const Runnable &reference,
                                          const Runnable &compiled,
                                          std::span<const AnyValue> inputs,
                                          const std::optional<Explanation> &explanation,
                                          double seconds) {
  Progress progress(options.style);
  progress.show("compiling");
  explainKernelCache(options.backend.compile, options.style);
  BackendOptions interpreterOptions = options.backend;
  interpreterOptions.compile = options.backend.compile.interpreted();
  QUERN_ASSIGN(std::unique_ptr<Runner> interpreter, prepare(reference, interpreterOptions, inputs));
  Stopwatch watch;
  QUERN_ASSIGN(std::unique_ptr<Runner> native, prepare(compiled, options.backend, inputs));
  double compileMs = watch.milliseconds();
  QUERN_ASSIGN(std::unique_ptr<Runner> direct,
               prepareDirect(options, compiled, explanation, inputs));
  progress.show("comparing");
  Interruptible runs(*interpreter, native.get());
  QUERN_ASSIGN(Comparison result,
               compare(*interpreter, *native, inputs,
                       {.tolerance = toleranceFor(options, compiled, explanation),
                        .seconds = seconds,
                        .withoutWinograd = direct.get(),
                        .seed = options.inputs.seed,
                        .keepsCancelled = true}));
  result.compileMs = compileMs;
  Measured measured{std::move(result), {}};
  if (options.against.empty() || !measured.comparison.isComplete)
    return measured;
  progress.show("comparing with other systems");
  QUERN_ASSIGN(measured.peers,
               compareWithPeers(
                   {.systems = options.against,
                    .modelPath = options.reference.empty() ? options.model.path : options.reference,
                    .inputPorts = compiled.inputs(),
                    .outputPorts = native->outputs(),
                    .tolerance = measured.comparison.tolerance,
                    .seconds = seconds},
                   *interpreter, *native, inputs));
  return measured;
}

/// "precision bf16: an output may differ by 4 % of its largest magnitude".
static std::string describePrecision(Precision precision, WeightType weights,
                                     const std::optional<Explanation> &explanation,
                                     const Tolerance &tolerance) {
  std::string text = fmt::format("precision {}", precisionName(precision));
  if (weights != WeightType::Given)
    text += fmt::format(", weights of products in {}", weightTypeName(weights));
  else if (precision == Precision::Float32 && explanation && explanation->multipliesBytes())
    text += ", products of quantized tensors on integers";
  if (tolerance.ofLargest > 0)
    text += fmt::format(": an output may differ by {:g} % of its largest magnitude",
                        100 * tolerance.ofLargest);
  return text + "\n";
}

static std::string describe(Precision precision, WeightType weights,
                            const std::optional<Explanation> &explanation, const Comparison &c) {
  bool boundsLargest = c.tolerance.ofLargest > 0;
  Table outputs({"output", "max abs error", boundsLargest ? "% of largest" : "max rel error", "ulp",
                 "cosine", "top-1", ""});
  std::string direct;
  for (const OutputComparison &output : c.outputs) {
    const TensorDifference &d = output.difference;
    outputs.addRow({output.name, fmt::format("{:.3g}", d.maxAbsolute),
                    fmt::format("{:.3g}", boundsLargest ? 100 * d.maxOfLargest : d.maxRelative),
                    fmt::format("{:.3g}", d.maxUlp), fmt::format("{:.6f}", d.cosine),
                    d.topAgreement ? fmt::format("{:.4g} %", 100 * *d.topAgreement) : "-",
                    d.passes() ? "pass" : "FAIL"});
    if (output.withoutWinograd)
      direct += fmt::format("{}'{}' {:.3g}", direct.empty() ? "" : ", ", output.name,
                            output.withoutWinograd->maxAbsolute);
  }
  if (!direct.empty())
    direct = "max abs error without Winograd's algorithm: " + direct + "\n";
  Table times({"backend", "median ms", "compile ms"});
  times.addRow({"interpreter", fmt::format("{:.3f}", c.reference.p50), "-"});
  times.addRow(
      {"native", fmt::format("{:.3f}", c.compiled.p50), fmt::format("{:.1f}", c.compileMs)});
  return fmt::format("{}{}{}\n{}speed-up {:.1f}x\n",
                     describePrecision(precision, weights, explanation, c.tolerance), outputs.str(),
                     direct, times.str(), c.speedup());
}

static Json describeJson(const CompareCommand &options, Precision precision,
                         const Measured &measured, const std::optional<Explanation> &explanation) {
  const Comparison &c = measured.comparison;
  return {
      {"schema", "quern.compare/1"},
      {"model", options.model.path},
      {"precision", precisionName(precision)},
      {"weights", weightTypeName(options.backend.compile.weights)},
      {"rtol", c.tolerance.relative},
      {"atol", c.tolerance.absolute},
      {"tolerance_of_largest", c.tolerance.ofLargest},
      {"outputs", outputsJson(c.outputs)},
      {"interpreter", {{"p50_ms", c.reference.p50}}},
      {"native", {{"p50_ms", c.compiled.p50}, {"compile_ms", c.compileMs}, {"threads", c.threads}}},
      {"speedup", c.speedup()},
      {"against", peersJson(measured.peers)},
      {"complete", c.isComplete},
      {"explanation", explanation ? Json::parse(explanationReport(*explanation)) : Json(nullptr)}};
}

/// What --precision auto came to when a library was compiled; of models the explanation says it.
static std::string describeLibrary(const Runnable &compiled, const OutputStyle &style) {
  const PrecisionChoice *choice = compiled.library ? compiled.library->precisionChoice() : nullptr;
  return choice ? describeChoice(*choice, style) : "";
}

/// Of a model: from the interpreter to what was asked for.
static Status executeStages(const CompareCommand &options, const Runnable &opened,
                            std::span<const AnyValue> inputs, double seconds) {
  if (!opened.model)
    return usageError("--by-stage is for models: " + options.model.path + " is compiled already");
  Progress progress(options.style);
  progress.show("comparing");
  CompareOptions how{.tolerance = givenTolerance(options),
                     .seconds = seconds,
                     .seed = options.inputs.seed,
                     .keepsCancelled = true};
  CompileOptions compile = options.backend.compile.within(opened.limits);
  EndsEarly interruptible;
  QUERN_ASSIGN(StagedComparison comparison,
               compareStages(*opened.model, inputs, compile,
                             {.threads = compile.threads, .limits = opened.limits}, how));
  progress.clear();
  if (options.style.printsTable())
    QUERN_TRY(printText(describeStages(comparison)));
  Json report = {{"schema", "quern.compare-stages/1"},
                 {"model", options.model.path},
                 {"complete", comparison.isComplete},
                 {"stages", stagesJson(comparison)}};
  QUERN_TRY(writeJson(report, options.style));
  QUERN_TRY(comparison.verdict());
  return comparison.isComplete ? Status::ok() : Status(StatusCode::Cancelled, "interrupted");
}

/// Of a model: each node on its own.
static Status executeNodes(const CompareCommand &options, const Runnable &opened,
                           std::span<const AnyValue> inputs) {
  if (!opened.model)
    return usageError("--per-node is for models: " + options.model.path + " is compiled already");
  Progress progress(options.style);
  progress.show("comparing");
  CompareOptions how{
      .tolerance = givenTolerance(options), .seed = options.inputs.seed, .keepsCancelled = true};
  CompileOptions compile = options.backend.compile.within(opened.limits);
  EndsEarly interruptible;
  QUERN_ASSIGN(NodeComparison comparison,
               compareNodes(*opened.model, inputs, compile,
                            {.threads = compile.threads, .limits = opened.limits}, how));
  progress.clear();
  if (options.style.printsTable())
    QUERN_TRY(printText(describeNodes(comparison, options.style)));
  Json report = {{"schema", "quern.compare-nodes/1"}, {"model", options.model.path}};
  report.update(Json::parse(nodeReport(comparison)));
  QUERN_TRY(writeJson(report, options.style));
  QUERN_TRY(comparison.verdict());
  return comparison.isComplete ? Status::ok() : Status(StatusCode::Cancelled, "interrupted");
}

static Status executeReduce(const CompareCommand &options, const Runnable &opened,
                            std::span<const AnyValue> inputs) {
  if (!opened.model)
    return usageError("--reduce is for models: " + options.model.path + " is compiled already");
  if (options.output.empty())
    return usageError("--reduce needs a file for the model: -o small.onnx");
  QUERN_ASSIGN(InputSizes sizes, parseInputSizes(options.model));
  return reduce({.modelPath = options.model.path,
                 .outputPath = options.output,
                 .sizes = std::move(sizes),
                 .compile = options.backend.compile,
                 .inputs = options.inputs,
                 .relative = options.relative,
                 .absolute = options.absolute,
                 .limits = opened.limits,
                 .style = options.style},
                inputs);
}

static Status execute(const CompareCommand &given) {
  CompareCommand options = given;
  QUERN_ASSIGN(double seconds, parseSeconds(options.duration));
  QUERN_ASSIGN(Runnable opened, openRunnable(options.model, options.style));
  QUERN_ASSIGN(Runnable reference, openReference(options, opened));
  Runnable &compiled = opened.library ? opened : reference;
  QUERN_ASSIGN(std::vector<AnyValue> inputs,
               makeInputs(compiled.inputs(), options.inputs, MissingInputs::Random, options.style,
                          compiled.limits, compiled.defaults, &compiled.guard));
  if ((options.byStage || options.perNode || options.reduces) && !options.against.empty())
    return usageError("--by-stage, --per-node and --reduce look into Quern: --against is for a "
                      "comparison without them");
  if (options.byStage + options.perNode + options.reduces > 1)
    return usageError("--by-stage, --per-node and --reduce exclude each other");
  if (options.reduces)
    return executeReduce(options, compiled, inputs);
  if (options.perNode)
    return executeNodes(options, compiled, inputs);
  if (options.byStage)
    return executeStages(options, compiled, inputs, seconds);
  QUERN_ASSIGN(options.backend,
               settleChoices(compiled, options.backend, inputs, options.inputs, options.style));
  std::optional<Explanation> explanation =
      explainCompiled(compiled, options.backend.compile, inputs, options.style);
  QUERN_ASSIGN(Measured measured,
               compareBackends(options, reference, compiled, inputs, explanation, seconds));
  const Comparison &comparison = measured.comparison;
  for (const OutputComparison &output : comparison.outputs)
    if (output.flushMatters)
      note(options.style,
           fmt::format(
               "output '{}': native code takes subnormal numbers for zero, which changes it; "
               "it agrees with the interpreter when that does so, too",
               output.name));
  Precision precision = compiled.precision(options.backend);
  if (options.style.printsTable())
    QUERN_TRY(
        printText(describe(precision, options.backend.compile.weights, explanation, comparison) +
                  (measured.peers.empty() ? "" : "\n" + describePeers(measured.peers)) +
                  describeLibrary(compiled, options.style) +
                  (explanation ? describeExplanation(*explanation, options.style) : "")));
  QUERN_TRY(writeJson(describeJson(options, precision, measured, explanation), options.style));
  QUERN_TRY(comparison.verdict());
  for (const PeerComparison &peer : measured.peers)
    QUERN_TRY(peer.refusal);
  return comparison.isComplete ? Status::ok() : Status(StatusCode::Cancelled, "interrupted");
}

void cli::addCompareVerb(CLI::App &app, Command &command) {
  addVerb<CompareCommand>(app, command, "compare",
                          "Compares native code with the interpreter: results and time", addOptions,
                          execute);
}
