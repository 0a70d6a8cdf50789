//===- WindowShapeTest.cpp - sizes of convolution and pooling windows -----===//
#include "runtime/reference/WindowShape.h"

#include <gtest/gtest.h>

#include <limits>

using namespace quern;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(WindowShape, CountsPositions) {
  WindowAxis axis{.input = 224, .kernel = 7, .stride = 2, .padBegin = 3, .padEnd = 3};
  EXPECT_EQ(*windowOutputSize(axis, AutoPad::NotSet, false), 112);
  axis = {.input = 15, .kernel = 3, .dilation = 2};
  EXPECT_EQ(windowExtent(axis), 5);
  EXPECT_EQ(*windowOutputSize(axis, AutoPad::NotSet, false), 11);
}

TEST(WindowShape, CeilModeCountsTheWindowThatHangsOver) {
  WindowAxis axis{.input = 6, .kernel = 3, .stride = 2};
  EXPECT_EQ(*windowOutputSize(axis, AutoPad::NotSet, false), 2);
  EXPECT_EQ(*windowOutputSize(axis, AutoPad::NotSet, true), 3);
}

TEST(WindowShape, CeilModeIgnoresAWindowThatStartsInTheEndPadding) {
  WindowAxis axis{.input = 6, .kernel = 2, .stride = 3, .padEnd = 1};
  EXPECT_EQ(*windowOutputSize(axis, AutoPad::NotSet, true), 2);
}

TEST(WindowShape, SamePaddingPutsTheOddElementByName) {
  WindowAxis upper{.input = 5, .kernel = 4, .stride = 1};
  WindowAxis lower = upper;
  EXPECT_EQ(*windowOutputSize(upper, AutoPad::SameUpper, false), 5);
  EXPECT_EQ(upper.padBegin, 1);
  EXPECT_EQ(upper.padEnd, 2);
  EXPECT_EQ(*windowOutputSize(lower, AutoPad::SameLower, false), 5);
  EXPECT_EQ(lower.padBegin, 2);
  EXPECT_EQ(lower.padEnd, 1);
}

TEST(WindowShape, SamePaddingIsNeverNegative) {
  WindowAxis axis{.input = 6, .kernel = 1, .stride = 4, .padBegin = 9};
  EXPECT_EQ(*windowOutputSize(axis, AutoPad::SameUpper, false), 2);
  EXPECT_EQ(axis.padBegin, 0);
  EXPECT_EQ(axis.padEnd, 0);
}

TEST(WindowShape, RefusesWhatCannotBe) {
  auto refuses = [](WindowAxis axis) {
    return windowOutputSize(axis, AutoPad::NotSet, false).status().code() ==
           StatusCode::InvalidModel;
  };
  EXPECT_TRUE(refuses({.input = 4, .kernel = 5}));
  EXPECT_TRUE(refuses({.input = 4, .kernel = 0}));
  EXPECT_TRUE(refuses({.input = 4, .stride = 0}));
  EXPECT_TRUE(refuses({.input = 4, .dilation = -1}));
  EXPECT_TRUE(refuses({.input = 4, .padBegin = -1}));
  EXPECT_TRUE(refuses({.input = 4, .kernel = kMax, .dilation = 2}));
  EXPECT_TRUE(refuses({.input = 4, .padBegin = kMax, .padEnd = kMax}));
}

TEST(WindowShape, TransposedUndoesAStridedWindow) {
  WindowAxis axis{.input = 112, .kernel = 3, .stride = 2, .padBegin = 1, .padEnd = 1};
  EXPECT_EQ(*transposedOutputSize(axis, AutoPad::NotSet, 1, std::nullopt), 224);
}

TEST(WindowShape, TransposedPaddingFollowsFromTheOutputSize) {
  // 2 * (5 - 1) + 3 = 11 elements, one too many for 10.
  WindowAxis axis{.input = 5, .kernel = 3, .stride = 2};
  WindowAxis upper = axis;
  EXPECT_EQ(*transposedOutputSize(axis, AutoPad::NotSet, 0, 10), 10);
  EXPECT_EQ(axis.padBegin, 1);
  EXPECT_EQ(axis.padEnd, 0);
  EXPECT_EQ(*transposedOutputSize(upper, AutoPad::SameUpper, 0, std::nullopt), 10);
  EXPECT_EQ(upper.padBegin, 0);
  EXPECT_EQ(upper.padEnd, 1);
}

TEST(WindowShape, TransposedRefusesOverflowAndTooMuchPadding) {
  WindowAxis large{.input = kMax / 2, .kernel = 3, .stride = 4};
  EXPECT_FALSE(transposedOutputSize(large, AutoPad::NotSet, 0, std::nullopt).isOk());
  WindowAxis padded{.input = 2, .kernel = 3, .stride = 2, .padBegin = 3, .padEnd = 3};
  EXPECT_FALSE(transposedOutputSize(padded, AutoPad::NotSet, 0, std::nullopt).isOk());
}
