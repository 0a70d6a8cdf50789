//===- Check.cpp - quern check --------------------------------------------===//
#include "tools/quern/Options.h"
#include "tools/quern/Ports.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

namespace {
struct CheckOptions {
  ModelOptions model;
  BackendOptions backend;
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, CheckOptions &options) {
  addModelOptions(verb, options.model);
  addCompileOptions(verb, options.backend);
}

static std::string describeSteps(const std::vector<StepSummary> &steps, size_t native) {
  std::string text = std::to_string(native) + " of " + std::to_string(steps.size()) +
                     " steps run as native code\n";
  for (const StepSummary &step : steps)
    if (!step.native)
      text += "reference kernel: " + step.nodes + " (" + step.kernel + ")" +
              (step.refusal.empty() ? "" : ": " + step.refusal) + "\n";
  return text;
}

static Status execute(const CheckOptions &options) {
  QUERN_ASSIGN(Model model, openModel(options.model, options.style));
  std::vector<Tensor::Dims> dims;
  for (const PortSignature &port : model.inputs()) {
    dims.push_back(defaultDims(port));
    if (!port.ranked || !port.shape.isStatic())
      note(options.style, "input '" + port.name + "' is " + port.describe() + "; checked at " +
                              formatDims(dims.back()));
  }
  QUERN_ASSIGN(std::vector<StepSummary> steps, model.planSteps(options.backend, dims));
  size_t native = 0;
  Json reference = Json::array();
  for (const StepSummary &step : steps) {
    native += step.native;
    if (!step.native)
      reference.push_back(
          {{"nodes", step.nodes}, {"kernel", step.kernel}, {"reason", step.refusal}});
  }
  if (options.style.printsTable())
    QUERN_TRY(printText(describePorts("input", model.inputs()) +
                        describePorts("output", model.outputs()) + describeSteps(steps, native)));
  return writeJson({{"schema", "quern.check/1"},
                    {"model", options.model.path},
                    {"inputs", portsJson(model.inputs())},
                    {"outputs", portsJson(model.outputs())},
                    {"steps", steps.size()},
                    {"native_steps", native},
                    {"reference_steps", std::move(reference)}},
                   options.style);
}

void cli::addCheckVerb(CLI::App &app, Command &command) {
  addVerb<CheckOptions>(app, command, "check",
                        "Says whether a model compiles, and what runs without native code",
                        addOptions, execute);
}
