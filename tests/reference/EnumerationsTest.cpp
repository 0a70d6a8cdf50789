//===- EnumerationsTest.cpp - names of enumerations -----------------------===//
#include "runtime/reference/Enumerations.h"

#include <gtest/gtest.h>

using namespace quern;

/// Each name leads to a value of that name, and the last value is `last`.
template <typename E> static void expectNames(E last) {
  for (std::string_view name : kEnumNames<E>) {
    ASSERT_TRUE(enumNamed<E>(name)) << name;
    EXPECT_EQ(nameOf(*enumNamed<E>(name)), name);
  }
  EXPECT_EQ(std::size(kEnumNames<E>), static_cast<size_t>(last) + 1);
  EXPECT_EQ(enumNamed<E>(""), std::nullopt);
}

TEST(Enumerations, NameEveryValueOnce) {
  expectNames(AutoPad::SameLower);
  expectNames(ReduceKind::SumSquare);
  expectNames(PadMode::Edge);
  expectNames(ResizeMode::Cubic);
  expectNames(ResizeCoordinates::TfCropAndResize);
  expectNames(NearestMode::FloorOrCeil);
  expectNames(ScatterReduction::Min);
}

TEST(Enumerations, NameValuesAsOnnxDoes) {
  EXPECT_EQ(enumNamed<AutoPad>("SAME_UPPER"), AutoPad::SameUpper);
  EXPECT_EQ(enumNamed<AutoPad>("same_upper"), std::nullopt);
  EXPECT_EQ(nameOf(ReduceKind::LogSumExp), "log_sum_exp");
  EXPECT_EQ(nameOf(ResizeCoordinates::TfHalfPixelForNn), "tf_half_pixel_for_nn");
  EXPECT_EQ(nameOf(NearestMode::RoundPreferCeil), "round_prefer_ceil");
}
