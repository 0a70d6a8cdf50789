//===- Run.cpp - quern run ------------------------------------------------===//
#include "quern/RandomSeed.h"
#include "quern/Statistics.h"
#include "quern/TensorDifference.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/OpenModel.h"
#include "tools/quern/OutputFiles.h"

#include <CLI/CLI.hpp>
#include <algorithm>
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
  addBackendOption(verb, options.backend);
  addCompileOptions(verb, options.backend);
  verb.add_option("-o,--output", options.outputs,
                  "FILE.npz with all outputs, FOLDER/ for output_0.pb, output_1.pb, ... of any "
                  "kind, or NAME=FILE.npy (or .pb) with one; FILE.npy when there is but one")
      ->type_name("FILE")
      ->take_all()
      ->allow_extra_args(false);
}

/// "probabilities  float32 1x10  min 0  max 1  mean 0.1" and the first values.
static std::string describeOutput(const std::string &name, const Tensor &tensor) {
  constexpr size_t kShown = 8;
  TensorSummary summary(tensor);
  std::string text = name + ": " + tensor.describe();
  if (summary.values.empty())
    return text + "\n";
  text += fmt::format(", min {:.3g}, max {:.3g}, mean {:.3g}\n ", summary.min, summary.max,
                      summary.mean);
  for (size_t i = 0; i < std::min(kShown, summary.values.size()); ++i)
    text += fmt::format(" {:.3g}", summary.values[i]);
  return text + (summary.values.size() > kShown ? " ...\n" : "\n");
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
static std::string describeValue(const std::string &name, const AnyValue &value,
                                 const std::string &indent = "") {
  constexpr size_t kShown = 8;
  if (const Tensor *tensor = value.asTensor())
    return indent + describeOutput(name, *tensor);
  auto parts = partsOf(value);
  std::string text = indent + name + ": " + value.describe() + "\n";
  for (size_t i = 0; i < std::min(kShown, parts.size()); ++i)
    text += describeValue(parts[i].first, parts[i].second, indent + "  ");
  return text + (parts.size() > kShown ? indent + "  ...\n" : "");
}

static Json describeTensorJson(const std::string &name, const Tensor &tensor) {
  TensorSummary summary(tensor);
  Json object = {{"name", name}, {"dtype", dtypeName(tensor.dtype())}, {"shape", tensor.dims()}};
  if (!summary.values.empty()) {
    object["min"] = summary.min;
    object["max"] = summary.max;
    object["mean"] = summary.mean;
  }
  return object;
}

static Json describeOutputJson(const std::string &name, const AnyValue &value) {
  if (const Tensor *tensor = value.asTensor())
    return describeTensorJson(name, *tensor);
  Json parts = Json::array();
  for (const auto &[part, each] : partsOf(value))
    parts.push_back(describeOutputJson(part, each));
  return {{"name", name}, {"kind", kindName(value.kind())}, {"values", std::move(parts)}};
}

static Status execute(const RunOptions &options) {
  QUERN_ASSIGN(Runnable opened, openRunnable(options.model, options.style));
  QUERN_ASSIGN(OutputFiles files,
               OutputFiles::parse(opened.outputs(), options.outputs, options.model.path));
  QUERN_ASSIGN(std::vector<AnyValue> inputs,
               makeInputs(opened.inputs(), options.inputs, MissingInputs::Refuse, options.style,
                          opened.limits, opened.defaults));
  Progress progress(options.style);
  progress.show("compiling");
  Stopwatch compileWatch;
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, prepare(opened, options.backend, inputs));
  double compileMs = compileWatch.milliseconds();
  progress.show("running");
  std::vector<AnyValue> outputs(runner->outputs().size());
  Stopwatch runWatch;
  seedRandomOps(options.inputs.seed);
  QUERN_TRY(runInterruptibly(*runner, inputs, outputs));
  double runMs = runWatch.milliseconds();
  detail(options.style, fmt::format("compiled in {:.1f} ms, ran in {:.1f} ms", compileMs, runMs));
  QUERN_TRY(files.write(opened.outputs(), outputs));

  Json report = {{"schema", "quern.run/1"},
                 {"model", options.model.path},
                 {"backend", opened.backendName(options.backend)},
                 {"threads", runner->threads()},
                 {"load_ms", opened.loadMs},
                 {"compile_ms", compileMs},
                 {"run_ms", runMs},
                 {"outputs", Json::array()}};
  std::string text;
  for (size_t i = 0; i < outputs.size(); ++i) {
    report["outputs"].push_back(describeOutputJson(opened.outputs()[i].name, outputs[i]));
    text += describeValue(opened.outputs()[i].name, outputs[i]);
  }
  if (options.style.printsTable() && options.style.verbosity >= 0)
    QUERN_TRY(printText(text));
  return writeJson(report, options.style);
}

void cli::addRunVerb(CLI::App &app, Command &command) {
  addVerb<RunOptions>(app, command, "run", "Runs a model once", addOptions, execute);
}
