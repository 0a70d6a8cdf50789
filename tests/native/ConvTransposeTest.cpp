//===- ConvTransposeTest.cpp - transposed convolution, windows summed up --===//
#include "tests/native/GraphCheck.h"

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

std::string typeText(const Tensor::Dims &sizes, const std::string &dtype) {
  std::string text;
  for (int64_t size : sizes)
    text += std::to_string(size) + "x";
  return text + dtype;
}

std::string arrayText(const Tensor::Dims &values) {
  std::string text;
  for (int64_t value : values)
    text += (text.empty() ? ": " : ", ") + std::to_string(value);
  return "array<i64" + text + ">";
}

void addCase(Graph &graph, const TransposedCase &c) {
  size_t spatial = c.kernel.size();
  auto list = [](const Tensor::Dims &given, size_t count, int64_t otherwise) {
    return arrayText(given.empty() ? Tensor::Dims(count, otherwise) : given);
  };
  Tensor::Dims weights = {c.input[1], c.outputs / c.group};
  weights.insert(weights.end(), c.kernel.begin(), c.kernel.end());
  GraphValue x = graph.input(typeText(c.input, c.dtype));
  std::string type = typeText(weights, c.dtype);
  GraphValue w = c.constantWeights ? graph.weight(type) : graph.input(type);
  GraphValue bias = c.bias ? graph.weight(typeText({c.outputs}, c.dtype)) : graph.none();
  std::string attributes = "strides = " + list(c.strides, spatial, 1) +
                           ", dilations = " + list(c.dilations, spatial, 1) +
                           ", pads = " + list(c.pads, 2 * spatial, 0) +
                           ", output_padding = " + list(c.outputPadding, spatial, 0) +
                           ", output_shape = " + arrayText(c.outputShape) +
                           ", group = " + std::to_string(c.group) + ", auto_pad = #nn<auto_pad " +
                           c.autoPad + ">";
  graph.output(graph.op("nn.conv_transpose", {x, w, bias}, attributes),
               formatDims(c.input) + " kernel " + formatDims(c.kernel) + attributes);
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
