//===- SessionTest.cpp ----------------------------------------------------===//
#include "runtime/running/Session.h"

#include "runtime/system/CpuCount.h"
#include "tests/runtime/ControlFlowPlans.h"

#include <atomic>
#include <cstdlib>
#include <gtest/gtest.h>
#include <limits>
#include <new>
#include <thread>

using namespace quern;
using namespace quern::test;

// Counts allocations of this process, to show that a run needs none. ThreadSanitizer
// has operators of its own that cannot be replaced; nothing is counted then.
static std::atomic<int64_t> allocations = 0;
#if !__has_feature(thread_sanitizer)
void *operator new(size_t bytes) {
  ++allocations;
  if (void *p = std::malloc(bytes ? bytes : 1))
    return p;
  std::abort();
}
void operator delete(void *p) noexcept { std::free(p); }
void operator delete(void *p, size_t) noexcept { std::free(p); }
#endif

namespace {
/// y = x + 11 over N floats.
std::shared_ptr<const Executable> addElevenModel(int64_t grain = 16, const std::string &x = "x") {
  PortShape shape({PortDim::symbol("N")});
  return std::make_shared<Executable>(
      std::vector<PortSignature>{{x, DType::Float32, shape}},
      std::vector<PortSignature>{{"y", DType::Float32, shape}},
      [grain](std::span<const Tensor::Dims> dims,
              const Deadline &) -> Expected<std::shared_ptr<const Plan>> {
        return std::shared_ptr<const Plan>(addElevenPlan(dims[0][0], grain));
      });
}

/// A model of the one step given, from x to y (4 floats each).
std::shared_ptr<const Executable> oneStepModel(PlanStep step) {
  auto plan = addElevenPlan(4, 1);
  plan->steps = {std::move(step)};
  PortShape shape({4});
  return std::make_shared<Executable>(
      std::vector<PortSignature>{{"x", DType::Float32, shape}},
      std::vector<PortSignature>{{"y", DType::Float32, shape}},
      [plan](std::span<const Tensor::Dims>, const Deadline &)
          -> Expected<std::shared_ptr<const Plan>> { return std::shared_ptr<const Plan>(plan); });
}

Session makeSession(std::shared_ptr<const Executable> model, RunnerOptions options = {}) {
  return Session(std::move(model), options);
}

Tensor ramp(int64_t n) {
  Tensor t = Tensor::allocate(DType::Float32, {n}).take();
  for (int64_t i = 0; i < n; ++i)
    t.mutableData<float>()[i] = static_cast<float>(i);
  return t;
}

const Tensor kFour = ramp(4);
} // namespace

TEST(Session, RunsAtEveryShapeAndThreadCount) {
  auto model = addElevenModel();
  for (int threads : {1, 2, 0}) {
    Session session = makeSession(model, {.threads = threads});
    for (int64_t n : {5, 1000, 0, 5}) {
      auto outputs = session.run(std::vector{ramp(n)});
      ASSERT_TRUE(outputs) << outputs.status().message();
      ASSERT_EQ((*outputs)[0].dims(), Tensor::Dims{n});
      for (int64_t i = 0; i < n; ++i)
        ASSERT_EQ((*outputs)[0].data<float>()[i], static_cast<float>(i + 11));
    }
  }
}

TEST(Session, KeepsWorkingAfterManyShapes) {
  Session session = makeSession(addElevenModel());
  for (int64_t n = 1; n < 40; ++n)
    ASSERT_TRUE(session.run(std::vector{ramp(n)}));
  EXPECT_EQ((*session.run(std::vector{ramp(1)}))[0].data<float>()[0], 11.0f);
}

TEST(Session, BoundRunsAllocateNothing) {
  auto model = addElevenModel(16, "an input whose name is no small string");
  Session session = makeSession(model, {.threads = 1, .profile = true});
  std::vector<Tensor> inputs{ramp(100)};
  std::vector<Tensor> outputs{Tensor::allocate(DType::Float32, {100}).take()};
  const void *bound = outputs[0].rawData();
  ASSERT_TRUE(session.run(inputs, outputs).isOk());
  int64_t before = allocations;
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(session.run(inputs, outputs).isOk());
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(outputs[0].rawData(), bound);
  EXPECT_EQ(outputs[0].data<float>()[99], 110.0f);
}

TEST(Session, IterationsAllocateNothing) {
  auto plan = std::make_shared<Plan>(countingPlan());
  auto model = std::make_shared<Executable>(
      std::vector<PortSignature>{{"x", DType::Float32, PortShape({2})},
                                 {"trips", DType::Int64, PortShape(std::vector<PortDim>{})}},
      std::vector<PortSignature>{{"y", DType::Float32, PortShape({2})}},
      [plan](std::span<const Tensor::Dims>, const Deadline &)
          -> Expected<std::shared_ptr<const Plan>> { return std::shared_ptr<const Plan>(plan); });
  Session session = makeSession(model, {.threads = 1, .profile = true});
  std::vector<Tensor> outputs{ramp(2)};
  auto allocationsOf = [&](int64_t trips) {
    std::vector<Tensor> inputs{ramp(2), Tensor::of<int64_t>({}, {trips})};
    int64_t before = allocations;
    EXPECT_TRUE(session.run(inputs, outputs).isOk());
    EXPECT_EQ(outputs[0].data<float>()[1], static_cast<float>(1 + trips));
    return allocations - before;
  };
  (void)allocationsOf(1); // makes the plan
  EXPECT_EQ(allocationsOf(1000), allocationsOf(2));
}

TEST(Session, RefusesWrongTensors) {
  Session session = makeSession(addElevenModel());
  auto wrongType = session.run(std::vector{Tensor::ofInts({1})});
  EXPECT_EQ(wrongType.status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(wrongType.status().message(), "input 'x': wanted float32 N, found int64 1");

  std::vector<Tensor> outputs{ramp(5)};
  Status wrongOutput = session.run(std::vector{kFour}, outputs);
  EXPECT_EQ(wrongOutput.code(), StatusCode::InvalidInput);
  EXPECT_EQ(wrongOutput.message(), "output 'y': wanted float32 4, found float32 5");
  EXPECT_EQ(session.run(std::vector{kFour}, std::span<Tensor>()).message(),
            "wanted 1 outputs, found 0");

  auto *middle = static_cast<const std::byte *>(kFour.rawData()) + 2;
  auto skewed = session.run(std::vector{Tensor::borrow(DType::Float32, {3}, middle)});
  EXPECT_EQ(skewed.status().message(), "input 'x': the data is not aligned to its elements");
  auto missing = session.run(std::vector{Tensor::borrow(DType::Float32, {3}, nullptr)});
  EXPECT_EQ(missing.status().message(), "input 'x': the tensor has no data");
}

TEST(Session, RefusesOutputsThatOverlapInputs) {
  Session session = makeSession(addElevenModel());
  Tensor six = ramp(6);
  auto part = [&](int64_t first) {
    return Tensor::borrow(DType::Float32, {4}, six.data<float>() + first);
  };
  std::vector<Tensor> inputs{part(0)}, outputs{part(2)};
  Status status = session.run(inputs, outputs);
  EXPECT_EQ(status.code(), StatusCode::InvalidInput);
  EXPECT_EQ(status.message(), "output 'y' overlaps input 'x': they share 8 bytes, from byte 0 of "
                              "the first and byte 8 of the second on");
  EXPECT_EQ(six.data<float>()[5], 5.0f) << "nothing has run";
  outputs = {ramp(4)};
  EXPECT_TRUE(session.run(inputs, outputs).isOk());
}

TEST(Session, OptionsAreChecked) {
  auto runner = addElevenModel()->createRunner({.threads = -1});
  ASSERT_FALSE(runner);
  EXPECT_EQ(runner.status().message(),
            "the number of threads is -1; wanted 1 or more, or 0 for all CPUs");
  EXPECT_EQ(makeSession(addElevenModel()).threads(), availableCpus());
}

TEST(Session, ActivationsAreLimited) {
  RunnerOptions options;
  options.limits.maxActivationBytes = 1000;
  Session session = makeSession(addElevenModel(), options);
  EXPECT_TRUE(session.run(std::vector{ramp(10)}));
  auto outputs = session.run(std::vector{ramp(1000)});
  EXPECT_EQ(outputs.status().code(), StatusCode::ResourceLimit);
  EXPECT_EQ(outputs.status().message(),
            "activations: an arena needs 4000 bytes, the limit is 1000");
}

TEST(Session, ValuesInSlotsAreLimited) {
  auto plan = addElevenPlan(4, 1);
  auto copy = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    AnyValue result = call.inputs[0];
    QUERN_TRY(result.unshare());
    return std::vector{result};
  };
  PlanStep step;
  step.work = ReferenceStep{.function = copy,
                            .inputs = {{input(0), DType::Float32, {4}}},
                            .outputs = {{slot(0), DType::Float32, {}}}};
  step.nodes = "big";
  step.kernel = "nn.copy";
  plan->steps.push_back(std::move(step));
  plan->dynamicSlots = 1;
  PortShape shape({4});
  auto model = std::make_shared<Executable>(
      std::vector<PortSignature>{{"x", DType::Float32, shape}},
      std::vector<PortSignature>{{"y", DType::Float32, shape}},
      [plan](std::span<const Tensor::Dims>, const Deadline &)
          -> Expected<std::shared_ptr<const Plan>> { return std::shared_ptr<const Plan>(plan); });
  RunnerOptions options;
  options.limits.maxActivationBytes = 32;
  EXPECT_TRUE(makeSession(model, options).run(std::vector{kFour}));
  options.limits.maxActivationBytes = 31;
  EXPECT_EQ(makeSession(model, options).run(std::vector{kFour}).status().message(),
            "node 'big' (nn.copy): activations need 32 bytes, the limit is 31");
}

TEST(Session, FlushesSubnormalsUnlessToldNotTo) {
  auto halve = [](void *const *buffers, const int64_t *, int64_t begin, int64_t end, void *) {
    for (int64_t i = begin; i < end; ++i)
      static_cast<float *>(buffers[1])[i] = static_cast<float *>(buffers[0])[i] * 0.5f;
    return 0;
  };
  auto model = oneStepModel(kernelStep("halve", halve, {input(0), output(0)}, {}, 4));
  float smallest = std::numeric_limits<float>::min();
  std::vector<Tensor> inputs{Tensor::of<float>({4}, {smallest, smallest, smallest, smallest})};
  for (bool flush : {true, false}) {
    Session session = makeSession(model, {.flushDenormals = flush});
    auto outputs = session.run(inputs);
    ASSERT_TRUE(outputs);
    for (float v : (*outputs)[0].elementsAs<float>())
      EXPECT_EQ(v == 0.0f, flush);
  }
  volatile float after = smallest;
  EXPECT_NE(after * 0.5f, 0.0f);
}

TEST(Session, ProfileHasARowPerStep) {
  Session session = makeSession(addElevenModel(), {.profile = true});
  EXPECT_TRUE(session.profile().empty());
  ASSERT_TRUE(session.run(std::vector{ramp(100'000)}));
  ASSERT_TRUE(session.run(std::vector{ramp(100'000)}));
  auto rows = session.profile();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].nodes, "one");
  EXPECT_EQ(rows[1].nodes, "ten");
  EXPECT_EQ(rows[1].runs, 2);
  EXPECT_EQ(rows[1].tasks, 100'000);
  EXPECT_GT(rows[1].fastestNanoseconds, 0);
  EXPECT_LE(2 * rows[1].fastestNanoseconds, rows[1].nanoseconds);
  EXPECT_FALSE(rows[1].reference);
  session.clearProfile();
  EXPECT_EQ(session.profile()[1].runs, 0);
  EXPECT_EQ(session.profile()[1].nanoseconds, 0);
}

TEST(Session, CancelEndsTheRunOnce) {
  Session session = makeSession(addElevenModel());
  session.cancel();
  auto outputs = session.run(std::vector{kFour});
  EXPECT_EQ(outputs.status().code(), StatusCode::Cancelled);
  EXPECT_TRUE(outputs.status().message().ends_with("the run was cancelled"));
  EXPECT_TRUE(session.run(std::vector{kFour}));
}

TEST(Session, CancelInTheLastStepIsNotLost) {
  static Session *running;
  auto cancels = [](void *const *, const int64_t *, int64_t, int64_t, void *) {
    running->cancel();
    return 0;
  };
  Session session =
      makeSession(oneStepModel(kernelStep("cancels", cancels, {input(0), output(0)}, {}, 1)));
  running = &session;
  EXPECT_EQ(session.run(std::vector{kFour}).status().code(), StatusCode::Cancelled);
}

TEST(Session, TimeLimitOfPlanningAndRunning) {
  RunnerOptions options;
  options.limits.deadline = Deadline::after(std::chrono::nanoseconds(0));
  Deadline seen;
  PortShape shape({4});
  auto model = std::make_shared<Executable>(
      std::vector<PortSignature>{{"x", DType::Float32, shape}},
      std::vector<PortSignature>{{"y", DType::Float32, shape}},
      [&seen](std::span<const Tensor::Dims>,
              const Deadline &deadline) -> Expected<std::shared_ptr<const Plan>> {
        seen = deadline;
        return std::shared_ptr<const Plan>(addElevenPlan(4, 1));
      });
  Session session = makeSession(model, options);
  auto outputs = session.run(std::vector{kFour});
  EXPECT_EQ(outputs.status().code(), StatusCode::ResourceLimit);
  EXPECT_NE(outputs.status().message().find("time limit of 0ms exceeded while running"),
            std::string::npos);
  EXPECT_TRUE(seen.passed());
}

TEST(Session, OneRunAtATime) {
  Session *inner = nullptr;
  Status nested;
  PlanStep step;
  step.work = ReferenceStep{[&](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
                              nested = inner->run(std::vector{kFour}).status();
                              return std::vector<AnyValue>{call.inputs[0]};
                            },
                            {{input(0), DType::Float32, {4}}},
                            {{output(0), DType::Float32, {4}}}};
  Session session = makeSession(oneStepModel(std::move(step)));
  inner = &session;
  ASSERT_TRUE(session.run(std::vector{kFour}));
  EXPECT_EQ(nested.code(), StatusCode::Usage);
  EXPECT_EQ(nested.message(), "the runner is in use by another thread; make one runner per thread");
}

TEST(Session, SessionsOfOneExecutableRunSideBySide) {
  auto model = addElevenModel();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Session session = makeSession(model);
      for (int i = 0; i < 50; ++i) {
        int64_t n = 100 * (t + 1) + i % 3;
        auto outputs = session.run(std::vector{ramp(n)});
        wrong += !outputs || (*outputs)[0].data<float>()[n - 1] != static_cast<float>(n + 10);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}
