//===- Model.cpp - loading ------------------------------------------------===//
#include "tools/quern/Model.h"

#include "backends/native/Compiler.h"
#include "frontend/onnx/OnnxImporter.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "tools/quern/ModelState.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"

using namespace quern;
using namespace quern::cli;

Model::Model(std::unique_ptr<State> s) : state(std::move(s)) {}
Model::Model(Model &&) noexcept = default;
Model &Model::operator=(Model &&) noexcept = default;
Model::~Model() = default;

Expected<Model> Model::load(const std::string &path, const InputSizes &sizes,
                            const Limits &limits) {
  auto state = std::make_unique<State>();
  state->limits = limits;
  state->context = std::make_shared<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
  // Errors come back as a Status; what MLIR would print as well is noise.
  state->context->getDiagEngine().registerHandler(
      [](mlir::Diagnostic &) { return mlir::success(); });
  native::loadDialects(*state->context);
  QUERN_ASSIGN(state->module, onnx::importOnnxFile(path, *state->context, {limits}));
  mlir::func::FuncOp main = passes::findMain(*state->module);
  QUERN_TRY(passes::specializeInputs(main, {sizes.shapes, sizes.dims}));

  Model model(std::move(state));
  model.inputPorts = nn::inputSignature(main);
  model.outputPorts = nn::outputSignature(main);
  return model;
}

Expected<std::unique_ptr<Runner>> Model::prepare(const BackendOptions &options,
                                                 std::span<const Tensor> inputs) const {
  return options.backend == "interpreter" ? prepareInterpreter(options)
                                          : prepareNative(options, inputs);
}
