//===- TfliteImporter.cpp - TensorFlow Lite models to the nn dialect ------===//
#include "frontend/tflite/TfliteImporter.h"

#include "frontend/ImportProblems.h"
#include "frontend/MainFunction.h"
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"
#include "frontend/tflite/SparseWeights.h"

#include <fmt/format.h>

#include <map>
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
      : file(file), view(view), state{mlir::OpBuilder(&context), limits, name} {
    calls.call = [this](uint32_t subgraph, llvm::ArrayRef<mlir::Value> arguments) {
      return call(subgraph, arguments);
    };
  }
  Expected<Module> run();
  const std::vector<ImportProblem> &allProblems() const { return problems.all(); }

private:
  Status importConstant(SubgraphImport &graph, int32_t number);
  Status begin(SubgraphImport &graph);
  Status importOps(SubgraphImport &graph);
  Status importOp(SubgraphImport &graph, const file::Operator &op, const std::string &label);
  Status importConstants(SubgraphImport &graph, const file::Operator &op);
  Expected<ModelCalls::Results> call(uint32_t subgraph, llvm::ArrayRef<mlir::Value> arguments);
  Expected<mlir::Value> result(SubgraphImport &graph, int32_t number);
  Status end(SubgraphImport &graph);

  const std::string &labelOf(const ModelView &graph, const file::Operator &op);

  const TfliteFile &file;
  const ModelView &view;
  ImportState state;
  ModelCalls calls;
  MainFunction function;
  ImportProblems problems{Status::ok()};
  /// How often something was added to them.
  int64_t refusals = 0;
  std::set<std::string> labels;
  std::map<const file::Operator *, std::string> labelsOfOps;
  /// The subgraphs that call each other where the import stands, and all ops so far: those of a
  /// subgraph count at each of its calls.
  std::vector<uint32_t> callers;
  int64_t importedOps = 0;
  /// The blob of the file, once there is one.
  std::string blob;
};
} // namespace

/// An op has no name: that of its first result, which another op may have, too. It stays the same
/// when its subgraph is imported again.
const std::string &ModelImport::labelOf(const ModelView &graph, const file::Operator &op) {
  std::string &known = labelsOfOps[&op];
  if (!known.empty())
    return known;
  bool hasResult = op.outputs() && op.outputs()->size() > 0 && op.outputs()->Get(0) >= 0;
  std::string name = hasResult ? graph.tensorName(op.outputs()->Get(0)) : graph.opName(op);
  std::string label = name;
  for (int i = 2; !labels.insert(label).second; ++i)
    label = fmt::format("{}#{}", name, i);
  return known = label;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Status ModelImport::importConstant(SubgraphImport &graph, int32_t number) {
  const file::Tensor &tensor = graph.view.tensor(number);
  mlir::Value &value = graph.values[static_cast<size_t>(number)];
  QUERN_ASSIGN(std::span<const std::byte> data, dataOf(file, tensor));
  if (value || data.empty())
    return Status::ok();
  QUERN_ASSIGN(frontend::TensorLayout layout, layoutOf(tensor, state.limits));
  if (layout.dtype == DType::String)
    return unsupported("constant strings");
  std::vector<std::byte> dense;
  if (const file::Sparsity *sparsity = tensor.sparsity()) {
    QUERN_TRY(state.countConstant(CheckedSize(layout.rawBytes)));
    QUERN_ASSIGN(dense, expandSparse(*sparsity, layout, data));
    data = dense;
  }
  if (static_cast<int64_t>(data.size()) != layout.rawBytes)
    return invalidModel(fmt::format("has {} bytes, {} {} needs {}", data.size(),
                                    dtypeName(layout.dtype), formatDims(layout.dims),
                                    layout.rawBytes));
  mlir::Location loc = frontend::namedLocation(state.builder, graph.view.tensorName(number));
  if (hasFormOfFile(layout.dtype) && layout.rawBytes > kReferenceBytes && !tensor.sparsity()) {
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

Status ModelImport::begin(SubgraphImport &graph) {
  std::vector<std::pair<std::string, mlir::Type>> inputs;
  std::vector<int32_t> numbers;
  if (graph.view.graph().inputs())
    numbers.assign(graph.view.graph().inputs()->begin(), graph.view.graph().inputs()->end());
  for (int32_t number : numbers) {
    std::string name = graph.view.portName(number, /*isInput=*/true);
    auto type = graph.view.typeOf(number, state.limits);
    if (!type)
      return type.status().withContext("input '" + name + "'");
    inputs.emplace_back(name, nn::mlirTypeOf(state.builder.getContext(), *type));
  }
  function.begin(state, inputs);
  for (size_t i = 0; i < numbers.size(); ++i)
    graph.values[static_cast<size_t>(numbers[i])] = function.input(i);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// What the op reads that the file has, once all its scales mean something.
Status ModelImport::importConstants(SubgraphImport &graph, const file::Operator &op) {
  for (const auto *numbers : {op.inputs(), op.outputs()}) {
    if (!numbers)
      continue;
    for (int32_t number : *numbers) {
      if (number < 0)
        continue;
      std::string where = "tensor '" + graph.view.tensorName(number) + "'";
      if (numbers == op.inputs())
        QUERN_TRY(importConstant(graph, number).withContext(where));
      if (auto scales = readScales(graph.view.tensor(number)); !scales)
        return scales.status().withContext(where);
    }
  }
  return Status::ok();
}

Status ModelImport::importOp(SubgraphImport &graph, const file::Operator &op,
                             const std::string &label) {
  std::string where = fmt::format("node '{}' ({})", label, view.opName(op));
  QUERN_TRY(state.limits.deadline.check("importing the model").withContext(where));
  if (++importedOps > state.limits.maxNodes)
    return resourceLimit(fmt::format("subgraphs have more than {} ops with those that they call, "
                                     "maxNodes is as many",
                                     state.limits.maxNodes))
        .withContext(where);
  const OpRow *row = lookupOp(view.builtinOf(op), view.customNameOf(op));
  if (!row)
    return unsupported("this op is not supported").withContext(where);
  OpReader reader(graph, op, frontend::namedLocation(state.builder, label));
  if (reader.inputCount() < row->minInputs || reader.inputCount() > row->maxInputs)
    return invalidModel(fmt::format("has {} inputs", reader.inputCount())).withContext(where);
  int needed = row->maxInputs == kAnyNumber ? reader.inputCount() : row->minInputs;
  for (int i = 0; i < needed; ++i)
    if (!reader.hasInput(i))
      return invalidModel(fmt::format("input {} is left out", i)).withContext(where);
  for (int i = 0; i < row->minOutputs; ++i)
    if (!reader.hasOutput(i))
      return invalidModel(fmt::format("output {} is left out", i)).withContext(where);
  QUERN_TRY(importConstants(graph, op).withContext(where));
  row->import(reader);
  return reader.status().withContext(where);
}

Status ModelImport::importOps(SubgraphImport &graph) {
  if (!graph.view.graph().operators())
    return Status::ok();
  std::set<int32_t> lost;
  int64_t refusedBefore = refusals;
  for (const file::Operator *op : *graph.view.graph().operators()) {
    std::string label = labelOf(graph.view, *op);
    // What needs the result of an op that was refused is not wrong itself, nor is what calls a
    // subgraph with such an op.
    bool isLost =
        op->inputs() && llvm::any_of(*op->inputs(), [&](int32_t i) { return lost.count(i) > 0; });
    int64_t before = refusals;
    Status status = isLost ? unsupported("") : importOp(graph, *op, label);
    if (status.isOk())
      continue;
    if (!isLost && !ImportProblems::isOfOneNode(status))
      return status;
    if (!isLost && refusals == before) {
      problems.add({.code = status.code(),
                    .node = label,
                    .op = view.opName(*op),
                    .message = status.message()});
      ++refusals;
    }
    if (problems.isFull())
      break;
    if (op->outputs())
      lost.insert(op->outputs()->begin(), op->outputs()->end());
  }
  return refusals == refusedBefore ? Status::ok() : unsupported("has ops that are refused");
}

//===----------------------------------------------------------------------===//
// Subgraphs
//===----------------------------------------------------------------------===//

Expected<mlir::Value> ModelImport::result(SubgraphImport &graph, int32_t number) {
  QUERN_TRY(importConstant(graph, number));
  if (mlir::Value value = graph.values[static_cast<size_t>(number)])
    return value;
  return invalidModel("is computed by no op");
}

Expected<ModelCalls::Results> ModelImport::call(uint32_t subgraph,
                                                llvm::ArrayRef<mlir::Value> arguments) {
  constexpr size_t kMaxDepth = 32;
  std::string where = fmt::format("subgraph {}", subgraph);
  if (subgraph == 0 || llvm::is_contained(callers, subgraph))
    return invalidModel(where + " calls itself");
  if (callers.size() >= kMaxDepth)
    return unsupported(fmt::format("more than {} subgraphs that call each other", kMaxDepth));
  SubgraphImport graph{file, view.of(subgraph), state, calls};
  graph.values.resize(graph.view.tensorCount());
  const auto *inputs = graph.view.graph().inputs(), *outputs = graph.view.graph().outputs();
  if ((inputs ? inputs->size() : 0) != arguments.size())
    return invalidModel(fmt::format("{} has {} inputs, is given {}", where,
                                    inputs ? inputs->size() : 0, arguments.size()));
  for (size_t i = 0; i < arguments.size(); ++i) {
    int32_t number = inputs->Get(static_cast<flatbuffers::uoffset_t>(i));
    DType wanted = dtypeOf(graph.view.tensor(number).type());
    if (frontend::dtypeOf(arguments[i]) != wanted)
      return invalidModel(fmt::format("input {} of {} holds {}, is given {}", i, where,
                                      dtypeName(wanted),
                                      dtypeName(frontend::dtypeOf(arguments[i]))));
    graph.values[static_cast<size_t>(number)] = arguments[i];
  }
  callers.push_back(subgraph);
  Status status = importOps(graph);
  callers.pop_back();
  QUERN_TRY(status);
  ModelCalls::Results results;
  for (size_t i = 0; outputs && i < outputs->size(); ++i) {
    auto value = result(graph, outputs->Get(static_cast<flatbuffers::uoffset_t>(i)));
    if (!value)
      return value.status().withContext(fmt::format("output {} of {}", i, where));
    results.push_back(*value);
  }
  return results;
}

Status ModelImport::end(SubgraphImport &graph) {
  std::vector<std::pair<std::string, mlir::Value>> outputs;
  if (!graph.view.graph().outputs() || graph.view.graph().outputs()->size() == 0)
    return invalidModel("the model has no outputs");
  for (int32_t number : *graph.view.graph().outputs()) {
    std::string name = view.portName(number, /*isInput=*/false);
    auto value = result(graph, number);
    if (!value)
      return value.status().withContext("output '" + name + "'");
    outputs.emplace_back(name, *value);
  }
  function.end(state, outputs);
  return Status::ok();
}

Expected<Module> ModelImport::run() {
  return frontend::buildModule(state, [&]() -> Status {
    SubgraphImport graph{file, view, state, calls};
    graph.values.resize(view.tensorCount());
    QUERN_TRY(begin(graph));
    Status imported = importOps(graph);
    QUERN_TRY(problems.status());
    QUERN_TRY(imported);
    return end(graph);
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
