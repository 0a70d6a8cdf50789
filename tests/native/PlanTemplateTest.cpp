//===- PlanTemplateTest.cpp - plans that take over what others decided ----===//
//
// A plan for sizes that come after others is the one that these sizes alone lead to.
//
//===----------------------------------------------------------------------===//
#include "runtime/plan/Plan.h"
#include "tests/native/GraphCheck.h"
#include "tests/plan/AttentionGraph.h"

#include <cstring>

using namespace quern;
using namespace quern::native;

namespace {
using Sizes = std::vector<std::vector<Tensor::Dims>>;

void expectSameStep(const PlanStep &found, const PlanStep &wanted) {
  EXPECT_EQ(found.kernel.str(), wanted.kernel.str());
  EXPECT_EQ(found.nodes.str(), wanted.nodes.str());
  EXPECT_EQ(found.cost.flops, wanted.cost.flops) << found.nodes.str();
  EXPECT_EQ(found.cost.bytes(), wanted.cost.bytes()) << found.nodes.str();
  auto *kernel = found.as<KernelStep>(), *other = wanted.as<KernelStep>();
  ASSERT_EQ(!kernel, !other);
  if (!kernel)
    return;
  EXPECT_EQ(kernel->dims, other->dims) << found.nodes.str();
  EXPECT_EQ(kernel->tasks, other->tasks) << found.nodes.str();
  EXPECT_EQ(kernel->grain, other->grain) << found.nodes.str();
  EXPECT_EQ(kernel->scratchBytes, other->scratchBytes) << found.nodes.str();
  ASSERT_EQ(kernel->buffers.size(), other->buffers.size());
  for (size_t i = 0; i < kernel->buffers.size(); ++i) {
    const BufferRef &a = kernel->buffers[i], &b = other->buffers[i];
    EXPECT_EQ(a.space, b.space) << found.nodes.str() << ", buffer " << i;
    EXPECT_EQ(a.index, b.index) << found.nodes.str() << ", buffer " << i;
    if (a.space != BufferRef::Space::Arena) // which may be planned for more
      EXPECT_EQ(a.offset, b.offset) << found.nodes.str() << ", buffer " << i;
  }
}

void expectSamePlan(const Plan &found, const Plan &wanted) {
  ASSERT_EQ(found.steps.size(), wanted.steps.size());
  for (size_t i = 0; i < found.steps.size(); ++i)
    expectSameStep(found.steps[i], wanted.steps[i]);
  EXPECT_EQ(found.weights.size(), wanted.weights.size());
  EXPECT_EQ(found.ownWeightBytes, wanted.ownWeightBytes);
  for (size_t i = 0; i < found.outputs.size(); ++i) {
    EXPECT_EQ(found.outputs[i].dims, wanted.outputs[i].dims);
    EXPECT_EQ(found.outputs[i].updates, wanted.outputs[i].updates);
  }
}

/// Runs all sizes, one after the other, and each in an executable of its own.
void expectPlansOfTheirSizes(const Graph &graph, const Sizes &sizes) {
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (const std::vector<Tensor::Dims> &dims : sizes) {
    auto alone = compileForTest(graph);
    ASSERT_TRUE(alone) << alone.status().message();
    expectExactAt(graph, *executable, dims);
    auto found = (*executable)->findPlan(dims, Deadline());
    auto wanted = (*alone)->findPlan(dims, Deadline());
    ASSERT_TRUE(found && wanted);
    expectSamePlan(**found, **wanted);
  }
}
} // namespace

TEST(PlanTemplateTest, LayersThatAreAlike) {
  Graph graph;
  GraphValue x = graph.input("?x8xf32");
  for (int layer = 0; layer < 2; ++layer) {
    GraphValue wide = graph.op("nn.relu", {graph.op("nn.matmul", {x, graph.weight("8x8xf32")})});
    x = graph.op("nn.abs", {graph.op("nn.matmul", {wide, graph.weight("8x8xf32")})});
  }
  graph.output(x);
  Sizes sizes;
  for (int64_t rows : {5, 6, 40, 7, 1, 200, 39, 41})
    sizes.push_back({{rows, 8}});
  expectPlansOfTheirSizes(graph, sizes);
}

TEST(PlanTemplateTest, AttentionWhoseEpilogueDependsOnTheBatch) {
  Sizes sizes;
  for (int64_t batch : {1, 2, 1, 3})
    for (int64_t length : {4, 5, 9, 1, 30})
      sizes.push_back({{batch, length, 8}, {batch, length, 8}});
  expectPlansOfTheirSizes(test::attentionOfOpenSizes(), sizes);
}

// A cache that grows: what is fixed keeps its steps.
TEST(PlanTemplateTest, AGrowingCache) {
  Graph graph;
  GraphValue past = graph.input("4x?x16xf32"), now = graph.input("4x1x16xf32");
  GraphValue all = graph.op("nn.concat", {past, graph.op("nn.abs", {now})}, "axis = 1");
  GraphValue key = graph.op("nn.transpose", {all}, "perm = array<i64: 0, 2, 1>");
  graph.output(
      graph.op("nn.matmul", {graph.op("nn.matmul", {graph.op("nn.relu", {now}), key}), all}));
  graph.output(all);
  Sizes sizes;
  for (int64_t length : {3, 4, 5, 6, 20, 0, 1, 63, 64, 65})
    sizes.push_back({{4, length, 16}, {4, 1, 16}});
  expectPlansOfTheirSizes(graph, sizes);
}

// Concatenations lie where their operands are made: at other offsets for other sizes, and nowhere
// else where an outer dimension is 1 no more.
TEST(PlanTemplateTest, ConcatenationsMove) {
  Graph graph;
  GraphValue x = graph.input("?x?x4xf32"), y = graph.input("?x?x4xf32");
  GraphValue joined =
      graph.op("nn.concat", {graph.op("nn.relu", {x}), graph.op("nn.abs", {y})}, "axis = 1");
  graph.output(graph.op("nn.matmul", {joined, graph.weight("4x8xf32")}));
  Sizes sizes;
  for (int64_t outer : {1, 2, 1})
    for (int64_t length : {3, 8, 4})
      sizes.push_back({{outer, length, 4}, {outer, 2 * length, 4}});
  for (const auto &dims : sizes)
    ASSERT_EQ(dims.size(), 2u);
  expectPlansOfTheirSizes(graph, sizes);
}

// Positions are known before a run while they are few; what a group computes of them, too.
TEST(PlanTemplateTest, ElementsThatAreKnownForSomeSizes) {
  Graph graph;
  GraphValue x = graph.input("?x4xf32");
  GraphValue shape = graph.op("nn.shape", {x}, "start = 0 : i64", "2xi64");
  GraphValue rows = graph.op("nn.gather", {shape, graph.ints({0})}, "axis = 0", "1xi64");
  GraphValue ones = graph.op("nn.expand", {graph.constant("dense<1>", "1xi64"), rows}, "", "?xi64");
  GraphValue twice = graph.op("nn.add", {graph.op("nn.mul", {ones, ones}), ones});
  graph.output(graph.op("nn.abs", {x}));
  graph.output(graph.op("nn.mul", {twice, graph.op("nn.neg", {ones})}));
  Sizes sizes;
  for (int64_t length : {3, 5, 60, 70, 80, 4, 90})
    sizes.push_back({{length, 4}});
  expectPlansOfTheirSizes(graph, sizes);
}
