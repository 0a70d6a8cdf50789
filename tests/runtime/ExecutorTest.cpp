//===- ExecutorTest.cpp ---------------------------------------------------===//
#include "runtime/plan/Executor.h"

#include "runtime/running/Arena.h"
#include "tests/runtime/PlanBuilder.h"

#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>

using namespace quern;
using namespace quern::test;

namespace {
struct RunResult {
  Status status;
  std::vector<Tensor> outputs;
};

/// Runs a plan once, with outputs allocated from its ports.
RunResult runOnce(std::shared_ptr<const Plan> plan, std::vector<Tensor> inputs, int threads = 0) {
  Arena arena = Arena::allocate(CheckedSize(plan->arenaBytes)).take();
  TaskPool pool(threads, true);
  RunResult result;
  for (const PlanPort &port : plan->outputs)
    result.outputs.push_back(port.dynamic ? Tensor()
                                          : Tensor::allocate(port.dtype, port.dims).take());
  Executor executor(plan);
  Budget budget{Limits()};
  result.status =
      executor.run(inputs, result.outputs, {.pool = pool, .budget = budget, .arena = arena.data()});
  return result;
}

template <typename T> std::vector<T> valuesOf(const Tensor &t) {
  return std::vector<T>(t.data<T>(), t.data<T>() + t.numElements());
}

PlanStep referenceStep(decltype(ReferenceStep::function) function, std::vector<ValueRef> inputs,
                       std::vector<ValueRef> outputs) {
  PlanStep step;
  step.work = ReferenceStep{std::move(function), std::move(inputs), std::move(outputs)};
  step.nodes = "node7";
  step.kernel = "nn.some_op";
  return step;
}

/// x (4 floats) -> one reference step -> y, as given.
std::shared_ptr<Plan> referencePlan(decltype(ReferenceStep::function) function, ValueRef result) {
  auto plan = std::make_shared<Plan>();
  plan->inputs = {{.name = "x", .dtype = DType::Float32, .dims = {4}}};
  bool dynamic = result.buffer.space == BufferRef::Space::Dynamic;
  plan->outputs = {{.name = "y", .dtype = result.dtype, .dims = result.dims, .dynamic = dynamic}};
  plan->dynamicSlots = 1;
  plan->steps.push_back(
      referenceStep(std::move(function), {{input(0), DType::Float32, {4}}}, {std::move(result)}));
  return plan;
}

const Tensor kFour = Tensor::of<float>({4}, {1, 2, 3, 4});
} // namespace

TEST(Executor, RunsKernelsThroughArenaAndWeights) {
  auto plan = addElevenPlan(4, 100);
  plan->weights = {Tensor::of<float>({8}, {9, 9, 9, 9, 2, 3, 4, 5})};
  plan->steps.push_back(
      kernelStep("scale", multiplyKernel, {arena(0), test::weights(16), output(0)}, {}, 4));
  for (int threads : {1, 0}) {
    auto result = runOnce(plan, {kFour}, threads);
    ASSERT_TRUE(result.status.isOk()) << result.status.message();
    EXPECT_EQ(valuesOf<float>(result.outputs[0]), (std::vector<float>{4, 9, 16, 25}));
  }
}

// One thread takes sixteen ranges at once.
TEST(Executor, FewTasksAreOneCall) {
  static std::vector<std::pair<int64_t, int64_t>> calls;
  calls.clear();
  auto record = [](void *const *, const int64_t *, int64_t begin, int64_t end, void *) {
    calls.emplace_back(begin, end);
    return 0;
  };
  auto plan = std::make_shared<Plan>();
  plan->steps = {
      kernelStep("whole", record, {}, {}, 8, 8), kernelStep("few", record, {}, {}, 40, 3),
      kernelStep("split", record, {}, {}, 100, 3), kernelStep("empty", record, {}, {}, 0, 1)};
  ASSERT_TRUE(runOnce(plan, {}, 1).status.isOk());
  EXPECT_EQ(calls, (std::vector<std::pair<int64_t, int64_t>>{
                       {0, 8}, {0, 40}, {0, 48}, {48, 96}, {96, 100}}));
}

TEST(Executor, ReferenceResultsAreCopiedToStaticBuffers) {
  auto twice = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    std::vector<float> values;
    for (float v : call.inputs.asTensor(0)->elementsAs<float>())
      values.push_back(2 * v);
    return std::vector<AnyValue>{Tensor::of<float>({2, 2}, values)};
  };
  auto result = runOnce(referencePlan(twice, {output(0), DType::Float32, {2, 2}}), {kFour});
  ASSERT_TRUE(result.status.isOk()) << result.status.message();
  EXPECT_EQ(valuesOf<float>(result.outputs[0]), (std::vector<float>{2, 4, 6, 8}));
}

TEST(Executor, ReferenceKernelsWriteInTheirPlaces) {
  static const void *written;
  auto twice = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    Tensor result = call.places[0];
    EXPECT_EQ(result.describe(), "float32 2x2");
    for (int64_t i = 0; i < 4; ++i)
      result.mutableData<float>()[i] = 2 * call.inputs.asTensor(0)->data<float>()[i];
    written = result.rawData();
    return std::vector<AnyValue>{result};
  };
  auto plan = referencePlan(twice, {arena(64), DType::Float32, {2, 2}});
  plan->arenaBytes = 128;
  plan->steps.push_back(kernelStep("one", addKernel, {arena(64), output(0)}, {1}, 4));
  plan->outputs[0].dims = {4};
  auto result = runOnce(plan, {kFour});
  ASSERT_TRUE(result.status.isOk()) << result.status.message();
  EXPECT_EQ(valuesOf<float>(result.outputs[0]), (std::vector<float>{3, 5, 7, 9}));
  plan = referencePlan(twice, {output(0), DType::Float32, {2, 2}});
  result = runOnce(plan, {kFour});
  EXPECT_EQ(result.outputs[0].rawData(), written);
}

TEST(Executor, NoPlaceWaitsInSlots) {
  auto giveBack = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    EXPECT_FALSE(call.places[0].isPresent());
    return std::vector<AnyValue>{call.inputs[0]};
  };
  auto result = runOnce(referencePlan(giveBack, {slot(0), DType::Float32, {}}), {kFour});
  EXPECT_EQ(valuesOf<float>(result.outputs[0]), valuesOf<float>(kFour));
}

TEST(Executor, ReferenceErrorsNameTheNode) {
  auto fails = [](const ReferenceArguments &) -> Expected<std::vector<AnyValue>> {
    return invalidInput("index 9 is out of range");
  };
  auto result = runOnce(referencePlan(fails, {output(0), DType::Float32, {4}}), {kFour});
  EXPECT_EQ(result.status.code(), StatusCode::InvalidInput);
  EXPECT_EQ(result.status.message(), "node 'node7' (nn.some_op): index 9 is out of range");
}

TEST(Executor, ReferenceResultsMustBeAsPlanned) {
  auto giveBack = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    return std::vector<AnyValue>{call.inputs[0]};
  };
  auto nothing = [](const ReferenceArguments &) -> Expected<std::vector<AnyValue>> {
    return std::vector<AnyValue>();
  };
  auto message = [](auto function, ValueRef ref) {
    auto result = runOnce(referencePlan(function, std::move(ref)), {kFour});
    EXPECT_EQ(result.status.code(), StatusCode::Internal);
    return result.status.message();
  };
  EXPECT_EQ(message(giveBack, {output(0), DType::Float32, {2, 2}}),
            "node 'node7' (nn.some_op): a result has shape 4, planned was 2x2");
  EXPECT_EQ(message(giveBack, {output(0), DType::Int32, {4}}),
            "node 'node7' (nn.some_op): a result has type float32, planned was int32");
  EXPECT_EQ(message(nothing, {output(0), DType::Float32, {4}}),
            "node 'node7' (nn.some_op): computed 0 results, planned were 1");
}

TEST(Executor, DynamicResultsFlowThroughSlots) {
  auto firstTwo = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    return std::vector<AnyValue>{
        Tensor::of<float>({2}, {call.inputs.asTensor(0)->data<float>()[0],
                                call.inputs.asTensor(0)->data<float>()[1]})};
  };
  auto negate = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    EXPECT_FALSE(call.inputs[1].isPresent());
    std::vector<float> values;
    for (float v : call.inputs.asTensor(0)->elementsAs<float>())
      values.push_back(-v);
    return std::vector<AnyValue>{Tensor::of<float>(call.inputs.asTensor(0)->dims(), values)};
  };
  auto plan = referencePlan(firstTwo, {slot(0), DType::Float32, {}});
  plan->dynamicSlots = 2;
  plan->outputs[0].slot = 1;
  plan->steps.push_back(referenceStep(negate, {{slot(0), DType::Float32, {}}, ValueRef{}},
                                      {{slot(1), DType::Float32, {}}}));
  auto result = runOnce(plan, {kFour});
  ASSERT_TRUE(result.status.isOk()) << result.status.message();
  EXPECT_EQ(result.outputs[0].dims(), (Tensor::Dims{2}));
  EXPECT_EQ(valuesOf<float>(result.outputs[0]), (std::vector<float>{-1, -2}));
}

namespace {
Expected<std::vector<AnyValue>> copyOf(const ReferenceArguments &call) {
  AnyValue copy = call.inputs[0];
  QUERN_TRY(copy.unshare());
  return std::vector<AnyValue>{copy};
}
Expected<std::vector<AnyValue>> reshape(const ReferenceArguments &call) {
  return std::vector<AnyValue>{call.inputs.asTensor(0)->reshaped({2, 2})};
}

/// x (4 floats) -> `count` copies in slots, one from the other -> y, the last one.
/// Every copy lives on to the end when `keepsAll`.
std::shared_ptr<Plan> copyChain(uint32_t count, bool keepsAll = false) {
  auto plan = referencePlan(copyOf, {slot(0), DType::Float32, {}});
  plan->dynamicSlots = count;
  for (uint32_t i = 1; i < count; ++i)
    plan->steps.push_back(referenceStep(copyOf, {{slot(i - 1), DType::Float32, {}}},
                                        {{slot(i), DType::Float32, {}}}));
  plan->outputs[0].slot = count - 1;
  for (uint32_t i = 0; keepsAll && i + 1 < count; ++i)
    plan->outputs.push_back({.name = "z", .dtype = DType::Float32, .dynamic = true, .slot = i});
  releaseSlotsAfterLastUse(*plan);
  return plan;
}

Status runWithin(std::shared_ptr<const Plan> plan, int64_t limit) {
  Arena arena = Arena::allocate(CheckedSize(plan->arenaBytes)).take();
  TaskPool pool(1, true);
  std::vector<Tensor> inputs{kFour}, outputs(plan->outputs.size());
  Limits limits;
  limits.maxActivationBytes = limit;
  Budget budget(limits);
  return Executor(plan).run(inputs, outputs,
                            {.pool = pool, .budget = budget, .arena = arena.data()});
}
} // namespace

TEST(Executor, SlotsAreReleasedAfterTheirLastUse) {
  // A step's operand and its result live at the same time: two times 16 bytes.
  EXPECT_TRUE(runWithin(copyChain(10), 32).isOk());
  Status status = runWithin(copyChain(10), 31);
  EXPECT_EQ(status.code(), StatusCode::ResourceLimit);
  EXPECT_EQ(status.message(),
            "node 'node7' (nn.some_op): activations need 32 bytes, the limit is 31");
  EXPECT_TRUE(runWithin(copyChain(10, /*keepsAll=*/true), 160).isOk());
  EXPECT_EQ(runWithin(copyChain(10, /*keepsAll=*/true), 159).message(),
            "node 'node7' (nn.some_op): activations need 160 bytes, the limit is 159");
}

TEST(Executor, TheArenaCounts) {
  auto plan = copyChain(3);
  plan->arenaBytes = 100;
  EXPECT_TRUE(runWithin(plan, 132).isOk());
  EXPECT_EQ(runWithin(plan, 131).message(),
            "node 'node7' (nn.some_op): activations need 132 bytes, the limit is 131");
}

TEST(Executor, CopiesForOutputsCount) {
  auto plan = copyChain(1);
  plan->outputs.push_back(plan->outputs[0]);
  plan->outputs[1].name = "again";
  EXPECT_TRUE(runWithin(plan, 32).isOk());
  EXPECT_EQ(runWithin(plan, 31).message(),
            "output 'y': activations need 32 bytes, the limit is 31");
}

TEST(Executor, DynamicOutputsOwnTheirStorage) {
  auto plan = referencePlan(reshape, {slot(0), DType::Float32, {}});
  Tensor constant = Tensor::of<float>({4}, {5, 6, 7, 8});
  ValueRef constantRef;
  constantRef.constant = constant;
  plan->steps.push_back(referenceStep(reshape, {constantRef}, {{slot(1), DType::Float32, {}}}));
  plan->steps.push_back(
      referenceStep(reshape, {{slot(0), DType::Float32, {}}}, {{slot(2), DType::Float32, {}}}));
  plan->dynamicSlots = 3;
  for (uint32_t i : {1u, 2u, 2u})
    plan->outputs.push_back({.name = "z", .dtype = DType::Float32, .dynamic = true, .slot = i});
  releaseSlotsAfterLastUse(*plan);
  for (int round = 0; round < 2; ++round) {
    auto result = runOnce(plan, {kFour});
    ASSERT_TRUE(result.status.isOk()) << result.status.message();
    std::vector<float> mine{1, 2, 3, 4}, weights{5, 6, 7, 8};
    EXPECT_EQ(valuesOf<float>(result.outputs[0]), mine);
    EXPECT_EQ(valuesOf<float>(result.outputs[1]), weights);
    EXPECT_EQ(valuesOf<float>(result.outputs[2]), mine);
    EXPECT_EQ(valuesOf<float>(result.outputs[3]), mine);
    for (Tensor &output : result.outputs) {
      EXPECT_TRUE(output.isSoleOwner());
      std::fill_n(output.mutableData<float>(), 4, -1.0f);
    }
    EXPECT_EQ(valuesOf<float>(kFour), mine);
    EXPECT_EQ(valuesOf<float>(constant), weights);
  }
}

TEST(Executor, FailedRunsLeaveDynamicOutputs) {
  auto plan = copyChain(2);
  std::vector<Tensor> inputs{kFour}, outputs{kFour};
  TaskPool pool(1, true);
  Limits limits;
  limits.maxActivationBytes = 1;
  Budget budget(limits);
  EXPECT_FALSE(Executor(plan).run(inputs, outputs, {.pool = pool, .budget = budget}).isOk());
  EXPECT_EQ(outputs[0].rawData(), kFour.rawData());
}

// Empty tensors may have no address; UBSan watches.
TEST(Executor, EmptyTensorsWithoutStorage) {
  static int64_t calls;
  calls = 0;
  auto count = [](void *const *, const int64_t *, int64_t, int64_t, void *) {
    ++calls;
    return 0;
  };
  auto plan = std::make_shared<Plan>();
  plan->inputs = {{.name = "x", .dtype = DType::Float32, .dims = {0}}};
  plan->outputs = {{.name = "y", .dtype = DType::Float32, .dims = {0}}};
  BufferRef behind = input(0);
  behind.offset = 8;
  plan->steps = {
      kernelStep("none", count, {behind, output(0)}, {}, 0),
      kernelStep("other", count, {behind, output(0)}, {}, 1),
      referenceStep(copyOf, {{behind, DType::Float32, {0}}}, {{output(0), DType::Float32, {0}}})};
  std::vector<Tensor> inputs{Tensor::borrow(DType::Float32, {0}, nullptr)}, outputs = inputs;
  TaskPool pool(1, true);
  Budget budget{Limits()};
  Status status = Executor(plan).run(inputs, outputs, {.pool = pool, .budget = budget});
  EXPECT_TRUE(status.isOk()) << status.message();
  EXPECT_EQ(calls, 1);
}

TEST(Executor, DynamicResultsNeverShareBorrowedStorage) {
  auto result = runOnce(referencePlan(reshape, {slot(0), DType::Float32, {}}), {kFour});
  ASSERT_TRUE(result.status.isOk()) << result.status.message();
  EXPECT_NE(result.outputs[0].rawData(), kFour.rawData());
  EXPECT_EQ(valuesOf<float>(result.outputs[0]), (std::vector<float>{1, 2, 3, 4}));
}

TEST(Executor, StringsAreCopiedAsObjects) {
  auto name = [](const ReferenceArguments &) -> Expected<std::vector<AnyValue>> {
    Tensor t = Tensor::allocate(DType::String, {1}).take();
    t.mutableData<std::string>()[0] = "a string that is too long for the small buffer";
    return std::vector<AnyValue>{t};
  };
  auto result = runOnce(referencePlan(name, {output(0), DType::String, {1}}), {kFour});
  ASSERT_TRUE(result.status.isOk()) << result.status.message();
  EXPECT_EQ(result.outputs[0].data<std::string>()[0],
            "a string that is too long for the small buffer");
  auto bad = referencePlan(name, {output(0), DType::String, {1}});
  bad->steps[0].as<ReferenceStep>()->outputs[0].buffer = arena(0);
  EXPECT_EQ(runOnce(bad, {kFour}).status.code(), StatusCode::Internal);
}

//===----------------------------------------------------------------------===//
// The end before the end
//===----------------------------------------------------------------------===//

namespace {
std::atomic<bool> stopAsked = false;
std::atomic<int> rangesRun = 0;

/// A kernel during whose first range the caller asks for the end.
int32_t askToStop(void *const *, const int64_t *, int64_t, int64_t, void *) {
  ++rangesRun;
  stopAsked = true;
  return 0;
}
} // namespace

TEST(Executor, StopsBetweenTheTaskRangesOfAStep) {
  auto plan = addElevenPlan(4, 1);
  PlanStep step = plan->steps[0];
  auto &work = *step.as<KernelStep>();
  work.function = askToStop;
  work.tasks = 1000;
  plan->steps = {step};
  Arena arena = Arena::allocate(CheckedSize(plan->arenaBytes)).take();
  std::vector<Tensor> outputs = {Tensor::allocate(DType::Float32, {4}).take()};
  TaskPool pool(1, true);
  Budget budget(Limits(), &stopAsked);
  Status status = Executor(plan).run(std::vector{kFour}, outputs,
                                     {.pool = pool, .budget = budget, .arena = arena.data()});
  EXPECT_EQ(status.code(), StatusCode::Cancelled);
  EXPECT_EQ(rangesRun, 1);
}

// To ask takes as long as a step on a few numbers, so what is expected to be over soon is not
// followed by the question.
TEST(Executor, StopsBetweenStepsThatTakeAWhile) {
  auto rangesOf = [](double expectedNanoseconds) {
    auto plan = addElevenPlan(4, 1);
    PlanStep step = plan->steps[0];
    auto &work = *step.as<KernelStep>();
    work.function = askToStop;
    work.tasks = work.grain = 1;
    step.expectedNanoseconds = expectedNanoseconds;
    plan->steps.assign(10, step);
    Arena arena = Arena::allocate(CheckedSize(plan->arenaBytes)).take();
    std::vector<Tensor> outputs = {Tensor::allocate(DType::Float32, {4}).take()};
    TaskPool pool(1, true);
    stopAsked = false;
    rangesRun = 0;
    Budget budget(Limits(), &stopAsked);
    Status status = Executor(plan).run(std::vector{kFour}, outputs,
                                       {.pool = pool, .budget = budget, .arena = arena.data()});
    EXPECT_EQ(status.isOk(), rangesRun == 10);
    return rangesRun.load();
  };
  EXPECT_EQ(rangesOf(/*nobody can tell*/ 0), 1);
  EXPECT_EQ(rangesOf(1e6), 1);
  EXPECT_EQ(rangesOf(4e3), 3);
  EXPECT_EQ(rangesOf(100), 10);
}

TEST(Executor, TimeIsOverBeforeTheFirstStep) {
  auto plan = addElevenPlan(4, 1);
  Arena arena = Arena::allocate(CheckedSize(plan->arenaBytes)).take();
  std::vector<Tensor> outputs = {Tensor::allocate(DType::Float32, {4}).take()};
  TaskPool pool(1, true);
  Limits limits;
  limits.deadline = Deadline::after(std::chrono::nanoseconds(0));
  Budget budget(limits);
  Status status = Executor(plan).run(std::vector{kFour}, outputs,
                                     {.pool = pool, .budget = budget, .arena = arena.data()});
  EXPECT_EQ(status.code(), StatusCode::ResourceLimit);
  EXPECT_EQ(status.message(), "node '" + plan->steps[0].nodes.str() + "' (" +
                                  plan->steps[0].kernel.str() +
                                  "): time limit of 0ms exceeded while running");
}

TEST(Executor, ReferenceKernelsShareTheBudgetWithTheArena) {
  auto allocates = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    QUERN_ASSIGN(Tensor result, call.budget.allocate(DType::Float32, {4}));
    return std::vector<AnyValue>{result};
  };
  auto plan = referencePlan(allocates, {output(0), DType::Float32, {4}});
  plan->arenaBytes = 100;
  Arena arena = Arena::allocate(CheckedSize(plan->arenaBytes)).take();
  std::vector<Tensor> outputs = {Tensor::allocate(DType::Float32, {4}).take()};
  TaskPool pool(1, true);
  Limits limits;
  limits.maxActivationBytes = 115;
  Budget budget(limits);
  Status status = Executor(plan).run(std::vector{kFour}, outputs,
                                     {.pool = pool, .budget = budget, .arena = arena.data()});
  EXPECT_EQ(status.message(),
            "node 'node7' (nn.some_op): activations need 116 bytes, the limit is 115");
}
