//===- Run.cpp - quern run ------------------------------------------------===//
#include "quern/EscapedText.h"
#include "quern/RandomSeed.h"
#include "quern/Reports.h"
#include "quern/Statistics.h"
#include "quern/TensorDifference.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/OpenModel.h"
#include "tools/quern/OutputFiles.h"
#include "tools/quern/RunTable.h"
#include "tools/quern/TopClasses.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct RunOptions {
  ModelOptions model;
  InputOptions inputs;
  BackendOptions backend;
  std::vector<std::string> outputs;
  /// Of each output, to show; by default few for people and more in JSON.
  std::optional<int64_t> values;
  TopOptions top;
  /// Of a table that another is written of.
  std::string keep;
  TimeBudget maxTime;
  OutputStyle style;
};

/// What to tell of a tensor without printing all of it.
struct TensorSummary {
  double min = 0, max = 0, mean = 0;
  /// Empty for strings and empty tensors.
  std::vector<double> values;

  explicit TensorSummary(const Tensor &tensor) : values(elementsAsDouble(tensor)) {
    if (values.empty())
      return;
    auto [low, high] = std::minmax_element(values.begin(), values.end());
    min = *low;
    max = *high;
    for (double v : values)
      mean += v / static_cast<double>(values.size());
  }
};
} // namespace

static void addOptions(CLI::App &verb, RunOptions &options) {
  addModelOptions(verb, options.model);
  addInputOptions(verb, options.inputs);
  addCompileOptions(verb, options.backend.compile, OptionUse::Backends);
  verb.add_option("-o,--output", options.outputs,
                  "FILE.npz with all outputs, FOLDER/ for output_0.pb, output_1.pb, ... of any "
                  "kind, or NAME=FILE.npy (or .pb) with one; FILE.npy when there is but one; - for "
                  "standard output, as .npy or, of several outputs, .npz; of a table FILE.csv or - "
                  "for another with its columns and then the outputs")
      ->type_name("FILE")
      ->take_all()
      ->allow_extra_args(false);
  verb.add_option("--values", options.values,
                  "How many values of each output to show (default 8, with --json 100)")
      ->type_name("COUNT")
      ->check(CLI::NonNegativeNumber);
  addTopOptions(verb, options.top);
  verb.add_option("--keep", options.keep,
                  "The columns of a table that the one with the outputs has, too: id,name, all "
                  "(default) or none")
      ->type_name("COLUMNS");
  addMaxTimeOption(verb, options.maxTime, "Ends with exit code 6 when the run takes longer: 5ms");
}

/// "probabilities  float32 1x10  min 0  max 1  mean 0.1" and the first values.
static std::string describeOutput(const std::string &name, const Tensor &tensor, size_t shown) {
  TensorSummary summary(tensor);
  std::string text = escapeText(name + ": " + tensor.describe(), TextPlace::Line);
  if (summary.values.empty())
    return text + "\n";
  text += fmt::format(", min {:.3g}, max {:.3g}, mean {:.3g}\n ", summary.min, summary.max,
                      summary.mean);
  for (size_t i = 0; i < std::min(shown, summary.values.size()); ++i)
    text += fmt::format(" {:.3g}", summary.values[i]);
  return text + (summary.values.size() > shown ? " ...\n" : "\n");
}

/// The values in one that is no tensor, each with a name: its position, "content" or
/// its key.
static std::vector<std::pair<std::string, AnyValue>> partsOf(const AnyValue &value) {
  std::vector<std::pair<std::string, AnyValue>> parts;
  if (const SequenceValue *sequence = value.asSequence())
    for (const AnyValue &element : sequence->elements)
      parts.emplace_back(std::to_string(parts.size()), element);
  if (const OptionalValue *optional = value.asOptional(); optional && optional->content.isPresent())
    parts.emplace_back("content", optional->content);
  if (const MapValue *map = value.asMap())
    for (const AnyValue &each : map->values) {
      auto i = static_cast<int64_t>(parts.size());
      parts.emplace_back(map->keys.dtype() == DType::String
                             ? map->keys.data<std::string>()[i]
                             : std::to_string(map->keys.data<int64_t>()[i]),
                         each);
    }
  return parts;
}

/// As describeOutput; what is in it, as far as it is shown, with an indentation.
static std::string describeValue(const std::string &name, const AnyValue &value, size_t shown,
                                 const std::string &indent = "") {
  if (const Tensor *tensor = value.asTensor())
    return indent + describeOutput(name, *tensor, shown);
  auto parts = partsOf(value);
  std::string text = indent + escapeText(name + ": " + value.describe(), TextPlace::Line) + "\n";
  for (size_t i = 0; i < std::min(shown, parts.size()); ++i)
    text += describeValue(parts[i].first, parts[i].second, shown, indent + "  ");
  return text + (parts.size() > shown ? indent + "  ...\n" : "");
}

/// An element with all its digits and no more; `value` is it as a double.
static Json elementJson(const Tensor &tensor, size_t i, double value) {
  switch (tensor.dtype()) {
  case DType::Bool:
    return value != 0;
  case DType::Int64:
    return tensor.data<int64_t>()[i];
  case DType::UInt64:
    return tensor.data<uint64_t>()[i];
  case DType::Float64:
    return value;
  default:
    if (isSignedInteger(tensor.dtype()) || isUnsignedInteger(tensor.dtype()))
      return static_cast<int64_t>(value);
    // 0.1 and not 0.10000000149: the shortest number that is the same float32.
    return std::isfinite(value) ? Json(std::stod(fmt::format("{}", static_cast<float>(value))))
                                : Json(nullptr);
  }
}

static Json valuesJson(const Tensor &tensor, const std::vector<double> &elements, size_t shown) {
  Json values = Json::array();
  if (tensor.dtype() == DType::String)
    for (const std::string &text : tensor.elementsAs<std::string>().first(
             std::min(shown, static_cast<size_t>(tensor.numElements()))))
      values.push_back(text);
  for (size_t i = 0; i < std::min(shown, elements.size()); ++i)
    values.push_back(elementJson(tensor, i, elements[i]));
  return values;
}

static Json describeTensorJson(const std::string &name, const Tensor &tensor, size_t shown) {
  TensorSummary summary(tensor);
  Json object = {{"name", name}, {"dtype", dtypeName(tensor.dtype())}, {"shape", tensor.dims()}};
  if (!summary.values.empty()) {
    object["min"] = summary.min;
    object["max"] = summary.max;
    object["mean"] = summary.mean;
  }
  object["values"] = valuesJson(tensor, summary.values, shown);
  return object;
}

static Json describeOutputJson(const std::string &name, const AnyValue &value, size_t shown) {
  if (const Tensor *tensor = value.asTensor())
    return describeTensorJson(name, *tensor, shown);
  Json parts = Json::array();
  for (const auto &[part, each] : partsOf(value))
    parts.push_back(describeOutputJson(part, each, shown));
  return {{"name", name}, {"kind", kindName(value.kind())}, {"values", std::move(parts)}};
}

namespace {
struct FinishedRun {
  /// With what was chosen.
  BackendOptions backend;
  std::vector<AnyValue> outputs;
  /// Of each output the largest scores of its rows, where they are asked for.
  std::vector<std::vector<std::vector<RankedClass>>> classes;
  double compileMs = 0, runMs = 0;
  int threads = 0;
};
} // namespace

static Expected<FinishedRun> runOnce(const Runnable &opened, const RunOptions &options,
                                     std::span<const AnyValue> inputs) {
  Progress progress(options.style);
  progress.show("compiling");
  QUERN_ASSIGN(PreparedRuns prepared,
               prepareRuns(opened, options.backend, inputs, options.inputs, options.style));
  Runner &runner = *prepared.runner;
  FinishedRun done{.backend = std::move(prepared.backend),
                   .outputs = std::vector<AnyValue>(runner.outputs().size()),
                   .classes = {},
                   .compileMs = prepared.compileMs,
                   .threads = runner.threads()};
  progress.show("running");
  Stopwatch runWatch;
  seedRandomOps(options.inputs.seed);
  QUERN_TRY(runInterruptibly(runner, inputs, done.outputs));
  done.runMs = runWatch.milliseconds();
  return done;
}

/// Usage error for what cannot go to standard output beside an output.
static Status checkStandardOutput(const OutputFiles &files, const OutputStyle &style) {
  if (files.useStandardOutput() && style.isJsonOnStdout())
    return usageError("--output - and --json both write to standard output; use --json=FILE");
  return Status::ok();
}

static Json describeJson(const RunOptions &options, const Runnable &opened,
                         const FinishedRun &done) {
  Json report = {{"schema", "quern.run/1"},
                 {"model", options.model.path},
                 {"backend", opened.backendName(options.backend)},
                 {"precision", precisionName(opened.precision(options.backend))},
                 {"threads", done.threads},
                 {"load_ms", opened.loadMs},
                 {"compile_ms", done.compileMs},
                 {"run_ms", done.runMs}};
  if (const PrecisionChoice *choice = opened.choice(done.backend))
    report["choice"] = Json::parse(choiceReport(*choice));
  if (std::optional<double> most = options.maxTime.milliseconds().take())
    report["max_time_ms"] = *most;
  constexpr int64_t kShown = 100;
  report["outputs"] = Json::array();
  for (size_t i = 0; i < done.outputs.size(); ++i) {
    report["outputs"].push_back(
        describeOutputJson(opened.outputs()[i].name, done.outputs[i],
                           static_cast<size_t>(options.values.value_or(kShown))));
    if (!done.classes.empty() && !done.classes[i].empty())
      report["outputs"].back()["top"] = classesJson(done.classes[i]);
  }
  return report;
}

/// With labels, where there are labels. Usage error when no output has scores.
static Status rankOutputs(const Runnable &opened, const RunOptions &options, FinishedRun &done) {
  QUERN_ASSIGN(OutputLabels labels, readLabels(options.top, options.model.path, opened.outputs(),
                                               done.outputs, opened.limits));
  bool isRanked = false;
  for (size_t i = 0; i < done.outputs.size(); ++i) {
    done.classes.push_back(rankClasses(done.outputs[i], options.top, labels[i]));
    isRanked |= !done.classes.back().empty();
  }
  return isRanked ? Status::ok()
                  : usageError("--top: no output has scores: numbers in one or two dimensions");
}

/// The outputs as a person wants to see them.
static std::string describeOutputs(const Runnable &opened, const RunOptions &options,
                                   const FinishedRun &done) {
  constexpr int64_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < done.outputs.size(); ++i) {
    text += describeValue(opened.outputs()[i].name, done.outputs[i],
                          static_cast<size_t>(options.values.value_or(kShown)));
    if (!done.classes.empty() && !done.classes[i].empty())
      text += describeClasses(done.classes[i]);
  }
  return text;
}

/// From table to table.
static Status executeTable(Runnable &opened, const RunOptions &options, const TableRun &tables) {
  if (options.top.isAsked())
    return usageError(
        "--top, --labels and --softmax are for outputs that are shown; a table has all "
        "of them");
  if (tables.output == "-" && options.style.isJsonOnStdout())
    return usageError("--output - and --json both write to standard output; use --json=FILE");
  QUERN_ASSIGN(TableReport done,
               runTable(opened, tables, options.backend, options.inputs, options.style));
  notePrecision(opened, done.backend, options.style);
  note(options.style,
       fmt::format("wrote {} rows to {}; compiled in {:.1f} ms, ran in {:.1f} ms", done.rows,
                   tables.output == "-" ? "standard output" : tables.output, done.compileMs,
                   done.runMs));
  QUERN_TRY(writeJson({{"schema", "quern.run/1"},
                       {"model", options.model.path},
                       {"backend", opened.backendName(options.backend)},
                       {"precision", precisionName(opened.precision(options.backend))},
                       {"threads", done.threads},
                       {"load_ms", opened.loadMs},
                       {"compile_ms", done.compileMs},
                       {"run_ms", done.runMs},
                       {"table", {{"rows", done.rows}, {"runs", done.runs}}}},
                      options.style));
  return options.maxTime.check("the run", done.runMs);
}

static Status execute(const RunOptions &options) {
  QUERN_TRY(options.maxTime.milliseconds().status());
  QUERN_ASSIGN(std::optional<TableRun> tables,
               findTables(options.inputs, options.outputs, options.keep));
  QUERN_ASSIGN(Runnable opened, openRunnable(options.model, options.style));
  if (tables)
    return executeTable(opened, options, *tables);
  QUERN_ASSIGN(OutputFiles files,
               OutputFiles::parse(opened.outputs(), options.outputs, opened.guard));
  if (!options.top.labels.empty())
    QUERN_TRY(opened.guard.reads("labels", options.top.labels));
  QUERN_TRY(checkStandardOutput(files, options.style));
  QUERN_ASSIGN(std::vector<AnyValue> inputs,
               makeInputs(opened.inputs(), options.inputs, MissingInputs::Refuse, options.style,
                          opened.limits, opened.defaults, &opened.guard));
  QUERN_ASSIGN(FinishedRun done, runOnce(opened, options, inputs));
  if (options.top.isAsked())
    QUERN_TRY(rankOutputs(opened, options, done));
  notePrecision(opened, done.backend, options.style);
  detail(options.style,
         fmt::format("compiled in {:.1f} ms, ran in {:.1f} ms", done.compileMs, done.runMs));
  QUERN_TRY(files.write(opened.outputs(), done.outputs));
  if (options.style.printsTable() && options.style.verbosity >= 0 && !files.useStandardOutput())
    QUERN_TRY(printText(describeOutputs(opened, options, done)));
  QUERN_TRY(writeJson(describeJson(options, opened, done), options.style));
  return options.maxTime.check("the run", done.runMs);
}

void cli::addRunVerb(CLI::App &app, Command &command) {
  addVerb<RunOptions>(app, command, "run", "Runs a model once", addOptions, execute);
}
