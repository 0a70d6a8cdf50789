//===- NarrowProductTest.cpp - sums of a wider type than their factors ----===//
//
// On the instructions that this machine has for bytes and bfloat16, and on those that do the same
// where a CPU has none: the bits of the sums are those of the reference kernels on all.
//
//===----------------------------------------------------------------------===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"
#include "tests/native/NarrowFactors.h"

using namespace quern;
using namespace quern::native;

namespace {
/// Those of these targets that run here: with and without the instructions, of several widths.
std::vector<std::string> targetsHere() {
  std::vector<std::string> names;
  for (const char *name : {"baseline", "haswell", "alderlake", "skylake-avx512", "host"})
    if (checkRunsHere(resolveTarget(name).take()).isOk())
      names.emplace_back(name);
  return names;
}

/// Runs a graph whose inputs are drawn, compiled for each target and interpreted.
void expectSameEverywhere(const Graph &graph, const std::vector<Tensor> &inputs) {
  std::vector<Tensor> wanted = runInterpreted(graph, inputs).take();
  for (const std::string &target : targetsHere()) {
    NativeOptions options;
    options.targetCpu = target;
    auto executable = compileForTest(graph, options);
    ASSERT_TRUE(executable) << target << ": " << executable.status().message();
    auto run = runCompiled(*executable, inputs);
    ASSERT_TRUE(run) << target << ": " << run.status().message();
    SCOPED_TRACE(target);
    expectSameTensors(run->results, wanted, graph.labels());
    for (const ProfileRow &step : run->steps)
      EXPECT_FALSE(step.reference) << step.nodes;
  }
}

} // namespace

TEST(NarrowProductTest, Convolutions) {
  const NarrowConv cases[] = {
      {{1, 16, 6, 7}, {32, 16, 3, 3}, 1, 1, 1, 128},
      {{2, 32, 9, 9}, {48, 32, 1, 1}},
      {{1, 3, 13, 11}, {16, 3, 7, 7}, 2, 3, 1, 255},
      {{1, 24, 5, 5}, {32, 24, 3, 3}, 1, 1, 1, 7},
      {{1, 2, 5, 5}, {16, 2, 1, 1}},
      {{2, 32, 7, 7}, {32, 1, 3, 3}, 1, 1, 32, 3},
      {{1, 64, 5, 6}, {64, 32, 3, 3}, 2, 1, 2, 11},
      {{1, 6, 8, 8}, {5, 6, 3, 3}, 1, 2, 1, 200},
      {{2, 10, 4, 4}, {4, 5, 1, 1}, 1, 0, 2},
      {{2, 24, 6, 7}, {32, 24, 3, 3}, 2, 1, 1, 9},
      {{1, 40, 9, 5}, {16, 40, 1, 1}},
      {{1, 10, 1, 1}, {240, 10, 1, 1}},
      {{2, 18, 30}, {32, 18, 3}, 1, 1, 1, 17},
      {{1, 3, 33}, {16, 3, 10}, 5, 0},
      {{2, 64, 40}, {64, 16, 8}, 1, 4, 4, 3},
      {{1, 32, 21}, {32, 1, 5}, 2, 2, 32, 100},
      {{2, 6, 4, 5, 6}, {20, 6, 3, 3, 3}, 1, 1, 1, 5},
      {{1, 5, 3, 4, 9}, {9, 5, 1, 1, 3}, 2, 0},
      {{2, 7, 5, 4, 3}, {6, 7, 1, 1, 1}},
      {{1, 16, 3, 13}, {32, 16, 3, 3}, 1, 1, 1, 5},
      {{1, 16, 2, 27}, {64, 16, 3, 3}, 1, 1, 1, 30},
      {{1, 16, 2, 20}, {32, 16, 3, 3}, 1, 1, 1, 40},
      {{1, 25, 5, 5}, {32, 25, 3, 3}, 1, 1, 1, 7},
      {{2, 17, 6, 7}, {16, 17, 1, 1}},
      {{1, 31, 9, 8}, {48, 31, 5, 5}, 2, 2, 1, 60},
      {{2, 27, 30}, {32, 27, 3}, 1, 1, 1, 17},
      {{1, 1, 12, 12}, {16, 1, 5, 5}, 1, 2},
  };
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 1;
    for (const NarrowConv &c : cases) {
      GraphValue x = graph.input(typeText(c.input, types.a));
      inputs.push_back(drawTensor(dtypeOfName(types.a), c.input, ++seed));
      graph.output(addConv(graph, c, types, x, seed += 2),
                   formatDims(c.input) + " with " + formatDims(c.weights));
    }
    expectSameEverywhere(graph, inputs);
  }
}

// What was computed beside the channels that do not fill their block, no number here, is not
// multiplied: times a weight of zero it would be none either. Of an odd number half a pair is left.
TEST(NarrowProductTest, PaddingThatIsComputedIsNotMultiplied) {
  NarrowTypes types{"bf16", "bf16", "f32"};
  Graph graph;
  std::vector<Tensor> inputs;
  unsigned seed = 50;
  for (int64_t channels : {24, 25, 17, 31})
    for (int64_t taps : {1, 3}) {
      GraphValue x = graph.input("1x32x8x9xbf16");
      inputs.push_back(drawTensor(DType::BFloat16, {1, 32, 8, 9}, ++seed));
      GraphValue w = graph.weight(drawTensor(DType::BFloat16, {channels, 32, 3, 3}, ++seed));
      GraphValue ones =
          graph.weight(Tensor::of<float>({channels}, std::vector<float>(channels, 1)));
      // Odd, where there is a channel, and zero beside them, whose reciprocal is infinite.
      GraphValue sums = graph.op("nn.conv", {graph.op("nn.add", {x, x}), w, ones},
                                 "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, "
                                 "pads = array<i64: 1, 1, 1, 1>, group = 1, pad_value = 0 : i64",
                                 "*xf32");
      GraphValue over = graph.op("nn.div", {graph.weight(Tensor::of<float>({}, {1.0F})), sums});
      GraphValue zero = graph.op("nn.sub", {over, over});
      GraphValue narrow =
          graph.op("nn.cast", {graph.op("nn.add", {sums, zero})}, "to = bf16", "*xbf16");
      NarrowConv second{{1, channels, 8, 9}, {32, channels, taps, taps}, 1, taps / 2};
      graph.output(addConv(graph, second, types, narrow, ++seed),
                   std::to_string(channels) + " channels");
    }
  expectSameEverywhere(graph, inputs);
}

// Some images are unfolded at a time; the next ones begin where their elements say.
TEST(NarrowProductTest, ConvolutionsInParts) {
  // Two images of bytes fill the memory for windows, or one of bfloat16.
  const NarrowConv part = {{5, 12, 68, 68}, {3, 12, 3, 3}, 1, 1, 1, 77};
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    GraphValue x = graph.input(typeText(part.input, types.a));
    std::vector<Tensor> inputs = {drawTensor(dtypeOfName(types.a), part.input, 300)};
    graph.output(addConv(graph, part, types, x, 301), "parts");
    expectSameEverywhere(graph, inputs);
    int64_t unfolded = 0;
    auto run = runCompiled(compileForTest(graph).take(), inputs);
    for (const ProfileRow &step : run->steps)
      unfolded += step.kernel.starts_with("unfold");
    EXPECT_EQ(unfolded, types.a == std::string_view("bf16") ? 5 : 3);
  }
}

TEST(NarrowProductTest, MatrixProducts) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 100;
    for (int64_t k : {1, 3, 5, 30, 64, 2051})
      for (int64_t n : {1, 40})
        for (int64_t m : {1, 7}) {
          GraphValue a = graph.input(typeText({m, k}, types.a));
          inputs.push_back(drawTensor(dtypeOfName(types.a), {m, k}, ++seed));
          GraphValue b = graph.weight(drawTensor(dtypeOfName(types.b), {k, n}, ++seed));
          graph.output(graph.op("nn.matmul", {a, b}, "", fmt::format("*x{}", types.sums)),
                       fmt::format("{}x{} by {}", m, k, n));
        }
    expectSameEverywhere(graph, inputs);
  }
}

// B that only a run tells, and factors that lie across.
TEST(NarrowProductTest, UnpackedFactors) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 200;
    for (int64_t m : {1, 3, 40}) {
      GraphValue a = graph.input(typeText({2, m, 9}, types.a)),
                 b = graph.input(typeText({2, 9, 20}, types.b));
      inputs.push_back(drawTensor(dtypeOfName(types.a), {2, m, 9}, ++seed));
      inputs.push_back(drawTensor(dtypeOfName(types.b), {2, 9, 20}, ++seed));
      graph.output(graph.op("nn.matmul", {a, b}, "", fmt::format("*x{}", types.sums)),
                   std::to_string(m));
    }
    GraphValue a = graph.input(typeText({9, 5}, types.a));
    inputs.push_back(drawTensor(dtypeOfName(types.a), {9, 5}, ++seed));
    GraphValue b = graph.weight(drawTensor(dtypeOfName(types.b), {20, 9}, ++seed));
    GraphValue c = graph.weight(integerTensor(dtypeOfName(types.sums), {20}, ++seed));
    graph.output(graph.op("nn.gemm", {a, b, c},
                          "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = true, trans_b = true",
                          fmt::format("*x{}", types.sums)),
                 "gemm");
    expectSameEverywhere(graph, inputs);
  }
}
