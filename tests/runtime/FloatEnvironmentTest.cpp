//===- FloatEnvironmentTest.cpp -------------------------------------------===//
#include "runtime/running/FloatEnvironment.h"

#include <cfenv>
#include <gtest/gtest.h>
#include <limits>

using namespace quern;

/// Smallest normal number halved, at run time.
static float subnormal() {
  volatile float smallest = std::numeric_limits<float>::min();
  volatile float half = 0.5f;
  return smallest * half;
}

static float doubled(float x) {
  volatile float y = x;
  return y * 2.0f;
}

TEST(FloatEnvironment, FlushesResultsAndInputsAndRestores) {
  float kept = subnormal();
  ASSERT_GT(kept, 0.0f);
  {
    FloatEnvironment environment(true);
    EXPECT_EQ(subnormal(), 0.0f);
    EXPECT_EQ(doubled(kept), 0.0f);
  }
  EXPECT_GT(subnormal(), 0.0f);
  EXPECT_GT(doubled(kept), 0.0f);
}

TEST(FloatEnvironment, KeepsSubnormalsOnRequestEvenInsideAFlushingCaller) {
  FloatEnvironment outer(true);
  {
    FloatEnvironment inner(false);
    EXPECT_GT(subnormal(), 0.0f);
  }
  EXPECT_EQ(subnormal(), 0.0f);
}

TEST(FloatEnvironment, IgnoresAndRestoresTheCallersRounding) {
  volatile float one = 1.0f, three = 3.0f;
  volatile float nearest = one / three;
  std::fesetround(FE_DOWNWARD);
  volatile float down = one / three;
  volatile float inside;
  {
    FloatEnvironment environment(true);
    inside = one / three;
  }
  volatile float after = one / three;
  std::fesetround(FE_TONEAREST);
  EXPECT_EQ(inside, nearest);
  EXPECT_NE(down, nearest);
  EXPECT_EQ(after, down);
}
