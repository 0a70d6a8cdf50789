//===- ImportLossTest.cpp - losses of classifiers -------------------------===//
#include "tests/frontend/Interpret.h"
#include "tests/frontend/RunModel.h"

#include <cmath>

using namespace quern;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;

namespace {
struct LossCase {
  const char *reduction = "none";
  bool hasWeights = false;
  std::optional<int64_t> ignored = {};
};
} // namespace

/// loss = op(x, t (, w)), where negative dims are symbolic.
static ModelBuilder loss(const char *op, const Ints &x, const Ints &t, const LossCase &c = {}) {
  ModelBuilder b(13);
  b.input("x", x).input("t", t, DType::Int64).output("loss");
  if (c.hasWeights)
    b.initializer("w", Tensor::of<float>({3}, {0.5, 2, 4}));
  std::vector<std::string> inputs = {"x", "t"};
  if (c.hasWeights)
    inputs.push_back("w");
  b.node(op, inputs, {"loss"}).attr("reduction", c.reduction);
  if (c.ignored)
    b.attr("ignore_index", *c.ignored);
  return b;
}

static ModelBuilder nll(const LossCase &c) {
  return loss("NegativeLogLikelihoodLoss", {2, 3}, {2}, c);
}

static const Tensor kScores = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});

TEST(ImportLoss, NegativeLogLikelihoodReducesAndWeighs) {
  std::vector<Tensor> inputs = {kScores, Tensor::ofInts({2, 0})};
  expectRuns<float>(nll({}), inputs, {2}, {-3, -4});
  expectRuns<float>(nll({"sum"}), inputs, {}, {-7});
  expectRuns<float>(nll({"mean"}), inputs, {}, {-3.5});
  expectRuns<float>(nll({"none", true}), inputs, {2}, {-12, -2});
  expectRuns<float>(nll({"sum", true}), inputs, {}, {-14});
  // -14 / (4 + 0.5)
  expectFloats(run(nll({"mean", true}), inputs).at(0), {}, {-14 / 4.5});
}

TEST(ImportLoss, IgnoredSamplesCountForNothing) {
  for (int64_t ignored : {int64_t{1}, int64_t{-1}, int64_t{100}}) {
    std::vector<Tensor> inputs = {kScores, Tensor::ofInts({2, ignored})};
    expectRuns<float>(nll({"none", false, ignored}), inputs, {2}, {-3, 0});
    expectRuns<float>(nll({"sum", true, ignored}), inputs, {}, {-12});
    expectRuns<float>(nll({"mean", false, ignored}), inputs, {}, {-3});
    expectRuns<float>(nll({"mean", true, ignored}), inputs, {}, {-3});
  }
  // Whatever the score of an ignored sample is.
  Tensor scores = Tensor::of<float>({2, 3}, {1, 2, 3, NAN, INFINITY, NAN});
  expectRuns<float>(nll({"sum", true, 7}), {scores, Tensor::ofInts({2, 7})}, {}, {-12});
}

TEST(ImportLoss, PlacesBehindTheClasses) {
  Tensor scores = Tensor::of<float>({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  Tensor classes = Tensor::of<int64_t>({1, 2, 2}, {0, 1, 1, 0});
  for (const auto &[x, t] :
       {std::pair<Ints, Ints>{{1, 2, 2, 2}, {1, 2, 2}}, {{-1, 2, -2, -3}, {-1, -2, -3}}})
    expectRuns<float>(loss("NegativeLogLikelihoodLoss", x, t), {scores, classes}, {1, 2, 2},
                      {-1, -6, -7, -4});
}

TEST(ImportLoss, SoftmaxCrossEntropyGivesLogarithmsToo) {
  ModelBuilder b = loss("SoftmaxCrossEntropyLoss", {1, 2}, {1}, {"mean"});
  b.graph().mutable_node(0)->add_output("p");
  b.output("p");
  std::vector<Tensor> outputs = run(b, {Tensor::of<float>({1, 2}, {0, 1}), Tensor::ofInts({0})});
  ASSERT_EQ(outputs.size(), 2u);
  double second = -std::log1p(std::exp(-1.0)), first = second - 1;
  expectFloats(outputs[0], {}, {-first});
  expectFloats(outputs[1], {1, 2}, {first, second});
}

TEST(ImportLoss, AClassOutOfRangeNamesTheNode) {
  for (int64_t wrong : {int64_t{3}, int64_t{-1}, std::numeric_limits<int64_t>::min()})
    expectRunError(nll({}), {kScores, Tensor::ofInts({0, wrong})}, "node 'loss_node'", "index");
}

TEST(ImportLoss, ShapesAndAttributesThatDoNotFit) {
  constexpr const char *kOp = "NegativeLogLikelihoodLoss";
  expectError(loss(kOp, {3}, {}), kInvalid, {"input 0 must have rank 2 or more, found 1"});
  expectError(loss(kOp, {2, 3}, {3}), kInvalid,
              {"the shape of input 1, 3, must be that of input 0"});
  expectError(loss(kOp, {2, 3, 4}, {2}), kInvalid, {"without dimension 1"});
  expectError(loss(kOp, {2, 4}, {2}, {"none", true}), kInvalid,
              {"input 2 must have one weight for each of 4 classes, found 3"});
  expectError(nll({"max"}), kInvalid, {"expected none, sum or mean, found 'max'"});
  ModelBuilder floats(13);
  floats.input("x", {2, 3}).input("t", {2}).node(kOp, {"x", "t"}, {"y"}).output("y");
  expectError(floats, kInvalid, {"input 1 must hold int32 or int64, found float32"});
}
