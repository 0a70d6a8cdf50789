//===- ConvTransposeTest.cpp - transposed convolution, summed and in phases //
#include "tests/native/ConvGraph.h"

using namespace quern;
using namespace quern::native;

namespace {
struct TransposedCase {
  Tensor::Dims input;
  int64_t outputs = 1;
  Tensor::Dims kernel, strides = {}, dilations = {}, pads = {}, outputPadding = {},
                       outputShape = {};
  int64_t group = 1;
  bool bias = true, constantWeights = true;
  std::string autoPad = "NOTSET", dtype = "f32";
};

std::string describe(const TransposedCase &c) {
  return formatDims(c.input) + " to " + std::to_string(c.outputs) + " kernel " +
         formatDims(c.kernel) + " strides " + formatDims(c.strides) + " pads " + formatDims(c.pads);
}

GraphValue addTransposed(Graph &graph, const TransposedCase &c) {
  size_t spatial = c.kernel.size();
  auto list = [](const Tensor::Dims &given, size_t count, int64_t otherwise) {
    return arrayText(given.empty() ? Tensor::Dims(count, otherwise) : given);
  };
  Tensor::Dims weights = {c.input[1], c.outputs / c.group};
  weights.insert(weights.end(), c.kernel.begin(), c.kernel.end());
  GraphValue x = graph.input(sizesText(c.input, c.dtype));
  std::string type = sizesText(weights, c.dtype);
  GraphValue w = c.constantWeights ? graph.weight(type) : graph.input(type);
  GraphValue bias = c.bias ? graph.weight(sizesText({c.outputs}, c.dtype)) : graph.none();
  std::string attributes = "strides = " + list(c.strides, spatial, 1) +
                           ", dilations = " + list(c.dilations, spatial, 1) +
                           ", pads = " + list(c.pads, 2 * spatial, 0) +
                           ", output_padding = " + list(c.outputPadding, spatial, 0) +
                           ", output_shape = " + arrayText(c.outputShape) +
                           ", group = " + std::to_string(c.group) + ", auto_pad = #nn<auto_pad " +
                           c.autoPad + ">";
  return graph.op("nn.conv_transpose", {x, w, bias}, attributes);
}

void addCase(Graph &graph, const TransposedCase &c) {
  graph.output(addTransposed(graph, c), describe(c));
}

void expectExactCases(const std::vector<TransposedCase> &cases) {
  Graph graph;
  for (const TransposedCase &c : cases)
    addCase(graph, c);
  expectExact(graph);
}
} // namespace

TEST(ConvTransposeTest, KernelsAndStrides) {
  std::vector<TransposedCase> cases;
  for (int64_t k : {1, 2, 3, 5})
    for (int64_t stride : {1, 2, 3})
      cases.push_back({{1, 3, 4, 5}, 2, {k, k}, {stride, stride}});
  cases.push_back({{2, 16, 7, 7}, 24, {2, 2}, {2, 2}});
  cases.push_back({{1, 5, 33, 17}, 7, {4, 4}, {2, 2}, {}, {1, 1, 1, 1}});
  cases.push_back({{1, 2, 3, 20}, 3, {1, 3}, {1, 1}, {}, {0, 1, 0, 1}});
  cases.push_back({{1, 40, 1, 1}, 9, {4, 4}});
  expectExactCases(cases);
}

TEST(ConvTransposeTest, PadsDilationsAndOutputPadding) {
  expectExactCases({
      {{1, 3, 5, 6}, 4, {3, 3}, {2, 2}, {}, {1, 1, 1, 1}, {1, 1}},
      {{1, 3, 5, 6}, 4, {3, 2}, {2, 3}, {2, 3}, {2, 0, 1, 1}},
      {{1, 3, 5, 6}, 4, {3, 3}, {3, 2}, {}, {0, 1, 2, 0}, {2, 1}},
      {{1, 2, 4, 4}, 2, {3, 3}, {2, 2}, {}, {}, {}, {10, 8}},
      {.input = {1, 2, 4, 4},
       .outputs = 2,
       .kernel = {3, 3},
       .strides = {2, 2},
       .autoPad = "SAME_UPPER"},
      {.input = {1, 2, 4, 4},
       .outputs = 2,
       .kernel = {3, 4},
       .strides = {2, 1},
       .autoPad = "SAME_LOWER"},
      // All windows of some lines lie in the pads.
      {{1, 1, 2, 2}, 1, {2, 2}, {4, 4}, {}, {3, 3, 3, 3}, {3, 3}},
  });
}

TEST(ConvTransposeTest, GroupsRanksAndTypes) {
  expectExactCases({
      {.input = {2, 6, 3, 4}, .outputs = 4, .kernel = {2, 3}, .group = 2},
      {.input = {1, 4, 3, 4}, .outputs = 4, .kernel = {3, 3}, .strides = {2, 2}, .group = 4},
      {.input = {2, 3, 9}, .outputs = 2, .kernel = {3}, .strides = {2}, .bias = false},
      {.input = {1, 2, 3, 2, 4}, .outputs = 3, .kernel = {2, 3, 2}, .strides = {2, 1, 2}},
      {.input = {1, 3, 4, 4}, .outputs = 2, .kernel = {3, 3}, .constantWeights = false},
      {.input = {1, 3, 4, 4}, .outputs = 2, .kernel = {3, 3}, .strides = {2, 1}, .dtype = "f64"},
  });
}

namespace {
/// Those that are computed in phases where a block has 16 channels, or fewer.
const TransposedCase kInPhases[] = {
    // As UNets have it: each result reads one pixel.
    {{2, 32, 7, 9}, 32, {2, 2}, {2, 2}},
    // As generators of images do: several pixels, some of them outside.
    {{1, 16, 8, 19}, 48, {4, 4}, {2, 2}, {}, {1, 1, 1, 1}},
    {{1, 32, 6, 5}, 16, {3, 3}, {2, 2}, {}, {1, 1, 1, 1}, {1, 1}},
    {{1, 16, 5, 6}, 16, {5, 3}, {3, 2}, {}, {2, 0, 1, 1}, {2, 1}},
    // Pads that begin behind the first input, and results that no input reaches.
    {{1, 16, 6, 7}, 16, {4, 4}, {2, 2}, {}, {3, 3, 3, 3}},
    {{1, 16, 4, 4}, 16, {4, 3}, {4, 3}, {}, {0, 0, 0, 0}, {3, 2}},
    // A stride along one axis, or none at all.
    {{1, 16, 6, 20}, 32, {1, 4}, {1, 2}, {}, {0, 1, 0, 1}},
    {{2, 16, 6, 7}, 16, {3, 3}, {1, 1}, {}, {1, 1, 1, 1}},
    {{1, 32, 5, 7}, 32, {1, 1}, {1, 1}},
    // Lines, as vocoders have them.
    {{1, 32, 37}, 16, {16}, {8}, {}, {4, 4}},
    {{2, 16, 11}, 32, {3}, {2}, {}, {1, 1}, {1}},
    // Channels that fill no blocks.
    {{1, 24, 6, 7}, 32, {2, 2}, {2, 2}},
    {{1, 3, 6, 7}, 32, {4, 4}, {2, 2}, {}, {1, 1, 1, 1}},
    {{1, 32, 6, 7}, 28, {3, 3}, {2, 2}, {}, {1, 1, 1, 1}},
    {.input = {1, 16, 4, 4},
     .outputs = 16,
     .kernel = {3, 3},
     .strides = {2, 2},
     .outputShape = {8, 8}},
    {.input = {1, 16, 4, 4}, .outputs = 16, .kernel = {2, 2}, .strides = {2, 2}, .bias = false},
};

/// Steps that sum up windows.
size_t countSums(const GraphRun &run) {
  return llvm::count_if(
      run.steps, [](const ProfileRow &step) { return step.kernel.starts_with("sum_windows"); });
}
} // namespace

TEST(ConvTransposeTest, ChannelBlocksAreComputedInPhases) {
  for (const char *cpu : {"host", "haswell"}) {
    Graph graph;
    for (const TransposedCase &c : kInPhases)
      addCase(graph, c);
    GraphCheck check;
    check.options.targetCpu = cpu;
    EXPECT_EQ(countSums(expectExact(graph, check)), 0u) << cpu;
  }
}

TEST(ConvTransposeTest, PhasesEndWithWhatFollows) {
  Graph graph;
  for (const TransposedCase &c : kInPhases) {
    if (c.kernel.size() != 2)
      continue;
    std::string label = describe(c);
    GraphValue scale = graph.weight(sizesText({c.outputs, 1, 1}, "f32"));
    GraphValue residual = graph.op("nn.neg", {addTransposed(graph, c)});
    GraphValue scaled = graph.op("nn.mul", {addTransposed(graph, c), scale});
    graph.output(graph.op("nn.relu", {graph.op("nn.add", {scaled, residual})}), label);
    graph.output(residual, label + " the residual itself");
  }
  GraphRun run = expectExact(graph);
  EXPECT_EQ(countSums(run), 0u);
  for (const ProfileRow &step : run.steps)
    EXPECT_FALSE(step.kernel.starts_with("map_")) << step.kernel << " of " << step.nodes;
}

// What follows has a step of its own there.
TEST(ConvTransposeTest, SumsOfWindowsEndWithNothing) {
  Graph graph;
  graph.output(graph.op("nn.relu", {addTransposed(graph, {{1, 4, 5, 5}, 3, {3, 3}, {2, 2}})}));
  graph.output(graph.op(
      "nn.relu",
      {addTransposed(
          graph, {.input = {1, 32, 5, 5}, .outputs = 32, .kernel = {3, 3}, .dilations = {2, 2}})}));
  // 25 phases are too many, and those without a tap are none.
  graph.output(graph.op("nn.relu", {addTransposed(graph, {{1, 16, 3, 3}, 16, {5, 5}, {5, 5}})}));
  graph.output(graph.op("nn.relu", {addTransposed(graph, {{1, 16, 3, 3}, 16, {2, 2}, {3, 3}})}));
  GraphRun run = expectExact(graph);
  EXPECT_EQ(countSums(run), 4u);
}

// Without layouts all images are plain: there narrow factors have the reference kernel.
TEST(ConvTransposeTest, NarrowFactorsOnPlainImages) {
  Graph graph;
  GraphValue x = graph.input("1x32x5x6xbf16"), w = graph.weight("32x16x2x2xbf16");
  graph.output(graph.op("nn.conv_transpose", {x, w, graph.none()},
                        "strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = "
                        "array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = "
                        "array<i64>, group = 1",
                        "*xf32"));
  GraphCheck check;
  check.options.optLevel = 0;
  check.allowReference = true;
  expectExact(graph, check);
}

// A model of a few bytes may have millions of images; those that fit are in one step.
TEST(ConvTransposeTest, StepsDoNotGrowWithTheBatch) {
  Graph graph;
  addCase(graph, {.input = {3000, 4, 2, 2}, .outputs = 6, .kernel = {2, 2}, .group = 2});
  EXPECT_LE(expectExact(graph).steps.size(), 4u);
  Graph parts;
  addCase(parts, {{5, 4, 40, 40}, 6, {3, 3}, {2, 2}});
  GraphRun run = expectExact(parts);
  EXPECT_GT(run.steps.size(), 2u);
  EXPECT_LT(run.steps.size(), 10u);
}

TEST(ConvTransposeTest, SumsWindows) {
  Graph graph;
  GraphValue x = graph.input("2x12x25xf32");
  GraphValue image = graph.constant("dense<[6, 7]>", "2xi64");
  GraphValue block = graph.constant("dense<[3, 2]>", "2xi64");
  GraphValue plain = graph.op("nn.col2im", {x, image, block},
                              "strides = array<i64: 1, 2>, dilations = array<i64: 1, 1>, "
                              "pads = array<i64: 0, 1, 1, 2>");
  graph.output(plain, "plain");
  GraphValue line = graph.input("1x6x5xf64");
  graph.output(
      graph.op("nn.col2im",
               {line, graph.constant("dense<9>", "1xi64"), graph.constant("dense<3>", "1xi64")},
               "strides = array<i64>, dilations = array<i64: 2>, pads = array<i64>"),
      "line");
  expectExact(graph);
}
