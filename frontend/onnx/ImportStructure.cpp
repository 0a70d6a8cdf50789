//===- ImportStructure.cpp - constants and identity ------------------------===//
#include "frontend/onnx/NodeReader.h"
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
static Expected<Tensor> listConstant(NodeReader &node) {
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

static void importConstant(NodeReader &node) {
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

static void importConstantOfShape(NodeReader &node) {
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
  Value number = node.constant(value.reshaped({}));
  node.setOutput(0, node.create<nn::ExpandOp>(number, node.input(0)));
}

static void importIdentity(NodeReader &node) { node.setOutput(0, node.input(0)); }

std::span<const OpsetRow> quern::onnx::structureImports() {
  static constexpr OpsetRow rows[] = {
      {"Constant", 1, kNewestOpset, 0, 0, 1, importConstant},
      {"ConstantOfShape", 9, kNewestOpset, 1, 1, 1, importConstantOfShape},
      {"Identity", 1, kNewestOpset, 1, 1, 1, importIdentity, "", /*takesAnyValue=*/true},
  };
  return rows;
}
