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

/// `factor` times exp(sign r). The upper four terms in pairs, so that fewer wait for each other.
static Value expOfSigned(FloatBuilder &b, Value r, double sign, double factor) {
  Value square = b.mul(r, r);
  auto term = [&](double coefficient) { return factor * coefficient; };
  Value upper = b.polynomial(r, {term(sign * 0.00836911798), term(0.00138137653)});
  Value lower = b.polynomial(r, {term(sign * 0.166665167), term(0.0416684262)});
  Value sum = b.multiplyAdd(upper, square, lower);
  for (double coefficient : {0.49999994, sign, 1.0})
    sum = b.multiplyAdd(sum, r, b.constant(term(coefficient)));
  return sum;
}

Value quern::native::expOfRest(FloatBuilder &b, Value r) { return expOfSigned(b, r, 1, 1); }

Value quern::native::scaledExpOfNegated(FloatBuilder &b, Value r, int64_t shift) {
  return expOfSigned(b, r, -1, static_cast<double>(int64_t{1} << shift));
}
