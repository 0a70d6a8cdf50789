//===- PackWeightsTest.cpp - the order of packed weights ------------------===//
#include "backends/native/kernels/PackWeights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

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

/// All weights.
Expected<Tensor> packAll(const Tensor &weights, int64_t inputBlock, int64_t tileColumns) {
  return packConvWeights(weights, FilterView::all(weights), inputBlock, tileColumns);
}

std::vector<float> valuesOf(const Tensor &t) {
  return {t.data<float>(), t.data<float>() + t.numElements()};
}
} // namespace

TEST(PackWeightsTest, PlainConvolution) {
  // 3 outputs, 2 inputs, 2 positions; tiles of 2 outputs.
  auto packed = packAll(counted({3, 2, 2}), /*inputBlock=*/0, /*tileColumns=*/2);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->dims(), (Tensor::Dims{2, 4, 2}));
  EXPECT_EQ(valuesOf(*packed),
            (std::vector<float>{1, 5, 2, 6, 3, 7, 4, 8, 9, 0, 10, 0, 11, 0, 12, 0}));
}

TEST(PackWeightsTest, BlockedConvolutionPadsLanes) {
  // 3 inputs in blocks of 2: (block, position, lane).
  auto packed = packAll(counted({1, 3, 2}), /*inputBlock=*/2, /*tileColumns=*/1);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->dims(), (Tensor::Dims{1, 8, 1}));
  EXPECT_EQ(valuesOf(*packed), (std::vector<float>{1, 3, 2, 4, 5, 0, 6, 0}));
}

// Of weights [inputs, outputs, kernel], some of the positions, the last first.
TEST(PackWeightsTest, PartOfTransposedConvolution) {
  FilterView filter{
      .outputs = 3, .inputs = 2, .outputStride = 4, .inputStride = 12, .positions = {3, 1}};
  auto packed = packConvWeights(counted({2, 3, 4}), filter, /*inputBlock=*/2, /*tileColumns=*/2);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->dims(), (Tensor::Dims{2, 4, 2}));
  EXPECT_EQ(valuesOf(*packed), (std::vector<float>{4, 8, 16, 20, 2, 6, 14, 18, //
                                                   12, 0, 24, 0, 10, 0, 22, 0}));
}

TEST(PackWeightsTest, Depthwise) {
  auto packed = packDepthwiseWeights(counted({3, 1, 2}), /*lanes=*/2);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->dims(), (Tensor::Dims{2, 2, 2}));
  EXPECT_EQ(valuesOf(*packed), (std::vector<float>{1, 3, 2, 4, 5, 0, 6, 0}));
}

// Two groups of two channels, two positions.
TEST(PackWeightsTest, SmallGroups) {
  auto packed = packDepthwiseWeights(counted({4, 2, 2}), /*lanes=*/4);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->dims(), (Tensor::Dims{1, 4, 4}));
  EXPECT_EQ(valuesOf(*packed), (std::vector<float>{1, 5, 9, 13, 3, 7, 11, 15, //
                                                   2, 6, 10, 14, 4, 8, 12, 16}));
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
  auto packed = packAll(Tensor::of<bool>({1, 2, 1}, {true, false}), 0, 2);
  ASSERT_FALSE(packed);
  EXPECT_NE(packed.status().message().find("bool"), std::string::npos);
}

// A mapped file's weights lie anywhere; a large one is let go part by part.
TEST(PackWeightsTest, AnyAddressAndPartByPart) {
  for (bool transposed : {false, true}) {
    constexpr int64_t kK = 1500, kN = 1100, kBatch = 2;
    Tensor source = counted({kBatch, transposed ? kN : kK, transposed ? kK : kN});
    std::vector<std::byte> odd(static_cast<size_t>(source.numBytes()) + 1);
    std::memcpy(odd.data() + 1, source.rawData(), static_cast<size_t>(source.numBytes()));
    Tensor view = Tensor::borrow(DType::Float32, source.dims(), odd.data() + 1);
    MatrixPack pack{kBatch, kK, kN, transposed ? 1 : kN, transposed ? kK : 1, 48, 1.0};
    int64_t released = 0, parts = 0;
    auto done = [&](int64_t begin, int64_t end) {
      EXPECT_EQ(begin, released) << "a gap";
      released = end;
      ++parts;
      // What is let go may be anything when it is read again.
      std::fill(odd.begin() + 1 + begin, odd.begin() + 1 + end, std::byte{0xff});
    };
    auto packed = packMatrix(view, pack, done);
    ASSERT_TRUE(packed);
    EXPECT_EQ(released, source.numBytes());
    EXPECT_GT(parts, 2);
    int64_t tiles = packed->dim(1);
    for (int64_t b = 0; b < kBatch; ++b)
      for (int64_t k = 0; k < kK; k += 7)
        for (int64_t n = 0; n < kN; n += 11) {
          int64_t at = ((b * tiles + n / 48) * kK + k) * 48 + n % 48;
          int64_t from = b * kK * kN + k * pack.strideK + n * pack.strideN;
          ASSERT_EQ(packed->data<float>()[at], source.data<float>()[from]);
        }
  }
}

TEST(PackWeightsTest, ConvolutionsAtAnyAddress) {
  Tensor source = counted({3, 2, 2});
  std::vector<std::byte> odd(static_cast<size_t>(source.numBytes()) + 1);
  std::memcpy(odd.data() + 1, source.rawData(), static_cast<size_t>(source.numBytes()));
  Tensor view = Tensor::borrow(DType::Float32, source.dims(), odd.data() + 1);
  EXPECT_EQ(valuesOf(*packAll(view, 0, 2)), valuesOf(*packAll(source, 0, 2)));
  EXPECT_EQ(valuesOf(*packDepthwiseWeights(view, 2)), valuesOf(*packDepthwiseWeights(source, 2)));
  EXPECT_EQ(valuesOf(*padVector(view, 8)), valuesOf(*padVector(source, 8)));
}
