//===- BudgetTest.cpp -----------------------------------------------------===//
#include "runtime/running/Budget.h"

#include <gtest/gtest.h>
#include <thread>

using namespace quern;
using namespace std::chrono_literals;

namespace {
/// A deadline that has passed.
Deadline passedDeadline(std::chrono::nanoseconds limit) {
  Deadline deadline = Deadline::after(limit);
  std::this_thread::sleep_for(limit);
  return deadline;
}

Limits withActivations(int64_t bytes) {
  Limits limits;
  limits.maxActivationBytes = bytes;
  return limits;
}
} // namespace

TEST(Deadline, NoneNeverPasses) {
  EXPECT_FALSE(Deadline().passed());
  EXPECT_TRUE(Deadline().check("waiting").isOk());
  // So far away that the clock cannot count it.
  EXPECT_FALSE(Deadline::after(std::chrono::nanoseconds::max()).passed());
  EXPECT_FALSE(Deadline::after(24h).passed());
}

TEST(Deadline, NamesItsLimitAndTheWork) {
  Status status = passedDeadline(1ms).check("waiting");
  EXPECT_EQ(status.code(), StatusCode::ResourceLimit);
  EXPECT_EQ(status.message(), "time limit of 1ms exceeded while waiting");
  EXPECT_EQ(passedDeadline(1500us).check("x").message(), "time limit of 1.5ms exceeded while x");
  EXPECT_EQ(passedDeadline(-3s).check("x").message(), "time limit of -3000ms exceeded while x");
}

TEST(Budget, WithoutLimitsSpendsWhatItLikes) {
  Budget budget{Limits()};
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(budget.spend(int64_t{1} << 58).isOk());
  EXPECT_TRUE(budget.require(CheckedSize(int64_t{1} << 62)).isOk());
  EXPECT_TRUE(budget.require(CheckedSize(int64_t{-1})).isOk());
  EXPECT_FALSE(budget.mustStop());
}

TEST(Budget, EndsWhenItsWorkIsSpent) {
  Budget budget(Limits(), nullptr, "testing", /*work=*/1000);
  EXPECT_TRUE(budget.spend(400).isOk());
  EXPECT_TRUE(budget.require(CheckedSize(600)).isOk());
  EXPECT_EQ(budget.require(CheckedSize(601)).message(), "the work exceeds the limit of 1000");
  EXPECT_EQ(budget.require(CheckedSize(int64_t{-1})).code(), StatusCode::ResourceLimit);
  EXPECT_TRUE(budget.spend(600).isOk());
  EXPECT_EQ(budget.spend(1).message(), "the work exceeds the limit of 1000");
  EXPECT_FALSE(budget.spend(0).isOk());
  EXPECT_FALSE(budget.require(CheckedSize(1)).isOk());
}

TEST(Budget, NoticesTheCallerAndTheClock) {
  std::atomic<bool> cancelled = false;
  Budget budget(Limits(), &cancelled);
  EXPECT_TRUE(budget.check().isOk());
  cancelled = true;
  EXPECT_TRUE(budget.mustStop());
  EXPECT_EQ(budget.check().code(), StatusCode::Cancelled);
  EXPECT_EQ(budget.check().message(), "the run was cancelled");
  // Only now and then is it looked at, for it takes time.
  EXPECT_TRUE(budget.spend(1).isOk());
  EXPECT_EQ(budget.spend(1'000'000).code(), StatusCode::Cancelled);

  Limits limits;
  limits.deadline = passedDeadline(1ms);
  Budget late(limits);
  EXPECT_TRUE(late.mustStop());
  EXPECT_EQ(late.spend(1'000'000).message(), "time limit of 1ms exceeded while running");
}

TEST(Budget, PartsEndWithTheBudget) {
  Budget budget(Limits(), nullptr, "testing", /*work=*/200'000);
  int64_t done = 0;
  Status status = budget.forParts(1'000'000, 1, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(begin, done);
    done = end;
  });
  EXPECT_EQ(status.code(), StatusCode::ResourceLimit);
  EXPECT_GT(done, 0);
  EXPECT_LE(done, 200'000);
  Budget more{Limits()};
  done = 0;
  EXPECT_TRUE(more.forParts(1'000'000, 1, [&](int64_t, int64_t end) { done = end; }).isOk());
  EXPECT_EQ(done, 1'000'000);
}

TEST(Budget, CountsTheMemoryOfAStep) {
  Budget budget(withActivations(1000));
  ASSERT_TRUE(budget.hold(500).isOk());
  EXPECT_EQ(budget.heldBytes(), 500);
  auto result = budget.allocate(DType::Float32, {50});
  ASSERT_TRUE(result) << result.status().message();
  EXPECT_EQ(result->data<float>()[49], 0.0f);
  auto scratch = budget.scratch<double>(37);
  ASSERT_TRUE(scratch) << scratch.status().message();
  EXPECT_EQ(scratch->size(), 37u);
  EXPECT_EQ(budget.scratch<int16_t>(3).status().message(),
            "activations need 1002 bytes, the limit is 1000");
  EXPECT_TRUE(budget.allocateUninitialized(DType::Int8, {4}));
  EXPECT_FALSE(budget.allocateUninitialized(DType::Int8, {1}));
  budget.release(500);
  budget.beginStep();
  EXPECT_TRUE(budget.allocate(DType::String, {10}));
  EXPECT_FALSE(budget.allocate(DType::String, {100}));
}

TEST(Budget, RefusesSizesThatAreNone) {
  Budget budget{Limits()};
  EXPECT_EQ(budget.allocate(DType::Float32, {-1}).status().message(),
            "size of tensor float32 -1 is negative or overflows");
  EXPECT_EQ(budget.scratch<double>(CheckedSize(int64_t{-1})).status().message(),
            "the size of scratch memory overflows");
  Limits limits;
  limits.maxTensorBytes = 100;
  EXPECT_EQ(Budget(limits).allocate(DType::Float32, {26}).status().message(),
            "tensor float32 26 needs 104 bytes, the limit is 100");
}

TEST(Budget, WorkBoundsWhatIsAllocated) {
  Budget budget(Limits(), nullptr, "testing", /*work=*/1000);
  EXPECT_TRUE(budget.allocateUninitialized(DType::Float32, {1000}));
  EXPECT_EQ(budget.allocateUninitialized(DType::Float32, {1001}).status().message(),
            "the work exceeds the limit of 1000");
}
