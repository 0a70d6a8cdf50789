//===- Model.cpp - loading, and what compiles -----------------------------===//
#include "quern/Model.h"

#include "api/ModelState.h"
#include "api/PrecisionChooser.h"
#include "frontend/onnx/OnnxImporter.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "quern/SampleInputs.h"
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
  QUERN_TRY(passes::specializeInputs(main, sizes));
  auto state = std::make_unique<State>(std::move(source));
  state->inputs = nn::inputSignature(main);
  state->outputs = nn::outputSignature(main);
  return state;
}

Expected<Model> Model::load(const std::string &path, const InputSizes &sizes,
                            const Limits &limits) {
  nn::OwnedModule source = nn::OwnedModule::create();
  std::vector<std::string> files;
  QUERN_ASSIGN(source.module,
               onnx::importOnnxFile(path, *source.context, {.limits = limits, .files = &files}));
  QUERN_ASSIGN(std::unique_ptr<State> state, State::create(std::move(source), sizes));
  state->files = std::move(files);
  return Model(std::move(state));
}

Expected<Model> Model::load(const ModelBytes &model, const InputSizes &sizes,
                            const Limits &limits) {
  nn::OwnedModule source = nn::OwnedModule::create();
  QUERN_ASSIGN(source.module, onnx::importOnnxBytes(model.bytes, model.name, *source.context,
                                                    {limits}, model.owner));
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

Expected<CompileOptions> Model::withChoice(const CompileOptions &options,
                                           std::span<const Tensor::Dims> inputDims) const {
  QUERN_TRY(checkOptions(options));
  CompileOptions result = options;
  if (options.precision == Precision::Auto && !options.choice) {
    bool isRandom = result.samples.empty();
    if (isRandom && !inputDims.empty()) {
      std::vector<PortSignature> ports = inputs();
      for (size_t i = 0; i < ports.size(); ++i)
        if (ports[i].isTensor())
          ports[i].shape = PortShape::fromSizes(inputDims[i]);
      QUERN_ASSIGN(result.samples, sampleInputs(ports, /*seed=*/0, options.limits));
    }
    QUERN_ASSIGN(std::shared_ptr<const PrecisionChoice> chosen, choosePrecision(result));
    PrecisionChoice choice = *chosen;
    choice.isOnRandomInputs = isRandom;
    result.choice = std::make_shared<const PrecisionChoice>(std::move(choice));
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
