//===- ExpandPower.cpp - powers without libm ------------------------------===//
//
// A power is 2^(y log2 |x|) with the sign and the special values of C's pow put
// right. The product is as large as 150, of which the integer part becomes the
// exponent: to be exact to the last place of a float32 its relative error must be
// below 2^-33. So float32 is computed in float64, where subnormal numbers and
// overflow need no care either. Few constant exponents are cheaper.
//
//===----------------------------------------------------------------------===//
#include "backends/native/codegen/ExpandPower.h"

#include "backends/native/emit/FloatBuilder.h"
#include "backends/native/emit/WideMath.h"

#include "mlir/IR/Matchers.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace quern::native;
using P = FloatBuilder::Predicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
static constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

//===----------------------------------------------------------------------===//
// Constant exponents
//===----------------------------------------------------------------------===//

/// `x` to the power of `exponent` >= 1 by squaring.
static Value multiplyOut(FloatBuilder &b, Value x, int64_t exponent) {
  if (exponent == 1)
    return x;
  Value half = multiplyOut(b, x, exponent / 2), square = b.mul(half, half);
  return exponent % 2 == 1 ? b.mul(square, x) : square;
}

/// Each product adds an error of half a unit, so that few are left to the type
/// itself. The square of a reciprocal overflows and vanishes where it should,
/// the reciprocal of a square is 0 where it should be subnormal.
static Value expandIntegerPower(FloatBuilder &b, Value x, int64_t exponent) {
  if (exponent == 0)
    return b.constant(1); // NaN's, too
  if (exponent >= 1 && exponent <= 4)
    return multiplyOut(b, x, exponent);
  if (exponent == -1 || exponent == -2)
    return multiplyOut(b, b.div(b.constant(1), x), -exponent);
  if (b.isDouble())
    return {};
  FloatBuilder wide = b.inDouble();
  Value power = multiplyOut(wide, wide.extend(x), std::abs(exponent));
  return b.truncate(exponent < 0 ? wide.div(wide.constant(1), power) : power);
}

/// Powers by square roots. Unlike a root, the power of -0 is +0 or its
/// reciprocal, and that of -infinity is what it is of +infinity.
static Value expandRootPower(FloatBuilder &b, Value x, double exponent) {
  x = b.add(x, b.constant(0));
  Value root = b.sqrt(x);
  Value power;
  if (exponent == 0.5)
    power = root;
  else if (exponent == -0.5)
    power = b.div(b.constant(1), root);
  else if (exponent == 0.25)
    power = b.sqrt(root);
  else if (exponent == 1.5)
    power = b.mul(x, root);
  else if (exponent == 2.5)
    power = b.mul(b.mul(x, x), root);
  else
    return {};
  Value isLowest = b.compare(P::OEQ, x, -kInfinity);
  return b.select(isLowest, b.constant(exponent < 0 ? 0 : kInfinity), power);
}

static Value expandConstantPower(FloatBuilder &b, Value x, double exponent) {
  constexpr double kMostMultiplied = 64;
  if (std::trunc(exponent) == exponent && std::abs(exponent) <= kMostMultiplied)
    return expandIntegerPower(b, x, static_cast<int64_t>(exponent));
  return expandRootPower(b, x, exponent);
}

/// The number that all lanes of a constant hold.
static std::optional<double> constantNumber(Value value) {
  FloatAttr scalar;
  if (matchPattern(value, m_Constant(&scalar)))
    return scalar.getValueAsDouble();
  DenseFPElementsAttr elements;
  if (matchPattern(value, m_Constant(&elements)) && elements.isSplat())
    return elements.getSplatValue<APFloat>().convertToDouble();
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Any exponent
//===----------------------------------------------------------------------===//

static Value expandAnyPower(FloatBuilder &b, Value x, Value y) {
  FloatBuilder wide = b.inDouble();
  // No base but 1 notices the bound, and 1 to an infinite power is 1.
  Value bounded = b.atLeast(b.atMost(y, 1e30), -1e30);
  Value logarithm = expandWideLog2(wide, wide.extend(b.abs(x)));
  Value power = b.truncate(expandWideExp2(wide, wide.mul(wide.extend(bounded), logarithm)));

  // From 2^24 on all floats are even integers.
  Value isSmall = b.compare(P::OLT, b.abs(y), 16777216.0);
  Value fractional = b.select(isSmall, y, b.constant(0));
  Value truncated = b.toInteger(fractional);
  Value isInteger = b.compare(P::OEQ, b.toFloat(truncated), fractional);
  Value parity = b.select(isInteger, truncated, b.integer(0));
  Value sign = b.andBits(b.bitsOf(x), b.shiftLeft(parity, 31));
  Value result = b.fromBits(b.xorBits(b.bitsOf(power), sign));

  Value isNegative = b.logicalAnd(b.compare(P::OLT, x, 0.0), b.compare(P::OGT, x, -kInfinity));
  Value realOrNan = b.select(isInteger, result, b.constant(kNan));
  result = b.select(isNegative, realOrNan, result);
  // Even where the other one is NaN.
  Value isOne = b.logicalOr(b.compare(P::OEQ, x, 1.0), b.compare(P::OEQ, y, 0.0));
  return b.select(isOne, b.constant(1), result);
}

Value quern::native::expandPower(math::PowFOp op) {
  FloatBuilder b(op);
  if (std::optional<double> exponent = constantNumber(op.getRhs()))
    if (Value power = expandConstantPower(b, op.getLhs(), *exponent))
      return power;
  return b.isDouble() ? Value() : expandAnyPower(b, op.getLhs(), op.getRhs());
}
