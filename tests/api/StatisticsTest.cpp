//===- StatisticsTest.cpp -------------------------------------------------===//
#include "quern/Statistics.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace quern;

static Statistics summarize(const std::vector<double> &values) {
  SampleSet samples;
  for (double value : values)
    samples.add(value);
  EXPECT_EQ(samples.count(), static_cast<int64_t>(values.size()));
  return samples.summarize();
}

TEST(SampleSet, OfOneSample) {
  for (double sample : {5.0, 0.0, 1e-9, 1e9}) {
    Statistics s = summarize({sample});
    for (double value : {s.min, s.mean, s.p50, s.p90, s.p99})
      EXPECT_EQ(value, sample);
    EXPECT_EQ(s.standardDeviation, 0);
  }
}

TEST(SampleSet, OfUnsortedSamples) {
  std::vector<double> samples;
  for (int i = 100; i >= 0; --i)
    samples.push_back(i);
  Statistics s = summarize(samples);
  EXPECT_EQ(s.min, 0);
  EXPECT_DOUBLE_EQ(s.mean, 50);
  EXPECT_EQ(s.p50, 50);
  EXPECT_EQ(s.p90, 90);
  EXPECT_DOUBLE_EQ(s.p99, 99);
  EXPECT_NEAR(s.standardDeviation, 29.3, 0.01);
  EXPECT_DOUBLE_EQ(summarize({1, 2}).p50, 1.5);
}

/// Percentiles of more samples than are kept, against those of all.
static void expectGoodEstimates(std::vector<double> values) {
  ASSERT_GT(values.size(), SampleSet::kExactSamples);
  Statistics s = summarize(values);
  std::sort(values.begin(), values.end());
  auto at = [&](double share) {
    return values[static_cast<size_t>(std::lround(share * double(values.size() - 1)))];
  };
  EXPECT_EQ(s.min, values.front());
  EXPECT_NEAR(s.p50, at(0.50), 0.002 * at(0.50));
  EXPECT_NEAR(s.p90, at(0.90), 0.002 * at(0.90));
  EXPECT_NEAR(s.p99, at(0.99), 0.002 * at(0.99));
}

TEST(SampleSet, OfMoreSamplesThanAreKept) {
  std::mt19937 random(1);
  std::lognormal_distribution<double> typical(std::log(2e-4), 0.3), wide(0, 5);
  std::vector<double> times, spread, equal(100'000, 0.37), slow;
  for (int i = 0; i < 300'000; ++i) {
    times.push_back(typical(random));
    spread.push_back(wide(random));
  }
  for (size_t i = 0; i <= SampleSet::kExactSamples; ++i)
    slow.push_back(1000 + 0.001 * static_cast<double>(i % 997));
  expectGoodEstimates(times);
  expectGoodEstimates(spread);
  expectGoodEstimates(equal);
  expectGoodEstimates(slow);
}

TEST(SampleSet, MeanAndDeviationLoseNothingToManySamples) {
  SampleSet samples;
  for (int i = 0; i < 1'000'000; ++i)
    samples.add(1e6 + i % 2);
  Statistics s = samples.summarize();
  EXPECT_EQ(s.min, 1e6);
  EXPECT_NEAR(s.mean, 1e6 + 0.5, 1e-6);
  EXPECT_NEAR(s.standardDeviation, 0.5, 1e-5);
}

TEST(SampleSet, EqualSamplesHaveEqualPercentiles) {
  SampleSet samples;
  for (int i = 0; i < 50'000; ++i)
    samples.add(0.25);
  Statistics s = samples.summarize();
  for (double value : {s.min, s.mean, s.p50, s.p90, s.p99})
    EXPECT_EQ(value, 0.25);
}
