//===- StageTest.cpp - what follows a size that depends on data -----------===//
//
// A plan ends where only data tells a size, and asks for the plan of what follows when
// a run knows it.
//
//===----------------------------------------------------------------------===//
#include "runtime/plan/Plan.h"
#include "tests/plan/FakeBackend.h"

#include <gmock/gmock.h>

#include <thread>

using namespace quern;
using namespace quern::test;

namespace {
/// The rows of a table that are not zero in a mask, times a matrix: NonZero, Gather,
/// MatMul, and an output that waits for nothing.
Graph selectedRows() {
  Graph graph;
  GraphValue mask = graph.input("?xf32"), table = graph.input("100x24xf32");
  GraphValue indices = graph.op("nn.nonzero", {mask}, "", "1x?xi64");
  GraphValue rows = graph.op("nn.gather", {table, indices}, "axis = 0", "1x?x24xf32");
  GraphValue scaled = graph.op("nn.neg", {table}, "", "100x24xf32");
  GraphValue product = graph.op("nn.matmul", {rows, graph.weight("24x16xf32")}, "", "1x?x16xf32");
  graph.output(graph.op("nn.relu", {product}, "", "1x?x16xf32"));
  graph.output(scaled);
  graph.output(indices);
  return graph;
}

/// A mask of `length` in which `count` elements are not zero.
Tensor maskOf(int64_t length, int64_t count) {
  Tensor mask = Tensor::allocate(DType::Float32, {length}).take();
  for (int64_t i = 0; i < count; ++i)
    mask.mutableData<float>()[i * length / count] = 1;
  return mask;
}

/// The plan of the stage that follows the steps of `plan` for these operands.
const StageStep *stageOf(const Plan &plan) {
  for (const PlanStep &step : plan.steps)
    if (auto *stage = step.as<StageStep>())
      return stage;
  return nullptr;
}
} // namespace

TEST(StageTest, ManyCountsOfOneSession) {
  Graph graph = selectedRows();
  auto executable = FakeBackend().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 2});
  for (int64_t length : {100, 60})
    for (int64_t count : {3, 1, 0, 60, 17, 3, 60}) {
      std::vector<Tensor> inputs = {maskOf(length, count),
                                    integerTensor(DType::Float32, {100, 24}, 7)};
      auto wanted = runInterpreted(graph, inputs);
      ASSERT_TRUE(wanted) << wanted.status().message();
      auto found = session.run(inputs);
      ASSERT_TRUE(found) << found.status().message();
      expectSameTensors(*found, *wanted, {});
    }
}

// NonZero, which the fake backend has no kernel of, is all that is not native.
TEST(StageTest, WhatFollowsIsNative) {
  auto executable = FakeBackend().compile(selectedRows());
  ASSERT_TRUE(executable) << executable.status().message();
  std::vector<Tensor::Dims> dims = {{100}, {100, 24}};
  auto plan = (*executable)->findPlan(dims);
  ASSERT_TRUE(plan) << plan.status().message();
  for (const PlanStep &step : (*plan)->steps)
    EXPECT_TRUE(step.as<KernelStep>() || step.as<StageStep>() || step.kernel.str() == "nn.nonzero")
        << step.kernel.str();
  const StageStep *stage = stageOf(**plan);
  ASSERT_NE(stage, nullptr);
  std::vector<AnyValue> operands;
  for (const ValueRef &input : stage->inputs) {
    Tensor::Dims sizes = input.buffer.isDynamic() ? Tensor::Dims{1, 5} : input.dims;
    operands.push_back(Tensor::allocate(input.dtype, sizes).take());
  }
  auto next = stage->planner(operands, {});
  ASSERT_TRUE(next) << next.status().message();
  EXPECT_EQ(stageOf(**next), nullptr);
  EXPECT_FALSE((*next)->steps.empty());
  for (const PlanStep &step : (*next)->steps)
    EXPECT_NE(step.as<KernelStep>(), nullptr) << step.kernel.str();
  // The same sizes have the same plan.
  EXPECT_EQ(stage->planner(operands, {}).take(), *next);
}

// Sizes that elements tell: one stage knows all of them, and what is computed from them.
TEST(StageTest, ElementsThatTellSizes) {
  Graph graph;
  GraphValue shape = graph.input("2xi64"), x = graph.input("?xf32");
  GraphValue tall = graph.op("nn.expand", {x, shape}, "", "?x?xf32");
  GraphValue flipped =
      graph.op("nn.gather", {shape, graph.weight(Tensor::ofInts({1, 0}))}, "axis = 0", "2xi64");
  GraphValue wide = graph.op("nn.reshape", {graph.op("nn.neg", {tall}, "", "?x?xf32"), flipped},
                             "allowzero = false", "?x?xf32");
  graph.output(graph.op("nn.matmul", {wide, tall}, "", "?x?xf32"));
  auto executable = FakeBackend().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 1, .profile = true});
  for (int64_t rows : {4, 7, 4, 1}) {
    std::vector<Tensor> inputs = {Tensor::ofInts({rows, 6}), integerTensor(DType::Float32, {6}, 3)};
    auto wanted = runInterpreted(graph, inputs);
    ASSERT_TRUE(wanted) << wanted.status().message();
    auto found = session.run(inputs);
    ASSERT_TRUE(found) << found.status().message();
    expectSameTensors(*found, *wanted, {});
  }
  for (const ProfileRow &row : session.profile())
    EXPECT_FALSE(row.reference) << row.kernel;
}

// The rows of later stages follow that of the step that runs them, over all their plans.
TEST(StageTest, ProfilesShowLaterStages) {
  auto executable = FakeBackend().compile(selectedRows());
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 1, .profile = true});
  Tensor table = integerTensor(DType::Float32, {100, 24}, 7);
  auto runsOf = [&](const std::string &kernel) {
    int64_t runs = 0;
    for (const ProfileRow &row : session.profile())
      if (row.kernel.starts_with(kernel)) {
        EXPECT_EQ(row.depth, kernel == "stage" || kernel == "nn.nonzero" ? 0 : 1) << row.kernel;
        runs += row.runs;
      }
    return runs;
  };
  for (int64_t count : {3, 5, 3, 9})
    ASSERT_TRUE(session.run(std::vector{maskOf(100, count), table}));
  EXPECT_EQ(runsOf("nn.nonzero"), 4);
  EXPECT_EQ(runsOf("stage"), 4);
  EXPECT_EQ(runsOf("fake nn.matmul"), 4);
  EXPECT_EQ(runsOf("fake nn.gather"), 4);
  session.clearProfile();
  EXPECT_EQ(runsOf("fake nn.matmul"), 0);
  ASSERT_TRUE(session.run(std::vector{maskOf(100, 4), table}));
  EXPECT_EQ(runsOf("fake nn.matmul"), 1);
}

// A stage may end where another begins.
TEST(StageTest, StagesOfStages) {
  Graph graph;
  GraphValue x = graph.input("?xf32");
  GraphValue first = graph.op("nn.nonzero", {x}, "", "1x?xi64");
  GraphValue picked = graph.op("nn.gather", {x, first}, "axis = 0", "1x?xf32");
  GraphValue shifted =
      graph.op("nn.add", {picked, graph.constant("dense<-2.0>", "f32")}, "", "1x?xf32");
  GraphValue second = graph.op("nn.nonzero", {shifted}, "", "2x?xi64");
  graph.output(graph.op("nn.transpose", {second}, "perm = array<i64: 1, 0>", "?x2xi64"));
  graph.output(graph.op("nn.neg", {shifted}, "", "1x?xf32"));
  graph.output(x);
  auto executable = FakeBackend().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 1});
  for (const std::vector<float> &values :
       {std::vector<float>{1, 0, 2, 3, 0}, {0, 0, 0, 0}, {2, 2}, {5, 4, 0, 2, 2, 1}}) {
    auto length = static_cast<int64_t>(values.size());
    std::vector<Tensor> inputs = {Tensor::of<float>({length}, values)};
    auto wanted = runInterpreted(graph, inputs);
    ASSERT_TRUE(wanted) << wanted.status().message();
    auto found = session.run(inputs);
    ASSERT_TRUE(found) << found.status().message();
    expectSameTensors(*found, *wanted, {});
  }
}

// Stages nest in a run: those of a model that asks for too many of them are bounded.
TEST(StageTest, NoMoreStagesThanTheStackHolds) {
  Graph graph;
  GraphValue value = graph.input("?x?xi64");
  for (int i = 0; i < 400; ++i)
    value = graph.op("nn.nonzero", {value}, "", "2x?xi64");
  graph.output(value);
  auto executable = FakeBackend().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 1, .profile = true});
  std::vector<Tensor> inputs = {Tensor::of<int64_t>({1, 1}, {1})};
  auto wanted = runInterpreted(graph, inputs);
  ASSERT_TRUE(wanted) << wanted.status().message();
  auto found = session.run(inputs);
  ASSERT_TRUE(found) << found.status().message();
  expectSameTensors(*found, *wanted, {});
  int deepest = 0;
  for (const ProfileRow &row : session.profile())
    deepest = std::max(deepest, row.depth);
  EXPECT_EQ(deepest, 31);
}

// What a later stage refuses names its node; the session goes on.
TEST(StageTest, ErrorsOfLaterStagesNameNodes) {
  Graph graph;
  GraphValue x = graph.input("?xf32"), y = graph.input("3x4xf32");
  GraphValue indices = graph.op("nn.nonzero", {x}, "", "1x?xi64");
  graph.output(graph.op("nn.gather", {y, indices}, "axis = 0", "1x?x4xf32"));
  auto executable = FakeBackend().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 1});
  Tensor table = integerTensor(DType::Float32, {3, 4}, 3);
  for (int round = 0; round < 2; ++round) {
    auto bad = session.run(std::vector{Tensor::of<float>({4}, {0, 1, 0, 1}), table});
    EXPECT_EQ(bad.status().code(), StatusCode::InvalidInput);
    EXPECT_THAT(bad.status().message(), testing::HasSubstr("(fake nn.gather"));
    auto good = session.run(std::vector{Tensor::of<float>({4}, {0, 1, 1, 0}), table});
    EXPECT_TRUE(good) << good.status().message();
  }
}

TEST(StageTest, ThreadsShareOneExecutable) {
  Graph graph = selectedRows();
  auto executable = FakeBackend().compile(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  Tensor table = integerTensor(DType::Float32, {100, 24}, 7);
  std::vector<std::vector<Tensor>> wanted;
  for (int64_t count = 0; count < 40; ++count)
    wanted.push_back(runInterpreted(graph, {maskOf(100, count), table}).take());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Session session(*executable, {.threads = 1});
      for (int64_t i = 0; i < 40; ++i) {
        int64_t count = (i * 7 + t * 11) % 40;
        auto found = session.run(std::vector{maskOf(100, count), table});
        ASSERT_TRUE(found) << found.status().message();
        expectSameTensors(*found, wanted[count], {});
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}
