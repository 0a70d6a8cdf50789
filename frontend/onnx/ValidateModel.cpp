//===- ValidateModel.cpp - the rules that every ONNX model keeps ----------===//
#include "frontend/onnx/ValidateModel.h"

#include "frontend/onnx/NodeOrder.h"
#include "frontend/onnx/TensorData.h"
#include "frontend/onnx/ValueTypes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>

using namespace quern;
using namespace quern::onnx;
using proto::AttributeProto;
using Opsets = google::protobuf::RepeatedPtrField<proto::OperatorSetIdProto>;

namespace {
class ModelValidator {
public:
  ModelValidator(const ParsedModel &parsed, const Limits &limits)
      : model(*parsed), source(parsed.source), limits(limits) {}
  Expected<ValidModel> check();

private:
  Status checkOpsets(const Opsets &opsets);
  Status checkFunction(LocalFunction &function);
  Status checkGraph(const proto::GraphProto &graph, int64_t nesting);
  Status checkNode(const proto::NodeProto &node, int64_t nesting);
  Status checkAttribute(const AttributeProto &attribute, int64_t nesting);
  Status checkTensorAttribute(const proto::TensorProto &tensor);

  const proto::ModelProto &model;
  const SourceBytes &source;
  const Limits &limits;
  /// The imported version of each domain.
  std::unordered_map<std::string, int64_t> domains;
  /// The function whose nodes are checked; null in the graph.
  const LocalFunction *function = nullptr;
  int64_t nodeCount = 0;
};
} // namespace

Expected<ValidModel> ModelValidator::check() {
  if (!model.has_graph())
    return invalidModel("not an ONNX model: no graph");
  if (model.ir_version() < 1)
    return invalidModel(fmt::format("ir_version is {}, need 1 or more", model.ir_version()));
  QUERN_TRY(checkOpsets(model.opset_import()));
  QUERN_TRY(checkGraph(model.graph(), /*nesting=*/0));
  if (model.graph().output().empty())
    return invalidModel("the graph has no outputs");
  ValidModel valid;
  QUERN_ASSIGN(valid.functions, LocalFunctions::create(model));
  for (LocalFunction *local : valid.functions.all())
    QUERN_TRY(checkFunction(*local).withContext("function '" + local->label() + "'"));
  QUERN_TRY(valid.functions.checkCalls(model.graph(), limits));
  QUERN_ASSIGN(valid.order, sortNodes(model.graph()));
  return std::move(valid);
}

/// The nodes of a function, which has opsets of its own; finds their order.
Status ModelValidator::checkFunction(LocalFunction &local) {
  const proto::FunctionProto &proto = *local.proto;
  QUERN_TRY(checkOpsets(proto.opset_import()));
  function = &local;
  nodeCount += proto.node_size();
  if (nodeCount > limits.maxNodes)
    return resourceLimit(fmt::format("the model has more nodes than maxNodes {}", limits.maxNodes));
  std::set<std::string_view> names;
  for (const std::string &attribute : proto.attribute())
    if (attribute.empty() || !names.insert(attribute).second)
      return invalidModel("attribute '" + attribute + "' is declared twice or has no name");
  for (const AttributeProto &attribute : local.defaults) {
    if (!names.insert(attribute.name()).second)
      return invalidModel("attribute '" + attribute.name() + "' is declared twice");
    QUERN_TRY(checkAttribute(attribute, /*nesting=*/0)
                  .withContext("default of attribute '" + attribute.name() + "'"));
  }
  for (int i = 0; i < proto.node_size(); ++i)
    QUERN_TRY(checkNode(proto.node(i), /*nesting=*/0)
                  .withContext("node '" + nodeLabel(proto.node(i), i) + "' (" +
                               proto.node(i).op_type() + ")"));
  QUERN_ASSIGN(local.order, sortNodes(proto));
  return Status::ok();
}

Status ModelValidator::checkOpsets(const Opsets &opsets) {
  domains.clear();
  if (opsets.empty())
    return invalidModel("no opset_import: the meaning of the ops is undefined");
  for (const proto::OperatorSetIdProto &opset : opsets) {
    std::string domain = canonicalDomain(opset.domain());
    // Converters that merge graphs write a domain once for each of them.
    auto [known, isNew] = domains.try_emplace(domain, opset.version());
    if (!isNew && known->second != opset.version())
      return invalidModel(
          fmt::format("opset_import: domain '{}' is imported twice, as version {} and {}",
                      domainLabel(domain), known->second, opset.version()));
    if (opset.version() < 1)
      return invalidModel(fmt::format("opset_import: domain '{}' has version {}, need 1 or more",
                                      domainLabel(domain), opset.version()));
  }
  return Status::ok();
}

Status ModelValidator::checkGraph(const proto::GraphProto &graph, int64_t nesting) {
  if (nesting > limits.maxNesting)
    return resourceLimit(
        fmt::format("subgraphs nested deeper than maxNesting {}", limits.maxNesting));
  nodeCount += graph.node_size();
  if (nodeCount > limits.maxNodes)
    return resourceLimit(fmt::format("the graph has more nodes than maxNodes {}", limits.maxNodes));
  if (!graph.sparse_initializer().empty())
    return unsupported("sparse initializer '" + graph.sparse_initializer(0).values().name() + "'");
  for (const proto::TensorProto &initializer : graph.initializer())
    if (auto layout = checkTensor(initializer, source, limits); !layout)
      return layout.status().withContext("initializer '" + initializer.name() + "'");
  for (const auto *values : {&graph.input(), &graph.output(), &graph.value_info()})
    for (const proto::ValueInfoProto &value : *values)
      QUERN_TRY(checkType(value.type(), limits).withContext("tensor '" + value.name() + "'"));
  for (int i = 0; i < graph.node_size(); ++i) {
    const proto::NodeProto &node = graph.node(i);
    QUERN_TRY(checkNode(node, nesting)
                  .withContext("node '" + nodeLabel(node, i) + "' (" + node.op_type() + ")"));
  }
  return Status::ok();
}

Status ModelValidator::checkNode(const proto::NodeProto &node, int64_t nesting) {
  QUERN_TRY(limits.deadline.check("reading the model"));
  if (node.op_type().empty())
    return invalidModel("has no op_type");
  if (!domains.count(canonicalDomain(node.domain())))
    return invalidModel("domain '" + node.domain() + "' is not in opset_import");
  std::set<std::string_view> names;
  for (const AttributeProto &attribute : node.attribute()) {
    if (!names.insert(attribute.name()).second)
      return invalidModel("attribute '" + attribute.name() + "' is given twice");
    QUERN_TRY(
        checkAttribute(attribute, nesting).withContext("attribute '" + attribute.name() + "'"));
  }
  return Status::ok();
}

/// Whether the attribute carries data of another type than the one it declares.
/// Data of its own type may be missing: writers leave zeros and empty lists out.
static bool carriesOtherType(const AttributeProto &a) {
  const std::pair<bool, AttributeProto::AttributeType> payloads[] = {
      {a.has_f(), AttributeProto::FLOAT},
      {a.has_i(), AttributeProto::INT},
      {a.has_s(), AttributeProto::STRING},
      {a.has_t(), AttributeProto::TENSOR},
      {a.has_g(), AttributeProto::GRAPH},
      {a.has_sparse_tensor(), AttributeProto::SPARSE_TENSOR},
      {a.has_tp(), AttributeProto::TYPE_PROTO},
      {!a.floats().empty(), AttributeProto::FLOATS},
      {!a.ints().empty(), AttributeProto::INTS},
      {!a.strings().empty(), AttributeProto::STRINGS},
      {!a.tensors().empty(), AttributeProto::TENSORS},
      {!a.graphs().empty(), AttributeProto::GRAPHS},
      {!a.sparse_tensors().empty(), AttributeProto::SPARSE_TENSORS},
      {!a.type_protos().empty(), AttributeProto::TYPE_PROTOS}};
  return std::any_of(std::begin(payloads), std::end(payloads),
                     [&](auto payload) { return payload.first && payload.second != a.type(); });
}

Status ModelValidator::checkAttribute(const AttributeProto &attribute, int64_t nesting) {
  if (attribute.name().empty())
    return invalidModel("has no name");
  if (!attribute.ref_attr_name().empty() && !function)
    return invalidModel("refers to a function's attribute outside a function");
  if (!attribute.ref_attr_name().empty() && !function->hasAttribute(attribute.ref_attr_name()))
    return invalidModel("refers to attribute '" + attribute.ref_attr_name() +
                        "', which the function does not have");
  if (attribute.type() == AttributeProto::UNDEFINED)
    return invalidModel("has no type");
  if (carriesOtherType(attribute))
    return invalidModel("is declared " + AttributeProto::AttributeType_Name(attribute.type()) +
                        " but carries data of another type");
  if (!attribute.ref_attr_name().empty())
    return Status::ok();
  if (attribute.type() == AttributeProto::TENSOR && !attribute.has_t())
    return invalidModel("has no tensor");
  if (attribute.type() == AttributeProto::GRAPH && !attribute.has_g())
    return invalidModel("has no graph");
  if (attribute.has_t())
    QUERN_TRY(checkTensorAttribute(attribute.t()));
  for (const proto::TensorProto &tensor : attribute.tensors())
    QUERN_TRY(checkTensorAttribute(tensor));
  if (attribute.has_g())
    QUERN_TRY(checkGraph(attribute.g(), nesting + 1));
  for (const proto::GraphProto &graph : attribute.graphs())
    QUERN_TRY(checkGraph(graph, nesting + 1));
  return Status::ok();
}

Status ModelValidator::checkTensorAttribute(const proto::TensorProto &tensor) {
  auto layout = checkTensor(tensor, source, limits);
  return layout ? Status::ok() : layout.status();
}

Expected<ValidModel> quern::onnx::validateModel(const ParsedModel &model, const Limits &limits) {
  return ModelValidator(model, limits).check();
}
