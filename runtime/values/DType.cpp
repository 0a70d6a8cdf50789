//===- DType.cpp - element types ------------------------------------------===//
#include "quern/DType.h"

#include <cmath>
#include <string>

using namespace quern;

namespace {
struct Row {
  DType dtype;
  std::string_view name;
  int bits;
  int64_t bytes;
};

constexpr Row kRows[] = {
    {DType::Undefined, "undefined", 0, 0},
    {DType::Float32, "float32", 32, 4},
    {DType::UInt8, "uint8", 8, 1},
    {DType::Int8, "int8", 8, 1},
    {DType::UInt16, "uint16", 16, 2},
    {DType::Int16, "int16", 16, 2},
    {DType::Int32, "int32", 32, 4},
    {DType::Int64, "int64", 64, 8},
    {DType::String, "string", 0, sizeof(std::string)},
    {DType::Bool, "bool", 8, 1},
    {DType::Float16, "float16", 16, 2},
    {DType::Float64, "float64", 64, 8},
    {DType::UInt32, "uint32", 32, 4},
    {DType::UInt64, "uint64", 64, 8},
    {DType::Complex64, "complex64", 64, 8},
    {DType::Complex128, "complex128", 128, 16},
    {DType::BFloat16, "bfloat16", 16, 2},
    {DType::Float8E4M3FN, "float8e4m3fn", 8, 1},
    {DType::Float8E4M3FNUZ, "float8e4m3fnuz", 8, 1},
    {DType::Float8E5M2, "float8e5m2", 8, 1},
    {DType::Float8E5M2FNUZ, "float8e5m2fnuz", 8, 1},
    {DType::UInt4, "uint4", 4, 1},
    {DType::Int4, "int4", 4, 1},
    {DType::Float4E2M1, "float4e2m1", 4, 1},
    {DType::Float8E8M0, "float8e8m0", 8, 1},
    {DType::UInt2, "uint2", 2, 1},
    {DType::Int2, "int2", 2, 1},
    {DType::Float6E2M3, "float6e2m3", 6, 1},
    {DType::Float6E3M2, "float6e3m2", 6, 1},
};

const Row &row(DType dtype) {
  auto i = static_cast<size_t>(dtype);
  return i < std::size(kRows) ? kRows[i] : kRows[0];
}
} // namespace

bool quern::isDTypeNumber(int64_t number) {
  return number > 0 && number < static_cast<int64_t>(std::size(kRows));
}

std::string_view quern::dtypeName(DType dtype) { return row(dtype).name; }
int quern::dtypeBits(DType dtype) { return row(dtype).bits; }
int64_t quern::dtypeBytes(DType dtype) { return row(dtype).bytes; }

std::optional<DType> quern::parseDType(std::string_view name) {
  if (name == "float")
    return DType::Float32;
  if (name == "double")
    return DType::Float64;
  for (const Row &r : kRows)
    if (r.name == name && r.dtype != DType::Undefined)
      return r.dtype;
  return std::nullopt;
}

bool quern::isFloat(DType dtype) {
  return dtype == DType::Float32 || dtype == DType::Float64 || dtype == DType::Float16 ||
         dtype == DType::BFloat16 || isMiniFloat(dtype);
}

bool quern::isMiniFloat(DType dtype) {
  switch (dtype) {
  case DType::Float8E4M3FN:
  case DType::Float8E4M3FNUZ:
  case DType::Float8E5M2:
  case DType::Float8E5M2FNUZ:
  case DType::Float4E2M1:
  case DType::Float8E8M0:
  case DType::Float6E2M3:
  case DType::Float6E3M2:
    return true;
  default:
    return false;
  }
}

bool quern::isSignedInteger(DType dtype) {
  return dtype == DType::Int8 || dtype == DType::Int16 || dtype == DType::Int32 ||
         dtype == DType::Int64 || dtype == DType::Int4 || dtype == DType::Int2;
}

bool quern::isUnsignedInteger(DType dtype) {
  return dtype == DType::UInt8 || dtype == DType::UInt16 || dtype == DType::UInt32 ||
         dtype == DType::UInt64 || dtype == DType::UInt4 || dtype == DType::UInt2;
}

Float16::Float16(float value) {
  uint32_t x = std::bit_cast<uint32_t>(value);
  uint16_t sign = static_cast<uint16_t>((x >> 16) & 0x8000u);
  uint32_t magnitude = x & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { // NaN: keep it quiet, keep the top payload bits
    bits = static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
  } else if (magnitude >= 0x477ff000u) { // rounds to infinity
    bits = static_cast<uint16_t>(sign | 0x7c00u);
  } else if (magnitude < 0x38800000u) { // subnormal or zero: let the FPU round
    float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    bits = static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  } else {
    uint32_t odd = (magnitude >> 13) & 1u;
    bits = static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
  }
}

Float16::operator float() const {
  uint32_t sign = uint32_t(bits & 0x8000u) << 16;
  uint32_t exponent = (bits >> 10) & 0x1fu;
  uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

BFloat16::BFloat16(float value) {
  uint32_t x = std::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    bits = static_cast<uint16_t>((x >> 16) | 0x40u);
  else
    bits = static_cast<uint16_t>((x + 0x7fffu + ((x >> 16) & 1u)) >> 16);
}
