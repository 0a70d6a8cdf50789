//===- Quantization.cpp - scales, zero points and what they mean ----------===//
#include "frontend/onnx/Quantization.h"

#include "frontend/onnx/Composition.h"
#include "ir/QuantOps.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

bool quern::onnx::checkDType(NodeImport &node, int i, std::initializer_list<DType> allowed) {
  DType found = node.inputDType(i);
  if (std::find(allowed.begin(), allowed.end(), found) != allowed.end())
    return true;
  node.invalid(fmt::format("operand {} is {}", i, dtypeName(found)));
  return false;
}

bool quern::onnx::checkBytes(NodeImport &node, int i) {
  return checkDType(node, i, {DType::Int8, DType::UInt8});
}

bool quern::onnx::checkScale(NodeImport &node, int i) {
  return checkDType(node, i, {DType::Float32, DType::Float16, DType::BFloat16});
}

bool quern::onnx::checkZeroPoint(NodeImport &node, int i, int data) {
  if (!node.hasInput(i) || node.inputDType(i) == node.inputDType(data))
    return true;
  node.invalid(fmt::format("the zero point is {}, expected {}", dtypeName(node.inputDType(i)),
                           dtypeName(node.inputDType(data))));
  return false;
}

//===----------------------------------------------------------------------===//
// Scales and zero points, as they broadcast to their data
//===----------------------------------------------------------------------===//

Value quern::onnx::checkBroadcast(NodeImport &node, Value parameter, Value data) {
  auto from = nn::shapeOf(parameter.getType()), to = nn::shapeOf(data.getType());
  if (from && to && !canBroadcastTo(*from, *to))
    node.invalid(
        fmt::format("a scale or zero point does not fit: {} to {}", from->str(), to->str()));
  return parameter;
}

std::optional<nn::Shape> quern::onnx::scalarOfOne(NodeImport &node, Value &parameter) {
  auto shape = nn::shapeOf(parameter.getType());
  if (!shape) {
    node.unsupported("a scale or zero point of unknown rank");
    return std::nullopt;
  }
  if (shape->rank() != 1 || !(*shape)[0].isStatic(1))
    return shape;
  parameter = node.create<nn::SqueezeOp>(parameter, node.intsConstant({0}));
  return nn::Shape();
}

Value quern::onnx::ofTensor(NodeImport &node, Value parameter) {
  if (nn::isNone(parameter))
    return parameter;
  auto shape = scalarOfOne(node, parameter);
  if (shape && shape->rank() == 1) // of one entry, as a run will show
    return node.create<nn::SqueezeOp>(parameter, node.intsConstant({0}));
  if (shape && shape->rank() > 1)
    node.invalid(fmt::format("a scale or zero point must be a scalar, found {}", shape->str()));
  return parameter;
}

Value quern::onnx::alongAxis(NodeImport &node, Value parameter, int64_t after) {
  if (nn::isNone(parameter))
    return parameter;
  auto shape = scalarOfOne(node, parameter);
  if (!shape || shape->rank() != 1 || after == 0)
    return parameter;
  std::vector<int64_t> axes;
  for (int64_t i = 1; i <= after; ++i)
    axes.push_back(i);
  return node.create<nn::UnsqueezeOp>(parameter, node.intsConstant(axes));
}

//===----------------------------------------------------------------------===//
// From numbers to quantized ones and back
//===----------------------------------------------------------------------===//

Value quern::onnx::dequantize(NodeImport &node, Value data, Value scale, Value zeroPoint) {
  return node.create<nn::DequantizeOp>(data, scale, zeroPoint, node.builder().getF32Type());
}

/// With a vector for a dimension that counts from the end.
static Value createQuantize(NodeImport &node, Value x, Value scale, Value zeroPoint, DType to,
                            int64_t axis) {
  mlir::Type elements = nn::elementTypeOf(node.builder().getContext(), to);
  return node.create<nn::QuantizeOp>(x, scale, zeroPoint, elements, node.builder().getF32Type(),
                                     axis);
}

Value quern::onnx::quantize(NodeImport &node, Value x, Value scale, Value zeroPoint, DType to) {
  return createQuantize(node, x, scale, zeroPoint, to, /*axis=*/0);
}

Value quern::onnx::roundAndSaturate(NodeImport &node, Value scaled, Value zeroPoint, DType to) {
  auto zeroShape = nn::shapeOf(zeroPoint.getType());
  // What broadcasts in any other way is added to whole numbers, which stay so.
  if (zeroShape && zeroShape->rank() > 1) {
    scaled = node.create<nn::AddOp>(node.create<nn::RoundOp>(scaled),
                                    convert(node, zeroPoint, DType::Float32));
    zeroPoint = node.graph().none;
  }
  return createQuantize(node, scaled, node.scalarConstant(1, DType::Float32), zeroPoint, to,
                        zeroShape && zeroShape->rank() == 1 ? -2 : 0);
}

DynamicallyQuantized quern::onnx::quantizeDynamically(NodeImport &node, Value x) {
  Value zero = node.scalarConstant(0, DType::Float32);
  auto extreme = [&](ReduceKind kind) {
    return node.create<nn::ReduceOp>(x, node.graph().none, kind, /*keepdims=*/false,
                                     /*noop_with_empty_axes=*/false);
  };
  Value low = node.create<nn::MinOp>(extreme(ReduceKind::Min), zero);
  Value high = node.create<nn::MaxOp>(extreme(ReduceKind::Max), zero);
  Value range = node.create<nn::SubOp>(high, low);
  Value scale = node.create<nn::DivOp>(range, node.scalarConstant(255, DType::Float32));
  Value isEmpty = node.create<nn::EqualOp>(range, zero);
  scale = node.create<nn::WhereOp>(isEmpty, node.scalarConstant(1, DType::Float32), scale);
  Value lowest = node.create<nn::DivOp>(low, scale);
  Value zeroPoint =
      roundAndSaturate(node, node.create<nn::SubOp>(zero, lowest), node.graph().none, DType::UInt8);
  return {quantize(node, x, scale, zeroPoint, DType::UInt8), scale, zeroPoint};
}

//===----------------------------------------------------------------------===//
// Channels behind the spatial dimensions
//===----------------------------------------------------------------------===//

/// Moves the last dimension behind the first, or back.
static Value moveDimension(NodeImport &node, Value value, bool toFront) {
  auto shape = nn::shapeOf(value.getType());
  if (!shape || shape->rank() < 3) {
    node.unsupported("channels_last needs a tensor of known rank, 3 or more");
    return value;
  }
  std::vector<int64_t> perm = {0};
  auto rank = shape->rank();
  for (int64_t i = 1; i < rank; ++i)
    perm.push_back(toFront ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1));
  return node.create<nn::TransposeOp>(value, perm);
}

Value ChannelsLast::toFront(NodeImport &node, Value value) const {
  return isSet && !node.failed() ? moveDimension(node, value, /*toFront=*/true) : value;
}

Value ChannelsLast::toBack(NodeImport &node, Value value) const {
  return isSet && !node.failed() ? moveDimension(node, value, /*toFront=*/false) : value;
}
