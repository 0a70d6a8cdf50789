//===- KernelStepTest.cpp - kernels that refuse, and their scratch memory -===//
#include "runtime/plan/Executor.h"
#include "runtime/running/Arena.h"
#include "runtime/running/Session.h"
#include "tests/runtime/PlanBuilder.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <thread>

using namespace quern;
using namespace quern::test;

namespace {
/// Runs a plan without ports once.
Status runPlan(Plan plan, int threads, int64_t limit = int64_t{1} << 30) {
  TaskPool pool(threads, true);
  Arena arena = Arena::allocate(runBytes(plan, pool.threads())).take();
  Executor executor(std::make_shared<const Plan>(std::move(plan)));
  Limits limits;
  limits.maxActivationBytes = limit;
  Budget budget(limits);
  return executor.run({}, {}, {.pool = pool, .budget = budget, .arena = arena.data()});
}

Plan onePlan(PlanStep step) {
  Plan plan;
  plan.steps.push_back(std::move(step));
  return plan;
}

/// Refuses task dims[0] for the reason dims[1], and task dims[2] for another.
int32_t refuseTasks(void *const *, const int64_t *dims, int64_t begin, int64_t end, void *) {
  for (int64_t task = begin; task < end; ++task) {
    // The later of the two is found first.
    if (task < dims[2])
      std::this_thread::sleep_for(std::chrono::microseconds(10));
    if (task == dims[0])
      return static_cast<int32_t>(dims[1]);
    if (task == dims[2])
      return 77;
  }
  return 0;
}

PlanStep refusingStep(int64_t task, int32_t reason, int64_t later, int64_t grain) {
  return kernelStep("lookup", refuseTasks, {}, {task, reason, later}, 100, grain);
}
} // namespace

TEST(KernelStep, ARefusalNamesTheNodeAndSaysWhatHappened) {
  for (int threads : {1, 4})
    for (int64_t grain : {1, 7, 100}) {
      Status status = runPlan(onePlan(refusingStep(40, 1, 99, grain)), threads);
      EXPECT_EQ(status.code(), StatusCode::InvalidInput);
      EXPECT_EQ(status.message(), "node 'lookup' (kernel): an index is out of range");
    }
}

TEST(KernelStep, TheFirstRefusalInTaskOrderDecides) {
  for (int round = 0; round < 20; ++round)
    for (int threads : {1, 2, 4}) {
      Status first = runPlan(onePlan(refusingStep(90, 1, 60, 3)), threads);
      EXPECT_EQ(first.code(), StatusCode::Internal);
      EXPECT_EQ(first.message(), "node 'lookup' (kernel): the kernel refused for the unknown "
                                 "reason 77");
      Status second = runPlan(onePlan(refusingStep(10, 1, 60, 3)), threads);
      EXPECT_EQ(second.message(), "node 'lookup' (kernel): an index is out of range");
    }
}

TEST(KernelStep, ReasonsBeyondTheirRangeAreUnknown) {
  for (int32_t reason : {-1, 257, 1 << 20})
    EXPECT_EQ(runPlan(onePlan(refusingStep(40, reason, 99, 10)), 4).message(),
              "node 'lookup' (kernel): the kernel refused for the unknown reason 255");
}

TEST(KernelStep, NoStepRunsAfterARefusal) {
  static std::atomic<int> calls;
  calls = 0;
  auto count = [](void *const *, const int64_t *, int64_t, int64_t, void *) {
    ++calls;
    return 0;
  };
  Plan plan = onePlan(refusingStep(0, 1, 99, 10));
  plan.steps.push_back(kernelStep("next", count, {}, {}, 1));
  EXPECT_FALSE(runPlan(std::move(plan), 4).isOk());
  EXPECT_EQ(calls, 0);
}

//===----------------------------------------------------------------------===//
// Scratch memory
//===----------------------------------------------------------------------===//

namespace {
std::mutex scratchMutex;
std::set<void *> scratchSeen;

/// Writes all of its scratch memory (dims[0] bytes) and finds it as written.
int32_t useScratch(void *const *, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
  auto bytes = static_cast<size_t>(dims[0]);
  for (int64_t task = begin; task < end; ++task) {
    std::memset(scratch, static_cast<int>(task), bytes);
    std::this_thread::yield();
    for (size_t i = 0; i < bytes; ++i)
      if (static_cast<char *>(scratch)[i] != static_cast<char>(task))
        return 77;
  }
  std::lock_guard lock(scratchMutex);
  scratchSeen.insert(scratch);
  return 0;
}

PlanStep scratchStep(int64_t bytes, int64_t tasks, int64_t grain) {
  PlanStep step = kernelStep("sort", useScratch, {}, {bytes}, tasks, grain);
  step.as<KernelStep>()->scratchBytes = bytes;
  return step;
}
} // namespace

TEST(KernelStep, EveryWorkerHasAlignedScratchMemoryOfItsOwn) {
  for (int threads : {1, 0}) {
    scratchSeen.clear();
    Plan plan = onePlan(scratchStep(100, 500, 1));
    plan.steps.push_back(scratchStep(1000, 500, 1));
    plan.steps.push_back(scratchStep(1000, 4, 4)); // inline
    plan.arenaBytes = 20;
    Status status = runPlan(std::move(plan), threads);
    ASSERT_TRUE(status.isOk()) << status.message();
    EXPECT_GE(scratchSeen.size(), 1u);
    EXPECT_LE(scratchSeen.size(), static_cast<size_t>(TaskPool(threads, true).threads()));
    void *previous = nullptr;
    for (void *scratch : scratchSeen) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(scratch) % 64, 0u);
      EXPECT_TRUE(!previous ||
                  static_cast<char *>(scratch) - static_cast<char *>(previous) >= 1000);
      previous = scratch;
    }
  }
}

TEST(KernelStep, WithoutScratchMemoryItIsNull) {
  auto expectNull = [](void *const *, const int64_t *, int64_t, int64_t, void *scratch) {
    return scratch ? 77 : 0;
  };
  Plan plan = onePlan(scratchStep(100, 1, 1));
  plan.steps.push_back(kernelStep("none", expectNull, {}, {}, 10));
  EXPECT_TRUE(runPlan(std::move(plan), 0).isOk());
}

TEST(KernelStep, ScratchMemoryCountsForEveryWorker) {
  Plan plan = onePlan(scratchStep(65, 1, 1)); // takes up 128
  plan.arenaBytes = 10;                       // takes up 64 in front of it
  int64_t needed = 64 + 128 * TaskPool(0, true).threads();
  EXPECT_TRUE(runPlan(plan, 0, needed).isOk());
  Status status = runPlan(plan, 0, needed - 1);
  EXPECT_EQ(status.code(), StatusCode::ResourceLimit);
  EXPECT_EQ(status.message(), "activations need " + std::to_string(needed) +
                                  " bytes, the limit is " + std::to_string(needed - 1));
}

TEST(KernelStep, SessionsHaveScratchMemory) {
  auto plan = std::make_shared<Plan>(onePlan(scratchStep(5000, 50, 1)));
  auto model = std::make_shared<Executable>(
      std::vector<PortSignature>{}, std::vector<PortSignature>{},
      [plan](std::span<const Tensor::Dims>, const Deadline &)
          -> Expected<std::shared_ptr<const Plan>> { return std::shared_ptr<const Plan>(plan); });
  Session session(model);
  auto outputs = session.run(std::span<const Tensor>());
  EXPECT_TRUE(outputs) << outputs.status().message();
}
