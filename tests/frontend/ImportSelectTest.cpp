//===- ImportSelectTest.cpp - ops that choose by position or order --------===//
#include "tests/frontend/Interpret.h"
#include "tests/frontend/ModelBuilder.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
static constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

static Tensor matrix() { return Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6}); }

/// y = Trilu(x, k), where sizes are known or, of `dims` below 0, symbolic.
static ModelBuilder trilu(const Ints &dims, bool upper) {
  ModelBuilder b(14);
  b.input("x", dims).input("k", {}, DType::Int64).node("Trilu", {"x", "k"}, {"y"}).output("y");
  b.attr("upper", int64_t{upper});
  return b;
}

TEST(ImportSelect, TriluKeepsATriangle) {
  auto k = [](int64_t value) { return Tensor::of<int64_t>({}, {value}); };
  for (const Ints &dims : {Ints{2, 3}, Ints{-1, -2}}) {
    ModelBuilder upper = trilu(dims, true), lower = trilu(dims, false);
    expectRuns<float>(upper, {matrix(), k(0)}, {2, 3}, {1, 2, 3, 0, 5, 6});
    expectRuns<float>(upper, {matrix(), k(1)}, {2, 3}, {0, 2, 3, 0, 0, 6});
    expectRuns<float>(upper, {matrix(), k(-1)}, {2, 3}, {1, 2, 3, 4, 5, 6});
    expectRuns<float>(upper, {matrix(), k(kMax)}, {2, 3}, {0, 0, 0, 0, 0, 0});
    expectRuns<float>(upper, {matrix(), k(kMin)}, {2, 3}, {1, 2, 3, 4, 5, 6});
    expectRuns<float>(lower, {matrix(), k(0)}, {2, 3}, {1, 0, 0, 4, 5, 0});
    expectRuns<float>(lower, {matrix(), k(-1)}, {2, 3}, {0, 0, 0, 4, 0, 0});
    expectRuns<float>(lower, {matrix(), k(kMax)}, {2, 3}, {1, 2, 3, 4, 5, 6});
  }
  // Every matrix of a batch; of any type; without k.
  ModelBuilder batch(14);
  batch.input("x", {2, 2, 2}, DType::Bool).node("Trilu", {"x"}, {"y"}).output("y");
  std::vector<bool> trues(8, true);
  auto outputs = runModel(batch, {Tensor::of<bool>({2, 2, 2}, trues)});
  ASSERT_TRUE(outputs) << outputs.status().message();
  std::vector<bool> wanted = {true, true, false, true, true, true, false, true};
  EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), outputs->front().data<bool>()));
  ModelBuilder vector(14);
  vector.input("x", {2}).node("Trilu", {"x"}, {"y"}).output("y");
  expectError(vector, kInvalid, {"the input must have rank 2 or more, found 1"});
}

TEST(ImportSelect, EyeLikeHasADiagonal) {
  ModelBuilder b(9);
  b.input("x", {2, 3}).node("EyeLike", {"x"}, {"y"}).output("y");
  expectRuns<float>(b, {matrix()}, {2, 3}, {1, 0, 0, 0, 1, 0});
  b.attr("k", int64_t{1}).attr("dtype", int64_t{static_cast<int64_t>(DType::Int32)});
  expectRuns<int32_t>(b, {matrix()}, {2, 3}, {0, 1, 0, 0, 0, 1});
  ModelBuilder below(9);
  below.input("x", {-1, -1}).node("EyeLike", {"x"}, {"y"}).output("y");
  below.attr("k", int64_t{-1});
  Tensor square = Tensor::of<float>({2, 2}, {7, 7, 7, 7});
  expectRuns<float>(below, {square}, {2, 2}, {0, 0, 1, 0});
  ModelBuilder vector(9);
  vector.input("x", {2}).node("EyeLike", {"x"}, {"y"}).output("y");
  expectError(vector, kInvalid, {"the input must have rank 2, found 1"});
}

/// y = OneHot(i [2], depth 3, values [off, on]).
static ModelBuilder oneHot(std::optional<int64_t> axis, DType indices = DType::Int64,
                           const Tensor &depth = Tensor::of<int32_t>({1}, {3})) {
  ModelBuilder b(11);
  b.input("i", {2}, indices).output("y");
  b.initializer("d", depth);
  b.initializer("v", Tensor::of<int32_t>({2}, {5, 9}));
  b.node("OneHot", {"i", "d", "v"}, {"y"});
  if (axis)
    b.attr("axis", *axis);
  return b;
}

TEST(ImportSelect, OneHotMarksAClass) {
  Tensor indices = Tensor::ofInts({2, -3});
  expectRuns<int32_t>(oneHot({}), {indices}, {2, 3}, {5, 5, 9, 9, 5, 5});
  expectRuns<int32_t>(oneHot(1), {indices}, {2, 3}, {5, 5, 9, 9, 5, 5});
  expectRuns<int32_t>(oneHot(0), {indices}, {3, 2}, {5, 9, 5, 5, 9, 5});
  expectRuns<int32_t>(oneHot(-2), {indices}, {3, 2}, {5, 9, 5, 5, 9, 5});
  EXPECT_EQ(Imported(oneHot(0)).outputType(), "tensor<3x2xi32>");
  // What is out of range is of no class.
  expectRuns<int32_t>(oneHot({}), {Tensor::ofInts({3, -4})}, {2, 3}, {5, 5, 5, 5, 5, 5});
  expectRuns<int32_t>(oneHot({}, DType::Float32, Tensor::of<float>({}, {3})),
                      {Tensor::of<float>({2}, {1, -1})}, {2, 3}, {5, 9, 5, 5, 5, 9});
  expectError(oneHot(2), kInvalid, {"axis 2 is not in [-2, 1]"});
  auto values = oneHot({});
  values.graph().clear_initializer();
  values.initializer("d", Tensor::of<float>({1}, {3}));
  values.initializer("v", Tensor::of<int32_t>({3}, {5, 9, 1}));
  expectError(values, kInvalid, {"values must have 2 elements, found 3"});
}

TEST(ImportSelect, TopKOverOpsets) {
  ModelBuilder v1(9);
  v1.input("x", {2, 3}).node("TopK", {"x"}, {"y", "z"}).attr("k", int64_t{2}).output("y");
  v1.output("z");
  EXPECT_EQ(Imported(v1).outputType(0), "tensor<2x2xf32>");
  EXPECT_EQ(Imported(v1).outputType(1), "tensor<2x2xi64>");
  ModelBuilder v11(11);
  v11.input("x", {2, 3}).ints("k", {1}).output("y");
  v11.node("TopK", {"x", "k"}, {"y", "z"}).attr("largest", int64_t{0}).attr("sorted", int64_t{0});
  expectRuns<float>(v11, {matrix()}, {2, 1}, {1, 4});
  v11.attr("axis", int64_t{0});
  expectRuns<float>(v11, {matrix()}, {1, 3}, {1, 2, 3});
  v11.model.mutable_opset_import(0)->set_version(10);
  expectError(v11, StatusCode::Unsupported, {"TopK, opset 10"});
  ModelBuilder many(11);
  many.input("x", {2, 3}).input("k", {1}, DType::Int64).output("y");
  many.node("TopK", {"x", "k"}, {"y", "z"});
  expectRunError(many, {matrix(), Tensor::ofInts({4})}, "node 'y_node' (nn.topk)",
                 "k is 4, but there are 3 elements along the axis");
}

TEST(ImportSelect, CumSumWithAnyAxis) {
  ModelBuilder b(11);
  b.input("x", {2, 3}).input("a", {}, DType::Int32).output("y");
  b.node("CumSum", {"x", "a"}, {"y"}).attr("exclusive", int64_t{1}).attr("reverse", int64_t{1});
  expectRuns<float>(b, {matrix(), Tensor::of<int32_t>({}, {-1})}, {2, 3}, {5, 3, 0, 11, 6, 0});
  expectRunError(b, {matrix(), Tensor::of<int32_t>({}, {2})}, "node 'y_node' (nn.cumulate)",
                 "axis 2 is out of range for rank 2");
}
