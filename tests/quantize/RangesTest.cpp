//===- RangesTest.cpp - histograms, and ranges of them --------------------===//
#include "api/quantize/Ranges.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

using namespace quern;
using namespace quern::quantization;

static constexpr RangeMethod kMethods[] = {RangeMethod::MinMax, RangeMethod::Percentile,
                                           RangeMethod::Entropy, RangeMethod::Mse};

static Histogram histogramOf(const std::vector<float> &values) {
  Histogram histogram;
  histogram.add(values);
  return histogram;
}

static std::vector<float> normalValues(size_t count, float deviation) {
  std::mt19937 random(7);
  std::normal_distribution<float> draw(0, deviation);
  std::vector<float> values(count);
  for (float &value : values)
    value = draw(random);
  return values;
}

TEST(HistogramTest, CountsAllValues) {
  Histogram histogram;
  histogram.add(std::vector<float>{-1, 0, 0.5f, 1});
  histogram.add(std::vector<float>{3, -20});
  histogram.add({});
  EXPECT_EQ(histogram.count(), 6);
  EXPECT_EQ(histogram.min(), -20);
  EXPECT_EQ(histogram.max(), 3);
  EXPECT_GE(histogram.limit(), 20);
  const std::vector<int64_t> &bins = histogram.bins();
  EXPECT_EQ(std::accumulate(bins.begin(), bins.end(), int64_t{0}), 6);
  EXPECT_FALSE(histogram.hasNonFinite());
}

TEST(HistogramTest, WideningKeepsValuesWhereTheyAre) {
  Histogram histogram;
  histogram.add(std::vector<float>{0.25f, 1});
  histogram.add(std::vector<float>{-1000});
  double sum = 0;
  for (int64_t i = 0; i < Histogram::kBins; ++i)
    sum += static_cast<double>(histogram.bins()[static_cast<size_t>(i)]) * histogram.centre(i);
  EXPECT_NEAR(sum, -998.75, 3 * histogram.binWidth());
}

TEST(HistogramTest, NumbersThatAreNoneAreNoted) {
  Histogram histogram = histogramOf({1, INFINITY, -2});
  EXPECT_TRUE(histogram.hasNonFinite());
  EXPECT_EQ(histogram.count(), 2);
  EXPECT_EQ(histogram.max(), 1);
  EXPECT_TRUE(histogramOf({NAN}).hasNonFinite());
}

TEST(RangesTest, OnlyZeros) {
  for (RangeMethod method : kMethods) {
    Range range = chooseRange(histogramOf({0, 0, 0}), method, 99.9);
    EXPECT_EQ(range.low, 0);
    EXPECT_EQ(range.high, 0);
    EXPECT_EQ(affineOf(range, DType::UInt8).scale, 1);
  }
  EXPECT_EQ(chooseRange(Histogram(), RangeMethod::Mse, 99.9).high, 0);
}

TEST(RangesTest, ZeroIsInAllOfThem) {
  for (RangeMethod method : kMethods) {
    EXPECT_EQ(chooseRange(histogramOf({3, 4, 5}), method, 99.9).low, 0);
    EXPECT_EQ(chooseRange(histogramOf({-3, -4, -5}), method, 99.9).high, 0);
  }
}

TEST(RangesTest, MinMaxHasAll) {
  Range range = chooseRange(histogramOf({-2, 1, 7}), RangeMethod::MinMax, 0);
  EXPECT_EQ(range.low, -2);
  EXPECT_EQ(range.high, 7);
}

TEST(RangesTest, EvenValuesLoseLittle) {
  std::vector<float> values(20000);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i) / 10000 - 1;
  for (RangeMethod method : kMethods) {
    Range range = chooseRange(histogramOf(values), method, 99.9);
    EXPECT_NEAR(range.low, -1, 0.05);
    EXPECT_NEAR(range.high, 1, 0.05);
  }
}

TEST(RangesTest, OutliersAreCutOff) {
  std::vector<float> values = normalValues(100'000, 1);
  values.push_back(400);
  Histogram histogram = histogramOf(values);
  EXPECT_EQ(chooseRange(histogram, RangeMethod::MinMax, 99.9).high, 400);
  for (RangeMethod method : {RangeMethod::Percentile, RangeMethod::Entropy}) {
    Range range = chooseRange(histogram, method, 99.9);
    EXPECT_LT(range.high, 100) << int(method);
    EXPECT_GT(range.high, 2) << int(method);
    EXPECT_LT(range.low, -2) << int(method);
    EXPECT_GT(range.low, -6) << int(method);
  }
}

TEST(RangesTest, PercentileKeepsItsShare) {
  std::vector<float> values = normalValues(100'000, 1);
  Range range = chooseRange(histogramOf(values), RangeMethod::Percentile, 90);
  auto outside = std::count_if(values.begin(), values.end(),
                               [&](float x) { return x < range.low || x > range.high; });
  EXPECT_NEAR(static_cast<double>(outside), 10'000, 300);
}

/// The mean of squares that rounding to 256 values loses.
static double lossOf(const std::vector<float> &values, const Range &range) {
  Affine affine = affineOf(range, DType::UInt8);
  double sum = 0;
  for (float x : values) {
    auto number = static_cast<double>(affine.quantize(x, 0, 255) - affine.zeroPoint);
    sum += std::pow(number * affine.scale - x, 2);
  }
  return sum / static_cast<double>(values.size());
}

TEST(RangesTest, LeastSquaresLoseLeast) {
  std::vector<float> values = normalValues(50'000, 0.5f);
  values.insert(values.end(), {30, -25, 28});
  Histogram histogram = histogramOf(values);
  double least = lossOf(values, chooseRange(histogram, RangeMethod::Mse, 0));
  for (RangeMethod method : {RangeMethod::MinMax, RangeMethod::Percentile, RangeMethod::Entropy})
    EXPECT_LE(least, lossOf(values, chooseRange(histogram, method, 99.99)) * 1.02);
}

TEST(RangesTest, Names) {
  EXPECT_EQ(parseRangeMethod("entropy"), RangeMethod::Entropy);
  EXPECT_FALSE(parseRangeMethod("median"));
}

TEST(AffineTest, ZeroIsExact) {
  for (DType dtype : {DType::UInt8, DType::Int8})
    for (Range range : {Range{-1, 2}, Range{0, 6}, Range{-3, 0}, Range{-1e-3, 1e4}}) {
      Affine affine = affineOf(range, dtype);
      EXPECT_GE(affine.zeroPoint, leastOf(dtype));
      EXPECT_LE(affine.zeroPoint, mostOf(dtype));
      EXPECT_EQ(affine.quantize(0, leastOf(dtype), mostOf(dtype)), affine.zeroPoint);
    }
}

TEST(AffineTest, EndsAreTheEnds) {
  Affine affine = affineOf({0, 6}, DType::UInt8);
  EXPECT_EQ(affine.zeroPoint, 0);
  EXPECT_EQ(affine.quantize(6, 0, 255), 255);
  EXPECT_EQ(affine.quantize(1e9, 0, 255), 255);
  Affine both = affineOf({-4, 4}, DType::Int8);
  EXPECT_EQ(both.quantize(-4, -128, 127), -128);
  // As many numbers below 0 as above, and one more.
  EXPECT_GE(both.quantize(4, -128, 127), 126);
}

TEST(AffineTest, TinyRangesHaveAUsableScale) {
  EXPECT_EQ(affineOf({0, 1e-44}, DType::UInt8).scale, 1);
  EXPECT_EQ(affineOf({0, 0}, DType::Int8).zeroPoint, -128);
}

/// Too few to say what is rare.
TEST(RangesTest, EntropyOfFewValuesIsMinMax) {
  std::vector<float> values = normalValues(500, 1);
  for (float &value : values)
    value = std::max(value, 0.0f);
  Histogram histogram = histogramOf(values);
  EXPECT_GT(chooseRange(histogram, RangeMethod::Entropy, 0).high, 0.9 * histogram.max());
}

/// Half of the values are 0, as behind ReLU.
TEST(RangesTest, ZerosDoNotAskForSmallRanges) {
  std::vector<float> values = normalValues(200'000, 1);
  for (float &value : values)
    value = std::max(value, 0.0f);
  EXPECT_GT(chooseRange(histogramOf(values), RangeMethod::Entropy, 0).high, 2);
}

TEST(HistogramTest, ZerosAreInOneBin) {
  for (float largest : {0.1f, 0.3f, 0.7f, 1.1f, 58.877182f, 1e-30f}) {
    Histogram histogram = histogramOf({0, 0, 0, largest});
    EXPECT_EQ(histogram.bins()[Histogram::kBins / 2], 3) << largest;
    histogram.add(std::vector<float>{0, -7 * largest});
    EXPECT_EQ(histogram.bins()[Histogram::kBins / 2], 4) << largest;
  }
}
