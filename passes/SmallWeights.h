//===- SmallWeights.h - weights of 16 bits --------------------------------===//
#pragma once

#include "mlir/IR/Value.h"

namespace quern::passes {

/// Whether a type of elements is float16 or bfloat16.
inline bool isHalf(mlir::Type elements) { return elements.isF16() || elements.isBF16(); }
/// Whether `operand` is the second factor of a product that reads weights of 16 bits beside
/// float32: of nn.matmul and nn.gemm.
bool isWeight(mlir::OpOperand &operand);
/// Whether it is one of 16 bits, and the first factor float32.
bool isHalfWeight(mlir::OpOperand &operand);

/// Whether `value` is a cast of a constant of 16 bits to float32, too large to be looked at, that
/// becomes nothing but weights: as it is, or moved.
bool isWidenedWeight(mlir::Value value);

} // namespace quern::passes
