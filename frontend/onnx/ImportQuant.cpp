//===- ImportQuant.cpp - quantization, and arithmetic on quantized tensors ===//
//
// All of it is composed of core ops: elementwise ones, which fuse into their
// neighbours, and products and convolutions of int32. Nothing is approximate:
// products of 8-bit integers sum up in int32, which wraps; halves round to even;
// casts from floats to integers saturate.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/Composition.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/Window.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// These ops are known further than others: later versions of them brought types.
static constexpr int64_t kNewest = std::max<int64_t>(kNewestOpset, 28);

/// Refuses element types that ONNX does not allow for operand `i`, and those of less
/// than a byte and the float8 kinds, which nothing computes with.
static bool checkDType(NodeImport &node, int i, std::initializer_list<DType> allowed) {
  DType found = node.inputDType(i);
  if (std::find(allowed.begin(), allowed.end(), found) != allowed.end())
    return true;
  if (found >= DType::Float8E4M3FN)
    node.unsupported(fmt::format("element type {}", dtypeName(found)));
  else
    node.invalid(fmt::format("operand {} is {}", i, dtypeName(found)));
  return false;
}

/// Zero point `i`, which may be left out, is of the type of operand `data`.
static bool checkZeroPoint(NodeImport &node, int i, int data) {
  if (!node.hasInput(i) || node.inputDType(i) == node.inputDType(data))
    return true;
  node.invalid(fmt::format("the zero point is {}, expected {}", dtypeName(node.inputDType(i)),
                           dtypeName(node.inputDType(data))));
  return false;
}

//===----------------------------------------------------------------------===//
// Scales and zero points, as they broadcast to their data
//===----------------------------------------------------------------------===//

/// What broadcasts to `data` leaves its shape alone.
static Value checkBroadcast(NodeImport &node, Value parameter, Value data) {
  auto from = nn::shapeOf(parameter.getType()), to = nn::shapeOf(data.getType());
  if (from && to && !canBroadcastTo(*from, *to))
    node.invalid(
        fmt::format("a scale or zero point does not fit: {} to {}", from->str(), to->str()));
  return parameter;
}

/// A vector that has one entry becomes a scalar, as ONNX Runtime takes it. The shape
/// of the result; nullopt (and an error) when it is unknown.
static std::optional<nn::Shape> scalarOfOne(NodeImport &node, Value &parameter) {
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

/// A scale or zero point of a whole tensor.
static Value ofTensor(NodeImport &node, Value parameter) {
  if (nn::isNone(parameter))
    return parameter;
  auto shape = scalarOfOne(node, parameter);
  if (shape && shape->rank() == 1) // of one entry, as a run will show
    return node.create<nn::SqueezeOp>(parameter, node.intsConstant({0}));
  if (shape && shape->rank() > 1)
    node.invalid(fmt::format("a scale or zero point must be a scalar, found {}", shape->str()));
  return parameter;
}

/// A scalar, or a vector with an entry for each position of the dimension that `after`
/// others follow.
static Value alongAxis(NodeImport &node, Value parameter, int64_t after) {
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

namespace {
/// What QuantizeLinear and DequantizeLinear say about scales that are no scalars.
struct Granularity {
  /// Before opset 13 there are none.
  std::optional<int64_t> axis;
  /// How many neighbours along the axis share a scale; 0 when there are no blocks.
  int64_t blockSize = 0;
};
} // namespace

static Granularity readGranularity(NodeImport &node) {
  Granularity found;
  if (node.opset() >= 13)
    found.axis = node.getInt("axis", 1);
  if (node.opset() >= 21)
    found.blockSize = node.getInt("block_size", 0);
  if (found.blockSize < 0)
    node.invalid(
        fmt::format("attribute 'block_size' must not be negative, found {}", found.blockSize));
  return found;
}

/// Repeats each entry along `axis` for the neighbours of its block.
static Value spreadBlocks(NodeImport &node, Value parameter, Value data, int64_t axis,
                          int64_t blockSize) {
  nn::Shape shape = *nn::shapeOf(parameter.getType()), wanted = *nn::shapeOf(data.getType());
  if (shape.rank() != wanted.rank()) {
    node.invalid(fmt::format("blocks of {} need scales of the rank of the data, found {} for {}",
                             blockSize, shape.str(), wanted.str()));
    return parameter;
  }
  if (nn::Dim blocks = nn::ceilDiv(wanted[axis], blockSize); !shape[axis].compatibleWith(blocks))
    node.invalid(fmt::format("{} in blocks of {} along axis {} needs {} scales, found {}",
                             wanted.str(), blockSize, axis, blocks.str(), shape[axis].str()));
  Value positions = node.createCount(node.sizeOf(data, axis));
  Value blocks =
      node.create<nn::DivOp>(positions, node.constant(Tensor::of<int64_t>({}, {blockSize})));
  return node.create<nn::GatherOp>(parameter, blocks, axis);
}

/// A scale or zero point of QuantizeLinear and DequantizeLinear: for the whole tensor,
/// for each position of an axis, or for blocks along it.
static Value placed(NodeImport &node, Value parameter, const Granularity &by) {
  if (nn::isNone(parameter))
    return parameter;
  auto shape = scalarOfOne(node, parameter);
  if (!shape || shape->rank() == 0)
    return parameter;
  if (!by.axis)
    return ofTensor(node, parameter);
  // An axis that counts from the end needs no rank.
  auto data = node.inputShape(0);
  int64_t rank = data ? data->rank() : 0, axis = *by.axis < 0 ? *by.axis + rank : *by.axis;
  if (!data && (*by.axis >= 0 || by.blockSize > 0)) {
    node.unsupported("scales for an axis of data of unknown rank");
    return parameter;
  }
  if (data && (axis < 0 || axis >= rank)) {
    node.invalid(fmt::format("axis {} is not in [-{}, {})", *by.axis, rank, rank));
    return parameter;
  }
  if (by.blockSize > 0)
    parameter = spreadBlocks(node, parameter, node.input(0), axis, by.blockSize);
  else if (shape->rank() > 1)
    node.invalid(fmt::format("scales {} need attribute 'block_size'", shape->str()));
  else
    parameter = alongAxis(node, parameter, rank - axis - 1);
  return node.failed() ? parameter : checkBroadcast(node, parameter, node.input(0));
}

//===----------------------------------------------------------------------===//
// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear
//===----------------------------------------------------------------------===//

/// saturate(round(scaled) + zeroPoint). The cast saturates, and float32 is exact for
/// whatever is not beyond the range of 16 bits.
static Value roundAndSaturate(NodeImport &node, Value scaled, Value zeroPoint, DType to) {
  Value rounded = convert(node, node.create<nn::RoundOp>(scaled), DType::Float32);
  if (!nn::isNone(zeroPoint))
    rounded = node.create<nn::AddOp>(rounded, convert(node, zeroPoint, DType::Float32));
  return convert(node, rounded, to);
}

/// A type that an attribute names; Undefined when it does not.
static DType readDType(NodeImport &node, const char *attribute,
                       std::initializer_list<DType> allowed) {
  int64_t number = node.getInt(attribute, 0);
  auto found = std::find_if(allowed.begin(), allowed.end(),
                            [=](DType dtype) { return static_cast<int64_t>(dtype) == number; });
  if (found != allowed.end())
    return *found;
  if (number > static_cast<int64_t>(DType::BFloat16))
    node.unsupported(fmt::format("attribute '{}': element type number {}", attribute, number));
  else if (number != 0)
    node.invalid(fmt::format("attribute '{}': element type number {}", attribute, number));
  return DType::Undefined;
}

/// The type of the result: the zero point's, that of the attribute, or uint8.
static DType readQuantizedType(NodeImport &node) {
  DType named = DType::Undefined;
  if (node.opset() >= 21)
    named =
        readDType(node, "output_dtype", {DType::Int8, DType::UInt8, DType::Int16, DType::UInt16});
  if (!node.hasInput(2))
    return named == DType::Undefined ? DType::UInt8 : named;
  checkDType(node, 2, {DType::Int8, DType::UInt8, DType::Int16, DType::UInt16});
  if (named != DType::Undefined && named != node.inputDType(2))
    node.invalid(fmt::format("the zero point is {}, attribute 'output_dtype' says {}",
                             dtypeName(node.inputDType(2)), dtypeName(named)));
  return node.inputDType(2);
}

/// The type in which the scale divides. An int32 scale (of int32 data) is exact in float64.
static DType readDivisionType(NodeImport &node) {
  DType named = DType::Undefined;
  if (node.opset() >= 23)
    named = readDType(node, "precision", {DType::Float32, DType::Float16, DType::BFloat16});
  if (named != DType::Undefined)
    return named;
  DType scale = node.inputDType(1);
  return isFloat(scale) ? scale : DType::Float64;
}

static void importQuantizeLinear(NodeImport &node) {
  std::initializer_list<DType> numbers = {DType::Float32, DType::Float16, DType::BFloat16,
                                          DType::Int32};
  if (!checkDType(node, 0, numbers) || !checkDType(node, 1, numbers))
    return;
  Granularity by = readGranularity(node);
  if (node.opset() >= 19)
    node.ignoreAttribute("saturate"); // of float8 only
  DType to = readQuantizedType(node), division = readDivisionType(node);
  if (node.failed())
    return;
  Value scale = placed(node, node.input(1), by), zeroPoint = placed(node, node.input(2), by);
  if (node.failed())
    return;
  Value quotient = node.create<nn::DivOp>(convert(node, node.input(0), division),
                                          convert(node, scale, division));
  node.setOutput(0, roundAndSaturate(node, quotient, zeroPoint, to));
}

/// data - zeroPoint as int32.
static Value centred(NodeImport &node, Value data, Value zeroPoint) {
  Value value = convert(node, data, DType::Int32);
  if (nn::isNone(zeroPoint))
    return value;
  return node.create<nn::SubOp>(value, convert(node, zeroPoint, DType::Int32));
}

static void importDequantizeLinear(NodeImport &node) {
  if (!checkDType(node, 0,
                  {DType::Int8, DType::UInt8, DType::Int16, DType::UInt16, DType::Int32}) ||
      !checkDType(node, 1, {DType::Float32, DType::Float16, DType::BFloat16}) ||
      !checkZeroPoint(node, 2, 0))
    return;
  Granularity by = readGranularity(node);
  DType to = DType::Undefined;
  if (node.opset() >= 23)
    to = readDType(node, "output_dtype", {DType::Float32, DType::Float16, DType::BFloat16});
  if (to == DType::Undefined)
    to = node.inputDType(1);
  if (node.failed())
    return;
  Value scale = placed(node, node.input(1), by), zeroPoint = placed(node, node.input(2), by);
  if (node.failed())
    return;
  Value value = convert(node, centred(node, node.input(0), zeroPoint), DType::Float32);
  Value product = node.create<nn::MulOp>(value, convert(node, scale, DType::Float32));
  node.setOutput(0, convert(node, product, to));
}

/// Scale and zero point are those for which uint8 reaches from the smallest element to the
/// largest, and has 0. The scale of zeros only is 1, as in ONNX Runtime.
static void importDynamicQuantizeLinear(NodeImport &node) {
  if (!checkDType(node, 0, {DType::Float32}))
    return;
  Value x = node.input(0), zero = node.scalarConstant(0, DType::Float32);
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
  Value quotient = node.create<nn::DivOp>(x, scale);
  node.setOutput(0, roundAndSaturate(node, quotient, zeroPoint, DType::UInt8));
  node.setOutput(1, scale);
  node.setOutput(2, zeroPoint);
}

//===----------------------------------------------------------------------===//
// Products and convolutions
//===----------------------------------------------------------------------===//

/// Integers of 8 bits; an operand of such an op.
static bool checkBytes(NodeImport &node, int i) {
  return checkDType(node, i, {DType::Int8, DType::UInt8});
}

/// Both factors without their zero points, whose rows (of a) and columns (of b) may have
/// zero points of their own.
static Value integerProduct(NodeImport &node, Value a, Value aZero, Value b, Value bZero) {
  aZero = alongAxis(node, aZero, 1);
  bZero = alongAxis(node, bZero, 0);
  if (!node.failed() && !nn::isNone(aZero))
    checkBroadcast(node, aZero, a);
  if (!node.failed() && !nn::isNone(bZero))
    checkBroadcast(node, bZero, b);
  if (node.failed())
    return a;
  return node.create<nn::MatMulOp>(centred(node, a, aZero), centred(node, b, bZero));
}

static void importMatMulInteger(NodeImport &node) {
  if (!checkBytes(node, 0) || !checkBytes(node, 1) || !checkZeroPoint(node, 2, 0) ||
      !checkZeroPoint(node, 3, 1))
    return;
  node.setOutput(0,
                 integerProduct(node, node.input(0), node.input(2), node.input(1), node.input(3)));
}

namespace {
/// The operands of a convolution: their numbers, and the values that go with them.
struct ConvOperands {
  int input, weights;
  Value inputZero, weightsZero, bias;
};
struct IntegerConv {
  Value sums;
  int64_t spatialRank;
};
} // namespace

/// The convolution of data and weights without their zero points; that of the weights may be
/// one for each output channel. Beyond the edges of the data lies its zero point.
static IntegerConv integerConv(NodeImport &node, const ConvOperands &operands) {
  Value x = node.input(operands.input), w = node.input(operands.weights);
  Window window = readWindow(node, node.inputShape(operands.weights));
  int64_t group = node.getInt("group", 1);
  resolveAutoPad(window, node.inputShape(operands.input));
  auto spatialRank = static_cast<int64_t>(window.strides.size());
  Value xZero = ofTensor(node, operands.inputZero);
  Value wZero = alongAxis(node, operands.weightsZero, spatialRank + 1);
  if (!node.failed() && !nn::isNone(wZero))
    checkBroadcast(node, wZero, w);
  if (node.failed())
    return {x, spatialRank};
  Value sums =
      node.create<nn::ConvOp>(centred(node, x, xZero), centred(node, w, wZero), operands.bias,
                              window.strides, window.dilations, window.pads, group, window.autoPad);
  return {sums, spatialRank};
}

static void importConvInteger(NodeImport &node) {
  if (!checkBytes(node, 0) || !checkBytes(node, 1) || !checkZeroPoint(node, 2, 0) ||
      !checkZeroPoint(node, 3, 1))
    return;
  IntegerConv conv = integerConv(node, {0, 1, node.input(2), node.input(3), node.graph().none});
  node.setOutput(0, conv.sums);
}

/// The scale that turns sums into results: one number in float32, as in ONNX Runtime.
static Value requantizingScale(NodeImport &node, Value a, Value b, Value result) {
  Value product =
      node.create<nn::MulOp>(convert(node, a, DType::Float32), convert(node, b, DType::Float32));
  return node.create<nn::DivOp>(product, convert(node, result, DType::Float32));
}

static void setRequantized(NodeImport &node, Value sums, Value scale, Value zeroPoint) {
  if (node.failed())
    return;
  checkBroadcast(node, scale, sums);
  checkBroadcast(node, zeroPoint, sums);
  Value scaled = node.create<nn::MulOp>(convert(node, sums, DType::Float32), scale);
  node.setOutput(0, roundAndSaturate(node, scaled, zeroPoint, dtypeOf(zeroPoint)));
}

/// Operands: a value, its scale, its zero point; the same again; scale and zero point of
/// the result.
static bool checkQLinear(NodeImport &node) {
  for (int i : {0, 3, 7})
    if (!checkBytes(node, i))
      return false;
  for (int i : {1, 4, 6})
    if (!checkDType(node, i, {DType::Float32, DType::Float16, DType::BFloat16}))
      return false;
  return checkZeroPoint(node, 2, 0) && checkZeroPoint(node, 5, 3);
}

static void importQLinearMatMul(NodeImport &node) {
  if (!checkQLinear(node))
    return;
  Value sums = integerProduct(node, node.input(0), node.input(2), node.input(3), node.input(5));
  Value aScale = alongAxis(node, node.input(1), 1), bScale = alongAxis(node, node.input(4), 0);
  Value scale = alongAxis(node, node.input(6), 1), zeroPoint = alongAxis(node, node.input(7), 1);
  if (node.failed())
    return;
  setRequantized(node, sums, requantizingScale(node, aScale, bScale, scale), zeroPoint);
}

static void importQLinearConv(NodeImport &node) {
  if (!checkQLinear(node) || (node.hasInput(8) && !checkDType(node, 8, {DType::Int32})))
    return;
  IntegerConv conv = integerConv(node, {0, 3, node.input(2), node.input(5), node.input(8)});
  Value xScale = ofTensor(node, node.input(1)), yScale = ofTensor(node, node.input(6));
  Value zeroPoint = ofTensor(node, node.input(7));
  Value wScale = alongAxis(node, node.input(4), conv.spatialRank);
  if (node.failed())
    return;
  setRequantized(node, conv.sums, requantizingScale(node, xScale, wScale, yScale), zeroPoint);
}

std::span<const OpsetRow> quern::onnx::quantImports() {
  static constexpr OpsetRow rows[] = {
      {"ConvInteger", 10, kNewest, 2, 4, 1, importConvInteger},
      {"DequantizeLinear", 10, kNewest, 2, 3, 1, importDequantizeLinear},
      {"DynamicQuantizeLinear", 11, kNewest, 1, 1, 3, importDynamicQuantizeLinear},
      {"MatMulInteger", 10, kNewest, 2, 4, 1, importMatMulInteger},
      {"QLinearConv", 10, kNewest, 8, 9, 1, importQLinearConv},
      {"QLinearMatMul", 10, kNewest, 8, 8, 1, importQLinearMatMul},
      {"QuantizeLinear", 10, kNewest, 2, 3, 1, importQuantizeLinear},
  };
  return rows;
}
