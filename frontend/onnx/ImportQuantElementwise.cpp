//===- ImportQuantElementwise.cpp - elementwise ops, pools on bytes -------===//
//
// ONNX Runtime's ops on quantized tensors: what the op computes in float32 of the numbers
// that bytes stand for, quantized again. Where its own order of rounding shows (halves that
// are none by a last bit), that order is kept.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/compose/Quantization.h"
#include "frontend/compose/Window.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/WindowAttributes.h"
#include "ir/RequantizedSums.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

namespace {
/// A quantized tensor: its bytes, and the scale and zero point of all of them.
struct Quantized {
  Value data, scale, zeroPoint;
};
} // namespace

/// Operands `i` to `i` + 2, or with `hasData` false those without the first; the zero point may
/// be left out.
static Quantized readQuantized(NodeReader &node, int i, bool hasData = true) {
  int scale = i + (hasData ? 1 : 0);
  Quantized read = {node.input(i), node.input(scale), node.input(scale + 1)};
  int like = hasData ? i : 0;
  if ((hasData && !checkBytes(node, i)) || !checkDType(node, scale, {DType::Float32}) ||
      !checkZeroPoint(node, scale + 1, like))
    return read;
  read.scale = ofTensor(node, read.scale);
  read.zeroPoint = ofTensor(node, read.zeroPoint);
  return read;
}

static Value dequantized(NodeReader &node, const Quantized &x) {
  return dequantize(node, x.data, x.scale, x.zeroPoint);
}

static Value quantized(NodeReader &node, Value value, const Quantized &as, DType to) {
  return quantize(node, value, as.scale, as.zeroPoint, to);
}

/// data - zeroPoint in float32.
static Value centred(NodeReader &node, const Quantized &x) {
  return dequantize(node, x.data, node.scalarConstant(1, DType::Float32), x.zeroPoint);
}

static Value floatOf(NodeReader &node, Value value) {
  return nn::isNone(value) ? node.scalarConstant(0, DType::Float32)
                           : convert(node, value, DType::Float32);
}

//===----------------------------------------------------------------------===//
// Sums and products
//===----------------------------------------------------------------------===//

/// The integers as float32. As what is dequantized they may become integers of the other sign.
static Value numbersOf(NodeReader &node, Value data) {
  return dequantize(node, data, node.scalarConstant(1, DType::Float32), node.none());
}

/// A sum or product by ONNX Runtime's formula, `compute`.
template <typename Compute> static void setRequantized(NodeReader &node, Compute compute) {
  Quantized a = readQuantized(node, 0), b = readQuantized(node, 3);
  Quantized result = readQuantized(node, 6, /*hasData=*/false);
  if (node.failed())
    return;
  auto scaled = [&](const Quantized &x) -> nn::ScaledNumbers {
    return {numbersOf(node, x.data), x.scale, floatOf(node, x.zeroPoint)};
  };
  nn::ScaledNumbers of = {{}, result.scale, floatOf(node, result.zeroPoint)};
  Value value = compute(scaled(a), scaled(b), of);
  node.setOutput(0, roundAndSaturate(node, value, node.none(), node.inputDType(0)));
}

static void importQLinearAdd(NodeReader &node) {
  setRequantized(node, [&](const auto &a, const auto &b, const auto &sum) {
    return nn::requantizedSum(node, a, b, sum);
  });
}

static void importQLinearMul(NodeReader &node) {
  setRequantized(node, [&](const auto &a, const auto &b, const auto &product) {
    return nn::requantizedProduct(node, a, b, product);
  });
}

//===----------------------------------------------------------------------===//
// Functions of one tensor, choices
//===----------------------------------------------------------------------===//

static void setActivation(NodeReader &node, const char *name, llvm::ArrayRef<double> params) {
  Quantized x = readQuantized(node, 0), y = readQuantized(node, 3, /*hasData=*/false);
  if (node.failed())
    return;
  Value value = createActivation(node, name, dequantized(node, x), params);
  node.setOutput(0, quantized(node, value, y, node.inputDType(0)));
}

static void importQLinearLeakyRelu(NodeReader &node) {
  setActivation(node, "LeakyRelu", {node.getFloat("alpha", 0.01F)});
}
static void importQLinearSigmoid(NodeReader &node) { setActivation(node, "Sigmoid", {}); }

/// Multiplied by the whole part of 1 / scale, as ONNX Runtime does it. Before opset 13, which
/// an attribute says, all dimensions from the axis on are one.
static void importQLinearSoftmax(NodeReader &node) {
  bool trailing = node.getInt("opset") < 13;
  int64_t axis = node.getInt("axis", -1);
  Quantized x = readQuantized(node, 0), y = readQuantized(node, 3, /*hasData=*/false);
  if (node.failed())
    return;
  Value share = node.create<nn::SoftmaxOp>(dequantized(node, x), axis, trailing);
  Value one = node.scalarConstant(1, DType::Float32);
  Value inverse = node.create<nn::FloorOp>(node.create<nn::DivOp>(one, y.scale));
  node.setOutput(0, roundAndSaturate(node, node.create<nn::MulOp>(share, inverse), y.zeroPoint,
                                     node.inputDType(0)));
}

/// The bytes of operands `i` to `i` + 2 as those of a tensor of another scale.
static Value requantized(NodeReader &node, int i, const Quantized &as, DType to) {
  Quantized x = readQuantized(node, i);
  return node.failed() ? x.data : quantized(node, dequantized(node, x), as, to);
}

/// Operands: scale and zero point of the result, then three for each tensor.
static void importQLinearConcat(NodeReader &node) {
  if (node.inputCount() < 5 || (node.inputCount() - 2) % 3 != 0)
    return node.invalid(fmt::format("needs a scale, a zero point and three operands for each "
                                    "tensor, found {} in all",
                                    node.inputCount()));
  if (!checkDType(node, 0, {DType::Float32}) || !checkBytes(node, 1))
    return;
  Quantized as = {{}, ofTensor(node, node.input(0)), ofTensor(node, node.input(1))};
  llvm::SmallVector<Value> parts;
  for (int i = 2; i < node.inputCount() && !node.failed(); i += 3)
    parts.push_back(requantized(node, i, as, node.inputDType(1)));
  int64_t axis = node.getInt("axis");
  if (!node.failed())
    node.setOutput(0, node.create<nn::ConcatOp>(parts, axis));
}

static void importQLinearWhere(NodeReader &node) {
  if (!checkDType(node, 0, {DType::Bool}) || !checkBytes(node, 8) ||
      !checkDType(node, 7, {DType::Float32}))
    return;
  Quantized as = {{}, ofTensor(node, node.input(7)), ofTensor(node, node.input(8))};
  DType to = node.inputDType(8);
  Value x = requantized(node, 1, as, to), y = requantized(node, 4, as, to);
  if (!node.failed())
    node.setOutput(0, node.create<nn::WhereOp>(node.input(0), x, y));
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

static void importQLinearAveragePool(NodeReader &node) {
  ChannelsLast last(node);
  bool ceilMode = node.getBool("ceil_mode", false);
  bool countPads = node.getBool("count_include_pad", false);
  Quantized x = readQuantized(node, 0), y = readQuantized(node, 3, /*hasData=*/false);
  Window window = readWindow(node);
  if (window.kernel.empty())
    node.invalid("required attribute 'kernel_shape' is missing");
  if (node.failed())
    return;
  Value value = last.toFront(node, dequantized(node, x));
  resolveAutoPad(window, nn::shapeOf(value.getType()));
  if (window.autoPad != AutoPad::NotSet)
    ceilMode = false;
  if (node.failed())
    return;
  Value mean =
      node.create<nn::AveragePoolOp>(value, window.kernel, window.strides, window.dilations,
                                     window.pads, ceilMode, countPads, window.autoPad);
  // The zero point is added before rounding.
  Value scaled = node.create<nn::DivOp>(mean, y.scale);
  scaled = node.create<nn::AddOp>(scaled, floatOf(node, y.zeroPoint));
  Value bytes = roundAndSaturate(node, scaled, node.none(), node.inputDType(0));
  node.setOutput(0, last.toBack(node, bytes));
}

/// The mean of integers, scaled once.
static void importQLinearGlobalAveragePool(NodeReader &node) {
  ChannelsLast last(node);
  Quantized x = readQuantized(node, 0), y = readQuantized(node, 3, /*hasData=*/false);
  if (node.failed())
    return;
  Value value = last.toFront(node, centred(node, x));
  if (node.failed())
    return;
  Value mean = node.create<nn::GlobalPoolOp>(value, ReduceKind::Mean);
  Value scaled = node.create<nn::MulOp>(mean, node.create<nn::DivOp>(x.scale, y.scale));
  scaled = roundAndSaturate(node, scaled, y.zeroPoint, node.inputDType(0));
  node.setOutput(0, last.toBack(node, scaled));
}

std::span<const OpsetRow> quern::onnx::quantElementwiseImports() {
  // Of most, zero points may be left out in front of operands that may not: readQuantized sees
  // to these.
  static constexpr OpsetRow rows[] = {
      {"QLinearAdd", 1, 1, 2, 8, 1, importQLinearAdd, kMicrosoftDomain},
      {"QLinearAveragePool", 1, 1, 2, 5, 1, importQLinearAveragePool, kMicrosoftDomain},
      {"QLinearConcat", 1, 1, 5, kVariadic, 1, importQLinearConcat, kMicrosoftDomain},
      {"QLinearGlobalAveragePool", 1, 1, 5, 5, 1, importQLinearGlobalAveragePool, kMicrosoftDomain},
      {"QLinearLeakyRelu", 1, 1, 2, 5, 1, importQLinearLeakyRelu, kMicrosoftDomain},
      {"QLinearMul", 1, 1, 2, 8, 1, importQLinearMul, kMicrosoftDomain},
      {"QLinearSigmoid", 1, 1, 2, 5, 1, importQLinearSigmoid, kMicrosoftDomain},
      {"QLinearSoftmax", 1, 1, 2, 5, 1, importQLinearSoftmax, kMicrosoftDomain},
      {"QLinearWhere", 1, 1, 9, 9, 1, importQLinearWhere, kMicrosoftDomain},
  };
  return rows;
}
