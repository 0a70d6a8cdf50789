//===- NormalizationTest.cpp - batch_norm, instance_norm, lrn -------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>

using namespace quern;
using namespace quern::reference;

static Tensor vec(const std::vector<float> &values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

static Attributes epsilon(double value) { return makeAttributes({{"epsilon", value}}); }

TEST(BatchNorm, NormalizesEachChannel) {
  Tensor x = Tensor::of<float>({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  Tensor result = evaluate("nn.batch_norm",
                           {x, vec({1, 2}), vec({0, 10}), vec({1, 3}), vec({3, 0})}, epsilon(1));
  // Deviations: sqrt(3 + 1) = 2 and sqrt(0 + 1) = 1.
  expectTensor<float>(result, {2, 2, 2}, {0, 0.5, 10, 12, 2, 2.5, 18, 20});
}

TEST(BatchNorm, TakesAVectorAsOneChannel) {
  Tensor one = vec({1});
  expectTensor<float>(evaluate("nn.batch_norm", {vec({3, 5}), one, one, one, one}, epsilon(0)), {2},
                      {3, 5});
}

TEST(BatchNorm, TakesParametersOfAnotherType) {
  Tensor x = Tensor::of<Float16>({1, 1}, {Float16(3.0f)});
  Tensor one = vec({1}), zero = vec({0});
  Tensor result = evaluate("nn.batch_norm", {x, one, zero, one, vec({4})}, epsilon(0));
  EXPECT_EQ(static_cast<float>(result.data<Float16>()[0]), 1.0f);
}

TEST(BatchNorm, ChecksParameterShapes) {
  Tensor x = Tensor::of<float>({1, 2}, {1, 2}), two = vec({1, 1});
  EXPECT_EQ(evaluateError("nn.batch_norm", {x, two, vec({1}), two, two}, epsilon(0)).message(),
            "bias must have shape 2, found float32 1");
}

TEST(BatchNorm, ServesEmptyBatches) {
  Tensor x = Tensor::of<float>({0, 1, 3}, {}), one = vec({1});
  expectTensor<float>(evaluate("nn.batch_norm", {x, one, one, one, one}, epsilon(0)), {0, 1, 3},
                      {});
}

TEST(InstanceNorm, GivesTheSameInBlocks) {
  // 6 channels in blocks of 4: the last ends in padding, which becomes 0.
  Tensor x = Tensor::allocate(DType::Float32, {2, 6, 3, 5}).take();
  for (int64_t i = 0; i < x.numElements(); ++i)
    x.mutableData<float>()[i] = static_cast<float>(i * i % 23);
  Tensor scale = vec({1, 2, 3, 4, 5, 6}), bias = vec({6, 5, 4, 3, 2, 1});
  Attributes four = makeAttributes({{"output_block", int64_t{4}}}), blocked = epsilon(0.5);
  blocked.set("input_block", int64_t{4});
  blocked.set("output_block", int64_t{4});
  Tensor plain = evaluate("nn.instance_norm", {x, scale, bias}, epsilon(0.5));
  expectTensor(evaluate("nn.instance_norm", {evaluate("nn.pack", {x}, four), scale, bias}, blocked),
               {2, 2, 3, 5, 4}, elementsOf<float>(evaluate("nn.pack", {plain}, four)));
  EXPECT_FALSE(evaluateError("nn.instance_norm",
                             {evaluate("nn.pack", {x}, four), vec({1, 2}), vec({1, 2})}, blocked)
                   .isOk());
}

TEST(InstanceNorm, NormalizesEachPlane) {
  Tensor x = Tensor::of<float>({1, 2, 2}, {1, 3, 5, 5});
  // Plane 0: mean 2, variance 1; plane 1: variance 0, only epsilon keeps it finite.
  Tensor result = evaluate("nn.instance_norm", {x, vec({2, 1}), vec({1, 7})}, epsilon(3));
  expectTensor<float>(result, {1, 2, 2}, {0, 2, 7, 7});
}

static Attributes layerNormAttributes(int64_t axis, bool center) {
  return makeAttributes({{"axis", axis}, {"center", int64_t{center}}, {"epsilon", 3.0}});
}

TEST(LayerNorm, NormalizesRows) {
  // Mean 2, variance 1; mean 5, variance 0.
  Tensor x = Tensor::of<float>({2, 2}, {1, 3, 5, 5}), none;
  expectTensor<float>(evaluate("nn.layer_norm", {x, none, none}, layerNormAttributes(-1, true)),
                      {2, 2}, {-0.5, 0.5, 0, 0});
  expectTensor<float>(
      evaluate("nn.layer_norm", {x, vec({2, 4}), vec({1, 7})}, layerNormAttributes(1, true)),
      {2, 2}, {0, 9, 1, 7});
  // One row: mean 3.5, variance 2.75.
  expectTensor<float>(evaluate("nn.layer_norm", {x, none, none}, layerNormAttributes(0, true)),
                      {2, 2},
                      {-2.5f / std::sqrt(5.75f), -0.5f / std::sqrt(5.75f), 1.5f / std::sqrt(5.75f),
                       1.5f / std::sqrt(5.75f)});
}

TEST(LayerNorm, DividesByTheRootMeanSquareWithoutCenter) {
  // Mean squares 1 and 22: with epsilon, roots 2 and 5.
  Tensor x = Tensor::of<double>({2, 2}, {1, 1, -6, std::sqrt(8.0)}), none;
  expectTensor<double>(evaluate("nn.layer_norm", {x, none, none}, layerNormAttributes(1, false)),
                       {2, 2}, {0.5, 0.5, -1.2, std::sqrt(8.0) / 5});
}

TEST(LayerNorm, NamesParametersOfOtherSizes) {
  Tensor x = Tensor::of<float>({1, 2}, {1, 3}), none;
  EXPECT_EQ(evaluateError("nn.layer_norm", {x, vec({1, 2, 3}), none}, layerNormAttributes(1, true))
                .message(),
            "a row has 2 elements of float32, its scale or bias is float32 3");
}

static Attributes lrnAttributes(double alpha, double beta, double bias, int64_t size,
                                int64_t block = 0) {
  return makeAttributes(
      {{"alpha", alpha}, {"beta", beta}, {"bias", bias}, {"size", size}, {"input_block", block}});
}

// Channels 0 to 3 of two pixels, in blocks of two channels.
TEST(Lrn, Blocks) {
  Tensor x = Tensor::of<float>({1, 2, 1, 2, 2}, {1, 2, 0, 1, 3, 4, 2, 0});
  expectTensor<float>(evaluate("nn.lrn", {x}, lrnAttributes(3, 1, 1, 3, 2)), {1, 2, 1, 2, 2},
                      {1.f / 6, 2.f / 15, 0, 1.f / 6, 3.f / 30, 4.f / 26, 2.f / 6, 0});
}

TEST(Lrn, SumsSquaresOverNeighbourChannels) {
  Tensor x = Tensor::of<float>({1, 4, 1}, {1, 2, 3, 4});
  // size 3, alpha 3: divisors 1 + 5, 1 + 14, 1 + 29, 1 + 25
  expectTensor<float>(evaluate("nn.lrn", {x}, lrnAttributes(3, 1, 1, 3)), {1, 4, 1},
                      {1 / 6.f, 2 / 15.f, 3 / 30.f, 4 / 26.f});
  // size 2 takes the channel and the next: 1 + 5, 1 + 13, 1 + 25, 1 + 16
  expectTensor<float>(evaluate("nn.lrn", {x}, lrnAttributes(2, 1, 1, 2)), {1, 4, 1},
                      {1 / 6.f, 2 / 14.f, 3 / 26.f, 4 / 17.f});
  // A window wider than the channels covers them all: 1 + 30
  expectTensor<float>(
      evaluate("nn.lrn", {x}, lrnAttributes(static_cast<double>(INT64_MAX), 1, 1, INT64_MAX)),
      {1, 4, 1}, {1 / 31.f, 2 / 31.f, 3 / 31.f, 4 / 31.f});
}

TEST(Lrn, RefusesAnEmptyWindow) {
  Tensor x = Tensor::of<float>({1, 1}, {1});
  EXPECT_EQ(evaluateError("nn.lrn", {x}, lrnAttributes(1, 1, 1, 0)).message(),
            "size must be positive, found 0");
}
