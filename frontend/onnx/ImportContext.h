//===- ImportContext.h - what the import of one node works with -----------===//
#pragma once

#include "frontend/onnx/GraphImport.h"
#include "frontend/onnx/Scope.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include <set>
#include <string_view>

namespace quern::onnx {

/// One node during its import. Errors are sticky: the first is kept, getters then
/// return harmless defaults, so that an import function reads straight through.
class NodeImport {
public:
  NodeImport(GraphImport &graph, Scope &scope, const proto::NodeProto &node, mlir::Location loc,
             int64_t opset);

  GraphImport &graph() { return graphImport; }
  const Scope &scope() const { return names; }
  mlir::OpBuilder &builder() { return graphImport.builder; }
  mlir::Location loc() const { return location; }
  const std::string &op() const { return node.op_type(); }
  int64_t opset() const { return opsetVersion; }

  // Operands. The driver has checked the arity and that required ones are there.
  int inputCount() const { return static_cast<int>(inputs.size()); }
  /// An input of a function that its call left out is left out as well.
  bool hasInput(int i) const { return i < inputCount() && !nn::isNone(inputs[i]); }
  /// The operand; `nn.none` when left out.
  mlir::Value input(int i) const { return i < inputCount() ? inputs[i] : graphImport.none; }
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

  // Errors.
  void fail(Status error);
  void invalid(std::string message) { fail(invalidModel(std::move(message))); }
  void unsupported(std::string message) { fail(quern::unsupported(std::move(message))); }
  bool failed() const { return !firstError.isOk(); }
  const Status &status() const { return firstError; }

  // Building.
  /// Builds an op with one result; the arguments are those of its ODS builder
  /// after the result type, which the op infers.
  template <typename Op, typename... Args> mlir::Value create(Args &&...args) {
    return inferred(builder().create<Op>(loc(), uninferredType(), std::forward<Args>(args)...));
  }
  /// As `create`, for ops with several results.
  template <typename Op, typename... Args>
  mlir::ResultRange createMulti(size_t results, Args &&...args) {
    llvm::SmallVector<mlir::Type> types(results, uninferredType());
    mlir::Operation *op =
        builder().create<Op>(loc(), mlir::TypeRange(types), std::forward<Args>(args)...);
    inferTypes(op);
    return op->getResults();
  }
  /// As above, of a state with all but result types.
  mlir::ResultRange createMulti(mlir::OperationState &state, size_t results);
  /// An op of the elementwise table.
  mlir::Value createElementwise(const nn::ElementwiseInfo &row, mlir::ValueRange operands,
                                llvm::ArrayRef<double> params = {});
  mlir::Value constant(const Tensor &tensor);
  mlir::Value intsConstant(const std::vector<int64_t> &values);
  mlir::Value createCast(mlir::Value value, DType dtype);
  /// A rank-0 constant.
  mlir::Value scalarConstant(double value, DType dtype);
  /// A size of a tensor, as an int64 vector of one: a constant when it is known. A
  /// negative dimension counts from the end.
  mlir::Value sizeOf(mlir::Value tensor, int64_t dimension);
  /// The int64 vector 0, 1, ... count - 1.
  mlir::Value createCount(mlir::Value count);

private:
  const proto::AttributeProto *find(std::string_view name,
                                    proto::AttributeProto::AttributeType type, bool required);
  /// What results are declared as until inferTypes replaces it.
  mlir::Type uninferredType();
  void inferTypes(mlir::Operation *op);
  mlir::Value inferred(mlir::Operation *op);

  GraphImport &graphImport;
  Scope &names;
  const proto::NodeProto &node;
  mlir::Location location;
  int64_t opsetVersion;
  llvm::SmallVector<mlir::Value> inputs;
  std::set<std::string> readAttributes;
  Status firstError;
};

} // namespace quern::onnx
