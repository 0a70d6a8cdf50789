//===- ImportRandomTest.cpp - ops that draw at random ---------------------===//
#include "quern/RandomSeed.h"
#include "tests/frontend/Interpret.h"
#include "tests/frontend/RunModel.h"

#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr auto kDouble = static_cast<int64_t>(DType::Float64);

static std::vector<double> numbersOf(const Tensor &tensor) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    numbers.push_back(floatAt(tensor, i));
  return numbers;
}

/// Mean and deviation, within 5 deviations of what those of so many numbers have.
static void expectMoments(const std::vector<double> &numbers, double mean, double deviation) {
  auto n = static_cast<double>(numbers.size());
  double sum = 0, squares = 0;
  for (double x : numbers) {
    sum += x;
    squares += (x - mean) * (x - mean);
  }
  EXPECT_NEAR(sum / n, mean, 5 * deviation / std::sqrt(n));
  EXPECT_NEAR(squares / n, deviation * deviation, 5 * deviation * deviation * 2 / std::sqrt(n));
}

TEST(ImportRandom, UniformNumbersHaveTheirBounds) {
  for (int64_t dtype : {int64_t{1}, kDouble}) {
    ModelBuilder b(13);
    b.node("RandomUniform", {}, {"y"}).attr("shape", Ints{100, 200}).attr("dtype", dtype);
    b.attr("low", -1.0f).attr("high", 3.0f).attr("seed", 5.0f).output("y");
    std::vector<double> numbers = numbersOf(run(b, {}).at(0));
    ASSERT_EQ(numbers.size(), 20000u);
    for (double x : numbers)
      EXPECT_TRUE(x >= -1 && x <= 3) << x;
    expectMoments(numbers, 1, 4 / std::sqrt(12.0));
    EXPECT_EQ(numbersOf(run(b, {}).at(0)), numbers); // by its seed
  }
}

TEST(ImportRandom, NormalNumbers) {
  ModelBuilder b(13);
  b.input("x", {-1, 200}, DType::Float16).node("RandomNormalLike", {"x"}, {"y"}).output("y");
  b.attr("dtype", int64_t{1}).attr("mean", 2.0f).attr("scale", 0.5f).attr("seed", 1.0f);
  Tensor like = Tensor::allocate(DType::Float16, {100, 200}).take();
  Tensor found = run(b, {like}).at(0);
  EXPECT_EQ(found.dims(), (Tensor::Dims{100, 200}));
  std::vector<double> numbers = numbersOf(found);
  expectMoments(numbers, 2, 0.5);
  int beyond = 0; // 4.55 % are two deviations away
  for (double x : numbers)
    beyond += std::abs(x - 2) > 1;
  EXPECT_NEAR(beyond / 20000.0, 0.0455, 5 * std::sqrt(0.0455 / 20000));
  ModelBuilder typed(13);
  typed.input("x", {3}, DType::Float16).node("RandomNormalLike", {"x"}, {"y"}).output("y");
  EXPECT_EQ(Imported(typed).outputType(), "tensor<3xf16>");
}

TEST(ImportRandom, NodesWithoutASeedDifferByDraw) {
  ModelBuilder b(13);
  for (const char *name : {"y", "z"})
    b.node("RandomUniform", {}, {name}).attr("shape", Ints{4}).output(name);
  seedRandomOps(1);
  std::vector<Tensor> first = run(b, {}), second = run(b, {});
  EXPECT_NE(numbersOf(first.at(0)), numbersOf(first.at(1)));
  EXPECT_NE(numbersOf(first.at(0)), numbersOf(second.at(0)));
  seedRandomOps(1);
  EXPECT_EQ(numbersOf(run(b, {}).at(1)), numbersOf(first.at(1)));
}

TEST(ImportRandom, BernoulliFollowsItsChances) {
  ModelBuilder b(15);
  b.input("p", {2, 10000}).node("Bernoulli", {"p"}, {"y"}).output("y");
  b.attr("dtype", int64_t{static_cast<int64_t>(DType::Bool)}).attr("seed", 2.0f);
  std::vector<float> chances(20000, 0.25f);
  std::fill_n(chances.begin(), 5000, 0.0f);
  std::fill_n(chances.begin() + 5000, 5000, 1.0f);
  Tensor found = run(b, {Tensor::of<float>({2, 10000}, chances)}).at(0);
  ASSERT_EQ(found.dtype(), DType::Bool);
  const bool *y = found.data<bool>();
  EXPECT_EQ(std::count(y, y + 5000, true), 0);
  EXPECT_EQ(std::count(y + 5000, y + 10000, true), 5000);
  EXPECT_NEAR(std::count(y + 10000, y + 20000, true) / 10000.0, 0.25, 5 * std::sqrt(0.1875 / 1e4));
}

TEST(ImportRandom, MultinomialFollowsItsChances) {
  ModelBuilder b(13);
  b.input("x", {2, 3}).node("Multinomial", {"x"}, {"y"}).attr("sample_size", int64_t{9000});
  b.attr("seed", 3.0f).output("y");
  float never = -std::numeric_limits<float>::infinity();
  // Not normalized: chances of 1/6, 2/6 and 3/6; only the second class.
  Tensor x = Tensor::of<float>({2, 3}, {0, std::log(2.0f), std::log(3.0f), never, 0, never});
  Tensor found = run(b, {x}).at(0);
  ASSERT_EQ(found.dims(), (Tensor::Dims{2, 9000}));
  ASSERT_EQ(found.dtype(), DType::Int32);
  const int32_t *y = found.data<int32_t>();
  for (int k = 0; k < 3; ++k)
    EXPECT_NEAR(std::count(y, y + 9000, k) / 9000.0, (k + 1) / 6.0, 5 * 0.5 / std::sqrt(9000.0));
  EXPECT_EQ(std::count(y + 9000, y + 18000, 1), 9000);
  ModelBuilder none(13);
  none.input("x", {2, 3}).node("Multinomial", {"x"}, {"y"}).attr("sample_size", int64_t{0});
  none.output("y");
  expectError(none, kInvalid, {"'sample_size': 0 is not positive"});
}

/// y, mask = Dropout(x, ratio, training)
static ModelBuilder dropout(float ratio) {
  ModelBuilder b(13);
  b.input("x", {10000}).input("t", {}, DType::Bool).output("y").output("mask");
  b.initializer("r", Tensor::of<float>({}, {ratio}));
  b.node("Dropout", {"x", "r", "t"}, {"y", "mask"}).attr("seed", int64_t{9});
  return b;
}

TEST(ImportRandom, DropoutInTraining) {
  std::vector<float> values(10000);
  std::iota(values.begin(), values.end(), 1.0f);
  Tensor x = Tensor::of<float>({10000}, values), yes = Tensor::of<bool>({}, {true}),
         no = Tensor::of<bool>({}, {false});
  std::vector<Tensor> results = run(dropout(0.2f), {x, yes});
  const bool *mask = results.at(1).data<bool>();
  EXPECT_NEAR(std::count(mask, mask + 10000, true) / 1e4, 0.8, 5 * std::sqrt(0.16 / 1e4));
  for (int i = 0; i < 10000; ++i)
    EXPECT_FLOAT_EQ(results[0].data<float>()[i], mask[i] ? values[i] * 1.25f : 0);
  std::vector<Tensor> inference = run(dropout(0.2f), {x, no}), kept = run(dropout(0), {x, yes});
  for (const std::vector<Tensor> &all : {inference, kept}) {
    EXPECT_EQ(std::count(all.at(1).data<bool>(), all[1].data<bool>() + 10000, true), 10000);
    EXPECT_TRUE(std::equal(values.begin(), values.end(), all[0].data<float>()));
  }
}

TEST(ImportRandom, DropoutOfOldOpsets) {
  ModelBuilder b(6);
  b.input("x", {1000}).node("Dropout", {"x"}, {"y", "mask"}).output("y").output("mask");
  Tensor x = Tensor::of<float>({1000}, std::vector<float>(1000, 3.0f));
  std::vector<Tensor> results = run(b, {x});
  ASSERT_EQ(results.at(1).dtype(), DType::Float32); // as the data, before opset 10
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(results[0].data<float>()[i], results[1].data<float>()[i] * 6);
  b.attr("is_test", int64_t{1});
  expectRuns<float>(b, {x}, {1000}, std::vector<float>(1000, 3.0f));
}

TEST(ImportRandom, AttributesThatDoNotFit) {
  ModelBuilder shape(13);
  shape.node("RandomUniform", {}, {"y"}).output("y");
  expectError(shape, kInvalid, {"required attribute 'shape' is missing"});
  shape.attr("shape", Ints{2, -1});
  expectError(shape, kInvalid, {"'y_node' (RandomUniform, opset 13)", "must not be negative"});
  ModelBuilder type(13);
  type.node("RandomNormal", {}, {"y"}).attr("shape", Ints{2}).attr("dtype", int64_t{8}).output("y");
  expectError(type, kInvalid, {"attribute 'dtype': 8 is no type of numbers"});
}
