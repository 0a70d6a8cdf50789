//===- Model.cpp - loading, and what compiles -----------------------------===//
#include "quern/Model.h"

#include "api/Frontend.h"
#include "api/ModelState.h"
#include "api/PrecisionChooser.h"
#include "api/Tuner.h"
#include "ir/Signature.h"
#include "passes/GrowCaches.h"
#include "passes/SpecializeInputs.h"
#include "quern/SampleInputs.h"
#include "runtime/running/TraceScope.h"
#include "runtime/system/CpuCount.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <fmt/format.h>

using namespace quern;

Model::Model(std::unique_ptr<State> s) : state(std::move(s)) {}
Model::Model(Model &&) noexcept = default;
Model &Model::operator=(Model &&) noexcept = default;
Model::~Model() = default;

Expected<std::unique_ptr<Model::State>> Model::State::create(nn::OwnedModule source,
                                                             const InputSizes &sizes) {
  mlir::func::FuncOp main = nn::findMain(*source.module);
  if (sizes.growingCaches)
    passes::growCaches(main);
  QUERN_TRY(passes::specializeInputs(main, sizes));
  auto state = std::make_unique<State>(std::move(source));
  state->inputs = nn::inputSignature(main);
  state->outputs = nn::outputSignature(main);
  return state;
}

Expected<Model> Model::load(const std::string &path, const InputSizes &sizes,
                            const Limits &limits) {
  TraceScope span("load", "importing");
  nn::OwnedModule source = nn::OwnedModule::create();
  std::vector<std::string> files;
  QUERN_ASSIGN(source.module, frontendOf(path).loadFile(path, *source.context, limits, files));
  QUERN_ASSIGN(std::unique_ptr<State> state, State::create(std::move(source), sizes));
  state->files = std::move(files);
  return Model(std::move(state));
}

Expected<Model> Model::load(const ModelBytes &model, const InputSizes &sizes,
                            const Limits &limits) {
  TraceScope span("load", "importing");
  nn::OwnedModule source = nn::OwnedModule::create();
  QUERN_ASSIGN(source.module, frontendOf(model.bytes).loadBytes(model, *source.context, limits));
  QUERN_ASSIGN(std::unique_ptr<State> state, State::create(std::move(source), sizes));
  return Model(std::move(state));
}

const std::vector<PortSignature> &Model::inputs() const { return state->inputs; }
const std::vector<PortSignature> &Model::outputs() const { return state->outputs; }

const std::vector<std::string> &Model::files() const { return state->files; }

Status quern::checkOptions(const CompileOptions &options) {
  if (options.optLevel < 0 || options.optLevel > 3)
    return usageError(
        fmt::format("there is no optimisation level {}; wanted 0 to 3", options.optLevel));
  QUERN_TRY(checkPrecision(options.precision));
  if (options.backend == Backend::Interpreter && options.precision != Precision::Float32)
    return usageError(fmt::format("the interpreter computes as the model says: precision {} is for "
                                  "native code",
                                  precisionName(options.precision)));
  if (options.maxError && options.precision != Precision::Auto)
    return usageError(fmt::format("a bound on the error is for precision auto, which lowers what "
                                  "keeps it; found precision {}",
                                  precisionName(options.precision)));
  if (options.maxError)
    QUERN_TRY(checkMaxError(*options.maxError));
  if (options.tuneSeconds && !(*options.tuneSeconds >= 0))
    return usageError(
        fmt::format("cannot tune for {} seconds; wanted 0 or more", *options.tuneSeconds));
  if (options.backend == Backend::Interpreter && options.tuneSeconds)
    return usageError("the interpreter has one way for each op: tuning is for native code");
  if (options.backend == Backend::Interpreter && options.weights != WeightType::Given)
    return usageError(fmt::format("the interpreter computes as the model says: weights of {} are "
                                  "for native code",
                                  weightTypeName(options.weights)));
  return checkThreads(options.threads);
}

Expected<std::shared_ptr<const PrecisionChoice>>
Model::choosePrecision(const CompileOptions &options) const {
  QUERN_TRY(checkOptions(options));
  if (options.precision != Precision::Auto)
    return usageError(fmt::format("only precision auto chooses; found precision {}",
                                  precisionName(options.precision)));
  CompileOptions settings = options;
  bool isRandom = settings.samples.empty();
  if (isRandom) {
    QUERN_ASSIGN(settings.samples, sampleInputs(inputs(), /*seed=*/0, options.limits));
  }
  QUERN_TRY(checkInputs(inputs(), settings.samples));
  QUERN_ASSIGN(nn::OwnedModule source, state->copyModule());
  Expected<PrecisionChoice> choice = quern::choosePrecision(source, settings);
  if (!choice && isRandom)
    return choice.status().withContext("precision auto, on random inputs");
  if (!choice)
    return choice.status().withContext("precision auto");
  choice->isOnRandomInputs = isRandom;
  return std::make_shared<const PrecisionChoice>(choice.take());
}

/// Random values for inputs of these dims, or of those that they have by default.
static Expected<std::vector<AnyValue>> samplesOf(std::vector<PortSignature> ports,
                                                 std::span<const Tensor::Dims> inputDims,
                                                 const Limits &limits) {
  if (!inputDims.empty())
    for (size_t i = 0; i < ports.size(); ++i)
      if (ports[i].isTensor())
        ports[i].shape = PortShape::fromSizes(inputDims[i]);
  return sampleInputs(ports, /*seed=*/0, limits);
}

Expected<std::shared_ptr<const TuningChoice>> Model::tune(const CompileOptions &options) const {
  QUERN_TRY(checkOptions(options));
  CompileOptions settings = options;
  if (!settings.tuneSeconds)
    return usageError("tuning needs seconds to measure in");
  if (settings.samples.empty() && *settings.tuneSeconds > 0) {
    QUERN_ASSIGN(settings.samples, sampleInputs(inputs(), /*seed=*/0, options.limits));
  }
  if (!settings.samples.empty())
    QUERN_TRY(checkInputs(inputs(), settings.samples));
  QUERN_ASSIGN(settings, withPrecision(settings));
  QUERN_ASSIGN(nn::OwnedModule source, state->copyModule());
  Expected<TuningChoice> choice = tuneWays(source, settings);
  if (!choice)
    return choice.status().withContext("tuning");
  return std::make_shared<const TuningChoice>(choice.take());
}

Expected<CompileOptions> Model::withPrecision(const CompileOptions &options) const {
  CompileOptions result = options;
  if (options.precision != Precision::Auto || options.choice)
    return result;
  QUERN_ASSIGN(result.choice, choosePrecision(result));
  return result;
}

Expected<CompileOptions> Model::withChoice(const CompileOptions &options,
                                           std::span<const Tensor::Dims> inputDims) const {
  QUERN_TRY(checkOptions(options));
  CompileOptions result = options;
  bool isTuned = options.tuneSeconds && !options.tuning;
  bool isChosen = options.precision == Precision::Auto && !options.choice;
  bool isRandom = result.samples.empty();
  if (isRandom && !inputDims.empty() && (isTuned || isChosen)) {
    QUERN_ASSIGN(result.samples, samplesOf(inputs(), inputDims, options.limits));
  }
  QUERN_ASSIGN(result, withPrecision(result));
  if (isChosen && isRandom) {
    PrecisionChoice choice = *result.choice;
    choice.isOnRandomInputs = true;
    result.choice = std::make_shared<const PrecisionChoice>(std::move(choice));
  }
  if (isTuned) {
    QUERN_ASSIGN(result.tuning, tune(result));
  }
  result.samples.clear();
  return result;
}

Expected<std::shared_ptr<const CompiledModel>> Model::compile(const CompileOptions &options) const {
  QUERN_TRY(checkOptions(options));
  if (options.backend == Backend::Interpreter) {
    std::lock_guard lock(state->mutex);
    return compileForInterpreter(state->source);
  }
  QUERN_ASSIGN(CompileOptions settled, withChoice(options));
  QUERN_ASSIGN(nn::OwnedModule source, state->copyModule());
  return compileToNative(std::move(source), settled, state->files);
}
