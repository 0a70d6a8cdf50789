//===- QuantizeModelTest.cpp - quern::quantize, whole ---------------------===//
#include "quern/Quantize.h"

#include "quern/Progress.h"
#include "tests/quantize/Models.h"

#include <cmath>

using namespace quern;
using namespace quern::quantization;
using namespace quern::quantization::test;

/// Native code is compiled for each candidate, which takes longer than these models are worth.
static const CompileOptions kCompile = {.backend = Backend::Interpreter};

static std::vector<std::vector<AnyValue>> samplesOf(const Tensor::Dims &dims, uint64_t count = 8) {
  std::vector<std::vector<AnyValue>> samples;
  for (uint64_t seed = 1; seed <= count; ++seed)
    samples.push_back({randomFloats(dims, seed)});
  return samples;
}

/// The result, or a failure of the test.
static Quantization quantizeModel(const ModelBuilder &model, QuantizeOptions options,
                                  const std::vector<std::vector<AnyValue>> &samples) {
  options.seconds = 0;
  std::string bytes = model.bytes();
  auto result = quantize(asModel(bytes), samples, options, kCompile);
  EXPECT_TRUE(result) << result.status().message();
  return result ? result.take() : Quantization();
}

static Status refusalOf(const ModelBuilder &model, const QuantizeOptions &options,
                        const std::vector<std::vector<AnyValue>> &samples) {
  std::string bytes = model.bytes();
  return quantize(asModel(bytes), samples, options, kCompile).status();
}

TEST(QuantizeTest, AllModesGiveModelsWithinTheBound) {
  for (const char *mode : {"static", "dynamic", "weights-int8", "weights-int4", "float16"})
    for (double bound : {0.05, 0.3}) {
      Quantization found =
          quantizeModel(attentionBlock(), {.mode = mode, .maxError = bound}, samplesOf({1, 6, 32}));
      EXPECT_TRUE(found.accuracy().isOk()) << mode << ": " << found.accuracy().message();
      EXPECT_EQ(found.layers.size(), 6u);
      EXPECT_GT(found.quantizedLayers(), 0) << mode;
      EXPECT_LT(found.bytesAfter, found.bytesBefore) << mode;
      EXPECT_EQ(found.calibrated, 6);
      EXPECT_EQ(found.heldBack, 2);
      // What was measured is what the model does.
      Tensor input = randomFloats({1, 6, 32}, 4);
      Tensor wanted = runModel(attentionBlock().bytes(), {input})[0];
      for (Backend backend : {Backend::Native, Backend::Interpreter})
        EXPECT_LE(largestDifference(wanted, runModel(found.model, {input}, backend)[0]),
                  found.outputs[0].magnitude * bound);
    }
}

TEST(QuantizeTest, LayersThatCostTooMuchStayInFloat) {
  ModelBuilder model = residualNetwork();
  Quantization all = quantizeModel(model, {.maxError = 1}, samplesOf({2, 3, 8, 8}));
  EXPECT_EQ(all.quantizedLayers(), 3);
  EXPECT_TRUE(std::isnan(all.layers[0].sensitivity));
  // Less than all of them cost, more than the best of them does.
  Quantization some =
      quantizeModel(model, {.maxError = all.outputs[0].error() * 0.9}, samplesOf({2, 3, 8, 8}));
  EXPECT_TRUE(some.accuracy().isOk()) << some.accuracy().message();
  EXPECT_LT(some.quantizedLayers(), 3);
  EXPECT_GT(some.quantizedLayers(), 0);
  double worst = INFINITY, left = INFINITY;
  for (const QuantizedLayer &layer : some.layers) {
    EXPECT_FALSE(std::isnan(layer.sensitivity));
    worst = std::min(worst, layer.sensitivity);
    if (!layer.quantized) {
      EXPECT_EQ(layer.reason, "it costs too much error");
      left = std::min(left, layer.sensitivity);
    }
  }
  EXPECT_EQ(worst, left);
}

TEST(QuantizeTest, OutOfBoundsIsRefused) {
  Quantization found =
      quantizeModel(residualNetwork(), {.maxError = 1e-6}, samplesOf({2, 3, 8, 8}));
  EXPECT_EQ(found.verdict().code(), StatusCode::AccuracyMismatch);
  EXPECT_NE(found.verdict().message().find("output 'y' differs by"), std::string::npos);
  EXPECT_FALSE(found.model.empty());
}

TEST(QuantizeTest, SlowIsRefused) {
  Quantization found =
      quantizeModel(perceptron(), {.maxError = 1, .minSpeedup = 1e6}, samplesOf({4, 16}));
  EXPECT_EQ(found.verdict().code(), StatusCode::TooSlow);
  EXPECT_NE(found.verdict().message().find("wanted 1000000.00"), std::string::npos);
  found.minSpeedup = 0;
  EXPECT_TRUE(found.verdict().isOk());
}

TEST(QuantizeTest, KeptNodesStay) {
  Quantization found = quantizeModel(residualNetwork(), {.keep = {"a_conv_node"}, .maxError = 1},
                                     samplesOf({2, 3, 8, 8}));
  EXPECT_FALSE(found.layers[0].quantized);
  EXPECT_EQ(found.layers[0].reason, "kept, as asked for");
  EXPECT_EQ(found.quantizedLayers(), 2);
}

TEST(QuantizeTest, AllCalibrationsWork) {
  for (const char *method : {"min-max", "percentile", "entropy", "mse"}) {
    Quantization found = quantizeModel(residualNetwork(), {.calibration = method, .maxError = 0.2},
                                       samplesOf({2, 3, 8, 8}));
    EXPECT_TRUE(found.accuracy().isOk()) << method << found.accuracy().message();
    EXPECT_EQ(found.quantizedLayers(), 3) << method;
  }
}

TEST(QuantizeTest, OldOpsetsAreRaised) {
  ModelBuilder model = residualNetwork();
  model.model.mutable_opset_import(0)->set_version(9);
  Quantization found = quantizeModel(model, {.maxError = 0.1}, samplesOf({2, 3, 8, 8}));
  EXPECT_TRUE(found.accuracy().isOk());
}

TEST(QuantizeTest, LargeBatchesAreCut) {
  Quantization found = quantizeModel(perceptron(), {.maxError = 1}, samplesOf({33, 16}, 1));
  EXPECT_EQ(found.calibrated + found.heldBack, 7);
  EXPECT_FALSE(found.measuredOnCalibration);
  Quantization one = quantizeModel(perceptron(), {.maxError = 1}, samplesOf({1, 16}, 1));
  EXPECT_TRUE(one.measuredOnCalibration);
}

TEST(QuantizeTest, OptionsAreChecked) {
  auto samples = samplesOf({4, 16});
  EXPECT_EQ(refusalOf(perceptron(), {.mode = "int3"}, samples).message(),
            "there is no mode 'int3'; the modes are static, dynamic, weights-int8, weights-int4, "
            "float16");
  EXPECT_EQ(refusalOf(perceptron(), {.calibration = "median"}, samples).code(), StatusCode::Usage);
  EXPECT_EQ(refusalOf(perceptron(), {.percentile = 101}, samples).code(), StatusCode::Usage);
  EXPECT_EQ(refusalOf(perceptron(), {.blockSize = 48}, samples).code(), StatusCode::Usage);
  EXPECT_EQ(refusalOf(perceptron(), {.maxError = NAN}, samples).code(), StatusCode::Usage);
  EXPECT_EQ(refusalOf(perceptron(), {}, {}).message(),
            "there are no inputs to calibrate and to measure with");
  EXPECT_EQ(refusalOf(perceptron(), {}, samplesOf({4, 15})).code(), StatusCode::InvalidInput);
}

TEST(QuantizeTest, NothingToQuantize) {
  ModelBuilder m(13);
  m.input("x", {2}).output("y").node("Relu", {"x"}, {"y"});
  EXPECT_EQ(refusalOf(m, {}, samplesOf({2})).message(),
            "nothing to quantize: the model has no Conv, ConvTranspose, MatMul or Gemm with "
            "constant float32 weights");
  ModelBuilder conv = residualNetwork();
  conv.graph().mutable_node()->RemoveLast();
  conv.graph().mutable_output(0)->set_name("flat");
  EXPECT_EQ(refusalOf(conv, {.mode = "dynamic"}, samplesOf({2, 3, 8, 8})).message(),
            "nothing to quantize in mode dynamic: Conv: only products are quantized dynamically");
}

TEST(QuantizeTest, TheReferenceIsFloat32) {
  std::string bytes = perceptron().bytes();
  auto result =
      quantize(asModel(bytes), samplesOf({4, 16}), {}, {.precision = Precision::BFloat16});
  EXPECT_EQ(result.status().code(), StatusCode::Usage);
}

/// Integers that change are told, and refused where there is nothing else.
TEST(QuantizeTest, ModelsOfLabels) {
  ModelBuilder m = perceptron();
  m.node("ArgMax", {"y"}, {"label"}).attr("axis", int64_t{1});
  m.graph().mutable_output(0)->set_name("label");
  Quantization found = quantizeModel(m, {}, samplesOf({64, 16}));
  ASSERT_EQ(found.outputs.size(), 1u);
  EXPECT_EQ(found.rows, 0);
  EXPECT_EQ(found.accuracy().isOk(), found.outputs[0].mismatches == 0);
}

namespace {
class Stopper : public ProgressWatcher {
public:
  bool goOn(std::string_view doing) override { return doing.find(word) == std::string_view::npos; }
  std::string word;
};
} // namespace

TEST(QuantizeTest, CanBeEndedAnywhere) {
  for (const char *word :
       {"calibrating", "measuring errors", "ranking layers", "in float", "measuring layers"}) {
    Stopper stopper;
    stopper.word = word;
    ProgressScope scope(stopper);
    EXPECT_EQ(refusalOf(residualNetwork(), {.maxError = 0.003}, samplesOf({2, 3, 8, 8})).code(),
              StatusCode::Cancelled)
        << word;
  }
}
