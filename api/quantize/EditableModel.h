//===- EditableModel.h - an ONNX model that is changed --------------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"
#include "quern/Model.h"

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace quern::quantization {

namespace proto = quern::onnx::proto;

/// Where the values of a graph come from and go to.
struct GraphIndex {
  /// The node that makes a value.
  std::unordered_map<std::string, int> producers;
  /// The nodes that read a value, once for each operand.
  std::unordered_map<std::string, std::vector<int>> readers;
  /// Values that are seen from outside the nodes of the graph: its outputs, and what bodies read.
  std::set<std::string> seenOutside;

  /// The only node that reads `value`, when nobody else does; -1 otherwise.
  int soleReader(const std::string &value) const;
  /// -1: an input of the graph, or a constant.
  int producer(const std::string &value) const;
};

/// A model whose graph is rewritten. All its weights are in the message, constants are
/// initializers, nodes stand in the order in which they can run and have names of their own.
class EditableModel {
public:
  /// Checks a model as loading does, before it is looked into. Errors do not name the file.
  static Expected<EditableModel> read(const std::string &path, const Limits &limits);
  static Expected<EditableModel> read(const ModelBytes &bytes, const Limits &limits);

  proto::GraphProto &graph() { return *model.mutable_graph(); }
  const proto::GraphProto &graph() const { return model.graph(); }
  /// Of ONNX's own domain.
  int64_t opset() const;
  /// What the file says of itself; opset and IR version as they are wanted for nodes that are
  /// made. Nodes that there are must mean the same: see RaiseOpset.h.
  void setOpset(int64_t version);
  proto::ModelProto &message() { return model; }
  const proto::ModelProto &message() const { return model; }

  GraphIndex index() const;
  /// Null when `name` is no initializer.
  const proto::TensorProto *constant(const std::string &name) const;
  /// The elements of a constant, converted to a Tensor.
  Expected<Tensor> constantValue(const std::string &name) const;
  /// A float32 constant with at least one element.
  bool isFloatConstant(const std::string &name) const;

  /// Like `wanted`, and not the name of anything there is.
  std::string freshName(const std::string &wanted);
  /// Adds a constant under such a name, which is the result.
  std::string addConstant(const std::string &wanted, const Tensor &tensor);
  /// Finds the constants again, after the message was changed.
  void refreshConstants();
  /// Removes constants that nobody reads.
  void removeUnusedConstants();
  /// Replaces the nodes of the graph.
  void setNodes(std::vector<proto::NodeProto> nodes);

  /// The bytes of the file; ResourceLimit when they are too many for protobuf.
  Expected<std::string> serialize() const;
  /// The same model with these values as its outputs, in their order.
  Expected<std::string> serializeWithOutputs(const std::vector<std::string> &values) const;

private:
  Status normalize(const std::vector<int> &order);
  void collectNames();

  proto::ModelProto model;
  std::unordered_map<std::string, int> constants;
  std::set<std::string> names;
};

/// A node of ONNX's own domain, named after its result.
proto::NodeProto makeNode(const std::string &op, const std::vector<std::string> &inputs,
                          const std::string &output);
void setAttribute(proto::NodeProto &node, const std::string &name, int64_t value);
void setAttribute(proto::NodeProto &node, const std::string &name, const std::string &value);
/// Null when the node has none of this name.
const proto::AttributeProto *findAttribute(const proto::NodeProto &node, const std::string &name);
int64_t intAttribute(const proto::NodeProto &node, const std::string &name, int64_t otherwise);
float floatAttribute(const proto::NodeProto &node, const std::string &name, float otherwise);
void removeAttribute(proto::NodeProto &node, const std::string &name);
/// Of ONNX's own domain.
bool isOp(const proto::NodeProto &node, std::string_view op);
/// All names in the bodies of a node: what they read of the graph around it is among them.
std::set<std::string> namesInBodies(const proto::NodeProto &node);
proto::TensorProto makeTensorProto(const std::string &name, const Tensor &tensor);

} // namespace quern::quantization
