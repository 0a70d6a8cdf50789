//===- StepGraphTest.cpp - steps as a graph, and in pictures ---------------===//
#include "api/time/report/StepGraph.h"
#include "quern/Reports.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace quern;
using namespace quern::timing;

namespace {
/// A chain of steps of one node each, by their kernels; the first node is a constant's.
TimeAnalysis chainOf(const std::vector<std::string> &kernels) {
  TimeAnalysis analysis;
  analysis.graph.push_back({"weights"});
  analysis.explanation.nodes.push_back({"weights", ExplainedNode::Fate::Constant});
  for (size_t i = 0; i < kernels.size(); ++i) {
    std::string name = fmt::format("n{}", i);
    analysis.explanation.steps.push_back({name, kernels[i], {name}});
    analysis.explanation.nodes.push_back({name, ExplainedNode::Fate::Step, i});
    analysis.graph.push_back({name, {i}});
    StepTime step;
    step.row.nodes = name;
    step.row.kernel = kernels[i];
    step.ms = 1;
    analysis.steps.push_back(step);
  }
  return analysis;
}
} // namespace

TEST(StepGraph, BlocksThatFollowEachOtherAreOne) {
  TimeAnalysis analysis = chainOf({"stem", "a", "b", "c", "a", "b", "c", "a", "b", "c", "end"});
  StepGraph graph = StepGraph::of(analysis);
  graph.collapseBlocks();
  ASSERT_EQ(graph.rows.size(), 5u);
  EXPECT_EQ(graph.steps, 11u);
  ASSERT_EQ(graph.blocks.size(), 1u);
  EXPECT_EQ(graph.blocks[0].first, 1u);
  EXPECT_EQ(graph.blocks[0].rows, 3u);
  EXPECT_EQ(graph.blocks[0].times, 3u);
  EXPECT_EQ(graph.rows[2].ms, 3);
  EXPECT_EQ(graph.rowOfNode.at("n8"), 2u);
  // The last of the block is what the end takes.
  EXPECT_EQ(graph.rows[4].inputs, (std::set<size_t>{3}));
  EXPECT_NE(graphPicture(analysis).find("3 times"), std::string::npos);
}

TEST(StepGraph, WhatIsNotAlikeStays) {
  for (const std::vector<std::string> &kernels :
       {std::vector<std::string>{"a", "b", "a", "c", "a", "d"}, {"a", "b"}, {"a", "a", "a"}, {}}) {
    StepGraph graph = StepGraph::of(chainOf(kernels));
    graph.collapseBlocks();
    EXPECT_EQ(graph.rows.size(), kernels.size());
    EXPECT_TRUE(graph.blocks.empty());
  }
}

TEST(StepGraph, Graphviz) {
  TimeAnalysis analysis = chainOf({"one", "two \"quoted\""});
  std::string dot = graphDot(analysis);
  EXPECT_TRUE(dot.starts_with("digraph model {"));
  EXPECT_NE(dot.find("label=\"two \\\"quoted\\\", 1 ms\""), std::string::npos) << dot;
  EXPECT_NE(dot.find("n0 [label=\"weights (constant)\", style=dashed]"), std::string::npos) << dot;
  EXPECT_NE(dot.find("n1 -> n2;"), std::string::npos) << dot;
}
