//===- ImportOldOpsetTest.cpp - ops as they were before opset 7 -----------===//
#include "tests/frontend/Interpret.h"
#include "tests/frontend/RunModel.h"

#include <limits>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

using Ints = std::vector<int64_t>;
static constexpr StatusCode kInvalid = StatusCode::InvalidModel;

static Tensor matrix() { return Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6}); }

/// y = op(a [2, 3], b)
static ModelBuilder binary(const char *op, const Ints &b, int64_t opset = 6) {
  ModelBuilder model(opset);
  model.input("a", {2, 3}).input("b", b).node(op, {"a", "b"}, {"y"}).output("y");
  return model;
}

TEST(ImportOldOpset, BinaryOpsBroadcastAlongAnAxis) {
  ModelBuilder rows = binary("Add", {2});
  rows.attr("broadcast", int64_t{1}).attr("axis", int64_t{0});
  expectRuns<float>(rows, {matrix(), Tensor::of<float>({2}, {10, 20})}, {2, 3},
                    {11, 12, 13, 24, 25, 26});
  ModelBuilder columns = binary("Sub", {3});
  columns.attr("broadcast", int64_t{1});
  Tensor line = Tensor::of<float>({3}, {1, 2, 3});
  expectRuns<float>(columns, {matrix(), line}, {2, 3}, {0, 0, 0, 3, 3, 3});
  columns.attr("axis", int64_t{1});
  expectRuns<float>(columns, {matrix(), line}, {2, 3}, {0, 0, 0, 3, 3, 3});
  ModelBuilder scalar = binary("Pow", {});
  scalar.attr("broadcast", int64_t{1});
  expectRuns<float>(scalar, {matrix(), Tensor::of<float>({}, {2})}, {2, 3}, {1, 4, 9, 16, 25, 36});
  ModelBuilder less = binary("Less", {1, 3});
  less.attr("broadcast", int64_t{1}).attr("axis", int64_t{0});
  EXPECT_EQ(Imported(less).outputType(), "tensor<2x3xi1>");
}

TEST(ImportOldOpset, BroadcastingIsAskedFor) {
  expectRuns<float>(binary("Mul", {2, 3}, 1), {matrix(), matrix()}, {2, 3}, {1, 4, 9, 16, 25, 36});
  expectError(binary("Mul", {3}), kInvalid, {"operands have shapes 2x3 and 3"});
  for (int64_t axis : {int64_t{2}, int64_t{-3}, std::numeric_limits<int64_t>::max(),
                       std::numeric_limits<int64_t>::min()}) {
    ModelBuilder tooFar = binary("Add", {3});
    tooFar.attr("broadcast", int64_t{1}).attr("axis", axis);
    expectError(tooFar, kInvalid, {"a tensor of rank 1 does not fit into one of rank 2 from axis"});
  }
  // It has no such attributes since opset 7.
  ModelBuilder newer = binary("Add", {3}, 7);
  newer.attr("broadcast", int64_t{1});
  expectError(newer, StatusCode::Unsupported, {"attribute 'broadcast' is unknown"});
}

TEST(ImportOldOpset, SlopesOfPReluBelongToChannels) {
  Tensor x = Tensor::of<float>({1, 2, 2}, {-1, 1, -2, 2});
  auto prelu = [](const Ints &slope) {
    ModelBuilder b(6);
    b.input("x", {1, 2, 2}).input("s", slope).node("PRelu", {"x", "s"}, {"y"}).output("y");
    return b;
  };
  expectRuns<float>(prelu({2}), {x, Tensor::of<float>({2}, {3, 5})}, {1, 2, 2}, {-3, 1, -10, 2});
  expectRuns<float>(prelu({1}), {x, Tensor::of<float>({1}, {3})}, {1, 2, 2}, {-3, 1, -6, 2});
}

TEST(ImportOldOpset, HintsAboutMemoryMeanNothing) {
  ModelBuilder b(1);
  b.input("x", {2, 3}).node("Relu", {"x"}, {"y"}).attr("consumed_inputs", Ints{0}).output("y");
  expectRuns<float>(b, {matrix()}, {2, 3}, {1, 2, 3, 4, 5, 6});
  b.model.mutable_opset_import(0)->set_version(6);
  expectError(b, StatusCode::Unsupported, {"attribute 'consumed_inputs' is unknown"});
}

TEST(ImportOldOpset, CastsNameTheirType) {
  ModelBuilder b(5);
  b.input("x", {2, 3}).node("Cast", {"x"}, {"y"}).attr("to", "INT32").output("y");
  expectRuns<int32_t>(b, {matrix()}, {2, 3}, {1, 2, 3, 4, 5, 6});
  ModelBuilder wrong(5);
  wrong.input("x", {2, 3}).node("Cast", {"x"}, {"y"}).attr("to", "INT33").output("y");
  expectError(wrong, kInvalid, {"attribute 'to': unknown type 'INT33'"});
}

TEST(ImportOldOpset, ShapesAreAttributes) {
  ModelBuilder reshape(4);
  reshape.input("x", {2, 3}).node("Reshape", {"x"}, {"y"}).output("y");
  reshape.attr("shape", Ints{3, -1});
  expectRuns<float>(reshape, {matrix()}, {3, 2}, {1, 2, 3, 4, 5, 6});
  ModelBuilder pad(1);
  pad.input("x", {1, 2}).node("Pad", {"x"}, {"y"}).attr("paddings", Ints{0, 1, 0, 0}).output("y");
  expectRuns<float>(pad, {Tensor::of<float>({1, 2}, {1, 2})}, {1, 3}, {0, 1, 2});
  ModelBuilder concat(3);
  concat.input("x", {2, 3}).node("Concat", {"x", "x"}, {"y"}).output("y");
  EXPECT_EQ(Imported(concat).outputType(), "tensor<2x6xf32>"); // along axis 1
  ModelBuilder split(1);
  split.input("x", {2, 3}).ints("s", {1, 2}).node("Split", {"x", "s"}, {"y", "z"}).output("z");
  split.attr("axis", int64_t{1});
  expectRuns<float>(split, {matrix()}, {2, 2}, {2, 3, 5, 6});
}

TEST(ImportOldOpset, TileAlongOneAxis) {
  ModelBuilder b(5);
  b.input("x", {1, 2}).input("n", {1}).input("a", {}).output("y");
  b.node("Tile", {"x", "n", "a"}, {"y"});
  Tensor x = Tensor::of<float>({1, 2}, {1, 2}), n = Tensor::of<float>({1}, {2});
  expectRuns<float>(b, {x, n, Tensor::of<float>({}, {0})}, {2, 2}, {1, 2, 1, 2});
  expectRuns<float>(b, {x, n, Tensor::of<float>({}, {-1})}, {1, 4}, {1, 2, 1, 2});
  expectRunError(b, {x, n, Tensor::of<float>({}, {2})}, "node 'y_node'", "index");
}

TEST(ImportOldOpset, BatchNormalizationSaysThatItIsNotTraining) {
  ModelBuilder b(6);
  b.input("x", {1, 1}).node("BatchNormalization", {"x", "s", "s", "s", "s"}, {"y"}).output("y");
  b.initializer("s", Tensor::of<float>({1}, {1}));
  b.attr("is_test", int64_t{1}).attr("epsilon", 0.0f);
  expectRuns<float>(b, {Tensor::of<float>({1, 1}, {5})}, {1, 1}, {5});
}

TEST(ImportOldOpset, GemmClipSeluAndAveragePool) {
  ModelBuilder gemm(6);
  gemm.input("a", {2, 3}).input("b", {3, 1}).input("c", {1}).output("y");
  gemm.node("Gemm", {"a", "b", "c"}, {"y"}).attr("broadcast", int64_t{1});
  expectRuns<float>(gemm,
                    {matrix(), Tensor::of<float>({3, 1}, {1, 1, 1}), Tensor::of<float>({1}, {1})},
                    {2, 1}, {7, 16});
  ModelBuilder clip(1);
  clip.input("x", {2, 3}).node("Clip", {"x"}, {"y"}).attr("max", 2.0f).output("y");
  expectRuns<float>(clip, {matrix()}, {2, 3}, {1, 2, 2, 2, 2, 2});
  // The default bounds of opsets 6 to 10 are the largest floats.
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kLargest = std::numeric_limits<float>::max();
  Tensor infinities = Tensor::of<float>({2}, {-kInfinity, kInfinity});
  for (int64_t opset : {1, 6, 10}) {
    ModelBuilder open(opset);
    open.input("x", {2}).node("Clip", {"x"}, {"y"}).attr("max", kInfinity).output("y");
    expectRuns<float>(open, {infinities}, {2}, {opset < 6 ? -kInfinity : -kLargest, kInfinity});
  }
  ModelBuilder selu(1);
  selu.input("x", {2, 3}).node("Selu", {"x"}, {"y"}).output("y");
  expectFloats(run(selu, {matrix()}).at(0), {2, 3},
               {1.0507, 2.1014, 3.1521, 4.2028, 5.2535, 6.3042});
  ModelBuilder pool(1);
  pool.input("x", {1, 1, 2, 3}).node("AveragePool", {"x"}, {"y"}).output("y");
  pool.attr("kernel_shape", Ints{2, 3});
  expectRuns<float>(pool, {Tensor::of<float>({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6})}, {1, 1, 1, 1},
                    {3.5});
}

TEST(ImportOldOpset, UpsampleHasTwoFactors) {
  ModelBuilder b(1);
  b.input("x", {1, 1, 1, 2}).node("Upsample", {"x"}, {"y"}).output("y");
  b.attr("height_scale", 2.0f).attr("width_scale", 1.0f).attr("mode", "nearest");
  expectRuns<float>(b, {Tensor::of<float>({1, 1, 1, 2}, {1, 2})}, {1, 1, 2, 2}, {1, 2, 1, 2});
}

//===----------------------------------------------------------------------===//
// Scan of opset 8
//===----------------------------------------------------------------------===//

/// sum, sums = Scan(lengths, first [2, 1], x [2, 3, 1]): running sums of each row of x.
static ModelBuilder scan(bool hasLengths, int64_t direction) {
  ModelBuilder b(8);
  b.input("n", {2}, DType::Int64).input("first", {2, 1}).input("x", {2, 3, 1});
  b.node("Scan", {hasLengths ? "n" : "", "first", "x"}, {"sum", "sums"});
  b.attr("num_scan_inputs", int64_t{1}).attr("directions", Ints{direction});
  b.output("sum").output("sums");
  auto &body = *b.attribute("body", proto::AttributeProto::GRAPH).mutable_g();
  for (const char *name : {"a", "b"})
    body.add_input()->set_name(name);
  for (const char *name : {"c", "d"})
    body.add_output()->set_name(name);
  proto::NodeProto *add = body.add_node(), *copy = body.add_node();
  add->set_op_type("Add");
  add->add_input("a");
  add->add_input("b");
  add->add_output("c");
  copy->set_op_type("Identity");
  copy->add_input("c");
  copy->add_output("d");
  return b;
}

TEST(ImportOldOpset, ScansEachElementOfABatch) {
  std::vector<Tensor> inputs = {Tensor::ofInts({2, 3}), Tensor::of<float>({2, 1}, {10, 20}),
                                Tensor::of<float>({2, 3, 1}, {1, 2, 3, 4, 5, 6})};
  auto expect = [&](const ModelBuilder &b, const std::vector<double> &sum,
                    const std::vector<double> &sums) {
    std::vector<Tensor> outputs = run(b, inputs);
    ASSERT_EQ(outputs.size(), 2u);
    expectFloats(outputs[0], {2, 1}, sum);
    expectFloats(outputs[1], {2, 3, 1}, sums);
  };
  expect(scan(false, 0), {16, 35}, {11, 13, 16, 24, 29, 35});
  expect(scan(false, 1), {16, 35}, {13, 15, 16, 26, 31, 35});
  // Of the first row only two are scanned.
  expect(scan(true, 0), {13, 35}, {11, 13, 0, 24, 29, 35});
  expect(scan(true, 1), {13, 35}, {12, 13, 0, 26, 31, 35});
  ModelBuilder few = scan(false, 0);
  few.graph().mutable_node(0)->mutable_attribute(0)->set_i(3);
  expectError(few, kInvalid, {"'num_scan_inputs' is 3, the node has 2 inputs behind the first"});
}

// What was called experimental, and is in the data of ONNX 1.2 and 1.3.
TEST(ImportOldOpset, ThresholdedReluAndMeanVarianceNormalization) {
  ModelBuilder relu(7);
  relu.input("x", {2, 3}).node("ThresholdedRelu", {"x"}, {"y"}).attr("alpha", 3.0f).output("y");
  expectRuns<float>(relu, {matrix()}, {2, 3}, {0, 0, 0, 4, 5, 6});
  ModelBuilder norm(8);
  norm.input("x", {2, 1, 1, 1}).node("MeanVarianceNormalization", {"x"}, {"y"}).output("y");
  norm.attr("normalize_variance", int64_t{1});
  expectFloats(run(norm, {Tensor::of<float>({2, 1, 1, 1}, {1, 3})}).at(0), {2, 1, 1, 1}, {-1, 1});
  norm.attr("across_channels", int64_t{1});
  expectError(norm, StatusCode::Unsupported, {"'across_channels' = 1"});
}
