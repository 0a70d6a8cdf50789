//===- Compare.cpp - quern compare ----------------------------------------===//
#include "quern/RandomSeed.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/OpenModel.h"
#include "tools/quern/Statistics.h"
#include "tools/quern/TensorDifference.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct CompareOptions {
  ModelOptions model;
  InputOptions inputs;
  BackendOptions backend;
  Tolerance tolerance;
  std::string duration = "2s";
  OutputStyle style;
};

struct Comparison {
  std::vector<TensorDifference> differences;
  double compileMs = 0;
  int threads = 0;
  Statistics interpreter;
  Statistics native;

  double speedup() const { return interpreter.p50 / std::max(native.p50, 1e-6); }
  bool passes() const {
    return std::all_of(differences.begin(), differences.end(),
                       [](const TensorDifference &d) { return d.passes(); });
  }
};
} // namespace

static void addOptions(CLI::App &verb, CompareOptions &options) {
  addModelOptions(verb, options.model);
  addInputOptions(verb, options.inputs);
  addCompileOptions(verb, options.backend);
  verb.add_option("--rtol", options.tolerance.relative, "Relative tolerance (default 1e-3)")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--atol", options.tolerance.absolute, "Absolute tolerance (default 1e-5)")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--duration", options.duration,
                  "How long to measure (default 2s); each backend runs once at least")
      ->type_name("TIME");
}

static Status timedRun(Runner &runner, std::span<const AnyValue> inputs,
                       std::span<AnyValue> outputs, SampleSet &samples) {
  Stopwatch watch;
  QUERN_TRY(runInterruptibly(runner, inputs, outputs));
  samples.add(watch.milliseconds());
  return Status::ok();
}

/// Times both in turn, so that what else the machine does meets both alike. The
/// native one runs several times a turn: it is the faster one by far.
static Status measure(Runner &interpreter, Runner &native, std::span<const AnyValue> inputs,
                      double seconds, Comparison &result) {
  constexpr int kNativeRunsPerTurn = 5;
  SampleSet interpreterMs, nativeMs;
  std::vector<AnyValue> outputs(native.outputs().size());
  Stopwatch total;
  do {
    QUERN_TRY(timedRun(interpreter, inputs, outputs, interpreterMs));
    outputs.assign(outputs.size(), {});
    for (int i = 0; i < kNativeRunsPerTurn; ++i)
      QUERN_TRY(timedRun(native, inputs, outputs, nativeMs));
    outputs.assign(outputs.size(), {});
  } while (total.milliseconds() < seconds * 1e3);
  result.interpreter = interpreterMs.summarize();
  result.native = nativeMs.summarize();
  return Status::ok();
}

static Status compare(const CompareOptions &options, const OpenedModel &opened, double seconds,
                      Comparison &result) {
  QUERN_ASSIGN(std::vector<AnyValue> inputs, makeInputs(opened.model.inputs(), options.inputs,
                                                        MissingInputs::Random, options.style));
  Progress progress(options.style);
  progress.show("compiling");
  BackendOptions interpreterOptions = options.backend;
  interpreterOptions.backend = "interpreter";
  QUERN_ASSIGN(std::unique_ptr<Runner> interpreter, prepare(opened, interpreterOptions, inputs));
  Stopwatch watch;
  QUERN_ASSIGN(std::unique_ptr<Runner> native, prepare(opened, options.backend, inputs));
  result.compileMs = watch.milliseconds();
  result.threads = native->threads();

  progress.show("interpreting");
  std::vector<AnyValue> wanted(native->outputs().size()), found(wanted.size());
  // Both draw the same random numbers.
  seedRandomOps(options.inputs.seed);
  QUERN_TRY(runInterruptibly(*interpreter, inputs, wanted));
  seedRandomOps(options.inputs.seed);
  QUERN_TRY(runInterruptibly(*native, inputs, found));
  for (size_t i = 0; i < wanted.size(); ++i)
    result.differences.push_back(compareValues(wanted[i], found[i], options.tolerance));
  progress.show("measuring");
  return measure(*interpreter, *native, inputs, seconds, result);
}

static std::string describe(const Comparison &c, const std::vector<PortSignature> &ports) {
  Table outputs({"output", "max abs", "max rel", ""});
  for (size_t i = 0; i < ports.size(); ++i) {
    const TensorDifference &d = c.differences[i];
    outputs.addRow({ports[i].name, fmt::format("{:.3g}", d.maxAbsolute),
                    fmt::format("{:.3g}", d.maxRelative), d.passes() ? "pass" : "FAIL"});
  }
  Table times({"backend", "p50 ms", "compile ms"});
  times.addRow({"interpreter", fmt::format("{:.3f}", c.interpreter.p50), "-"});
  times.addRow({"native", fmt::format("{:.3f}", c.native.p50), fmt::format("{:.1f}", c.compileMs)});
  return fmt::format("{}\n{}speed-up {:.1f}x\n", outputs.str(), times.str(), c.speedup());
}

static Json describeJson(const CompareOptions &options, const Comparison &c,
                         const std::vector<PortSignature> &ports) {
  Json outputs = Json::array();
  for (size_t i = 0; i < ports.size(); ++i)
    outputs.push_back({{"name", ports[i].name},
                       {"max_abs", c.differences[i].maxAbsolute},
                       {"max_rel", c.differences[i].maxRelative},
                       {"mismatches", c.differences[i].mismatches},
                       {"pass", c.differences[i].passes()}});
  return {
      {"schema", "quern.compare/1"},
      {"model", options.model.path},
      {"rtol", options.tolerance.relative},
      {"atol", options.tolerance.absolute},
      {"outputs", std::move(outputs)},
      {"interpreter", {{"p50_ms", c.interpreter.p50}}},
      {"native", {{"p50_ms", c.native.p50}, {"compile_ms", c.compileMs}, {"threads", c.threads}}},
      {"speedup", c.speedup()}};
}

/// AccuracyMismatch that names the outputs.
static Status verdict(const Comparison &c, const std::vector<PortSignature> &ports) {
  std::vector<std::string> failures;
  for (size_t i = 0; i < ports.size(); ++i) {
    const TensorDifference &d = c.differences[i];
    if (d.passes())
      continue;
    failures.push_back(
        d.incomparable.empty()
            ? fmt::format("output '{}': {} elements differ", ports[i].name, d.mismatches)
            : fmt::format("output '{}': {}", ports[i].name, d.incomparable));
  }
  if (failures.empty())
    return Status::ok();
  return Status(
      StatusCode::AccuracyMismatch,
      fmt::format("native code and interpreter do not agree: {}", fmt::join(failures, "; ")));
}

static Status execute(const CompareOptions &options) {
  QUERN_ASSIGN(double seconds, parseSeconds(options.duration));
  QUERN_ASSIGN(OpenedModel opened, openModel(options.model, options.style));
  const Model &model = opened.model;
  Comparison comparison;
  QUERN_TRY(compare(options, opened, seconds, comparison));
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(comparison, model.outputs())));
  QUERN_TRY(writeJson(describeJson(options, comparison, model.outputs()), options.style));
  return verdict(comparison, model.outputs());
}

void cli::addCompareVerb(CLI::App &app, Command &command) {
  addVerb<CompareOptions>(app, command, "compare",
                          "Compares native code with the interpreter: results and time", addOptions,
                          execute);
}
