//===- PrecisionChooser.cpp - how much precision a bound on the error takes ===//
//
// First all layers are lowered. Where that is within the bound, that is all. Otherwise one graph
// with switches (passes/AddPrecisionSwitches.cpp) tells what each layer costs alone, the cost model
// what it saves; they are lowered in the order of error per time, and how many of them is found by
// bisection, each measured as a whole.
//
//===----------------------------------------------------------------------===//
#include "api/PrecisionChooser.h"

#include "api/Noise.h"
#include "backends/native/CompilerParts.h"
#include "backends/native/lowering/Way.h"
#include "ir/Signature.h"
#include "passes/OptimizeGraph.h"
#include "passes/PrecisionPolicy.h"
#include "quern/CacheFolder.h"
#include "quern/Progress.h"
#include "quern/RandomSeed.h"
#include "quern/TensorDifference.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

/// Why rows of an output do not do, if they do not.
static std::string refuseRows(const Tensor &wanted, const Tensor &found, double margin) {
  Agreement rows;
  rows.add(wanted, found, margin);
  bool areScores = wanted.rank() <= 2;
  int64_t others = areScores ? rows.rows - rows.agreeing : rows.decided - rows.decidedAgreeing;
  if (others == 0)
    return "";
  return fmt::format("has its largest entry elsewhere in {} of {} rows", others,
                     areScores ? rows.rows : rows.decided);
}

/// Tensors of floats, of the same dims.
static OutputError compareFloats(const NoiseMeter &meter, const Tensor &wanted, const Tensor &found,
                                 double maxError) {
  double magnitude = meter.magnitude();
  double share = meter.maxAbsolute() == 0 ? 0 : meter.maxAbsolute() / magnitude;
  if (!(share <= maxError))
    return {share, fmt::format("is off by {:.2g} % of its largest magnitude", 100 * share)};
  return {share, refuseRows(wanted, found, maxError * magnitude)};
}

static OutputError compareOutput(const AnyValue &wanted, const AnyValue &found, double maxError) {
  const Tensor *a = wanted.asTensor(), *b = found.asTensor();
  if (NoiseMeter meter; a && b && meter.add(*a, *b))
    return compareFloats(meter, *a, *b, maxError);
  Tolerance tolerance{.relative = 0, .absolute = 0, .ofLargest = maxError};
  TensorDifference difference = compareValues(wanted, found, tolerance);
  if (difference.passes())
    return {difference.maxOfLargest, ""};
  return {difference.maxOfLargest, difference.incomparable.empty()
                                       ? fmt::format("has {} other elements", difference.mismatches)
                                       : difference.incomparable};
}

OutputError quern::errorOfOutputs(std::span<const PortSignature> ports,
                                  std::span<const AnyValue> wanted, std::span<const AnyValue> found,
                                  double maxError) {
  OutputError worst;
  for (size_t i = 0; i < wanted.size(); ++i) {
    OutputError error = compareOutput(wanted[i], found[i], maxError);
    if (!error.refusal.empty() && (worst.refusal.empty() || !(error.share <= worst.share)))
      worst.refusal = fmt::format("output '{}' {}", ports[i].name, error.refusal);
    if (!(error.share <= worst.share))
      worst.share = error.share;
  }
  return worst;
}

//===----------------------------------------------------------------------===//
// Choosing
//===----------------------------------------------------------------------===//

namespace {
using Values = std::vector<AnyValue>;

class PrecisionChooser {
public:
  PrecisionChooser(const nn::OwnedModule &source, const CompileOptions &options,
                   native::Target target)
      : source(source), options(options), target(std::move(target)) {
    result.maxError = options.maxError.value_or(PrecisionChoice::kMaxError);
  }

  Expected<PrecisionChoice> run();

private:
  native::NativeOptions optionsHere(Precision precision) const;
  native::NativeOptions optionsOf(const PrecisionChoice &choice) const;
  Expected<std::unique_ptr<Runner>> createRunner(nn::OwnedModule module,
                                                 const native::NativeOptions &settings) const;
  Expected<Values> runOn(Runner &runner, std::span<const AnyValue> inputs) const;
  Expected<OutputError> evaluate(const PrecisionChoice &choice) const;
  Status addLayers();
  Status measureLayers();
  Status estimateSavings();
  Status chooseLayers();
  PrecisionChoice withFirst(std::span<const size_t> order, size_t count) const;

  const nn::OwnedModule &source;
  const CompileOptions &options;
  /// What is compiled for, which may be another machine than this.
  native::Target target;
  std::vector<PortSignature> ports;
  PrecisionChoice result;
  /// Of each layer.
  std::vector<std::vector<std::string>> nodes;
  /// With a switch for each layer.
  std::optional<nn::OwnedModule> switched;
  Values wanted;
  std::shared_ptr<native::LinkedKernels> kernels;
};
} // namespace

/// How models are compiled that are run here.
native::NativeOptions PrecisionChooser::optionsHere(Precision precision) const {
  native::NativeOptions settings(options);
  settings.precision = precision;
  settings.samples.clear();
  settings.choice = nullptr;
  settings.targetCpu = "host";
  settings.targetTriple.clear();
  settings.dumpPhasesTo.clear();
  if (options.kernelCache)
    if (Expected<std::string> folder = kernelFolder())
      settings.kernelFolder = folder.take();
  settings.kernels = kernels;
  return settings;
}

/// The layers of `choice` as the target would have them.
native::NativeOptions PrecisionChooser::optionsOf(const PrecisionChoice &choice) const {
  native::NativeOptions settings = optionsHere(Precision::Auto);
  settings.choice = std::make_shared<const PrecisionChoice>(choice);
  CompileOptions asked = options;
  asked.choice = settings.choice;
  settings.precisions = native::precisionPolicy(asked, target);
  return settings;
}

Expected<std::unique_ptr<Runner>>
PrecisionChooser::createRunner(nn::OwnedModule module,
                               const native::NativeOptions &settings) const {
  QUERN_ASSIGN(std::shared_ptr<Executable> compiled,
               native::compileForJit(std::move(module), settings));
  return compiled->createRunner({.threads = options.threads, .limits = options.limits});
}

Expected<Values> PrecisionChooser::runOn(Runner &runner, std::span<const AnyValue> inputs) const {
  seedRandomOps(0);
  return runner.run(inputs);
}

Expected<OutputError> PrecisionChooser::evaluate(const PrecisionChoice &choice) const {
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(*source.module));
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, createRunner(std::move(copy), optionsOf(choice)));
  QUERN_ASSIGN(Values found, runOn(*runner, options.samples));
  return errorOfOutputs(ports, wanted, found, result.maxError);
}

/// Finds the layers that the target has a lower precision for.
Status PrecisionChooser::addLayers() {
  QUERN_ASSIGN(switched, nn::copyModule(*source.module));
  native::NativeOptions settings = optionsHere(Precision::Float32);
  passes::shareFolding(settings, *switched->module);
  QUERN_ASSIGN(native::Target host, native::resolveTarget("host", ""));
  QUERN_TRY(passes::optimize(*switched->module, native::pipelineOptions(settings, host),
                             passes::Phase::Simplified));
  CompileOptions asked = options;
  asked.precision = Precision::BFloat16;
  for (passes::SwitchedLayer &layer : passes::addPrecisionSwitches(
           nn::findMain(*switched->module), *native::precisionPolicy(asked, target))) {
    result.layers.push_back({.node = std::move(layer.name), .isLowered = true});
    nodes.push_back(std::move(layer.nodes));
  }
  return Status::ok();
}

/// What each layer changes when it alone is lowered.
Status PrecisionChooser::measureLayers() {
  QUERN_ASSIGN(std::unique_ptr<Runner> runner,
               createRunner(std::move(*switched), optionsHere(Precision::Float32)));
  switched.reset();
  Values inputs(options.samples.begin(), options.samples.end());
  for (size_t i = 0; i < result.layers.size(); ++i) {
    QUERN_ASSIGN(Tensor off, Tensor::allocate(DType::Bool, {}));
    *off.mutableData<bool>() = false;
    inputs.emplace_back(std::move(off));
  }
  std::span<AnyValue> switches = std::span(inputs).subspan(options.samples.size());
  for (size_t i = 0; i < result.layers.size(); ++i) {
    QUERN_TRY(
        ProgressScope::check(fmt::format("ranking layers: {} of {}", i + 1, result.layers.size())));
    *switches[i].asTensor()->mutableData<bool>() = true;
    QUERN_ASSIGN(Values found, runOn(*runner, inputs));
    *switches[i].asTensor()->mutableData<bool>() = false;
    result.layers[i].error = errorOfOutputs(ports, wanted, found, result.maxError).share;
  }
  return Status::ok();
}

/// How long the products that a layer is of take, by their problems.
static double nanosecondsOf(std::span<const std::string> nodes, const Explanation &explanation,
                            const native::Target &target) {
  double sum = 0;
  for (const ExplainedStep &step : explanation.steps) {
    bool isOfLayer = std::ranges::any_of(nodes, [&](const std::string &node) {
      return std::ranges::find(step.nodes, node) != step.nodes.end();
    });
    if (isOfLayer && !step.precision.empty())
      sum += native::nanoseconds(
          step.cost, step.cost.engine == Engine::BFloat16 ? DType::BFloat16 : DType::Float32,
          target);
  }
  return sum;
}

/// What the cost model says that each layer saves. The clock of a noisy machine would rank the same
/// layers otherwise the next time.
Status PrecisionChooser::estimateSavings() {
  std::vector<Tensor::Dims> dims = dimsOf(options.samples);
  QUERN_ASSIGN(nn::OwnedModule first, nn::copyModule(*source.module));
  QUERN_ASSIGN(Explanation before,
               native::explainPlan(*first.module, optionsHere(Precision::Float32), dims));
  QUERN_ASSIGN(nn::OwnedModule second, nn::copyModule(*source.module));
  QUERN_ASSIGN(Explanation after, native::explainPlan(*second.module, optionsOf(result), dims));
  for (size_t i = 0; i < result.layers.size(); ++i)
    result.layers[i].nanosecondsSaved =
        nanosecondsOf(nodes[i], before, target) - nanosecondsOf(nodes[i], after, target);
  return Status::ok();
}

/// The first `count` of an order lowered.
PrecisionChoice PrecisionChooser::withFirst(std::span<const size_t> order, size_t count) const {
  PrecisionChoice choice = result;
  for (PrecisionLayer &layer : choice.layers)
    layer.isLowered = false;
  for (size_t i : order.first(count))
    choice.layers[i].isLowered = true;
  return choice;
}

Status PrecisionChooser::chooseLayers() {
  // Where nothing is known of the sizes, so that the error decides.
  constexpr double kLeastSaving = 1;
  auto errorPerTime = [&](size_t i) {
    const PrecisionLayer &layer = result.layers[i];
    return layer.error / std::max(layer.nanosecondsSaved, kLeastSaving);
  };
  std::vector<size_t> order;
  for (size_t i = 0; i < result.layers.size(); ++i)
    if (result.layers[i].error <= result.maxError)
      order.push_back(i);
  std::ranges::sort(order, {}, [&](size_t i) { return std::pair(errorPerTime(i), i); });
  // That many are within the bound, and too many.
  size_t within = 0, beyond = order.size() + 1;
  if (order.size() == result.layers.size())
    --beyond; // all of them were measured
  OutputError error;
  while (beyond - within > 1) {
    size_t middle = within + (beyond - within) / 2;
    QUERN_TRY(ProgressScope::check(fmt::format("lowering {} of {} layers", middle, order.size())));
    QUERN_ASSIGN(OutputError found, evaluate(withFirst(order, middle)));
    (found.refusal.empty() ? within : beyond) = middle;
    if (found.refusal.empty())
      error = std::move(found);
  }
  result = withFirst(order, within);
  result.error = error.share;
  return Status::ok();
}

Expected<PrecisionChoice> PrecisionChooser::run() {
  ports = nn::outputSignature(nn::findMain(*source.module));
  QUERN_TRY(ProgressScope::check("choosing the precision"));
  QUERN_TRY(addLayers());
  if (result.layers.empty())
    return std::move(result);
  QUERN_ASSIGN(native::Target host, native::resolveTarget("host", ""));
  kernels = std::make_shared<native::LinkedKernels>(
      native::createKernelStore(host, optionsHere(Precision::Float32)));
  QUERN_ASSIGN(nn::OwnedModule copy, nn::copyModule(*source.module));
  QUERN_ASSIGN(std::unique_ptr<Runner> reference,
               createRunner(std::move(copy), optionsHere(Precision::Float32)));
  QUERN_ASSIGN(wanted, runOn(*reference, options.samples));
  QUERN_ASSIGN(OutputError all, evaluate(result));
  result.error = result.errorOfAll = all.share;
  result.refusal = fmt::format("with all of them {}", all.refusal);
  if (all.refusal.empty()) {
    result.refusal.clear();
    return std::move(result);
  }
  QUERN_TRY(estimateSavings());
  QUERN_TRY(measureLayers());
  QUERN_TRY(chooseLayers());
  return std::move(result);
}

Expected<PrecisionChoice> quern::choosePrecision(const nn::OwnedModule &source,
                                                 const CompileOptions &options) {
  QUERN_ASSIGN(native::Target target,
               native::resolveTarget(options.targetCpu, options.targetTriple));
  return PrecisionChooser(source, options, std::move(target)).run();
}
