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
