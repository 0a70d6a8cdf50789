//===- PlanBuilderTest.cpp - places of values, outputs, re-planning -------===//
#include "backends/plan/PlanBuilder.h"
#include "backends/native/lowering/Lowering.h"
#include "tests/native/GraphCheck.h"

#include "ir/Signature.h"
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

/// A kernel of its own: nothing fuses with it.
GraphValue transposed(Graph &graph, const GraphValue &x) {
  return graph.op("nn.transpose", {x}, "perm = array<i64: 0, 2, 1>");
}
} // namespace

//===----------------------------------------------------------------------===//
// Concatenation
//===----------------------------------------------------------------------===//

TEST(PlanBuilderTest, ConcatOperandsAreWrittenInPlace) {
  Graph graph;
  GraphValue x = graph.input("1x3x4xf32");
  GraphValue a = transposed(graph, x);
  GraphValue b = graph.op("nn.neg", {a});
  GraphValue joined = graph.op("nn.concat", {a, b}, axis(1));
  // Not an output itself, so that it lies in the arena.
  graph.output(transposed(graph, joined));
  GraphRun run = expectExact(graph);
  EXPECT_EQ(run.steps.size(), 3u);
  EXPECT_EQ(countSteps(run, "concat"), 0);
}

TEST(PlanBuilderTest, ConcatsOfTheSameOperands) {
  Graph graph;
  GraphValue x = graph.input("1x3x4xf32");
  GraphValue a = transposed(graph, x), b = graph.op("nn.neg", {a});
  graph.output(transposed(graph, graph.op("nn.concat", {a, b}, axis(1))), "a, b");
  graph.output(transposed(graph, graph.op("nn.concat", {b, a}, axis(1))), "b, a");
  expectExact(graph);
}

TEST(PlanBuilderTest, ConcatAlongAnAxisCountedFromTheEnd) {
  // Operands that lie one after the other, and operands that interleave.
  for (std::string type : {"1x3x4xf32", "2x3x4xf32", "2x1x4xf32"})
    for (int64_t a : {-3, -2, -1}) {
      SCOPED_TRACE(type + " " + axis(a));
      Graph graph;
      GraphValue x = graph.input(type), y = graph.input(type);
      std::vector<GraphValue> computed = {graph.op("nn.relu", {x}), graph.op("nn.neg", {y})};
      graph.output(graph.op("nn.concat", computed, axis(a)));
      for (int level : {0, 1, 2, 3}) {
        GraphCheck check;
        check.options.optLevel = level;
        expectExact(graph, check);
      }
    }
}

TEST(PlanBuilderTest, ConcatThatIsAnOutput) {
  Graph graph;
  GraphValue x = graph.input("1x3x4xf32");
  GraphValue a = transposed(graph, x);
  GraphValue joined = graph.op("nn.concat", {a, graph.op("nn.neg", {a})}, axis(1));
  graph.output(joined);
  GraphRun run = expectExact(graph);
  EXPECT_EQ(run.steps.size(), 2u);
}

// Both are alive at the end and must not overlap.
TEST(PlanBuilderTest, TwoConcatsHaveStorage) {
  for (int level = 0; level <= 3; ++level) {
    Graph graph;
    GraphValue x = graph.input("1x4x8xf32"), c = graph.weight("1x4x1xf32");
    GraphValue sums =
        graph.op("nn.concat", {graph.op("nn.add", {x, c}), graph.op("nn.mul", {x, c})}, axis(1));
    GraphValue others =
        graph.op("nn.concat", {graph.op("nn.sub", {x, c}), graph.op("nn.max", {x, c})}, axis(1));
    graph.output(graph.op("nn.mul", {sums, others}), "level " + std::to_string(level));
    GraphCheck check;
    check.options.optLevel = level;
    expectExact(graph, check);
  }
}

TEST(PlanBuilderTest, NestedConcats) {
  Graph graph;
  GraphValue x = graph.input("1x3x4xf32");
  GraphValue joined = transposed(graph, x);
  // As in a dense block: each result is read by all that follow.
  for (int i = 0; i < 4; ++i) {
    GraphValue next =
        graph.op("nn.matmul", {graph.input("1x2x" + std::to_string(4 + 2 * i) + "xf32"), joined});
    joined = graph.op("nn.concat", {joined, next}, axis(1));
  }
  graph.output(transposed(graph, joined));
  GraphRun run = expectExact(graph);
  EXPECT_EQ(countSteps(run, "concat"), 0);
}

TEST(PlanBuilderTest, ConcatsThatNeedCopies) {
  Graph graph;
  GraphValue x = graph.input("1x3x4xf32"), y = graph.input("2x3x4xf32");
  GraphValue a = transposed(graph, x), b = transposed(graph, y);
  graph.output(transposed(graph, graph.op("nn.concat", {a, a}, axis(1))), "an operand twice");
  graph.output(transposed(graph, graph.op("nn.concat", {x, x, x}, axis(2))), "inputs");
  graph.output(transposed(graph, graph.op("nn.concat", {b, b}, axis(1))), "not adjacent");
  GraphValue c = graph.op("nn.abs", {a});
  graph.output(c, "an operand that is an output");
  graph.output(transposed(graph, graph.op("nn.concat", {c, graph.op("nn.neg", {a})}, axis(1))),
               "with an output");
  GraphValue w = graph.weight("1x2x3xf32");
  graph.output(transposed(graph, graph.op("nn.concat", {w, a}, axis(1))), "a weight");
  GraphValue d = graph.op("nn.abs", {transposed(graph, x)});
  GraphValue first = graph.op("nn.concat", {d, a}, axis(1));
  GraphValue second = graph.op("nn.concat", {a, d}, axis(1));
  graph.output(transposed(graph, first), "shared by two, first");
  graph.output(transposed(graph, second), "shared by two, second");
  expectExact(graph);
}

TEST(PlanBuilderTest, ConcatOfReshapedOperands) {
  Graph graph;
  GraphValue x = graph.input("3x4xf32");
  GraphValue a = graph.op("nn.transpose", {x}, "perm = array<i64: 1, 0>");
  GraphValue flatA = graph.op("nn.flatten", {a}, axis(0));
  GraphValue flatB = graph.op("nn.flatten", {graph.op("nn.neg", {a})}, axis(0));
  GraphValue joined = graph.op("nn.concat", {flatA, flatB}, axis(1));
  GraphValue shape = graph.constant("dense<[6, 4]>", "2xi64");
  graph.output(graph.op("nn.transpose",
                        {graph.op("nn.reshape", {joined, shape}, "allowzero = false")},
                        "perm = array<i64: 1, 0>"));
  expectExact(graph);
}

TEST(PlanBuilderTest, ConcatOfConvolutions) {
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

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

TEST(PlanBuilderTest, OutputsWithoutStorageOfTheirOwn) {
  Graph graph;
  GraphValue x = graph.input("2x3xf32");
  GraphValue shape = graph.constant("dense<[3, 2]>", "2xi64");
  GraphValue a = graph.op("nn.relu", {x});
  graph.output(x, "an input");
  graph.output(graph.op("nn.reshape", {x, shape}, "allowzero = false"), "a reshaped input");
  graph.output(graph.weight("3x5xf32"), "a weight");
  graph.output(shape, "a constant");
  graph.output(a, "a value");
  graph.output(a, "the same value");
  graph.output(graph.op("nn.reshape", {a, shape}, "allowzero = false"), "the same, reshaped");
  graph.output(graph.op("nn.neg", {a}), "a user of it");
  expectExact(graph);
}

TEST(PlanBuilderTest, ReshapedOutputIsNotCopied) {
  Graph graph;
  GraphValue x = graph.input("2x3xf32");
  graph.output(graph.op("nn.flatten", {graph.op("nn.relu", {x})}, axis(0)));
  EXPECT_EQ(expectExact(graph).steps.size(), 1u);
}

TEST(PlanBuilderTest, UnusedResultsAndInputs) {
  Graph graph;
  GraphValue x = graph.input("4x6xf32");
  graph.input("5xf32");
  std::vector<GraphValue> parts =
      graph.multi("nn.split", {x, graph.constant("dense<[1, 2, 3]>", "3xi64")}, axis(1), 3);
  graph.output(graph.op("nn.neg", {parts[1]}));
  expectExact(graph);
}

TEST(PlanBuilderTest, OnlyCopies) {
  Graph graph;
  graph.output(graph.input("7xf32"));
  expectExact(graph);
}

TEST(PlanBuilderTest, EmptyTensors) {
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

//===----------------------------------------------------------------------===//
// Values without a fixed place
//===----------------------------------------------------------------------===//

TEST(PlanBuilderTest, SizesKnownOnlyAtRunTime) {
  Graph graph;
  GraphValue one = graph.constant("dense<1>", "i64"), zero = graph.constant("dense<0>", "i64");
  GraphValue limit = graph.input("i64");
  GraphValue numbers = graph.op("nn.range", {zero, limit, one}, "", "?xi64");
  GraphValue next = graph.op("nn.add", {numbers, one}, "", "?xi64");
  graph.output(next, "numbers");
  graph.output(
      graph.op("nn.mul", {graph.op("nn.shape", {next}, "start = 0", "1xi64"), one}, "", "1xi64"),
      "their shape");
  graph.output(numbers, "used and returned");
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t size : {4, 0, 9}) {
    std::vector<Tensor> inputs = {Tensor::of<int64_t>({}, {size})};
    auto wanted = runInterpreted(graph, inputs);
    ASSERT_TRUE(wanted) << wanted.status().message();
    auto run = runCompiled(*executable, inputs);
    ASSERT_TRUE(run) << run.status().message();
    expectSameTensors(run->results, *wanted, graph.labels());
    EXPECT_EQ(run->results[0].dim(0), size);
  }
}

TEST(PlanBuilderTest, StringsAreMoved) {
  Graph graph;
  GraphCheck check;
  check.allowReference = true;
  GraphValue x = graph.input("3x!nn.string");
  GraphValue y = graph.input("2x!nn.string");
  GraphValue joined =
      graph.op("nn.concat", {x, y, graph.constant("dense<[\"c\", \"d\"]>", "2x!nn.string")},
               axis(0), "7x!nn.string");
  graph.output(joined, "concat");
  graph.output(graph.op("nn.equal", {x, x}, "", "3xi1"), "equal");
  graph.output(x, "an input");
  graph.output(graph.constant("dense<[\"e\", \"f\"]>", "2x!nn.string"), "a constant");
  graph.output(joined, "a value twice");
  expectExact(graph, check);
}

//===----------------------------------------------------------------------===//
// Memory and kernels
//===----------------------------------------------------------------------===//

TEST(PlanBuilderTest, ChainReusesMemory) {
  Graph graph;
  GraphValue value = graph.input("1x64x64xf32");
  for (int i = 0; i < 10; ++i)
    value = transposed(graph, value);
  graph.output(graph.op("nn.add", {value, graph.input("1x64x64xf32")}));
  GraphCheck check;
  check.options.optLevel = 0; // nothing may cancel out
  expectExact(graph, check);
  auto executable = compileForTest(graph, check.options);
  ASSERT_TRUE(executable);
  std::vector<Tensor::Dims> dims = {{1, 64, 64}, {1, 64, 64}};
  auto plan = (*executable)->findPlan(dims);
  ASSERT_TRUE(plan);
  EXPECT_LE((*plan)->arenaBytes, 2 * 64 * 64 * 4);
  EXPECT_GT((*plan)->arenaBytes, 0);
}

TEST(PlanBuilderTest, NewBatchSizes) {
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

TEST(PlanBuilderTest, NewBatchSizeNeedsNoNewKernels) {
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
    options.block = target->channelBlock();
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
TEST(PlanBuilderTest, NewShapesWithSplatWeights) {
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
TEST(PlanBuilderTest, GroupWithoutNativeEpilogueIsSplit) {
  Graph graph;
  GraphValue a = graph.input("1x1xf32"), b = graph.input("1x1xf32");
  GraphValue product = graph.op("nn.matmul", {graph.input("2x4x5xf32"), graph.input("5x6xf32")});
  // Read along dimension 1, which matrix products do not serve.
  graph.output(graph.op("nn.add", {product, graph.input("1x4x1xf32")}));
  graph.output(graph.op("nn.add", {a, b}));
  expectExact(graph);
}

TEST(PlanBuilderTest, ArenaLimit) {
  Graph graph;
  GraphValue value = transposed(graph, graph.input("1x64x64xf32"));
  graph.output(graph.op("nn.matmul", {value, value}));
  CompileOptions options;
  options.limits.maxActivationBytes = 1000;
  auto executable = compileForTest(graph, options);
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.status().code(), StatusCode::ResourceLimit);
}
