//===- SmallTypes.h - elements that C++ has no types for ------------------===//
//
// Floats of 8 bits and less and integers of less than 8: in memory one a byte.
// They are converted and moved; nothing else computes with them.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/DType.h"
#include "runtime/reference/Enumerations.h"

#include <cstdint>

namespace quern::reference {

/// How a number becomes a mini float.
struct MiniFloatRules {
  /// What is too large becomes the largest value; else infinity, or NaN where there is none.
  bool saturate = true;
  /// Of float8e8m0; all others round to nearest even.
  CastRounding rounding = CastRounding::Nearest;
};

/// The value of a mini float; exact.
double decodeMiniFloat(DType dtype, uint8_t bits);
/// The bits of the mini float for `value`. Types without NaN have -0 for it, and saturate.
uint8_t encodeMiniFloat(DType dtype, double value, MiniFloatRules rules = {});

/// A mini float in memory.
template <DType kDType> struct MiniFloat {
  uint8_t bits = 0;
  MiniFloat() = default;
  explicit MiniFloat(double value, MiniFloatRules rules = {})
      : bits(encodeMiniFloat(kDType, value, rules)) {}
  double value() const { return decodeMiniFloat(kDType, bits); }
};

/// An integer of 2 or 4 bits in memory: a byte that holds its value.
template <DType kDType> struct SmallInt {
  static constexpr int kBits = kDType == DType::Int4 || kDType == DType::UInt4 ? 4 : 2;
  static constexpr bool kSigned = kDType == DType::Int4 || kDType == DType::Int2;
  static constexpr int kLowest = kSigned ? -(1 << (kBits - 1)) : 0;
  static constexpr int kHighest = kLowest + (1 << kBits) - 1;

  int8_t held = 0;
  SmallInt() = default;
  /// The low bits of `value`.
  explicit SmallInt(int64_t value) {
    auto low = static_cast<int>(value & ((1 << kBits) - 1));
    held = static_cast<int8_t>(low > kHighest ? low - (1 << kBits) : low);
  }
  /// A byte of another value than these comes from no kernel, but from a caller perhaps.
  int64_t value() const { return SmallInt(int64_t{held}).held; }
};

template <typename T> constexpr bool isMiniFloatType = false;
template <DType kDType> constexpr bool isMiniFloatType<MiniFloat<kDType>> = true;
template <typename T> constexpr bool isSmallIntType = false;
template <DType kDType> constexpr bool isSmallIntType<SmallInt<kDType>> = true;

} // namespace quern::reference
