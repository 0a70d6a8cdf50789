//===- Model.cpp - loading, and what compiles -----------------------------===//
#include "quern/Model.h"

#include "api/ModelState.h"
#include "frontend/onnx/OnnxImporter.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

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

Expected<std::shared_ptr<const CompiledModel>> Model::compile(const CompileOptions &options) const {
  if (options.backend == Backend::Interpreter) {
    std::lock_guard lock(state->mutex);
    return compileForInterpreter(state->source);
  }
  QUERN_ASSIGN(nn::OwnedModule source, state->copyModule());
  return compileToNative(std::move(source), options, state->files);
}

Status CompiledModel::planForInputs(std::span<const AnyValue> inputs,
                                    const Deadline &deadline) const {
  std::vector<Tensor::Dims> dims;
  for (const AnyValue &input : inputs)
    dims.push_back(input.asTensor() ? input.asTensor()->dims() : Tensor::Dims());
  return planFor(dims, deadline);
}

Expected<std::vector<AnyValue>> Runner::run(std::span<const AnyValue> inputs) {
  std::vector<AnyValue> results(outputs().size());
  QUERN_TRY(run(inputs, results));
  return results;
}

Expected<std::vector<Tensor>> Runner::run(std::span<const Tensor> inputs) {
  std::vector<Tensor> results(outputs().size());
  QUERN_TRY(run(inputs, results));
  return results;
}
