//===- SmallTypes.cpp - floats of 8 bits and less -------------------------===//
//
// Everything follows from one row per type. The codes of a type without its sign are
// ordered as their values are, so that rounding is a search for two neighbours.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/SmallTypes.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::reference;

namespace {
struct Format {
  int exponentBits, mantissaBits, bias;
  /// The code of the largest finite value.
  uint8_t largest;
  /// Codes of positive infinity and of NaN; -1: none.
  int infinity, nan;
  /// Fnuz: the code of -0 is the only NaN.
  bool nanIsMinusZero = false;
  /// Powers of two from code 0 on, without zero and sign.
  bool onlyPowers = false;
};
} // namespace

static Format formatOf(DType dtype) {
  switch (dtype) {
  case DType::Float8E4M3FN:
    return {4, 3, 7, 0x7e, -1, 0x7f};
  case DType::Float8E4M3FNUZ:
    return {4, 3, 8, 0x7f, -1, 0x80, /*nanIsMinusZero=*/true};
  case DType::Float8E5M2:
    return {5, 2, 15, 0x7b, 0x7c, 0x7e};
  case DType::Float8E5M2FNUZ:
    return {5, 2, 16, 0x7f, -1, 0x80, /*nanIsMinusZero=*/true};
  case DType::Float8E8M0:
    return {8, 0, 127, 0xfe, -1, 0xff, /*nanIsMinusZero=*/false, /*onlyPowers=*/true};
  case DType::Float6E2M3:
    return {2, 3, 1, 0x1f, -1, -1};
  case DType::Float6E3M2:
    return {3, 2, 3, 0x1f, -1, -1};
  default: // Float4E2M1
    return {2, 1, 1, 0x07, -1, -1};
  }
}

static int signBit(const Format &format) {
  return 1 << (format.exponentBits + format.mantissaBits);
}

/// The value of a code without sign that is no NaN or infinity; also of the code after
/// the largest, as if it had a value.
static double magnitudeOf(const Format &format, int code) {
  if (format.onlyPowers)
    return std::ldexp(1.0, code - format.bias);
  int exponent = code >> format.mantissaBits;
  int mantissa = code & ((1 << format.mantissaBits) - 1);
  if (exponent == 0)
    return std::ldexp(mantissa, 1 - format.bias - format.mantissaBits);
  return std::ldexp(mantissa + (1 << format.mantissaBits),
                    exponent - format.bias - format.mantissaBits);
}

double reference::decodeMiniFloat(DType dtype, uint8_t bits) {
  Format format = formatOf(dtype);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (format.onlyPowers)
    return bits == format.nan ? kNan : magnitudeOf(format, bits);
  int sign = signBit(format), code = bits & (sign - 1);
  if (format.nanIsMinusZero && bits == format.nan)
    return kNan;
  double magnitude = magnitudeOf(format, code);
  if (code > format.largest)
    magnitude = code == format.infinity ? std::numeric_limits<double>::infinity() : kNan;
  return (bits & sign) != 0 ? -magnitude : magnitude;
}

/// The last code with a value of `magnitude` at most, and 0 where there is none.
static int codeBelow(const Format &format, double magnitude) {
  int low = 0, high = format.largest + 2;
  while (high - low > 1) {
    int middle = (low + high) / 2;
    (magnitudeOf(format, middle) <= magnitude ? low : high) = middle;
  }
  return low;
}

/// The code of a magnitude that is not NaN; that after the largest for what is too large.
static int roundToCode(const Format &format, double magnitude, CastRounding rounding) {
  int code = codeBelow(format, magnitude);
  double below = magnitudeOf(format, code), above = magnitudeOf(format, code + 1);
  if (code > format.largest || magnitude <= below)
    return code;
  bool isTie = magnitude - below == above - magnitude;
  bool up = isTie ? code % 2 != 0 : magnitude - below > above - magnitude;
  if (format.onlyPowers) {
    up = rounding == CastRounding::Up ||
         (rounding == CastRounding::Nearest && magnitude - below >= above - magnitude);
  }
  return up ? code + 1 : code;
}

uint8_t reference::encodeMiniFloat(DType dtype, double value, MiniFloatRules rules) {
  Format format = formatOf(dtype);
  int sign = !format.onlyPowers && std::signbit(value) ? signBit(format) : 0;
  int nan = format.nan < 0 ? signBit(format) : format.nan | (format.nanIsMinusZero ? 0 : sign);
  if (std::isnan(value))
    return static_cast<uint8_t>(nan);
  double magnitude = std::abs(value);
  if (format.onlyPowers && magnitude < magnitudeOf(format, 0))
    return static_cast<uint8_t>(rules.saturate ? 0 : nan);
  int code = roundToCode(format, magnitude, rules.rounding);
  if (code > format.largest) {
    if (rules.saturate || format.nan < 0)
      code = format.largest;
    else if (format.infinity < 0)
      return static_cast<uint8_t>(nan);
    else
      code = format.infinity;
  }
  return static_cast<uint8_t>(format.nanIsMinusZero && code == 0 ? 0 : sign | code);
}
