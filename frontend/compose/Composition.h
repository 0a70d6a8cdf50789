//===- Composition.h - for ops that are imported as several ---------------===//
//
// What an op of a model means in several ops of the dialect is computed in float32 at
// least and rounded once, to the type of its result.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "frontend/GraphBuilder.h"

namespace quern::frontend {

/// The element type of a tensor.
DType dtypeOf(mlir::Value value);
/// `value` with elements of `dtype`: itself when it has them.
mlir::Value convert(GraphBuilder &graph, mlir::Value value, DType dtype);
/// A conversion to floats of 8 bits and less that says how: see nn.cast.
mlir::Value createCast(GraphBuilder &graph, mlir::Value value, DType dtype, bool saturate,
                       CastRounding rounding = CastRounding::Nearest);
/// Floats of fewer bits than float32 as float32, others as they are.
mlir::Value widen(GraphBuilder &graph, mlir::Value value);
/// A rank-0 constant of the element type of `like`.
mlir::Value constantLike(GraphBuilder &graph, double value, mlir::Value like);
/// Comparisons the other way around: a > b and a >= b.
mlir::Value createGreater(GraphBuilder &graph, mlir::Value a, mlir::Value b);
mlir::Value createGreaterOrEqual(GraphBuilder &graph, mlir::Value a, mlir::Value b);
/// 1 / x.
mlir::Value createReciprocal(GraphBuilder &graph, mlir::Value x);
/// Whether elements are NaN: what does not equal itself.
mlir::Value createIsNan(GraphBuilder &graph, mlir::Value x);
/// `value` in the shape of `like`, which has as many elements.
mlir::Value reshapeLike(GraphBuilder &graph, mlir::Value value, mlir::Value like);
/// A vector of sizes, each a vector of one or more: a constant when all are.
mlir::Value joinSizes(GraphBuilder &graph, llvm::ArrayRef<mlir::Value> sizes);
/// The product of two sizes, each a vector of one; an error when it overflows.
mlir::Value multiplySizes(GraphBuilder &graph, mlir::Value a, mlir::Value b);
/// A vector with one entry for each dimension of `rank`: `values` at `axes`, and 0.
mlir::Value entriesAt(GraphBuilder &graph, mlir::Value values, mlir::Value axes, int64_t rank);

// Sizes are int64 vectors of one: constants when they are known (GraphBuilder::sizeOf).
/// A size times `factor`.
mlir::Value timesSize(GraphBuilder &graph, mlir::Value size, int64_t factor);
/// A size divided by `divisor`, of which it must be a multiple: a run fails otherwise when
/// a tensor is given this size.
mlir::Value dividedSize(GraphBuilder &graph, mlir::Value size, int64_t divisor);

/// Dimensions [start, end) of a tensor as int64, up to the last without `end`; negative
/// ones count from the end.
mlir::Value createSizes(GraphBuilder &graph, mlir::Value tensor, int64_t start,
                        std::optional<int64_t> end = std::nullopt);
/// `value` with the dimensions that a vector says, of which one may be -1.
mlir::Value reshapeTo(GraphBuilder &graph, mlir::Value value, llvm::ArrayRef<mlir::Value> sizes);

/// Whether a tensor of one shape may broadcast to another, which stays as it is.
bool canBroadcastTo(const nn::Shape &from, const nn::Shape &to);
/// An activation by its ONNX name and parameters, in the order of its attributes there; `x`
/// when there is no name.
mlir::Value createActivation(GraphBuilder &graph, const std::string &name, mlir::Value x,
                             llvm::ArrayRef<double> params);

} // namespace quern::frontend
