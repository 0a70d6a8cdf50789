//===- MainFunction.cpp - the function that a model becomes ---------------===//
#include "frontend/MainFunction.h"

#include "ir/NNDialect.h"
#include "ir/Types.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

using namespace quern;
using namespace quern::frontend;
using mlir::func::FuncOp;

/// The attributes of an argument or result of @main.
static mlir::DictionaryAttr portNameAttr(mlir::Builder &builder, const std::string &name) {
  return builder.getDictionaryAttr(builder.getNamedAttr("nn.name", builder.getStringAttr(name)));
}

mlir::Location frontend::namedLocation(mlir::OpBuilder &builder, const std::string &name) {
  return mlir::NameLoc::get(builder.getStringAttr(name));
}

void MainFunction::begin(ImportState &state,
                         const std::vector<std::pair<std::string, mlir::Type>> &inputs) {
  mlir::OpBuilder &builder = state.builder;
  llvm::SmallVector<mlir::Type> types;
  llvm::SmallVector<mlir::Location> locations;
  llvm::SmallVector<mlir::Attribute> names;
  for (const auto &[name, type] : inputs) {
    types.push_back(type);
    locations.push_back(namedLocation(builder, name));
    names.push_back(portNameAttr(builder, name));
  }
  function =
      builder.create<FuncOp>(builder.getUnknownLoc(), "main", builder.getFunctionType(types, {}));
  builder.createBlock(&function.getBody(), {}, types, locations);
  // All at once: every list of attributes is kept by the context for ever.
  function.setAllArgAttrs(names);
  state.none = builder.create<nn::NoneOp>(builder.getUnknownLoc(), builder.getNoneType());
}

void MainFunction::end(ImportState &state,
                       const std::vector<std::pair<std::string, mlir::Value>> &outputs) {
  mlir::OpBuilder &builder = state.builder;
  llvm::SmallVector<mlir::Value> values;
  llvm::SmallVector<mlir::Attribute> names;
  for (const auto &[name, value] : outputs) {
    values.push_back(value);
    names.push_back(portNameAttr(builder, name));
  }
  builder.create<mlir::func::ReturnOp>(builder.getUnknownLoc(), values);
  function.setFunctionType(
      builder.getFunctionType(function.getArgumentTypes(), mlir::ValueRange(values).getTypes()));
  function.setAllResultAttrs(names);
}

Expected<mlir::OwningOpRef<mlir::ModuleOp>>
frontend::buildModule(ImportState &state, const std::function<Status()> &fill) {
  mlir::MLIRContext &context = *state.builder.getContext();
  context.loadDialect<nn::NNDialect, mlir::func::FuncDialect>();
  bool nameNodes = false; // importers name them themselves
  mlir::ScopedDiagnosticHandler collect(&context, [&](mlir::Diagnostic &diagnostic) {
    if (!state.diagnostics.empty())
      state.diagnostics += "; ";
    if (nameNodes)
      state.diagnostics += "node '" + nn::nodeName(diagnostic.getLocation()) + "': ";
    state.diagnostics += diagnostic.str();
    return mlir::success();
  });
  mlir::OwningOpRef<mlir::ModuleOp> module(
      mlir::ModuleOp::create(namedLocation(state.builder, state.modelName)));
  state.builder.setInsertionPointToEnd(module->getBody());
  QUERN_TRY(fill());
  state.diagnostics.clear();
  nameNodes = true;
  if (mlir::failed(mlir::verify(*module)))
    return invalidModel(state.diagnostics);
  return module;
}
