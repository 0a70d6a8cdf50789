//===- Quantization.h - scales, zero points and what they mean ------------===//
//
// What the importers of quantized ops share. Nothing is approximate: products of 8-bit
// integers sum up in int32, which wraps; halves round to even; casts from floats to
// integers saturate.
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

/// data - zeroPoint as int32.
mlir::Value centred(NodeImport &node, mlir::Value data, mlir::Value zeroPoint);
/// (data - zeroPoint) * scale in float32, of parameters that broadcast to the data.
mlir::Value dequantize(NodeImport &node, mlir::Value data, mlir::Value scale,
                       mlir::Value zeroPoint);
/// saturate(round(scaled) + zeroPoint), which may be left out. Mini floats round as they are
/// made; `saturate` is about them.
mlir::Value roundAndSaturate(NodeImport &node, mlir::Value scaled, mlir::Value zeroPoint, DType to,
                             bool saturate = true);

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
