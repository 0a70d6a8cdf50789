//===- TensorDataTest.cpp - elements of TensorProtos ----------------------===//
#include "frontend/onnx/TensorData.h"

#include "frontend/onnx/OnnxProto.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::onnx;

namespace {
proto::TensorProto tensorOf(DType dtype, const std::vector<int64_t> &dims) {
  proto::TensorProto tensor;
  tensor.set_data_type(static_cast<int>(dtype));
  for (int64_t dim : dims)
    tensor.add_dims(dim);
  return tensor;
}

/// Decodes a tensor that must be valid.
Tensor decode(const proto::TensorProto &tensor) {
  auto decoded = decodeTensor(tensor, SourceBytes(), Limits());
  EXPECT_TRUE(decoded) << decoded.status().message();
  return decoded ? decoded.take() : Tensor();
}

template <typename T> std::vector<T> elements(const Tensor &tensor) {
  return {tensor.data<T>(), tensor.data<T>() + tensor.numElements()};
}

void expectRefused(const proto::TensorProto &tensor, StatusCode code, const std::string &part) {
  auto decoded = decodeTensor(tensor, SourceBytes(), Limits());
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.status().code(), code);
  EXPECT_NE(decoded.status().message().find(part), std::string::npos) << decoded.status().message();
}
} // namespace

TEST(TensorData, DecodesTypedFields) {
  auto f = tensorOf(DType::Float32, {2});
  f.add_float_data(1.5f), f.add_float_data(-2);
  EXPECT_EQ(elements<float>(decode(f)), (std::vector<float>{1.5f, -2}));
  auto i8 = tensorOf(DType::Int8, {2});
  i8.add_int32_data(-1), i8.add_int32_data(127);
  EXPECT_EQ(elements<int8_t>(decode(i8)), (std::vector<int8_t>{-1, 127}));
  auto f16 = tensorOf(DType::Float16, {1});
  f16.add_int32_data(0x3c00);
  EXPECT_EQ(static_cast<float>(decode(f16).data<Float16>()[0]), 1.0f);
  auto u32 = tensorOf(DType::UInt32, {1});
  u32.add_uint64_data(0xffffffff);
  EXPECT_EQ(decode(u32).data<uint32_t>()[0], 0xffffffffu);
  auto f64 = tensorOf(DType::Float64, {});
  f64.add_double_data(0.1);
  EXPECT_EQ(decode(f64).data<double>()[0], 0.1);
}

TEST(TensorData, DecodesStrings) {
  auto s = tensorOf(DType::String, {2});
  s.add_string_data("a"), s.add_string_data("");
  EXPECT_EQ(elements<std::string>(decode(s)), (std::vector<std::string>{"a", ""}));
}

TEST(TensorData, NormalizesBools) {
  auto b = tensorOf(DType::Bool, {3});
  b.set_raw_data(std::string("\x00\x02\xff", 3));
  EXPECT_EQ(elements<uint8_t>(decode(b)), (std::vector<uint8_t>{0, 1, 1}));
}

TEST(TensorData, UnpacksInt4) {
  auto packed = tensorOf(DType::Int4, {3});
  packed.set_raw_data("\xf7\x08");
  EXPECT_EQ(elements<int8_t>(decode(packed)), (std::vector<int8_t>{7, -1, -8}));
  auto typed = tensorOf(DType::UInt4, {3});
  typed.add_int32_data(0xf7), typed.add_int32_data(0x08);
  EXPECT_EQ(elements<uint8_t>(decode(typed)), (std::vector<uint8_t>{7, 15, 8}));
}

TEST(TensorData, UnpacksFewerBits) {
  auto two = tensorOf(DType::Int2, {5});
  two.set_raw_data("\xe4\x02");
  EXPECT_EQ(elements<int8_t>(decode(two)), (std::vector<int8_t>{0, 1, -2, -1, -2}));
  auto typed = tensorOf(DType::UInt2, {5});
  typed.add_int32_data(0xe4), typed.add_int32_data(2);
  EXPECT_EQ(elements<uint8_t>(decode(typed)), (std::vector<uint8_t>{0, 1, 2, 3, 2}));
  auto floats = tensorOf(DType::Float4E2M1, {3});
  floats.set_raw_data("\xf7\x08");
  EXPECT_EQ(elements<uint8_t>(decode(floats)), (std::vector<uint8_t>{7, 15, 8}));
  // Four elements of 6 bits in three bytes; one an entry in the typed field.
  auto six = tensorOf(DType::Float6E2M3, {5});
  six.set_raw_data("\x41\x3f\xfc\x15");
  EXPECT_EQ(elements<uint8_t>(decode(six)), (std::vector<uint8_t>{1, 61, 3, 63, 21}));
  auto entries = tensorOf(DType::Float6E3M2, {2});
  entries.add_int32_data(0x3f), entries.add_int32_data(0x41);
  EXPECT_EQ(elements<uint8_t>(decode(entries)), (std::vector<uint8_t>{63, 1}));
  auto short4 = tensorOf(DType::Int2, {5});
  short4.set_raw_data("\xe4");
  expectRefused(short4, StatusCode::InvalidModel, "raw_data has 1 bytes, int2 5 needs 2");
}

TEST(TensorData, AcceptsNoElements) {
  EXPECT_EQ(decode(tensorOf(DType::Float32, {0, 3})).numElements(), 0);
}

TEST(TensorData, RefusesWrongSizes) {
  auto raw = tensorOf(DType::Float32, {2, 2});
  raw.set_raw_data(std::string(15, '\0'));
  expectRefused(raw, StatusCode::InvalidModel, "raw_data has 15 bytes, float32 2x2 needs 16");
  auto typed = tensorOf(DType::Int64, {2});
  typed.add_int64_data(1);
  expectRefused(typed, StatusCode::InvalidModel, "holds 1 values, int64 2 needs 2");
  auto wrongField = tensorOf(DType::Int64, {1});
  wrongField.add_float_data(1);
  expectRefused(wrongField, StatusCode::InvalidModel, "holds 0 values");
}

TEST(TensorData, RefusesBadDims) {
  expectRefused(tensorOf(DType::Float32, {2, -1}), StatusCode::InvalidModel, "-1 is negative");
  expectRefused(tensorOf(DType::Float32, {int64_t{1} << 40, int64_t{1} << 40}),
                StatusCode::InvalidModel, "overflow");
  // A wrapped product would be 0 here.
  expectRefused(tensorOf(DType::Float32, {int64_t{1} << 32, int64_t{1} << 32}),
                StatusCode::InvalidModel, "overflow");
  expectRefused(tensorOf(DType::Float32, {int64_t{1} << 40}), StatusCode::ResourceLimit,
                "maxTensorBytes");
  expectRefused(tensorOf(DType::Float32, std::vector<int64_t>(100, 1)), StatusCode::ResourceLimit,
                "maxRank");
}

TEST(TensorData, RefusesUnknownTypesAndDoubleData) {
  proto::TensorProto unknown;
  unknown.set_data_type(99);
  expectRefused(unknown, StatusCode::InvalidModel, "unknown data_type 99");
  auto both = tensorOf(DType::Float32, {1});
  both.set_raw_data(std::string(4, '\0'));
  both.add_float_data(1);
  expectRefused(both, StatusCode::InvalidModel, "both raw_data and typed data");
}
