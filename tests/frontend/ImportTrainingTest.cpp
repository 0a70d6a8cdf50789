//===- ImportTrainingTest.cpp - steps of optimizers -----------------------===//
#include "tests/frontend/RunModel.h"

#include <cmath>

using namespace quern;
using namespace quern::onnx::test;

/// A step of `op` on variables of two elements with what is listed for each.
static ModelBuilder step(const char *op, const std::vector<std::string> &lists,
                         const std::vector<std::string> &outputs) {
  ModelBuilder b(13);
  b.input("R", {}).input("T", {}, DType::Int64);
  std::vector<std::string> inputs = {"R", "T"};
  for (const std::string &name : lists) {
    b.input(name, {2});
    inputs.push_back(name);
  }
  b.node(op, inputs, outputs).domain("ai.onnx.preview.training");
  for (const std::string &name : outputs)
    b.output(name);
  return b;
}

static Tensor pair(float a, float b) { return Tensor::of<float>({2}, {a, b}); }
static std::vector<Tensor> inputs(float rate, int64_t updates, std::vector<Tensor> lists) {
  lists.insert(lists.begin(), {Tensor::of<float>({}, {rate}), Tensor::of<int64_t>({}, {updates})});
  return lists;
}

TEST(ImportTraining, Momentum) {
  ModelBuilder b = step("Momentum", {"X", "G", "V"}, {"X1", "V1"});
  b.attr("alpha", 0.5f).attr("beta", 0.25f).attr("norm_coefficient", 0.5f).attr("mode", "standard");
  std::vector<Tensor> lists = {pair(2, 4), pair(1, -2), pair(4, 8)};
  // g = 0.5 x + g = {2, 0}; the first update takes all of it.
  std::vector<Tensor> first = run(b, inputs(0.5, 0, lists));
  expectFloats(first.at(1), {2}, {4, 4});
  expectFloats(first.at(0), {2}, {0, 2});
  std::vector<Tensor> later = run(b, inputs(0.5, 3, lists));
  expectFloats(later.at(1), {2}, {2.5, 4});
  expectFloats(later.at(0), {2}, {0.75, 2});
  b.graph().mutable_node(0)->mutable_attribute(3)->set_s("nesterov");
  std::vector<Tensor> nesterov = run(b, inputs(0.5, 3, lists));
  expectFloats(nesterov.at(0), {2}, {2 - 0.5 * (2 + 1.25), 4 - 0.5 * 2});
  b.graph().mutable_node(0)->mutable_attribute(3)->set_s("other");
  expectError(b, StatusCode::InvalidModel, {"expected standard or nesterov, found 'other'"});
}

TEST(ImportTraining, AdagradOfTwoVariables) {
  ModelBuilder b = step("Adagrad", {"X", "Y", "G", "F", "H", "K"}, {"X1", "Y1", "H1", "K1"});
  b.attr("decay_factor", 0.5f).attr("epsilon", 1.0f);
  std::vector<Tensor> results = run(
      b, inputs(2, 2, {pair(1, 2), pair(3, 4), pair(3, 4), pair(0, 1), pair(16, 9), pair(4, 0)}));
  ASSERT_EQ(results.size(), 4u);
  // The rate is 2 / (1 + 2 * 0.5) = 1.
  expectFloats(results[2], {2}, {25, 25});
  expectFloats(results[3], {2}, {4, 1});
  expectFloats(results[0], {2}, {1 - 3.0 / 6, 2 - 4.0 / 6});
  expectFloats(results[1], {2}, {3, 4 - 1.0 / 2});
}

TEST(ImportTraining, AdamCorrectsYoungAverages) {
  ModelBuilder b = step("Adam", {"X", "G", "V", "H"}, {"X1", "V1", "H1"});
  b.attr("alpha", 0.5f).attr("beta", 0.75f).attr("epsilon", 1.0f);
  b.attr("norm_coefficient_post", 0.5f);
  std::vector<Tensor> lists = {pair(1, 2), pair(4, -2), pair(2, 2), pair(0, 4)};
  std::vector<Tensor> old = run(b, inputs(0.5, 0, lists)), young = run(b, inputs(0.5, 2, lists));
  for (const std::vector<Tensor> &results : {old, young}) {
    expectFloats(results.at(1), {2}, {3, 0});
    expectFloats(results.at(2), {2}, {4, 4});
  }
  expectFloats(old[0], {2}, {0.5 * (1 - 0.5 * 3 / 3), 1});
  double rate = 0.5 * std::sqrt(1 - 0.75 * 0.75) / (1 - 0.25);
  expectFloats(young[0], {2}, {0.5 * (1 - rate * 3 / 3), 1});
}

TEST(ImportTraining, ListsThatDoNotFit) {
  ModelBuilder b = step("Momentum", {"X", "G", "V", "W"}, {"X1"});
  b.attr("alpha", 0.5f).attr("beta", 0.25f).attr("norm_coefficient", 0.f).attr("mode", "standard");
  expectError(b, StatusCode::InvalidModel, {"has 6 inputs, expected 2 and 3 for each variable"});
  ModelBuilder outputs = step("Adagrad", {"X", "G", "H"}, {"X1", "H1", "Z"});
  expectError(outputs, StatusCode::InvalidModel, {"has 3 outputs, expected 2 for each of 1"});
  expectError(step("Gradient", {"X"}, {"Y"}), StatusCode::Unsupported,
              {"ai.onnx.preview.training.Gradient", "gradients of graphs are not computed"});
}
