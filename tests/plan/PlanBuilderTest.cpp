//===- PlanBuilderTest.cpp - places of values, outputs --------------------===//
#include "tests/plan/FakeBackend.h"

#include <algorithm>

using namespace quern;
using namespace quern::test;

namespace {
int64_t countSteps(const std::vector<ProfileRow> &steps, const std::string &kernelPart) {
  return std::count_if(steps.begin(), steps.end(), [&](const ProfileRow &row) {
    return row.kernel.find(kernelPart) != std::string::npos;
  });
}

std::string axis(int64_t a) { return "axis = " + std::to_string(a); }

/// A step of its own: nothing fuses with it.
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
  std::vector<ProfileRow> steps = expectExact(graph);
  EXPECT_EQ(steps.size(), 3u);
  EXPECT_EQ(countSteps(steps, "concat"), 0);
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
        FakeBackend backend;
        backend.options.optLevel = level;
        expectExact(graph, backend);
      }
    }
}

TEST(PlanBuilderTest, ConcatThatIsAnOutput) {
  Graph graph;
  GraphValue x = graph.input("1x3x4xf32");
  GraphValue a = transposed(graph, x);
  GraphValue joined = graph.op("nn.concat", {a, graph.op("nn.neg", {a})}, axis(1));
  graph.output(joined);
  std::vector<ProfileRow> steps = expectExact(graph);
  EXPECT_EQ(steps.size(), 2u);
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
    FakeBackend backend;
    backend.options.optLevel = level;
    expectExact(graph, backend);
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
  std::vector<ProfileRow> steps = expectExact(graph);
  EXPECT_EQ(countSteps(steps, "concat"), 0);
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
  EXPECT_EQ(expectExact(graph).size(), 1u);
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
  auto executable = FakeBackend().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t size : {4, 0, 9}) {
    std::vector<Tensor> inputs = {Tensor::of<int64_t>({}, {size})};
    expectSame(graph, *executable, inputs);
  }
}

TEST(PlanBuilderTest, StringsAreMoved) {
  Graph graph;
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
  expectExact(graph);
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

static void expectCost(const std::vector<ProfileRow> &steps, const std::string &kernel,
                       const StepCost &wanted) {
  auto row = std::find_if(steps.begin(), steps.end(),
                          [&](const ProfileRow &each) { return each.kernel == kernel; });
  ASSERT_NE(row, steps.end()) << kernel;
  EXPECT_EQ(row->cost.flops, wanted.flops) << kernel;
  EXPECT_EQ(row->cost.bytesRead, wanted.bytesRead) << kernel;
  EXPECT_EQ(row->cost.bytesWritten, wanted.bytesWritten) << kernel;
}

// Whether a kernel, a reference kernel or a copy of the plan does it.
TEST(PlanBuilderTest, StepsCostWhatTheirOpsDo) {
  Graph graph;
  GraphValue x = graph.input("2x3xf32");
  GraphValue turned = graph.op("nn.transpose", {x}, "perm = array<i64: 1, 0>");
  graph.output(graph.op("nn.softmax", {turned}, "axis = 1, trailing = false"));
  graph.output(x, "an input");
  FakeBackend backend;
  backend.lowering->without.insert("nn.softmax");
  std::vector<ProfileRow> steps = expectExact(graph, backend);
  EXPECT_EQ(steps.size(), 3u);
  expectCost(steps, "fake nn.transpose", {0, 24, 24});
  expectCost(steps, "nn.softmax", {5 * 6, 24, 24});
  expectCost(steps, "copy", {0, 24, 24});
}

TEST(PlanBuilderTest, StepsShareTheCostOfTheirOp) {
  Graph graph;
  GraphValue x = graph.input("10x8xf32");
  graph.output(graph.op("nn.scatter_elements none",
                        {x, graph.constant("dense<3>", "2x8xi64"), graph.input("2x8xf32")},
                        "axis = 0"));
  graph.output(graph.op("nn.neg", {x}), "a later reader of the operand");
  std::vector<ProfileRow> steps = expectExact(graph);
  expectCost(steps, "copy", {0, 0, 0});
  expectCost(steps, "fake nn.scatter_elements", {0, 16 * (8 + 4), 16 * 4});
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

TEST(PlanBuilderTest, ChainReusesMemory) {
  Graph graph;
  GraphValue value = graph.input("1x64x64xf32");
  for (int i = 0; i < 10; ++i)
    value = transposed(graph, value);
  graph.output(graph.op("nn.add", {value, graph.input("1x64x64xf32")}));
  FakeBackend backend;
  backend.options.optLevel = 0; // nothing may cancel out
  expectExact(graph, backend);
  auto executable = backend.compile(graph);
  ASSERT_TRUE(executable);
  std::vector<Tensor::Dims> dims = {{1, 64, 64}, {1, 64, 64}};
  auto plan = (*executable)->findPlan(dims);
  ASSERT_TRUE(plan);
  EXPECT_LE((*plan)->arenaBytes, 2 * 64 * 64 * 4);
  EXPECT_GT((*plan)->arenaBytes, 0);
}

TEST(PlanBuilderTest, ArenaLimit) {
  Graph graph;
  GraphValue value = transposed(graph, graph.input("1x64x64xf32"));
  graph.output(graph.op("nn.matmul", {value, value}));
  FakeBackend backend;
  backend.options.limits.maxActivationBytes = 1000;
  auto executable = backend.compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  std::vector<Tensor::Dims> dims = {{1, 64, 64}};
  EXPECT_EQ((*executable)->findPlan(dims).status().code(), StatusCode::ResourceLimit);
}
