//===- QuantizedValues.h - what stands between integers and their floats --===//
#pragma once

#include "ir/QuantOps.h"

#include "mlir/IR/PatternMatch.h"

#include <optional>

namespace quern::passes {

/// Whether a scale or zero point is for the whole tensor.
bool isOfTensor(mlir::Value parameter);
/// The number that a scalar, or all elements of a tensor, is known to be; 0 of nn.none.
std::optional<double> knownNumber(mlir::Value value);
/// Whether two scales or zero points are known to be the same: one value, or equal constants.
bool areSameParameters(mlir::Value a, mlir::Value b);
/// The nn.dequantize of 8-bit integers that gives `value`, in float32 and not by blocks; null
/// where something else gives it.
nn::DequantizeOp dequantizedBytes(mlir::Value value);

/// Whether `op` gives elements of its first operand as they are, no more than there are.
bool isMove(mlir::Operation *op);
/// Whether `op` is a maximum over windows none of which lies beyond the edges altogether, so that
/// what is beyond does not matter.
bool isMaxOfElements(mlir::Operation *op);
/// `op`, which gives elements of its first operand, of `x` instead.
mlir::Value moveInstead(mlir::OpBuilder &builder, mlir::Operation *op, mlir::Value x);

/// Patterns that compute sums and products of two quantized tensors, which are quantized again, as
/// ONNX Runtime does.
void populateRequantizedSums(mlir::RewritePatternSet &patterns);
/// Patterns that quantize to uint8 what is quantized to int8 and used as uint8, and the other way
/// round.
void populateByteShifts(mlir::RewritePatternSet &patterns);

} // namespace quern::passes
