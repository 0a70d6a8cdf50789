//===- ScalarMath.h - pieces of scalar references (MLIR-free) -------------===//
//
// What the `eval` snippets of ElementwiseOps.td need beyond an expression.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cmath>
#include <cstdint>

namespace quern::scalar {

/// Division that is defined everywhere: an integer divided by zero is 0, the
/// smallest integer divided by -1 is itself.
inline double div(double a, double b) { return a / b; }
inline uint64_t div(uint64_t a, uint64_t b) { return b == 0 ? 0 : a / b; }
inline int64_t div(int64_t a, int64_t b) {
  return b == 0 ? 0 : b == -1 ? static_cast<int64_t>(-static_cast<uint64_t>(a)) : a / b;
}

/// The remainder with the sign of the dividend; an integer by zero gives 0.
inline double remainder(double a, double b) { return std::fmod(a, b); }
inline uint64_t remainder(uint64_t a, uint64_t b) { return b == 0 ? 0 : a % b; }
inline int64_t remainder(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }

/// The remainder with the sign of the divisor.
template <typename T> T floorMod(T a, T b) {
  T r = remainder(a, b);
  return r != T(0) && (r < T(0)) != (b < T(0)) ? r + b : r;
}

inline double power(double a, double b) { return std::pow(a, b); }
/// By squaring, modulo 2^64.
inline uint64_t power(uint64_t a, uint64_t b) {
  uint64_t result = 1;
  for (; b != 0; b >>= 1, a *= a)
    result *= b & 1 ? a : 1;
  return result;
}
/// A negative power is 0 unless the base is 1 or -1.
inline int64_t power(int64_t a, int64_t b) {
  if (b < 0 && a != 1 && a != -1)
    return 0;
  return static_cast<int64_t>(power(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}

/// The smallest integer is its own absolute value.
inline double abs(double x) { return std::fabs(x); }
inline uint64_t abs(uint64_t x) { return x; }
inline int64_t abs(int64_t x) { return x < 0 ? -x : x; }

/// Every bit turned over; a bool has one.
inline bool invert(bool x) { return !x; }
inline uint64_t invert(uint64_t x) { return ~x; }
inline int64_t invert(int64_t x) { return ~x; }

/// Clamps to [0, 1]; NaN stays.
inline double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

} // namespace quern::scalar
