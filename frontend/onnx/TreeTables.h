//===- TreeTables.h - decision trees as nn.tree_ensemble has them ---------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace quern::onnx {

/// The tables of nn.tree_ensemble; `nodes` has three entries for each node.
struct TreeTables {
  std::vector<int32_t> nodes;
  std::vector<uint8_t> tests;
  std::vector<double> thresholds;
  std::vector<int32_t> roots;
  std::vector<int32_t> leaves = {0};
  std::vector<int32_t> targets;
  std::vector<double> weights;

  /// Adds a node and gives its number. `mode` counts the comparisons of ONNX from
  /// BRANCH_LEQ to BRANCH_NEQ; NaN takes the first way when `nanGoesFirst`.
  int32_t addNode(int mode, bool nanGoesFirst, int64_t feature, double threshold, int32_t first,
                  int32_t second);
};

/// The attributes of TreeEnsembleClassifier and TreeEnsembleRegressor: an entry for each
/// node in the first lists, one for each vote of a leaf in the others.
struct NodeLists {
  std::vector<int64_t> treeIds, nodeIds, featureIds, trueIds, falseIds, missingTracksTrue;
  std::vector<std::string> modes;
  std::vector<double> values;
  std::vector<int64_t> voteTreeIds, voteNodeIds, voteTargets;
  std::vector<double> voteWeights;
};
Expected<TreeTables> tablesOf(const NodeLists &lists, int64_t targetCount);

/// The attributes of TreeEnsemble.
struct SplitLists {
  std::vector<int64_t> roots, featureIds, trueIds, falseIds, trueLeafs, falseLeafs,
      missingTracksTrue;
  std::vector<uint8_t> modes;
  std::vector<double> splits, members;
  std::vector<int64_t> leafTargets;
  std::vector<double> leafWeights;
};
Expected<TreeTables> tablesOf(const SplitLists &lists, int64_t targetCount);

/// The targets that every row gets a vote for: some tree has one in all its leaves.
std::set<int64_t> targetsOfAllRows(const NodeLists &lists);

} // namespace quern::onnx
