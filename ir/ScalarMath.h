//===- ScalarMath.h - pieces of scalar references (MLIR-free) -------------===//
//
// What the `eval` snippets of ElementwiseOps.td need beyond an expression.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cmath>
#include <cstdint>

namespace quern::nn::scalar {

/// Division that is defined everywhere: an integer divided by zero is 0, the
/// smallest integer divided by -1 is itself.
inline double div(double a, double b) { return a / b; }
inline uint64_t div(uint64_t a, uint64_t b) { return b == 0 ? 0 : a / b; }
inline int64_t div(int64_t a, int64_t b) {
  return b == 0 ? 0 : b == -1 ? static_cast<int64_t>(-static_cast<uint64_t>(a)) : a / b;
}

} // namespace quern::nn::scalar
