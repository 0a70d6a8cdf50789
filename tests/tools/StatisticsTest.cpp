//===- StatisticsTest.cpp -------------------------------------------------===//
#include "tools/quern/Statistics.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::cli;

TEST(Statistics, OfOneSample) {
  Statistics s = summarize({5});
  for (double value : {s.min, s.mean, s.p50, s.p90, s.p99})
    EXPECT_EQ(value, 5);
  EXPECT_EQ(s.standardDeviation, 0);
}

TEST(Statistics, OfUnsortedSamples) {
  std::vector<double> samples;
  for (int i = 100; i >= 0; --i)
    samples.push_back(i);
  Statistics s = summarize(samples);
  EXPECT_EQ(s.min, 0);
  EXPECT_EQ(s.mean, 50);
  EXPECT_EQ(s.p50, 50);
  EXPECT_EQ(s.p90, 90);
  EXPECT_DOUBLE_EQ(s.p99, 99);
  EXPECT_NEAR(s.standardDeviation, 29.3, 0.01);
  EXPECT_DOUBLE_EQ(summarize({1, 2}).p50, 1.5);
}

TEST(Durations, HaveUnits) {
  EXPECT_DOUBLE_EQ(*parseSeconds("500ms"), 0.5);
  EXPECT_DOUBLE_EQ(*parseSeconds("3s"), 3);
  EXPECT_DOUBLE_EQ(*parseSeconds("1.5"), 1.5);
  EXPECT_DOUBLE_EQ(*parseSeconds("2min"), 120);
  for (const char *text : {"", "s", "-1s", "3h", "1s2", "nan", "inf", "1 s"})
    EXPECT_EQ(parseSeconds(text).status().code(), StatusCode::Usage) << text;
}
