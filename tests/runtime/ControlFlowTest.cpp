//===- ControlFlowTest.cpp - plans that run plans -------------------------===//
#include "runtime/plan/Executor.h"
#include "runtime/plan/NestedPlan.h"
#include "runtime/plan/Profile.h"
#include "runtime/running/Arena.h"
#include "runtime/running/Session.h"
#include "tests/runtime/ControlFlowPlans.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

using namespace quern;
using namespace quern::test;

namespace {
struct RunResult {
  Status status;
  std::vector<Tensor> outputs;

  std::vector<float> floats(size_t i = 0) const {
    EXPECT_TRUE(status.isOk()) << status.message();
    if (!status.isOk() || !outputs[i].isPresent())
      return {};
    auto elements = outputs[i].elementsAs<float>();
    return {elements.begin(), elements.end()};
  }
};

/// Runs a plan once, with outputs allocated from its ports.
RunResult runOnce(Plan plan, const std::vector<Tensor> &inputs, Limits limits = {},
                  const std::atomic<bool> *cancelled = nullptr) {
  TaskPool pool(2, true);
  Arena arena = Arena::allocate(runBytes(plan, pool.threads())).take();
  RunResult result;
  for (const PlanPort &port : plan.outputs)
    result.outputs.push_back(port.dynamic ? Tensor()
                                          : Tensor::allocate(port.dtype, port.dims).take());
  Executor executor(std::make_shared<const Plan>(std::move(plan)));
  Budget budget(limits, cancelled);
  result.status =
      executor.run(inputs, result.outputs, {.pool = pool, .budget = budget, .arena = arena.data()});
  EXPECT_EQ(budget.heldBytes(), 0);
  return result;
}

Tensor floats(std::vector<float> values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}
Tensor flag(bool value) { return Tensor::of<bool>({}, {value}); }
Tensor number(int64_t value) { return Tensor::of<int64_t>({}, {value}); }

/// y = x + `addend` over two floats, as a plan of its own.
Planner addingPlan(float addend, std::string node) {
  auto plan = std::make_shared<Plan>();
  plan->inputs = {floatPort("x", {2})};
  plan->outputs = {floatPort("y", {2})};
  plan->steps = {kernelStep(std::move(node), addKernel, {input(0), output(0)},
                            {static_cast<int64_t>(addend)}, 2)};
  return always(plan);
}
} // namespace

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

namespace {
/// y = condition ? x + 1 : x + 10.
Plan choosingPlan(ValueRef result) {
  IfStep step;
  step.condition = {input(0), DType::Bool, {}};
  step.thenPlanner = addingPlan(1, "then1");
  step.elsePlanner = addingPlan(10, "else1");
  step.inputs = {{input(1), DType::Float32, {2}}};
  step.outputs = {std::move(result)};
  Plan plan;
  plan.inputs = {{.name = "c", .dtype = DType::Bool}, floatPort("x", {2})};
  plan.outputs = {floatPort("y", {2})};
  plan.steps.push_back({std::move(step), "if1", "nn.if"});
  return plan;
}
} // namespace

TEST(If, RunsOneOfTwoPlans) {
  Plan plan = choosingPlan({output(0), DType::Float32, {2}});
  EXPECT_EQ(runOnce(plan, {flag(true), floats({1, 2})}).floats(), (std::vector<float>{2, 3}));
  EXPECT_EQ(runOnce(plan, {flag(false), floats({1, 2})}).floats(), (std::vector<float>{11, 12}));
}

TEST(If, BranchesMayDifferInShape) {
  Plan plan = choosingPlan({slot(0), DType::Float32, {}});
  auto longer = copyOf(plan.steps[0].as<IfStep>()->elsePlanner);
  longer->outputs = {floatPort("y", {3})};
  longer->steps = {kernelStep("else1", constantKernel, {output(0)}, {7}, 3)};
  plan.steps[0].as<IfStep>()->elsePlanner = always(longer);
  plan.dynamicSlots = 1;
  plan.outputs = {dynamicPort("y", 0)};
  EXPECT_EQ(runOnce(plan, {flag(true), floats({1, 2})}).floats(), (std::vector<float>{2, 3}));
  EXPECT_EQ(runOnce(plan, {flag(false), floats({1, 2})}).floats(), (std::vector<float>{7, 7, 7}));
}

TEST(If, WantsOneCondition) {
  Plan plan = choosingPlan({output(0), DType::Float32, {2}});
  plan.inputs[0].dims = {3};
  plan.steps[0].as<IfStep>()->condition.dims = {3};
  auto result = runOnce(plan, {Tensor::of<bool>({3}, {true, true, true}), floats({1, 2})});
  EXPECT_EQ(result.status.code(), StatusCode::InvalidInput);
  EXPECT_EQ(result.status.message(),
            "node 'if1' (nn.if): the condition is bool 3, wanted one bool");
}

TEST(If, ErrorsNameTheNodesOnTheWay) {
  Plan plan = choosingPlan({output(0), DType::Float32, {2}});
  auto refusing = copyOf(plan.steps[0].as<IfStep>()->elsePlanner);
  auto refuse = [](void *const *, const int64_t *, int64_t, int64_t, void *) { return 1; };
  refusing->steps = {kernelStep("gather3", refuse, {}, {}, 1)};
  plan.steps[0].as<IfStep>()->elsePlanner = always(refusing);
  EXPECT_TRUE(runOnce(plan, {flag(true), floats({1, 2})}).status.isOk());
  auto result = runOnce(plan, {flag(false), floats({1, 2})});
  EXPECT_EQ(result.status.code(), StatusCode::InvalidInput);
  EXPECT_EQ(result.status.message(), "node 'if1' (nn.if): else: node 'gather3' (kernel): an index "
                                     "is out of range");
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

TEST(Loop, CarriesValuesFromIterationToIteration) {
  for (int64_t trips : {0, 1, 2, 7, 100})
    EXPECT_EQ(runOnce(countingPlan(), {floats({1, 2}), number(trips)}).floats(),
              (std::vector<float>{1.0f + trips, 2.0f + trips}))
        << trips;
  EXPECT_EQ(runOnce(countingPlan(), {floats({1, 2}), number(-3)}).floats(),
            (std::vector<float>{1, 2}));
}

TEST(Loop, AnIterationDoesNotOverwriteWhatItReads) {
  auto swap = [](void *const *buffers, const int64_t *, int64_t begin, int64_t end, void *) {
    for (int64_t i = begin; i < end; ++i)
      static_cast<float *>(buffers[1])[i] = static_cast<float *>(buffers[0])[1 - i];
    return 0;
  };
  Plan plan = countingPlan();
  auto &loop = *plan.steps[0].as<LoopStep>();
  auto body = copyOf(loop.body);
  body->steps[1] = kernelStep("swap", swap, {input(2), output(1)}, {}, 2);
  loop.body = always(body);
  for (int64_t trips : {1, 2, 3, 4})
    EXPECT_EQ(runOnce(plan, {floats({1, 2}), number(trips)}).floats(),
              trips % 2 == 0 ? (std::vector<float>{1, 2}) : (std::vector<float>{2, 1}));
}

TEST(Loop, EndsWhenTheConditionDoes) {
  Plan plan = countingPlan();
  auto &step = *plan.steps[0].as<LoopStep>();
  // Goes on while the number of the iteration is below 4.
  auto body = copyOf(step.body);
  body->steps[0] = kernelStep("less", numberBelowKernel, {input(0), output(0)}, {4}, 1);
  step.body = always(body);
  EXPECT_EQ(runOnce(plan, {floats({0, 0}), number(100)}).floats(), (std::vector<float>{5, 5}));
  EXPECT_EQ(runOnce(plan, {floats({0, 0}), number(3)}).floats(), (std::vector<float>{3, 3}));
  step.tripCount = {};
  EXPECT_EQ(runOnce(plan, {floats({0, 0}), number(0)}).floats(), (std::vector<float>{5, 5}));
  step.condition = {};
  step.condition.constant = flag(false);
  EXPECT_EQ(runOnce(plan, {floats({0, 0}), number(0)}).floats(), (std::vector<float>{0, 0}));
}

TEST(Loop, WithoutAnEndTheDeadlineOrTheCallerEndsIt) {
  Plan plan = countingPlan();
  plan.steps[0].as<LoopStep>()->tripCount = {};
  Limits limits;
  limits.deadline = Deadline::after(std::chrono::milliseconds(20));
  auto late = runOnce(plan, {floats({0, 0}), number(0)}, limits);
  EXPECT_EQ(late.status.code(), StatusCode::ResourceLimit);
  EXPECT_TRUE(late.status.message().starts_with("node 'loop1' (nn.loop): iteration "))
      << late.status.message();

  std::atomic<bool> stop = false;
  std::thread caller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stop = true;
  });
  // Even a body without steps is asked.
  auto &step = *plan.steps[0].as<LoopStep>();
  auto body = copyOf(step.body);
  body->steps = {body->steps[0]};
  step.body = always(body);
  auto cancelled = runOnce(plan, {floats({0, 0}), number(0)}, {}, &stop);
  caller.join();
  EXPECT_EQ(cancelled.status.code(), StatusCode::Cancelled);
}

TEST(Loop, ScanOutputsAreStacked) {
  for (int64_t trips : {0, 1, 5, 16, 17, 100}) {
    Plan plan = countingPlan();
    addScanOutput(plan, {slot(0), DType::Float32, {}});
    plan.dynamicSlots = 1;
    plan.outputs.push_back(dynamicPort("history", 0));
    auto result = runOnce(plan, {floats({1, 2}), number(trips)});
    std::vector<float> history = result.floats(1), wanted;
    for (int64_t i = 0; i < trips; ++i)
      wanted.insert(wanted.end(), {2.0f + i, 3.0f + i});
    EXPECT_EQ(result.outputs[1].dims(), (Tensor::Dims{trips, 2}));
    EXPECT_EQ(history, wanted);
    EXPECT_TRUE(result.outputs[1].isSoleOwner());
  }
}

TEST(Loop, ScanOutputsOfAKnownCountHaveTheirPlace) {
  Plan plan = countingPlan();
  addScanOutput(plan, {output(1), DType::Float32, {3, 2}});
  plan.outputs.push_back(floatPort("history", {3, 2}));
  EXPECT_EQ(runOnce(plan, {floats({1, 2}), number(3)}).floats(1),
            (std::vector<float>{2, 3, 3, 4, 4, 5}));
  auto more = runOnce(plan, {floats({1, 2}), number(4)});
  EXPECT_EQ(more.status.message(),
            "node 'loop1' (nn.loop): iteration 3: more slices than the 3 planned");
  auto fewer = runOnce(plan, {floats({1, 2}), number(2)});
  EXPECT_EQ(fewer.status.message(), "node 'loop1' (nn.loop): there were 2 slices, planned were 3");
}

TEST(Loop, CarriedValuesMayChangeSize) {
  // Each iteration appends the number of elements so far.
  auto append = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    QUERN_ASSIGN(Tensor given, call.inputs[0].toTensor());
    QUERN_ASSIGN(Tensor longer, call.budget.allocate(DType::Float32, {given.numElements() + 1}));
    std::copy_n(given.data<float>(), given.numElements(), longer.mutableData<float>());
    longer.mutableData<float>()[given.numElements()] = static_cast<float>(given.numElements());
    return std::vector<AnyValue>{longer};
  };
  Plan plan = dynamicLoop(append);
  for (int64_t trips : {0, 1, 4}) {
    auto result = runOnce(plan, {floats({9}), number(trips)});
    std::vector<float> wanted{9};
    for (int64_t i = 0; i < trips; ++i)
      wanted.push_back(static_cast<float>(i + 1));
    EXPECT_EQ(result.floats(), wanted);
    EXPECT_TRUE(result.outputs[0].isSoleOwner());
  }
  // A hundred values of up to 400 bytes do not add up.
  Limits limits;
  limits.maxActivationBytes = 2000;
  EXPECT_TRUE(runOnce(plan, {floats({9}), number(100)}, limits).status.isOk());
  auto tooMuch = runOnce(plan, {floats({9}), number(1000)}, limits);
  EXPECT_EQ(tooMuch.status.code(), StatusCode::ResourceLimit);
}

TEST(Loop, CarriedValuesMayBePassedThrough) {
  auto same = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    return std::vector<AnyValue>{call.inputs[0]};
  };
  Tensor given = floats({1, 2});
  auto result = runOnce(dynamicLoop(same), {given, number(3)});
  EXPECT_EQ(result.floats(), (std::vector<float>{1, 2}));
  EXPECT_NE(result.outputs[0].rawData(), given.rawData());
}

TEST(Loop, MayContainAnIf) {
  // v = number < 2 ? v + 1 : v + 10, four times.
  Plan plan = countingPlan();
  auto &loop = *plan.steps[0].as<LoopStep>();
  auto body = copyOf(loop.body);
  body->arenaBytes = 64;
  IfStep choose;
  choose.condition = {arena(0), DType::Bool, {}};
  choose.thenPlanner = addingPlan(1, "small");
  choose.elsePlanner = addingPlan(10, "large");
  choose.inputs = {{input(2), DType::Float32, {2}}};
  choose.outputs = {{output(1), DType::Float32, {2}}};
  body->steps.pop_back();
  body->steps.push_back(kernelStep("less", numberBelowKernel, {input(0), arena(0)}, {2}, 1));
  body->steps.push_back({std::move(choose), "if1", "nn.if"});
  loop.body = always(body);
  EXPECT_EQ(runOnce(plan, {floats({0, 5}), number(4)}).floats(), (std::vector<float>{22, 27}));
}

TEST(Loop, StepsOfBodiesAreTimed) {
  auto plan = std::make_shared<Plan>(countingPlan());
  auto model = std::make_shared<Executable>(
      std::vector<PortSignature>{{"x", DType::Float32, PortShape({2})},
                                 {"trips", DType::Int64, PortShape(std::vector<PortDim>{})}},
      std::vector<PortSignature>{{"y", DType::Float32, PortShape({2})}},
      [plan](std::span<const Tensor::Dims>, const Deadline &)
          -> Expected<std::shared_ptr<const Plan>> { return std::shared_ptr<const Plan>(plan); });
  Session session(model, {.threads = 1, .profile = true});
  std::vector<Tensor> inputs{floats({1, 2}), number(5)};
  ASSERT_TRUE(session.run(inputs));
  std::vector<ProfileRow> rows = session.profile();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].runs, 1);
  EXPECT_EQ(rows[1].runs, 5);
  EXPECT_EQ(rows[2].nodes, "add");
  EXPECT_EQ(rows[2].depth, 1);
  EXPECT_GE(rows[0].nanoseconds, rows[1].nanoseconds + rows[2].nanoseconds);
}

// Rows are names, copied: nothing that a run without a profile should wait for.
TEST(Loop, BodiesHaveRowsOnlyWithAProfile) {
  Plan plan = countingPlan();
  Planner body = plan.steps[0].as<LoopStep>()->body;
  std::vector<AnyValue> operands{number(0), Tensor::of<bool>({}, {true}), floats({1, 2})};
  TaskPool pool(1, true);
  Budget budget{Limits()};
  std::vector<ProfileRow> around(1);
  for (bool profile : {false, true}) {
    RunContext run{.pool = pool, .budget = budget};
    if (profile)
      run.profile = around;
    NestedPlan nested;
    ASSERT_TRUE(nested.enter(body, operands, run).isOk());
    EXPECT_EQ(nested.rows.size(), profile ? 2u : 0u);
    nested.leave(budget);
  }
}

TEST(Loop, BodiesHaveScratchMemory) {
  auto touch = [](void *const *, const int64_t *, int64_t, int64_t, void *scratch) {
    return scratch && reinterpret_cast<uintptr_t>(scratch) % 64 == 0 ? 0 : 77;
  };
  Plan plan = countingPlan();
  auto &loop = *plan.steps[0].as<LoopStep>();
  auto body = copyOf(loop.body);
  body->steps.push_back(kernelStep("sort", touch, {}, {}, 10));
  body->steps.back().as<KernelStep>()->scratchBytes = 100;
  loop.body = always(body);
  EXPECT_TRUE(runOnce(plan, {floats({1, 2}), number(3)}).status.isOk());
}

TEST(Loop, SlotsOfItsOperandsAreReleased) {
  Plan plan = dynamicLoop(nullptr);
  EXPECT_EQ(plan.steps[0].released, (std::vector<uint32_t>{0}));
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

namespace {
/// sum = initial; for each slice of two of xs: sum += slice, and sum is a slice of ys.
Plan summingPlan(Tensor::Dims xs, ScanInput in, ScanOutput out) {
  auto body = std::make_shared<Plan>();
  body->inputs = {floatPort("sum", {2}), floatPort("slice", {2})};
  body->outputs = {floatPort("sum", {2}), floatPort("row", {2})};
  body->steps = {kernelStep("sum", sumKernel, {input(0), input(1), output(0)}, {}, 2),
                 kernelStep("row", addKernel, {output(0), output(1)}, {0}, 2)};
  ScanStep step;
  step.body = always(body);
  step.carried = {{{input(0), DType::Float32, {2}}, {output(0), DType::Float32, {2}}}};
  in.operand = {input(1), DType::Float32, xs};
  step.scanInputs = {in};
  out.emptySlice = {2};
  step.scanOutputs = {out};
  Plan plan;
  plan.inputs = {floatPort("initial", {2}), floatPort("xs", xs)};
  plan.outputs = {floatPort("sum", {2})};
  plan.outputs.push_back(out.result.buffer.isDynamic() ? dynamicPort("ys", 0)
                                                       : floatPort("ys", out.result.dims));
  plan.dynamicSlots = 1;
  plan.steps.push_back({std::move(step), "scan1", "nn.scan"});
  return plan;
}

const ValueRef kInSlot{slot(0), DType::Float32, {}};
ValueRef placed(Tensor::Dims dims) { return {output(1), DType::Float32, std::move(dims)}; }
const Tensor kRows = Tensor::of<float>({3, 2}, {1, 2, 10, 20, 100, 200});
const Tensor kColumns = Tensor::of<float>({2, 3}, {1, 10, 100, 2, 20, 200});
} // namespace

TEST(Scan, CutsAndJoinsAlongAxes) {
  std::vector<float> forward{1, 2, 11, 22, 111, 222}, across{1, 11, 111, 2, 22, 222};
  for (bool inSlot : {true, false})
    for (int64_t inAxis : {0, 1})
      for (int64_t outAxis : {0, 1}) {
        Tensor::Dims ys = outAxis == 0 ? Tensor::Dims{3, 2} : Tensor::Dims{2, 3};
        const Tensor &xs = inAxis == 0 ? kRows : kColumns;
        Plan plan = summingPlan(xs.dims(), {.axis = inAxis},
                                {.result = inSlot ? kInSlot : placed(ys), .axis = outAxis});
        auto result = runOnce(plan, {floats({0, 0}), xs});
        EXPECT_EQ(result.floats(0), (std::vector<float>{111, 222}));
        EXPECT_EQ(result.floats(1), outAxis == 0 ? forward : across);
        EXPECT_EQ(result.outputs[1].dims(), ys);
      }
}

TEST(Scan, RunsInBothDirections) {
  for (bool inSlot : {true, false}) {
    ValueRef result = inSlot ? kInSlot : placed({3, 2});
    Plan backIn = summingPlan({3, 2}, {.backward = true}, {.result = result});
    EXPECT_EQ(runOnce(backIn, {floats({0, 0}), kRows}).floats(1),
              (std::vector<float>{100, 200, 110, 220, 111, 222}));
    Plan backOut = summingPlan({3, 2}, {}, {.result = result, .backward = true});
    EXPECT_EQ(runOnce(backOut, {floats({0, 0}), kRows}).floats(1),
              (std::vector<float>{111, 222, 11, 22, 1, 2}));
  }
}

TEST(Scan, OfNothing) {
  Plan plan = summingPlan({0, 2}, {}, {.result = kInSlot});
  auto result = runOnce(plan, {floats({3, 4}), Tensor::allocate(DType::Float32, {0, 2}).take()});
  EXPECT_EQ(result.floats(0), (std::vector<float>{3, 4}));
  EXPECT_EQ(result.outputs[1].dims(), (Tensor::Dims{0, 2}));
}

TEST(Scan, OperandsAgreeInTheirNumberOfSlices) {
  Plan plan = summingPlan({3, 2}, {}, {.result = kInSlot});
  auto &step = *plan.steps[0].as<ScanStep>();
  auto body = copyOf(step.body);
  body->inputs.push_back(floatPort("other", {2}));
  step.body = always(body);
  step.scanInputs.push_back(step.scanInputs[0]);
  step.scanInputs[1].operand = {input(2), DType::Float32, {4, 2}};
  plan.inputs.push_back(floatPort("others", {4, 2}));
  auto result =
      runOnce(plan, {floats({0, 0}), kRows, Tensor::allocate(DType::Float32, {4, 2}).take()});
  EXPECT_EQ(result.status.code(), StatusCode::InvalidInput);
  EXPECT_EQ(result.status.message(), "node 'scan1' (nn.scan): scanned values of 3 and 4 slices");
}

TEST(Scan, DynamicSlices) {
  // The body sees slices of any size and doubles them on its reference kernel.
  auto twice = [](const ReferenceArguments &call) -> Expected<std::vector<AnyValue>> {
    QUERN_ASSIGN(Tensor given, call.inputs[0].toTensor());
    QUERN_ASSIGN(Tensor result, given.clone());
    for (int64_t i = 0; i < result.numElements(); ++i)
      result.mutableData<float>()[i] *= 2;
    return std::vector<AnyValue>{result};
  };
  auto body = std::make_shared<Plan>();
  body->dynamicSlots = 2;
  body->inputs = {dynamicPort("slice", 0)};
  body->outputs = {dynamicPort("row", 1)};
  body->steps.push_back(
      {ReferenceStep{twice, {{slot(0), DType::Float32, {}}}, {{slot(1), DType::Float32, {}}}},
       "twice", "nn.mul"});
  ScanStep step;
  step.body = always(body);
  step.scanInputs = {{.operand = {slot(0), DType::Float32, {}}, .axis = 1}};
  step.scanOutputs = {{.result = {slot(1), DType::Float32, {}}, .axis = 1, .emptySlice = {0}}};
  Plan plan;
  plan.dynamicSlots = 2;
  plan.inputs = {dynamicPort("xs", 0)};
  plan.outputs = {dynamicPort("ys", 1)};
  plan.steps.push_back({std::move(step), "scan1", "nn.scan"});
  releaseSlotsAfterLastUse(plan);
  auto result = runOnce(plan, {kColumns});
  EXPECT_EQ(result.outputs[0].dims(), (Tensor::Dims{2, 3}));
  EXPECT_EQ(result.floats(), (std::vector<float>{2, 20, 200, 4, 40, 400}));
  auto none = runOnce(plan, {Tensor::allocate(DType::Float32, {2, 0}).take()});
  EXPECT_EQ(none.outputs[0].dims(), (Tensor::Dims{0, 0}));
  auto empty = runOnce(plan, {Tensor::borrow(DType::Float32, {0, 3}, nullptr)});
  ASSERT_TRUE(empty.status.isOk()) << empty.status.message();
  EXPECT_EQ(empty.outputs[0].dims(), (Tensor::Dims{0, 3}));
  auto flat = runOnce(plan, {floats({1, 2})});
  EXPECT_EQ(flat.status.message(), "node 'scan1' (nn.scan): the scanned value is float32 2, wanted "
                                   "a tensor with an axis 1");
}
