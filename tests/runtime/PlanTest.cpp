//===- PlanTest.cpp -------------------------------------------------------===//
#include "tests/runtime/PlanBuilder.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::test;

namespace {
/// A step that reads and writes slots.
PlanStep slotStep(std::vector<uint32_t> reads, std::vector<uint32_t> writes) {
  ReferenceStep work;
  work.inputs.push_back({input(0), DType::Float32, {4}});
  for (uint32_t i : reads)
    work.inputs.push_back({slot(i), DType::Float32, {}});
  for (uint32_t i : writes)
    work.outputs.push_back({slot(i), DType::Float32, {}});
  PlanStep step;
  step.work = std::move(work);
  return step;
}

std::vector<uint32_t> releasedBy(const Plan &plan, size_t step) {
  return plan.steps[step].released;
}

using Slots = std::vector<uint32_t>;
} // namespace

TEST(Plan, SlotsAreReleasedOnceAfterTheirLastUse) {
  Plan plan;
  plan.dynamicSlots = 5;
  plan.outputs = {{.name = "fixed"}, {.name = "y", .dynamic = true, .slot = 4}};
  plan.steps.push_back(slotStep({}, {0, 1}));
  plan.steps.push_back(kernelStep("between", addKernel, {input(0), output(0)}, {1}, 4));
  plan.steps.push_back(slotStep({0, 0}, {2, 3})); // nobody reads slot 3
  plan.steps.push_back(slotStep({0, 2}, {4}));
  plan.steps.push_back(slotStep({1, 4}, {}));
  for (int round = 0; round < 2; ++round) {
    releaseSlotsAfterLastUse(plan);
    EXPECT_EQ(releasedBy(plan, 0), Slots{});
    EXPECT_EQ(releasedBy(plan, 2), Slots{3});
    EXPECT_EQ(releasedBy(plan, 3), (Slots{0, 2}));
    EXPECT_EQ(releasedBy(plan, 4), Slots{1});
  }
}

namespace {
/// x is copied whole to y, in whose memory a second step then works.
Plan updatingPlan() {
  Plan plan;
  plan.inputs = {{.name = "x", .dtype = DType::Float32, .dims = {4}},
                 {.name = "z", .dtype = DType::Float32, .dims = {4}}};
  plan.outputs = {{.name = "y", .dtype = DType::Float32, .dims = {4}}};
  plan.steps.push_back(kernelStep("copy", addKernel, {input(0), output(0)}, {0}, 4));
  plan.steps[0].as<KernelStep>()->copiesWhole = true;
  plan.steps.push_back(
      kernelStep("change", multiplyKernel, {output(0), input(1), output(0)}, {}, 4));
  return plan;
}

std::optional<uint32_t> updatedBy(Plan plan) {
  findUpdatedInputs(plan);
  return plan.outputs[0].updates;
}
} // namespace

TEST(Plan, OutputsThatUpdateAnInput) {
  Plan plan = updatingPlan();
  EXPECT_EQ(updatedBy(plan), 0);
  // A read before the copy sees what was there.
  plan.steps.insert(plan.steps.begin(),
                    kernelStep("read", addKernel, {input(0), arena(0)}, {0}, 4));
  EXPECT_EQ(updatedBy(plan), 0);
}

TEST(Plan, OutputsThatContinueAnInput) {
  auto updatedAt = [](Tensor::Dims from, Tensor::Dims to, bool isReadLater = false) {
    Plan plan = updatingPlan();
    plan.inputs[0].dims = std::move(from);
    plan.outputs[0].dims = std::move(to);
    if (isReadLater)
      plan.steps.push_back(kernelStep("read", addKernel, {input(0), arena(0)}, {0}, 4));
    return updatedBy(std::move(plan));
  };
  EXPECT_EQ(updatedAt({4}, {5}), 0);
  EXPECT_EQ(updatedAt({0, 1, 4}, {5, 1, 4}), 0);
  EXPECT_EQ(updatedAt({1, 2, 4}, {1, 3, 4}), 0);
  // The input is the same afterwards.
  EXPECT_EQ(updatedAt({4}, {5}, /*isReadLater=*/true), 0);
  EXPECT_EQ(updatedAt({4}, {3}), std::nullopt);
  EXPECT_EQ(updatedAt({2, 4}, {2, 5}), std::nullopt);
  EXPECT_EQ(updatedAt({1, 2, 4}, {2, 3, 4}), std::nullopt);
}

TEST(Plan, OutputsThatUpdateNoInput) {
  Plan partial = updatingPlan();
  partial.steps[0].as<KernelStep>()->copiesWhole = false;
  EXPECT_EQ(updatedBy(partial), std::nullopt);
  Plan wider = updatingPlan();
  wider.outputs[0].dims = {1, 4};
  EXPECT_EQ(updatedBy(wider), std::nullopt);
  Plan readLater = updatingPlan();
  readLater.steps.push_back(kernelStep("read", addKernel, {input(0), arena(0)}, {0}, 4));
  EXPECT_EQ(updatedBy(readLater), std::nullopt);
  Plan maybeViewed = updatingPlan();
  maybeViewed.steps.insert(maybeViewed.steps.begin(), slotStep({}, {}));
  EXPECT_EQ(updatedBy(maybeViewed), std::nullopt);
  Plan writtenBefore = updatingPlan();
  writtenBefore.steps.insert(writtenBefore.steps.begin(),
                             kernelStep("early", addKernel, {input(1), output(0)}, {0}, 4));
  EXPECT_EQ(updatedBy(writtenBefore), std::nullopt);
  Plan fromArena = updatingPlan();
  fromArena.steps[0].as<KernelStep>()->buffers[0] = arena(0);
  EXPECT_EQ(updatedBy(fromArena), std::nullopt);
}
