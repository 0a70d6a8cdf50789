//===- IntegerFactors.h - operands of products on 8-bit integers ----------===//
//
// Such products take activations as uint8 and constant weights, or a second activation, as int8,
// both as they lie in memory; zero points are what is added to their sums. All of it is written in
// ops, which folding computes where they depend on constants only.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "passes/Composer.h"
#include "quern/Reason.h"

namespace quern::passes {

/// Why there are no int8 weights `weights` - `zero`, if there are none. `zero` is none, one number
/// or one for each position of `axis`.
std::optional<Reason> refuseWeights(mlir::Value weights, mlir::Value zero, int64_t axis);
/// Weights that are not refused, as int8.
mlir::Value centredWeights(Composer &make, mlir::Value weights, mlir::Value zero, int64_t axis);
/// The sums in int32 of weights over all dimensions but `axis`, or over dimension -2 only, which
/// stays as 1, where `axis` is -1.
mlir::Value sumsOfWeights(Composer &make, mlir::Value weights, int64_t axis);

/// An activation as uint8 or, if it is the second factor, as int8: what is of the other type is
/// shifted by 128.
mlir::Value asUnsigned(Composer &make, mlir::Value x);
mlir::Value asSigned(Composer &make, mlir::Value x);
/// The zero point of such an activation, in int32; null where it is known to be 0. `zero` is that
/// of `x`, of any shape, or none.
mlir::Value unsignedZero(Composer &make, mlir::Value x, mlir::Value zero);
mlir::Value signedZero(Composer &make, mlir::Value x, mlir::Value zero);
/// What asUnsigned or asSigned made `value` of, if it shifted it; null otherwise.
mlir::Value shiftedFrom(mlir::Value value);

} // namespace quern::passes
