//===- Operands.cpp - what importers ask of a node's operands -------------===//
#include "frontend/onnx/Operands.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

int64_t quern::onnx::readAxis(NodeReader &node, int64_t otherwise) {
  int64_t axis = node.getInt("axis", otherwise);
  std::optional<nn::Shape> shape = node.inputShape(0);
  if (!shape)
    return axis;
  int64_t rank = shape->rank();
  if (axis < -rank || axis >= rank) {
    node.invalid(fmt::format("axis {} is outside [{}, {})", axis, -rank, rank));
    return -1;
  }
  return axis < 0 ? axis : axis - rank;
}

Value quern::onnx::readScalar(NodeReader &node, int i, DType dtype) {
  std::optional<nn::Shape> shape = node.inputShape(i);
  if (shape && shape->numElements().value_or(1) != 1)
    node.invalid(fmt::format("input {} must be one number, found {}", i, shape->str()));
  Value value = convert(node, node.input(i), dtype);
  bool isScalar = shape && shape->rank() == 0;
  return isScalar ? value : node.create<nn::ReshapeOp>(value, node.intsConstant({}), false);
}

void quern::onnx::requireFloats(NodeReader &node, int i) {
  if (DType dtype = node.inputDType(i); !isFloat(dtype))
    node.invalid(fmt::format("input {} must hold floats, found {}", i, dtypeName(dtype)));
}

void quern::onnx::requireBroadcastsToFirst(NodeReader &node, int i) {
  std::optional<nn::Shape> from = node.inputShape(i), to = node.inputShape(0);
  if (node.hasInput(i) && from && to && !canBroadcastTo(*from, *to))
    node.invalid(fmt::format("input {} does not broadcast to the shape of input 0", i));
}

DType quern::onnx::attentionType(NodeReader &node, llvm::ArrayRef<int> inputs) {
  for (int i : inputs)
    if (node.hasInput(i) && node.inputDType(i) == DType::Float64)
      return DType::Float64;
  return DType::Float32;
}

bool quern::onnx::checkDType(NodeReader &node, int i, std::initializer_list<DType> allowed) {
  DType found = node.inputDType(i);
  if (std::find(allowed.begin(), allowed.end(), found) != allowed.end())
    return true;
  node.invalid(fmt::format("operand {} is {}", i, dtypeName(found)));
  return false;
}

bool quern::onnx::checkBytes(NodeReader &node, int i) {
  return checkDType(node, i, {DType::Int8, DType::UInt8});
}

bool quern::onnx::checkScale(NodeReader &node, int i) {
  return checkDType(node, i, {DType::Float32, DType::Float16, DType::BFloat16});
}

bool quern::onnx::checkZeroPoint(NodeReader &node, int i, int data) {
  if (!node.hasInput(i) || node.inputDType(i) == node.inputDType(data))
    return true;
  node.invalid(fmt::format("the zero point is {}, expected {}", dtypeName(node.inputDType(i)),
                           dtypeName(node.inputDType(data))));
  return false;
}

Value ChannelsLast::toFront(NodeReader &node, Value value) const {
  return isSet && !node.failed() ? channelsToFront(node, value) : value;
}

Value ChannelsLast::toBack(NodeReader &node, Value value) const {
  return isSet && !node.failed() ? channelsToBack(node, value) : value;
}
