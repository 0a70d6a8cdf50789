//===- Exponential.h - what all ways to compute exp have in common --------===//
#pragma once

#include "backends/native/emit/FloatBuilder.h"

namespace quern::native {

/// x = n ln 2 + r with a whole n and |r| <= ln 2 / 2, of float32 up to 2^22 in magnitude.
struct ReducedExponent {
  mlir::Value n, r;
  /// n as an integer.
  mlir::Value nBits(FloatBuilder &b) const;

  /// n above a number whose last bit is worth 1.
  mlir::Value shifted;
};
ReducedExponent reduceExponent(FloatBuilder &b, mlir::Value x);

/// exp(r) of such an r. Of any other finite r it is positive, or infinite.
mlir::Value expOfRest(FloatBuilder &b, mlir::Value r);
/// 2^shift exp(-r) of such an r.
mlir::Value scaledExpOfNegated(FloatBuilder &b, mlir::Value r, int64_t shift);

} // namespace quern::native
