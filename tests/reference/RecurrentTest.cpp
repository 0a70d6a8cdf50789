//===- RecurrentTest.cpp - RNN, GRU and LSTM ------------------------------===//
//
// With the identity (Affine) for an activation, cells of integers are exact.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/Recurrent.h"
#include "tests/reference/KernelCall.h"

#include <cmath>

using namespace quern;
using namespace quern::reference;

namespace {
/// The operands after input and recurrence.
struct Optional {
  Tensor bias = {}, lengths = {}, initialH = {}, initialC = {}, peepholes = {};
};

/// Attributes of a cell with the same activations in every direction.
Attributes cellOf(CellKind cell, const char *direction = "forward",
                  std::vector<int64_t> activations = {}) {
  int64_t directions = directionsOf(enumNamed<RecurrentDirection>(direction).value());
  auto count = static_cast<size_t>(activationsOf(cell) * directions);
  if (activations.empty())
    activations.assign(count, static_cast<int64_t>(CellActivation::Affine));
  return makeAttributes({{"cell", static_cast<int64_t>(cell)},
                         {"direction", numberOf<RecurrentDirection>(direction)},
                         {"activations", activations},
                         {"alpha", std::vector<double>(count, 1)},
                         {"beta", std::vector<double>(count, 0)},
                         {"input_forget", int64_t{0}},
                         {"linear_before_reset", int64_t{0}}});
}

Expected<std::vector<Tensor>> call(const Tensor &input, const Tensor &recurrence,
                                   const Optional &optional, const Attributes &attributes) {
  bool isLstm = attributes.getEnum("cell", CellKind::Rnn) == CellKind::Lstm;
  return evaluateAll("nn.recurrent",
                     {input, recurrence, optional.bias, optional.lengths, optional.initialH,
                      optional.initialC, optional.peepholes},
                     attributes, std::vector<DType>(isLstm ? 3 : 2, input.dtype()));
}

std::vector<Tensor> run(const Tensor &input, const Tensor &recurrence, const Optional &optional,
                        const Attributes &attributes) {
  auto results = call(input, recurrence, optional, attributes);
  EXPECT_TRUE(results) << results.status().message();
  return results ? results.take() : std::vector<Tensor>(3);
}

Tensor floats(const Tensor::Dims &dims, const std::vector<float> &values) {
  return Tensor::of<float>(dims, values);
}
} // namespace

TEST(Recurrent, RnnGoesInEitherDirection) {
  Tensor input = floats({3, 1, 1}, {1, 2, 3}), r = floats({1, 1, 1}, {2});
  auto forward = run(input, r, {}, cellOf(CellKind::Rnn));
  expectTensor<float>(forward[0], {3, 1, 1, 1}, {1, 4, 11});
  expectTensor<float>(forward[1], {1, 1, 1}, {11});
  auto reverse = run(input, r, {}, cellOf(CellKind::Rnn, "reverse"));
  expectTensor<float>(reverse[0], {3, 1, 1, 1}, {17, 8, 3});
  expectTensor<float>(reverse[1], {1, 1, 1}, {17});
  auto both = run(floats({3, 1, 2}, {1, 1, 2, 2, 3, 3}), floats({2, 1, 1}, {2, 2}), {},
                  cellOf(CellKind::Rnn, "bidirectional"));
  expectTensor<float>(both[0], {3, 2, 1, 1}, {1, 17, 4, 8, 11, 3});
  expectTensor<float>(both[1], {2, 1, 1}, {11, 17});
}

TEST(Recurrent, SequencesEndAtTheirLengths) {
  Tensor input = floats({3, 3, 1}, {1, 1, 1, 2, 2, 2, 3, 3, 3}), r = floats({1, 1, 1}, {2});
  Optional optional;
  optional.lengths = Tensor::of<int32_t>({3}, {3, 2, 0});
  optional.initialH = floats({1, 3, 1}, {1, 1, 7});
  auto forward = run(input, r, optional, cellOf(CellKind::Rnn));
  expectTensor<float>(forward[0], {3, 1, 3, 1}, {3, 3, 0, 8, 8, 0, 19, 0, 0});
  expectTensor<float>(forward[1], {1, 3, 1}, {19, 8, 7});
  auto reverse = run(input, r, optional, cellOf(CellKind::Rnn, "reverse"));
  expectTensor<float>(reverse[0], {3, 1, 3, 1}, {25, 9, 0, 12, 4, 0, 5, 0, 0});
  expectTensor<float>(reverse[1], {1, 3, 1}, {25, 9, 7});
  optional.lengths = Tensor::of<int32_t>({3}, {3, 4, 0});
  EXPECT_EQ(call(input, r, optional, cellOf(CellKind::Rnn)).status().message(),
            "the length 4 of sequence 1 is out of range for 3 steps");
  optional.lengths = Tensor::of<int32_t>({3}, {3, -1, 0});
  EXPECT_EQ(call(input, r, optional, cellOf(CellKind::Rnn)).status().message(),
            "the length -1 of sequence 1 is out of range for 3 steps");
}

TEST(Recurrent, GruResetsBeforeOrAfterItsProduct) {
  Tensor input = floats({2, 1, 6}, {1, -1, 2, 1, 3, -2, 0, 2, 1, -1, 1, 1});
  Tensor r = floats({1, 6, 2}, {1, 0, 0, 1, 1, -1, 2, 1, 1, 2, 0, 1});
  Optional optional;
  optional.initialH = floats({1, 1, 2}, {1, 2});
  auto before = run(input, r, optional, cellOf(CellKind::Gru));
  expectTensor<float>(before[0], {2, 1, 1, 2}, {-22, 2, 8189, 263});
  expectTensor<float>(before[1], {1, 1, 2}, {8189, 263});
  optional.bias = floats({1, 2}, {1, -1});
  Attributes linear = cellOf(CellKind::Gru);
  linear.set("linear_before_reset", int64_t{1});
  auto after = run(input, r, optional, linear);
  expectTensor<float>(after[0], {2, 1, 1, 2}, {-7, 2, 185, 44});
}

TEST(Recurrent, LstmHasPeepholesAndCoupledGates) {
  Tensor input = floats({1, 1, 4}, {1, 2, 3, 4}), r = floats({1, 4, 1}, {1, 0, 1, 2});
  Optional optional;
  optional.initialH = floats({1, 1, 1}, {1});
  optional.initialC = floats({1, 1, 1}, {2});
  // i = 2, o = 2, f = 4, c~ = 6
  auto plain = run(input, r, optional, cellOf(CellKind::Lstm));
  expectTensor<float>(plain[2], {1, 1, 1}, {20});
  expectTensor<float>(plain[0], {1, 1, 1, 1}, {40});
  optional.peepholes = floats({1, 3}, {1, -1, 2});
  auto peepholes = run(input, r, optional, cellOf(CellKind::Lstm));
  expectTensor<float>(peepholes[2], {1, 1, 1}, {40});
  expectTensor<float>(peepholes[1], {1, 1, 1}, {-1520});
  optional.peepholes = {};
  Attributes coupled = cellOf(CellKind::Lstm);
  coupled.set("input_forget", int64_t{1});
  expectTensor<float>(run(input, r, optional, coupled)[2], {1, 1, 1}, {10});
  Attributes clipped = cellOf(CellKind::Lstm);
  clipped.set("clip", 2.0);
  auto small = run(input, r, optional, clipped);
  expectTensor<float>(small[2], {1, 1, 1}, {8});
  expectTensor<float>(small[0], {1, 1, 1, 1}, {16});
  Attributes bounded = cellOf(CellKind::Lstm);
  bounded.set("cell_clip", 5.0);
  auto bound = run(input, r, optional, bounded);
  expectTensor<float>(bound[2], {1, 1, 1}, {5});
  expectTensor<float>(bound[0], {1, 1, 1, 1}, {10});
}

// From NumPy.
TEST(Recurrent, LstmOfEveryFloat) {
  using enum CellActivation;
  Attributes usual = cellOf(
      CellKind::Lstm, "forward",
      {static_cast<int64_t>(Sigmoid), static_cast<int64_t>(Tanh), static_cast<int64_t>(Tanh)});
  std::vector<float> x = {.5f, -.25f, 1, .75f, -1, .5f, .25f, -.5f}, r = {.5f, -.5f, 1, .25f};
  auto single = run(floats({2, 1, 4}, x), floats({1, 4, 1}, r), {}, usual);
  expectTensor<float>(single[0], {2, 1, 1, 1}, {0.164607188f, 0.069383859f});
  expectTensor<float>(single[2], {1, 1, 1}, {0.115589499f});
  auto wide = run(Tensor::of<double>({2, 1, 4}, {x.begin(), x.end()}),
                  Tensor::of<double>({1, 4, 1}, {r.begin(), r.end()}), {}, usual);
  EXPECT_NEAR(wide[1].data<double>()[0], 0.069383859, 1e-9);
  std::vector<Float16> narrowX(x.begin(), x.end()), narrowR(r.begin(), r.end());
  auto half = run(Tensor::of<Float16>({2, 1, 4}, narrowX), Tensor::of<Float16>({1, 4, 1}, narrowR),
                  {}, usual);
  EXPECT_EQ(static_cast<float>(half[2].data<Float16>()[0]),
            static_cast<float>(Float16(0.115589499f)));
}

TEST(Recurrent, Activations) {
  auto of = [](CellActivation activation, double alpha, double beta, float x) {
    Attributes attributes = cellOf(CellKind::Rnn, "forward", {static_cast<int64_t>(activation)});
    attributes.set("alpha", std::vector<double>{alpha});
    attributes.set("beta", std::vector<double>{beta});
    return run(floats({1, 1, 1}, {x}), floats({1, 1, 1}, {0}), {}, attributes)[0].data<float>()[0];
  };
  using enum CellActivation;
  EXPECT_EQ(of(Relu, 0, 0, -2), 0);
  EXPECT_EQ(of(Relu, 0, 0, 2), 2);
  EXPECT_EQ(of(LeakyRelu, 0.5, 0, -2), -1);
  EXPECT_EQ(of(ThresholdedRelu, 2, 0, 2), 0);
  EXPECT_EQ(of(ThresholdedRelu, 2, 0, 3), 3);
  EXPECT_FLOAT_EQ(of(ScaledTanh, 2, 3, 1), 2 * std::tanh(3.0f));
  EXPECT_FLOAT_EQ(of(HardSigmoid, 0.25, 0.5, 1), 0.75);
  EXPECT_EQ(of(HardSigmoid, 1, 0.5, 1), 1);
  EXPECT_EQ(of(HardSigmoid, 1, 0.5, -1), 0);
  EXPECT_FLOAT_EQ(of(Elu, 2, 0, -1), 2 * std::expm1(-1.0f));
  EXPECT_EQ(of(Softsign, 0, 0, -3), -0.75);
  EXPECT_FLOAT_EQ(of(Softplus, 0, 0, 1), std::log1p(std::exp(1.0f)));
  EXPECT_EQ(of(Affine, 2, 1, 3), 7);
}

TEST(Recurrent, RefusesWhatDoesNotFit) {
  Tensor input = floats({2, 1, 4}, std::vector<float>(8)), r = floats({1, 4, 1}, {0, 0, 0, 0});
  auto message = [&](const Tensor &x, const Tensor &weights, const Optional &optional) {
    return call(x, weights, optional, cellOf(CellKind::Lstm)).status().message();
  };
  EXPECT_EQ(message(floats({2, 4}, std::vector<float>(8)), r, {}),
            "input and recurrence must have rank 3, found float32 2x4 and float32 1x4x1");
  EXPECT_EQ(message(floats({2, 1, 3}, std::vector<float>(6)), r, {}),
            "input must have shape 2x1x4, found float32 2x1x3");
  EXPECT_EQ(message(input, floats({1, 3, 1}, {0, 0, 0}), {}),
            "recurrence must have shape 1x4x1, found float32 1x3x1");
  Optional optional;
  optional.initialC = floats({1, 2, 1}, {0, 0});
  EXPECT_EQ(message(input, r, optional), "initial_c must have shape 1x1x1, found float32 1x2x1");
  Attributes few = cellOf(CellKind::Lstm, "forward", {0, 0});
  EXPECT_EQ(call(input, r, {}, few).status().message(), "needs 3 activations, found 2");
}
