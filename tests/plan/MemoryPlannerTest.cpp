//===- MemoryPlannerTest.cpp - no two living values overlap ---------------===//
#include "backends/plan/MemoryPlanner.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

using namespace quern;

namespace {
int64_t alignedSize(int64_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

/// Whether `a` may share memory with `b`: one is in place of the other.
bool mayShare(std::span<const Lifetime> lifetimes, size_t a, size_t b) {
  return lifetimes[a].inPlaceOf == static_cast<int64_t>(b) ||
         lifetimes[b].inPlaceOf == static_cast<int64_t>(a);
}

/// Checks all that the planner promises.
void checkPlan(std::span<const Lifetime> lifetimes, const MemoryPlan &plan) {
  ASSERT_EQ(plan.offsets.size(), lifetimes.size());
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    const Lifetime &a = lifetimes[i];
    EXPECT_EQ(plan.offsets[i] % kArenaAlignment, 0);
    EXPECT_GE(plan.offsets[i], 0);
    EXPECT_LE(plan.offsets[i] + a.bytes, plan.totalBytes);
    for (size_t j = 0; j < i; ++j) {
      const Lifetime &b = lifetimes[j];
      bool inTime = a.firstStep <= b.lastStep && b.firstStep <= a.lastStep;
      bool inSpace = plan.offsets[i] < plan.offsets[j] + b.bytes &&
                     plan.offsets[j] < plan.offsets[i] + a.bytes;
      EXPECT_FALSE(inTime && inSpace && !mayShare(lifetimes, i, j)) << i << " and " << j;
    }
  }
}

/// The most bytes that are alive at one step: no plan needs less.
int64_t peakBytes(std::span<const Lifetime> lifetimes) {
  int64_t peak = 0;
  for (const Lifetime &at : lifetimes) {
    int64_t alive = 0;
    for (const Lifetime &value : lifetimes)
      if (value.firstStep <= at.firstStep && at.firstStep <= value.lastStep)
        alive += alignedSize(value.bytes);
    peak = std::max(peak, alive);
  }
  return peak;
}
} // namespace

TEST(MemoryPlanner, NothingNeedsNothing) {
  Expected<MemoryPlan> plan = planMemory({});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->totalBytes, 0);
}

TEST(MemoryPlanner, AChainNeedsTwoBuffers) {
  std::vector<Lifetime> chain;
  for (int64_t step = 0; step < 10; ++step)
    chain.push_back({step, step + 1, 640});
  Expected<MemoryPlan> plan = planMemory(chain);
  ASSERT_TRUE(plan);
  checkPlan(chain, *plan);
  EXPECT_EQ(plan->totalBytes, 1280);
}

TEST(MemoryPlanner, FillsTheGapThatALargerValueLeaves) {
  std::vector<Lifetime> values = {{0, 1, 1024}, {0, 9, 64}, {2, 3, 512}, {2, 3, 512}};
  Expected<MemoryPlan> plan = planMemory(values);
  ASSERT_TRUE(plan);
  checkPlan(values, *plan);
  EXPECT_EQ(plan->totalBytes, 1024 + 64);
}

TEST(MemoryPlanner, InPlaceChainsShareOneBuffer) {
  std::vector<Lifetime> values = {{0, 1, 256}, {1, 2, 256, 0}, {2, 3, 128, 1}};
  Expected<MemoryPlan> plan = planMemory(values);
  ASSERT_TRUE(plan);
  checkPlan(values, *plan);
  EXPECT_EQ(plan->totalBytes, 256);
}

TEST(MemoryPlanner, RefusesInPlaceThatIsNotSafe) {
  // Larger; still read later; taken by another.
  for (const std::vector<Lifetime> &values :
       {std::vector<Lifetime>{{0, 1, 64}, {1, 2, 128, 0}},
        std::vector<Lifetime>{{0, 2, 64}, {1, 2, 64, 0}},
        std::vector<Lifetime>{{0, 1, 64}, {1, 2, 64, 0}, {1, 2, 64, 0}},
        std::vector<Lifetime>{{0, 1, 64}, {1, 2, 64, 7}}}) {
    Expected<MemoryPlan> plan = planMemory(values);
    ASSERT_TRUE(plan);
    EXPECT_GT(plan->totalBytes, 64);
    EXPECT_NE(plan->offsets[0], plan->offsets.back());
  }
}

TEST(MemoryPlanner, OverflowIsAnError) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max() - 100;
  std::vector<Lifetime> values = {{0, 1, kHuge}, {0, 1, kHuge}};
  Expected<MemoryPlan> plan = planMemory(values);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.status().code(), StatusCode::ResourceLimit);
  values = {{0, 1, -1}};
  EXPECT_FALSE(planMemory(values));
}

TEST(MemoryPlanner, RandomGraphs) {
  std::mt19937 random(7);
  auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> values;
    int64_t count = 1 + below(40);
    for (int64_t i = 0; i < count; ++i) {
      int64_t first = below(30);
      values.push_back({first, first + below(8), below(2000)});
      if (below(3) == 0)
        values.back().inPlaceOf = below(count);
    }
    Expected<MemoryPlan> plan = planMemory(values);
    ASSERT_TRUE(plan);
    int64_t sum = 0;
    for (const Lifetime &value : values)
      sum += alignedSize(value.bytes);
    EXPECT_LE(plan->totalBytes, sum);
    for (Lifetime &value : values)
      if (value.inPlaceOf >= 0 &&
          plan->offsets[value.inPlaceOf] != plan->offsets[&value - &values[0]])
        value.inPlaceOf = -1;
    checkPlan(values, *plan);
  }
}

TEST(MemoryPlanner, StaysNearThePeakOfANetwork) {
  // Residual blocks: each step's value lives one step, every third one four.
  std::vector<Lifetime> values;
  for (int64_t step = 0; step < 60; ++step)
    values.push_back({step, step + (step % 3 == 0 ? 4 : 1), 1024 * (1 + step % 5)});
  Expected<MemoryPlan> plan = planMemory(values);
  ASSERT_TRUE(plan);
  checkPlan(values, *plan);
  EXPECT_LE(plan->totalBytes, peakBytes(values) * 5 / 4);
}

TEST(MemoryPlanner, ManyLivingValues) {
  // More than gaps are looked for among, with gaps that would hold some.
  std::mt19937 random(11);
  auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
  std::vector<Lifetime> values;
  for (int64_t i = 0; i < 2500; ++i) {
    int64_t first = below(2000);
    values.push_back({first, first + (below(2) ? below(10) : below(2000)), 64 * (1 + below(50))});
  }
  Expected<MemoryPlan> plan = planMemory(values);
  ASSERT_TRUE(plan);
  checkPlan(values, *plan);
  EXPECT_LE(plan->totalBytes, peakBytes(values) * 5 / 4);
}

// Neither would end if every value were compared with every other.
TEST(MemoryPlanner, ALongChain) {
  std::vector<Lifetime> chain;
  for (int64_t step = 0; step < 300'000; ++step)
    chain.push_back({step, step + 1, 640});
  Expected<MemoryPlan> plan = planMemory(chain);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->totalBytes, 1280);
}

TEST(MemoryPlanner, HundredThousandLivingValues) {
  constexpr int64_t kValues = 100'000;
  std::vector<Lifetime> values;
  for (int64_t step = 0; step < kValues; ++step)
    values.push_back({step, kValues, 64});
  Expected<MemoryPlan> plan = planMemory(values);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->totalBytes, kValues * 64);
}
