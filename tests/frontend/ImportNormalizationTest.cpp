//===- ImportNormalizationTest.cpp - normalizations made of other ops -----===//
#include "tests/frontend/RunModel.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

static constexpr StatusCode kInvalid = StatusCode::InvalidModel;
static constexpr StatusCode kUnsupported = StatusCode::Unsupported;

static Tensor floats(const Tensor::Dims &dims, const std::vector<float> &values) {
  return Tensor::of<float>(dims, values);
}

/// Two rows of mean 2 and 4, deviation 1 and 2.
static Tensor twoRows() { return floats({2, 2}, {1, 3, 2, 6}); }

/// op(x) with scale [2, 3] and bias [1, 10], epsilon 0.
static ModelBuilder withScaleAndBias(const std::string &op, const std::vector<int64_t> &dims,
                                     const std::vector<std::string> &outputs = {"y"}) {
  ModelBuilder b(17);
  b.input("x", dims);
  b.initializer("scale", floats({2}, {2, 3}));
  b.initializer("bias", floats({2}, {1, 10}));
  b.node(op, {"x", "scale", "bias"}, outputs).attr("epsilon", 0.0f);
  for (const std::string &output : outputs)
    b.output(output);
  return b;
}

TEST(ImportLayerNormalization, ScalesAndShiftsEachRow) {
  auto y = run(withScaleAndBias("LayerNormalization", {2, 2}), {twoRows()});
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {2, 2}, {-1, 13, -1, 13});
}

// ONNX Runtime's optimizers write the op into models of older opsets.
TEST(ImportLayerNormalization, IsKnownInOldOpsets) {
  for (int64_t opset : {11, 16}) {
    ModelBuilder b = withScaleAndBias("LayerNormalization", {2, 2});
    b.model.mutable_opset_import(0)->set_version(opset);
    auto y = run(b, {twoRows()});
    ASSERT_EQ(y.size(), 1u) << opset;
    expectFloats(y[0], {2, 2}, {-1, 13, -1, 13});
  }
}

TEST(ImportLayerNormalization, GivesMeanAndInverseDeviation) {
  auto y =
      run(withScaleAndBias("LayerNormalization", {2, 2}, {"y", "mean", "inverse"}), {twoRows()});
  ASSERT_EQ(y.size(), 3u);
  expectFloats(y[1], {2, 1}, {2, 4});
  expectFloats(y[2], {2, 1}, {1, 0.5});
  auto without = withScaleAndBias("LayerNormalization", {2, 2}, {"y", "", "inverse"});
  without.graph().mutable_output()->DeleteSubrange(1, 1);
  auto inverse = run(without, {twoRows()});
  ASSERT_EQ(inverse.size(), 2u);
  expectFloats(inverse[1], {2, 1}, {1, 0.5});
}

TEST(ImportLayerNormalization, AxisFromEitherEndTakesAllAfterIt) {
  Tensor x = floats({2, 2, 2}, {1, 1, 3, 3, 2, 2, 6, 6});
  for (int64_t axis : {int64_t{1}, int64_t{-2}}) {
    ModelBuilder b(17);
    b.input("x", {2, 2, 2}).input("scale", {2, 2}).output("y").output("mean");
    b.node("LayerNormalization", {"x", "scale"}, {"y", "mean"});
    b.attr("axis", axis).attr("epsilon", 3.0f);
    auto y = run(b, {x, floats({2, 2}, {1, 2, 3, 4})});
    ASSERT_EQ(y.size(), 2u);
    double wide = 2 / std::sqrt(7.0);
    expectFloats(y[0], {2, 2, 2}, {-0.5, -1, 1.5, 2, -wide, -2 * wide, 3 * wide, 4 * wide});
    expectFloats(y[1], {2, 1, 1}, {2, 4});
  }
  ModelBuilder all(17);
  all.input("x", {2, 2}).input("scale", {}).output("y").output("mean");
  all.node("LayerNormalization", {"x", "scale"}, {"y", "mean"}).attr("axis", int64_t{0});
  auto y = run(all, {floats({2, 2}, {1, 3, 1, 3}), floats({}, {2})});
  ASSERT_EQ(y.size(), 2u);
  double one = 2 / std::sqrt(1 + 1e-5);
  expectFloats(y[0], {2, 2}, {-one, one, -one, one});
  expectFloats(y[1], {1, 1}, {2});
}

TEST(ImportLayerNormalization, HalfTypesAreComputedInFloat32) {
  ModelBuilder b(17);
  b.input("x", {1, 2}, DType::Float16).input("scale", {2}, DType::Float16);
  b.output("y").output("mean");
  b.node("LayerNormalization", {"x", "scale"}, {"y", "mean"}).attr("epsilon", 0.0f);
  // The mean, 2049, is no float16.
  Tensor x = Tensor::of<Float16>({1, 2}, {Float16(2048.0f), Float16(2050.0f)});
  auto y = run(b, {x, Tensor::of<Float16>({2}, {Float16(1.0f), Float16(3.0f)})});
  ASSERT_EQ(y.size(), 2u);
  EXPECT_EQ(y[0].dtype(), DType::Float16);
  expectFloats(y[0], {1, 2}, {-1, 3});
  EXPECT_EQ(y[1].dtype(), DType::Float32);
  expectFloats(y[1], {1, 1}, {2049});
  b.attr("stash_type", static_cast<int64_t>(DType::BFloat16));
  EXPECT_EQ(Imported(b).outputType(1), "tensor<1x1xbf16>");
}

TEST(ImportLayerNormalization, SizesAndRankMayBeOpen) {
  auto open = withScaleAndBias("LayerNormalization", {-1, -2}, {"y", "mean", "inverse"});
  auto y = run(open, {twoRows()});
  ASSERT_EQ(y.size(), 3u);
  expectFloats(y[0], {2, 2}, {-1, 13, -1, 13});
  expectFloats(y[2], {2, 1}, {1, 0.5});
  auto empty = run(open, {floats({0, 2}, {})});
  ASSERT_EQ(empty.size(), 3u);
  expectFloats(empty[0], {0, 2}, {});
  expectFloats(empty[1], {0, 1}, {});
  ModelBuilder unranked(17);
  unranked.unrankedInput("x").input("scale", {2}).output("y").output("mean");
  unranked.node("LayerNormalization", {"x", "scale"}, {"y", "mean"}).attr("epsilon", 0.0f);
  auto z = run(unranked, {twoRows(), floats({2}, {1, 1})});
  ASSERT_EQ(z.size(), 2u);
  expectFloats(z[0], {2, 2}, {-1, 1, -1, 1});
  expectFloats(z[1], {2, 1}, {2, 4});
  expectError(unranked.attr("axis", int64_t{1}), kUnsupported,
              {"'y_node' (LayerNormalization, opset 17)", "unknown rank"});
}

TEST(ImportLayerNormalization, RefusesByName) {
  auto axis = withScaleAndBias("LayerNormalization", {2, 2});
  expectError(axis.attr("axis", int64_t{2}), kInvalid, {"'y_node'", "axis 2 is outside [-2, 2)"});
  auto stash = withScaleAndBias("LayerNormalization", {2, 2});
  expectError(stash.attr("stash_type", int64_t{7}), kUnsupported, {"'stash_type' = 7"});
  expectError(withScaleAndBias("LayerNormalization", {2, 1}), kInvalid,
              {"input 1 does not broadcast to the shape of input 0"});
  ModelBuilder integers(17);
  integers.input("x", {2, 2}, DType::Int32).input("scale", {2}).output("y");
  integers.node("LayerNormalization", {"x", "scale"}, {"y"});
  expectError(integers, kInvalid, {"input 0 must hold floats, found int32"});
}

TEST(ImportRmsNormalization, DividesByTheRootOfTheMeanSquare) {
  for (int64_t columns : {2, -1}) {
    ModelBuilder b(23);
    b.input("x", {1, columns}).output("y");
    b.initializer("scale", floats({2}, {5, 10}));
    b.node("RMSNormalization", {"x", "scale"}, {"y"}).attr("epsilon", 11.0f);
    // The mean square is 25.
    auto y = run(b, {floats({1, 2}, {1, 7})});
    ASSERT_EQ(y.size(), 1u);
    expectFloats(y[0], {1, 2}, {5.0 / 6, 70.0 / 6});
  }
}

TEST(ImportRmsNormalization, HasTheTypeOfItsScale) {
  ModelBuilder b(17);
  b.input("x", {1, 2}, DType::Float16).input("scale", {2}).output("y").output("inverse");
  b.node("SimplifiedLayerNormalization", {"x", "scale"}, {"y", "inverse"}).attr("epsilon", 0.0f);
  auto y =
      run(b, {Tensor::of<Float16>({1, 2}, {Float16(1.0f), Float16(7.0f)}), floats({2}, {5, 10})});
  ASSERT_EQ(y.size(), 2u);
  EXPECT_EQ(y[0].dtype(), DType::Float32);
  expectFloats(y[0], {1, 2}, {1, 14});
  expectFloats(y[1], {1, 1}, {0.2});
}

TEST(ImportSkipLayerNormalization, NormalizesTheSum) {
  ModelBuilder b(17);
  b.input("x", {1, 1, 2}).input("skip", {1, 2}).output("y").output("m").output("i").output("sum");
  b.initializer("gamma", floats({2}, {2, 3}));
  b.initializer("beta", floats({2}, {1, 10}));
  b.initializer("bias", floats({2}, {1, 1}));
  b.node("SkipLayerNormalization", {"x", "skip", "gamma", "beta", "bias"}, {"y", "m", "i", "sum"});
  b.domain("com.microsoft").attr("epsilon", 0.0f);
  auto y = run(b, {floats({1, 1, 2}, {1, 2}), floats({1, 2}, {0, 1})});
  ASSERT_EQ(y.size(), 4u);
  expectFloats(y[0], {1, 1, 2}, {-1, 13});
  expectFloats(y[1], {1, 1, 1}, {3});
  expectFloats(y[2], {1, 1, 1}, {1});
  expectFloats(y[3], {1, 1, 2}, {2, 4});
}

TEST(ImportSkipLayerNormalization, Simplified) {
  ModelBuilder b(17);
  b.input("x", {1, 2}).input("skip", {1, 2}).output("y").output("i").output("sum");
  b.initializer("gamma", floats({2}, {5, 10}));
  b.initializer("bias", floats({2}, {1, 1}));
  b.node("SkipSimplifiedLayerNormalization", {"x", "skip", "gamma", "bias"}, {"y", "", "i", "sum"});
  b.domain("com.microsoft");
  auto y = run(b, {floats({1, 2}, {0, 3}), floats({1, 2}, {0, 3})});
  ASSERT_EQ(y.size(), 3u);
  expectFloats(y[0], {1, 2}, {1, 14});
  expectFloats(y[1], {1, 1}, {0.2});
  expectFloats(y[2], {1, 2}, {1, 7});
  b.graph().mutable_node(0)->set_output(1, "mean");
  expectError(b, kUnsupported,
              {"'y_node' (SkipSimplifiedLayerNormalization", "output 1, the mean"});
}

/// Four channels in two groups, of mean 2 and 4 and deviation 1 and 2.
static ModelBuilder groups(int64_t opset, const std::vector<int64_t> &dims,
                           const std::vector<float> &scale, const std::vector<float> &bias) {
  auto size = static_cast<int64_t>(scale.size());
  ModelBuilder b(opset);
  b.input("x", dims).output("y");
  b.initializer("scale", floats({size}, scale));
  b.initializer("bias", floats({size}, bias));
  b.node("GroupNormalization", {"x", "scale", "bias"}, {"y"}).attr("epsilon", 0.0f);
  b.attr("num_groups", int64_t{2});
  return b;
}

TEST(ImportGroupNormalization, ParametersOfGroupsThenOfChannels) {
  for (const std::vector<int64_t> &dims : {std::vector<int64_t>{1, 4}, {-1, 4}, {-1, -2}}) {
    Tensor x = floats({1, 4}, {1, 3, 2, 6});
    auto perGroup = run(groups(18, dims, {1, 2}, {0, 1}), {x});
    ASSERT_EQ(perGroup.size(), 1u);
    expectFloats(perGroup[0], {1, 4}, {-1, 1, -1, 3});
    auto perChannel = run(groups(21, dims, {1, 2, 3, 4}, {0, 0, 1, 1}), {x});
    ASSERT_EQ(perChannel.size(), 1u);
    expectFloats(perChannel[0], {1, 4}, {-1, 2, -2, 5});
  }
  auto planes = run(groups(21, {1, 4, 2, 1}, {1, 2, 3, 4}, {0, 0, 1, 1}),
                    {floats({1, 4, 2, 1}, {1, 1, 3, 3, 2, 2, 6, 6})});
  ASSERT_EQ(planes.size(), 1u);
  expectFloats(planes[0], {1, 4, 2, 1}, {-1, -1, 2, 2, -2, -2, 5, 5});
}

TEST(ImportGroupNormalization, RefusesByName) {
  expectError(groups(18, {1, 3}, {1, 2}, {0, 1}), kInvalid,
              {"'y_node'", "3 channels do not divide into 2 groups"});
  expectError(groups(18, {1, 4}, {1, 2, 3, 4}, {0, 0, 0, 0}), kInvalid,
              {"input 1 must be a vector of 2 elements"});
  expectError(groups(21, {1, 4}, {1, 2}, {0, 1}), kInvalid,
              {"input 1 must be a vector of 4 elements"});
  expectError(groups(18, {4}, {1, 2}, {0, 1}), kInvalid, {"rank 2 or more, found 1"});
  ModelBuilder many(21);
  many.input("x", {-1, -2}).input("s", {-3}).node("GroupNormalization", {"x", "s", "s"}, {"y"});
  many.attr("num_groups", int64_t{1} << 62).output("y");
  expectError(many, StatusCode::ResourceLimit, {"num_groups is 4611686018427387904, the limit is"});
}

TEST(ImportMeanVarianceNormalization, OverChosenAxes) {
  ModelBuilder usual(13);
  usual.input("x", {1, 2, 1, 2}).node("MeanVarianceNormalization", {"x"}, {"y"}).output("y");
  auto y = run(usual, {floats({1, 2, 1, 2}, {1, 3, 2, 6})});
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {1, 2, 1, 2}, {-1, 1, -1, 1});
  ModelBuilder chosen(9);
  chosen.input("x", {2, 2}).node("MeanVarianceNormalization", {"x"}, {"y"}).output("y");
  chosen.attr("axes", std::vector<int64_t>{0});
  auto z = run(chosen, {floats({2, 2}, {1, 6, 3, 2})});
  ASSERT_EQ(z.size(), 1u);
  expectFloats(z[0], {2, 2}, {-1, 1, 1, -1});
}

TEST(ImportLpNormalization, LeavesZerosAsTheyAre) {
  ModelBuilder b(13);
  b.input("x", {2, 2}).node("LpNormalization", {"x"}, {"y"}).output("y");
  auto y = run(b, {floats({2, 2}, {0, 0, 3, 4})});
  ASSERT_EQ(y.size(), 1u);
  expectFloats(y[0], {2, 2}, {0, 0, 0.6, 0.8});
  b.attr("p", int64_t{1}).attr("axis", int64_t{0});
  auto z = run(b, {floats({2, 2}, {0, 1, 0, -3})});
  ASSERT_EQ(z.size(), 1u);
  expectFloats(z[0], {2, 2}, {0, 0.25, 0, -0.75});
  ModelBuilder three(13);
  three.input("x", {2, 2}).node("LpNormalization", {"x"}, {"y"}).output("y");
  expectError(three.attr("p", int64_t{3}), kInvalid, {"attribute 'p': expected 1 or 2, found 3"});
}

//===----------------------------------------------------------------------===//
// Batch normalization in training
//===----------------------------------------------------------------------===//

/// One channel of mean 4 and variance 5; running ones of 10 and 1.
static ModelBuilder trainedNorm(int64_t opset, const std::vector<std::string> &outputs) {
  ModelBuilder b(opset);
  b.input("x", {2, 1, 2});
  b.initializer("one", floats({1}, {1}));
  b.initializer("zero", floats({1}, {0}));
  b.initializer("ten", floats({1}, {10}));
  b.node("BatchNormalization", {"x", "one", "zero", "ten", "one"}, outputs).attr("epsilon", 0.0f);
  for (const std::string &output : outputs)
    b.output(output);
  return b;
}

TEST(ImportBatchNormalization, TrainingNormalizesByTheBatch) {
  Tensor x = floats({2, 1, 2}, {1, 3, 5, 7});
  double d = 1 / std::sqrt(5.0);
  auto y = run(trainedNorm(15, {"y", "m", "v"}).attr("training_mode", int64_t{1}), {x});
  ASSERT_EQ(y.size(), 3u);
  expectFloats(y[0], {2, 1, 2}, {-3 * d, -d, d, 3 * d});
  expectFloats(y[1], {1}, {9.4});
  expectFloats(y[2], {1}, {1.4});
  // Before opset 14 more results ask for it.
  auto old = run(trainedNorm(9, {"y", "m", "v", "bm", "bv"}).attr("momentum", 0.5f), {x});
  ASSERT_EQ(old.size(), 5u);
  expectFloats(old[1], {1}, {7});
  expectFloats(old[2], {1}, {3});
  expectFloats(old[3], {1}, {4});
  expectFloats(old[4], {1}, {5});
  expectError(trainedNorm(15, {"y", "m", "v"}), kInvalid,
              {"running statistics are results of training_mode only"});
}

//===----------------------------------------------------------------------===//
// Batch normalization of features, until opset 8
//===----------------------------------------------------------------------===//

/// x [2, 2, 1, 2] with operands [2, 1, 2]: scale 1, 2, 3, 4, bias 0, mean 1, variance 4.
static ModelBuilder featureNorm(int64_t opset, const std::vector<std::string> &outputs) {
  ModelBuilder b(opset);
  b.input("x", {2, 2, 1, 2});
  b.initializer("scale", floats({2, 1, 2}, {1, 2, 3, 4}));
  b.initializer("bias", floats({2, 1, 2}, {0, 0, 0, 0}));
  b.initializer("mean", floats({2, 1, 2}, {1, 1, 1, 1}));
  b.initializer("variance", floats({2, 1, 2}, {4, 4, 4, 4}));
  b.node("BatchNormalization", {"x", "scale", "bias", "mean", "variance"}, outputs);
  b.attr("epsilon", 0.0f).attr("spatial", int64_t{0});
  for (const std::string &output : outputs)
    b.output(output);
  return b;
}

TEST(ImportBatchNormalization, FeaturesHaveStatisticsOfTheirOwn) {
  Tensor x = floats({2, 2, 1, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  std::vector<double> wanted = {0, 1, 3, 6, 2, 5, 9, 14};
  expectFloats(run(featureNorm(7, {"y"}), {x})[0], {2, 2, 1, 2}, wanted);
  expectFloats(run(featureNorm(6, {"y"}).attr("is_test", int64_t{1}), {x})[0], {2, 2, 1, 2},
               wanted);
  auto trained = run(featureNorm(7, {"y", "m", "v", "bm", "bv"}), {x});
  ASSERT_EQ(trained.size(), 5u);
  expectFloats(trained[0], {2, 2, 1, 2}, {-1, -2, -3, -4, 1, 2, 3, 4});
  expectFloats(trained[1], {2, 1, 2}, {1.2, 1.3, 1.4, 1.5});
  expectFloats(trained[3], {2, 1, 2}, {3, 4, 5, 6});
  expectFloats(trained[4], {2, 1, 2}, {4, 4, 4, 4});
  ModelBuilder newer = featureNorm(9, {"y"});
  expectError(newer, kInvalid, {"scale must have rank 1"});
}
