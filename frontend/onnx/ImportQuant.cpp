//===- ImportQuant.cpp - from floats to quantized tensors and back --------===//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/compose/Quantization.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/QuantOps.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

// Lists of element types are longer than in each version of the ops: what an older one
// lacks means the same as in newer ones.
static constexpr std::initializer_list<DType> kQuantized = {
    DType::Int8,         DType::UInt8,          DType::Int16,      DType::UInt16,
    DType::Int4,         DType::UInt4,          DType::Int2,       DType::UInt2,
    DType::Float8E4M3FN, DType::Float8E4M3FNUZ, DType::Float8E5M2, DType::Float8E5M2FNUZ,
    DType::Float4E2M1,   DType::Float6E2M3,     DType::Float6E3M2};

//===----------------------------------------------------------------------===//
// What scales are for
//===----------------------------------------------------------------------===//

namespace {
/// What QuantizeLinear and DequantizeLinear say about scales that are no scalars.
struct Granularity {
  /// Before opset 13 there are none.
  std::optional<int64_t> axis;
  /// How many neighbours along the axis share a scale; 0 when there are no blocks.
  int64_t blockSize = 0;
};
} // namespace

static Granularity readGranularity(NodeReader &node) {
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

namespace {
/// A scale and a zero point, as the ops of the dialect take them.
struct Parameters {
  Value scale, zeroPoint;
  int64_t axis = 0;
};
} // namespace

/// Whether a parameter is for the whole tensor.
static bool isOne(Value parameter) {
  if (nn::isNone(parameter))
    return true;
  auto shape = nn::shapeOf(parameter.getType());
  return shape && (shape->rank() == 0 || shape->numElements() == 1);
}

/// The operands 1 and 2 of QuantizeLinear and DequantizeLinear; their sizes are the ops' to check.
static Parameters readParameters(NodeReader &node, const Granularity &by) {
  Parameters read{node.input(1), node.input(2)};
  if (node.failed() || (isOne(read.scale) && isOne(read.zeroPoint)))
    return read;
  if (!by.axis) {
    read.scale = ofTensor(node, read.scale);
    read.zeroPoint = ofTensor(node, read.zeroPoint);
    return read;
  }
  // Ranks that only a run tells are the op's to check then, as sizes are.
  read.axis = *by.axis;
  return read;
}

//===----------------------------------------------------------------------===//
// QuantizeLinear
//===----------------------------------------------------------------------===//

/// A type that an attribute names; Undefined when it does not.
static DType readDType(NodeReader &node, const char *attribute,
                       std::initializer_list<DType> allowed) {
  int64_t number = node.getInt(attribute, 0);
  auto found = std::find_if(allowed.begin(), allowed.end(),
                            [=](DType dtype) { return static_cast<int64_t>(dtype) == number; });
  if (found != allowed.end())
    return *found;
  if (number != 0)
    node.invalid(fmt::format("attribute '{}': element type number {}", attribute, number));
  return DType::Undefined;
}

/// The type of the result: the zero point's, that of the attribute, or uint8.
static DType readQuantizedType(NodeReader &node, bool hasAttribute) {
  DType named = hasAttribute ? readDType(node, "output_dtype", kQuantized) : DType::Undefined;
  if (!node.hasInput(2))
    return named == DType::Undefined ? DType::UInt8 : named;
  checkDType(node, 2, kQuantized);
  if (named != DType::Undefined && named != node.inputDType(2))
    node.invalid(fmt::format("the zero point is {}, attribute 'output_dtype' says {}",
                             dtypeName(node.inputDType(2)), dtypeName(named)));
  return node.inputDType(2);
}

/// The type in which the scale divides. An int32 scale (of int32 data) is exact in float64; a
/// power of two of 8 bits is any type's.
static DType readDivisionType(NodeReader &node) {
  DType named = DType::Undefined;
  if (node.opset() >= 23)
    named = readDType(node, "precision", {DType::Float32, DType::Float16, DType::BFloat16});
  if (named != DType::Undefined)
    return named;
  DType scale = node.inputDType(1);
  if (isMiniFloat(scale))
    return DType::Float32;
  return isFloat(scale) ? scale : DType::Float64;
}

static void setQuantized(NodeReader &node, const Granularity &by, DType to, DType division,
                         bool saturate) {
  if (node.failed())
    return;
  Parameters read = readParameters(node, by);
  mlir::MLIRContext *context = node.builder().getContext();
  node.setOutput(0, node.create<nn::QuantizeOp>(
                        node.input(0), read.scale, read.zeroPoint, nn::elementTypeOf(context, to),
                        nn::elementTypeOf(context, division), read.axis, by.blockSize, saturate));
}

static void importQuantizeLinear(NodeReader &node) {
  if (!checkDType(node, 0, {DType::Float32, DType::Float16, DType::BFloat16, DType::Int32}) ||
      !checkDType(
          node, 1,
          {DType::Float32, DType::Float16, DType::BFloat16, DType::Int32, DType::Float8E8M0}))
    return;
  Granularity by = readGranularity(node);
  bool saturate = node.opset() < 19 || node.getBool("saturate", true);
  DType to = readQuantizedType(node, node.opset() >= 21);
  setQuantized(node, by, to, readDivisionType(node), saturate);
}

/// ONNX Runtime's own divides in float32.
static void importMicrosoftQuantizeLinear(NodeReader &node) {
  if (!checkDType(node, 0, {DType::Float32, DType::Float16}) ||
      !checkDType(node, 1, {DType::Float32, DType::Float16}))
    return;
  Granularity by{node.getInt("axis", 1)};
  setQuantized(node, by, readQuantizedType(node, /*hasAttribute=*/false), DType::Float32, true);
}

//===----------------------------------------------------------------------===//
// DequantizeLinear, DynamicQuantizeLinear
//===----------------------------------------------------------------------===//

static bool checkDequantized(NodeReader &node) {
  // int32 is not what anything is quantized to, but biases have it.
  bool isKnown = node.inputDType(0) == DType::Int32 || checkDType(node, 0, kQuantized);
  return isKnown &&
         checkDType(node, 1,
                    {DType::Float32, DType::Float16, DType::BFloat16, DType::Float8E8M0}) &&
         checkZeroPoint(node, 2, 0);
}

static void setDequantized(NodeReader &node, const Granularity &by, DType to) {
  if (node.failed())
    return;
  Parameters read = readParameters(node, by);
  node.setOutput(0,
                 node.create<nn::DequantizeOp>(node.input(0), read.scale, read.zeroPoint,
                                               nn::elementTypeOf(node.builder().getContext(), to),
                                               read.axis, by.blockSize));
}

static void importDequantizeLinear(NodeReader &node) {
  if (!checkDequantized(node))
    return;
  Granularity by = readGranularity(node);
  DType to = DType::Undefined;
  if (node.opset() >= 23)
    to = readDType(node, "output_dtype", {DType::Float32, DType::Float16, DType::BFloat16});
  if (to == DType::Undefined)
    to = isMiniFloat(node.inputDType(1)) ? DType::Float32 : node.inputDType(1);
  setDequantized(node, by, to);
}

static void importMicrosoftDequantizeLinear(NodeReader &node) {
  if (checkDequantized(node))
    setDequantized(node, {node.getInt("axis", 1)}, node.inputDType(1));
}

/// The scale of zeros only is 1, as in ONNX Runtime.
static void importDynamicQuantizeLinear(NodeReader &node) {
  if (!checkDType(node, 0, {DType::Float32}))
    return;
  DynamicallyQuantized made = quantizeDynamically(node, node.input(0));
  node.setOutput(0, made.data);
  node.setOutput(1, made.scale);
  node.setOutput(2, made.zeroPoint);
}

std::span<const OpsetRow> quern::onnx::quantImports() {
  static constexpr OpsetRow rows[] = {
      {"DequantizeLinear", 10, kNewestOpset, 2, 3, 1, importDequantizeLinear},
      {"DequantizeLinear", 1, 1, 2, 3, 1, importMicrosoftDequantizeLinear, kMicrosoftDomain},
      {"DynamicQuantizeLinear", 11, kNewestOpset, 1, 1, 3, importDynamicQuantizeLinear},
      {"QuantizeLinear", 10, kNewestOpset, 2, 3, 1, importQuantizeLinear},
      {"QuantizeLinear", 1, 1, 2, 3, 1, importMicrosoftQuantizeLinear, kMicrosoftDomain},
  };
  return rows;
}
