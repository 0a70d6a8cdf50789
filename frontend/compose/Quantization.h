//===- Quantization.h - scales, zero points and what they mean ------------===//
//
// What the importers of quantized ops share: they are nn.quantize, nn.dequantize and products of
// 8-bit integers, with what stands between them.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "frontend/GraphBuilder.h"

namespace quern::frontend {

/// An error where `parameter` does not broadcast to `data`, leaving its shape alone.
mlir::Value checkBroadcast(GraphBuilder &graph, mlir::Value parameter, mlir::Value data);

/// A vector that has one entry becomes a scalar, as ONNX Runtime takes it. The shape
/// of the result; nullopt (and an error) when it is unknown.
std::optional<nn::Shape> scalarOfOne(GraphBuilder &graph, mlir::Value &parameter);
/// A scale or zero point of a whole tensor.
mlir::Value ofTensor(GraphBuilder &graph, mlir::Value parameter);
/// A scalar, or a vector with an entry for each position of the dimension that `after`
/// others follow.
mlir::Value alongAxis(GraphBuilder &graph, mlir::Value parameter, int64_t after);

/// nn.dequantize to float32, of a scale and a zero point (or none) of the whole tensor.
mlir::Value dequantize(GraphBuilder &graph, mlir::Value data, mlir::Value scale,
                       mlir::Value zeroPoint);
/// nn.quantize of float32, the other way round.
mlir::Value quantize(GraphBuilder &graph, mlir::Value x, mlir::Value scale, mlir::Value zeroPoint,
                     DType to);
/// The same of what has been divided by the scale: saturate(round(scaled) + zeroPoint). As a
/// vector the zero point is along the last dimension but one, of matrices.
mlir::Value roundAndSaturate(GraphBuilder &graph, mlir::Value scaled, mlir::Value zeroPoint,
                             DType to);

/// A tensor as uint8 for which the scale and zero point were chosen so that its elements and 0
/// are within reach.
struct DynamicallyQuantized {
  mlir::Value data, scale, zeroPoint;
};
DynamicallyQuantized quantizeDynamically(GraphBuilder &graph, mlir::Value x);

/// [N, spatial..., C] as [N, C, spatial...], or back. Unsupported for tensors of unknown rank.
mlir::Value channelsToFront(GraphBuilder &graph, mlir::Value value);
mlir::Value channelsToBack(GraphBuilder &graph, mlir::Value value);

} // namespace quern::frontend
