//===- InstantiationTest.cpp - plans for new sizes from one graph ---------===//
//
// The graph passes have run once, on symbolic sizes; every set of input sizes gets
// its plan from what they left.
//
//===----------------------------------------------------------------------===//
#include "tests/plan/AttentionGraph.h"
#include "tests/plan/FakeBackend.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <thread>

using namespace quern;
using namespace quern::test;

namespace {
std::vector<Tensor> inputsOf(const Graph &graph, int64_t batch, int64_t length) {
  return integerInputs(graph, {{batch, length, 8}, {batch, length, 8}});
}

/// Refuses the product with its residual where that is read along the batch.
FakeBackend residualOfOneBatch() {
  FakeBackend backend;
  backend.lowering->refuse = [](mlir::Operation *group, const plan::ShapeEnvironment &values) {
    bool isLarge = values.sizesOf(group->getResult(0)).front() > 1;
    return group->getNumOperands() > 2 && isLarge ? "another residual for each batch" : "";
  };
  return backend;
}
} // namespace

TEST(InstantiationTest, EverySizeOfOneGraph) {
  Graph graph = attentionOfOpenSizes();
  auto executable = residualOfOneBatch().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t batch : {1, 2, 3, 1})
    for (int64_t length : {1, 2, 7, 16})
      for (const ProfileRow &step : expectSame(graph, *executable, inputsOf(graph, batch, length)))
        EXPECT_FALSE(step.reference) << step.nodes << " (" << step.kernel << ")";
}

// A plan of other sizes asks for no other kernels.
TEST(InstantiationTest, SizesShareKernels) {
  Graph graph = attentionOfOpenSizes();
  FakeBackend backend;
  auto executable = backend.compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  expectSame(graph, *executable, inputsOf(graph, 1, 4));
  std::set<std::string> first = backend.linker->keys();
  EXPECT_GT(first.size(), 2u);
  expectSame(graph, *executable, inputsOf(graph, 3, 9));
  EXPECT_EQ(backend.linker->keys(), first);
}

/// Eight threads run sizes of their own, and some that others bring, too.
static void expectSameOfThreads(const FakeBackend &backend) {
  Graph graph = attentionOfOpenSizes();
  auto executable = backend.compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  constexpr int64_t kThreads = 8, kLengths = 6;
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < kLengths; ++i)
        expectSame(graph, *executable, inputsOf(graph, 1 + t % 3, 1 + (i * 5 + t) % 17));
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST(InstantiationTest, EightThreadsBringNewShapes) { expectSameOfThreads(residualOfOneBatch()); }

TEST(InstantiationTest, EightThreadsFillOneTemplate) { expectSameOfThreads(FakeBackend()); }

// Two threads are in the middle of lowering at once, of sizes for which the groups are split: no
// lock is held then.
TEST(InstantiationTest, ThreadsPlanSideBySide) {
  Graph graph = attentionOfOpenSizes();
  FakeBackend backend = residualOfOneBatch();
  auto executable = backend.compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  std::mutex mutex;
  std::condition_variable changed;
  int here = 0;
  bool haveMet = false;
  backend.lowering->onLower = [&](mlir::Operation *) {
    std::unique_lock lock(mutex);
    haveMet |= ++here == 2;
    changed.notify_all();
    changed.wait_for(lock, std::chrono::seconds(30), [&] { return haveMet; });
    --here;
  };
  std::vector<std::thread> threads;
  for (int64_t batch : {2, 3})
    threads.emplace_back([&, batch] {
      std::vector<Tensor::Dims> dims = {{batch, 5, 8}, {batch, 5, 8}};
      auto plan = (*executable)->findPlan(dims);
      EXPECT_TRUE(plan) << plan.status().message();
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_TRUE(haveMet);
}

// Two symbols that a model never says are equal: the sizes of a run decide.
TEST(InstantiationTest, SizesThatContradictARuleAreAnError) {
  Graph graph;
  graph.output(graph.op("nn.matmul", {graph.input("2x?xf32"), graph.input("?x3xf32")}));
  auto executable = FakeBackend().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  expectSame(graph, *executable, integerInputs(graph, {{2, 5}, {5, 3}}));
  std::vector<Tensor::Dims> dims = {{2, 5}, {4, 3}};
  Status status = (*executable)->findPlan(dims).status();
  EXPECT_EQ(status.code(), StatusCode::InvalidInput);
  EXPECT_NE(status.message().find("(nn.matmul): 'nn.matmul' op the inner dimension of b must be 5, "
                                  "found 4"),
            std::string::npos)
      << status.message();
}

// torchvision's DenseNet: each layer concatenates the features of all before.
TEST(InstantiationTest, ConcatsOfOnePrefixShareItsMemory) {
  Graph graph;
  std::vector<GraphValue> features = {graph.op("nn.relu", {graph.input("1x4x3x3xf32")})};
  for (int layer = 0; layer < 6; ++layer) {
    GraphValue joined = graph.op("nn.concat", features, "axis = 1");
    features.push_back(graph.op(
        "nn.conv",
        {graph.op("nn.relu", {joined}),
         graph.weight("4x" + std::to_string(4 * (layer + 1)) + "x1x1xf32"), graph.none()},
        "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, "
        "group = 1"));
  }
  graph.output(graph.op("nn.relu", {graph.op("nn.concat", features, "axis = 1")}));
  std::vector<ProfileRow> steps = expectExact(graph);
  for (const ProfileRow &step : steps)
    EXPECT_EQ(step.kernel.find("copy"), std::string::npos) << step.nodes << " " << step.kernel;
}

// Parts of a larger concatenation that are not neighbours there, or in another order,
// are copied.
TEST(InstantiationTest, ConcatsOfOtherPartsAreCopied) {
  Graph graph;
  std::vector<GraphValue> parts;
  for (int i = 0; i < 3; ++i)
    parts.push_back(graph.op("nn.relu", {graph.input("1x2x3xf32")}));
  auto joined = [&](std::vector<size_t> order) {
    std::vector<GraphValue> operands;
    for (size_t i : order)
      operands.push_back(parts[i]);
    graph.output(graph.op("nn.abs", {graph.op("nn.concat", operands, "axis = 1")}));
  };
  joined({0, 2});
  joined({1, 0});
  joined({1, 2});
  joined({0, 1});
  joined({0, 1, 2});
  expectExact(graph);
}

// Sizes are computed without recursion: models chain as many ops as they like.
TEST(InstantiationTest, ALongChainOfShapeArithmetic) {
  Graph graph;
  GraphValue x = graph.input("?x?xf32"), one = graph.ints({1, 1});
  GraphValue shape = graph.op("nn.shape", {x}, "start = 0 : i64", "2xi64");
  for (int i = 0; i < 10000; ++i)
    shape = graph.op(i % 2 ? "nn.sub" : "nn.add", {shape, one});
  graph.output(graph.op("nn.reshape", {x, shape}, "allowzero = false", "?x?xf32"));
  FakeBackend backend;
  backend.options.optLevel = 0; // groups of one op
  expectExact(graph, backend, {{3, 4}});
}

// The elements are known before the run; what reads them wants their own type.
TEST(InstantiationTest, ASizeUnderAnotherType) {
  Graph graph;
  GraphValue x = graph.input("?x?xf32");
  GraphValue shape = graph.op("nn.shape", {x}, "start = 0 : i64", "2xi64");
  GraphValue bits = graph.op("nn.bitcast", {shape}, "to = ui64", "2xui64");
  graph.output(
      graph.multi("nn.unique", {bits}, "sorted = true", 4, {"ui64", "i64", "i64", "i64"})[0]);
  auto executable = FakeBackend().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  expectSame(graph, *executable, integerInputs(graph, {{3, 4}}));
}

// A size that is the sum of a large weight is left to the run.
TEST(InstantiationTest, PlanningComputesLittle) {
  for (auto [elements, stages] : {std::pair(int64_t{100}, 0), {int64_t{6'000'000}, 1}}) {
    Graph graph;
    GraphValue x = graph.input("?x?xf32");
    GraphValue shape = graph.op("nn.shape", {x}, "start = 0 : i64", "2xi64");
    GraphValue rows = graph.op("nn.gather", {shape, graph.ints({0})}, "axis = 0", "1xi64");
    GraphValue axes = graph.op("nn.gather", {graph.ints({0, 0, 0, 0}), rows}, "axis = 0", "1xi64");
    std::vector<int64_t> numbers(static_cast<size_t>(elements), 0);
    numbers.back() = 3;
    GraphValue sum = graph.op("nn.reduce sum", {graph.ints(numbers), axes},
                              "keepdims = true, noop_with_empty_axes = false", "?xi64");
    graph.output(graph.op("nn.expand", {graph.constant("dense<1.0>", "f32"), sum}, "", "?xf32"));
    auto executable = FakeBackend().compile(graph);
    ASSERT_TRUE(executable) << executable.status().message();
    std::vector<ProfileRow> steps = expectSame(graph, *executable, integerInputs(graph, {{2, 1}}));
    EXPECT_EQ(std::count_if(steps.begin(), steps.end(),
                            [](const ProfileRow &step) { return step.kernel == "stage"; }),
              stages)
        << elements;
  }
}

// What does not depend on a size that is new is not lowered again.
TEST(InstantiationTest, NewSizesLowerWhatTheyChange) {
  Graph graph;
  GraphValue open = graph.input("?x4xf32"), fixed = graph.input("3x4xf32");
  graph.output(graph.op("nn.reduce max", {open, graph.ints({1})},
                        "keepdims = true, noop_with_empty_axes = false"));
  graph.output(graph.op("nn.reduce max", {fixed, graph.ints({1})},
                        "keepdims = true, noop_with_empty_axes = false"));
  FakeBackend backend;
  int lowered = 0;
  backend.lowering->onLower = [&](mlir::Operation *) { ++lowered; };
  auto executable = backend.compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  expectSame(graph, *executable, integerInputs(graph, {{2, 4}, {3, 4}}));
  EXPECT_EQ(lowered, 2);
  expectSame(graph, *executable, integerInputs(graph, {{7, 4}, {3, 4}}));
  EXPECT_EQ(lowered, 3);
}
