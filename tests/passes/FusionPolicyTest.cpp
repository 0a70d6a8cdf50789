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
    nodes[node].operandAxes = {{1}};
    return node;
  }
  int64_t row(std::vector<int64_t> operands) { return add(FusionRole::Row, operands); }
  int64_t map(std::vector<int64_t> operands) { return add(FusionRole::Elementwise, operands); }
  int64_t opaque(std::vector<int64_t> operands) { return add(FusionRole::Opaque, operands); }
  /// An elementwise op that also reads a value from outside, of another shape.
  int64_t mapWith(int64_t operand, std::optional<Shape> other) {
    int64_t node = map({operand});
    nodes[node].operands.push_back({-1, other});
    return node;
  }
  FusionNode &operator[](int64_t node) { return nodes[node]; }
  Groups groups(FusionLimits limits = {}) const { return formGroups(nodes, limits).groups; }
  /// The code of what is said about `user` not being with `producer`; nullopt when nothing is.
  std::optional<ReasonCode> refusal(int64_t producer, int64_t user,
                                    FusionLimits limits = {}) const {
    for (const FusionRefusal &refusal : formGroups(nodes, limits).refusals)
      if (refusal.producer == producer && refusal.user == user)
        return refusal.reason.code;
    return std::nullopt;
  }
  size_t refusals() const { return formGroups(nodes).refusals.size(); }

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
  using AxisSets = std::vector<std::vector<int64_t>>;
  AxisSets plain = {{1}}, blocked = {{1, 4}}, last = {{1}};
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
  AxisSets ofMatrices = {{2}, {0, 1}, {0, 2}};
  Shape matrices = shapeWith({3, 4, 8});
  EXPECT_EQ(classifyOperand(shapeWith({3, 4, 1}), matrices, ofMatrices), BroadcastKind::PerChannel);
  EXPECT_EQ(classifyOperand(shapeWith({3, 1, 8}), matrices, ofMatrices), BroadcastKind::PerChannel);
  EXPECT_EQ(classifyOperand(shapeWith({3, 1, 1}), matrices, ofMatrices), BroadcastKind::Other);
  EXPECT_EQ(classifyOperand(shapeWith({4, 1}), matrices, ofMatrices), BroadcastKind::Other);
}

TEST(FusionPolicy, SymbolsAreTheSameSizeUnknownOnesAreNot) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  Shape n({Dim::symbol(&context, "N"), Dim(8)}), m({Dim::symbol(&context, "M"), Dim(8)}),
      unknown({Dim(), Dim(8)});
  std::vector<std::vector<int64_t>> axes = {{1}};
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

/// conv, a cast to bytes, and the cast back to floats.
static std::vector<int64_t> addNarrowed(Graph &g) {
  int64_t conv = g.anchor({-1});
  int64_t bytes = g.map({conv});
  int64_t floats = g.map({bytes});
  g[conv].elementBytes = g[floats].elementBytes = 4;
  g[bytes].elementBytes = 1;
  return {conv, bytes, floats};
}

TEST(FusionPolicy, WhatAnotherGroupComputesFollowsTheNarrowestValue) {
  Graph g;
  std::vector<int64_t> a = addNarrowed(g), b = addNarrowed(g);
  int64_t sum = g.map({a[2], b[2]});
  EXPECT_EQ(g.groups(), (Groups{{a[0], a[1]}, {a[2], b[0], b[1], b[2], sum}}));
}

TEST(FusionPolicy, WhatIsNotElementwiseReadsFloats) {
  Graph g;
  std::vector<int64_t> a = addNarrowed(g), b = addNarrowed(g), c = addNarrowed(g);
  g.opaque({a[2]});
  int64_t larger = g.map({b[2]});
  g[larger].shape = shapeWith({2, 8, 4, 4});
  g.map({c[2]});
  g.opaque({c[2]});
  Groups groups = g.groups();
  EXPECT_EQ(groups[0], a);
  EXPECT_EQ(groups[1], b);
  EXPECT_EQ(groups[2], c);
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

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

TEST(FusionPolicy, SaysWhyAnEpilogueEnds) {
  Graph g;
  int64_t a = g.anchor({-1});
  int64_t broadcast = g.mapWith(a, shapeWith({4}));
  EXPECT_EQ(g.refusal(a, broadcast), ReasonCode::Broadcast);
  int64_t b = g.anchor({-1});
  int64_t larger = g.map({b});
  g[larger].shape = shapeWith({2, 8, 4, 4});
  EXPECT_EQ(g.refusal(b, larger), ReasonCode::Shape);
  int64_t c = g.anchor({-1});
  int64_t d = g.anchor({-1});
  int64_t sum = g.map({c, d});
  EXPECT_EQ(g.refusal(c, sum), ReasonCode::Order);
  EXPECT_EQ(g.refusal(d, sum), std::nullopt);
  EXPECT_EQ(g.refusals(), 3u);
}

TEST(FusionPolicy, SaysWhichBoundEndsAnEpilogue) {
  Graph g;
  int64_t conv = g.anchor({-1});
  int64_t one = g.map({conv, -1});
  int64_t two = g.map({one, -1});
  int64_t three = g.map({two, -1});
  EXPECT_EQ(g.refusal(two, three), ReasonCode::Limit);
  FusionLimits limits;
  limits.maxOps = 2;
  EXPECT_EQ(g.refusal(one, two, limits), ReasonCode::Limit);
}

TEST(FusionPolicy, SaysWhatIsUsedElsewhere) {
  Graph g;
  int64_t conv = g.anchor({-1});
  int64_t relu = g.map({conv});
  g.opaque({conv});
  EXPECT_EQ(g.refusal(conv, relu), ReasonCode::SeveralUses);
  int64_t map = g.map({-1});
  int64_t user = g.map({map});
  g.opaque({map});
  EXPECT_EQ(g.refusal(map, user), ReasonCode::SeveralUses);
}

// As many tensors of full size are read as before: the scale of a channel is none.
TEST(FusionPolicy, EpiloguesComputeTheirOperands) {
  Graph g;
  int64_t cast = g.map({-1});
  int64_t scaled = g.mapWith(cast, shapeWith({8, 1, 1}));
  int64_t conv = g.anchor({-1});
  int64_t sum = g.map({conv, scaled});
  EXPECT_EQ(g.groups(), (Groups{{cast, scaled, conv, sum}}));
  FusionLimits limits;
  limits.maxOps = 3;
  EXPECT_EQ(g.groups(limits), (Groups{{cast}, {scaled, conv, sum}}));
}

TEST(FusionPolicy, SaysWhyMapsStayApart) {
  Graph g;
  int64_t small = g.map({-1});
  g[small].shape = shapeWith({8, 1, 1});
  int64_t large = g.map({small, -1});
  EXPECT_EQ(g.refusal(small, large), ReasonCode::Shape);
  int64_t residual = g.map({-1, -1});
  int64_t conv = g.anchor({-1});
  int64_t sum = g.map({conv, residual});
  EXPECT_EQ(g.refusal(residual, sum), ReasonCode::Limit);
  int64_t rows = g.mapWith(-1, shapeWith({4}));
  int64_t other = g.anchor({-1});
  int64_t product = g.map({other, rows});
  EXPECT_EQ(g.refusal(rows, product), ReasonCode::Broadcast);
  FusionLimits limits;
  limits.maxMapInputs = 1;
  int64_t first = g.map({-1});
  int64_t second = g.map({first, -1});
  EXPECT_EQ(g.refusal(first, second), std::nullopt);
  EXPECT_EQ(g.refusal(first, second, limits), ReasonCode::Limit);
}

// What nobody would expect in one kernel is not listed.
TEST(FusionPolicy, SaysNothingOfOpaqueNodes) {
  Graph g;
  int64_t relu = g.map({g.anchor({g.map({-1})})});
  g.opaque({g.opaque({relu})});
  EXPECT_EQ(g.refusals(), 0u);
}

TEST(FusionPolicy, ARowReadsThroughWhatIsBeforeIt) {
  Graph g;
  int64_t cast = g.map({-1}), scaled = g.mapWith(cast, Shape());
  int64_t row = g.row({scaled}), after = g.map({row});
  g.opaque({after});
  EXPECT_EQ(g.groups(), (Groups{{cast, scaled, row, after}}));
}

TEST(FusionPolicy, WhatARowDoesNotReadThrough) {
  Graph g;
  int64_t before = g.map({-1}), sum = g.map({before, -1}); // two tensors
  int64_t shared = g.map({-1}), ofChannels = g.mapWith(-1, shapeWith({8, 1, 1}));
  int64_t a = g.row({sum}), b = g.row({shared}), c = g.row({ofChannels});
  g.opaque({a, b, c, shared});
  EXPECT_EQ(g.groups(), (Groups{{before, sum}, {shared}, {ofChannels}, {a}, {b}, {c}}));
}

// What an epilogue reads beside its anchor may be computed in the group, but not if the prologue
// wants it, too.
TEST(FusionPolicy, APrologueSharesNothingWithAnEpilogue) {
  Graph g;
  int64_t first = g.map({-1}), before = g.map({first}), row = g.row({before});
  int64_t after = g.map({row, first});
  g.opaque({after});
  EXPECT_EQ(g.groups(), (Groups{{first}, {before, row, after}}));
}

// A chain beside an anchor stays with its epilogue, though it stands before the anchor.
TEST(FusionPolicy, ChainsBesideAnchors) {
  Graph g;
  int64_t wide = g.map({-1}), scaled = g.map({wide}), conv = g.anchor({-1});
  int64_t sum = g.map({conv, scaled});
  g.opaque({sum});
  EXPECT_EQ(g.groups(), (Groups{{wide, scaled, conv, sum}}));
}
