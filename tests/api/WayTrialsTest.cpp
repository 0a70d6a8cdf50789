//===- WayTrialsTest.cpp - which ways to try, and which are best ----------===//
//
// Times are made up: the same on every machine.
//
//===----------------------------------------------------------------------===//
#include "api/WayTrials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

using namespace quern;
using native::WayRecord;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

namespace {
using Ways = std::map<std::string, std::string>;

/// What the log says of a step with these ways, of which the model takes the cheapest.
WayRecord choice(const std::string &problem, const std::string &nodes,
                 std::vector<WayRecord::Candidate> able) {
  auto cheapest = std::ranges::min_element(able, {}, &WayRecord::Candidate::cost);
  std::string expected = cheapest->name;
  return {problem, "nn.conv", nodes, std::move(able), expected, expected};
}

ProfileRow took(const std::string &nodes, int64_t nanoseconds) {
  return {.nodes = nodes, .kernel = "k", .runs = 1, .fastestNanoseconds = nanoseconds};
}

std::vector<std::string> namesOf(const TunedProblem &problem) {
  std::vector<std::string> names;
  for (const TunedWay &way : problem.ways)
    names.push_back(way.name);
  return names;
}
} // namespace

TEST(WayTrialsTest, TriesWhatTheModelDoesNotRuleOut) {
  WayTrials trials(std::vector{choice("p", "a", {{"direct", 30}, {"fast", 10}, {"slow", 31}}),
                               choice("q", "b", {{"direct", 1}, {"slow", 4}})},
                   {});
  std::vector<TunedProblem> problems = trials.problems({});
  ASSERT_EQ(problems.size(), 1u) << "of the other one way is left";
  EXPECT_THAT(namesOf(problems[0]), ElementsAre("fast", "direct"));
  EXPECT_EQ(problems[0].chosen, "fast");
  EXPECT_EQ(trials.trials(), 2u);
  EXPECT_THAT(trials.waysOf(0), ElementsAre(Pair("p", "fast")));
  EXPECT_THAT(trials.waysOf(1), ElementsAre(Pair("p", "direct")));
}

TEST(WayTrialsTest, EqualProblemsAreOne) {
  WayTrials trials(std::vector{choice("p", "a", {{"x", 1}, {"y", 2}}),
                               choice("p", "b", {{"x", 1}, {"y", 2}}),
                               choice("p", "a", {{"x", 1}, {"y", 2}})},
                   {});
  EXPECT_THAT(trials.problems({})[0].nodes, ElementsAre("a", "b"));
  // All steps of both ops count; the fastest run of each.
  trials.add(0, std::vector{took("a", 10), took("a", 5), took("b", 20), took("other", 1000)});
  trials.add(0, std::vector{took("a", 12), took("a", 5), took("b", 18)});
  EXPECT_EQ(trials.problems({})[0].ways[0].measuredNs, 15 + 18);
  EXPECT_TRUE(std::isnan(trials.problems({})[0].ways[1].measuredNs));
  EXPECT_FALSE(trials.isMeasured("p"));
  EXPECT_THAT(trials.best(), ElementsAre(Pair("p", "x")));
  // Where a step is missing the op was computed otherwise: nothing is known.
  trials.add(1, std::vector{took("a", 1)});
  EXPECT_FALSE(trials.isMeasured("p"));
  EXPECT_THAT(trials.best(), ElementsAre(Pair("p", "x")));
  trials.add(1, std::vector{took("b", 2)});
  EXPECT_TRUE(trials.isMeasured("p"));
  EXPECT_THAT(trials.best(), ElementsAre(Pair("p", "y")));
}

TEST(WayTrialsTest, ALittleIsNoise) {
  auto bestAfter = [](int64_t before, std::vector<int64_t> others) {
    WayTrials trials(std::vector{choice("p", "a", {{"x", 1}, {"y", 2}, {"z", 3}})}, {});
    trials.add(0, std::vector{took("a", before)});
    for (size_t i = 0; i < others.size(); ++i)
      trials.add(i + 1, std::vector{took("a", others[i])});
    return trials.best().at("p");
  };
  EXPECT_EQ(bestAfter(1000, {980, 2000}), "x");
  EXPECT_EQ(bestAfter(1000, {960, 2000}), "y");
  EXPECT_EQ(bestAfter(1000, {960, 950}), "z");
  EXPECT_EQ(bestAfter(1000, {500, 950}), "y");
  EXPECT_EQ(bestAfter(1000, {}), "x");
}

TEST(WayTrialsTest, WhatIsKnownIsNotTried) {
  WayTrials trials(std::vector{choice("p", "a", {{"x", 1}, {"y", 2}}),
                               choice("q", "b", {{"x", 1}, {"y", 2}, {"z", 3}})},
                   Ways{{"p", "y"}, {"another model's", "z"}});
  EXPECT_EQ(trials.trials(), 3u);
  EXPECT_EQ(trials.expected(), (Ways{{"p", "x"}, {"q", "x"}, {"another model's", "z"}}));
  Ways third = trials.waysOf(2);
  EXPECT_EQ(third, (Ways{{"p", "y"}, {"q", "z"}, {"another model's", "z"}}));
  trials.add(0, std::vector{took("a", 9), took("b", 9)});
  trials.add(2, std::vector{took("a", 9), took("b", 3)});
  EXPECT_EQ(trials.best(), (Ways{{"p", "y"}, {"q", "z"}, {"another model's", "z"}}));
  std::vector<TunedProblem> problems = trials.problems(trials.best());
  EXPECT_TRUE(problems[0].wasKnown);
  EXPECT_EQ(problems[0].chosen, "y");
  EXPECT_FALSE(problems[1].wasKnown);

  WayTrials none(std::vector{choice("p", "a", {{"x", 1}, {"y", 2}})}, Ways{{"p", "y"}});
  EXPECT_FALSE(none.isNeeded());
  EXPECT_THAT(WayTrials({}, {}).problems({}), IsEmpty());
}

TEST(WayTrialsTest, FasterByTheMedianOfRatios) {
  std::vector<double> before = {10, 20, 10, 20, 10, 20, 10, 20};
  auto times = [&](double ratio) {
    std::vector<double> after;
    for (double time : before)
      after.push_back(time * ratio);
    return after;
  };
  EXPECT_TRUE(areFaster(before, times(0.98), 0.01));
  EXPECT_FALSE(areFaster(before, times(0.995), 0.01));
  EXPECT_FALSE(areFaster(before, times(1.1), 0.01));
  EXPECT_FALSE(areFaster({}, {}, 0.01));
  // One that was disturbed does not matter; two of eight are more than chance allows.
  std::vector<double> after = times(0.9);
  after[3] = 60;
  EXPECT_TRUE(areFaster(before, after, 0.01));
  after[6] = 10.1;
  EXPECT_FALSE(areFaster(before, after, 0.01));
  EXPECT_FALSE(areFaster(std::vector{10.0, 10.0, 10.0}, std::vector{5.0, 5.0, 5.0}, 0.01))
      << "too few to tell";
}
