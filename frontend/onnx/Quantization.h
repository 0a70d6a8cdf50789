//===- Quantization.h - scales, zero points and what they mean ------------===//
//
// What the importers of quantized ops share: they are nn.quantize, nn.dequantize and products of
// 8-bit integers, with what stands between them.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "frontend/onnx/ImportContext.h"

#include <initializer_list>

namespace quern::onnx {

/// Refuses element types that ONNX does not allow for operand `i`.
bool checkDType(NodeImport &node, int i, std::initializer_list<DType> allowed);
/// Integers of 8 bits.
bool checkBytes(NodeImport &node, int i);
/// A scale: float32, float16 or bfloat16.
bool checkScale(NodeImport &node, int i);
/// Zero point `i`, which may be left out, is of the type of operand `data`.
bool checkZeroPoint(NodeImport &node, int i, int data);
/// An error where `parameter` does not broadcast to `data`, leaving its shape alone.
mlir::Value checkBroadcast(NodeImport &node, mlir::Value parameter, mlir::Value data);

/// A vector that has one entry becomes a scalar, as ONNX Runtime takes it. The shape
/// of the result; nullopt (and an error) when it is unknown.
std::optional<nn::Shape> scalarOfOne(NodeImport &node, mlir::Value &parameter);
/// A scale or zero point of a whole tensor.
mlir::Value ofTensor(NodeImport &node, mlir::Value parameter);
/// A scalar, or a vector with an entry for each position of the dimension that `after`
/// others follow.
mlir::Value alongAxis(NodeImport &node, mlir::Value parameter, int64_t after);

/// nn.dequantize to float32, of a scale and a zero point (or none) of the whole tensor.
mlir::Value dequantize(NodeImport &node, mlir::Value data, mlir::Value scale,
                       mlir::Value zeroPoint);
/// nn.quantize of float32, the other way round.
mlir::Value quantize(NodeImport &node, mlir::Value x, mlir::Value scale, mlir::Value zeroPoint,
                     DType to);
/// The same of what has been divided by the scale: saturate(round(scaled) + zeroPoint). As a
/// vector the zero point is along the last dimension but one, of matrices.
mlir::Value roundAndSaturate(NodeImport &node, mlir::Value scaled, mlir::Value zeroPoint, DType to);

/// A tensor as uint8 for which the scale and zero point were chosen so that its elements and 0
/// are within reach.
struct DynamicallyQuantized {
  mlir::Value data, scale, zeroPoint;
};
DynamicallyQuantized quantizeDynamically(NodeImport &node, mlir::Value x);

/// [N, spatial..., C] as [N, C, spatial...], where the attribute channels_last says so.
struct ChannelsLast {
  bool isSet = false;
  ChannelsLast() = default;
  /// Reads the attribute.
  explicit ChannelsLast(NodeImport &node) : isSet(node.getBool("channels_last", false)) {}
  mlir::Value toFront(NodeImport &node, mlir::Value value) const;
  mlir::Value toBack(NodeImport &node, mlir::Value value) const;
};

} // namespace quern::onnx
