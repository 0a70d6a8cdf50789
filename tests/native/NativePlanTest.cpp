//===- NativePlanTest.cpp - plans of native kernels -----------------------===//
#include "backends/native/lowering/Lowering.h"
#include "backends/plan/PlanBuilder.h"
#include "tests/native/GraphCheck.h"

#include "ir/Signature.h"
#include "passes/LayoutPolicy.h"
#include "passes/SpecializeInputs.h"

#include <algorithm>

using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
int64_t countSteps(const GraphRun &run, const std::string &kernelPart) {
  return std::count_if(run.steps.begin(), run.steps.end(), [&](const ProfileRow &row) {
    return row.kernel.find(kernelPart) != std::string::npos;
  });
}

std::string axis(int64_t a) { return "axis = " + std::to_string(a); }
} // namespace

TEST(NativePlanTest, ConcatOfConvolutions) {
  Graph graph;
  GraphValue x = graph.input("1x16x5x6xf32");
  auto conv = [&](const GraphValue &input, int64_t channels) {
    return graph.op(
        "nn.conv",
        {input, graph.weight("16x" + std::to_string(channels) + "x3x3xf32"), graph.none()},
        "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, "
        "pads = array<i64: 1, 1, 1, 1>, group = 1");
  };
  GraphValue joined = conv(x, 16);
  for (int64_t channels : {16, 32})
    joined = graph.op("nn.concat", {joined, conv(joined, channels)}, axis(1));
  graph.output(conv(joined, 48));
  GraphRun run = expectExact(graph);
  EXPECT_EQ(countSteps(run, "concat"), 0);
}

TEST(NativePlanTest, EmptyTensors) {
  Graph graph;
  GraphCheck check;
  check.allowReference = true;
  GraphValue x = graph.input("0x3xf32");
  GraphValue y = graph.op("nn.relu", {x});
  graph.output(y, "elementwise");
  graph.output(x, "an input");
  graph.output(graph.op("nn.concat", {y, graph.input("2x3xf32")}, axis(0)), "concat");
  graph.output(graph.op("nn.transpose", {y}, "perm = array<i64: 1, 0>"), "transpose");
  GraphValue image = graph.input("0x16x5x5xf32");
  graph.output(
      graph.op("nn.conv", {image, graph.weight("16x16x3x3xf32"), graph.none()},
               "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, "
               "1, 1, 1>, group = 1"),
      "conv");
  expectExact(graph, check);
}

TEST(NativePlanTest, NewBatchSizes) {
  Graph graph;
  std::string batch = "?x3x8x8xf32, #nn.dims<\"N\", \"\", \"\", \"\">";
  GraphValue x = graph.input(batch);
  GraphValue conv = graph.op(
      "nn.conv", {x, graph.weight("16x3x3x3xf32"), graph.weight("16xf32")},
      "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, "
      "group = 1",
      "*xf32");
  GraphValue flat = graph.op("nn.flatten", {graph.op("nn.relu", {conv})}, axis(1));
  graph.output(graph.op("nn.gemm", {flat, graph.weight("1024x10xf32"), graph.weight("10xf32")},
                        "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false"));
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t n : {1, 3, 6, 2, 1})
    expectExactAt(graph, *executable, {{n, 3, 8, 8}});
}

TEST(NativePlanTest, NewBatchSizeNeedsNoNewKernels) {
  Graph graph;
  GraphValue x = graph.input("?x16x8x8xf32");
  GraphValue conv = graph.op(
      "nn.conv", {x, graph.weight("32x16x3x3xf32"), graph.weight("32xf32")},
      "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, "
      "group = 1");
  graph.output(graph.op("nn.relu", {conv}));
  auto target = resolveTarget("host");
  ASSERT_TRUE(target);
  PackedWeights weights(/*threads=*/1);
  std::set<std::string> keys;
  std::vector<size_t> sizes;
  for (int64_t n : {1, 2, 7}) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    auto module = graph.parse(context);
    ASSERT_TRUE(module);
    mlir::func::FuncOp main = nn::findMain(*module);
    InputSizes inputSizes;
    inputSizes.shapes["input0"] = {n, 16, 8, 8};
    ASSERT_TRUE(passes::specializeInputs(main, inputSizes).isOk());
    mlir::PassManager pm(&context);
    passes::PipelineOptions options;
    options.layouts = std::make_shared<passes::ChannelBlocks>(target->channelBlock());
    passes::buildGraphPipeline(pm, options);
    ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
    main = nn::findMain(*module);
    NativeLowering lowering(*target, 2);
    Limits limits;
    OptimizedGraph optimized(main);
    auto lowered = lowerGraph(optimized, GraphPart::wholeOf(optimized.main()), lowering,
                              ShapeEnvironment(optimized), UnknownSizes::Reference, limits);
    ASSERT_TRUE(lowered) << lowered.status().message();
    auto plan = buildPlan(main, {}, *lowered, lowering, weights, limits);
    ASSERT_TRUE(plan) << plan.status().message();
    for (const KernelSpec &kernel : plan->kernels)
      keys.insert(kernel.key);
    sizes.push_back(keys.size());
  }
  EXPECT_GT(sizes[0], 0u);
  EXPECT_EQ(sizes[0], sizes[1]);
  EXPECT_EQ(sizes[0], sizes[2]);
}

// Splat constants have no lasting address: packed weights must not be mixed up.
TEST(NativePlanTest, NewShapesWithSplatWeights) {
  Graph graph;
  GraphValue x = graph.input("?x64xf32");
  const char *attributes = "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false";
  GraphValue value = x;
  for (const char *number : {"1.0", "-1.0", "2.0", "-2.0"})
    value = graph.op(
        "nn.gemm",
        {value, graph.constant("dense<" + std::string(number) + ">", "64x64xf32"), graph.none()},
        attributes);
  graph.output(value);
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t n : {1, 2, 3, 4})
    expectExactAt(graph, *executable, {{n, 64}});
}

// An epilogue without native code leaves the root native.
TEST(NativePlanTest, GroupWithoutNativeEpilogueIsSplit) {
  Graph graph;
  GraphValue a = graph.input("1x1xf32"), b = graph.input("1x1xf32");
  GraphValue product = graph.op("nn.matmul", {graph.input("2x4x5xf32"), graph.input("5x6xf32")});
  // Read along dimension 1, which matrix products do not serve.
  graph.output(graph.op("nn.add", {product, graph.input("1x4x1xf32")}));
  graph.output(graph.op("nn.add", {a, b}));
  expectExact(graph);
}
