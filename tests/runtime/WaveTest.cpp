//===- WaveTest.cpp - kernel steps side by side ---------------------------===//
#include "quern/Trace.h"
#include "runtime/plan/Executor.h"
#include "runtime/plan/Profile.h"
#include "runtime/running/Arena.h"
#include "tests/runtime/PlanBuilder.h"

#include <gtest/gtest.h>
#include <map>

using namespace quern;
using namespace quern::test;

namespace {
constexpr int64_t kSize = 100;

/// y = (x + 1) * (x + 10), and x + 5 beside it; the three sums are a wave.
std::shared_ptr<Plan> branchesPlan() {
  auto plan = std::make_shared<Plan>();
  plan->inputs = {{.name = "x", .dtype = DType::Float32, .dims = {kSize}}};
  for (const char *name : {"y", "z"})
    plan->outputs.push_back({.name = name, .dtype = DType::Float32, .dims = {kSize}});
  plan->arenaBytes = 1024;
  plan->steps = {
      kernelStep("one", addKernel, {input(0), arena(0)}, {1}, kSize, 7),
      kernelStep("ten", addKernel, {input(0), arena(512)}, {10}, kSize, kSize),
      kernelStep("five", addKernel, {input(0), output(1)}, {5}, kSize, 30),
      kernelStep("product", multiplyKernel, {arena(0), arena(512), output(0)}, {}, kSize, 50)};
  plan->steps[0].wave = 3;
  return plan;
}

struct WaveRun {
  Status status;
  std::vector<Tensor> outputs;
  std::vector<ProfileRow> profile;
};

WaveRun runWave(const std::shared_ptr<Plan> &plan, int threads) {
  Tensor x = Tensor::allocate(DType::Float32, {kSize}).take();
  for (int64_t i = 0; i < kSize; ++i)
    x.mutableData<float>()[i] = static_cast<float>(i);
  Arena arena = Arena::allocate(CheckedSize(plan->arenaBytes)).take();
  TaskPool pool(threads, true);
  Budget budget{Limits()};
  WaveRun found;
  for (const PlanPort &port : plan->outputs)
    found.outputs.push_back(Tensor::allocate(port.dtype, port.dims).take());
  found.profile = profileRows(*plan);
  found.status = Executor(plan).run(
      std::vector{x}, found.outputs,
      {.pool = pool, .budget = budget, .arena = arena.data(), .profile = found.profile});
  return found;
}

int32_t refuse(void *const *, const int64_t *, int64_t, int64_t, void *) { return 1; }
} // namespace

TEST(Wave, ResultsAreThoseOfOneThread) {
  for (int threads : {1, 2, 0}) {
    WaveRun found = runWave(branchesPlan(), threads);
    ASSERT_TRUE(found.status.isOk()) << found.status.message();
    for (int64_t i = 0; i < kSize; ++i) {
      auto x = static_cast<float>(i);
      ASSERT_EQ(found.outputs[0].data<float>()[i], (x + 1) * (x + 10)) << i;
      ASSERT_EQ(found.outputs[1].data<float>()[i], x + 5) << i;
    }
    for (const ProfileRow &row : found.profile)
      EXPECT_EQ(row.runs, 1) << row.nodes;
  }
}

TEST(Wave, StepsWithoutTasksAreLeftOut) {
  auto plan = branchesPlan();
  for (size_t empty : {0, 1, 2}) {
    plan->steps[empty].as<KernelStep>()->tasks = 0;
    EXPECT_TRUE(runWave(plan, 2).status.isOk()) << empty;
  }
}

TEST(Wave, TheFirstStepThatRefusesIsTheError) {
  auto plan = branchesPlan();
  for (size_t i : {1, 2})
    plan->steps[i].as<KernelStep>()->function = refuse;
  for (int threads : {1, 2}) {
    Status status = runWave(plan, threads).status;
    EXPECT_EQ(status.code(), StatusCode::InvalidInput);
    EXPECT_EQ(status.message(), "node 'ten' (kernel): an index is out of range") << threads;
  }
}

TEST(Wave, EachThreadIsInItsStep) {
  TraceRecorder recorder = TraceRecorder::begin().take();
  ASSERT_TRUE(runWave(branchesPlan(), 2).status.isOk());
  std::map<std::string, int64_t> tasks;
  for (const TraceSpan &span : recorder.end().spans)
    if (span.category == "step")
      tasks[span.nodes] += span.endTask - span.firstTask;
  EXPECT_EQ(tasks["one"], kSize);
  EXPECT_EQ(tasks["ten"], kSize);
  EXPECT_EQ(tasks["five"], kSize);
}
