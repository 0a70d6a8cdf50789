//===- WeightScanTest.cpp - what is in the weights of a model -------------===//
#include "tests/time/Models.h"

using namespace quern;
using namespace quern::timing::test;

namespace {
/// The weights of one op on 1 x 4 x 8 x 8, or on 4 x 4.
WeightFinding findingOf(const char *op, const Tensor &weight) {
  ModelBuilder model;
  model.initializer("w", weight);
  bool isConv = weight.rank() == 4;
  model.input("x", isConv ? std::vector<int64_t>{1, 4, 8, 8} : std::vector<int64_t>{4, 4});
  std::vector<WeightFinding> found =
      load(model.node(op, {"x", "w"}, {"y"}).output("y")).scanWeights();
  EXPECT_EQ(found.size(), 1u);
  return found.empty() ? WeightFinding() : found[0];
}
} // namespace

TEST(WeightScanTest, FiltersLieAlongTheFirstAxis) {
  std::vector<float> numbers(3 * 4 * 4, 1);
  std::fill_n(numbers.begin() + 16, 16, 0.0f);
  numbers[0] = -0.0f;
  WeightFinding found = findingOf("Conv", Tensor::of<float>({3, 4, 2, 2}, numbers));
  EXPECT_EQ(found.node, "y_node");
  EXPECT_EQ(found.slices, 3);
  EXPECT_EQ(found.zeroSlices, 1);
  EXPECT_EQ(found.zeros, 17);
  EXPECT_EQ(found.elements, 48);
  EXPECT_EQ(found.subnormals, 0);
}

TEST(WeightScanTest, TransposedConvolutionsHaveThemAlongTheSecond) {
  std::vector<float> numbers(4 * 2 * 4, 1);
  for (size_t c = 0; c < 4; ++c)
    std::fill_n(numbers.begin() + long(c * 8 + 4), 4, 0.0f);
  WeightFinding found = findingOf("ConvTranspose", Tensor::of<float>({4, 2, 2, 2}, numbers));
  EXPECT_EQ(found.slices, 2);
  EXPECT_EQ(found.zeroSlices, 1);
}

TEST(WeightScanTest, ColumnsOfProducts) {
  std::vector<float> numbers = {1, 0, 2, 3, 0, 1e-40f, 1, 0, -1e-45f, 1, 0, 0};
  WeightFinding found = findingOf("MatMul", Tensor::of<float>({4, 3}, numbers));
  EXPECT_EQ(found.slices, 3);
  EXPECT_EQ(found.zeroSlices, 1);
  EXPECT_EQ(found.subnormals, 2);
  found = findingOf("MatMul", Tensor::of<float>({4, 2}, {1, 0, 2, 0, 3, -0.0f, 4, 0}));
  EXPECT_EQ(found.zeroSlices, 1);
}

TEST(WeightScanTest, InputsAsWeights) {
  ModelBuilder model;
  model.input("x", {4, 4}).input("w", {4, 4}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  Model loaded = load(model);
  auto uses = loaded.inputsUsedAsWeights();
  ASSERT_EQ(uses.size(), 1u);
  EXPECT_EQ(uses[0], std::pair(std::string("w"), std::string("y_node")));
  EXPECT_TRUE(loaded.scanWeights().empty());
}
