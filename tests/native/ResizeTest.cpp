//===- ResizeTest.cpp - native resizing against the reference -------------===//
#include "runtime/plan/Plan.h"
#include "tests/native/GraphCheck.h"

using namespace quern;
using namespace quern::native;

namespace {
/// Weights are multiples of 1/8 for the sizes here, so that sums are exact.
void addResize(Graph &graph, const std::string &type, const std::string &rule,
               const std::string &scales, const std::string &more = "") {
  GraphValue none = graph.none();
  size_t rank = static_cast<size_t>(std::count(type.begin(), type.end(), 'x'));
  GraphValue factors = graph.constant("dense<" + scales + ">", std::to_string(rank) + "xf32");
  graph.output(graph.op("nn.resize " + rule, {graph.input(type), none, factors, none},
                        "cubic_coeff_a = -0.75 : f64, exclude_outside = false, "
                        "extrapolation_value = 0.0 : f64" +
                            more),
               type + " " + rule + " " + scales);
}
} // namespace

TEST(ResizeTest, Nearest) {
  Graph graph;
  addResize(graph, "2x3x5x7xf32", "nearest(asymmetric, floor)", "[1.0, 1.0, 2.0, 2.0]");
  addResize(graph, "2x3x5x7xf64", "nearest(half_pixel, round_prefer_ceil)", "[1.0, 1.0, 0.6, 1.5]");
  addResize(graph, "1x20x4x33xi64", "nearest(align_corners, ceil)", "[1.0, 1.0, 1.0, 3.0]");
  addResize(graph, "3x4x5xf16", "nearest(asymmetric, floor)", "[2.0, 3.0, 1.0]");
  addResize(graph, "3x40xf32", "nearest(half_pixel, floor)", "[1.0, 1.0]");
  expectExact(graph);
}

TEST(ResizeTest, LinearAndCubic) {
  Graph graph;
  addResize(graph, "2x3x5x7xf32", "linear(half_pixel, floor)", "[1.0, 1.0, 2.0, 2.0]");
  addResize(graph, "2x3x8x6xf32", "linear(half_pixel, floor)", "[1.0, 1.0, 0.5, 0.5]");
  addResize(graph, "1x2x5x40xf64", "linear(asymmetric, floor)", "[1.0, 1.0, 4.0, 1.0]");
  addResize(graph, "4x3x2x3xf32", "linear(asymmetric, floor)", "[2.0, 1.0, 2.0, 2.0]");
  addResize(graph, "1x2x5x9xf32", "cubic(asymmetric, floor)", "[1.0, 1.0, 2.0, 2.0]");
  addResize(graph, "1x1x8x8xf32", "linear(half_pixel, floor)", "[1.0, 1.0, 0.5, 0.5]",
            ", antialias = true");
  expectExact(graph);
}

// Behind the axis lie as many elements as vectors have, or a few vectors: channels of a pixel.
TEST(ResizeTest, PixelsOfChannels) {
  Graph graph;
  for (std::string channels : {"8", "16", "32", "64", "24"})
    for (std::string type : {"f32", "bf16"}) {
      std::string image = "2x3x9x7x" + channels + "x" + type;
      addResize(graph, image, "nearest(asymmetric, floor)", "[1.0, 1.0, 2.0, 2.0, 1.0]");
      if (type == "bf16")
        continue;
      addResize(graph, image, "linear(half_pixel, floor)", "[1.0, 1.0, 2.0, 2.0, 1.0]");
      addResize(graph, image, "cubic(asymmetric, floor)", "[1.0, 1.0, 1.0, 2.0, 1.0]");
    }
  expectExact(graph);
}

// Between convolutions in channel blocks, of which the last may not be full, nothing is unpacked.
TEST(ResizeTest, BetweenBlocks) {
  Graph graph;
  for (std::string outputs : {"32", "24"}) {
    std::string window = "dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1, "
                         "strides = array<i64: 1, 1>";
    GraphValue none = graph.none();
    GraphValue x = graph.op(
        "nn.conv", {graph.input("1x32x6x7xf32"), graph.weight(outputs + "x32x1x1xf32"), none},
        window);
    GraphValue pads = graph.constant("dense<[0, 0, 1, 2, 0, 0, 2, 1]>", "8xi64");
    GraphValue padded = graph.op("nn.pad reflect", {x, pads, none});
    GraphValue scales = graph.constant("dense<[1.0, 1.0, 2.0, 2.0]>", "4xf32");
    GraphValue sizes = graph.constant("dense<[1, " + outputs + ", 36, 40]>", "4xi64");
    std::string attributes = "cubic_coeff_a = -0.75 : f64, exclude_outside = false, "
                             "extrapolation_value = 0.0 : f64";
    GraphValue twice =
        graph.op("nn.resize nearest(asymmetric, floor)", {padded, none, scales, none}, attributes);
    GraphValue again =
        graph.op("nn.resize linear(half_pixel, floor)", {twice, none, none, sizes}, attributes);
    graph.output(
        graph.op("nn.conv", {again, graph.weight("32x" + outputs + "x1x1xf32"), none}, window));
  }
  for (const ProfileRow &step : expectExact(graph).steps)
    EXPECT_FALSE(step.kernel == "resample_float32_line") << step.nodes;
}

// At its edges linear interpolation reads one element, which is no number times nothing then.
TEST(ResizeTest, InfinitiesStayWhereTheyAre) {
  Graph graph;
  addResize(graph, "1x2x2x8xf32", "linear(half_pixel, floor)", "[1.0, 1.0, 2.0, 1.0]");
  addResize(graph, "1x16x2x16xf32", "linear(half_pixel, floor)", "[1.0, 1.0, 2.0, 1.0]");
  GraphCheck check;
  check.inputs = integerInputs(graph);
  for (Tensor &input : check.inputs)
    for (int64_t i = 0; i < input.numElements(); i += 5)
      input.mutableData<float>()[i] = std::numeric_limits<float>::infinity();
  expectExact(graph, check);
}

TEST(ResizeTest, ExtrapolationRunsOnTheReference) {
  Graph graph;
  GraphValue none = graph.none(), x = graph.input("1x1x2x2xf32");
  GraphValue roi = graph.constant("dense<[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 1.0]>", "8xf32");
  GraphValue sizes = graph.constant("dense<[1, 1, 3, 2]>", "4xi64");
  graph.output(graph.op("nn.resize linear(tf_crop_and_resize, floor)", {x, roi, none, sizes},
                        "cubic_coeff_a = -0.75 : f64, exclude_outside = false, "
                        "extrapolation_value = 9.0 : f64"));
  GraphCheck check;
  check.allowReference = true;
  expectExact(graph, check);
}

// Tables are for axes that are short beside what memory there is.
TEST(ResizeTest, ALongAxisHasNoTable) {
  Graph graph;
  addResize(graph, "1x1x3xf32", "linear(asymmetric, floor)", "[1.0, 1.0, 400000.0]");
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  auto run = runCompiled(*executable, integerInputs(graph));
  ASSERT_TRUE(run) << run.status().message();
  for (const ProfileRow &step : run->steps)
    EXPECT_EQ(step.kernel.find("resample"), std::string::npos) << step.kernel;
}

// The limit is looked at before tables are made.
TEST(ResizeTest, AResultBeyondTheLimit) {
  Graph graph;
  addResize(graph, "1x1x4xf32", "linear(half_pixel, floor)", "[1.0, 1.0, 1.0e9]");
  CompileOptions options;
  options.limits.maxActivationBytes = int64_t{1} << 30;
  auto executable = compileForTest(graph, options);
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.status().code(), StatusCode::ResourceLimit);
}

// Each table alone is within the limit, not all of them together.
TEST(ResizeTest, TablesBeyondTheLimit) {
  Graph graph;
  for (int i = 0; i < 4; ++i)
    addResize(graph, "1x1x" + std::to_string(3 + i) + "xf32", "linear(half_pixel, floor)",
              "[1.0, 1.0, 10000.0]");
  CompileOptions options;
  options.limits.maxActivationBytes = int64_t{3} << 20;
  auto executable = compileForTest(graph, options);
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.status().code(), StatusCode::ResourceLimit);
  EXPECT_NE(executable.status().message().find("its tables"), std::string::npos)
      << executable.status().message();
}

// The cache of plans knows how much memory they take.
TEST(ResizeTest, APlanCountsItsTables) {
  Graph graph;
  addResize(graph, "1x1x?xf32", "nearest(asymmetric, floor)", "[1.0, 1.0, 2.0]");
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  auto bytesFor = [&](int64_t size) {
    Tensor::Dims dims = {1, 1, size};
    return approximateBytes(**(*executable)->findPlan({&dims, 1}));
  };
  // A table of 64-bit indices.
  EXPECT_EQ(bytesFor(20000) - bytesFor(10000), 2 * 10000 * 8);
}
