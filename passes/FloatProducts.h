//===- FloatProducts.h - products of floats that are dequantized ----------===//
#pragma once

#include "ir/QuantOps.h"

#include <optional>

namespace quern::passes {

/// What is multiplied, and what stands for zero; the weights of a matrix product may be a second
/// activation.
struct Factors {
  mlir::Value x, xZero, weights, weightsZero;
};

/// A product of floats whose factors are dequantized: of a convolution, or of matrices.
struct FloatProduct {
  mlir::Operation *op = nullptr;
  Factors factors = {};
  /// Of an activation: one number; of weights: one, or one for each channel.
  mlir::Value xScale = {}, weightsScale = {};
  /// What is added, or none: in int32, of the scale of the product, or in float32.
  mlir::Value integerBias = {}, floatBias = {};
  /// The dimensions behind the channels.
  int64_t spatialRank = 0;
  /// The weights lie the other way round.
  bool isTransposed = false;

  bool hasFloatBias() const { return floatBias && !nn::isNone(floatBias) && !integerBias; }
};

/// The product that `op` is, if it is one of dequantized floats.
std::optional<FloatProduct> matchFloatProduct(mlir::Operation *op);

} // namespace quern::passes
