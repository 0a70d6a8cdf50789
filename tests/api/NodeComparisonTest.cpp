//===- NodeComparisonTest.cpp - comparing node by node --------------------===//
#include "quern/NodeComparison.h"
#include "Models.h"
#include "quern/Reports.h"
#include "quern/SampleInputs.h"

#include <algorithm>
#include <cstdlib>

using namespace quern;
using namespace quern::test;

namespace {
/// While it lives, models that are compiled have an error.
class Planted {
public:
  explicit Planted(const char *place) { setenv("QUERN_PLANT_ERROR", place, 1); }
  ~Planted() { unsetenv("QUERN_PLANT_ERROR"); }
};

NodeComparison compareDigits(const CompileOptions &compile = {.threads = 1},
                             const CompareOptions &options = {}) {
  Model model = expectValue(Model::load(kDigits));
  std::vector<AnyValue> inputs = expectValue(sampleInputs(model.inputs(), 7));
  return expectValue(compareNodes(model, inputs, compile, {.threads = 1}, options));
}

const ComparedNode *find(const NodeComparison &comparison, const std::string &node) {
  auto at = std::ranges::find(comparison.nodes, node, &ComparedNode::node);
  return at == comparison.nodes.end() ? nullptr : &*at;
}
} // namespace

TEST(NodeComparisonTest, RightCodeAgrees) {
  NodeComparison found = compareDigits();
  EXPECT_TRUE(found.verdict().isOk()) << found.verdict().message();
  EXPECT_EQ(found.fault, NodeComparison::Fault::None);
  EXPECT_TRUE(found.isComplete);
  EXPECT_FALSE(found.first);
  ASSERT_EQ(found.outputs.size(), 1u);
  EXPECT_TRUE(found.outputs[0].difference.passes());
  const ComparedNode *relu = find(found, "relu1");
  ASSERT_TRUE(relu);
  EXPECT_EQ(relu->op, "conv+relu");
  EXPECT_EQ(relu->runs, 1);
  EXPECT_TRUE(relu->isNative);
  EXPECT_GT(relu->nodes.size(), 1u);
  ASSERT_TRUE(relu->fromStart);
  EXPECT_TRUE(relu->fromStart->passes());
  EXPECT_LT(relu->difference.maxOfLargest, relu->bound.ofLargest);
  // What has no value of its own is said.
  auto conv = std::ranges::find(found.others, relu->nodes[0], &UncomparedNode::node);
  ASSERT_NE(conv, found.others.end());
  EXPECT_EQ(conv->reason, "fused: its value goes to 'relu1' only");
}

TEST(NodeComparisonTest, NamesTheNodeWithAnError) {
  Planted error("relu2");
  NodeComparison found = compareDigits();
  ASSERT_EQ(found.fault, NodeComparison::Fault::Code);
  ASSERT_TRUE(found.first);
  EXPECT_EQ(found.nodes[*found.first].node, "relu2");
  EXPECT_EQ(found.nodes[*found.first].difference.mismatches, 1);
  EXPECT_EQ(found.verdict().code(), StatusCode::AccuracyMismatch);
  EXPECT_EQ(found.verdict().message(), "native code of node 'relu2' (conv+relu) gives something "
                                       "else than the interpreter for the same operands");
  // What comes after it is right for what it was given.
  for (const ComparedNode &node : found.nodes)
    EXPECT_EQ(node.passes(), node.node != "relu2") << node.node;
  EXPECT_FALSE(find(found, "relu2")->fromStart->passes());
  EXPECT_NE(nodeReport(found).find("\"first\":\"relu2\""), std::string::npos);
}

TEST(NodeComparisonTest, FindsAnErrorByTheNumberOfTheStep) {
  for (const char *step : {"0", "5"}) {
    Planted error(step);
    EXPECT_EQ(compareDigits().fault, NodeComparison::Fault::Code) << step;
  }
  Planted error("1000");
  EXPECT_EQ(compareDigits().fault, NodeComparison::Fault::None);
}

TEST(NodeComparisonTest, NamesTheFirstNodeBehindAWrongPass) {
  Planted error("graph:relu2");
  NodeComparison found = compareDigits();
  ASSERT_EQ(found.fault, NodeComparison::Fault::Graph);
  for (const ComparedNode &node : found.nodes)
    EXPECT_TRUE(node.passes()) << node.node;
  // What is before the node that is gone is as it was.
  ASSERT_TRUE(found.first);
  EXPECT_EQ(found.nodes[*found.first].node, "pool2");
  EXPECT_TRUE(found.verdict().message().starts_with(
      "each node's native code is right, but not what was made of the graph before node 'pool2': "))
      << found.verdict().message();
  EXPECT_NE(nodeReport(found).find("\"fault\":\"graph\""), std::string::npos);
}

TEST(NodeComparisonTest, BoundsFollowThePrecision) {
  NodeComparison lowered = compareDigits({.precision = Precision::BFloat16, .threads = 1});
  EXPECT_EQ(lowered.fault, NodeComparison::Fault::None);
  ASSERT_FALSE(lowered.nodes.empty());
  EXPECT_EQ(lowered.nodes[0].bound.ofLargest, 1e-2);
  NodeComparison given =
      compareDigits({.threads = 1}, {.tolerance = Tolerance{.relative = 0, .absolute = 0}});
  EXPECT_EQ(given.nodes[0].bound.absolute, 0);
  EXPECT_EQ(given.fault, NodeComparison::Fault::Code);
}

TEST(NodeComparisonTest, InputsAreChecked) {
  Model model = expectValue(Model::load(kDigits));
  EXPECT_EQ(compareNodes(model, {}).status().code(), StatusCode::InvalidInput);
}
