//===- RandomTest.cpp - random numbers ------------------------------------===//
#include "quern/RandomSeed.h"
#include "runtime/reference/Philox.h"
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::reference;

static Attributes drawing(DType dtype, std::optional<int64_t> seed) {
  Attributes attributes = makeAttributes({{"dtype", dtype}});
  if (seed)
    attributes.set("seed", *seed);
  return attributes;
}

static Tensor drawSeeded(DType dtype, int64_t seed, const std::vector<int64_t> &dims) {
  auto results = evaluateAll("nn.random", {Tensor::ofInts(dims)}, drawing(dtype, seed), {dtype});
  EXPECT_TRUE(results) << results.status().message();
  return results ? results->front() : Tensor();
}

/// One draw from the generator of the process.
static std::vector<float> draw(int64_t count) {
  Budget budget{Limits()};
  DType dtype = DType::Float32;
  std::vector<Tensor> inputs = {Tensor::ofInts({count})};
  Attributes attributes = drawing(dtype, {});
  auto results = findEvaluator("nn.random")({"nn.random", attributes, inputs, {&dtype, 1}, budget});
  EXPECT_TRUE(results) << results.status().message();
  return results ? elementsOf<float>(results->front()) : std::vector<float>();
}

TEST(Philox, HasTheKnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, ASeedGivesTheSameNumbers) {
  Tensor a = drawSeeded(DType::Float32, 7, {2, 5}), b = drawSeeded(DType::Float32, 7, {10}),
         c = drawSeeded(DType::Float32, 8, {10});
  EXPECT_EQ(a.dims(), (Tensor::Dims{2, 5}));
  EXPECT_EQ(elementsOf<float>(a), elementsOf<float>(b));
  EXPECT_NE(elementsOf<float>(b), elementsOf<float>(c));
  // The first elements do not depend on how many there are.
  std::vector<float> few = elementsOf<float>(drawSeeded(DType::Float32, 7, {3}));
  EXPECT_TRUE(std::equal(few.begin(), few.end(), b.data<float>()));
}

TEST(Random, DrawsOfTheProcessGoOn) {
  seedRandomOps(3);
  std::vector<float> first = draw(9), second = draw(9);
  EXPECT_NE(first, second);
  seedRandomOps(3);
  EXPECT_EQ(draw(9), first);
  EXPECT_EQ(draw(9), second);
  seedRandomOps(4);
  EXPECT_NE(draw(9), first);
}

/// Mean, variance, the correlation of neighbours and the counts of 64 bins of numbers that
/// should be spread evenly: all within 5 deviations.
template <typename T> static void expectUniform(const std::vector<T> &numbers) {
  auto n = static_cast<double>(numbers.size());
  double sum = 0, squares = 0, products = 0;
  std::array<int, 64> bins = {};
  for (size_t i = 0; i < numbers.size(); ++i) {
    double x = static_cast<double>(numbers[i]) - 0.5;
    ASSERT_TRUE(numbers[i] >= 0 && numbers[i] < 1) << numbers[i];
    sum += x;
    squares += x * x;
    if (i > 0)
      products += x * (static_cast<double>(numbers[i - 1]) - 0.5);
    ++bins[static_cast<size_t>(numbers[i] * 64)];
  }
  EXPECT_LT(std::abs(sum / n), 5 * std::sqrt(1.0 / 12 / n));
  EXPECT_LT(std::abs(squares / n - 1.0 / 12), 5 * std::sqrt(1.0 / 180 / n));
  EXPECT_LT(std::abs(products / n), 5.0 / 12 / std::sqrt(n));
  double chi = 0;
  for (int count : bins)
    chi += (count - n / 64) * (count - n / 64) / (n / 64);
  EXPECT_LT(chi, 63 + 5 * std::sqrt(2.0 * 63));
}

TEST(Random, NumbersAreSpreadEvenly) {
  expectUniform(elementsOf<float>(drawSeeded(DType::Float32, 1, {100003})));
  expectUniform(elementsOf<double>(drawSeeded(DType::Float64, 1, {100003})));
  seedRandomOps(0);
  // One number of each of many draws.
  std::vector<float> firsts;
  for (int i = 0; i < 20000; ++i)
    firsts.push_back(draw(1).at(0));
  expectUniform(firsts);
}

TEST(Random, ShapesThatAreNone) {
  EXPECT_EQ(drawSeeded(DType::Float32, 1, {0, 3}).dims(), (Tensor::Dims{0, 3}));
  EXPECT_EQ(drawSeeded(DType::Float64, 1, {}).numElements(), 1);
  auto negative = evaluateAll("nn.random", {Tensor::ofInts({-1})}, drawing(DType::Float32, 1),
                              {DType::Float32});
  EXPECT_FALSE(negative);
  auto huge = evaluateAll("nn.random", {Tensor::ofInts({int64_t{1} << 40, int64_t{1} << 40})},
                          drawing(DType::Float32, 1), {DType::Float32});
  EXPECT_FALSE(huge);
}
