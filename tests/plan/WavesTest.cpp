//===- WavesTest.cpp - which steps run side by side -----------------------===//
#include "backends/plan/Waves.h"

#include "runtime/plan/Plan.h"
#include "tests/plan/FakeBackend.h"

#include <gmock/gmock.h>
#include <random>

using namespace quern;
using namespace quern::plan;
using namespace quern::test;
using testing::ElementsAre;

namespace {
constexpr double kShort = 10e3;

WaveStep shortStep(std::vector<uint32_t> after = {}) {
  return {.nanoseconds = kShort, .after = std::move(after)};
}

/// Steps come after those whose results they need, each once, in waves that are none too large.
void checkOrder(std::span<const WaveStep> steps, const WaveOrder &found) {
  std::vector<int64_t> waveOf(steps.size(), -1);
  size_t next = 0;
  for (size_t wave = 0; wave < found.sizes.size(); ++wave) {
    EXPECT_LE(found.sizes[wave], Plan::kMostInWave);
    for (uint32_t i = 0; i < found.sizes[wave]; ++i) {
      uint32_t step = found.order.at(next++);
      EXPECT_EQ(waveOf.at(step), -1) << step;
      waveOf[step] = static_cast<int64_t>(wave);
    }
  }
  ASSERT_EQ(next, steps.size());
  for (size_t step = 0; step < steps.size(); ++step)
    for (uint32_t before : steps[step].after)
      EXPECT_LT(waveOf[before], waveOf[step]) << before << " and " << step;
}
} // namespace

TEST(Waves, NothingIsInNoWave) { EXPECT_TRUE(chooseWaves({}).sizes.empty()); }

TEST(Waves, BranchesGoSideBySide) {
  // 0 feeds two chains, whose ends 5 joins.
  std::vector<WaveStep> steps = {shortStep(),    shortStep({0}), shortStep({1}),
                                 shortStep({0}), shortStep({3}), shortStep({2, 4})};
  WaveOrder found = chooseWaves(steps);
  EXPECT_THAT(found.sizes, ElementsAre(1, 2, 2, 1));
  EXPECT_THAT(found.order, ElementsAre(0, 1, 3, 2, 4, 5));
}

TEST(Waves, ChainsKeepTheirOrder) {
  std::vector<WaveStep> steps = {shortStep(), shortStep({0}), shortStep({1})};
  WaveOrder found = chooseWaves(steps);
  EXPECT_THAT(found.sizes, ElementsAre(1, 1, 1));
  EXPECT_THAT(found.order, ElementsAre(0, 1, 2));
}

TEST(Waves, WhatDoesNotGainStaysAsItIs) {
  for (WaveStep step : {WaveStep{.nanoseconds = 1e3},                 // not worth a call
                        WaveStep{.nanoseconds = 200e3, .chunks = 10}, // fills all threads
                        WaveStep{.nanoseconds = 0},                   // nobody can tell
                        WaveStep{.nanoseconds = kShort, .alone = true}}) {
    WaveOrder found = chooseWaves(std::vector<WaveStep>(3, step));
    EXPECT_THAT(found.sizes, ElementsAre(1, 1, 1)) << step.nanoseconds;
    EXPECT_THAT(found.order, ElementsAre(0, 1, 2));
  }
}

TEST(Waves, NoStepPassesOneThatRunsAlone) {
  std::vector<WaveStep> steps = {
      shortStep(), {.nanoseconds = kShort, .alone = true}, shortStep(), shortStep()};
  EXPECT_THAT(chooseWaves(steps).sizes, ElementsAre(1, 1, 2));
}

TEST(Waves, LongChunksAreBegunFirst) {
  std::vector<WaveStep> steps = {shortStep(), shortStep(), shortStep()};
  steps[2].nanoseconds = 3 * kShort;
  EXPECT_THAT(chooseWaves(steps).order, ElementsAre(2, 0, 1));
}

TEST(Waves, AnyGraph) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<WaveStep> steps(random() % 100);
    for (uint32_t i = 0; i < steps.size(); ++i) {
      steps[i].nanoseconds = static_cast<double>(random() % 80'000);
      steps[i].chunks = 1 + random() % 5;
      steps[i].alone = random() % 20 == 0;
      for (int n = random() % 3; n > 0 && i > 0; --n)
        steps[i].after.push_back(random() % i);
    }
    checkOrder(steps, chooseWaves(steps));
  }
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

/// The kernels in their order, of steps of `kShort`, which are compared with the interpreter.
static std::vector<std::string> kernelsOf(const Graph &graph) {
  FakeBackend backend;
  backend.options.optLevel = 0;
  backend.lowering->stepNanoseconds = kShort;
  std::vector<std::string> kernels;
  for (const ProfileRow &row : expectExact(graph, backend))
    kernels.push_back(row.kernel.substr(row.kernel.find('.') + 1));
  return kernels;
}

TEST(WavesTest, BranchesOfAGraph) {
  Graph graph;
  GraphValue x = graph.input("2x3xf32");
  GraphValue a = graph.op("nn.neg", {graph.op("nn.relu", {x})});
  GraphValue b = graph.op("nn.ceil", {graph.op("nn.abs", {x})});
  graph.output(graph.op("nn.add", {a, b}));
  EXPECT_THAT(kernelsOf(graph), ElementsAre("relu", "abs", "neg", "ceil", "add"));
}

TEST(WavesTest, NoStepWritesOverWhatThoseBesideItRead) {
  Graph graph;
  GraphValue x = graph.input("2x3xf32");
  GraphValue first = graph.op("nn.neg", {x});
  std::vector<GraphValue> branches;
  for (std::string op : {"nn.relu", "nn.abs", "nn.ceil"})
    branches.push_back(graph.op(op, {first}));
  GraphValue sum = graph.op("nn.add", {branches[0], branches[1]});
  graph.output(graph.op("nn.add", {sum, branches[2]}));
  EXPECT_THAT(kernelsOf(graph), ElementsAre("neg", "relu", "abs", "ceil", "add", "add"));
}

TEST(WavesTest, ReferenceKernelsRunAlone) {
  Graph graph;
  GraphValue x = graph.input("2x3xf32");
  GraphValue a = graph.op("nn.relu", {x}), b = graph.op("nn.nonzero", {x}, "", "?x?xi64");
  graph.output(graph.op("nn.neg", {a}));
  graph.output(b);
  graph.output(graph.op("nn.abs", {x}));
  kernelsOf(graph);
}
