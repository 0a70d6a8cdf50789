//===- ConvertTensorTest.cpp - numbers of one type as another -------------===//
#include "quern/ConvertTensor.h"
#include "Models.h"

#include <limits>

using namespace quern;
using namespace quern::test;

template <typename T> static Tensor one(T value) { return Tensor::of<T>({1}, {value}); }

template <typename T> static void expectConverts(const Tensor &tensor, DType dtype, T wanted) {
  Tensor found = expectValue(convertTensor(tensor, dtype));
  EXPECT_EQ(found.dtype(), dtype);
  EXPECT_EQ(found.dims(), tensor.dims());
  EXPECT_EQ(found.data<T>()[0], wanted);
}

static void expectRefused(const Tensor &tensor, DType dtype, const std::string &says) {
  auto found = convertTensor(tensor, dtype);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(found.status().message(), says);
}

TEST(ConvertTensorTest, NumbersThatFit) {
  expectConverts<float>(one(0.1), DType::Float32, 0.1f);
  expectConverts<float>(one(std::numeric_limits<double>::infinity()), DType::Float32,
                        std::numeric_limits<float>::infinity());
  expectConverts<double>(one(int64_t{-7}), DType::Float64, -7);
  // Not by way of float64, which would round twice.
  expectConverts<float>(one(int64_t{0x20000020000001}), DType::Float32, 0x1.000002p53f);
  expectConverts<int8_t>(one(-128.0f), DType::Int8, -128);
  expectConverts<int64_t>(one(-0x1p63), DType::Int64, std::numeric_limits<int64_t>::min());
  expectConverts<uint64_t>(one(int32_t{5}), DType::UInt64, 5);
  expectConverts<bool>(one(int64_t{1}), DType::Bool, true);
  expectConverts<int32_t>(one(true), DType::Int32, 1);
  EXPECT_EQ(expectValue(convertTensor(Tensor::of<double>({0, 3}, {}), DType::Int8)).dims(),
            (Tensor::Dims{0, 3}));
  EXPECT_TRUE(
      std::isnan(expectValue(convertTensor(one(std::nan("")), DType::Float32)).data<float>()[0]));
}

TEST(ConvertTensorTest, NumbersThatDoNot) {
  expectRefused(one(1.5), DType::Int64, "1.5 is no int64");
  expectRefused(one(std::nan("")), DType::Int32, "nan is no int32");
  expectRefused(one(0x1p63), DType::Int64, "9.223372036854776e+18 is no int64");
  expectRefused(one(2147483648.0f), DType::Int32, "2147483648 is no int32");
  expectRefused(one(-1.0), DType::UInt8, "-1 is no uint8");
  expectRefused(one(int64_t{-1}), DType::UInt64, "-1 is no uint64");
  expectRefused(one(uint64_t{1} << 63), DType::Int64, "9223372036854775808 is no int64");
  expectRefused(one(int32_t{300}), DType::Int8, "300 is no int8");
  expectRefused(one(2.0f), DType::Bool, "2 is no bool");
  expectRefused(one(1e300), DType::Float32, "1e+300 is no float32");
  expectRefused(one(int64_t{100000}), DType::Float16, "100000 is no float16");
  expectRefused(Tensor::allocate(DType::String, {1}).take(), DType::Float32,
                "string is not converted to float32");
}
