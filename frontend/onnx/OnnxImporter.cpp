//===- OnnxImporter.cpp - ONNX models to the nn dialect -------------------===//
#include "frontend/onnx/OnnxImporter.h"

#include "frontend/MainFunction.h"
#include "frontend/onnx/NodeLabels.h"
#include "frontend/onnx/NodeOrder.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OnnxReader.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/Scope.h"
#include "frontend/onnx/UnsupportedOps.h"
#include "frontend/onnx/ValidateModel.h"
#include "frontend/onnx/ValueTypes.h"
#include "frontend/onnx/WeightImport.h"
#include "ir/NodeNames.h"

#include <fmt/format.h>

#include <unordered_set>

using namespace quern;
using namespace quern::onnx;
using Module = mlir::OwningOpRef<mlir::ModuleOp>;

namespace {
/// Builds the module of one validated model.
class ModelImport {
public:
  ModelImport(const ParsedModel &model, const ValidModel &valid, const std::string &name,
              const std::string &directory, mlir::MLIRContext &context,
              const ImportOptions &options, ImportProblems &problems)
      : context(context), graphProto(model->graph()), valid(valid), labels(*model),
        opsets(opsetVersions(*model)), options(options), problems(problems), scope{nullptr, opsets},
        graph{{mlir::OpBuilder(&context), options.limits, name},
              model.source,
              ExternalFiles(directory)} {}
  Expected<Module> run();

private:
  Status createFunction();
  Status importInitializers(Scope &scope, const proto::GraphProto &proto);
  Expected<llvm::SmallVector<mlir::Value>> importBody(const proto::GraphProto &body,
                                                      const Scope &around, mlir::Block &block);
  Status importNodes();
  Status importNode(Scope &scope, const proto::NodeProto &node, int64_t index);
  Status importNamed(Scope &scope, const proto::NodeProto &node, const std::string &label);
  bool needsUnknown(const Scope &scope, const proto::NodeProto &node) const;
  void makeUnknown(Scope &scope, const proto::NodeProto &node);
  Status importOp(Scope &scope, const proto::NodeProto &node, const std::string &label);
  Status importCall(Scope &scope, const proto::NodeProto &node, const LocalFunction &function,
                    const std::string &label);
  Status createReturn();
  mlir::Location namedLocation(const std::string &name) {
    return frontend::namedLocation(graph.builder, name);
  }

  mlir::MLIRContext &context;
  const proto::GraphProto &graphProto;
  const ValidModel &valid;
  NodeLabels labels;
  OpsetVersions opsets;
  const ImportOptions &options;
  ImportProblems &problems;
  /// How often something was added to them, or left out because of them.
  int64_t refusals = 0;
  /// Of the graph.
  Scope scope;
  GraphImport graph;
  /// The names of nodes that became no op.
  llvm::SmallVector<mlir::Attribute> nodesWithoutOps;
  /// An `nn.none` that stands for the values that could not be imported.
  mlir::Value unknown;
  MainFunction function;
};
} // namespace

/// The type a graph input or output declares.
static Expected<ValueType> declaredType(const proto::ValueInfoProto &value) {
  if (!value.has_type() || value.type().value_case() == proto::TypeProto::VALUE_NOT_SET)
    return invalidModel("tensor '" + value.name() + "' has no type");
  return valueTypeOf(value.type());
}

/// The function with its arguments; its results follow with the return.
Status ModelImport::createFunction() {
  std::unordered_set<std::string_view> initializers;
  for (const proto::TensorProto &initializer : graphProto.initializer())
    initializers.insert(initializer.name());
  std::vector<std::pair<std::string, mlir::Type>> inputs;
  for (const proto::ValueInfoProto &input : graphProto.input()) {
    if (initializers.count(input.name()))
      continue;
    QUERN_ASSIGN(ValueType type, declaredType(input));
    inputs.emplace_back(input.name(), nn::mlirTypeOf(&context, type));
  }
  function.begin(graph, inputs);
  for (size_t i = 0; i < inputs.size(); ++i)
    scope.values[inputs[i].first] = function.input(i);
  mlir::OpBuilder &builder = graph.builder;
  unknown = builder.create<nn::NoneOp>(builder.getUnknownLoc(), builder.getNoneType());
  return Status::ok();
}

Status ModelImport::importInitializers(Scope &inner, const proto::GraphProto &proto) {
  for (const proto::TensorProto &initializer : proto.initializer()) {
    auto where = [&] { return "initializer '" + initializer.name() + "'"; };
    if (Status status = graph.limits.deadline.check("importing the model"); !status.isOk())
      return status.withContext(where());
    auto value = importTensor(graph, initializer, namedLocation(initializer.name()));
    if (!value) {
      Status status = value.status().withContext(where());
      if (!ImportProblems::isOfOneNode(status))
        return status;
      problems.add({.code = status.code(), .message = status.message()});
      ++refusals;
    }
    inner.values[initializer.name()] = value ? *value : unknown;
  }
  return Status::ok();
}

/// Fails unless the operands are tensors, or of a kind that the op takes.
static Status checkOperandKinds(const NodeReader &node, const OpsetRow &row) {
  for (int i = 0; i < node.inputCount() && !row.takesAnyValue; ++i)
    if (mlir::Type type = node.input(i).getType(); nn::isNestedType(type))
      return invalidModel("input " + std::to_string(i) + " must be a tensor, found " +
                          nn::valueTypeOf(type).describe());
  return Status::ok();
}

/// Number of operands and results, and that required operands are there.
static Status checkArity(const NodeReader &node, const OpsetRow &row) {
  int found = node.inputCount();
  if (found < row.minInputs || found > row.maxInputs)
    return invalidModel(fmt::format("has {} inputs, expected {}{}", found, row.minInputs,
                                    row.maxInputs == row.minInputs ? ""
                                    : row.maxInputs == kVariadic
                                        ? " or more"
                                        : fmt::format(" to {}", row.maxInputs)));
  int required = row.maxInputs == kVariadic ? found : row.minInputs;
  for (int i = 0; i < required; ++i)
    if (!node.hasInput(i))
      return invalidModel(fmt::format("input {} is required but left out", i));
  if (node.outputCount() < 1 || node.outputCount() > row.maxOutputs)
    return invalidModel(fmt::format("has {} outputs, expected 1{}", node.outputCount(),
                                    row.maxOutputs == 1 ? "" : " or more"));
  return Status::ok();
}

/// The node with what its attributes refer to in their place; what the call has left
/// out, and has no default, is left out here as well.
static proto::NodeProto resolveAttributes(const Scope &scope, const proto::NodeProto &node) {
  proto::NodeProto resolved = node;
  resolved.clear_attribute();
  for (const proto::AttributeProto &attribute : node.attribute()) {
    if (attribute.ref_attr_name().empty()) {
      *resolved.add_attribute() = attribute;
    } else if (auto it = scope.attributes.find(attribute.ref_attr_name());
               it != scope.attributes.end()) {
      proto::AttributeProto *copy = resolved.add_attribute();
      *copy = it->second;
      copy->set_name(attribute.name());
    }
  }
  return resolved;
}

Status ModelImport::importNode(Scope &inner, const proto::NodeProto &node, int64_t index) {
  // Bodies in calls in bodies, and bodies that are imported again for wider types.
  if (++graph.importedNodes > graph.limits.maxNodes)
    return resourceLimit(
        fmt::format("the graph has more nodes than maxNodes {} with those of all bodies",
                    graph.limits.maxNodes));
  bool refers = llvm::any_of(node.attribute(), [](const proto::AttributeProto &attribute) {
    return !attribute.ref_attr_name().empty();
  });
  std::string label = inner.prefix + labels.of(node, index);
  return refers ? importNamed(inner, resolveAttributes(inner, node), label)
                : importNamed(inner, node, label);
}

/// Imports a node with all its attributes.
Status ModelImport::importNamed(Scope &inner, const proto::NodeProto &node,
                                const std::string &label) {
  int64_t refusedBefore = refusals;
  const LocalFunction *called = valid.functions.find(node);
  Status status = called ? importCall(inner, node, *called, label) : importOp(inner, node, label);
  if (status.isOk() || problems.isFull() || !ImportProblems::isOfOneNode(status))
    return status;
  if (graph.openBranches > 0 && graph.breaksRule(status))
    return status; // the branch's business
  // What is wrong in a body has been told; that the node lacks the body's results has not to be.
  if (refusals == refusedBefore) {
    auto opset = inner.opsets.find(canonicalDomain(node.domain()));
    problems.add({status.code(), label, node.op_type(),
                  opset == inner.opsets.end() ? 0 : opset->second, status.message()});
  }
  makeUnknown(inner, node);
  return problems.isFull() ? status : Status::ok();
}

bool ModelImport::needsUnknown(const Scope &inner, const proto::NodeProto &node) const {
  return llvm::any_of(node.input(), [&](const std::string &name) {
    return !name.empty() && inner.find(name) == unknown;
  });
}

/// The node could not be imported: nobody can have its results.
void ModelImport::makeUnknown(Scope &inner, const proto::NodeProto &node) {
  ++refusals;
  for (const std::string &output : node.output())
    inner.values[output] = unknown;
}

/// The ops of `block` behind `last`, or all of them. Nodes are imported in their order, each at
/// the end of the block.
static llvm::SmallVector<mlir::Operation *> opsBehind(mlir::Operation *last, mlir::Block &block) {
  auto begin = last ? std::next(last->getIterator()) : block.begin();
  llvm::SmallVector<mlir::Operation *> ops;
  for (mlir::Operation &op : llvm::make_range(begin, block.end()))
    ops.push_back(&op);
  return ops;
}

static bool isData(mlir::Operation *op) {
  return mlir::isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op);
}

Status ModelImport::importOp(Scope &inner, const proto::NodeProto &proto,
                             const std::string &label) {
  std::string domain = canonicalDomain(proto.domain());
  auto version = inner.opsets.find(domain);
  int64_t opset = version == inner.opsets.end() ? 0 : version->second;
  const OpsetRow *row = lookupOpset(domain, proto.op_type(), opset).row;
  if (!row || needsUnknown(inner, proto)) { // checkOpsSupported has named it
    makeUnknown(inner, proto);
    return Status::ok();
  }
  std::string where = fmt::format("node '{}' ({}, opset {})", label, proto.op_type(), opset);
  QUERN_TRY(graph.limits.deadline.check("importing the model").withContext(where));
  NodeReader node(graph, inner, proto, namedLocation(label), opset);
  if (opset < 6 && domain.empty()) // a hint about memory
    node.ignoreAttribute("consumed_inputs");
  QUERN_TRY(checkArity(node, *row).withContext(where));
  QUERN_TRY(checkOperandKinds(node, *row).withContext(where));
  mlir::Block &block = *graph.builder.getInsertionBlock();
  mlir::Operation *last = block.empty() ? nullptr : &block.back();
  row->import(node);
  QUERN_TRY(node.status().withContext(where));
  llvm::SmallVector<mlir::Operation *> made = opsBehind(last, block);
  if (llvm::all_of(made, isData))
    nodesWithoutOps.push_back(graph.builder.getStringAttr(label));
  if (options.observe)
    options.observe(*row, node.allInputs(), made);
  if (auto unread = node.unreadAttribute())
    return unsupported("attribute '" + *unread + "' is unknown").withContext(where);
  for (int i = 0; i < node.outputCount(); ++i)
    if (node.hasOutput(i) && !inner.values.count(proto.output(i)))
      return unsupported(fmt::format("output {}", i)).withContext(where);
  return Status::ok();
}

/// The attributes that the body of a call sees.
static Expected<std::map<std::string, proto::AttributeProto>>
bindAttributes(const proto::NodeProto &call, const LocalFunction &function) {
  std::map<std::string, proto::AttributeProto> bound;
  for (const proto::AttributeProto &attribute : function.defaults)
    bound[attribute.name()] = attribute;
  for (const proto::AttributeProto &attribute : call.attribute()) {
    if (!function.hasAttribute(attribute.name()))
      return unsupported("attribute '" + attribute.name() + "' is unknown to the function");
    bound[attribute.name()] = attribute;
  }
  return bound;
}

/// Puts the nodes of the function in place of the call, in a scope of their own.
Status ModelImport::importCall(Scope &outer, const proto::NodeProto &call,
                               const LocalFunction &function, const std::string &label) {
  const proto::FunctionProto &proto = *function.proto;
  std::string where = "node '" + label + "' (function " + function.label() + ")";
  auto checkCount = [](const char *what, int found, int most) {
    return found <= most
               ? Status::ok()
               : invalidModel(fmt::format("has {} {}, the function has {}", found, what, most));
  };
  QUERN_TRY(checkCount("inputs", call.input_size(), proto.input_size()).withContext(where));
  QUERN_TRY(checkCount("outputs", call.output_size(), proto.output_size()).withContext(where));
  auto attributes = bindAttributes(call, function);
  if (!attributes)
    return attributes.status().withContext(where);
  Scope inner{nullptr, function.opsets, attributes.take(), label + "/"};
  for (int i = 0; i < proto.input_size(); ++i) {
    mlir::Value value = i < call.input_size() ? outer.find(call.input(i)) : mlir::Value();
    inner.values[proto.input(i)] = value ? value : graph.none;
  }
  for (int i : function.order)
    QUERN_TRY(importNode(inner, proto.node(i), i));
  for (int i = 0; i < call.output_size(); ++i) {
    if (call.output(i).empty())
      continue;
    mlir::Value value = inner.find(proto.output(i));
    if (value != unknown && nn::isNone(value)) // an input that was left out, handed on
      return invalidModel(fmt::format("output {} is an input that was left out", i))
          .withContext(where);
    outer.values[call.output(i)] = value;
  }
  return Status::ok();
}

Expected<llvm::SmallVector<mlir::Value>>
ModelImport::importBody(const proto::GraphProto &body, const Scope &around, mlir::Block &block) {
  QUERN_ASSIGN(std::vector<int> order, sortNodes(body, [&](const std::string &name) {
                 return static_cast<bool>(around.find(name));
               }));
  mlir::OpBuilder::InsertionGuard guard(graph.builder);
  graph.builder.setInsertionPointToStart(&block);
  Scope inner{&around, around.opsets, around.attributes, around.prefix};
  for (int i = 0; i < body.input_size(); ++i)
    inner.values[body.input(i).name()] = block.getArgument(static_cast<unsigned>(i));
  QUERN_TRY(importInitializers(inner, body));
  for (int i : order)
    QUERN_TRY(importNode(inner, body.node(i), i));
  llvm::SmallVector<mlir::Value> results;
  for (const proto::ValueInfoProto &output : body.output()) {
    results.push_back(inner.find(output.name()));
    if (results.back() == unknown) {
      ++refusals;
      return unsupported("the body has a result that is not known");
    }
    if (nn::isNone(results.back()))
      return invalidModel("output '" + output.name() + "' of the body is left out");
  }
  return results;
}

/// "float32", or "sequence of ...": shapes of tensors do not matter.
static std::string describeElements(const ValueType &type) {
  return type.isTensor() ? std::string(dtypeName(type.dtype)) : type.describe();
}

Status ModelImport::createReturn() {
  std::vector<std::pair<std::string, mlir::Value>> outputs;
  for (const proto::ValueInfoProto &output : graphProto.output()) {
    mlir::Value value = scope.values[output.name()];
    // Declared shapes are often wrong or out of date; the element type must fit.
    if (output.has_type() && value != unknown) {
      QUERN_ASSIGN(ValueType declared, declaredType(output));
      ValueType found = nn::valueTypeOf(value.getType());
      if (!haveSameElements(declared, found))
        problems.add({.code = StatusCode::InvalidModel,
                      .message = fmt::format("graph output '{}' is declared {} but computed as {}",
                                             output.name(), describeElements(declared),
                                             describeElements(found))});
    }
    outputs.emplace_back(output.name(), value);
  }
  function.end(graph, outputs);
  if (!nodesWithoutOps.empty())
    function.op()->setAttr(nn::kNodesWithoutOps, graph.builder.getArrayAttr(nodesWithoutOps));
  return Status::ok();
}

/// All that the function holds.
Status ModelImport::importNodes() {
  QUERN_TRY(importInitializers(scope, graphProto));
  for (int i : valid.order)
    QUERN_TRY(importNode(scope, graphProto.node(i), i));
  return createReturn();
}

Expected<Module> ModelImport::run() {
  graph.importBody = [this](const proto::GraphProto &body, const Scope &around,
                            mlir::Block &block) { return importBody(body, around, block); };
  return buildModule(graph, [&]() -> Status {
    QUERN_TRY(createFunction());
    Status imported = importNodes();
    if (!imported.isOk() && !problems.isFull())
      return imported;
    QUERN_TRY(problems.status());
    unknown.getDefiningOp()->erase();
    return Status::ok();
  });
}

static Expected<Module> importModel(const Expected<ParsedModel> &model, const std::string &name,
                                    const std::string &directory, mlir::MLIRContext &context,
                                    const ImportOptions &options) {
  const Limits &limits = options.limits;
  if (!model)
    return model.status().withContext(name);
  QUERN_TRY(limits.deadline.check("reading the model").withContext(name));
  auto valid = validateModel(*model, limits);
  if (!valid)
    return valid.status().withContext(name);
  if (options.files && !directory.empty()) {
    *options.files = externalFilesOf(**model, directory);
    options.files->insert(options.files->begin(), name);
  }
  ImportProblems problems(checkOpsSupported(**model));
  auto module = ModelImport(*model, *valid, name, directory, context, options, problems).run();
  if (options.problems)
    *options.problems = problems.all();
  if (!module)
    return module.status().withContext(name);
  return module;
}

Expected<Module> quern::onnx::importOnnxFile(const std::string &path, mlir::MLIRContext &context,
                                             const ImportOptions &options) {
  return importModel(readModelFile(path, options.limits), path, directoryOf(path), context,
                     options);
}

Expected<Module> quern::onnx::importOnnxBytes(std::span<const std::byte> bytes,
                                              const std::string &name, mlir::MLIRContext &context,
                                              const ImportOptions &options,
                                              std::shared_ptr<const void> owner) {
  return importModel(readModelBytes({bytes, std::move(owner)}, options.limits), name,
                     /*directory=*/"", context, options);
}
