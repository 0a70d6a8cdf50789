//===- EditableModel.cpp - an ONNX model that is changed ------------------===//
#include "api/quantize/EditableModel.h"

#include "frontend/onnx/ExternalData.h"
#include "frontend/onnx/NodeLabels.h"
#include "frontend/onnx/TensorData.h"
#include "frontend/onnx/ValidateModel.h"
#include "quern/OnnxFile.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <climits>

using namespace quern;
using namespace quern::quantization;

/// The first opset that an IR version may come with, of those that are written here.
static constexpr int64_t kIrOfOpset13 = 7, kIrOfOpset21 = 10;

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

proto::NodeProto quantization::makeNode(const std::string &op,
                                        const std::vector<std::string> &inputs,
                                        const std::string &output) {
  proto::NodeProto node;
  node.set_op_type(op);
  node.set_name(output);
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(output);
  return node;
}

void quantization::removeAttribute(proto::NodeProto &node, const std::string &name) {
  auto &list = *node.mutable_attribute();
  for (int i = list.size() - 1; i >= 0; --i)
    if (list[i].name() == name)
      list.DeleteSubrange(i, 1);
}

void quantization::setAttribute(proto::NodeProto &node, const std::string &name, int64_t value) {
  removeAttribute(node, name);
  proto::AttributeProto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(proto::AttributeProto::INT);
  attribute.set_i(value);
}

void quantization::setAttribute(proto::NodeProto &node, const std::string &name,
                                const std::string &value) {
  removeAttribute(node, name);
  proto::AttributeProto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(proto::AttributeProto::STRING);
  attribute.set_s(value);
}

const proto::AttributeProto *quantization::findAttribute(const proto::NodeProto &node,
                                                         const std::string &name) {
  for (const proto::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name)
      return &attribute;
  return nullptr;
}

int64_t quantization::intAttribute(const proto::NodeProto &node, const std::string &name,
                                   int64_t otherwise) {
  const proto::AttributeProto *found = findAttribute(node, name);
  return found ? found->i() : otherwise;
}

float quantization::floatAttribute(const proto::NodeProto &node, const std::string &name,
                                   float otherwise) {
  const proto::AttributeProto *found = findAttribute(node, name);
  return found ? found->f() : otherwise;
}

bool quantization::isOp(const proto::NodeProto &node, std::string_view op) {
  return node.op_type() == op && quern::onnx::canonicalDomain(node.domain()).empty();
}

proto::TensorProto quantization::makeTensorProto(const std::string &name, const Tensor &tensor) {
  proto::TensorProto message;
  if (Expected<std::string> bytes = serializeValue(tensor, name))
    message.ParseFromString(*bytes);
  message.set_name(name);
  return message;
}

//===----------------------------------------------------------------------===//
// Where values come from and go to
//===----------------------------------------------------------------------===//

int GraphIndex::soleReader(const std::string &value) const {
  auto found = readers.find(value);
  bool isSole = found != readers.end() && found->second.size() == 1 && !seenOutside.count(value);
  return isSole ? found->second.front() : -1;
}

int GraphIndex::producer(const std::string &value) const {
  auto found = producers.find(value);
  return found == producers.end() ? -1 : found->second;
}

/// All names in a body: what it reads of the graph around it is among them.
static void collectBodyNames(const proto::GraphProto &body, std::set<std::string> &names);

static void collectBodyNames(const proto::NodeProto &node, std::set<std::string> &names) {
  for (const proto::AttributeProto &attribute : node.attribute()) {
    if (attribute.has_g())
      collectBodyNames(attribute.g(), names);
    for (const proto::GraphProto &body : attribute.graphs())
      collectBodyNames(body, names);
  }
}

static void collectBodyNames(const proto::GraphProto &body, std::set<std::string> &names) {
  for (const proto::TensorProto &constant : body.initializer())
    names.insert(constant.name());
  for (const auto *values : {&body.input(), &body.output()})
    for (const proto::ValueInfoProto &value : *values)
      names.insert(value.name());
  for (const proto::NodeProto &node : body.node()) {
    names.insert(node.input().begin(), node.input().end());
    names.insert(node.output().begin(), node.output().end());
    collectBodyNames(node, names);
  }
}

std::set<std::string> quantization::namesInBodies(const proto::NodeProto &node) {
  std::set<std::string> names;
  collectBodyNames(node, names);
  return names;
}

GraphIndex EditableModel::index() const {
  GraphIndex index;
  for (int i = 0; i < graph().node_size(); ++i) {
    const proto::NodeProto &node = graph().node(i);
    for (const std::string &output : node.output())
      if (!output.empty())
        index.producers[output] = i;
    for (const std::string &input : node.input())
      if (!input.empty())
        index.readers[input].push_back(i);
    collectBodyNames(node, index.seenOutside);
  }
  for (const proto::ValueInfoProto &output : graph().output())
    index.seenOutside.insert(output.name());
  return index;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

static Status tooLarge(int64_t bytes) {
  return resourceLimit(fmt::format(
      "the model takes {} bytes with its external data, a file that is quantized at most {}", bytes,
      INT_MAX));
}

namespace {
/// Moves external data into the message.
class ExternalReader {
public:
  ExternalReader(quern::onnx::ExternalFiles files, const Limits &limits)
      : files(std::move(files)), limits(limits) {}

  Status read(proto::GraphProto &graph) {
    for (proto::TensorProto &tensor : *graph.mutable_initializer())
      QUERN_TRY(read(tensor).withContext("initializer '" + tensor.name() + "'"));
    for (proto::NodeProto &node : *graph.mutable_node())
      for (proto::AttributeProto &attribute : *node.mutable_attribute()) {
        if (attribute.has_t())
          QUERN_TRY(read(*attribute.mutable_t()).withContext("node '" + node.name() + "'"));
        if (attribute.has_g())
          QUERN_TRY(read(*attribute.mutable_g()));
        for (proto::GraphProto &body : *attribute.mutable_graphs())
          QUERN_TRY(read(body));
      }
    return Status::ok();
  }

private:
  Status read(proto::TensorProto &tensor) {
    if (tensor.data_location() != proto::TensorProto::EXTERNAL)
      return Status::ok();
    QUERN_ASSIGN(quern::onnx::TensorLayout layout, quern::onnx::checkTensor(tensor, {}, limits));
    QUERN_ASSIGN(quern::onnx::ExternalLocation location,
                 quern::onnx::parseExternalLocation(tensor));
    QUERN_ASSIGN(std::shared_ptr<const MappedFile> file, files.map(location.file));
    QUERN_ASSIGN(std::span<const std::byte> bytes, quern::onnx::externalBytes(*file, location));
    if (static_cast<int64_t>(bytes.size()) != layout.rawBytes)
      return invalidModel(fmt::format("external data '{}' gives {} bytes, {} {} needs {}",
                                      location.file, bytes.size(), dtypeName(layout.dtype),
                                      formatDims(layout.dims), layout.rawBytes));
    total += layout.rawBytes;
    if (total > INT_MAX)
      return tooLarge(total);
    tensor.set_raw_data(bytes.data(), bytes.size());
    tensor.clear_external_data();
    tensor.clear_data_location();
    return Status::ok();
  }

  quern::onnx::ExternalFiles files;
  const Limits &limits;
  int64_t total = 0;
};
} // namespace

/// The whole message, raw_data and all; what it is parsed from has passed validateModel.
static Status parseWhole(const quern::onnx::SourceBytes &source, proto::ModelProto &model) {
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t *>(source.bytes.data()),
      static_cast<int>(source.bytes.size()));
  stream.SetTotalBytesLimit(INT_MAX);
  stream.SetRecursionLimit(quern::onnx::kMaxMessageNesting);
  if (!model.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
    return internalError("a model that was read before cannot be read again");
  return Status::ok();
}

/// `files` is where external data is looked for.
static Expected<std::vector<int>> readInto(proto::ModelProto &model,
                                           const quern::onnx::ParsedModel &parsed,
                                           quern::onnx::ExternalFiles files, const Limits &limits) {
  QUERN_ASSIGN(quern::onnx::ValidModel valid, quern::onnx::validateModel(parsed, limits));
  QUERN_TRY(parseWhole(parsed.source, model));
  QUERN_TRY(ExternalReader(std::move(files), limits).read(*model.mutable_graph()));
  if (auto bytes = static_cast<int64_t>(model.ByteSizeLong()); bytes > INT_MAX)
    return tooLarge(bytes);
  return std::move(valid.order);
}

Expected<EditableModel> EditableModel::read(const std::string &path, const Limits &limits) {
  QUERN_ASSIGN(quern::onnx::ParsedModel parsed, quern::onnx::readModelFile(path, limits));
  EditableModel result;
  QUERN_ASSIGN(std::vector<int> order,
               readInto(result.model, parsed,
                        quern::onnx::ExternalFiles(quern::onnx::directoryOf(path)), limits));
  QUERN_TRY(result.normalize(order));
  return result;
}

Expected<EditableModel> EditableModel::read(const ModelBytes &bytes, const Limits &limits) {
  std::shared_ptr<const void> owner = bytes.owner;
  if (!owner) // the caller's bytes outlive the call
    owner = std::shared_ptr<const void>(bytes.bytes.data(), [](const void *) {});
  QUERN_ASSIGN(quern::onnx::ParsedModel parsed,
               quern::onnx::readModelBytes({bytes.bytes, owner}, limits));
  EditableModel result;
  QUERN_ASSIGN(std::vector<int> order,
               readInto(result.model, parsed, quern::onnx::ExternalFiles(""), limits));
  QUERN_TRY(result.normalize(order));
  return result;
}

/// The tensor of a Constant node; null for other nodes and other constants.
static const proto::TensorProto *tensorOfConstant(const proto::NodeProto &node) {
  if (!isOp(node, "Constant") || node.output_size() != 1)
    return nullptr;
  const proto::AttributeProto *value = findAttribute(node, "value");
  return value && value->has_t() ? &value->t() : nullptr;
}

/// Nodes get names and the order in which they run; tensors of Constant nodes become initializers;
/// initializers are constants, no inputs with a default; Sum of two is Add.
Status EditableModel::normalize(const std::vector<int> &order) {
  quern::onnx::NodeLabels labels(model);
  std::set<std::string> outputs;
  for (const proto::ValueInfoProto &output : graph().output())
    outputs.insert(output.name());
  std::vector<std::string> names;
  for (int i = 0; i < graph().node_size(); ++i)
    names.push_back(labels.of(graph().node(i), i));
  std::vector<proto::NodeProto> nodes;
  for (int i : order) {
    proto::NodeProto &node = *graph().mutable_node(i);
    const proto::TensorProto *constant = tensorOfConstant(node);
    if (constant && !outputs.count(node.output(0))) {
      proto::TensorProto &added = *graph().add_initializer();
      added = *constant;
      added.set_name(node.output(0));
      continue;
    }
    node.set_name(names[static_cast<size_t>(i)]);
    if (isOp(node, "Sum") && node.input_size() == 2)
      node.set_op_type("Add");
    nodes.push_back(std::move(node));
  }
  setNodes(std::move(nodes));
  collectNames();
  auto &inputs = *graph().mutable_input();
  for (int i = inputs.size() - 1; i >= 0; --i)
    if (constants.count(inputs[i].name()))
      inputs.DeleteSubrange(i, 1);
  return Status::ok();
}

void EditableModel::collectNames() {
  names.clear();
  refreshConstants();
  for (const auto &[name, at] : constants)
    names.insert(name);
  for (const auto *values : {&graph().input(), &graph().output(), &graph().value_info()})
    for (const proto::ValueInfoProto &value : *values)
      names.insert(value.name());
  for (const proto::NodeProto &node : graph().node()) {
    names.insert(node.name());
    names.insert(node.input().begin(), node.input().end());
    names.insert(node.output().begin(), node.output().end());
    collectBodyNames(node, names);
  }
}

//===----------------------------------------------------------------------===//
// Changing
//===----------------------------------------------------------------------===//

int64_t EditableModel::opset() const {
  int64_t version = 0;
  for (const proto::OperatorSetIdProto &opset : model.opset_import())
    if (quern::onnx::canonicalDomain(opset.domain()).empty())
      version = opset.version();
  return version;
}

void EditableModel::setOpset(int64_t version) {
  bool isKnown = false;
  for (proto::OperatorSetIdProto &opset : *model.mutable_opset_import())
    if (quern::onnx::canonicalDomain(opset.domain()).empty()) {
      opset.set_version(version);
      isKnown = true;
    }
  if (!isKnown)
    model.add_opset_import()->set_version(version);
  int64_t wanted = version >= 21 ? kIrOfOpset21 : kIrOfOpset13;
  model.set_ir_version(std::max(model.ir_version(), wanted));
}

const proto::TensorProto *EditableModel::constant(const std::string &name) const {
  auto found = constants.find(name);
  return found == constants.end() ? nullptr : &graph().initializer(found->second);
}

Expected<Tensor> EditableModel::constantValue(const std::string &name) const {
  const proto::TensorProto *found = constant(name);
  if (!found)
    return internalError("'" + name + "' is no constant");
  auto tensor = quern::onnx::decodeTensor(*found, {}, {});
  return tensor ? std::move(tensor) : tensor.status().withContext("initializer '" + name + "'");
}

bool EditableModel::isFloatConstant(const std::string &name) const {
  const proto::TensorProto *found = constant(name);
  return found && found->data_type() == proto::TensorProto::FLOAT &&
         std::ranges::find(found->dims(), 0) == found->dims().end();
}

std::string EditableModel::freshName(const std::string &wanted) {
  std::string name = wanted;
  for (int i = 2; !names.insert(name).second; ++i)
    name = fmt::format("{}_{}", wanted, i);
  return name;
}

std::string EditableModel::addConstant(const std::string &wanted, const Tensor &tensor) {
  std::string name = freshName(wanted);
  constants[name] = graph().initializer_size();
  *graph().add_initializer() = makeTensorProto(name, tensor);
  return name;
}

void EditableModel::setNodes(std::vector<proto::NodeProto> nodes) {
  auto &list = *graph().mutable_node();
  list.Clear();
  list.Reserve(static_cast<int>(nodes.size()));
  for (proto::NodeProto &node : nodes)
    *list.Add() = std::move(node);
}

void EditableModel::removeUnusedConstants() {
  GraphIndex uses = index();
  auto &list = *graph().mutable_initializer();
  int kept = 0;
  for (int i = 0; i < list.size(); ++i) {
    const std::string &name = list[i].name();
    if (uses.readers.count(name) || uses.seenOutside.count(name))
      list.SwapElements(kept++, i);
  }
  list.DeleteSubrange(kept, list.size() - kept);
  refreshConstants();
}

void EditableModel::refreshConstants() {
  constants.clear();
  for (int i = 0; i < graph().initializer_size(); ++i)
    constants[graph().initializer(i).name()] = i;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static Expected<std::string> bytesOf(const proto::ModelProto &model) {
  if (auto bytes = static_cast<int64_t>(model.ByteSizeLong()); bytes > INT_MAX)
    return tooLarge(bytes);
  std::string text;
  if (!model.SerializeToString(&text))
    return internalError("the model cannot be serialized");
  return text;
}

Expected<std::string> EditableModel::serialize() const { return bytesOf(model); }

Expected<std::string>
EditableModel::serializeWithOutputs(const std::vector<std::string> &values) const {
  proto::ModelProto copy = model;
  copy.mutable_graph()->clear_output();
  for (const std::string &value : values)
    copy.mutable_graph()->add_output()->set_name(value);
  return bytesOf(copy);
}
