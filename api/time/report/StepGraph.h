//===- StepGraph.h - the steps of a plan as a graph -----------------------===//
#pragma once

#include "quern/TimeAnalysis.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace quern::timing {

/// A step that computes nodes.
struct StepNode {
  std::string name, kernel;
  /// Those of the model that it computes.
  std::vector<std::string> nodes = {};
  StepBound bound = StepBound::Neither;
  double ms = 0;
  /// The rows whose results it takes, all before it.
  std::set<size_t> inputs = {};
};

/// Rows that stand for as many in each of several parts of a network.
struct RepeatedBlock {
  size_t first, rows, times;
};

struct StepGraph {
  static StepGraph of(const TimeAnalysis &analysis);

  /// Of parts that follow each other and have the same kernels the first stands for all, with the
  /// time of all.
  void collapseBlocks();

  /// In the order of the plan.
  std::vector<StepNode> rows;
  /// The row of each node that has one.
  std::map<std::string, size_t> rowOfNode;
  std::vector<RepeatedBlock> blocks;
  /// Rows there were before any collapsed.
  size_t steps = 0;
};

} // namespace quern::timing
