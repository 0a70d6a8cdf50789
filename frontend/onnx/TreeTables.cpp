//===- TreeTables.cpp - decision trees as nn.tree_ensemble has them -------===//
#include "frontend/onnx/TreeTables.h"

#include "runtime/reference/Trees.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <optional>

using namespace quern;
using namespace quern::onnx;

/// The mode of TreeEnsemble that asks whether a feature is in a set.
static constexpr uint8_t kMember = 6;
static constexpr int kEqual = 4;

int32_t TreeTables::addNode(int mode, bool nanGoesFirst, int64_t feature, double threshold,
                            int32_t first, int32_t second) {
  // 1: less, 2: equal, 4: greater, 8: unordered.
  constexpr std::array<uint8_t, 6> kTests = {1 | 2, 1, 2 | 4, 4, 2, 1 | 4 | 8};
  nodes.insert(nodes.end(), {static_cast<int32_t>(feature), first, second});
  tests.push_back(static_cast<uint8_t>(kTests[mode] | (nanGoesFirst ? 8 : 0)));
  thresholds.push_back(threshold);
  return static_cast<int32_t>(tests.size()) - 1;
}

static constexpr int64_t kMaxEntries = std::numeric_limits<int32_t>::max() / 4;

static Status checkLength(std::string_view name, size_t found, size_t wanted) {
  if (found == wanted)
    return Status::ok();
  return invalidModel(fmt::format("{} has {} elements, expected {}", name, found, wanted));
}

static Status checkFeature(int64_t feature) {
  if (feature >= 0 && feature <= std::numeric_limits<int32_t>::max())
    return Status::ok();
  return invalidModel(fmt::format("there is no feature {}", feature));
}

static Status checkTargets(const std::vector<int64_t> &targets, int64_t count) {
  for (int64_t target : targets)
    if (target < 0 || target >= count)
      return invalidModel(fmt::format("{} is none of the {} targets", target, count));
  return Status::ok();
}

static Status checkAcyclic(const TreeTables &tables) {
  Status status =
      reference::Trees{.nodes = tables.nodes, .tests = tables.tests, .roots = tables.roots}
          .checkAcyclic();
  return status.isOk() ? status : invalidModel(status.message());
}

//===----------------------------------------------------------------------===//
// TreeEnsembleClassifier and TreeEnsembleRegressor
//===----------------------------------------------------------------------===//

namespace {
/// Finds nodes by the numbers of their tree and their own.
class NodeIndex {
public:
  static Expected<NodeIndex> of(const NodeLists &lists);
  /// Where the node is in the lists; nullopt when there is none.
  std::optional<size_t> find(int64_t tree, int64_t node) const;

private:
  struct Entry {
    int64_t tree, node;
    size_t place;
    auto key() const { return std::pair(tree, node); }
  };
  std::vector<Entry> entries;
};
} // namespace

Expected<NodeIndex> NodeIndex::of(const NodeLists &lists) {
  NodeIndex index;
  for (size_t i = 0; i < lists.treeIds.size(); ++i)
    index.entries.push_back({lists.treeIds[i], lists.nodeIds[i], i});
  auto isBefore = [](const Entry &a, const Entry &b) { return a.key() < b.key(); };
  std::sort(index.entries.begin(), index.entries.end(), isBefore);
  auto isSame = [](const Entry &a, const Entry &b) { return a.key() == b.key(); };
  auto twice = std::adjacent_find(index.entries.begin(), index.entries.end(), isSame);
  if (twice != index.entries.end())
    return invalidModel(fmt::format("tree {} has node {} twice", twice->tree, twice->node));
  return index;
}

std::optional<size_t> NodeIndex::find(int64_t tree, int64_t node) const {
  auto found = std::lower_bound(
      entries.begin(), entries.end(), std::pair(tree, node),
      [](const Entry &entry, const std::pair<int64_t, int64_t> &key) { return entry.key() < key; });
  bool isThere = found != entries.end() && found->tree == tree && found->node == node;
  return isThere ? std::optional(found->place) : std::nullopt;
}

static Status checkLists(const NodeLists &lists, int64_t targetCount) {
  size_t nodes = lists.nodeIds.size(), votes = lists.voteWeights.size();
  if (static_cast<int64_t>(nodes) > kMaxEntries || static_cast<int64_t>(votes) > kMaxEntries)
    return unsupported("more than 2^29 nodes or weights");
  QUERN_TRY(checkLength("nodes_treeids", lists.treeIds.size(), nodes));
  QUERN_TRY(checkLength("nodes_featureids", lists.featureIds.size(), nodes));
  QUERN_TRY(checkLength("nodes_modes", lists.modes.size(), nodes));
  QUERN_TRY(checkLength("nodes_values", lists.values.size(), nodes));
  QUERN_TRY(checkLength("nodes_truenodeids", lists.trueIds.size(), nodes));
  QUERN_TRY(checkLength("nodes_falsenodeids", lists.falseIds.size(), nodes));
  if (!lists.missingTracksTrue.empty())
    QUERN_TRY(
        checkLength("nodes_missing_value_tracks_true", lists.missingTracksTrue.size(), nodes));
  QUERN_TRY(checkLength("the list of the votes' trees", lists.voteTreeIds.size(), votes));
  QUERN_TRY(checkLength("the list of the votes' nodes", lists.voteNodeIds.size(), votes));
  QUERN_TRY(checkLength("the list of the votes' targets", lists.voteTargets.size(), votes));
  return checkTargets(lists.voteTargets, targetCount);
}

/// The number of a comparison; -1 of a leaf, nullopt of anything else.
static std::optional<int> modeNamed(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                                      "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
  if (name == "LEAF")
    return -1;
  auto found = std::find(kNames.begin(), kNames.end(), name);
  return found == kNames.end() ? std::nullopt : std::optional<int>(found - kNames.begin());
}

/// Adds the votes, in the order of their leaves.
static Status addVotes(const NodeLists &lists, const NodeIndex &index,
                       const std::vector<int32_t> &places, int32_t leafCount, TreeTables &tables) {
  std::vector<int32_t> leafOfVote(lists.voteWeights.size(), -1);
  tables.leaves.assign(static_cast<size_t>(leafCount) + 1, 0);
  for (size_t i = 0; i < leafOfVote.size(); ++i) {
    std::optional<size_t> node = index.find(lists.voteTreeIds[i], lists.voteNodeIds[i]);
    if (!node)
      return invalidModel(fmt::format("a weight is for node {} of tree {}, which is not there",
                                      lists.voteNodeIds[i], lists.voteTreeIds[i]));
    // Nothing ends at a node that is no leaf.
    if (places[*node] >= 0)
      continue;
    leafOfVote[i] = -1 - places[*node];
    ++tables.leaves[leafOfVote[i] + 1];
  }
  for (int32_t leaf = 0; leaf < leafCount; ++leaf)
    tables.leaves[leaf + 1] += tables.leaves[leaf];
  std::vector<int32_t> next = tables.leaves;
  tables.targets.resize(static_cast<size_t>(tables.leaves.back()));
  tables.weights.resize(tables.targets.size());
  for (size_t i = 0; i < leafOfVote.size(); ++i) {
    if (leafOfVote[i] < 0)
      continue;
    int32_t place = next[leafOfVote[i]]++;
    tables.targets[place] = static_cast<int32_t>(lists.voteTargets[i]);
    tables.weights[place] = lists.voteWeights[i];
  }
  return Status::ok();
}

Expected<TreeTables> quern::onnx::tablesOf(const NodeLists &lists, int64_t targetCount) {
  QUERN_TRY(checkLists(lists, targetCount));
  QUERN_ASSIGN(NodeIndex index, NodeIndex::of(lists));
  // Branches and leaves are numbered apart: a place is a branch's number or -1 - a leaf's.
  std::vector<int32_t> places;
  std::vector<int> modes;
  int32_t branches = 0, leafCount = 0;
  for (const std::string &name : lists.modes) {
    std::optional<int> mode = modeNamed(name);
    if (!mode)
      return unsupported(fmt::format("node mode '{}'", name));
    modes.push_back(*mode);
    places.push_back(*mode < 0 ? -1 - leafCount++ : branches++);
  }
  TreeTables tables;
  std::set<int64_t> trees;
  for (size_t i = 0; i < places.size(); ++i) {
    if (trees.insert(lists.treeIds[i]).second)
      tables.roots.push_back(places[i]);
    if (modes[i] < 0)
      continue;
    QUERN_TRY(checkFeature(lists.featureIds[i]));
    std::optional<size_t> first = index.find(lists.treeIds[i], lists.trueIds[i]),
                          second = index.find(lists.treeIds[i], lists.falseIds[i]);
    if (!first || !second)
      return invalidModel(fmt::format("node {} of tree {} leads to a node that is not there",
                                      lists.nodeIds[i], lists.treeIds[i]));
    bool nanGoesFirst = !lists.missingTracksTrue.empty() && lists.missingTracksTrue[i] == 1;
    tables.addNode(modes[i], nanGoesFirst, lists.featureIds[i], lists.values[i], places[*first],
                   places[*second]);
  }
  QUERN_TRY(addVotes(lists, index, places, leafCount, tables));
  QUERN_TRY(checkAcyclic(tables));
  return tables;
}

std::set<int64_t> quern::onnx::targetsOfAllRows(const NodeLists &lists) {
  std::map<int64_t, int64_t> leavesOfTree;
  for (size_t i = 0; i < lists.modes.size(); ++i)
    leavesOfTree[lists.treeIds[i]] += lists.modes[i] == "LEAF";
  std::map<std::pair<int64_t, int64_t>, std::set<int64_t>> votingLeaves;
  for (size_t i = 0; i < lists.voteTargets.size(); ++i)
    votingLeaves[{lists.voteTreeIds[i], lists.voteTargets[i]}].insert(lists.voteNodeIds[i]);
  std::set<int64_t> targets;
  for (const auto &[key, leaves] : votingLeaves)
    if (static_cast<int64_t>(leaves.size()) >= leavesOfTree[key.first])
      targets.insert(key.second);
  return targets;
}

//===----------------------------------------------------------------------===//
// TreeEnsemble
//===----------------------------------------------------------------------===//

static Status checkLists(const SplitLists &lists, int64_t targetCount) {
  size_t nodes = lists.modes.size();
  size_t entries = std::max({nodes, lists.members.size(), lists.leafWeights.size()});
  if (static_cast<int64_t>(entries) > kMaxEntries)
    return unsupported("more than 2^29 nodes, members or leaves");
  QUERN_TRY(checkLength("nodes_featureids", lists.featureIds.size(), nodes));
  QUERN_TRY(checkLength("nodes_splits", lists.splits.size(), nodes));
  QUERN_TRY(checkLength("nodes_truenodeids", lists.trueIds.size(), nodes));
  QUERN_TRY(checkLength("nodes_falsenodeids", lists.falseIds.size(), nodes));
  QUERN_TRY(checkLength("nodes_trueleafs", lists.trueLeafs.size(), nodes));
  QUERN_TRY(checkLength("nodes_falseleafs", lists.falseLeafs.size(), nodes));
  if (!lists.missingTracksTrue.empty())
    QUERN_TRY(
        checkLength("nodes_missing_value_tracks_true", lists.missingTracksTrue.size(), nodes));
  QUERN_TRY(checkLength("leaf_targetids", lists.leafTargets.size(), lists.leafWeights.size()));
  for (int64_t root : lists.roots)
    if (root < 0 || root >= static_cast<int64_t>(nodes))
      return invalidModel(fmt::format("there is no root {}", root));
  return checkTargets(lists.leafTargets, targetCount);
}

/// The sets of all nodes that ask for a member: the values up to each NaN.
static std::vector<std::vector<double>> memberSets(const std::vector<double> &members) {
  std::vector<std::vector<double>> sets(1);
  for (double member : members) {
    if (member == member)
      sets.back().push_back(member);
    else
      sets.emplace_back();
  }
  return sets;
}

/// Where a node leads to: as in the tables.
static Expected<int32_t> placeOf(const SplitLists &lists, int64_t id, bool isLeaf) {
  int64_t count = static_cast<int64_t>(isLeaf ? lists.leafWeights.size() : lists.modes.size());
  if (id < 0 || id >= count)
    return invalidModel(
        fmt::format("a node leads to {} {} of {}", isLeaf ? "leaf" : "node", id, count));
  return static_cast<int32_t>(isLeaf ? -1 - id : id);
}

Expected<TreeTables> quern::onnx::tablesOf(const SplitLists &lists, int64_t targetCount) {
  QUERN_TRY(checkLists(lists, targetCount));
  TreeTables tables;
  std::vector<std::vector<double>> sets = memberSets(lists.members);
  // A set is a chain of nodes, one for each member: the first is in the set's place.
  std::vector<size_t> chains;
  auto nanGoesFirst = [&](size_t i) {
    return !lists.missingTracksTrue.empty() && lists.missingTracksTrue[i] == 1;
  };
  for (size_t i = 0; i < lists.modes.size(); ++i) {
    if (lists.modes[i] > kMember)
      return unsupported(fmt::format("node mode {}", lists.modes[i]));
    QUERN_TRY(checkFeature(lists.featureIds[i]));
    QUERN_ASSIGN(int32_t first, placeOf(lists, lists.trueIds[i], lists.trueLeafs[i]));
    QUERN_ASSIGN(int32_t second, placeOf(lists, lists.falseIds[i], lists.falseLeafs[i]));
    bool isMember = lists.modes[i] == kMember;
    if (isMember)
      chains.push_back(i);
    tables.addNode(isMember ? kEqual : lists.modes[i], nanGoesFirst(i), lists.featureIds[i],
                   lists.splits[i], first, second);
  }
  if (chains.size() > sets.size())
    return invalidModel(fmt::format("membership_values has {} sets, but {} nodes need one",
                                    sets.size(), chains.size()));
  for (size_t chain = 0; chain < chains.size(); ++chain) {
    size_t i = chains[chain];
    int32_t first = tables.nodes[3 * i + 1], second = tables.nodes[3 * i + 2];
    if (sets[chain].empty())
      tables.tests[i] &= 8; // nothing but NaN takes the first way
    else
      tables.thresholds[i] = sets[chain][0];
    // The last member is asked for at the end of the chain: it is added first.
    for (size_t k = sets[chain].size(); k-- > 1;)
      second = tables.addNode(kEqual, nanGoesFirst(i), lists.featureIds[i], sets[chain][k], first,
                              second);
    tables.nodes[3 * i + 2] = second;
  }
  for (int64_t root : lists.roots)
    tables.roots.push_back(static_cast<int32_t>(root));
  for (size_t leaf = 0; leaf < lists.leafWeights.size(); ++leaf)
    tables.leaves.push_back(static_cast<int32_t>(leaf) + 1);
  tables.targets.assign(lists.leafTargets.begin(), lists.leafTargets.end());
  tables.weights = lists.leafWeights;
  QUERN_TRY(checkAcyclic(tables));
  return tables;
}
