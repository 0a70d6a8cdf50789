//===- ImportReductionTest.cpp - reductions made of other ops -------------===//
#include "tests/frontend/Interpret.h"
#include "tests/frontend/RunModel.h"

#include <cmath>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

static ModelBuilder hardmax(int64_t opset, const std::vector<int64_t> &dims) {
  ModelBuilder b(opset);
  b.input("x", dims).node("Hardmax", {"x"}, {"y"}).output("y");
  return b;
}

TEST(ImportHardmax, MarksTheFirstMaximumAlongTheAxis) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 3, 3, 4, 2, 1});
  for (int64_t columns : {3, -1}) {
    auto last = run(hardmax(13, {2, columns}), {x});
    ASSERT_EQ(last.size(), 1u);
    expectFloats(last[0], {2, 3}, {0, 1, 0, 1, 0, 0});
    for (int64_t axis : {0, -2}) {
      auto first = run(hardmax(13, {2, columns}).attr("axis", axis), {x});
      ASSERT_EQ(first.size(), 1u);
      expectFloats(first[0], {2, 3}, {0, 1, 1, 1, 0, 0});
    }
  }
}

TEST(ImportHardmax, TookAllDimensionsFromTheAxisBeforeOpset13) {
  auto y = run(hardmax(11, {2, 2, 2}), {Tensor::of<float>({2, 2, 2}, {1, 5, 7, 2, 3, 3, 3, 3})});
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {2, 2, 2}, {0, 0, 1, 0, 1, 0, 0, 0});
}

TEST(ImportHardmax, RefusesByName) {
  expectError(hardmax(13, {2, 3}).attr("axis", int64_t{2}), StatusCode::InvalidModel,
              {"'y_node' (Hardmax, opset 13)", "axis 2 is outside [-2, 2)"});
  ModelBuilder unranked(13);
  unranked.unrankedInput("x").node("Hardmax", {"x"}, {"y"}).output("y");
  EXPECT_TRUE(Imported(unranked).module) << Imported(unranked).text();
  expectError(unranked.attr("axis", int64_t{1}), StatusCode::Unsupported, {"unknown rank"});
}

static ModelBuilder argOf(const char *op, int64_t opset, bool last) {
  ModelBuilder b(opset);
  b.input("x", {2, 3}).node(op, {"x"}, {"y"}).output("y");
  b.attr("axis", int64_t{1}).attr("keepdims", int64_t{0});
  return last ? b.attr("select_last_index", int64_t{1}) : b;
}

TEST(ImportArg, TheLastOfEqualElementsSinceOpset12) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 3, 3, 2, 2, 4});
  for (int64_t opset : {12, 13, 18}) {
    SCOPED_TRACE(opset);
    expectRuns<int64_t>(argOf("ArgMax", opset, true), {x}, {2}, {2, 2});
    expectRuns<int64_t>(argOf("ArgMin", opset, true), {x}, {2}, {0, 1});
    expectRuns<int64_t>(argOf("ArgMax", opset, false), {x}, {2}, {1, 2});
  }
  expectRuns<int64_t>(argOf("ArgMin", 11, false), {x}, {2}, {0, 0});
  expectError(argOf("ArgMax", 11, true), StatusCode::Unsupported,
              {"attribute 'select_last_index' is unknown"});
}

TEST(ImportReduce, WithoutAxesMayStillTakeSquaresRootsAndLogarithms) {
  const std::vector<std::pair<const char *, std::vector<double>>> wanted = {
      {"ReduceL1", {2, 3}},         {"ReduceL2", {2, 3}},
      {"ReduceSumSquare", {4, 9}},  {"ReduceSum", {-2, 3}},
      {"ReduceLogSumExp", {-2, 3}}, {"ReduceLogSum", {std::nan(""), std::log(3)}}};
  for (const auto &[op, elements] : wanted) {
    SCOPED_TRACE(op);
    // No operand, an empty one, and one that only a run tells to be empty.
    for (const char *axes : {"", "none", "given"}) {
      ModelBuilder b(18);
      b.input("x", {2}).ints("none", {});
      std::vector<Tensor> inputs = {Tensor::of<float>({2}, {-2, 3})};
      if (axes == std::string("given")) {
        b.input("given", {-1}, DType::Int64);
        inputs.push_back(Tensor::of<int64_t>({0}, {}));
      }
      b.node(op, {"x", axes}, {"y"}).attr("noop_with_empty_axes", int64_t{1}).output("y");
      std::vector<Tensor> y = run(b, inputs);
      ASSERT_EQ(y.size(), 1U);
      ASSERT_EQ(y[0].numElements(), 2);
      for (int64_t i = 0; i < 2; ++i)
        if (std::isnan(elements[i]))
          EXPECT_TRUE(std::isnan(y[0].data<float>()[i]));
        else
          EXPECT_NEAR(y[0].data<float>()[i], elements[i], 1e-5);
    }
  }
}
