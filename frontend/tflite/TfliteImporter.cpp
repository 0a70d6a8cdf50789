//===- TfliteImporter.cpp - TensorFlow Lite models to the nn dialect ------===//
#include "frontend/tflite/TfliteImporter.h"

#include "frontend/ImportProblems.h"
#include "frontend/MainFunction.h"
#include "frontend/tflite/OpTable.h"

#include <fmt/format.h>

#include <set>

using namespace quern;
using namespace quern::tflite;
using Module = mlir::OwningOpRef<mlir::ModuleOp>;

namespace {
/// Builds the module of one verified file.
class ModelImport {
public:
  ModelImport(const TfliteFile &file, const ModelView &view, const std::string &name,
              mlir::MLIRContext &context, const Limits &limits)
      : file(file), view(view), state{mlir::OpBuilder(&context), limits, name},
        subgraph{file, view, state} {}
  Expected<Module> run();
  const std::vector<ImportProblem> &allProblems() const { return problems.all(); }

private:
  Status importConstant(int32_t number);
  Status begin();
  Status importOps();
  Status importOp(const file::Operator &op, const std::string &label);
  Status end();

  std::string labelOf(const file::Operator &op);

  const TfliteFile &file;
  const ModelView &view;
  ImportState state;
  SubgraphImport subgraph;
  MainFunction function;
  ImportProblems problems{Status::ok()};
  std::set<std::string> labels;
  /// The blob of the file, once there is one.
  std::string blob;
};
} // namespace

/// An op has no name: that of its first result, which another op may have, too.
std::string ModelImport::labelOf(const file::Operator &op) {
  bool hasResult = op.outputs() && op.outputs()->size() > 0 && op.outputs()->Get(0) >= 0;
  std::string name = hasResult ? view.tensorName(op.outputs()->Get(0)) : "op";
  std::string label = name;
  for (int i = 2; !labels.insert(label).second; ++i)
    label = fmt::format("{}#{}", name, i);
  return label;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Status ModelImport::importConstant(int32_t number) {
  const file::Tensor &tensor = view.tensor(number);
  mlir::Value &value = subgraph.values[static_cast<size_t>(number)];
  QUERN_ASSIGN(std::span<const std::byte> data, dataOf(file, tensor));
  if (value || data.empty())
    return Status::ok();
  if (tensor.sparsity())
    return unsupported("sparse weights");
  QUERN_ASSIGN(frontend::TensorLayout layout, layoutOf(tensor, state.limits));
  if (layout.dtype == DType::String)
    return unsupported("constant strings");
  if (static_cast<int64_t>(data.size()) != layout.rawBytes)
    return invalidModel(fmt::format("has {} bytes, {} {} needs {}", data.size(),
                                    dtypeName(layout.dtype), formatDims(layout.dims),
                                    layout.rawBytes));
  mlir::Location loc = frontend::namedLocation(state.builder, view.tensorName(number));
  if (hasFormOfFile(layout.dtype) && layout.rawBytes > kReferenceBytes) {
    if (blob.empty())
      blob = state.addBlob(state.modelName, file.source);
    auto type = mlir::RankedTensorType::get(
        layout.dims, nn::elementTypeOf(state.builder.getContext(), layout.dtype));
    value =
        state.builder.create<nn::WeightOp>(loc, type, blob, data.data() - file.source.bytes.data());
    return Status::ok();
  }
  QUERN_TRY(
      state.countConstant(CheckedSize(layout.elements) * CheckedSize(dtypeBytes(layout.dtype))));
  QUERN_ASSIGN(Tensor decoded, decodeRawTensor(layout, data, state.limits));
  value = nn::createConstant(state.builder, loc, decoded);
  return Status::ok();
}

Status ModelImport::begin() {
  std::vector<std::pair<std::string, mlir::Type>> inputs;
  std::vector<int32_t> numbers;
  if (view.main().inputs())
    numbers.assign(view.main().inputs()->begin(), view.main().inputs()->end());
  for (int32_t number : numbers) {
    std::string name = view.portName(number, /*isInput=*/true);
    auto type = view.typeOf(number, state.limits);
    if (!type)
      return type.status().withContext("input '" + name + "'");
    inputs.emplace_back(name, nn::mlirTypeOf(state.builder.getContext(), *type));
  }
  function.begin(state, inputs);
  subgraph.values.resize(view.tensorCount());
  for (size_t i = 0; i < numbers.size(); ++i)
    subgraph.values[static_cast<size_t>(numbers[i])] = function.input(i);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

Status ModelImport::importOp(const file::Operator &op, const std::string &label) {
  std::string where = fmt::format("node '{}' ({})", label, view.opName(op));
  QUERN_TRY(state.limits.deadline.check("importing the model").withContext(where));
  const OpRow *row = lookupOp(view.builtinOf(op));
  if (!row)
    return unsupported("this op").withContext(where);
  OpReader reader(subgraph, op, frontend::namedLocation(state.builder, label));
  if (reader.inputCount() < row->minInputs || reader.inputCount() > row->maxInputs)
    return invalidModel(fmt::format("has {} inputs", reader.inputCount())).withContext(where);
  for (int i = 0; i < row->minInputs; ++i)
    if (row->maxInputs != kAnyNumber && !reader.hasInput(i))
      return invalidModel(fmt::format("input {} is left out", i)).withContext(where);
  if (reader.outputCount() < 1)
    return invalidModel("has no output").withContext(where);
  for (int32_t number : *op.inputs())
    if (number >= 0)
      QUERN_TRY(importConstant(number)
                    .withContext("tensor '" + view.tensorName(number) + "'")
                    .withContext(where));
  for (int i = 0; i < reader.inputCount(); ++i)
    if (reader.hasInput(i))
      if (auto scales = readScales(view.tensor(op.inputs()->Get(i))); !scales)
        return scales.status().withContext(fmt::format("input {}", i)).withContext(where);
  for (int32_t number : *op.outputs()) {
    if (number < 0)
      continue;
    auto scales = readScales(view.tensor(number));
    if (!scales)
      return scales.status()
          .withContext("tensor '" + view.tensorName(number) + "'")
          .withContext(where);
  }
  row->import(reader);
  return reader.status().withContext(where);
}

Status ModelImport::importOps() {
  if (!view.main().operators())
    return Status::ok();
  std::set<int32_t> lost;
  for (const file::Operator *op : *view.main().operators()) {
    std::string label = labelOf(*op);
    // What needs the result of an op that was refused is not wrong itself.
    bool isLost =
        op->inputs() && llvm::any_of(*op->inputs(), [&](int32_t i) { return lost.count(i) > 0; });
    Status status = isLost ? unsupported("") : importOp(*op, label);
    if (status.isOk())
      continue;
    if (!isLost && !ImportProblems::isOfOneNode(status))
      return status;
    if (!isLost)
      problems.add({.code = status.code(),
                    .node = label,
                    .op = view.opName(*op),
                    .message = status.message()});
    if (problems.isFull())
      break;
    if (op->outputs())
      lost.insert(op->outputs()->begin(), op->outputs()->end());
  }
  return problems.status();
}

Status ModelImport::end() {
  std::vector<std::pair<std::string, mlir::Value>> outputs;
  if (!view.main().outputs() || view.main().outputs()->size() == 0)
    return invalidModel("the model has no outputs");
  for (int32_t number : *view.main().outputs()) {
    std::string name = view.portName(number, /*isInput=*/false);
    QUERN_TRY(importConstant(number).withContext("output '" + name + "'"));
    mlir::Value value = subgraph.values[static_cast<size_t>(number)];
    if (!value)
      return invalidModel("output '" + name + "' is computed by no op");
    outputs.emplace_back(name, value);
  }
  function.end(state, outputs);
  return Status::ok();
}

Expected<Module> ModelImport::run() {
  return frontend::buildModule(state, [&]() -> Status {
    QUERN_TRY(begin());
    QUERN_TRY(importOps());
    return end();
  });
}

Expected<Module> tflite::importTflite(frontend::SourceBytes bytes, const std::string &name,
                                      mlir::MLIRContext &context, const Limits &limits,
                                      std::vector<ImportProblem> *problems) {
  auto file = readTfliteBytes(std::move(bytes), limits);
  if (!file)
    return file.status().withContext(name);
  auto view = ModelView::create(*file, limits);
  if (!view)
    return view.status().withContext(name);
  ModelImport import(*file, *view, name, context, limits);
  auto module = import.run();
  if (problems)
    *problems = import.allProblems();
  if (!module)
    return module.status().withContext(name);
  return module;
}
