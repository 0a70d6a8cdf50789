//===- TensorDifferenceTest.cpp -------------------------------------------===//
#include "quern/TensorDifference.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace quern;

static TensorDifference compareFloats(std::vector<float> wanted, std::vector<float> found) {
  auto n = static_cast<int64_t>(wanted.size());
  return compareTensors(Tensor::of<float>({n}, wanted), Tensor::of<float>({n}, found), {});
}

TEST(TensorDifference, ToleratesWhatItShould) {
  TensorDifference d = compareFloats({100, 0}, {100.0625f, 0.000005f});
  EXPECT_TRUE(d.passes());
  EXPECT_DOUBLE_EQ(d.maxAbsolute, 0.0625);
  EXPECT_DOUBLE_EQ(d.maxRelative, 0.000625);
  EXPECT_EQ(compareFloats({100, 0}, {100.5f, 0.1f}).mismatches, 2);
}

TEST(TensorDifference, OfTheLargestMagnitude) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  Tensor wanted = Tensor::of<float>({3}, {-200, 0, kInf});
  Tensor found = Tensor::of<float>({3}, {-200, 1.5f, kInf});
  Tolerance lowered = toleranceOf(Precision::BFloat16);
  EXPECT_DOUBLE_EQ(lowered.ofLargest, 0.04);
  TensorDifference d = compareTensors(wanted, found, lowered);
  EXPECT_TRUE(d.passes());
  EXPECT_DOUBLE_EQ(d.maxOfLargest, 0.0075);
  EXPECT_EQ(compareTensors(wanted, found, toleranceOf(Precision::Float32)).mismatches, 1);
  EXPECT_EQ(toleranceOf(Precision::Float32, /*multipliesBytes=*/true).ofLargest, 0.04);
  EXPECT_EQ(toleranceOf(Precision::Float32, false, nullptr, DType::Float16).ofLargest, 0.02);
  EXPECT_EQ(toleranceOf(Precision::Float32, false, nullptr, DType::BFloat16).ofLargest, 0.1);
  found.mutableData<float>()[1] = 8.5f;
  EXPECT_EQ(compareTensors(wanted, found, lowered).mismatches, 1);
  // Integers are as exact as ever.
  Tensor a = Tensor::ofInts({1000}), b = Tensor::ofInts({1001});
  EXPECT_EQ(compareTensors(a, b, lowered).mismatches, 1);
  EXPECT_EQ(compareTensors(a, b, lowered).maxOfLargest, 0);
}

TEST(TensorDifference, ElementsAreCountedByTheirUnitsInTheLastPlace) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  auto above = [](float x, int times) {
    for (int i = 0; i < times; ++i)
      x = std::nextafter(x, 10.0f);
    return x;
  };
  TensorDifference d =
      compareFloats({1, 1, 1, 1, 1, -1, 0, kNan}, {1, above(1, 1), above(1, 2), above(1, 3),
                                                   above(1, 4), above(-1, 7), above(0, 8), kNan});
  EXPECT_EQ(d.ulps, (std::vector<int64_t>{1, 1, 2, 2, 1}));
  EXPECT_EQ(d.maxUlp, 8);
  EXPECT_EQ(compareFloats({1, 2}, {1, 2}).ulps, std::vector<int64_t>{2});
  // 2^32 - 2 numbers lie between them.
  constexpr float kMost = std::numeric_limits<float>::max();
  EXPECT_EQ(compareFloats({-kMost}, {kMost}).ulps.size(), 33u);
  constexpr double kWide = std::numeric_limits<double>::max();
  EXPECT_EQ(compareTensors(Tensor::of<double>({1}, {-kWide}), Tensor::of<double>({1}, {kWide}), {})
                .ulps.size(),
            65u);
  EXPECT_TRUE(compareTensors(Tensor::ofInts({1}), Tensor::ofInts({2}), {}).ulps.empty());
  // Of what is made of several tensors all.
  auto both = [](float x) {
    return AnyValue::sequence(ValueType::tensor(DType::Float32),
                              {Tensor::of<float>({1}, {1}), Tensor::of<float>({1}, {x})})
        .take();
  };
  EXPECT_EQ(compareValues(both(2), both(above(2, 5)), {}).ulps, (std::vector<int64_t>{1, 0, 0, 1}));
}

TEST(TensorDifference, NanAndInfinityMustBeInTheSamePlaces) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(compareFloats({kNan, kInf, -kInf}, {kNan, kInf, -kInf}).passes());
  EXPECT_FALSE(compareFloats({kNan}, {1}).passes());
  EXPECT_FALSE(compareFloats({1}, {kNan}).passes());
  EXPECT_FALSE(compareFloats({kInf}, {-kInf}).passes());
  EXPECT_FALSE(compareFloats({kInf}, {1e30f}).passes());
}

TEST(TensorDifference, IntegersAreExact) {
  int64_t big = (int64_t{1} << 60) + 1;
  Tensor a = Tensor::ofInts({big}), b = Tensor::ofInts({big - 1});
  EXPECT_TRUE(compareTensors(a, a, {}).passes());
  EXPECT_EQ(compareTensors(a, b, {}).mismatches, 1) << "although equal as doubles";
}

TEST(TensorDifference, StringsAndShapes) {
  Tensor a = Tensor::allocate(DType::String, {2}).take();
  Tensor b = a.clone().take();
  b.mutableData<std::string>()[1] = "x";
  EXPECT_TRUE(compareTensors(a, a, {}).passes());
  EXPECT_EQ(compareTensors(a, b, {}).mismatches, 1);
  EXPECT_EQ(compareTensors(a, Tensor::ofInts({1, 2}), {}).incomparable,
            "wanted string 2, found int64 2");
}

TEST(TensorDifference, UnitsInTheLastPlace) {
  EXPECT_EQ(compareFloats({1}, {std::nextafter(1.f, 2.f)}).maxUlp, 1);
  EXPECT_EQ(compareFloats({0.f, -0.f}, {-0.f, 0.f}).maxUlp, 0);
  float least = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(compareFloats({least}, {-least}).maxUlp, 2);
  EXPECT_EQ(compareFloats({1}, {2}).maxUlp, 1 << 23);
  EXPECT_TRUE(std::isinf(compareFloats({1}, {INFINITY}).maxUlp));
  EXPECT_EQ(compareFloats({NAN, 1}, {NAN, 1}).maxUlp, 0);
  Tensor half = Tensor::of<Float16>({2}, {Float16(1.f), Float16(2.f)});
  Tensor other = Tensor::of<Float16>({2}, {Float16(1.f), Float16(2.002f)});
  EXPECT_EQ(compareTensors(half, other, {}).maxUlp, 1);
  EXPECT_EQ(compareTensors(Tensor::ofInts({3}), Tensor::ofInts({5}), {}).maxUlp, 0);
}

TEST(TensorDifference, CosineAndLargestEntries) {
  EXPECT_DOUBLE_EQ(compareFloats({1, 0}, {0, 1}).cosine, 0);
  EXPECT_DOUBLE_EQ(compareFloats({1, 1}, {-2, -2}).cosine, -1);
  EXPECT_DOUBLE_EQ(compareFloats({1e30f, 1e30f}, {2e30f, 2e30f}).cosine, 1);
  EXPECT_EQ(compareFloats({0, 0}, {0, 1}).cosine, 0);
  EXPECT_EQ(compareFloats({0, 0}, {0, 0}).cosine, 1);
  Tensor wanted = Tensor::of<float>({2, 2}, {1, 2, 4, 3});
  Tensor found = Tensor::of<float>({2, 2}, {2, 1, 4, 3});
  EXPECT_EQ(compareTensors(wanted, found, {}).topAgreement, 0.5);
  EXPECT_FALSE(compareTensors(Tensor::ofInts({1, 2}), Tensor::ofInts({1, 2}), {}).topAgreement);
}
