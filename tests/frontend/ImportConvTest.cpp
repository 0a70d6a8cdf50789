//===- ImportConvTest.cpp - convolution, pooling, normalization, products -===//
#include "tests/frontend/RunModel.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

static constexpr StatusCode kInvalid = StatusCode::InvalidModel;

/// One node on x [1, 4, 7, 7] and w [8, 4, 3, 3].
static ModelBuilder windowModel(const std::string &op, int64_t opset = 13) {
  ModelBuilder b(opset);
  b.input("x", {1, 4, 7, 7}).input("w", {8, 4, 3, 3}).output("y");
  std::vector<std::string> inputs = {"x"};
  if (op.starts_with("Conv"))
    inputs.push_back("w");
  b.node(op, inputs, {"y"});
  return b;
}

using Ints = std::vector<int64_t>;

TEST(ImportConv, Defaults) {
  Imported m(windowModel("Conv"));
  auto conv = m.find<nn::ConvOp>();
  ASSERT_TRUE(conv) << m.text();
  EXPECT_EQ(conv.getStrides(), llvm::ArrayRef<int64_t>({1, 1}));
  EXPECT_EQ(conv.getPads(), llvm::ArrayRef<int64_t>({0, 0, 0, 0}));
  EXPECT_EQ(conv.getGroup(), 1u);
  EXPECT_TRUE(nn::isNone(conv.getBias()));
  EXPECT_EQ(m.outputType(), "tensor<1x8x5x5xf32>");
}

TEST(ImportConv, Attributes) {
  auto b = windowModel("Conv");
  b.attr("strides", Ints{2, 1}).attr("pads", Ints{1, 0, 2, 0}).attr("kernel_shape", Ints{3, 3});
  b.attr("dilations", Ints{1, 2});
  Imported m(b);
  EXPECT_EQ(m.outputType(), "tensor<1x8x4x3xf32>");
}

// Without any shape, a list with an entry per axis tells how many there are.
TEST(ImportConv, AttributesTellTheSpatialAxes) {
  for (const char *name : {"strides", "dilations"}) {
    ModelBuilder b;
    b.unrankedInput("x").unrankedInput("w").node("Conv", {"x", "w"}, {"y"});
    b.attr(name, Ints{2, 1, 1}).output("y");
    Imported m(b);
    ASSERT_TRUE(m.find<nn::ConvOp>()) << name << m.text();
    EXPECT_EQ(m.find<nn::ConvOp>().getPads().size(), 6u) << name;
  }
  ModelBuilder pads;
  pads.unrankedInput("x").unrankedInput("w").node("Conv", {"x", "w"}, {"y"});
  pads.attr("pads", Ints{1, 2}).output("y");
  Imported m(pads);
  ASSERT_TRUE(m.find<nn::ConvOp>()) << m.text();
  EXPECT_EQ(m.find<nn::ConvOp>().getStrides().size(), 1u);
}

TEST(ImportConv, AutoPadIsResolvedForStaticShapes) {
  auto b = windowModel("Conv");
  b.attr("auto_pad", "SAME_UPPER").attr("strides", Ints{2, 3});
  Imported upper(b);
  ASSERT_TRUE(upper.find<nn::ConvOp>()) << upper.text();
  EXPECT_EQ(upper.find<nn::ConvOp>().getAutoPad(), AutoPad::NotSet);
  EXPECT_EQ(upper.find<nn::ConvOp>().getPads(), llvm::ArrayRef<int64_t>({1, 1, 1, 1}));
  EXPECT_EQ(upper.outputType(), "tensor<1x8x4x3xf32>");
  auto odd = windowModel("Conv");
  odd.graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(2)
      ->set_dim_value(8);
  odd.attr("auto_pad", "SAME_LOWER").attr("strides", Ints{2, 1});
  Imported lower(odd);
  ASSERT_TRUE(lower.find<nn::ConvOp>()) << lower.text();
  EXPECT_EQ(lower.find<nn::ConvOp>().getPads(), llvm::ArrayRef<int64_t>({1, 1, 0, 1}));
}

TEST(ImportConv, AutoPadStaysForDynamicShapes) {
  ModelBuilder b;
  b.input("x", {-1, 4, -2, 7}).input("w", {8, 4, 3, 3}).node("Conv", {"x", "w"}, {"y"});
  b.attr("auto_pad", "SAME_UPPER").output("y");
  Imported m(b);
  ASSERT_TRUE(m.find<nn::ConvOp>()) << m.text();
  EXPECT_EQ(m.find<nn::ConvOp>().getAutoPad(), AutoPad::SameUpper);
}

TEST(ImportConv, Errors) {
  auto b = windowModel("Conv");
  b.attr("kernel_shape", Ints{5, 5});
  expectError(b, kInvalid, {"'y_node' (Conv, opset 13)", "kernel_shape 5x5", "3x3"});
  b = windowModel("Conv");
  b.attr("strides", Ints{0, 1});
  expectError(b, kInvalid, {"'strides'", "0 is not in [1, 2^31]"});
  b = windowModel("Conv");
  b.attr("pads", Ints{1, 1});
  expectError(b, kInvalid, {"'pads' has 2 entries, need 4"});
  b = windowModel("Conv");
  b.attr("auto_pad", "SOME");
  expectError(b, kInvalid, {"'auto_pad': unknown value 'SOME'"});
  b = windowModel("Conv");
  b.attr("group", int64_t{3});
  expectError(b, kInvalid, {"(Conv, opset 13)"});
}

TEST(ImportConv, Transpose) {
  ModelBuilder b;
  b.input("x", {1, 4, 5, 5}).input("w", {4, 8, 3, 3}).output("y");
  b.node("ConvTranspose", {"x", "w"}, {"y"}).attr("strides", Ints{2, 2});
  b.attr("output_padding", Ints{1, 1});
  Imported m(b);
  EXPECT_EQ(m.outputType(), "tensor<1x8x12x12xf32>");
}

TEST(ImportPool, MaxPool) {
  auto b = windowModel("MaxPool");
  b.attr("kernel_shape", Ints{2, 2}).attr("strides", Ints{2, 2}).attr("ceil_mode", int64_t{1});
  Imported m(b);
  EXPECT_EQ(m.outputType(), "tensor<1x4x4x4xf32>");
  b.graph().mutable_node(0)->add_output("indices");
  b.output("indices");
  Imported indices(b);
  EXPECT_EQ(indices.count<nn::MaxPoolWithIndicesOp>(), 1) << indices.text();
  EXPECT_EQ(indices.outputType(1), "tensor<1x4x4x4xi64>");
}

TEST(ImportPool, SamePaddingRoundsNoFurther) {
  auto b = windowModel("MaxPool");
  b.attr("kernel_shape", Ints{1, 1}).attr("strides", Ints{4, 4}).attr("ceil_mode", int64_t{1});
  b.attr("auto_pad", "SAME_UPPER");
  EXPECT_EQ(Imported(b).outputType(), "tensor<1x4x2x2xf32>");
}

TEST(ImportPool, SamePaddingWithAStrideOfZero) {
  auto b = windowModel("MaxPool");
  b.attr("kernel_shape", Ints{3, 3}).attr("strides", Ints{2, 0}).attr("auto_pad", "SAME_UPPER");
  expectError(b, kInvalid, {"'strides': 0 is not in [1, 2^31]"});
}

TEST(ImportPool, AverageAndGlobal) {
  auto b = windowModel("AveragePool");
  b.attr("kernel_shape", Ints{3, 3}).attr("count_include_pad", int64_t{1});
  Imported m(b);
  EXPECT_EQ(m.outputType(), "tensor<1x4x5x5xf32>");
  EXPECT_TRUE(m.find<nn::AveragePoolOp>().getCountIncludePad());
  EXPECT_EQ(Imported(windowModel("GlobalAveragePool")).outputType(), "tensor<1x4x1x1xf32>");
  EXPECT_EQ(Imported(windowModel("GlobalMaxPool", 7)).outputType(), "tensor<1x4x1x1xf32>");
  expectError(windowModel("MaxPool"), kInvalid, {"kernel_shape"});
}

TEST(ImportNormalization, AllOpsets) {
  for (int64_t opset : {7, 9, 13, 15}) {
    ModelBuilder b(opset);
    b.input("x", {1, 3, 2}).input("c", {3}).output("y");
    b.node("BatchNormalization", {"x", "c", "c", "c", "c"}, {"y"}).attr("epsilon", 0.5f);
    b.attr("momentum", 0.9f);
    Imported m(b);
    ASSERT_TRUE(m.find<nn::BatchNormOp>()) << m.text();
    EXPECT_EQ(m.find<nn::BatchNormOp>().getEpsilon().convertToDouble(), 0.5);
  }
}

// Attributes are float32: 1e-5 is 9.99999974e-6, which float64 data shows.
TEST(ImportNormalization, DefaultsAreFloat32) {
  ModelBuilder b(9);
  b.input("x", {1, 2, 3}, DType::Float64).input("c", {2}, DType::Float64).output("y");
  b.node("BatchNormalization", {"x", "c", "c", "c", "c"}, {"y"});
  Imported m(b);
  ASSERT_TRUE(m.find<nn::BatchNormOp>()) << m.text();
  EXPECT_EQ(m.find<nn::BatchNormOp>().getEpsilon().convertToDouble(), double{1e-5f});
}

TEST(ImportNormalization, InstanceAndLrn) {
  ModelBuilder b;
  b.input("x", {1, 3, 2}).input("c", {3}).output("y").output("z");
  b.node("InstanceNormalization", {"x", "c", "c"}, {"y"});
  b.node("LRN", {"x"}, {"z"}).attr("size", int64_t{5});
  Imported m(b);
  ASSERT_TRUE(m.find<nn::LrnOp>()) << m.text();
  EXPECT_EQ(m.find<nn::LrnOp>().getBeta().convertToDouble(), 0.75);
  EXPECT_EQ(m.find<nn::LrnOp>().getSize(), 5u);
}

TEST(ImportContraction, GemmAndMatMul) {
  ModelBuilder b;
  b.input("a", {3, 2}).input("b", {4, 3}).input("c", {4}).output("y").output("z");
  b.node("Gemm", {"a", "b", "c"}, {"y"}).attr("transA", int64_t{1}).attr("transB", int64_t{1});
  b.attr("alpha", 0.5f);
  b.node("MatMul", {"b", "a"}, {"z"});
  Imported m(b);
  ASSERT_TRUE(m.find<nn::GemmOp>()) << m.text();
  EXPECT_EQ(m.find<nn::GemmOp>().getAlpha().convertToDouble(), 0.5);
  EXPECT_EQ(m.outputType(0), "tensor<2x4xf32>");
  EXPECT_EQ(m.outputType(1), "tensor<4x2xf32>");
}

TEST(ImportContraction, GemmNeedsCBeforeOpset11) {
  ModelBuilder b(9);
  b.input("a", {3, 2}).input("b", {2, 3}).node("Gemm", {"a", "b"}, {"y"}).output("y");
  expectError(b, kInvalid, {"(Gemm, opset 9)", "input C is required"});
  b.model.mutable_opset_import(0)->set_version(11);
  EXPECT_TRUE(Imported(b).module) << Imported(b).text();
}

TEST(ImportFusedConv, AddsAndEndsWithAnActivation) {
  // The sums of 2x2 windows: -24, -20, -12, -8.
  Tensor x = Tensor::of<float>({1, 1, 3, 3}, {-8, -7, -6, -5, -4, -3, -2, -1, 0});
  auto fused = [](const char *activation) {
    ModelBuilder b(17);
    b.input("x", {1, 1, 3, 3}).output("y");
    b.initializer("w", Tensor::of<float>({1, 1, 2, 2}, {1, 1, 1, 1}));
    b.initializer("b", Tensor::of<float>({1}, {1}));
    b.initializer("z", Tensor::of<float>({1, 1, 2, 2}, {10, 10, 10, 10}));
    b.node("FusedConv", {"x", "w"}, {"y"}).domain("com.microsoft").attr("activation", activation);
    return b;
  };
  auto withParams = [&](const char *activation, std::initializer_list<float> params) {
    ModelBuilder b = fused(activation);
    auto &attribute = b.attribute("activation_params", proto::AttributeProto::FLOATS);
    for (float value : params)
      attribute.add_floats(value);
    return b;
  };
  auto expectResult = [&](const ModelBuilder &model, const std::vector<double> &wanted) {
    auto y = run(model, {x});
    ASSERT_EQ(y.size(), 1u);
    expectFloats(y[0], {1, 1, 2, 2}, wanted);
  };
  expectResult(withParams("LeakyRelu", {0.25f}), {-6, -5, -3, -2});
  expectResult(withParams("Clip", {-13, -10}), {-13, -13, -12, -10});
  ModelBuilder sum = fused("Relu");
  sum.graph().mutable_node(0)->add_input("b");
  sum.graph().mutable_node(0)->add_input("z");
  expectResult(sum, {0, 0, 0, 3});
  expectError(fused("HardSigmoid"), StatusCode::InvalidModel,
              {"'y_node' (FusedConv, opset 1)", "activation 'HardSigmoid' needs 2 parameters"});
}
