//===- PrecisionTest.cpp - whole graphs at a lower precision --------------===//
//
// On small integers the sums of rounded factors are exact, in any order: native code must give
// the bits that the interpreter gives of the graph that AssignPrecision has made. On numbers of
// all kinds the graph must be within 1 % of what the model says.
//
//===----------------------------------------------------------------------===//
#include "backends/interpreter/Interpreter.h"
#include "backends/native/lowering/NarrowPolicies.h"
#include "ir/AttentionOps.h"
#include "ir/Signature.h"
#include "passes/OptimizeGraph.h"
#include "passes/PrecisionPolicy.h"
#include "tests/native/BodyGraph.h"

#include <fmt/format.h>

#include <cmath>
#include <random>

using namespace quern;
using namespace quern::native;

namespace {
NativeOptions lowered(int optLevel = 3) {
  NativeOptions options;
  options.precision = Precision::BFloat16;
  options.optLevel = optLevel;
  options.precisions = std::make_shared<passes::BFloat16Factors>();
  return options;
}

/// Draws the weights of a graph: integers, or numbers with which values keep their magnitude.
struct Weights {
  bool areIntegers;
  unsigned seed = 1;

  Tensor draw(const Tensor::Dims &dims) {
    int64_t depth = 1;
    for (size_t i = 1; i < dims.size(); ++i)
      depth *= dims[i];
    return areIntegers ? integerTensor(DType::Float32, dims, seed++)
                       : normalTensor(dims, std::sqrt(2.0f / static_cast<float>(depth)), seed++);
  }
};

GraphValue addConv(Graph &graph, Weights &weights, const GraphValue &x, const Tensor::Dims &dims,
                   int64_t group = 1) {
  int64_t pad = dims[2] / 2;
  return graph.op("nn.conv",
                  {x, graph.weight(weights.draw(dims)), graph.weight(weights.draw({dims[0]}))},
                  fmt::format("strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = "
                              "array<i64: {0}, {0}, {0}, {0}>, group = {1}",
                              pad, group));
}

GraphValue addGemm(Graph &graph, Weights &weights, const GraphValue &x, int64_t inputs,
                   int64_t outputs) {
  return graph.op(
      "nn.gemm",
      {x, graph.weight(weights.draw({outputs, inputs})), graph.weight(weights.draw({outputs}))},
      "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = true");
}

/// Two convolutions around a residual, a depthwise one, one on a concatenation, pools, a product.
Graph smallCnn(Weights weights) {
  Graph graph;
  GraphValue x = graph.input("2x3x16x16xf32");
  GraphValue stem = graph.op("nn.relu", {addConv(graph, weights, x, {16, 3, 3, 3})});
  GraphValue pooled = graph.op(
      "nn.max_pool", {stem},
      "kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, "
      "pads = array<i64: 0, 0, 0, 0>, ceil_mode = false");
  GraphValue inner = graph.op("nn.relu", {addConv(graph, weights, pooled, {16, 16, 3, 3})});
  GraphValue outer = addConv(graph, weights, inner, {16, 16, 1, 1});
  GraphValue block = graph.op("nn.relu", {graph.op("nn.add", {outer, pooled})});
  GraphValue depthwise = graph.op("nn.relu", {addConv(graph, weights, block, {16, 1, 3, 3}, 16)});
  GraphValue both = graph.op("nn.concat", {block, depthwise}, "axis = 1 : i64");
  GraphValue last = graph.op("nn.relu", {addConv(graph, weights, both, {24, 32, 1, 1})});
  GraphValue mean = graph.op("nn.global_pool mean", {last});
  GraphValue flat = graph.op("nn.flatten", {mean}, "axis = 1 : i64");
  graph.output(addGemm(graph, weights, flat, 24, 10), "scores");
  return graph;
}

/// Layers with a residual, and a product of two computed matrices.
Graph smallMlp(Weights weights) {
  Graph graph;
  GraphValue x = graph.input("5x12xf32");
  GraphValue first = graph.op("nn.relu", {addGemm(graph, weights, x, 12, 40)});
  GraphValue second = addGemm(graph, weights, first, 40, 40);
  GraphValue sum = graph.op("nn.add", {second, first});
  GraphValue across = graph.op("nn.transpose", {sum}, "perm = array<i64: 1, 0>");
  graph.output(graph.op("nn.matmul", {sum, across}), "similarities");
  graph.output(addGemm(graph, weights, sum, 40, 7), "scores");
  return graph;
}

/// What the interpreter gives of the graph with its factors rounded.
std::vector<Tensor> runRounded(const Graph &graph, const std::vector<Tensor> &inputs) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  EXPECT_TRUE(module);
  Status status = passes::optimize(*module, lowered(), passes::Phase::Simplified);
  EXPECT_TRUE(status.isOk()) << status.message();
  return interpreter::interpret(nn::findMain(*module), inputs, {}).take();
}

GraphRun runLowered(const Graph &graph, const std::vector<Tensor> &inputs, int optLevel) {
  auto executable = compileForTest(graph, lowered(optLevel));
  EXPECT_TRUE(executable) << executable.status().message();
  EXPECT_EQ((*executable)->precision(), Precision::BFloat16);
  return runCompiled(*executable, inputs).take();
}

/// The largest error, as a share of the largest magnitude wanted.
double shareOfLargest(const Tensor &wanted, const Tensor &found) {
  double error = 0, largest = 0;
  for (int64_t i = 0; i < wanted.numElements(); ++i) {
    double w = wanted.data<float>()[i];
    error = std::max(error, std::abs(w - double(found.data<float>()[i])));
    largest = std::max(largest, std::abs(w));
  }
  return error / largest;
}

void expectNearModel(const Graph &graph, const std::vector<Tensor> &inputs) {
  std::vector<Tensor> wanted = runInterpreted(graph, inputs).take();
  std::vector<Tensor> found = runLowered(graph, inputs, 3).results;
  for (size_t i = 0; i < wanted.size(); ++i) {
    double share = shareOfLargest(wanted[i], found[i]);
    EXPECT_LT(share, 0.01) << graph.labels()[i];
    EXPECT_GT(share, 1e-5) << graph.labels()[i] << ": nothing was rounded";
  }
}
} // namespace

TEST(PrecisionTest, RoundsWhereThePassSays) {
  for (const Graph &graph : {smallCnn({true}), smallMlp({true})}) {
    std::vector<Tensor> inputs = integerInputs(graph);
    std::vector<Tensor> wanted = runRounded(graph, inputs);
    for (int level : {0, 2, 3}) {
      SCOPED_TRACE(level);
      expectSameTensors(runLowered(graph, inputs, level).results, wanted, graph.labels());
    }
  }
}

TEST(PrecisionTest, IsNearTheModel) {
  expectNearModel(smallCnn({false}), {normalTensor({2, 3, 16, 16}, 1, 77)});
  expectNearModel(smallMlp({false}), {normalTensor({5, 12}, 1, 78)});
}

TEST(PrecisionTest, Float32IsAsEver) {
  Graph graph = smallMlp({false});
  std::vector<Tensor> inputs = {normalTensor({5, 12}, 1, 78)};
  NativeOptions options = lowered();
  options.precision = Precision::Float32;
  auto asked = compileForTest(graph, options), plain = compileForTest(graph);
  expectSameTensors(runCompiled(*asked, inputs)->results, runCompiled(*plain, inputs)->results,
                    graph.labels());
}

// Sizes that only a run tells: the passes run once more on a graph that has its casts already.
TEST(PrecisionTest, RanksThatOnlyARunTells) {
  Graph graph;
  Weights weights{true};
  GraphValue x = graph.input("*xf32");
  GraphValue first =
      graph.op("nn.relu", {graph.op("nn.matmul", {x, graph.weight(weights.draw({12, 20}))})});
  graph.output(graph.op("nn.matmul", {first, graph.weight(weights.draw({20, 5}))}), "product");
  std::vector<Tensor> inputs = {integerTensor(DType::Float32, {4, 12}, 9)};
  Graph same;
  Weights again{true};
  GraphValue y = same.input("4x12xf32");
  GraphValue one =
      same.op("nn.relu", {same.op("nn.matmul", {y, same.weight(again.draw({12, 20}))})});
  same.output(same.op("nn.matmul", {one, same.weight(again.draw({20, 5}))}), "product");
  expectSameTensors(runLowered(graph, inputs, 3).results, runRounded(same, inputs), graph.labels());
}

// The sizes of what a body is given have no names: that of what is rounded of it needs one.
TEST(PrecisionTest, WhatABodyIsGiven) {
  BodyGraph model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<?x4xf32>) -> tensor<*xf32> {
      %none = nn.none
      %w = nn.constant dense<2.0> : tensor<4x4xf32>
      %0 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?x4xf32>):
        %y = nn.matmul %v, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
        nn.yield %c, %y : tensor<i1>, tensor<?x4xf32>
      } : (tensor<i64>, none, tensor<?x4xf32>) -> tensor<*xf32>
      return %0 : tensor<*xf32>
    })mlir");
  std::vector<Tensor> inputs = {Tensor::of<int64_t>({}, {2}),
                                integerTensor(DType::Float32, {3, 4}, 1)};
  auto executable = compileForJit(model.parse().take(), lowered(2));
  ASSERT_TRUE(executable) << executable.status().message();
  auto found = runCompiled(executable.take(), inputs);
  ASSERT_TRUE(found) << found.status().message();
  expectSameTensors(found->results, model.interpret(inputs).take(), {});
}

// Whatever has been spent on making them: rounded in each run, products by them would be slow.
TEST(PrecisionTest, ConstantsAreRoundedBeforeTheRun) {
  Graph graph;
  GraphValue x = graph.input("4x12xf32"), w = graph.constant("dense<2.0>", "12x20xf32");
  graph.output(graph.op("nn.matmul", {x, w}), "product");
  NativeOptions options = lowered();
  options.limits.maxFoldedWork = 1;
  auto executable = compileForTest(graph, options);
  ASSERT_TRUE(executable) << executable.status().message();
  auto run = runCompiled(*executable, integerInputs(graph));
  ASSERT_TRUE(run) << run.status().message();
  EXPECT_EQ(run->steps.size(), 2u) << "the rounding of x, and the product";
}

// What a run rounds and packs pays where rows share it.
TEST(PrecisionTest, NativeCodeRoundsComputedFactorsForManyRows) {
  NativePrecision policy(resolveTarget("znver4").take());
  auto refuses = [&](const char *a, const char *b) {
    Graph graph;
    graph.output(graph.op("nn.matmul", {graph.input(a), graph.input(b)}));
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    auto module = graph.parse(context);
    bool refused = false;
    module->walk([&](nn::MatMulOp op) { refused = policy.refuse(op).has_value(); });
    return refused;
  };
  EXPECT_FALSE(refuses("2x16x8xf32", "2x8x40xf32"));
  EXPECT_TRUE(refuses("2x15x8xf32", "2x8x40xf32"));
  EXPECT_TRUE(refuses("2x?x8xf32", "2x8x40xf32"));
  EXPECT_TRUE(refuses("16xf32", "16x40xf32"));
  EXPECT_TRUE(refuses("*xf32", "8x40xf32"));
}

TEST(PrecisionTest, NativeCodeRoundsAttentionOfManyQueries) {
  NativePrecision policy(resolveTarget("znver4").take());
  auto refuses = [&](const char *query, const char *key) {
    Graph graph;
    GraphValue none = graph.none(), keys = graph.input(key);
    graph.output(graph.op(
        "nn.attention", {graph.input(query), keys, keys, none, none, none, none},
        "query_perm = array<i64: 0, 1, 2, 3>, key_perm = array<i64: 0, 1, 2, 3>, value_perm = "
        "array<i64: 0, 1, 2, 3>, result_perm = array<i64: 0, 1, 2, 3>, scale_factor = 1.0 : f64, "
        "softcap = 0.0 : f64, causal = false, zero_masked_rows = false"));
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    auto module = graph.parse(context);
    bool refused = false;
    module->walk([&](nn::AttentionOp op) { refused = policy.refuse(op).has_value(); });
    return refused;
  };
  EXPECT_FALSE(refuses("1x2x16x8xf32", "1x2x40x8xf32"));
  EXPECT_TRUE(refuses("1x2x1x8xf32", "1x2x40x8xf32"));
  EXPECT_TRUE(refuses("1x2x?x8xf32", "1x2x40x8xf32"));
  const char *same = "1x2x?x8xf32, #nn.dims<\"\", \"\", \"S\", \"\">";
  EXPECT_FALSE(refuses(same, same));
}

// A quarter of the multiplications is less than half of the time for each.
TEST(PrecisionTest, NativeCodeKeepsWhatWinogradIsFasterAt) {
  auto refuses = [](const NativePrecision &policy, const std::string &image, int64_t channels,
                    const std::string &kernel = "3x3", int64_t stride = 1) {
    Graph graph;
    GraphValue weights = graph.weight(fmt::format("{0}x{0}x{1}xf32", channels, kernel));
    graph.output(
        graph.op("nn.conv",
                 {graph.input(fmt::format("1x{}x{}xf32", channels, image)), weights, graph.none()},
                 fmt::format("strides = array<i64: {0}, {0}>, dilations = array<i64: 1, 1>, pads = "
                             "array<i64: 0, 0, 0, 0>, group = 1",
                             stride)));
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    auto module = graph.parse(context);
    bool refused = false;
    module->walk([&](nn::ConvOp op) { refused = policy.refuse(op).has_value(); });
    return refused;
  };
  NativePrecision policy(resolveTarget("znver4").take());
  EXPECT_TRUE(refuses(policy, "58x58", 64));
  EXPECT_TRUE(refuses(policy, "58x58", 64, "5x5"));
  EXPECT_FALSE(refuses(policy, "9x9", 512)) << "transformed weights are large";
  EXPECT_FALSE(refuses(policy, "58x58", 64, "1x1"));
  EXPECT_FALSE(refuses(policy, "58x58", 64, "3x3", 2));
  EXPECT_FALSE(refuses(policy, "?x58", 64)) << "of unknown sizes nobody can tell";
  NativePrecision direct(resolveTarget("znver4").take(), /*hasWinograd=*/false);
  EXPECT_FALSE(refuses(direct, "58x58", 64));
  EXPECT_FALSE(refuses(NativePrecision(resolveTarget("sapphirerapids").take()), "58x58", 64))
      << "tiles of matrices are faster still";
}

namespace {
/// Whether `cpu` computes the one op of a graph in float32.
bool staysFloat32(const Graph &graph, const char *cpu) {
  NativePrecision policy(resolveTarget(cpu, "x86_64-linux-gnu").take());
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  bool refused = false;
  module->walk([&](mlir::Operation *op) {
    if (passes::sumsFloat32(op))
      refused = policy.refuse(op).has_value();
  });
  return refused;
}
} // namespace

// Intel's vectors multiply pairs of bfloat16 at half the rate of float32: there tiles of matrices
// multiply, or few rows wait for weights from memory.
TEST(PrecisionTest, SlowPairsStayFloat32) {
  auto product = [](const char *a, const char *b) {
    Graph graph;
    graph.output(graph.op("nn.matmul", {graph.input(a), graph.weight(b)}));
    return graph;
  };
  auto conv = [](const char *image, const char *weights, int group, int pad) {
    Graph graph;
    graph.output(graph.op("nn.conv", {graph.input(image), graph.weight(weights), graph.none()},
                          fmt::format("strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, "
                                      "pads = array<i64: {0}, {0}, {0}, {0}>, group = {1}",
                                      pad, group)));
    return graph;
  };
  auto transposed = [](const char *image, const char *weights) {
    Graph graph;
    graph.output(graph.op("nn.conv_transpose",
                          {graph.input(image), graph.weight(weights), graph.none()},
                          "strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = "
                          "array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, "
                          "output_shape = array<i64>, group = 1"));
    return graph;
  };
  struct Case {
    Graph graph;
    /// On CPUs with tiles, and on those without; all are bfloat16 where pairs are fast.
    bool tiled, plain;
    const char *what;
  };
  Case cases[] = {
      {product("64x256xf32", "256x64xf32"), false, true, "many rows"},
      {product("?x256xf32", "256x64xf32"), false, true, "rows that only a run tells"},
      {product("1x1x256xf32", "256x64xf32"), false, false, "a row waits for weights"},
      {product("64x8xf32", "8x64xf32"), false, true, "one short step"},
      {conv("1x64x14x14xf32", "64x64x1x1xf32", 1, 0), false, true, "filled blocks"},
      {conv("1x64x14x14xf32", "64x1x3x3xf32", 64, 1), false, false, "depthwise"},
      {conv("1x3x32x32xf32", "32x3x7x7xf32", 1, 3), false, true, "a first layer"},
      {conv("1x24x14x14xf32", "32x24x1x1xf32", 1, 0), false, true, "half a block of each pixel"},
      {conv("1x24x14x14xf32", "32x24x3x3xf32", 1, 1), false, true, "half a block, and a halo"},
      {conv("1x24x14x14xf32", "32x24x3x3xf32", 1, 0), true, true, "half a block without a halo"},
      {conv("1x136x14x14xf32", "136x34x1x1xf32", 4, 0), false, true, "groups that fill no blocks"},
      {conv("1x136x14x14xf32", "80x34x1x1xf32", 4, 0), true, true, "such of few results"},
      {conv("1x128x14x14xf32", "128x32x1x1xf32", 4, 0), false, true, "groups"},
      {transposed("1x64x14x14xf32", "64x32x2x2xf32"), false, true, "transposed"},
      {transposed("1x40x14x14xf32", "40x32x2x2xf32"), true, true, "transposed, half a block"},
  };
  for (const Case &each : cases) {
    SCOPED_TRACE(each.what);
    EXPECT_FALSE(staysFloat32(each.graph, "znver4"));
    EXPECT_EQ(staysFloat32(each.graph, "graniterapids"), each.tiled);
    EXPECT_EQ(staysFloat32(each.graph, "cooperlake"), each.plain);
  }
}

// What is computed on plain images is so in float32, wherever; few results are in blocks where
// tiles multiply them.
TEST(PrecisionTest, SumsOfWindowsStayFloat32) {
  auto transposed = [](const char *image, const char *weights, const char *attributes) {
    Graph graph;
    graph.output(graph.op(
        "nn.conv_transpose", {graph.input(image), graph.weight(weights), graph.none()},
        std::string(attributes) + ", dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, "
                                  "output_padding = array<i64: 0, 0>, output_shape = array<i64>"));
    return graph;
  };
  const char *byTwo = "strides = array<i64: 2, 2>, group = 1";
  for (const char *cpu : {"znver4", "graniterapids"}) {
    EXPECT_FALSE(staysFloat32(transposed("1x64x14x14xf32", "64x32x2x2xf32", byTwo), cpu));
    EXPECT_EQ(staysFloat32(transposed("1x64x14x14xf32", "64x3x2x2xf32", byTwo), cpu),
              cpu == std::string_view("znver4"));
    EXPECT_TRUE(staysFloat32(transposed("1x64x14x14xf32", "64x32x1x1xf32", byTwo), cpu));
    EXPECT_TRUE(staysFloat32(
        transposed("1x64x14x14xf32", "64x32x2x2xf32", "strides = array<i64: 2, 2>, group = 2"),
        cpu));
    EXPECT_TRUE(staysFloat32(
        transposed("1x?x14x14xf32", "64x32x2x2xf32", "strides = array<i64: 2, 2>, group = 2"),
        cpu));
  }
}

// Factors that only a run tells, of odd depth, in batches.
TEST(PrecisionTest, ComputedFactors) {
  Graph graph;
  GraphValue x = graph.input("2x40x9xf32"), y = graph.input("2x9x33xf32");
  graph.output(graph.op("nn.matmul", {x, y}), "batches");
  GraphValue across = graph.op("nn.transpose", {y}, "perm = array<i64: 0, 2, 1>");
  graph.output(graph.op("nn.matmul", {across, y}), "squares");
  GraphValue one = graph.input("20x9xf32"), other = graph.input("9x7xf32");
  graph.output(graph.op("nn.gemm", {one, other, graph.none()},
                        "alpha = 2.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false"),
               "gemm");
  std::vector<Tensor> inputs = integerInputs(graph);
  std::vector<Tensor> wanted = runRounded(graph, inputs);
  for (int level : {0, 3})
    expectSameTensors(runLowered(graph, inputs, level).results, wanted, graph.labels());
}

TEST(PrecisionTest, StepsSayTheirPrecision) {
  Graph graph = smallCnn({true});
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  Explanation found =
      explainPlan(*module, lowered(), std::vector<Tensor::Dims>{{2, 3, 16, 16}}).take();
  EXPECT_EQ(found.products, (std::map<std::string, size_t>{{"bf16", 6}}));
  for (const Refusal &refusal : found.refusals)
    EXPECT_NE(refusal.kind, Refusal::Kind::Precision) << refusal.reason.text;
}
