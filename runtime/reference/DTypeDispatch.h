//===- DTypeDispatch.h - from element types to C++ types ------------------===//
//
// Kernels are lambdas `[&]<typename T>() { ... }` that a visit function calls
// with the C++ type of a DType; what it cannot serve is an Unsupported error.
// The lambda returns Status or an Expected.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/DType.h"
#include "quern/Status.h"
#include "runtime/reference/SmallTypes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

namespace quern::reference {

//===----------------------------------------------------------------------===//
// Arithmetic on elements
//===----------------------------------------------------------------------===//

template <typename T>
constexpr bool isFloatType = std::is_floating_point_v<T> || std::is_same_v<T, Float16> ||
                             std::is_same_v<T, BFloat16> || isMiniFloatType<T>;
template <typename T> constexpr bool isSignedType = std::is_signed_v<T>;
template <DType kDType>
constexpr bool isSignedType<SmallInt<kDType>> = SmallInt<kDType>::kLowest < 0;

/// The type in which elements of type T are computed and summed: double,
/// int64_t or uint64_t (also for bool). Integers wrap.
template <typename T>
using Wide = std::conditional_t<isFloatType<T>, double,
                                std::conditional_t<isSignedType<T>, int64_t, uint64_t>>;

/// The value of an element; exact.
template <typename T> Wide<T> widen(T value) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>)
    return static_cast<float>(value);
  else if constexpr (isMiniFloatType<T> || isSmallIntType<T>)
    return value.value();
  else
    return value;
}

/// A float whose rounding to a narrower type gives what rounding `value` at once
/// would give: an inexact one ends in an odd bit, so that it never looks like a tie.
inline float roundToOdd(double value) {
  float nearest = static_cast<float>(value);
  auto bits = std::bit_cast<uint32_t>(nearest);
  if (nearest == value || value != value || (bits & 1) != 0)
    return nearest;
  bool tooSmall = (value < 0 ? -value : value) > (nearest < 0 ? -nearest : nearest);
  return std::bit_cast<float>(tooSmall ? bits + 1 : bits - 1);
}

/// The element for a computed value: floats round, integers keep the low bits.
template <typename T> T narrow(Wide<T> value) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>)
    return T(roundToOdd(value));
  else
    return static_cast<T>(value); // rounds at once, wraps
}

/// The element for a real number: floats round, integers truncate toward zero
/// and saturate, NaN becomes integer 0.
template <typename T> T fromDouble(double value) {
  if constexpr (isFloatType<T>) {
    return narrow<T>(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else if constexpr (isSmallIntType<T>) {
    return T(fromDouble<int8_t>(std::clamp(value, double{T::kLowest}, double{T::kHighest})));
  } else {
    using Range = std::numeric_limits<T>;
    if (value != value)
      return 0;
    // The upper bound itself may round up to a value that does not fit.
    if (value >= static_cast<double>(Range::max()))
      return Range::max();
    return value <= static_cast<double>(Range::min()) ? Range::min() : static_cast<T>(value);
  }
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

inline Status unsupportedDType(DType dtype) {
  return unsupported("element type " + std::string(dtypeName(dtype)) + " is not supported");
}

/// float32, float64, float16, bfloat16.
template <typename Visitor> auto visitFloat(DType dtype, Visitor &&visitor) {
  using Result = decltype(visitor.template operator()<float>());
  switch (dtype) {
  case DType::Float32:
    return visitor.template operator()<float>();
  case DType::Float64:
    return visitor.template operator()<double>();
  case DType::Float16:
    return visitor.template operator()<Float16>();
  case DType::BFloat16:
    return visitor.template operator()<BFloat16>();
  default:
    return Result(unsupportedDType(dtype));
  }
}

/// The signed and unsigned integers of 8 to 64 bits.
template <typename Visitor> auto visitInteger(DType dtype, Visitor &&visitor) {
  using Result = decltype(visitor.template operator()<int8_t>());
  switch (dtype) {
  case DType::Int8:
    return visitor.template operator()<int8_t>();
  case DType::Int16:
    return visitor.template operator()<int16_t>();
  case DType::Int32:
    return visitor.template operator()<int32_t>();
  case DType::Int64:
    return visitor.template operator()<int64_t>();
  case DType::UInt8:
    return visitor.template operator()<uint8_t>();
  case DType::UInt16:
    return visitor.template operator()<uint16_t>();
  case DType::UInt32:
    return visitor.template operator()<uint32_t>();
  case DType::UInt64:
    return visitor.template operator()<uint64_t>();
  default:
    return Result(unsupportedDType(dtype));
  }
}

/// All floats of visitFloat and all integers of visitInteger.
template <typename Visitor> auto visitNumber(DType dtype, Visitor &&visitor) {
  return isFloat(dtype) ? visitFloat(dtype, visitor) : visitInteger(dtype, visitor);
}

/// All numbers and bool.
template <typename Visitor> auto visitNumberOrBool(DType dtype, Visitor &&visitor) {
  return dtype == DType::Bool ? visitor.template operator()<bool>() : visitNumber(dtype, visitor);
}

/// What converts into each other: all numbers, bool, and the types of SmallTypes.h.
template <typename Visitor> auto visitCastable(DType dtype, Visitor &&visitor) {
  switch (dtype) {
  case DType::Float8E4M3FN:
    return visitor.template operator()<MiniFloat<DType::Float8E4M3FN>>();
  case DType::Float8E4M3FNUZ:
    return visitor.template operator()<MiniFloat<DType::Float8E4M3FNUZ>>();
  case DType::Float8E5M2:
    return visitor.template operator()<MiniFloat<DType::Float8E5M2>>();
  case DType::Float8E5M2FNUZ:
    return visitor.template operator()<MiniFloat<DType::Float8E5M2FNUZ>>();
  case DType::Float8E8M0:
    return visitor.template operator()<MiniFloat<DType::Float8E8M0>>();
  case DType::Float6E2M3:
    return visitor.template operator()<MiniFloat<DType::Float6E2M3>>();
  case DType::Float6E3M2:
    return visitor.template operator()<MiniFloat<DType::Float6E3M2>>();
  case DType::Float4E2M1:
    return visitor.template operator()<MiniFloat<DType::Float4E2M1>>();
  case DType::Int4:
    return visitor.template operator()<SmallInt<DType::Int4>>();
  case DType::UInt4:
    return visitor.template operator()<SmallInt<DType::UInt4>>();
  case DType::Int2:
    return visitor.template operator()<SmallInt<DType::Int2>>();
  case DType::UInt2:
    return visitor.template operator()<SmallInt<DType::UInt2>>();
  default:
    return visitNumberOrBool(dtype, visitor);
  }
}

/// For kernels that only move elements: an unsigned integer as wide as the
/// element (an array of two for 16 bytes), or std::string. Serves every type.
template <typename Visitor> auto visitStorage(DType dtype, Visitor &&visitor) {
  using Result = decltype(visitor.template operator()<uint8_t>());
  if (dtype == DType::String)
    return visitor.template operator()<std::string>();
  switch (dtypeBytes(dtype)) {
  case 1:
    return visitor.template operator()<uint8_t>();
  case 2:
    return visitor.template operator()<uint16_t>();
  case 4:
    return visitor.template operator()<uint32_t>();
  case 8:
    return visitor.template operator()<uint64_t>();
  case 16:
    return visitor.template operator()<std::array<uint64_t, 2>>();
  default:
    return Result(unsupportedDType(dtype));
  }
}

} // namespace quern::reference
