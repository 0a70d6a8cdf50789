//===- Run.cpp - quern run ------------------------------------------------===//
#include "tools/quern/Interrupt.h"
#include "tools/quern/OpenModel.h"
#include "tools/quern/OutputFiles.h"
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
                  "FILE.npz with all outputs, or NAME=FILE.npy with one; FILE.npy when there is "
                  "but one")
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

static Json describeOutputJson(const std::string &name, const Tensor &tensor) {
  TensorSummary summary(tensor);
  Json object = {{"name", name}, {"dtype", dtypeName(tensor.dtype())}, {"shape", tensor.dims()}};
  if (!summary.values.empty()) {
    object["min"] = summary.min;
    object["max"] = summary.max;
    object["mean"] = summary.mean;
  }
  return object;
}

static Status execute(const RunOptions &options) {
  QUERN_ASSIGN(OpenedModel opened, openModel(options.model, options.style));
  const Model &model = opened.model;
  QUERN_ASSIGN(OutputFiles files, OutputFiles::parse(model.outputs(), options.outputs));
  QUERN_ASSIGN(std::vector<Tensor> inputs,
               makeInputs(model.inputs(), options.inputs, MissingInputs::Refuse, options.style));
  Progress progress(options.style);
  progress.show("compiling");
  Stopwatch compileWatch;
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, prepare(opened, options.backend, inputs));
  double compileMs = compileWatch.milliseconds();
  progress.show("running");
  std::vector<Tensor> outputs(runner->outputs().size());
  Stopwatch runWatch;
  QUERN_TRY(runInterruptibly(*runner, inputs, outputs));
  double runMs = runWatch.milliseconds();
  detail(options.style, fmt::format("compiled in {:.1f} ms, ran in {:.1f} ms", compileMs, runMs));
  QUERN_TRY(files.write(model.outputs(), outputs));

  Json report = {{"schema", "quern.run/1"},
                 {"model", options.model.path},
                 {"backend", options.backend.backend},
                 {"threads", runner->threads()},
                 {"load_ms", opened.loadMs},
                 {"compile_ms", compileMs},
                 {"run_ms", runMs},
                 {"outputs", Json::array()}};
  std::string text;
  for (size_t i = 0; i < outputs.size(); ++i) {
    report["outputs"].push_back(describeOutputJson(model.outputs()[i].name, outputs[i]));
    text += describeOutput(model.outputs()[i].name, outputs[i]);
  }
  if (options.style.printsTable() && options.style.verbosity >= 0)
    QUERN_TRY(printText(text));
  return writeJson(report, options.style);
}

void cli::addRunVerb(CLI::App &app, Command &command) {
  addVerb<RunOptions>(app, command, "run", "Runs a model once", addOptions, execute);
}
