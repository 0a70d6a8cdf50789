//===- NarrowProductTest.cpp - sums of a wider type than their factors ----===//
//
// On the instructions that this machine has for bytes and bfloat16, and on those that do the same
// where a CPU has none: the bits of the sums are those of the reference kernels on all.
//
//===----------------------------------------------------------------------===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <random>

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

struct Types {
  const char *a, *b, *sums;
};
constexpr Types kTypes[] = {{"ui8", "i8", "i32"},
                            {"i8", "i8", "i32"},
                            {"ui8", "ui8", "i32"},
                            {"i8", "ui8", "i32"},
                            {"bf16", "bf16", "f32"}};

DType dtypeOf(std::string_view name) {
  return name == "i8"     ? DType::Int8
         : name == "ui8"  ? DType::UInt8
         : name == "bf16" ? DType::BFloat16
         : name == "i32"  ? DType::Int32
                          : DType::Float32;
}

/// Bytes of the whole range, both ends often; small integers of other types.
Tensor drawTensor(DType dtype, const Tensor::Dims &dims, unsigned seed) {
  if (dtype != DType::Int8 && dtype != DType::UInt8)
    return integerTensor(dtype, dims, seed);
  Tensor tensor = Tensor::allocate(dtype, dims).take();
  std::mt19937 random(seed);
  auto *bytes = static_cast<uint8_t *>(tensor.mutableRawData());
  for (int64_t i = 0; i < tensor.numElements(); ++i) {
    constexpr uint8_t kEnds[] = {0, 255, 127, 128};
    bytes[i] = static_cast<uint8_t>(random() % 3 == 0 ? kEnds[random() % 4] : random());
  }
  return tensor;
}

std::string typeText(const Tensor::Dims &dims, std::string_view element) {
  return fmt::format("{}x{}", fmt::join(dims, "x"), element);
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

struct ConvCase {
  Tensor::Dims input, weights;
  int64_t stride = 1, pad = 0, group = 1;
  int64_t padValue = 0;
};

GraphValue addConv(Graph &graph, const ConvCase &c, const Types &types, const GraphValue &x,
                   unsigned seed) {
  GraphValue w = graph.weight(drawTensor(dtypeOf(types.b), c.weights, seed));
  GraphValue bias = graph.weight(integerTensor(dtypeOf(types.sums), {c.weights[0]}, seed + 1));
  size_t axes = c.weights.size() - 2;
  auto each = [](int64_t number, size_t count) {
    return fmt::format("{}", fmt::join(std::vector<int64_t>(count, number), ", "));
  };
  // What lies beyond the edges is of the image's type.
  int64_t padValue = types.a == std::string_view("ui8")  ? c.padValue
                     : types.a == std::string_view("i8") ? c.padValue - 128
                                                         : 0;
  return graph.op(
      "nn.conv", {x, w, bias},
      fmt::format("strides = array<i64: {}>, dilations = array<i64: {}>, pads = array<i64: {}>, "
                  "group = {}, pad_value = {} : i64",
                  each(c.stride, axes), each(1, axes), each(c.pad, 2 * axes), c.group, padValue),
      fmt::format("*x{}", types.sums));
}
} // namespace

TEST(NarrowProductTest, Convolutions) {
  const ConvCase cases[] = {
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
  };
  for (const Types &types : kTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 1;
    for (const ConvCase &c : cases) {
      GraphValue x = graph.input(typeText(c.input, types.a));
      inputs.push_back(drawTensor(dtypeOf(types.a), c.input, ++seed));
      graph.output(addConv(graph, c, types, x, seed += 2),
                   formatDims(c.input) + " with " + formatDims(c.weights));
    }
    expectSameEverywhere(graph, inputs);
  }
}

TEST(NarrowProductTest, MatrixProducts) {
  for (const Types &types : kTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 100;
    for (int64_t k : {1, 3, 5, 30, 64, 2051})
      for (int64_t n : {1, 40})
        for (int64_t m : {1, 7}) {
          GraphValue a = graph.input(typeText({m, k}, types.a));
          inputs.push_back(drawTensor(dtypeOf(types.a), {m, k}, ++seed));
          GraphValue b = graph.weight(drawTensor(dtypeOf(types.b), {k, n}, ++seed));
          graph.output(graph.op("nn.matmul", {a, b}, "", fmt::format("*x{}", types.sums)),
                       fmt::format("{}x{} by {}", m, k, n));
        }
    expectSameEverywhere(graph, inputs);
  }
}

// B that only a run tells, and factors that lie across.
TEST(NarrowProductTest, UnpackedFactors) {
  for (const Types &types : kTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 200;
    for (int64_t m : {1, 3, 40}) {
      GraphValue a = graph.input(typeText({2, m, 9}, types.a)),
                 b = graph.input(typeText({2, 9, 20}, types.b));
      inputs.push_back(drawTensor(dtypeOf(types.a), {2, m, 9}, ++seed));
      inputs.push_back(drawTensor(dtypeOf(types.b), {2, 9, 20}, ++seed));
      graph.output(graph.op("nn.matmul", {a, b}, "", fmt::format("*x{}", types.sums)),
                   std::to_string(m));
    }
    GraphValue a = graph.input(typeText({9, 5}, types.a));
    inputs.push_back(drawTensor(dtypeOf(types.a), {9, 5}, ++seed));
    GraphValue b = graph.weight(drawTensor(dtypeOf(types.b), {20, 9}, ++seed));
    GraphValue c = graph.weight(integerTensor(dtypeOf(types.sums), {20}, ++seed));
    graph.output(graph.op("nn.gemm", {a, b, c},
                          "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = true, trans_b = true",
                          fmt::format("*x{}", types.sums)),
                 "gemm");
    expectSameEverywhere(graph, inputs);
  }
}
