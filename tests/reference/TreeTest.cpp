//===- TreeTest.cpp - decision trees by hand ------------------------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::reference;
using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

namespace {
/// The operands of nn.tree_ensemble, open for damage.
struct Tables {
  Tensor x;
  Ints nodes, roots, leaves, targets;
  std::vector<uint8_t> tests;
  Floats thresholds, weights;

  std::vector<Tensor> operands() const {
    auto vector = [](const auto &list) {
      return Tensor::of({static_cast<int64_t>(list.size())}, list);
    };
    return {x,
            Tensor::of({static_cast<int64_t>(nodes.size()) / 3, 3}, nodes),
            vector(tests),
            vector(thresholds),
            vector(roots),
            vector(leaves),
            vector(targets),
            vector(weights)};
  }
};

/// Tree 1: x0 <= 0.5 ? (x1 < 2 ? leaf 0 : leaf 1) : leaf 2. Tree 2: leaf 3 alone.
Tables twoTrees() {
  return {.x = Tensor::of<float>({3, 2}, {0.5f, 1, 0, 2, 1, 0}),
          .nodes = {0, 1, -3, 1, -1, -2},
          .roots = {0, -4},
          .leaves = {0, 1, 2, 4, 5},
          .targets = {0, 0, 0, 1, 1},
          .tests = {3, 1},
          .thresholds = {0.5f, 2},
          .weights = {10, 20, 30, 40, -1}};
}

Attributes treeAttributes(const char *kind, int64_t targets) {
  return makeAttributes({{"kind", numberOf<ReduceKind>(kind)}, {"target_count", targets}});
}

std::string treeError(const Tables &tables) {
  return evaluateError("nn.tree_ensemble", tables.operands(), treeAttributes("sum", 2)).message();
}
} // namespace

TEST(Tree, LeavesAddUpByTarget) {
  expectTensor<float>(evaluate("nn.tree_ensemble", twoTrees().operands(), treeAttributes("sum", 2)),
                      {3, 2}, {10, -1, 20, -1, 30, 39});
  expectTensor<float>(evaluate("nn.tree_ensemble", twoTrees().operands(), treeAttributes("min", 2)),
                      {3, 2}, {10, -1, 20, -1, 30, -1});
  // A target that gets nothing is 0, whatever is asked for.
  expectTensor<float>(evaluate("nn.tree_ensemble", twoTrees().operands(), treeAttributes("max", 3)),
                      {3, 3}, {10, -1, 0, 20, -1, 0, 30, 40, 0});
}

TEST(Tree, TestsAreSetsOfOutcomes) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  // Below, at and above the threshold, and NaN.
  Tables stump{.x = Tensor::of<float>({4, 1}, {0, 1, 2, nan}),
               .nodes = {0, -1, -2},
               .roots = {0},
               .leaves = {0, 1, 2},
               .targets = {0, 0},
               .tests = {0},
               .thresholds = {1},
               .weights = {1, 0}};
  for (int tests = 0; tests < 16; ++tests) {
    stump.tests[0] = static_cast<uint8_t>(tests);
    Floats wanted;
    for (int bit : {1, 2, 4, 8})
      wanted.push_back(tests & bit ? 1 : 0);
    expectTensor<float>(evaluate("nn.tree_ensemble", stump.operands(), treeAttributes("sum", 1)),
                        {4, 1}, wanted);
  }
}

TEST(Tree, RefusesTablesThatReferToNothing) {
  Tables tables = twoTrees();
  tables.nodes[3] = 2;
  EXPECT_EQ(treeError(tables), "node 1 asks for feature 2 of 2");
  tables = twoTrees();
  tables.nodes[2] = -5 - 1;
  EXPECT_EQ(treeError(tables), "node 0 leads to nodes 1 and -6 of 2 (leaves: 4)");
  tables = twoTrees();
  tables.nodes[4] = 0;
  EXPECT_EQ(treeError(tables), "the nodes of a tree form a cycle");
  tables = twoTrees();
  tables.roots[1] = 2;
  EXPECT_EQ(treeError(tables), "there is no root 2");
  tables = twoTrees();
  tables.targets[0] = 2;
  EXPECT_EQ(treeError(tables), "target 2 is not in [0, 2)");
  tables = twoTrees();
  tables.leaves[1] = 9;
  EXPECT_EQ(treeError(tables), "leaves must ascend from 0 to 5");
  tables = twoTrees();
  tables.tests.pop_back();
  EXPECT_EQ(treeError(tables), "the tables of the trees differ in length");
}

TEST(Tree, NoRowsAndNoTrees) {
  Tables tables = twoTrees();
  tables.x = Tensor::of<float>({0, 2}, {});
  expectTensor<float>(evaluate("nn.tree_ensemble", tables.operands(), treeAttributes("sum", 2)),
                      {0, 2}, {});
  tables = twoTrees();
  tables.roots.clear();
  expectTensor<float>(evaluate("nn.tree_ensemble", tables.operands(), treeAttributes("sum", 1 + 1)),
                      {3, 2}, {0, 0, 0, 0, 0, 0});
}
