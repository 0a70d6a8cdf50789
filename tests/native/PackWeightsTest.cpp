//===- PackWeightsTest.cpp - the order of packed weights ------------------===//
#include "backends/native/kernels/PackWeights.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::native;

namespace {
/// 1, 2, 3, ... in the given shape.
Tensor counted(const Tensor::Dims &dims) {
  Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = static_cast<float>(i + 1);
  return tensor;
}

std::vector<float> valuesOf(const Tensor &t) {
  return {t.data<float>(), t.data<float>() + t.numElements()};
}
} // namespace

TEST(PackWeightsTest, PlainConvolution) {
  // 3 outputs, 2 inputs, 2 positions; tiles of 2 outputs.
  auto packed = packConvWeights(counted({3, 2, 2}), /*inputBlock=*/0, /*tileColumns=*/2);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->dims(), (Tensor::Dims{2, 4, 2}));
  EXPECT_EQ(valuesOf(*packed),
            (std::vector<float>{1, 5, 2, 6, 3, 7, 4, 8, 9, 0, 10, 0, 11, 0, 12, 0}));
}

TEST(PackWeightsTest, BlockedConvolutionPadsLanes) {
  // 3 inputs in blocks of 2: (block, position, lane).
  auto packed = packConvWeights(counted({1, 3, 2}), /*inputBlock=*/2, /*tileColumns=*/1);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->dims(), (Tensor::Dims{1, 8, 1}));
  EXPECT_EQ(valuesOf(*packed), (std::vector<float>{1, 3, 2, 4, 5, 0, 6, 0}));
}

TEST(PackWeightsTest, Depthwise) {
  auto packed = packDepthwiseWeights(counted({3, 1, 2}), /*lanes=*/2);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->dims(), (Tensor::Dims{2, 2, 2}));
  EXPECT_EQ(valuesOf(*packed), (std::vector<float>{1, 3, 2, 4, 5, 0, 6, 0}));
}

TEST(PackWeightsTest, Matrices) {
  // Two matrices of 2x3, as they are and transposed; tiles of 2 columns.
  auto plain = packMatrix(counted({2, 2, 3}), {2, 2, 3, 3, 1, 2, 1.0});
  ASSERT_TRUE(plain);
  EXPECT_EQ(valuesOf(*plain),
            (std::vector<float>{1, 2, 4, 5, 3, 0, 6, 0, 7, 8, 10, 11, 9, 0, 12, 0}));
  auto transposed = packMatrix(counted({2, 3, 2}), {2, 2, 3, 1, 2, 2, 10.0});
  ASSERT_TRUE(transposed);
  EXPECT_EQ(valuesOf(*transposed),
            (std::vector<float>{10, 30, 20, 40, 50, 0, 60, 0, 70, 90, 80, 100, 110, 0, 120, 0}));
}

TEST(PackWeightsTest, Vectors) {
  auto padded = padVector(counted({3}), 4);
  ASSERT_TRUE(padded);
  EXPECT_EQ(valuesOf(*padded), (std::vector<float>{1, 2, 3, 0}));
  auto whole = padVector(counted({4}), 4);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->numElements(), 4);
}

TEST(PackWeightsTest, OtherTypesAreErrors) {
  auto packed = packConvWeights(Tensor::ofInts({1, 2}).reshaped({1, 2, 1}), 0, 2);
  ASSERT_FALSE(packed);
  EXPECT_NE(packed.status().message().find("int64"), std::string::npos);
}
