//===- FusionPolicyTest.cpp - which ops become one kernel -----------------===//
#include "passes/FusionPolicy.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace {
using Groups = std::vector<std::vector<int64_t>>;

Shape shapeWith(std::vector<int64_t> sizes) { return Shape::fromSizes(sizes); }
const Shape kImage = shapeWith({1, 8, 4, 4});

/// Builds graphs by appending nodes; all have the shape kImage unless told.
class Graph {
public:
  int64_t anchor(std::vector<int64_t> operands) {
    int64_t node = add(FusionRole::Anchor, operands);
    nodes[node].channelAxes = {1};
    return node;
  }
  int64_t map(std::vector<int64_t> operands) { return add(FusionRole::Elementwise, operands); }
  int64_t opaque(std::vector<int64_t> operands) { return add(FusionRole::Opaque, operands); }
  /// An elementwise op that also reads a value from outside, of another shape.
  int64_t mapWith(int64_t operand, std::optional<Shape> other) {
    int64_t node = map({operand});
    nodes[node].operands.push_back({-1, other});
    return node;
  }
  FusionNode &operator[](int64_t node) { return nodes[node]; }
  Groups groups(FusionLimits limits = {}) const { return formGroups(nodes, limits); }

private:
  int64_t add(FusionRole role, const std::vector<int64_t> &operands) {
    auto index = static_cast<int64_t>(nodes.size());
    FusionNode node;
    node.role = role;
    node.shape = kImage;
    for (int64_t operand : operands) {
      node.operands.push_back({operand, operand < 0 ? kImage : nodes[operand].shape});
      if (operand >= 0)
        nodes[operand].users.push_back(index);
    }
    nodes.push_back(std::move(node));
    return index;
  }

  std::vector<FusionNode> nodes;
};
} // namespace

TEST(FusionPolicy, ClassifiesOperands) {
  std::vector<int64_t> plain = {1}, blocked = {1, 4}, last = {1};
  EXPECT_EQ(classifyOperand(kImage, kImage, plain), BroadcastKind::Full);
  EXPECT_EQ(classifyOperand(Shape(), kImage, plain), BroadcastKind::Scalar);
  EXPECT_EQ(classifyOperand(shapeWith({1, 1}), kImage, plain), BroadcastKind::Scalar);
  EXPECT_EQ(classifyOperand(shapeWith({8, 1, 1}), kImage, plain), BroadcastKind::PerChannel);
  EXPECT_EQ(classifyOperand(shapeWith({4}), kImage, plain), BroadcastKind::Other);
  EXPECT_EQ(classifyOperand(shapeWith({1, 1, 4, 4}), kImage, plain), BroadcastKind::Other);
  EXPECT_EQ(classifyOperand(shapeWith({1, 1, 8, 4, 4}), kImage, plain), BroadcastKind::Other);
  EXPECT_EQ(classifyOperand(std::nullopt, kImage, plain), BroadcastKind::Other);
  Shape blockedImage = shapeWith({1, 2, 4, 4, 16});
  EXPECT_EQ(classifyOperand(shapeWith({1, 2, 1, 1, 16}), blockedImage, blocked),
            BroadcastKind::PerChannel);
  EXPECT_EQ(classifyOperand(shapeWith({16}), blockedImage, blocked), BroadcastKind::Other);
  EXPECT_EQ(classifyOperand(shapeWith({8}), shapeWith({4, 8}), last), BroadcastKind::PerChannel);
}

TEST(FusionPolicy, SymbolsAreTheSameSizeUnknownOnesAreNot) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  Shape n({Dim::symbol(&context, "N"), Dim(8)}), m({Dim::symbol(&context, "M"), Dim(8)}),
      unknown({Dim(), Dim(8)});
  std::vector<int64_t> axes = {1};
  EXPECT_EQ(classifyOperand(n, n, axes), BroadcastKind::Full);
  EXPECT_EQ(classifyOperand(m, n, axes), BroadcastKind::Other);
  EXPECT_EQ(classifyOperand(unknown, unknown, axes), BroadcastKind::Other);
}

TEST(FusionPolicy, ARootTakesWhatFollows) {
  Graph g;
  int64_t conv = g.anchor({-1});
  int64_t bias = g.mapWith(conv, shapeWith({8, 1, 1}));
  int64_t relu = g.map({bias});
  g.opaque({relu});
  EXPECT_EQ(g.groups(), (Groups{{conv, bias, relu}}));
}

TEST(FusionPolicy, ARootStopsAtOtherShapesAndBroadcasts) {
  Graph g;
  int64_t a = g.anchor({-1});
  int64_t broadcast = g.mapWith(a, shapeWith({4}));
  int64_t b = g.anchor({-1});
  int64_t larger = g.map({b});
  g[larger].shape = shapeWith({2, 8, 4, 4});
  EXPECT_EQ(g.groups(), (Groups{{a}, {broadcast}, {b}, {larger}}));
}

TEST(FusionPolicy, TheLaterRootTakesTheResidual) {
  Graph g;
  int64_t a = g.anchor({-1});
  int64_t b = g.anchor({-1});
  int64_t sum = g.map({a, b});
  EXPECT_EQ(g.groups(), (Groups{{a}, {b, sum}}));
}

TEST(FusionPolicy, ResidualsAreLimited) {
  Graph g;
  int64_t conv = g.anchor({-1});
  int64_t one = g.map({conv, -1});
  int64_t two = g.map({one, -1});
  int64_t three = g.map({two, -1});
  EXPECT_EQ(g.groups(), (Groups{{conv, one, two}, {three}}));
}

TEST(FusionPolicy, AResultWithTwoUsersEndsTheEpilogue) {
  Graph g;
  int64_t conv = g.anchor({-1});
  int64_t relu = g.map({conv});
  int64_t next = g.map({relu});
  g.opaque({relu});
  EXPECT_EQ(g.groups(), (Groups{{conv, relu}, {next}}));
}

TEST(FusionPolicy, TakesADiamondAsAWholeOrNot) {
  // x * sigmoid(x)
  Graph g;
  int64_t conv = g.anchor({-1});
  int64_t sigmoid = g.map({conv});
  int64_t product = g.map({conv, sigmoid});
  EXPECT_EQ(g.groups(), (Groups{{conv, sigmoid, product}}));
  g.opaque({conv});
  EXPECT_EQ(g.groups(), (Groups{{conv}, {sigmoid, product}}));
}

TEST(FusionPolicy, ChainsOfElementwiseOpsMerge) {
  Graph g;
  int64_t a = g.map({-1});
  int64_t b = g.map({a});
  int64_t c = g.map({a, b});
  int64_t end = g.opaque({c});
  int64_t d = g.map({end});
  EXPECT_EQ(g.groups(), (Groups{{a, b, c}, {d}}));
}

TEST(FusionPolicy, AProducerForTwoGroupsStaysAlone) {
  Graph g;
  int64_t a = g.map({-1});
  int64_t b = g.map({a});
  int64_t c = g.map({a});
  g.opaque({b});
  g.opaque({c});
  EXPECT_EQ(g.groups(), (Groups{{a}, {b}, {c}}));
}

TEST(FusionPolicy, ASmallerProducerIsNotRecomputed) {
  Graph g;
  int64_t a = g.map({-1});
  g[a].shape = shapeWith({8, 1, 1});
  int64_t b = g.map({a, -1});
  EXPECT_EQ(g.groups(), (Groups{{a}, {b}}));
}

TEST(FusionPolicy, LimitsHold) {
  Graph g;
  int64_t conv = g.anchor({-1});
  int64_t a = g.map({conv});
  int64_t end = g.opaque({a});
  int64_t b = g.map({end, -1});
  int64_t c = g.map({b, -1});
  EXPECT_EQ(g.groups({.maxOps = 1}), (Groups{{conv}, {a}, {b}, {c}}));
  EXPECT_EQ(g.groups({.maxMapInputs = 2}), (Groups{{conv, a}, {b}, {c}}));
  EXPECT_EQ(g.groups({.maxMapInputs = 3}), (Groups{{conv, a}, {b, c}}));
}
