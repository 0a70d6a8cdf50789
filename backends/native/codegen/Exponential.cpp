//===- Exponential.cpp - what all ways to compute exp have in common ------===//
#include "backends/native/codegen/Exponential.h"

using namespace mlir;
using namespace quern::native;

/// 1.5 * 2^23: adding it rounds to an integer, which is then in the lowest bits.
static constexpr float kRounder = 12582912.0f;

Value ReducedExponent::nBits(FloatBuilder &b) const {
  return b.subBits(b.bitsOf(shifted), b.bitsOf(b.constant(kRounder)));
}

ReducedExponent quern::native::reduceExponent(FloatBuilder &b, Value x) {
  ReducedExponent e;
  e.shifted = b.multiplyAdd(x, 1.44269504f, b.constant(kRounder));
  e.n = b.sub(e.shifted, b.constant(kRounder));
  // ln 2 in two parts; the first has so few bits that its product is exact.
  e.r = b.multiplyAdd(e.n, -0.693359375f, x);
  e.r = b.multiplyAdd(e.n, 2.12194440e-4f, e.r);
  return e;
}

Value quern::native::expOfRest(FloatBuilder &b, Value r) {
  // The upper four terms in pairs, so that fewer wait for each other.
  Value square = b.mul(r, r);
  Value upper = b.polynomial(r, {0.00836911798f, 0.00138137653f});
  Value lower = b.polynomial(r, {0.166665167f, 0.0416684262f});
  Value tail = b.multiplyAdd(upper, square, lower);
  return b.multiplyAdd(
      b.multiplyAdd(b.multiplyAdd(tail, r, b.constant(0.49999994f)), r, b.constant(1)), r,
      b.constant(1));
}
