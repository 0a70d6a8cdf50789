//===- ImportQuantProducts.cpp - products and convolutions of integers ----===//
//
// Sums of int32 and, where the result is not that, the scales and zero points that make
// it floats or bytes again.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/compose/Quantization.h"
#include "frontend/compose/Window.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/WindowAttributes.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

//===----------------------------------------------------------------------===//
// Sums of int32
//===----------------------------------------------------------------------===//

/// The product of a and b without their zero points.
static Value integerProduct(NodeReader &node, Value a, Value aZero, Value b, Value bZero) {
  if (node.failed())
    return a;
  return node.create<nn::MatMulIntegerOp>(a, b, aZero, bZero);
}

static void importMatMulInteger(NodeReader &node) {
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
  ChannelsLast last;
};
/// Channels in front.
struct IntegerConv {
  Value sums;
  int64_t spatialRank;
};
} // namespace

/// The convolution of data and weights without their zero points.
static IntegerConv integerConv(NodeReader &node, const ConvOperands &operands) {
  Value x = operands.last.toFront(node, node.input(operands.input));
  Value w = node.input(operands.weights);
  Window window = readWindow(node, node.inputShape(operands.weights));
  int64_t group = node.getInt("group", 1);
  resolveAutoPad(window, nn::shapeOf(x.getType()));
  auto spatialRank = static_cast<int64_t>(window.strides.size());
  if (node.failed())
    return {x, spatialRank};
  Value sums = node.create<nn::ConvIntegerOp>(x, w, operands.inputZero, operands.weightsZero,
                                              operands.bias, window.strides, window.dilations,
                                              window.pads, group, window.autoPad);
  return {sums, spatialRank};
}

static void importConvInteger(NodeReader &node) {
  if (!checkBytes(node, 0) || !checkBytes(node, 1) || !checkZeroPoint(node, 2, 0) ||
      !checkZeroPoint(node, 3, 1))
    return;
  IntegerConv conv = integerConv(node, {0, 1, node.input(2), node.input(3), node.none(), {}});
  node.setOutput(0, conv.sums);
}

//===----------------------------------------------------------------------===//
// Bytes again
//===----------------------------------------------------------------------===//

/// The scale that turns sums into results: one number in float32, as in ONNX Runtime.
static Value requantizingScale(NodeReader &node, Value a, Value b, Value result) {
  Value product =
      node.create<nn::MulOp>(convert(node, a, DType::Float32), convert(node, b, DType::Float32));
  return node.create<nn::DivOp>(product, convert(node, result, DType::Float32));
}

/// As a vector the zero point is one for each row.
static Value requantized(NodeReader &node, Value sums, Value scale, Value zeroPoint) {
  if (node.failed())
    return sums;
  checkBroadcast(node, scale, sums);
  Value scaled = node.create<nn::MulOp>(convert(node, sums, DType::Float32), scale);
  return roundAndSaturate(node, scaled, zeroPoint, dtypeOf(zeroPoint));
}

/// Operands: a value, its scale, its zero point; the same again; scale and zero point of
/// the result.
static bool checkQLinear(NodeReader &node) {
  for (int i : {0, 3, 7})
    if (!checkBytes(node, i))
      return false;
  for (int i : {1, 4, 6})
    if (!checkScale(node, i))
      return false;
  return checkZeroPoint(node, 2, 0) && checkZeroPoint(node, 5, 3);
}

static void importQLinearMatMul(NodeReader &node) {
  if (!checkQLinear(node))
    return;
  Value sums = integerProduct(node, node.input(0), node.input(2), node.input(3), node.input(5));
  Value aScale = alongAxis(node, node.input(1), 1), bScale = alongAxis(node, node.input(4), 0);
  Value scale = alongAxis(node, node.input(6), 1);
  if (node.failed())
    return;
  scale = requantizingScale(node, aScale, bScale, scale);
  node.setOutput(0, requantized(node, sums, scale, node.input(7)));
}

static void setQLinearConv(NodeReader &node, const ChannelsLast &last) {
  if (!checkQLinear(node) || (node.hasInput(8) && !checkDType(node, 8, {DType::Int32})))
    return;
  IntegerConv conv = integerConv(node, {0, 3, node.input(2), node.input(5), node.input(8), last});
  Value xScale = ofTensor(node, node.input(1)), yScale = ofTensor(node, node.input(6));
  Value zeroPoint = ofTensor(node, node.input(7));
  Value wScale = alongAxis(node, node.input(4), conv.spatialRank);
  if (node.failed())
    return;
  Value scale = requantizingScale(node, xScale, wScale, yScale);
  node.setOutput(0, last.toBack(node, requantized(node, conv.sums, scale, zeroPoint)));
}

static void importQLinearConv(NodeReader &node) { setQLinearConv(node, {}); }
/// With channels behind the pixels, if its attribute says so; weights are ONNX's.
static void importNhwcQLinearConv(NodeReader &node) { setQLinearConv(node, ChannelsLast(node)); }

/// Of a matrix whose attribute asks for it.
static Value readFactor(NodeReader &node, int i, const char *transposes) {
  bool isTransposed = node.getBool(transposes, false);
  auto shape = node.inputShape(i);
  if (shape && shape->rank() != 2)
    node.invalid(fmt::format("operand {} must be a matrix, found {}", i, shape->str()));
  if (!isTransposed || node.failed())
    return node.input(i);
  return node.create<nn::TransposeOp>(node.input(i), std::vector<int64_t>{1, 0});
}

/// alpha * A * B + C: bytes where a scale for them is given, float32 otherwise.
static void importQGemm(NodeReader &node) {
  for (int i : {0, 3})
    if (!checkBytes(node, i))
      return;
  for (int i : {1, 4})
    if (!checkDType(node, i, {DType::Float32}))
      return;
  if (!checkZeroPoint(node, 2, 0) || !checkZeroPoint(node, 5, 3) ||
      (node.hasInput(6) && !checkDType(node, 6, {DType::Int32})) ||
      (node.hasInput(7) && !checkDType(node, 7, {DType::Float32})) ||
      (node.hasInput(8) && !checkBytes(node, 8)))
    return;
  if (node.hasInput(7) != node.hasInput(8))
    return node.invalid("scale and zero point of the result must be given both, or none");
  Value a = readFactor(node, 0, "transA"), b = readFactor(node, 3, "transB");
  double alpha = node.getFloat("alpha", 1);
  Value sums = integerProduct(node, a, ofTensor(node, node.input(2)), b, node.input(5));
  if (!node.failed() && node.hasInput(6))
    sums = node.create<nn::AddOp>(sums, checkBroadcast(node, node.input(6), sums));
  Value aScale = ofTensor(node, node.input(1)), bScale = alongAxis(node, node.input(4), 0);
  if (node.failed())
    return;
  Value scale = node.create<nn::MulOp>(
      node.create<nn::MulOp>(node.scalarConstant(alpha, DType::Float32), aScale), bScale);
  if (node.hasInput(7)) {
    scale = node.create<nn::DivOp>(scale, ofTensor(node, node.input(7)));
    return node.setOutput(0, requantized(node, sums, scale, ofTensor(node, node.input(8))));
  }
  checkBroadcast(node, scale, sums);
  node.setOutput(0, node.create<nn::MulOp>(convert(node, sums, DType::Float32), scale));
}

//===----------------------------------------------------------------------===//
// Floats again
//===----------------------------------------------------------------------===//

/// sums * (aScale * bScale) + bias, of the type of the scales.
static void setScaled(NodeReader &node, Value sums, Value aScale, Value bScale, Value bias) {
  DType to = dtypeOf(bScale);
  if (node.failed())
    return;
  Value scale = node.create<nn::MulOp>(convert(node, aScale, DType::Float32),
                                       convert(node, bScale, DType::Float32));
  checkBroadcast(node, scale, sums);
  Value result = node.create<nn::MulOp>(convert(node, sums, DType::Float32), scale);
  if (!nn::isNone(bias))
    result = node.create<nn::AddOp>(result, checkBroadcast(node, widen(node, bias), result));
  node.setOutput(0, convert(node, result, to));
}

static void importMatMulIntegerToFloat(NodeReader &node) {
  if (!checkBytes(node, 0) || !checkBytes(node, 1) || !checkScale(node, 2) ||
      !checkScale(node, 3) || !checkZeroPoint(node, 4, 0) || !checkZeroPoint(node, 5, 1))
    return;
  Value sums = integerProduct(node, node.input(0), ofTensor(node, node.input(4)), node.input(1),
                              node.input(5));
  setScaled(node, sums, ofTensor(node, node.input(2)), alongAxis(node, node.input(3), 0),
            node.input(6));
}

/// MatMulIntegerToFloat of what DynamicQuantizeLinear makes of A.
static void importDynamicQuantizeMatMul(NodeReader &node) {
  if (!checkDType(node, 0, {DType::Float32}) || !checkBytes(node, 1) ||
      !checkDType(node, 2, {DType::Float32}) || !checkZeroPoint(node, 3, 1))
    return;
  DynamicallyQuantized a = quantizeDynamically(node, node.input(0));
  Value sums = integerProduct(node, a.data, a.zeroPoint, node.input(1), node.input(3));
  setScaled(node, sums, a.scale, alongAxis(node, node.input(2), 0), node.input(4));
}

std::span<const OpsetRow> quern::onnx::quantProductImports() {
  static constexpr OpsetRow rows[] = {
      {"ConvInteger", 10, kNewestOpset, 2, 4, 1, importConvInteger},
      {"DynamicQuantizeMatMul", 1, 1, 3, 5, 1, importDynamicQuantizeMatMul, kMicrosoftDomain},
      {"MatMulInteger", 10, kNewestOpset, 2, 4, 1, importMatMulInteger},
      {"MatMulIntegerToFloat", 1, 1, 4, 7, 1, importMatMulIntegerToFloat, kMicrosoftDomain},
      {"QGemm", 1, 1, 6, 9, 1, importQGemm, kMicrosoftDomain},
      {"QLinearConv", 10, kNewestOpset, 8, 9, 1, importQLinearConv},
      {"QLinearConv", 1, 1, 8, 9, 1, importNhwcQLinearConv, kMicrosoftDomain},
      {"QLinearMatMul", 10, kNewestOpset, 8, 8, 1, importQLinearMatMul},
  };
  return rows;
}
