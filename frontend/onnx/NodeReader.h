//===- NodeReader.h - what the import of one node works with --------------===//
#pragma once

#include "frontend/GraphBuilder.h"
#include "frontend/onnx/GraphImport.h"
#include "frontend/onnx/Scope.h"

#include <set>
#include <string_view>

namespace quern::onnx {

// What models of any format are made of.
using namespace frontend;

/// One node during its import. After an error getters return harmless defaults.
class NodeReader : public GraphBuilder {
public:
  NodeReader(GraphImport &graph, Scope &scope, const proto::NodeProto &node, mlir::Location loc,
             int64_t opset);

  GraphImport &graph() { return graphImport; }
  const Scope &scope() const { return names; }
  const std::string &op() const { return node.op_type(); }
  int64_t opset() const { return opsetVersion; }

  // Operands. The driver has checked the arity and that required ones are there.
  int inputCount() const { return static_cast<int>(inputs.size()); }
  /// An input of a function that its call left out is left out as well.
  bool hasInput(int i) const { return i < inputCount() && !nn::isNone(inputs[i]); }
  /// The operand; `nn.none` when left out.
  mlir::Value input(int i) const { return i < inputCount() ? inputs[i] : none(); }
  mlir::ValueRange allInputs() const { return inputs; }
  DType inputDType(int i) const;
  /// The shape of an operand; nullopt when unranked or left out.
  std::optional<nn::Shape> inputShape(int i) const { return nn::shapeOf(input(i).getType()); }

  // Results.
  int outputCount() const { return node.output_size(); }
  bool hasOutput(int i) const { return i < outputCount() && !node.output(i).empty(); }
  void setOutput(int i, mlir::Value value);

  // Attributes. Without a default they are required. One that nobody has asked
  // for when the import function returns is an error.
  bool hasAttribute(std::string_view name);
  int64_t getInt(std::string_view name, std::optional<int64_t> otherwise = std::nullopt);
  bool getBool(std::string_view name, bool otherwise) { return getInt(name, otherwise) != 0; }
  /// Float attributes are float32, and so are their defaults.
  double getFloat(std::string_view name, std::optional<double> otherwise = std::nullopt);
  /// A float or an int attribute.
  double getNumber(std::string_view name, double otherwise);
  std::string getString(std::string_view name, std::optional<std::string> otherwise = std::nullopt);
  /// A value of an enumeration by its name; any other is refused.
  template <typename E> E getEnum(std::string_view name, E otherwise) {
    std::string text = getString(name, std::string(nameOf(otherwise)));
    std::optional<E> value = enumNamed<E>(text);
    if (!value)
      unsupported(std::string(name) + " '" + text + "'");
    return value.value_or(otherwise);
  }
  std::vector<int64_t> getInts(std::string_view name);
  std::vector<float> getFloats(std::string_view name);
  std::vector<std::string> getStrings(std::string_view name);
  const proto::TensorProto *getTensor(std::string_view name);
  /// Required.
  ValueType getType(std::string_view name);
  /// Required.
  const proto::GraphProto *getGraph(std::string_view name);
  /// Counts an attribute as read; for those without a meaning in inference.
  void ignoreAttribute(std::string_view name) { readAttributes.emplace(name); }
  /// An attribute that has not been read.
  std::optional<std::string> unreadAttribute() const;

private:
  const proto::AttributeProto *find(std::string_view name,
                                    proto::AttributeProto::AttributeType type, bool required);

  GraphImport &graphImport;
  Scope &names;
  const proto::NodeProto &node;
  int64_t opsetVersion;
  llvm::SmallVector<mlir::Value> inputs;
  std::set<std::string> readAttributes;
};

} // namespace quern::onnx
