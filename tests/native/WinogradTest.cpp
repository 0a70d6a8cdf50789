//===- WinogradTest.cpp - 3 x 3 convolution by Winograd's algorithm -------===//
//
// Its results are near those of float64, about as near as those of the direct way: the bound is 8
// times the direct way's own error.
//
//===----------------------------------------------------------------------===//
#include "backends/native/lowering/Lowering.h"
#include "backends/native/lowering/NarrowPolicies.h"
#include "backends/native/lowering/TuningTable.h"
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"

#include <cmath>
#include <fmt/format.h>

using namespace quern;
using namespace quern::native;

namespace {
struct WinogradCase {
  int64_t batch, channels, height, width, outputs;
  /// Top, left, bottom, right.
  Tensor::Dims pads = {1, 1, 1, 1};
  bool bias = true, residual = false;
  /// By a convolution of one pixel; beside its last channel there is no number in the block.
  bool isComputed = false;
  int64_t groups = 1;

  int64_t outputHeight() const { return height + pads[0] + pads[2] - 2; }
  int64_t outputWidth() const { return width + pads[1] + pads[3] - 2; }
  std::string text() const {
    return fmt::format("{}x{}x{}x{} to {} in {} groups, pads {} {} {} {}{}{}{}", batch, channels,
                       height, width, outputs, groups, pads[0], pads[1], pads[2], pads[3],
                       bias ? ", bias" : "", residual ? ", residual" : "",
                       isComputed ? ", computed" : "");
  }
};

/// A case with its numbers.
struct Convolution {
  WinogradCase shape;
  Tensor input, weights, bias, residual;

  explicit Convolution(const WinogradCase &c)
      : shape(c), input(normalTensor({c.batch, c.channels, c.height, c.width}, 1, 1)),
        weights(normalTensor({c.outputs, c.channels / c.groups, 3, 3}, 1, 2)),
        bias(normalTensor({c.outputs}, 1, 3)),
        residual(normalTensor({c.batch, c.outputs, c.outputHeight(), c.outputWidth()}, 1, 4)) {}

  /// With `block` channels in blocks, or plain ones.
  Graph graph(int64_t block = 0) const {
    const WinogradCase &c = shape;
    auto image = [&](int64_t channels, int64_t height, int64_t width) {
      if (block == 0)
        return fmt::format("{}x{}x{}x{}xf32", c.batch, channels, height, width);
      return fmt::format("{}x{}x{}x{}x{}xf32, #nn.blocked<{}>", c.batch,
                         (channels + block - 1) / block, height, width, block, block);
    };
    Graph graph;
    std::string resultType = image(c.outputs, c.outputHeight(), c.outputWidth());
    GraphValue from = graph.input(image(c.channels, c.height, c.width));
    if (c.isComputed && block == 0)
      from = computed(graph, from);
    GraphValue result = graph.op(
        "nn.conv", {from, graph.weight(weights), c.bias ? graph.weight(bias) : graph.none()},
        fmt::format("strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: "
                    "{}, {}, {}, {}>, group = {}",
                    c.pads[0], c.pads[1], c.pads[2], c.pads[3], c.groups),
        block == 0 ? "" : resultType);
    if (c.residual)
      result = graph.op("nn.relu", {graph.op("nn.add", {result, graph.input(resultType)})});
    graph.output(result);
    return graph;
  }

  std::vector<Tensor> inputs() const {
    std::vector<Tensor> all = {input};
    if (shape.residual)
      all.push_back(residual);
    return all;
  }

  /// In float64.
  std::vector<double> results() const {
    const WinogradCase &c = shape;
    std::vector<double> results;
    for (int64_t n = 0; n < c.batch; ++n)
      for (int64_t k = 0; k < c.outputs; ++k)
        for (int64_t y = 0; y < c.outputHeight(); ++y)
          for (int64_t x = 0; x < c.outputWidth(); ++x)
            results.push_back(finish(sumAt(n, k, y, x), static_cast<int64_t>(results.size()), k));
    return results;
  }

private:
  /// `image` times 1 as x / x, which is no number where there are no channels.
  GraphValue computed(Graph &graph, const GraphValue &image) const {
    int64_t channels = shape.channels;
    Tensor same = integerTensor(DType::Float32, {channels, channels, 1, 1}, 0);
    Tensor numbers = integerTensor(DType::Float32, {channels, 1, 1}, 0);
    for (int64_t i = 0; i < channels; ++i) {
      for (int64_t j = 0; j < channels; ++j)
        same.mutableData<float>()[i * channels + j] = i == j ? 1.0f : 0.0f;
      numbers.mutableData<float>()[i] = static_cast<float>(i % 5 + 1);
    }
    GraphValue copy = graph.op(
        "nn.conv", {image, graph.weight(same), graph.none()},
        "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, "
        "group = 1");
    GraphValue positive = graph.op("nn.add", {graph.op("nn.abs", {copy}), graph.weight(numbers)});
    return graph.op("nn.mul", {copy, graph.op("nn.div", {positive, positive})});
  }
  double sumAt(int64_t n, int64_t k, int64_t y, int64_t x) const {
    const WinogradCase &c = shape;
    double sum = 0;
    int64_t depth = c.channels / c.groups, first = k / (c.outputs / c.groups) * depth;
    for (int64_t channel = 0; channel < depth; ++channel)
      for (int64_t i = 0; i < 3; ++i)
        for (int64_t j = 0; j < 3; ++j) {
          int64_t row = y + i - c.pads[0], column = x + j - c.pads[1];
          if (row < 0 || row >= c.height || column < 0 || column >= c.width)
            continue;
          int64_t pixel = ((n * c.channels + first + channel) * c.height + row) * c.width + column;
          sum += double(input.data<float>()[pixel]) *
                 double(weights.data<float>()[((k * depth + channel) * 3 + i) * 3 + j]);
        }
    return sum;
  }
  double finish(double sum, int64_t place, int64_t output) const {
    if (shape.bias)
      sum += bias.data<float>()[output];
    return shape.residual ? std::max(0.0, sum + residual.data<float>()[place]) : sum;
  }
};

class WinogradTest : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    target = resolveTarget(GetParam()).take();
    if (!checkRunsHere(target).isOk())
      GTEST_SKIP() << "this CPU cannot run code for " << GetParam();
  }

  /// The largest distance from `wanted` when the convolution is computed in `way`, with 1 and 2
  /// threads alike.
  double errorOf(const Convolution &conv, const std::vector<double> &wanted,
                 const std::string &way) {
    auto table = std::make_shared<TuningTable>();
    mlir::MLIRContext mlir(mlir::MLIRContext::Threading::DISABLED);
    auto blocked = conv.graph(target.channelBlock()).parse(mlir);
    EXPECT_TRUE(blocked);
    plan::ShapeEnvironment values;
    blocked->walk([&](mlir::Operation *op) {
      if (op->getName().getStringRef() == "nn.conv")
        table->add(problemKey(op, {target, 1, values, nullptr}), way);
    });
    NativeOptions options;
    options.targetCpu = GetParam();
    options.ways = table;
    auto executable = compileForTest(conv.graph(), options);
    EXPECT_TRUE(executable) << executable.status().message();
    double largest = 0;
    for (int threads : {1, 2}) {
      auto run = runCompiled(*executable, conv.inputs(), threads);
      EXPECT_TRUE(run) << run.status().message();
      EXPECT_TRUE(hasKernel(*run, way == "blocked" ? "dot_" : way + "_")) << way;
      const Tensor &found = run->results[0];
      EXPECT_EQ(static_cast<size_t>(found.numElements()), wanted.size());
      double error = 0;
      for (size_t i = 0; i < wanted.size(); ++i)
        error = std::max(error, std::abs(wanted[i] - double(found.data<float>()[i])));
      EXPECT_TRUE(threads == 1 || error == largest) << "another number of threads, other bits";
      largest = error;
    }
    return largest;
  }

  static bool hasKernel(const GraphRun &run, const std::string &prefix) {
    for (const ProfileRow &step : run.steps)
      if (step.kernel.rfind(prefix, 0) == 0)
        return true;
    return false;
  }

  Target target;
};
} // namespace

TEST_P(WinogradTest, ErrorIsBoundByTheDirectWays) {
  const WinogradCase cases[] = {
      {1, 64, 14, 14, 64},
      {2, 48, 9, 11, 48, {1, 1, 1, 1}, true, true},
      {1, 16, 1, 1, 16},
      {1, 16, 3, 3, 16, {0, 0, 0, 0}, false},
      {3, 48, 5, 8, 32, {0, 2, 1, 0}, true},
      {1, 32, 13, 2, 80, {2, 2, 2, 2}, false, true},
      {1, 128, 30, 30, 32},
      {1, 12, 6, 7, 16, {1, 1, 1, 1}, true, false, true},
      {2, 27, 9, 9, 32, {1, 1, 1, 1}, true, true, true},
      {1, 72, 14, 14, 40, {1, 1, 1, 1}, false, false, true},
      {2, 48, 9, 7, 48, {1, 1, 1, 1}, true, true, false, 3},
      {1, 64, 20, 20, 128, {1, 0, 0, 1}, false, false, false, 2},
  };
  for (const WinogradCase &c : cases) {
    SCOPED_TRACE(c.text());
    Convolution conv(c);
    std::vector<double> wanted = conv.results();
    double direct = errorOf(conv, wanted, "blocked");
    ASSERT_GT(direct, 0);
    for (const char *way : {"winograd2", "winograd4"})
      EXPECT_LE(errorOf(conv, wanted, way), 8 * direct) << way;
  }
}

// Blocks are taken for its sake, though nearly half of them is padding.
TEST(WinogradLayoutTest, MorePaddingWhereItIsFaster) {
  auto blocks = [](const NativeLayouts &layouts, const std::string &image, int64_t inputs,
                   int64_t outputs, int64_t stride = 1) {
    Graph graph;
    graph.output(
        graph.op("nn.conv",
                 {graph.input(fmt::format("1x{}x{}xf32", inputs, image)),
                  graph.weight(fmt::format("{}x{}x3x3xf32", outputs, inputs)), graph.none()},
                 fmt::format("strides = array<i64: {0}, {0}>, dilations = array<i64: 1, 1>, pads = "
                             "array<i64: 1, 1, 1, 1>, group = 1",
                             stride)));
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    auto module = graph.parse(context);
    std::string found;
    module->walk([&](nn::ConvOp op) {
      ReasonOr<passes::Blocking> blocking = layouts.blockConv(op);
      found = blocking ? fmt::format("{}, {}", blocking->input, blocking->output)
                       : blocking.reason().text;
    });
    return found;
  };
  const char *plain = "its channels do not fill blocks of 16";
  NativeLayouts layouts(resolveTarget("znver4").take());
  EXPECT_EQ(blocks(layouts, "56x56", 18, 18), "16, 16");
  EXPECT_EQ(blocks(layouts, "56x56", 18, 36), "16, 16") << "in blocks anyway, but read plain";
  EXPECT_EQ(blocks(layouts, "56x56", 18, 36, 2), "0, 16");
  EXPECT_EQ(blocks(layouts, "56x56", 18, 18, 2), plain);
  EXPECT_EQ(blocks(layouts, "?x56", 18, 18), plain) << "of unknown sizes nobody can tell";
  EXPECT_EQ(blocks(layouts, "112x112", 8, 8), plain) << "padding has to be moved, too";
  NativeLayouts direct(resolveTarget("znver4").take(), /*hasWinograd=*/false);
  EXPECT_EQ(blocks(direct, "56x56", 18, 18), plain);
}

INSTANTIATE_TEST_SUITE_P(Targets, WinogradTest,
                         testing::Values("baseline", "haswell", "skylake-avx512", "host"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });
