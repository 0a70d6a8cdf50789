//===- DType.h - element types --------------------------------------------===//
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

namespace quern {

/// All ONNX element types; the values are those of onnx.TensorProto.DataType.
enum class DType : uint8_t {
  Undefined = 0,
  Float32 = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Float64 = 11,
  UInt32 = 12,
  UInt64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BFloat16 = 16,
  Float8E4M3FN = 17,
  Float8E4M3FNUZ = 18,
  Float8E5M2 = 19,
  Float8E5M2FNUZ = 20,
  UInt4 = 21,
  Int4 = 22,
  Float4E2M1 = 23,
  Float8E8M0 = 24,
  UInt2 = 25,
  Int2 = 26,
  Float6E2M3 = 27,
  Float6E3M2 = 28,
};

/// Whether a number of a file is that of an element type (Undefined is none).
bool isDTypeNumber(int64_t number);

/// "float32", "int64", ... ; "undefined" for unknown values.
std::string_view dtypeName(DType dtype);
/// The inverse of dtypeName; also accepts "float" and "double".
std::optional<DType> parseDType(std::string_view name);
/// Bits of one element in a file (4 for the int4 types, 0 for String and Undefined).
int dtypeBits(DType dtype);
/// Bytes of one element in a Tensor. What has less than 8 bits is stored one per byte:
/// integers as the int8 or uint8 of their value, floats as their bits; a String element
/// is a std::string.
int64_t dtypeBytes(DType dtype);
bool isFloat(DType dtype);
bool isSignedInteger(DType dtype);
bool isUnsignedInteger(DType dtype);
/// Float8, float6 and float4: floats that no C++ type has the values of.
bool isMiniFloat(DType dtype);

/// IEEE binary16; storage only, arithmetic goes through float.
struct Float16 {
  uint16_t bits = 0;
  Float16() = default;
  /// Rounds to nearest even; keeps NaN and infinity.
  explicit Float16(float value);
  explicit operator float() const;
};

/// The upper half of a binary32; storage only, arithmetic goes through float.
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  /// Rounds to nearest even; keeps NaN and infinity.
  explicit BFloat16(float value);
  explicit operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

/// The DType of a C++ element type.
template <typename T> constexpr DType dtypeOf() = delete;
template <> constexpr DType dtypeOf<float>() { return DType::Float32; }
template <> constexpr DType dtypeOf<double>() { return DType::Float64; }
template <> constexpr DType dtypeOf<Float16>() { return DType::Float16; }
template <> constexpr DType dtypeOf<BFloat16>() { return DType::BFloat16; }
template <> constexpr DType dtypeOf<int8_t>() { return DType::Int8; }
template <> constexpr DType dtypeOf<int16_t>() { return DType::Int16; }
template <> constexpr DType dtypeOf<int32_t>() { return DType::Int32; }
template <> constexpr DType dtypeOf<int64_t>() { return DType::Int64; }
template <> constexpr DType dtypeOf<uint8_t>() { return DType::UInt8; }
template <> constexpr DType dtypeOf<uint16_t>() { return DType::UInt16; }
template <> constexpr DType dtypeOf<uint32_t>() { return DType::UInt32; }
template <> constexpr DType dtypeOf<uint64_t>() { return DType::UInt64; }
template <> constexpr DType dtypeOf<bool>() { return DType::Bool; }

} // namespace quern
