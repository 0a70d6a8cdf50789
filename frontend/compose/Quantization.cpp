//===- Quantization.cpp - scales, zero points and what they mean ----------===//
#include "frontend/compose/Quantization.h"

#include "frontend/compose/Composition.h"
#include "ir/QuantOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::frontend;
using mlir::Value;

//===----------------------------------------------------------------------===//
// Scales and zero points, as they broadcast to their data
//===----------------------------------------------------------------------===//

Value frontend::checkBroadcast(GraphBuilder &graph, Value parameter, Value data) {
  auto from = nn::shapeOf(parameter.getType()), to = nn::shapeOf(data.getType());
  if (from && to && !canBroadcastTo(*from, *to))
    graph.invalid(
        fmt::format("a scale or zero point does not fit: {} to {}", from->str(), to->str()));
  return parameter;
}

std::optional<nn::Shape> frontend::scalarOfOne(GraphBuilder &graph, Value &parameter) {
  auto shape = nn::shapeOf(parameter.getType());
  if (!shape) {
    graph.unsupported("a scale or zero point of unknown rank");
    return std::nullopt;
  }
  if (shape->rank() != 1 || !(*shape)[0].isStatic(1))
    return shape;
  parameter = graph.create<nn::SqueezeOp>(parameter, graph.intsConstant({0}));
  return nn::Shape();
}

Value frontend::ofTensor(GraphBuilder &graph, Value parameter) {
  if (nn::isNone(parameter))
    return parameter;
  auto shape = scalarOfOne(graph, parameter);
  if (shape && shape->rank() == 1) // of one entry, as a run will show
    return graph.create<nn::SqueezeOp>(parameter, graph.intsConstant({0}));
  if (shape && shape->rank() > 1)
    graph.invalid(fmt::format("a scale or zero point must be a scalar, found {}", shape->str()));
  return parameter;
}

Value frontend::alongAxis(GraphBuilder &graph, Value parameter, int64_t after) {
  if (nn::isNone(parameter))
    return parameter;
  auto shape = scalarOfOne(graph, parameter);
  if (!shape || shape->rank() != 1 || after == 0)
    return parameter;
  std::vector<int64_t> axes;
  for (int64_t i = 1; i <= after; ++i)
    axes.push_back(i);
  return graph.create<nn::UnsqueezeOp>(parameter, graph.intsConstant(axes));
}

//===----------------------------------------------------------------------===//
// From numbers to quantized ones and back
//===----------------------------------------------------------------------===//

Value frontend::dequantize(GraphBuilder &graph, Value data, Value scale, Value zeroPoint) {
  return graph.create<nn::DequantizeOp>(data, scale, zeroPoint, graph.builder().getF32Type());
}

/// With a vector for a dimension that counts from the end.
static Value createQuantize(GraphBuilder &graph, Value x, Value scale, Value zeroPoint, DType to,
                            int64_t axis) {
  mlir::Type elements = nn::elementTypeOf(graph.builder().getContext(), to);
  return graph.create<nn::QuantizeOp>(x, scale, zeroPoint, elements, graph.builder().getF32Type(),
                                      axis);
}

Value frontend::quantize(GraphBuilder &graph, Value x, Value scale, Value zeroPoint, DType to) {
  return createQuantize(graph, x, scale, zeroPoint, to, /*axis=*/0);
}

Value frontend::roundAndSaturate(GraphBuilder &graph, Value scaled, Value zeroPoint, DType to) {
  auto zeroShape = nn::shapeOf(zeroPoint.getType());
  // What broadcasts in any other way is added to whole numbers, which stay so.
  if (zeroShape && zeroShape->rank() > 1) {
    scaled = graph.create<nn::AddOp>(graph.create<nn::RoundOp>(scaled),
                                     convert(graph, zeroPoint, DType::Float32));
    zeroPoint = graph.none();
  }
  return createQuantize(graph, scaled, graph.scalarConstant(1, DType::Float32), zeroPoint, to,
                        zeroShape && zeroShape->rank() == 1 ? -2 : 0);
}

DynamicallyQuantized frontend::quantizeDynamically(GraphBuilder &graph, Value x) {
  Value zero = graph.scalarConstant(0, DType::Float32);
  auto extreme = [&](ReduceKind kind) {
    return graph.create<nn::ReduceOp>(x, graph.none(), kind, /*keepdims=*/false,
                                      /*noop_with_empty_axes=*/false);
  };
  Value low = graph.create<nn::MinOp>(extreme(ReduceKind::Min), zero);
  Value high = graph.create<nn::MaxOp>(extreme(ReduceKind::Max), zero);
  Value range = graph.create<nn::SubOp>(high, low);
  Value scale = graph.create<nn::DivOp>(range, graph.scalarConstant(255, DType::Float32));
  Value isEmpty = graph.create<nn::EqualOp>(range, zero);
  scale = graph.create<nn::WhereOp>(isEmpty, graph.scalarConstant(1, DType::Float32), scale);
  Value lowest = graph.create<nn::DivOp>(low, scale);
  Value zeroPoint =
      roundAndSaturate(graph, graph.create<nn::SubOp>(zero, lowest), graph.none(), DType::UInt8);
  return {quantize(graph, x, scale, zeroPoint, DType::UInt8), scale, zeroPoint};
}

//===----------------------------------------------------------------------===//
// Channels behind the spatial dimensions
//===----------------------------------------------------------------------===//

/// Moves the last dimension behind the first, or back.
static Value moveDimension(GraphBuilder &graph, Value value, bool toFront) {
  auto shape = nn::shapeOf(value.getType());
  if (!shape || shape->rank() < 3) {
    graph.unsupported(
        "channels behind the spatial dimensions need a tensor of known rank, 3 or more");
    return value;
  }
  std::vector<int64_t> perm = {0};
  auto rank = shape->rank();
  for (int64_t i = 1; i < rank; ++i)
    perm.push_back(toFront ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1));
  return graph.create<nn::TransposeOp>(value, perm);
}

Value frontend::channelsToFront(GraphBuilder &graph, Value value) {
  return moveDimension(graph, value, /*toFront=*/true);
}

Value frontend::channelsToBack(GraphBuilder &graph, Value value) {
  return moveDimension(graph, value, /*toFront=*/false);
}
