//===- GraphFamilyTest.cpp - variants of a graph, and all plans of one ----===//
#include "backends/plan/PlanTree.h"
#include "ir/OutlinedOps.h"
#include "tests/plan/FakeBackend.h"

#include <thread>

using namespace quern;
using namespace quern::plan;
using namespace quern::test;

namespace {
/// Two groups.
Graph twoGroups() {
  Graph graph;
  GraphValue x = graph.input("?x4xf32");
  auto group = [&](const GraphValue &value) {
    return graph.op("nn.abs", {graph.op("nn.neg", {value})});
  };
  GraphValue turned = graph.op("nn.transpose", {group(x)}, "perm = array<i64: 1, 0>", "4x?xf32");
  graph.output(group(turned));
  return graph;
}

std::vector<mlir::Operation *> groupsOf(const FrozenGraph &graph) {
  std::vector<mlir::Operation *> groups;
  for (const OptimizedGraph::Node &node : graph.get().nodes())
    if (mlir::isa<nn::GroupOp>(node.op))
      groups.push_back(node.op);
  return groups;
}

/// A graph from text, as bodies need it.
Expected<std::shared_ptr<GraphFamily>> parseFamily(const std::string &text) {
  nn::OwnedModule source = nn::OwnedModule::create();
  source.module = mlir::parseSourceString<mlir::ModuleOp>(text, source.context.get());
  if (!source.module)
    return invalidModel("the test's graph does not parse");
  return GraphFamily::create(std::move(source), {});
}
} // namespace

TEST(GraphFamilyTest, OneVariantForTheSameGroups) {
  auto family = FakeBackend().family(twoGroups());
  ASSERT_TRUE(family) << family.status().message();
  SharedGraph graph = (*family)->graphFor({}, Deadline()).take();
  EXPECT_EQ((*family)->graphFor({}, Deadline()).take(), graph);
  std::vector<mlir::Operation *> groups = groupsOf(*graph);
  ASSERT_EQ(groups.size(), 2u);
  auto first = (*family)->cutGroups(graph, {{groups[0]}});
  ASSERT_TRUE(first) << first.status().message();
  EXPECT_EQ(groupsOf(**first).size(), 1u);
  EXPECT_EQ(groupsOf(*graph).size(), 2u) << "the graph itself does not change";
  EXPECT_EQ((*family)->cutGroups(graph, {{groups[0]}}).take(), *first);
  auto second = (*family)->cutGroups(graph, {{groups[1]}});
  ASSERT_TRUE(second) << second.status().message();
  EXPECT_NE(*second, *first);
}

TEST(GraphFamilyTest, ThreadsGetOneVariant) {
  auto family = FakeBackend().family(twoGroups());
  ASSERT_TRUE(family) << family.status().message();
  SharedGraph graph = (*family)->graphFor({}, Deadline()).take();
  std::vector<mlir::Operation *> groups = groupsOf(*graph);
  std::vector<SharedGraph> found(8);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < found.size(); ++t)
    threads.emplace_back([&, t] {
      auto variant = (*family)->cutGroups(graph, {{groups[t % 2]}});
      ASSERT_TRUE(variant) << variant.status().message();
      found[t] = *variant;
    });
  for (std::thread &thread : threads)
    thread.join();
  for (size_t t = 2; t < found.size(); ++t)
    EXPECT_EQ(found[t], found[t - 2]);
}

// Where even ranks are unknown, the passes run once more for the sizes at hand.
TEST(GraphFamilyTest, SizesDecideWhereRanksAreUnknown) {
  Graph graph;
  GraphValue x = graph.input("*xf32");
  graph.output(graph.op("nn.neg", {x}, "", "*xf32"));
  auto family = FakeBackend().family(graph);
  ASSERT_TRUE(family) << family.status().message();
  EXPECT_FALSE((*family)->isGeneral());
  for (Tensor::Dims dims : {Tensor::Dims{3}, Tensor::Dims{2, 5}}) {
    std::vector<KnownValue> arguments = {{dims}};
    auto made = (*family)->graphFor(arguments, Deadline());
    ASSERT_TRUE(made) << made.status().message();
    auto type = (*made)->get().main().getResultTypes().front();
    EXPECT_EQ(mlir::cast<mlir::RankedTensorType>(type).getShape().vec(), dims);
  }
}

// The branch that no run can take is none that planning fails for.
TEST(PlanTreeTest, BodiesAreForTheSizesOfTheirOperands) {
  auto family = parseFamily(R"(
    func.func @main(%c: tensor<i1> {nn.name = "c"}, %x: tensor<?x3xf32> {nn.name = "x"})
        -> tensor<?x?xf32> {
      %y = nn.if %c {
        %0 = nn.neg %x : (tensor<?x3xf32>) -> tensor<?x3xf32>
        nn.yield %0 : tensor<?x3xf32>
      } else {
        %0 = nn.matmul %x, %x : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
        nn.yield %0 : tensor<?x3xf32>
      } : (tensor<i1>) -> tensor<?x?xf32>
      return %y : tensor<?x?xf32>
    })");
  ASSERT_TRUE(family) << family.status().message();
  for (int64_t rows : {3, 5}) {
    auto instantiator = FakeBackend().instantiator();
    std::vector<Tensor::Dims> dims = {{}, {rows, 3}};
    auto lowered = lowerTree(**family, knownSizes((*family)->main(), dims), UnknownSizes::Reference,
                             *instantiator, Deadline());
    ASSERT_TRUE(lowered) << lowered.status().message();
    auto tree = buildTree(**family, *lowered, *instantiator, Deadline());
    ASSERT_TRUE(tree) << tree.status().message();
    ASSERT_EQ(tree->bodies.size(), 1u);
    const std::vector<PlanTree> &branches = tree->bodies.front();
    ASSERT_EQ(branches.size(), 2u);
    EXPECT_EQ(branches[0].plan.plan.outputs.front().dims, (Tensor::Dims{rows, 3}));
    // [5, 3] times [5, 3] is no product.
    EXPECT_EQ(branches[1].broken.isOk(), rows == 3) << branches[1].broken.message();
    int plans = 0;
    visitPlans(*tree, [&](const UnlinkedPlan &) { ++plans; });
    EXPECT_EQ(plans, rows == 3 ? 3 : 2);
  }
}
