//===- ObserverTest.cpp - steps that look at what others compute ----------===//
#include "backends/plan/StepObserver.h"

#include "tests/plan/FakeBackend.h"

#include <gmock/gmock.h>

using namespace quern;
using namespace quern::test;
using testing::ElementsAre;

namespace {
/// Notes the steps of each op, and the first elements of what it takes and gives.
class Notes : public plan::StepObserver {
public:
  plan::StepsAround observe(const plan::ObservedOp &observed) override {
    steps.push_back(fmt::format("{}-{}", observed.firstStep, observed.endStep));
    plan::StepsAround around;
    around.before = [this](const ReferenceArguments &given) { return note("takes", given); };
    around.after = [this](const ReferenceArguments &given) { return note("gives", given); };
    return around;
  }

  std::vector<std::string> steps, values;

private:
  Expected<std::vector<AnyValue>> note(const char *what, const ReferenceArguments &given) {
    std::string text = what;
    for (size_t i = 0; i < given.inputs.size(); ++i)
      text += fmt::format(" {}", given.inputs.asTensor(i)->data<float>()[0]);
    values.push_back(std::move(text));
    return std::vector<AnyValue>();
  }
};

/// Doubles what the op with this step gives.
class Doubles : public plan::StepObserver {
public:
  explicit Doubles(size_t step) : step(step) {}

  plan::StepsAround observe(const plan::ObservedOp &observed) override {
    if (observed.firstStep != step)
      return {};
    plan::StepsAround around;
    around.rewrites = true;
    around.after = [](const ReferenceArguments &given) -> Expected<std::vector<AnyValue>> {
      Tensor result = *given.inputs.asTensor(0);
      for (int64_t i = 0; i < result.numElements(); ++i)
        result.mutableData<float>()[i] *= 2;
      return std::vector<AnyValue>{result};
    };
    return around;
  }

private:
  size_t step;
};

/// Three steps, written in place of each other.
Graph chain(const std::string &type) {
  Graph graph;
  GraphValue x = graph.input(type);
  GraphValue negated = graph.op("nn.neg", {x}, "", type);
  GraphValue sine = graph.op("nn.sin", {negated}, "", type);
  graph.output(graph.op("nn.neg", {sine}, "", type));
  return graph;
}

FakeBackend watchedBy(std::vector<std::shared_ptr<plan::StepObserver>> observers) {
  FakeBackend backend;
  backend.options.optLevel = 0;
  backend.lowering->watching = std::move(observers);
  return backend;
}

std::vector<Tensor> run(const FakeBackend &backend, const Graph &graph, const Tensor &input) {
  auto executable = backend.compile(graph);
  EXPECT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 1});
  auto found = session.run(std::vector<Tensor>{input});
  EXPECT_TRUE(found) << found.status().message();
  return found ? found.take() : std::vector<Tensor>();
}
} // namespace

TEST(ObserverTest, SeesWhatEachOpTakesAndGives) {
  auto notes = std::make_shared<Notes>();
  Tensor zeros = Tensor::of<float>({2}, {0, 0});
  run(watchedBy({notes}), chain("2xf32"), zeros);
  EXPECT_THAT(notes->steps, ElementsAre("0-1", "1-2", "2-3"));
  EXPECT_THAT(notes->values,
              ElementsAre("takes 0", "gives -0", "takes -0", "gives -0", "takes -0", "gives 0"));
}

TEST(ObserverTest, WhatOneWritesTheNextSees) {
  auto notes = std::make_shared<Notes>();
  auto doubles = std::make_shared<Doubles>(1);
  float half = 0.5f, sine = std::sin(-half);
  auto found = run(watchedBy({doubles, notes}), chain("1xf32"), Tensor::of<float>({1}, {half}));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].data<float>()[0], -2 * sine);
  EXPECT_EQ(notes->values[3], fmt::format("gives {}", 2 * sine));
  // Steps of observers are not counted.
  EXPECT_EQ(notes->steps.back(), "2-3");
}

TEST(ObserverTest, PlansOfOtherSizesAreObservedToo) {
  auto notes = std::make_shared<Notes>();
  FakeBackend backend = watchedBy({notes});
  auto executable = backend.compile(chain("?xf32"));
  ASSERT_TRUE(executable) << executable.status().message();
  Session session(*executable, {.threads = 1});
  for (int64_t size : {3, 5}) {
    Tensor input = Tensor::allocate(DType::Float32, {size}).take();
    ASSERT_TRUE(session.run(std::vector<Tensor>{input}));
  }
  EXPECT_EQ(notes->steps.size(), 6u);
  EXPECT_EQ(notes->values.size(), 12u);
}
