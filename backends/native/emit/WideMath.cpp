//===- WideMath.cpp - logarithm and exponential for float32 results -------===//
//
// The polynomials were fitted as those of ExpandMath.cpp.
//
//===----------------------------------------------------------------------===//
#include "backends/native/emit/WideMath.h"

#include <limits>

using namespace mlir;
using namespace quern::native;
using P = FloatBuilder::Predicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value quern::native::expandWideLog2(FloatBuilder &b, Value x) {
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)). e + 1023 is not negative, so that
  // it can be shifted as unsigned and becomes a float when put below 2^52: both
  // are cheaper than their signed kin before AVX-512.
  constexpr int64_t kSqrtHalfBits = 0x3fe6a09e667f3bcd, kOneBits = 0x3ff0000000000000;
  constexpr int64_t kExponentBits = static_cast<int64_t>(0xfff0000000000000);
  constexpr double kTwoTo52 = 4503599627370496.0;
  Value bits = b.bitsOf(x);
  Value distance = b.addBits(bits, b.integer(kOneBits - kSqrtHalfBits));
  Value biased = b.orBits(b.shiftRightUnsigned(distance, 52), b.bitsOf(b.constant(kTwoTo52)));
  Value e = b.sub(b.fromBits(biased), b.constant(kTwoTo52 + 1023));
  Value shift = b.subBits(b.andBits(distance, b.integer(kExponentBits)), b.integer(kOneBits));
  Value m = b.fromBits(b.subBits(bits, shift));

  Value s = b.div(b.sub(m, b.constant(1)), b.add(m, b.constant(1)));
  Value slope =
      b.polynomial(b.mul(s, s), {2.8853900817900864, 0.9617966733416914, 0.5770835849745226,
                                 0.4116727188037111, 0.34073010606444193});
  Value result = b.multiplyAdd(s, slope, e);
  result = b.select(b.compare(P::OLT, x, kInfinity), result, x);
  return b.select(b.compare(P::OEQ, x, 0.0), b.constant(-kInfinity), result);
}

Value quern::native::expandWideExp2(FloatBuilder &b, Value x) {
  x = b.atLeast(b.atMost(x, 200), -200);
  // Adding 1.5 * 2^52 rounds to an integer, which is then in the lowest bits.
  constexpr double kRounder = 6755399441055744.0;
  Value shifted = b.add(x, b.constant(kRounder));
  Value r = b.sub(x, b.sub(shifted, b.constant(kRounder)));
  Value power = b.polynomial(r, {1.0000000005550516, 0.6931472057671358, 0.2402264688606501,
                                 0.055503287118119075, 0.009618489246003673, 0.0013399957625059536,
                                 0.00015345788542469438});
  Value scale = b.addBits(b.shiftLeft(b.bitsOf(shifted), 52), b.bitsOf(b.constant(1)));
  return b.mul(power, b.fromBits(scale));
}
