//===- AttentionTest.cpp - attention, against its primitives --------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <limits>
#include <random>

using namespace quern;
using namespace quern::reference;
using Ints = std::vector<int64_t>;

namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Attributes attributesOf(double scale, double softcap, bool causal, bool zeroMaskedRows) {
  const Ints inOrder = {0, 1, 2, 3};
  return makeAttributes({{"query_perm", inOrder},
                         {"key_perm", inOrder},
                         {"value_perm", inOrder},
                         {"result_perm", inOrder},
                         {"scale_factor", scale},
                         {"softcap", softcap},
                         {"causal", int64_t{causal}},
                         {"zero_masked_rows", int64_t{zeroMaskedRows}}});
}

Tensor random(const Tensor::Dims &dims, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  Tensor tensor = Tensor::allocate(DType::Float64, dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<double>()[i] = uniform(engine);
  return tensor;
}

Attributes permOf(const Ints &perm) { return makeAttributes({{"perm", perm}}); }

/// The primitives that nn.attention stands for, of operands with equally many heads.
Tensor compose(const Tensor &query, const Tensor &key, const Tensor &value, const Tensor &mask,
               double scale) {
  Tensor columns = evaluate("nn.transpose", {key}, permOf({0, 1, 3, 2}));
  Tensor scores = evaluate("nn.matmul", {query, columns});
  for (int64_t i = 0; i < scores.numElements(); ++i) {
    double &score = scores.mutableData<double>()[i];
    score *= scale;
    if (mask.isPresent())
      score += mask.data<double>()[i % mask.numElements()];
  }
  auto axis = makeAttributes({{"axis", int64_t{3}}, {"trailing", int64_t{0}}});
  return evaluate("nn.matmul", {evaluate("nn.softmax", {scores}, axis), value});
}

void expectNear(const Tensor &found, const Tensor &wanted) {
  ASSERT_EQ(found.dims(), wanted.dims());
  for (int64_t i = 0; i < wanted.numElements(); ++i) {
    double a = found.data<double>()[i], b = wanted.data<double>()[i];
    EXPECT_TRUE(std::isnan(b) ? std::isnan(a) : std::abs(a - b) < 1e-12) << i << ": " << a;
  }
}

const Tensor kNone;
} // namespace

TEST(AttentionTest, IsWhatItsPrimitivesGive) {
  Tensor q = random({2, 3, 4, 5}, 1), k = random({2, 3, 6, 5}, 2), v = random({2, 3, 6, 7}, 3);
  Tensor mask = random({4, 6}, 4);
  for (int64_t i = 0; i < 6; ++i)
    mask.mutableData<double>()[6 + i] = -kInfinity;
  auto call = [&](const Tensor &m) {
    return evaluate("nn.attention", {q, k, v, m, kNone, kNone, kNone},
                    attributesOf(0.5, 0, false, false));
  };
  expectNear(call(mask), compose(q, k, v, mask, 0.5));
  expectNear(call(kNone), compose(q, k, v, kNone, 0.5));
}

TEST(AttentionTest, RowsThatTheMaskHidesAreZeroOnRequest) {
  Tensor q = Tensor::of<float>({1, 1, 2, 1}, {1, 1}), k = Tensor::of<float>({1, 1, 2, 1}, {0, 0});
  Tensor v = Tensor::of<float>({1, 1, 2, 1}, {2, 4});
  auto inf = static_cast<float>(kInfinity), nan = std::numeric_limits<float>::quiet_NaN();
  Tensor mask = Tensor::of<float>({2, 2}, {-inf, -inf, 0, 0});
  auto call = [&](bool zero) {
    return evaluate("nn.attention", {q, k, v, mask, kNone, kNone, kNone},
                    attributesOf(1, 0, false, zero));
  };
  expectTensor<float>(call(true), {1, 1, 2, 1}, {0, 3});
  expectTensor<float>(call(false), {1, 1, 2, 1}, {nan, 3});
}

TEST(AttentionTest, CausalFromAnOffset) {
  Tensor q = Tensor::of<float>({1, 1, 3, 1}, {1, 1, 1});
  Tensor k = Tensor::of<float>({1, 1, 3, 1}, {0, 0, 0});
  Tensor v = Tensor::of<float>({1, 1, 3, 1}, {6, 12, 18});
  auto nan = std::numeric_limits<float>::quiet_NaN();
  auto call = [&](const Tensor &offset) {
    return evaluate("nn.attention", {q, k, v, kNone, kNone, offset, kNone},
                    attributesOf(1, 0, true, false));
  };
  expectTensor<float>(call(kNone), {1, 1, 3, 1}, {6, 9, 12});
  expectTensor<float>(call(Tensor::ofInts({1})), {1, 1, 3, 1}, {9, 12, 12});
  expectTensor<float>(call(Tensor::ofInts({-1})), {1, 1, 3, 1}, {nan, 6, 9});
  expectTensor<float>(call(Tensor::ofInts({INT64_MAX})), {1, 1, 3, 1}, {12, 12, 12});
}

TEST(AttentionTest, SoftCapAndScale) {
  Tensor q = Tensor::of<double>({1, 1, 1, 1}, {1}), k = Tensor::of<double>({1, 1, 2, 1}, {0, 3});
  Tensor v = Tensor::of<double>({1, 1, 2, 1}, {0, 1}), two = Tensor::of<double>({1}, {2});
  Tensor y = evaluate("nn.attention", {q, k, v, kNone, two, kNone, kNone},
                      attributesOf(0.5, 4, false, false));
  double weight = std::exp(4 * std::tanh(3.0 / 4));
  EXPECT_NEAR(*y.data<double>(), weight / (1 + weight), 1e-12);
}

TEST(AttentionTest, SharedHeadsAndOrders) {
  Tensor q = random({1, 4, 2, 3}, 1), k = random({1, 2, 5, 3}, 2), v = random({1, 2, 5, 3}, 3);
  auto repeat = [](const Tensor &x) { // each head twice
    Tensor wide = Tensor::allocate(DType::Float64, {1, 4, 5, 3}).take();
    for (int64_t i = 0; i < 60; ++i)
      wide.mutableData<double>()[i] = x.data<double>()[i / 30 * 15 + i % 15];
    return wide;
  };
  Attributes attributes = attributesOf(1, 0, false, false);
  Tensor wanted = compose(q, repeat(k), repeat(v), kNone, 1);
  expectNear(evaluate("nn.attention", {q, k, v, kNone, kNone, kNone, kNone}, attributes), wanted);
  const Ints swapped = {0, 2, 1, 3};
  for (const char *perm : {"query_perm", "value_perm", "result_perm"})
    attributes.set(perm, swapped);
  attributes.set("key_perm", Ints{0, 1, 3, 2});
  Tensor y = evaluate("nn.attention",
                      {evaluate("nn.transpose", {q}, permOf(swapped)),
                       evaluate("nn.transpose", {k}, permOf({0, 1, 3, 2})),
                       evaluate("nn.transpose", {v}, permOf(swapped)), kNone, kNone, kNone, kNone},
                      attributes);
  expectNear(y, evaluate("nn.transpose", {wanted}, permOf(swapped)));
}

// What a condition hides has no part in the row, whatever it is; another order would not do.
TEST(AttentionTest, ConditionSelectsBeforeTheMaskIsAdded) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  Tensor q = Tensor::of<float>({1, 1, 1, 1}, {1}), k = Tensor::of<float>({1, 1, 3, 1}, {0, nan, 0}),
         v = Tensor::of<float>({1, 1, 3, 1}, {2, 4, 6}), mask = Tensor::of<float>({3}, {1, 0, 1}),
         allowed = Tensor::of<bool>({3}, {true, false, true});
  auto call = [&](const Tensor &m, double hidden) {
    Attributes attributes = attributesOf(1, 0, false, false);
    attributes.set("hidden_score", hidden);
    return evaluate("nn.attention", {q, k, v, m, kNone, kNone, allowed}, attributes);
  };
  expectTensor<float>(call(kNone, -kInfinity), {1, 1, 1, 1}, {4});
  expectTensor<float>(call(kNone, 0), {1, 1, 1, 1}, {4});
  // 0 + 1, 1 + 0, 0 + 1: all weigh the same.
  expectTensor<float>(call(mask, 1), {1, 1, 1, 1}, {4});
  expectTensor<float>(call(kNone, 1000), {1, 1, 1, 1}, {4});
  Tensor two = Tensor::of<bool>({1, 1, 2, 1}, {true, false});
  Tensor y = evaluate("nn.attention", {q, q, q, kNone, kNone, kNone, two},
                      attributesOf(1, 0, false, false));
  EXPECT_EQ(y.dims(), (Tensor::Dims{1, 1, 2, 1}));
}

// 2049 is no float16; 70000 is too large.
TEST(AttentionTest, ScoresAreRoundedStepByStep) {
  Tensor q = Tensor::of<float>({1, 1, 1, 1}, {1}),
         k = Tensor::of<float>({1, 1, 2, 1}, {2048, 2049}),
         v = Tensor::of<float>({1, 1, 2, 1}, {2, 4}), large = Tensor::of<float>({1}, {70000});
  auto call = [&](const Tensor &mask, bool roundSums) {
    Attributes attributes = attributesOf(1, 0, false, false);
    attributes.set("score_type", DType::Float16);
    attributes.set("round_sums", int64_t{roundSums});
    return evaluate("nn.attention", {q, k, v, mask, kNone, kNone, kNone}, attributes);
  };
  expectTensor<float>(call(kNone, false), {1, 1, 1, 1}, {3});
  expectTensor<float>(call(large, false), {1, 1, 1, 1}, {3});
  expectTensor<float>(call(large, true), {1, 1, 1, 1}, {std::numeric_limits<float>::quiet_NaN()});
}

TEST(AttentionTest, NothingIsZero) {
  Tensor q = Tensor::of<float>({1, 1, 1, 1}, {1}),
         none = Tensor::allocate(DType::Float32, {1, 1, 0, 1}).take();
  Tensor y = evaluate("nn.attention", {q, none, none, kNone, kNone, kNone, kNone},
                      attributesOf(1, 0, false, false));
  expectTensor<float>(y, {1, 1, 1, 1}, {0});
}

TEST(AttentionTest, ChecksItsOperands) {
  Tensor q = random({1, 4, 2, 3}, 1), k = random({1, 2, 5, 3}, 2), v = random({1, 2, 5, 3}, 3);
  auto message = [&](std::vector<Tensor> inputs) {
    return std::string(
        evaluateError("nn.attention", inputs, attributesOf(1, 0, false, false)).message());
  };
  EXPECT_EQ(message({q, k, random({1, 2, 4, 3}, 4), kNone, kNone, kNone, kNone}),
            "there are 5 keys and 4 values");
  EXPECT_EQ(message({q, random({1, 3, 5, 3}, 4), v, kNone, kNone, kNone, kNone}),
            "4 heads are no multiple of 3 heads of key");
  EXPECT_EQ(message({q, random({1, 2, 5, 4}, 4), v, kNone, kNone, kNone, kNone}),
            "heads of query have size 3, those of key 4");
  EXPECT_EQ(message({q, k, v, random({3, 5}, 4), kNone, kNone, kNone}),
            "queries must be equal or 1, found 2 and 3");
  EXPECT_EQ(message({q, k, v, kNone, kNone, kNone, random({3, 5}, 4)}),
            "the condition must hold bool");
  EXPECT_EQ(message({q, k, v, kNone, random({2}, 4), kNone, kNone}),
            "scale and offset must be one number each");
}
