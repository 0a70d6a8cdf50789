//===- ExecutableTest.cpp -------------------------------------------------===//
#include "runtime/running/Executable.h"

#include "runtime/plan/Plan.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

using namespace quern;

namespace {
PortShape shape(std::vector<PortDim> dims) { return PortShape(std::move(dims)); }

/// Inputs a: float32 Nx3, b: int64 Nx?, and a planner that counts its calls.
struct Model {
  explicit Model(int64_t cacheBytes = Executable::kDefaultPlanCacheBytes)
      : executable(
            {{"a", DType::Float32, shape({PortDim::symbol("N"), 3})},
             {"b", DType::Int64, shape({PortDim::symbol("N"), PortDim()})}},
            {}, [this](std::span<const Tensor::Dims> dims, const Deadline &) { return plan(dims); },
            cacheBytes) {}

  Expected<std::shared_ptr<const Plan>> plan(std::span<const Tensor::Dims> dims) {
    ++calls;
    if (dims[0][0] == 13)
      return unsupported("thirteen");
    return std::shared_ptr<const Plan>(std::make_shared<Plan>());
  }
  std::shared_ptr<const Plan> planFor(int64_t n) {
    std::vector<Tensor::Dims> dims = {{n, 3}, {n, 1}};
    auto plan = executable.findPlan(dims);
    return plan ? plan.take() : nullptr;
  }
  std::string inputError(std::vector<Tensor> tensors) {
    Status status = checkInputs(executable.inputs(), tensors);
    EXPECT_EQ(status.code(), StatusCode::InvalidInput);
    return status.message();
  }

  std::atomic<int> calls = 0;
  Executable executable;
};

Tensor floats(Tensor::Dims dims) { return Tensor::allocate(DType::Float32, dims).take(); }
Tensor ints(Tensor::Dims dims) { return Tensor::allocate(DType::Int64, dims).take(); }
} // namespace

TEST(Executable, PlansOncePerShape) {
  Model model;
  auto two = model.planFor(2);
  EXPECT_NE(model.planFor(3), two);
  EXPECT_EQ(model.planFor(2), two);
  EXPECT_EQ(model.calls, 2);
}

TEST(Executable, ForgetsTheLeastRecentlyUsedPlan) {
  Model model(2 * approximateBytes(Plan()));
  auto one = model.planFor(1);
  model.planFor(2);
  model.planFor(1);
  model.planFor(3); // drops 2
  EXPECT_EQ(model.planFor(1), one);
  EXPECT_EQ(model.calls, 3);
  model.planFor(2);
  EXPECT_EQ(model.calls, 4);
}

TEST(Executable, FailuresAreReportedAndNotKept) {
  Model model;
  std::vector<Tensor::Dims> dims = {{13, 3}, {13, 1}};
  EXPECT_EQ(model.executable.findPlan(dims).status().code(), StatusCode::Unsupported);
  EXPECT_EQ(model.executable.findPlan(dims).status().message(), "thirteen");
  EXPECT_EQ(model.calls, 2);
}

TEST(Executable, ThreadsShareOnePlan) {
  Model model;
  std::vector<std::shared_ptr<const Plan>> plans(8);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < plans.size(); ++t)
    threads.emplace_back([&, t] { plans[t] = model.planFor(5); });
  for (std::thread &thread : threads)
    thread.join();
  for (auto &plan : plans)
    EXPECT_EQ(plan, plans[0]);
}

TEST(Executable, InputErrorsNameInputWantedAndFound) {
  Model model;
  EXPECT_TRUE(
      checkInputs(model.executable.inputs(), std::vector{floats({2, 3}), ints({2, 7})}).isOk());
  EXPECT_TRUE(
      checkInputs(model.executable.inputs(), std::vector{floats({0, 3}), ints({0, 0})}).isOk());
  EXPECT_EQ(model.inputError({floats({2, 3})}), "wanted 2 inputs (a, b), found 1");
  EXPECT_EQ(model.inputError({floats({2, 3}), Tensor()}),
            "input 'b': wanted int64 Nx?, found no tensor");
  EXPECT_EQ(model.inputError({ints({2, 3}), ints({2, 3})}),
            "input 'a': wanted float32 Nx3, found int64 2x3");
  EXPECT_EQ(model.inputError({floats({2, 4}), ints({2, 3})}),
            "input 'a': wanted shape Nx3, found 2x4");
  EXPECT_EQ(model.inputError({floats({3}), ints({2, 3})}), "input 'a': wanted shape Nx3, found 3");
  EXPECT_EQ(model.inputError({floats({2, 3}), ints({4, 3})}),
            "input 'b': wanted shape Nx? with N = 2 as in input 'a', found 4x3");
}

TEST(Executable, UnrankedInputsTakeAnyShape) {
  std::vector<PortSignature> ports{{"a", ValueType::tensor(DType::Float32)}};
  EXPECT_TRUE(checkInputs(ports, std::vector{floats({2, 3})}).isOk());
  EXPECT_TRUE(checkInputs(ports, std::vector{floats({})}).isOk());
  EXPECT_EQ(checkInputs(ports, std::vector{ints({2})}).message(),
            "input 'a': wanted float32 of any shape, found int64 2");
}

TEST(Executable, NegativeDimsNeverReachThePlanner) {
  Model model;
  std::vector<Tensor::Dims> dims = {{-1, 3}, {-1, 3}};
  EXPECT_EQ(model.executable.findPlan(dims).status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(model.calls, 0);
}
