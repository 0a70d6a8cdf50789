//===- SelectionTest.cpp - kernels of ops that select by value ------------===//
#include "tests/reference/KernelCall.h"

using namespace quern;
using namespace quern::reference;
using Ints = std::vector<int64_t>;

namespace {
/// Two pairs that overlap by 0.82 and by 0.9, and a box apart.
const std::vector<float> kBoxes = {0, 0,  1, 1,      0, 0.1F,   1, 1.1F, 0, 10,
                                   1, 11, 0, 10.05F, 1, 11.05F, 0, 100,  1, 101};

Expected<std::vector<Tensor>> suppress(const std::vector<float> &boxes,
                                       const std::vector<float> &scores, int64_t most,
                                       std::optional<float> threshold = {},
                                       bool isCentered = false) {
  auto count = static_cast<int64_t>(scores.size());
  Tensor limit = threshold ? Tensor::of<float>({1}, {*threshold}) : Tensor();
  return evaluateAll("nn.non_max_suppression",
                     {Tensor::of<float>({1, count, 4}, boxes),
                      Tensor::of<float>({1, 1, count}, scores), Tensor::ofInts({most}),
                      Tensor::of<float>({1}, {0.5F}), limit},
                     makeAttributes({{"center_point_box", int64_t{isCentered}}}), {DType::Int64});
}

Ints boxesOf(const Expected<std::vector<Tensor>> &results) {
  EXPECT_TRUE(results) << results.status().message();
  Ints boxes;
  for (int64_t i = 0; results && i < (*results)[0].dim(0); ++i)
    boxes.push_back((*results)[0].data<int64_t>()[3 * i + 2]);
  return boxes;
}

std::vector<Tensor> unique(const Tensor &input, Attributes attributes, bool sorted = true) {
  attributes.set("sorted", int64_t{sorted});
  auto results = evaluateAll("nn.unique", {input}, attributes,
                             {input.dtype(), DType::Int64, DType::Int64, DType::Int64});
  EXPECT_TRUE(results) << results.status().message();
  return results ? results.take() : std::vector<Tensor>(4);
}
} // namespace

TEST(Selection, BoxesThatOverlapBetterOnesAreSuppressed) {
  std::vector<float> scores = {0.9F, 0.75F, 0.6F, 0.95F, 0.5F};
  EXPECT_EQ(boxesOf(suppress(kBoxes, scores, 5)), (Ints{3, 0, 4}));
  EXPECT_EQ(boxesOf(suppress(kBoxes, scores, 2)), (Ints{3, 0}));
  EXPECT_EQ(boxesOf(suppress(kBoxes, scores, 0)), Ints());
  EXPECT_EQ(boxesOf(suppress(kBoxes, scores, 5, 0.5F)), (Ints{3, 0})) << "not above";
  EXPECT_EQ(boxesOf(suppress(kBoxes, {1, 1, 1, 1, 1}, 5)), (Ints{0, 2, 4})) << "the first leads";
  std::vector<float> flipped = {1, 1, 0, 0, 0, 0.1F, 1, 1.1F};
  EXPECT_EQ(boxesOf(suppress(flipped, {0.5F, 0.6F}, 2)), (Ints{1}));
  std::vector<float> centered = {0.5F, 0.5F, 1, 1, 0.5F, 0.6F, 1, 1, 0.5F, 2, 1, 1};
  EXPECT_EQ(boxesOf(suppress(centered, {0.5F, 0.6F, 0.1F}, 3, {}, true)), (Ints{1, 2}));
}

TEST(Selection, EveryClassOfEveryBatchIsSelectedFrom) {
  Tensor boxes = Tensor::of<float>({2, 1, 4}, {0, 0, 1, 1, 0, 0, 1, 1});
  Tensor scores = Tensor::of<float>({2, 2, 1}, {1, 2, 3, 4});
  auto result = evaluateAll("nn.non_max_suppression",
                            {boxes, scores, Tensor::ofInts({1}), Tensor(), Tensor()},
                            makeAttributes({{"center_point_box", int64_t{0}}}), {DType::Int64});
  ASSERT_TRUE(result);
  expectTensor<int64_t>((*result)[0], {4, 3}, {0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0});
  auto wrong = evaluateAll("nn.non_max_suppression",
                           {boxes, scores.reshaped({1, 2, 2}), Tensor(), Tensor(), Tensor()}, {},
                           {DType::Int64});
  EXPECT_EQ(wrong.status().message(),
            "boxes [batch, n, 4] and scores [batch, class, n] do not agree: float32 2x1x4 and "
            "float32 1x2x2");
}

TEST(Selection, UniqueElements) {
  Tensor input = Tensor::of<float>({2, 3}, {2, 1, 1, 3, 4, 3});
  std::vector<Tensor> sorted = unique(input, {});
  expectTensor<float>(sorted[0], {4}, {1, 2, 3, 4});
  expectTensor<int64_t>(sorted[1], {4}, {1, 0, 3, 4});
  expectTensor<int64_t>(sorted[2], {6}, {1, 0, 0, 2, 3, 2});
  expectTensor<int64_t>(sorted[3], {4}, {2, 1, 2, 1});
  std::vector<Tensor> placed = unique(input, {}, /*sorted=*/false);
  expectTensor<float>(placed[0], {4}, {2, 1, 3, 4});
  expectTensor<int64_t>(placed[1], {4}, {0, 1, 3, 4});
  expectTensor<int64_t>(placed[2], {6}, {0, 1, 1, 2, 3, 2});
  expectTensor<int64_t>(placed[3], {4}, {1, 2, 2, 1});
}

TEST(Selection, UniqueSlices) {
  Tensor input = Tensor::of<int64_t>({3, 3}, {1, 0, 0, 1, 0, 0, 2, 3, 4});
  std::vector<Tensor> rows = unique(input, makeAttributes({{"axis", int64_t{0}}}));
  expectTensor<int64_t>(rows[0], {2, 3}, {1, 0, 0, 2, 3, 4});
  expectTensor<int64_t>(rows[2], {3}, {0, 0, 1});
  Tensor pairs = Tensor::of<int64_t>({2, 4, 2}, {1, 1, 0, 1, 2, 1, 0, 1, 1, 1, 0, 1, 2, 1, 0, 1});
  std::vector<Tensor> columns = unique(pairs, makeAttributes({{"axis", int64_t{-2}}}));
  expectTensor<int64_t>(columns[0], {2, 3, 2}, {0, 1, 1, 1, 2, 1, 0, 1, 1, 1, 2, 1});
  expectTensor<int64_t>(columns[1], {3}, {1, 0, 2});
  expectTensor<int64_t>(columns[2], {4}, {1, 0, 2, 0});
  expectTensor<int64_t>(columns[3], {3}, {2, 1, 1});
}

TEST(Selection, UniqueOfAllTypes) {
  expectStrings(unique(stringTensor({3}, {"b", "a", "b"}), {})[0], {2}, {"a", "b"});
  expectTensor<bool>(unique(Tensor::of<bool>({3}, {true, false, true}), {})[0], {2}, {false, true});
  float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<Tensor> floats = unique(Tensor::of<float>({4}, {nan, 1, nan, -1}), {});
  expectTensor<float>(floats[0], {3}, {-1, 1, nan});
  expectTensor<int64_t>(floats[3], {3}, {1, 1, 2});
  EXPECT_EQ(unique(Tensor::of<float>({0}, {}), {})[0].dims(), (Tensor::Dims{0}));
  EXPECT_EQ(unique(Tensor::of<float>({}, {5}), {})[0].dims(), (Tensor::Dims{1}));
}
