//===- InstantiationTest.cpp - plans for new sizes from one graph ---------===//
//
// The graph passes have run once, on symbolic sizes; every set of input sizes gets
// its plan from what they left.
//
//===----------------------------------------------------------------------===//
#include "runtime/plan/Plan.h"
#include "tests/native/GraphCheck.h"
#include "tests/plan/AttentionGraph.h"

#include <algorithm>
#include <cstring>
#include <thread>

using namespace quern;
using namespace quern::native;
using test::attentionOfOpenSizes;

namespace {
std::vector<Tensor::Dims> dimsOf(int64_t batch, int64_t length) {
  return {{batch, length, 8}, {batch, length, 8}};
}
} // namespace

TEST(NativeInstantiationTest, EverySizeOfOneGraph) {
  Graph graph = attentionOfOpenSizes();
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t batch : {1, 2, 3, 1})
    for (int64_t length : {1, 2, 7, 16, 33})
      expectExactAt(graph, *executable, dimsOf(batch, length));
}

// What only shapes depend on is known before the run: no step computes it.
TEST(NativeInstantiationTest, ShapeArithmeticIsNoStep) {
  Graph graph = attentionOfOpenSizes();
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  auto run = runCompiled(*executable, integerInputs(graph, dimsOf(2, 5)));
  ASSERT_TRUE(run) << run.status().message();
  for (const ProfileRow &step : run->steps)
    EXPECT_FALSE(step.reference) << step.nodes << " (" << step.kernel << ")";
}

TEST(NativeInstantiationTest, EightThreadsBringNewShapes) {
  Graph graph = attentionOfOpenSizes();
  auto executable = compileForTest(graph);
  auto alone = compileForTest(graph);
  ASSERT_TRUE(executable && alone);
  constexpr int64_t kThreads = 8, kLengths = 12;
  std::vector<std::vector<Expected<GraphRun>>> runs(kThreads);
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < kLengths; ++i) // some sizes of its own, some that others bring too
        runs[t].push_back(runCompiled(
            *executable, integerInputs(graph, dimsOf(1 + t % 3, 1 + (i * 5 + t) % 17)), 1));
    });
  for (std::thread &thread : threads)
    thread.join();
  for (int64_t t = 0; t < kThreads; ++t)
    for (int64_t i = 0; i < kLengths; ++i) {
      ASSERT_TRUE(runs[t][i]) << runs[t][i].status().message();
      auto wanted =
          runCompiled(*alone, integerInputs(graph, dimsOf(1 + t % 3, 1 + (i * 5 + t) % 17)), 1);
      ASSERT_TRUE(wanted) << wanted.status().message();
      for (size_t r = 0; r < wanted->results.size(); ++r) {
        const Tensor &found = runs[t][i]->results[r], &expected = wanted->results[r];
        ASSERT_EQ(found.dims(), expected.dims());
        EXPECT_EQ(std::memcmp(found.rawData(), expected.rawData(), found.numBytes()), 0)
            << "thread " << t << " run " << i << " result " << r;
      }
    }
}

// The part is read for every row: the whole must not be overwritten before.
TEST(NativeInstantiationTest, AnOperandThatHoldsAnotherIsNotOverwritten) {
  Graph graph;
  GraphValue part = graph.op("nn.relu", {graph.input("1x5xf32")});
  GraphValue other = graph.op("nn.relu", {graph.input("3x5xf32")});
  GraphValue whole = graph.op("nn.concat", {part, other}, "axis = 0");
  GraphValue sum = graph.op("nn.add", {whole, part});
  graph.output(graph.op("nn.transpose", {sum}, "perm = array<i64: 1, 0>"));
  expectExact(graph);
}

// Each of a chain of maps overwrites its operand, once that is not read any more.
TEST(NativeInstantiationTest, MapsWorkInPlace) {
  Graph graph;
  GraphValue value =
      graph.op("nn.transpose", {graph.input("64x128xf32")}, "perm = array<i64: 1, 0>");
  for (int i = 0; i < 3; ++i) // the transposition starts a new step
    value =
        graph.op("nn.softmax", {graph.op("nn.relu", {value})}, "axis = 1 : i64, trailing = false");
  graph.output(graph.op("nn.reduce max", {graph.op("nn.relu", {value}), graph.none()},
                        "keepdims = false, noop_with_empty_axes = false", "f32"));
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  std::vector<Tensor::Dims> dims = {{64, 128}};
  auto plan = (*executable)->findPlan(dims);
  ASSERT_TRUE(plan) << plan.status().message();
  EXPECT_LE((*plan)->arenaBytes, 2 * 64 * 128 * 4);
}
