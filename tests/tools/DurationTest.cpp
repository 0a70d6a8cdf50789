//===- DurationTest.cpp ---------------------------------------------------===//
#include "tools/quern/Duration.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::cli;

TEST(Durations, HaveUnits) {
  EXPECT_DOUBLE_EQ(*parseSeconds("500ms"), 0.5);
  EXPECT_DOUBLE_EQ(*parseSeconds("3s"), 3);
  EXPECT_DOUBLE_EQ(*parseSeconds("1.5"), 1.5);
  EXPECT_DOUBLE_EQ(*parseSeconds("2min"), 120);
  for (const char *text : {"", "s", "-1s", "3h", "1s2", "nan", "inf", "1 s"})
    EXPECT_EQ(parseSeconds(text).status().code(), StatusCode::Usage) << text;
}
