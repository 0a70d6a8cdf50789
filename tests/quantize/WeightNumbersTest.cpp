//===- WeightNumbersTest.cpp - weights as small integers ------------------===//
#include "api/quantize/WeightNumbers.h"

#include "tests/quantize/Models.h"

using namespace quern;
using namespace quern::quantization;
using namespace quern::quantization::test;

TEST(WeightNumbersTest, ScalePerChannel) {
  Tensor weights = Tensor::of<float>({2, 3}, {1, -2, 0.5f, 100, 50, -25});
  auto rows = quantizeToInt8(weights, 0);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->scales.dims(), Tensor::Dims{2});
  EXPECT_FLOAT_EQ(rows->scales.data<float>()[0], 2.0f / 127);
  EXPECT_FLOAT_EQ(rows->scales.data<float>()[1], 100.0f / 127);
  std::span<const int8_t> numbers = rows->numbers.elementsAs<int8_t>();
  EXPECT_EQ(std::vector<int8_t>(numbers.begin(), numbers.end()),
            (std::vector<int8_t>{64, -127, 32, 127, 64, -32}));
  auto columns = quantizeToInt8(weights, 1);
  EXPECT_EQ(columns->scales.dims(), Tensor::Dims{3});
  EXPECT_FLOAT_EQ(columns->scales.data<float>()[2], 25.0f / 127);
}

TEST(WeightNumbersTest, OneScale) {
  auto all = quantizeToInt8(Tensor::of<float>({2, 2}, {1, -4, 0, 2}), -1);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->scales.rank(), 0);
  EXPECT_FLOAT_EQ(all->scales.data<float>()[0], 4.0f / 127);
  EXPECT_EQ(all->numbers.data<int8_t>()[1], -127);
}

TEST(WeightNumbersTest, ChannelsOfZerosHaveAScale) {
  auto rows = quantizeToInt8(Tensor::of<float>({2, 1}, {0, 1e-44f}), 0);
  EXPECT_EQ(rows->scales.data<float>()[0], 1);
  EXPECT_EQ(rows->scales.data<float>()[1], 1);
}

TEST(WeightNumbersTest, LargerScalesWhereAskedFor) {
  std::vector<double> least = {0, 1};
  auto rows = quantizeToInt8(Tensor::of<float>({2, 1}, {1, 5}), 0, least);
  EXPECT_FLOAT_EQ(rows->scales.data<float>()[0], 1.0f / 127);
  EXPECT_EQ(rows->scales.data<float>()[1], 1);
  EXPECT_EQ(rows->numbers.data<int8_t>()[1], 5);
}

TEST(WeightNumbersTest, RoundingIsWithinHalfAStep) {
  Tensor weights = randomFloats({5, 4, 3, 3}, 9);
  auto rounded = quantizeToInt8(weights, 0);
  for (int64_t i = 0; i < weights.numElements(); ++i) {
    double scale = rounded->scales.data<float>()[i / 36];
    EXPECT_NEAR(rounded->numbers.data<int8_t>()[i] * scale, weights.data<float>()[i],
                scale * 0.501);
  }
}

TEST(WeightNumbersTest, BlocksOfInt4) {
  Tensor matrix = randomFloats({40, 3}, 3);
  auto rounded = quantizeToInt4(matrix, 16);
  ASSERT_TRUE(rounded);
  EXPECT_EQ(rounded->numbers.dtype(), DType::Int4);
  EXPECT_EQ(rounded->scales.dims(), (Tensor::Dims{3, 3}));
  double squares = 0, errors = 0;
  for (int64_t i = 0; i < matrix.numElements(); ++i) {
    double scale = rounded->scales.data<float>()[i / 3 / 16 * 3 + i % 3];
    int number = rounded->numbers.data<int8_t>()[i];
    EXPECT_GE(number, -8);
    EXPECT_LE(number, 7);
    squares += std::pow(matrix.data<float>()[i], 2);
    errors += std::pow(number * scale - matrix.data<float>()[i], 2);
  }
  EXPECT_LT(errors / squares, 0.01);
}

TEST(WeightNumbersTest, Biases) {
  std::vector<double> scales = {0.5, 0.25};
  auto numbers = quantizeBias(Tensor::of<float>({2}, {1.3f, -1}), scales);
  ASSERT_TRUE(numbers);
  EXPECT_EQ(numbers->data<int32_t>()[0], 3);
  EXPECT_EQ(numbers->data<int32_t>()[1], -4);
  std::vector<double> tiny = {1e-12};
  EXPECT_EQ(quantizeBias(Tensor::of<float>({1}, {5}), tiny)->data<int32_t>()[0], INT32_MAX);
}
