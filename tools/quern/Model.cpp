//===- Model.cpp - loading ------------------------------------------------===//
#include "tools/quern/Model.h"

#include "frontend/onnx/OnnxImporter.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "tools/quern/ModelState.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace quern;
using namespace quern::cli;

Model::Model(std::unique_ptr<State> s) : state(std::move(s)) {}
Model::Model(Model &&) noexcept = default;
Model &Model::operator=(Model &&) noexcept = default;
Model::~Model() = default;

Expected<Model> Model::load(const std::string &path, const InputSizes &sizes,
                            const Limits &limits) {
  nn::OwnedModule source = nn::OwnedModule::create();
  QUERN_ASSIGN(source.module, onnx::importOnnxFile(path, *source.context, {limits}));
  mlir::func::FuncOp main = nn::findMain(*source.module);
  QUERN_TRY(passes::specializeInputs(main, {sizes.shapes, sizes.dims}));

  Model model(std::make_unique<State>(std::move(source), limits));
  model.inputPorts = nn::inputSignature(main);
  model.outputPorts = nn::outputSignature(main);
  return model;
}

Expected<std::unique_ptr<Runner>> Model::prepare(const BackendOptions &options,
                                                 std::span<const Tensor> inputs) const {
  return options.backend == "interpreter" ? prepareInterpreter(options)
                                          : prepareNative(options, inputs);
}
