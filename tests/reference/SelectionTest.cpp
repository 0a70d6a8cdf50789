//===- SelectionTest.cpp - kernels of ops that select by value ------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <limits>
#include <random>

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

/// What stays of boxes [top, left, bottom, right] with falling scores, each compared with all
/// before.
static Ints keepApart(const std::vector<float> &boxes, float threshold) {
  Ints kept;
  auto count = static_cast<int64_t>(boxes.size() / 4);
  for (int64_t i = 0; i < count; ++i) {
    const float *a = boxes.data() + 4 * i;
    bool isSuppressed = false;
    for (int64_t j : kept) {
      const float *b = boxes.data() + 4 * j;
      float height = std::min(a[2], b[2]) - std::max(a[0], b[0]);
      float width = std::min(a[3], b[3]) - std::max(a[1], b[1]);
      float areas = (a[3] - a[1]) * (a[2] - a[0]) + (b[3] - b[1]) * (b[2] - b[0]);
      float common = width * height;
      isSuppressed |= height > 0 && width > 0 && common / (areas - common) > threshold;
    }
    if (!isSuppressed)
      kept.push_back(i);
  }
  return kept;
}

// Boxes of all sizes, moved apart as detectors move those of classes, or all at one place; far from
// zero, where float32 has few numbers between them.
TEST(Selection, ManyBoxes) {
  std::mt19937 random(1);
  auto draw = [&](float most) { return std::uniform_real_distribution<float>(0, most)(random); };
  size_t suppressed = 0;
  for (float apart : {0.0F, 150.0F, 1e6F})
    for (float size : {2.0F, 30.0F, 300.0F}) {
      std::vector<float> boxes, scores;
      for (int i = 0; i < 1500; ++i) {
        float place = apart * static_cast<float>(i % 13), top = place + draw(100);
        float left = place + draw(100), reach = i % 7 == 0 ? size * 10 : size;
        boxes.insert(boxes.end(), {top, left, top + draw(reach), left + draw(reach)});
        scores.push_back(1 - static_cast<float>(i) / 2000);
      }
      Ints kept = keepApart(boxes, 0.5F);
      suppressed += boxes.size() / 4 - kept.size();
      EXPECT_EQ(boxesOf(suppress(boxes, scores, 1500)), kept) << apart << " " << size;
    }
  EXPECT_GT(suppressed, 0U);
}

// They suppress nothing, and hide nothing.
TEST(Selection, BoxesWithoutAPlace) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = NAN;
  std::vector<float> boxes = {0, 0,     1, 1, 0, 0, 1, kInf, 0, -kInf, 1, 1, kNan, 0, 1,    1,
                              0, 0.01F, 1, 1, 0, 5, 1, 5,    0, 5,     1, 6, 0,    0, kInf, 1};
  EXPECT_EQ(boxesOf(suppress(boxes, {0.9F, 0.8F, 0.7F, 0.6F, 0.5F, 0.4F, 0.3F, 0.2F}, 8)),
            (Ints{0, 1, 2, 3, 5, 6, 7}));
  std::vector<float> nowhere(16, kNan);
  EXPECT_EQ(boxesOf(suppress(nowhere, {4, 3, 2, 1}, 4)), (Ints{0, 1, 2, 3}));
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

namespace {
struct Suppressed {
  Ints boxes;
  std::vector<float> scores;
  int64_t count = 0;
};

Expected<std::vector<Tensor>> softly(const std::vector<float> &boxes, std::vector<float> scores,
                                     int64_t most, float tooMuch, float least, float sigma) {
  auto one = [](float value) { return Tensor::of<float>({}, {value}); };
  auto count = static_cast<int64_t>(scores.size());
  return evaluateAll("nn.soft_suppression",
                     {Tensor::of<float>({count, 4}, boxes),
                      Tensor::of<float>({count}, std::move(scores)), Tensor::ofInts({most}),
                      one(tooMuch), one(least), one(sigma)},
                     {}, {DType::Int64, DType::Float32, DType::Int64});
}

Suppressed suppressSoftly(std::vector<float> scores, int64_t most, float tooMuch, float least = 0,
                          float sigma = 0, const std::vector<float> &boxes = kBoxes) {
  auto results = softly(boxes, std::move(scores), most, tooMuch, least, sigma);
  EXPECT_TRUE(results) << results.status().message();
  if (!results)
    return {};
  return {elementsOf<int64_t>((*results)[0]), elementsOf<float>((*results)[1]),
          *(*results)[2].data<int64_t>()};
}
} // namespace

// kBoxes: 0 and 1 share 0.9 / 1.1, 2 and 3 share 0.95 / 1.05.
TEST(SoftSuppression, ZerosFollowTheBoxesThatStay) {
  std::vector<float> scores = {0.9F, 0.75F, 0.6F, 0.95F, 0.5F};
  Suppressed found = suppressSoftly(scores, 5, 0.5F);
  EXPECT_EQ(found.boxes, (Ints{3, 0, 4, 0, 0}));
  EXPECT_EQ(found.scores, (std::vector<float>{0.95F, 0.9F, 0.5F, 0, 0}));
  EXPECT_EQ(found.count, 3);
  EXPECT_EQ(suppressSoftly(scores, 2, 0.5F).boxes, (Ints{3, 0}));
  EXPECT_EQ(suppressSoftly(scores, 0, 0.5F).count, 0);
  EXPECT_EQ(suppressSoftly(scores, 3, 0.5F, 0.9F).boxes, (Ints{3, 0, 0})) << "not above";
  EXPECT_EQ(suppressSoftly(scores, 3, 0.5F, 0.9F).count, 1);
  EXPECT_EQ(suppressSoftly({1, 1, 1, 1, 1}, 5, 0.5F).boxes, (Ints{0, 2, 4, 0, 0}));
  EXPECT_EQ(suppressSoftly(scores, 5, 0).count, 1) << "all overlap as much";
  EXPECT_EQ(suppressSoftly(scores, 5, 1).boxes, (Ints{3, 0, 1, 2, 4}));
}

// An overlap that is just as large falls out, unlike that of nn.non_max_suppression.
TEST(SoftSuppression, OverlapsMayReachTheThreshold) {
  std::vector<float> halves = {0, 0, 1, 1, 0, 0, 1, 0.5F};
  EXPECT_EQ(suppressSoftly({2, 1}, 2, 0.5F, 0, 0, halves).count, 1);
  EXPECT_EQ(suppressSoftly({2, 1}, 2, 0.5001F, 0, 0, halves).count, 2);
  EXPECT_EQ(boxesOf(suppress(halves, {2, 1}, 2)), (Ints{0, 1}));
}

// Box 1 comes after 2, which loses less: 0.8 exp(-(0.9 / 1.1)^2 / 0.6) = 0.262.
TEST(SoftSuppression, ScoresAreLowered) {
  Suppressed found = suppressSoftly({0.9F, 0.8F, 0.5F, 0.1F, 0.05F}, 5, 1, 0.06F, 0.3F);
  EXPECT_EQ(found.boxes, (Ints{0, 2, 1, 0, 0}));
  EXPECT_NEAR(found.scores[2], 0.8 * std::exp(-std::pow(0.9 / 1.1, 2) / 0.6), 1e-6);
  EXPECT_EQ(found.count, 3) << "0.1 of the fourth becomes 0.026";
}

// As LiteRT has it: a box that has been chosen falls out because it overlaps itself.
TEST(SoftSuppression, BoxesWithoutAnAreaAreChosenAgain) {
  std::vector<float> boxes = {0, 0, 1, 1, 3, 3, 3, 4};
  EXPECT_EQ(suppressSoftly({0.5F, 0.9F}, 4, 0.5F, 0, 0, boxes).boxes, (Ints{1, 1, 0, 0}));
  EXPECT_EQ(suppressSoftly({0.5F, 0.9F}, 4, 0.5F, 0, 0, boxes).count, 2);
}

TEST(SoftSuppression, NumbersThatMeanNothing) {
  auto fails = [](int64_t most, float sigma, const char *says) {
    EXPECT_EQ(softly(kBoxes, {1, 1, 1, 1, 1}, most, 1, 0, sigma).status().message(), says);
  };
  fails(-1, 0, "max_output must be one number, 0 or more, found -1");
  fails(1, -1, "sigma must be 0 or more, found -1");
  fails(1, NAN, "sigma must be 0 or more, found nan");
  Tensor one = Tensor::of<float>({}, {1});
  auto wrong = evaluateAll("nn.soft_suppression",
                           {Tensor::of<float>({1, 4}, {0, 0, 1, 1}), Tensor::of<float>({2}, {1, 1}),
                            Tensor::ofInts({1}), one, one, one},
                           {}, {DType::Int64, DType::Float32, DType::Int64});
  EXPECT_EQ(wrong.status().message(),
            "boxes [n, 4] and scores [n] do not agree: float32 1x4 and float32 2");
  EXPECT_EQ(suppressSoftly({NAN, 1, NAN, NAN, NAN}, 2, 1).boxes, (Ints{1, 0}));
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
