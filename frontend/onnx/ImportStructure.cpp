//===- ImportStructure.cpp - constants, identity, dropout -----------------===//
#include "frontend/onnx/ImportContext.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/TensorData.h"
#include "frontend/onnx/WeightImport.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// A tensor of strings: rank 1, or rank 0 for a single one.
static Expected<Tensor> stringTensor(const std::vector<std::string> &strings, bool scalar) {
  Tensor::Dims dims;
  if (!scalar)
    dims.push_back(static_cast<int64_t>(strings.size()));
  QUERN_ASSIGN(Tensor tensor, Tensor::allocate(DType::String, dims));
  std::copy(strings.begin(), strings.end(), tensor.mutableData<std::string>());
  return tensor;
}

/// The tensor in one of the value_* attributes of opset 12.
static Expected<Tensor> listConstant(NodeImport &node) {
  if (node.hasAttribute("value_float"))
    return Tensor::of<float>({}, {static_cast<float>(node.getFloat("value_float"))});
  if (node.hasAttribute("value_floats")) {
    std::vector<float> values = node.getFloats("value_floats");
    return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
  }
  if (node.hasAttribute("value_int"))
    return Tensor::of<int64_t>({}, {node.getInt("value_int")});
  if (node.hasAttribute("value_ints"))
    return Tensor::ofInts(node.getInts("value_ints"));
  if (node.hasAttribute("value_string"))
    return stringTensor({node.getString("value_string")}, /*scalar=*/true);
  if (node.hasAttribute("value_strings"))
    return stringTensor(node.getStrings("value_strings"), /*scalar=*/false);
  if (node.hasAttribute("sparse_value"))
    return unsupported("attribute 'sparse_value'");
  return invalidModel("has no value");
}

static void importConstant(NodeImport &node) {
  if (const proto::TensorProto *tensor = node.getTensor("value")) {
    auto value = importTensor(node.graph(), *tensor, node.loc());
    if (!value)
      return node.fail(value.status());
    return node.setOutput(0, *value);
  }
  auto tensor = listConstant(node);
  if (!tensor)
    return node.fail(tensor.status());
  node.setOutput(0, node.constant(*tensor));
}

static void importConstantOfShape(NodeImport &node) {
  Tensor value = Tensor::of<float>({1}, {0});
  if (const proto::TensorProto *tensor = node.getTensor("value")) {
    auto decoded = decodeTensor(*tensor, node.graph().source, node.graph().limits);
    if (!decoded)
      return node.fail(decoded.status().withContext("attribute 'value'"));
    if (decoded->numElements() != 1)
      return node.invalid(
          fmt::format("attribute 'value' has {} elements, need 1", decoded->numElements()));
    value = decoded.take();
  }
  auto element = node.elementsAttr(value);
  if (!element)
    return node.unsupported(fmt::format("a fill of type {}", dtypeName(value.dtype())));
  node.setOutput(0, node.create<nn::ConstantOfShapeOp>(node.input(0), element));
}

static void importIdentity(NodeImport &node) { node.setOutput(0, node.input(0)); }

/// The shape of operand 0: a constant when it is known.
static Value shapeOfInput(NodeImport &node) {
  if (auto shape = node.inputShape(0); shape && shape->isStatic())
    return node.intsConstant(*shape->sizes());
  return node.create<nn::ShapeOp>(node.input(0), node.builder().getI64IntegerAttr(0),
                                  mlir::IntegerAttr());
}

/// Dropout does nothing in inference; its mask then keeps everything.
static void importDropout(NodeImport &node) {
  node.ignoreAttribute("seed");
  if (node.opset() < 12)
    node.getFloat("ratio", 0.5);
  if (node.hasInput(2)) {
    std::optional<Tensor> training = nn::constantTensor(node.input(2));
    if (!training || training->dtype() != DType::Bool || training->numElements() != 1)
      return node.unsupported("a training_mode that is no constant");
    if (training->data<bool>()[0])
      return node.unsupported("training mode");
  }
  node.setOutput(0, node.input(0));
  if (!node.hasOutput(1))
    return;
  // The mask had the type of the data before opset 10.
  Value mask = node.create<nn::ConstantOfShapeOp>(shapeOfInput(node),
                                                  node.elementsAttr(Tensor::of<bool>({1}, {true})));
  if (node.opset() < 10)
    mask = node.createCast(mask, node.inputDType(0));
  node.setOutput(1, mask);
}

std::span<const OpsetRow> quern::onnx::structureImports() {
  static constexpr OpsetRow rows[] = {
      {"Constant", 1, kNewestOpset, 0, 0, 1, importConstant},
      {"ConstantOfShape", 9, kNewestOpset, 1, 1, 1, importConstantOfShape},
      {"Dropout", 7, 11, 1, 1, 2, importDropout},
      {"Dropout", 12, kNewestOpset, 1, 3, 2, importDropout},
      {"Identity", 1, kNewestOpset, 1, 1, 1, importIdentity, "", /*takesAnyValue=*/true},
  };
  return rows;
}
