//===- NodeReader.cpp - what the import of one node works with ------------===//
#include "frontend/onnx/NodeReader.h"

#include "frontend/onnx/ValueTypes.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;
using proto::AttributeProto;

NodeReader::NodeReader(GraphImport &graph, Scope &scope, const proto::NodeProto &node,
                       mlir::Location loc, int64_t opset)
    : GraphBuilder(graph, loc), graphImport(graph), names(scope), node(node), opsetVersion(opset) {
  for (const std::string &name : node.input()) {
    Value value = name.empty() ? Value() : scope.find(name);
    inputs.push_back(value ? value : graph.none);
  }
  // Empty names at the end are operands left out: so the count has one meaning.
  while (!inputs.empty() && nn::isNone(inputs.back()))
    inputs.pop_back();
}

DType NodeReader::inputDType(int i) const {
  auto tensor = mlir::dyn_cast<mlir::TensorType>(input(i).getType());
  return tensor ? nn::dtypeOf(tensor.getElementType()) : DType::Undefined;
}

void NodeReader::setOutput(int i, Value value) {
  if (hasOutput(i) && !failed())
    names.values[node.output(i)] = value;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

const AttributeProto *NodeReader::find(std::string_view name, AttributeProto::AttributeType type,
                                       bool required) {
  ignoreAttribute(name);
  for (const AttributeProto &attribute : node.attribute()) {
    if (attribute.name() != name)
      continue;
    if (attribute.type() == type)
      return &attribute;
    invalid(fmt::format("attribute '{}': expected {}, found {}", name,
                        AttributeProto::AttributeType_Name(type),
                        AttributeProto::AttributeType_Name(attribute.type())));
    return nullptr;
  }
  if (required)
    invalid(fmt::format("required attribute '{}' is missing", name));
  return nullptr;
}

bool NodeReader::hasAttribute(std::string_view name) {
  return llvm::any_of(node.attribute(),
                      [&](const AttributeProto &attribute) { return attribute.name() == name; });
}

int64_t NodeReader::getInt(std::string_view name, std::optional<int64_t> otherwise) {
  const AttributeProto *found = find(name, AttributeProto::INT, !otherwise);
  return found ? found->i() : otherwise.value_or(0);
}

double NodeReader::getFloat(std::string_view name, std::optional<double> otherwise) {
  const AttributeProto *found = find(name, AttributeProto::FLOAT, !otherwise);
  return found ? found->f() : static_cast<float>(otherwise.value_or(0));
}

double NodeReader::getNumber(std::string_view name, double otherwise) {
  for (const AttributeProto &attribute : node.attribute())
    if (attribute.name() == name && attribute.type() == AttributeProto::INT)
      return static_cast<double>(getInt(name));
  return getFloat(name, otherwise);
}

std::string NodeReader::getString(std::string_view name, std::optional<std::string> otherwise) {
  const AttributeProto *found = find(name, AttributeProto::STRING, !otherwise);
  return found ? found->s() : otherwise.value_or("");
}

std::vector<int64_t> NodeReader::getInts(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::INTS, /*required=*/false);
  return found ? std::vector<int64_t>(found->ints().begin(), found->ints().end())
               : std::vector<int64_t>();
}

std::vector<float> NodeReader::getFloats(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::FLOATS, /*required=*/false);
  return found ? std::vector<float>(found->floats().begin(), found->floats().end())
               : std::vector<float>();
}

std::vector<std::string> NodeReader::getStrings(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::STRINGS, /*required=*/false);
  return found ? std::vector<std::string>(found->strings().begin(), found->strings().end())
               : std::vector<std::string>();
}

const proto::TensorProto *NodeReader::getTensor(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::TENSOR, /*required=*/false);
  return found ? &found->t() : nullptr;
}

ValueType NodeReader::getType(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::TYPE_PROTO, /*required=*/true);
  if (!found)
    return {};
  if (found->tp().value_case() == proto::TypeProto::VALUE_NOT_SET)
    invalid(fmt::format("attribute '{}' is no type", name));
  Status status = checkType(found->tp(), graphImport.limits);
  if (!status.isOk())
    fail(status.withContext(fmt::format("attribute '{}'", name)));
  return failed() ? ValueType() : quern::onnx::valueTypeOf(found->tp());
}

const proto::GraphProto *NodeReader::getGraph(std::string_view name) {
  const AttributeProto *found = find(name, AttributeProto::GRAPH, /*required=*/true);
  return found ? &found->g() : nullptr;
}

std::optional<std::string> NodeReader::unreadAttribute() const {
  for (const AttributeProto &attribute : node.attribute())
    if (!readAttributes.count(attribute.name()))
      return attribute.name();
  return std::nullopt;
}
