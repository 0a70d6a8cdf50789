//===- WriteModelTest.cpp - what is written -------------------------------===//
#include "api/quantize/Calibrate.h"
#include "api/quantize/FoldNorms.h"
#include "api/quantize/RaiseOpset.h"
#include "tests/quantize/Models.h"

using namespace quern;
using namespace quern::quantization;
using namespace quern::quantization::test;

namespace {
/// A model that was quantized, all of its layers, and its float form.
struct Written {
  EditableModel before = {}, after = {};
  std::vector<Layer> layers = {};
};
} // namespace

static Written write(const ModelBuilder &builder, WriteOptions options,
                     const std::vector<Sample> &samples) {
  Written written{.before = edit(builder)};
  EXPECT_TRUE(raiseOpset(written.before, opsetOf(options.mode)).isOk());
  EXPECT_TRUE(foldNorms(written.before).isOk());
  written.layers = findLayers(written.before, options.mode, {}).take();
  std::vector<bool> all(written.layers.size(), true);
  written.after = written.before;
  Status status;
  if (options.mode == Mode::Static) {
    auto calibration =
        calibrate(written.before, written.layers, samples, RangeMethod::MinMax, 99.9,
                  {.compile = {.backend = Backend::Interpreter}, .sizes = {}, .name = "model"});
    EXPECT_TRUE(calibration) << calibration.status().message();
    status = writeStatic(written.after, written.layers, all, *calibration, options);
  } else if (options.mode == Mode::Dynamic) {
    status = writeDynamic(written.after, written.layers, all, options);
  } else {
    status = writeWeights(written.after, written.layers, all, options);
  }
  EXPECT_TRUE(status.isOk()) << status.message();
  return written;
}

/// How far the outputs are apart, by the largest magnitude; of both backends the worse.
static double errorOf(const Written &written, const Tensor &input) {
  std::string bytes = written.after.serialize().take();
  Tensor wanted = runModel(written.before.serialize().take(), {input})[0];
  double magnitude = 0, error = 0;
  for (float x : wanted.elementsAs<float>())
    magnitude = std::max<double>(magnitude, std::abs(x));
  for (Backend backend : {Backend::Interpreter, Backend::Native})
    error = std::max(error, largestDifference(wanted, runModel(bytes, {input}, backend)[0]));
  return error / magnitude;
}

static std::vector<Sample> samplesOf(const Tensor::Dims &dims) {
  std::vector<Sample> samples;
  for (uint64_t seed = 1; seed <= 6; ++seed)
    samples.push_back({randomFloats(dims, seed)});
  return samples;
}

TEST(WriteStaticTest, ResidualNetwork) {
  for (bool perChannel : {true, false})
    for (DType activations : {DType::UInt8, DType::Int8}) {
      Written written =
          write(residualNetwork(), {.perChannel = perChannel, .activations = activations},
                samplesOf({2, 3, 8, 8}));
      EXPECT_LT(errorOf(written, randomFloats({2, 3, 8, 8}, 9)), perChannel ? 0.02 : 0.04);
      // Saturation does what both ReLUs did; each value is quantized once.
      EXPECT_EQ(countOps(written.after, "Relu"), 0);
      EXPECT_EQ(countOps(written.after, "QuantizeLinear"), 7);
      EXPECT_EQ(countOps(written.after, "DequantizeLinear"), 7 + 2 * 3);
    }
}

TEST(WriteStaticTest, LayersReadWhatIntegersStandFor) {
  Written written = write(residualNetwork(), {}, samplesOf({2, 3, 8, 8}));
  const EditableModel &model = written.after;
  const proto::NodeProto &conv = makerOf(model, "b_norm_float");
  EXPECT_EQ(conv.op_type(), "Conv");
  for (const std::string &operand : conv.input())
    EXPECT_EQ(makerOf(model, operand).op_type(), "DequantizeLinear");
  const proto::NodeProto &weights = makerOf(model, conv.input(1)),
                         &bias = makerOf(model, conv.input(2));
  EXPECT_EQ(model.constantValue(weights.input(0))->dtype(), DType::Int8);
  EXPECT_EQ(intAttribute(weights, "axis", -1), 0);
  EXPECT_EQ(model.constantValue(bias.input(0))->dtype(), DType::Int32);
  // The scale of a bias is that of the sums.
  Tensor scale = model.constantValue(bias.input(1)).take(),
         weightScale = model.constantValue(weights.input(1)).take(),
         inputScale = model.constantValue(makerOf(model, conv.input(0)).input(1)).take();
  EXPECT_EQ(scale.dims(), weightScale.dims());
  for (int64_t c = 0; c < scale.numElements(); ++c)
    EXPECT_FLOAT_EQ(scale.data<float>()[c],
                    weightScale.data<float>()[c] * *inputScale.data<float>());
}

TEST(WriteStaticTest, MovedValuesKeepTheirNumbers) {
  Written written = write(residualNetwork(), {}, samplesOf({2, 3, 8, 8}));
  const proto::NodeProto &before = makerOf(written.after, "sum_relu_quantized"),
                         &after = makerOf(written.after, "pool_quantized");
  EXPECT_EQ(before.input(1), after.input(1));
  EXPECT_EQ(before.input(2), after.input(2));
}

TEST(WriteStaticTest, PerceptronAndAttention) {
  Written small = write(perceptron(), {}, samplesOf({4, 16}));
  EXPECT_LT(errorOf(small, randomFloats({3, 16}, 9)), 0.03);
  Written block = write(attentionBlock(), {}, samplesOf({1, 6, 32}));
  EXPECT_LT(errorOf(block, randomFloats({1, 6, 32}, 9)), 0.03);
  // What is no layer reads the values themselves.
  EXPECT_EQ(makerOf(block.after, "h").input(0), "x");
}

TEST(WriteStaticTest, ClipIsSaturationOnlyWhereItIs) {
  for (float high : {6.0f, 0.25f}) {
    ModelBuilder m(13);
    m.input("x", {1, 2, 4, 4}).output("y");
    m.initializer("w", randomFloats({2, 2, 1, 1}, 1));
    m.initializer("low", Tensor::of<float>({}, {-0.1f}));
    m.initializer("high", Tensor::of<float>({}, {high}));
    m.node("Conv", {"x", "w"}, {"c"});
    m.node("Clip", {"c", high > 1 ? "" : "low", "high"}, {"y"});
    Written written = write(m, {}, samplesOf({1, 2, 4, 4}));
    // Nothing comes near 6, so the range ends below it; all numbers are used below 0.25.
    EXPECT_EQ(countOps(written.after, "Clip"), 0) << high;
    EXPECT_LT(errorOf(written, randomFloats({1, 2, 4, 4}, 2)), 0.02);
  }
  ModelBuilder m(13);
  m.input("x", {1, 2, 4, 4}).output("y");
  m.initializer("w", Tensor::of<float>({2, 2, 1, 1}, {1, 0, 0, 1}));
  m.initializer("low", Tensor::of<float>({}, {0.5f}));
  m.node("Conv", {"x", "w"}, {"c"});
  m.node("Clip", {"c", "low"}, {"y"});
  // The range has 0 in it, which Clip has not.
  EXPECT_EQ(countOps(write(m, {}, samplesOf({1, 2, 4, 4})).after, "Clip"), 1);
}

TEST(WriteStaticTest, BiasesTooLargeForSmallScalesGetLargerOnes) {
  ModelBuilder m(13);
  m.input("x", {1, 1, 2, 2}).output("y");
  m.initializer("w", Tensor::of<float>({2, 1, 1, 1}, {1e-7f, 0.5f}));
  m.initializer("b", Tensor::of<float>({2}, {1000, 1}));
  m.node("Conv", {"x", "w", "b"}, {"y"});
  Written written = write(m, {}, samplesOf({1, 1, 2, 2}));
  EXPECT_LT(errorOf(written, randomFloats({1, 1, 2, 2}, 9)), 0.01);
}

TEST(WriteStaticTest, GroupsAndDepthwise) {
  for (int64_t group : {2, 4}) {
    ModelBuilder m(13);
    m.input("x", {1, 4, 6, 6}).output("y");
    m.initializer("w", randomFloats({8, 4 / group, 3, 3}, 1, 0.4f));
    m.node("Conv", {"x", "w"}, {"y"}).attr("group", group);
    EXPECT_LT(errorOf(write(m, {}, samplesOf({1, 4, 6, 6})), randomFloats({1, 4, 6, 6}, 3)), 0.02);
  }
}

TEST(WriteStaticTest, NumbersThatAreNoneKeepALayerInFloat) {
  ModelBuilder m(13);
  m.input("x", {1, 16}).output("y");
  m.initializer("w", randomFloats({16, 4}, 1));
  m.node("MatMul", {"x", "w"}, {"y"});
  EditableModel model = edit(m);
  std::vector<Layer> layers = findLayers(model, Mode::Static, {}).take();
  std::vector<Sample> samples = samplesOf({1, 16});
  samples[0][0].asTensor()->mutableData<float>()[3] = INFINITY;
  ASSERT_TRUE(
      calibrate(model, layers, samples, RangeMethod::MinMax, 99.9,
                {.compile = {.backend = Backend::Interpreter}, .sizes = {}, .name = "model"}));
  EXPECT_EQ(layers[0].refusal, "its values are not all finite");
}

TEST(WriteDynamicTest, Products) {
  for (bool perChannel : {true, false}) {
    WriteOptions options{.mode = Mode::Dynamic, .perChannel = perChannel};
    Written small = write(perceptron(), options, {});
    EXPECT_LT(errorOf(small, randomFloats({3, 16}, 9)), 0.03);
    EXPECT_EQ(countOps(small.after, "MatMulInteger"), 2);
    Written block = write(attentionBlock(), options, {});
    EXPECT_LT(errorOf(block, randomFloats({1, 6, 32}, 9)), 0.03);
    // Three products read x, which is quantized once.
    EXPECT_EQ(countOps(block.after, "DynamicQuantizeLinear"), 4);
    EXPECT_EQ(countOps(block.after, "MatMulInteger"), 6);
  }
}

TEST(WriteDynamicTest, GemmWithAllItHas) {
  ModelBuilder m(13);
  m.input("x", {3, 8}).output("y");
  m.initializer("w", randomFloats({5, 8}, 1));
  m.initializer("c", randomFloats({3, 5}, 2));
  m.node("Gemm", {"x", "w", "c"}, {"y"})
      .attr("transB", int64_t{1})
      .attr("alpha", 0.5f)
      .attr("beta", -2.0f);
  for (Mode mode : {Mode::Static, Mode::Dynamic, Mode::WeightsInt8})
    EXPECT_LT(errorOf(write(m, {.mode = mode}, samplesOf({3, 8})), randomFloats({3, 8}, 9)), 0.02);
  EXPECT_LT(
      errorOf(write(m, {.mode = Mode::WeightsInt4, .blockSize = 16}, {}), randomFloats({3, 8}, 9)),
      0.1);
}

TEST(WriteWeightsTest, Int8AndInt4) {
  for (const ModelBuilder &model : {residualNetwork(), perceptron(), attentionBlock()}) {
    Tensor::Dims dims = {2};
    for (const auto &dim : model.model.graph().input(0).type().tensor_type().shape().dim())
      if (dim.has_dim_value())
        dims.push_back(dim.dim_value());
    Written small = write(model, {.mode = Mode::WeightsInt8}, {});
    EXPECT_LT(errorOf(small, randomFloats(dims, 9)), 0.02);
    EXPECT_EQ(countOps(small.after, "DequantizeLinear"), int64_t(small.layers.size()));
  }
  Written blocks = write(attentionBlock(), {.mode = Mode::WeightsInt4, .blockSize = 16}, {});
  EXPECT_LT(errorOf(blocks, randomFloats({1, 6, 32}, 9)), 0.15);
  EXPECT_EQ(blocks.after.opset(), 21);
  EXPECT_EQ(intAttribute(makerOf(blocks.after, "up_node_weights_dequantized"), "block_size", 0),
            16);
}
