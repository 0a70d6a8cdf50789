//===- OutputErrorTest.cpp - what a lower precision may change ------------===//
//
// Small errors that move the largest entry of a row change a classifier's answer.
//
//===----------------------------------------------------------------------===//
#include "api/PrecisionChooser.h"

#include <gtest/gtest.h>
#include <limits>

using namespace quern;

namespace {
/// Of one output, which may be off by 10 % of its largest magnitude.
OutputError errorOf(const Tensor &wanted, const Tensor &found) {
  std::vector<PortSignature> ports = {{"y", wanted.dtype(), {}}};
  std::vector<AnyValue> a(1), b(1);
  a[0] = wanted.clone().take();
  b[0] = found.clone().take();
  return errorOfOutputs(ports, a, b, 0.1);
}

Tensor floats(const Tensor::Dims &dims, const std::vector<float> &values) {
  return Tensor::of<float>(dims, values);
}
} // namespace

TEST(OutputErrorTest, IsAShareOfTheLargestMagnitude) {
  OutputError error = errorOf(floats({2, 2}, {-8, 1, 0, 2}), floats({2, 2}, {-8, 1.5, 0, 2}));
  EXPECT_DOUBLE_EQ(error.share, 0.0625);
  EXPECT_EQ(error.refusal, "");
  error = errorOf(floats({2, 2}, {-8, 1, 0, 2}), floats({2, 2}, {-8, 2, 0, 2}));
  EXPECT_DOUBLE_EQ(error.share, 0.125);
  EXPECT_EQ(error.refusal, "output 'y' is off by 12 % of its largest magnitude");
  EXPECT_EQ(errorOf(floats({2}, {0, 0}), floats({2}, {0, 0})).refusal, "");
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(errorOf(floats({2}, {1, 2}), floats({2}, {1, kNan})).refusal, "");
}

// Scores of one or two dims: whatever the lead.
TEST(OutputErrorTest, TheLargestScoreStaysWhereItIs) {
  Tensor wanted = floats({2, 3}, {1, 0.99F, 0, 0, 0.5F, 1});
  EXPECT_EQ(errorOf(wanted, floats({2, 3}, {1, 0.999F, 0, 0, 0.5F, 1})).refusal, "");
  OutputError moved = errorOf(wanted, floats({2, 3}, {1, 1.01F, 0, 0, 0.5F, 1}));
  EXPECT_EQ(moved.refusal, "output 'y' has its largest entry elsewhere in 1 of 2 rows");
  EXPECT_NEAR(moved.share, 0.02, 1e-6) << "well within the bound";
  EXPECT_NE(errorOf(floats({2}, {1, 0.99F}), floats({2}, {1, 1.01F})).refusal, "");
  // A row of one entry says nothing.
  EXPECT_EQ(errorOf(floats({2, 1}, {1, 0.99F}), floats({2, 1}, {1, 1.01F})).refusal, "");
}

// Of other outputs (words of a text) rows that are decided by more than the bound.
TEST(OutputErrorTest, OfManyRowsOnlyWhatIsDecided) {
  Tensor wanted = floats({1, 2, 2}, {1, 0.99F, 0, 1});
  EXPECT_EQ(errorOf(wanted, floats({1, 2, 2}, {1, 1.01F, 0, 1})).refusal, "");
  Tensor small = floats({1, 3, 2}, {1, 0.99F, 0, 10, 2, 0});
  EXPECT_EQ(errorOf(small, floats({1, 3, 2}, {0.5F, 1, 0, 10, 0.9F, 1})).refusal,
            "output 'y' is off by 11 % of its largest magnitude");
  // What leads by more than twice the bound cannot move within it, but what leads by more than it.
  EXPECT_EQ(errorOf(small, floats({1, 3, 2}, {1, 0.99F, 0, 10, 1.05F, 0.95F})).refusal, "");
  Tensor decided = floats({1, 1, 3}, {10, 8.5F, 0});
  EXPECT_EQ(errorOf(decided, floats({1, 1, 3}, {9.1F, 9.4F, 0})).refusal,
            "output 'y' has its largest entry elsewhere in 1 of 1 rows");
}

TEST(OutputErrorTest, AllElseStays) {
  EXPECT_EQ(errorOf(Tensor::ofInts({1, 2}), Tensor::ofInts({1, 2})).refusal, "");
  EXPECT_EQ(errorOf(Tensor::ofInts({1, 2}), Tensor::ofInts({1, 3})).refusal,
            "output 'y' has 1 other elements");
  EXPECT_NE(errorOf(floats({2}, {1, 2}), floats({1, 2}, {1, 2})).refusal, "");
}

// Of several outputs the worst, and why the worst of those that do not do does not.
TEST(OutputErrorTest, NamesTheWorstOutput) {
  std::vector<PortSignature> ports = {
      {"fine", DType::Float32, {}}, {"worse", DType::Float32, {}}, {"bad", DType::Float32, {}}};
  std::vector<AnyValue> wanted(3), found(3);
  for (size_t i = 0; i < 3; ++i) {
    wanted[i] = floats({2}, {10, 0});
    found[i] = floats({2}, {10, std::vector<float>{0.5F, 4, 2}[i]});
  }
  OutputError error = errorOfOutputs(ports, wanted, found, 0.1);
  EXPECT_DOUBLE_EQ(error.share, 0.4);
  EXPECT_EQ(error.refusal, "output 'worse' is off by 40 % of its largest magnitude");
}
