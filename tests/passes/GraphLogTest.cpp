//===- GraphLogTest.cpp - what passes refuse, and where nodes go ----------===//
#include "passes/GraphLog.h"

#include "ir/NNDialect.h"
#include "passes/Passes.h"
#include "passes/PrecisionPolicy.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace quern;
using namespace quern::passes;
using testing::ElementsAre;
using Fate = ExplainedNode::Fate;

namespace {
/// Runs passes on @main, given as text.
class GraphLogTest : public testing::Test {
protected:
  GraphLogTest() { context.loadDialect<nn::NNDialect, mlir::func::FuncDialect>(); }

  void run(const std::string &text, std::vector<std::unique_ptr<mlir::Pass>> passes) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module);
    mlir::PassManager pm(&context);
    for (std::unique_ptr<mlir::Pass> &pass : passes)
      pm.addNestedPass<mlir::func::FuncOp>(std::move(pass));
    pm.addInstrumentation(std::make_unique<NodeWatch>(log));
    ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
  }
  template <typename... Passes> void run(const std::string &text, Passes... passes) {
    std::vector<std::unique_ptr<mlir::Pass>> all;
    (all.push_back(std::move(passes)), ...);
    run(text, std::move(all));
  }
  /// The only refusal.
  Refusal only() const {
    std::vector<Refusal> all = log.refusals();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Refusal{} : all.front();
  }
  void expectOnly(Refusal::Kind kind, ReasonCode code, const std::string &text,
                  const std::string &node) const {
    Refusal refusal = only();
    EXPECT_EQ(refusal.kind, kind);
    EXPECT_EQ(refusal.reason.code, code);
    EXPECT_EQ(refusal.reason.text, text);
    EXPECT_THAT(refusal.reason.nodes, ElementsAre(node));
  }
  const ExplainedNode *node(const std::string &name) const {
    for (const ExplainedNode &node : log.nodes())
      if (node.name == name)
        return &node;
    return nullptr;
  }

  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  GraphLog log;
};

/// softmax(q k) v; the function returns `results`.
std::string attention(const std::string &results, const std::string &types) {
  return "func.func @main(%q: tensor<2x4x8x16xf32>, %k: tensor<2x4x16x8xf32>, "
         "%v: tensor<2x4x8x16xf32>) -> (" +
         types + R"() {
    %s = nn.matmul %q, %k : (tensor<2x4x8x16xf32>, tensor<2x4x16x8xf32>) -> tensor<2x4x8x8xf32> loc("scores")
    %p = nn.softmax %s {axis = 3 : i64, trailing = false} : (tensor<2x4x8x8xf32>) -> tensor<2x4x8x8xf32> loc("softmax")
    %y = nn.matmul %p, %v : (tensor<2x4x8x8xf32>, tensor<2x4x8x16xf32>) -> tensor<2x4x8x16xf32> loc("context")
    return )" +
         results + " : " + types + "\n}";
}

/// x / sqrt(mean(x * x) + 0.25); the function returns `results`.
std::string rootMeanSquare(const std::string &results, const std::string &types) {
  return "func.func @main(%x: tensor<2x8x4xf32>) -> (" + types + R"() {
    %axes = nn.constant dense<-1> : tensor<1xi64>
    %eps = nn.constant dense<0.25> : tensor<f32>
    %sq = nn.mul %x, %x : (tensor<2x8x4xf32>, tensor<2x8x4xf32>) -> tensor<2x8x4xf32> loc("square")
    %m = nn.reduce mean %sq, %axes {keepdims = true, noop_with_empty_axes = false} : (tensor<2x8x4xf32>, tensor<1xi64>) -> tensor<2x8x1xf32> loc("mean")
    %a = nn.add %m, %eps : (tensor<2x8x1xf32>, tensor<f32>) -> tensor<2x8x1xf32> loc("shift")
    %r = nn.sqrt %a : (tensor<2x8x1xf32>) -> tensor<2x8x1xf32> loc("root")
    %y = nn.div %x, %r : (tensor<2x8x4xf32>, tensor<2x8x1xf32>) -> tensor<2x8x4xf32> loc("quotient")
    return )" +
         results + " : " + types + "\n}";
}

/// A convolution and its normalization; the function returns `results`.
std::string normalized(const std::string &results, const std::string &types) {
  return "func.func @main(%x: tensor<1x1x4x4xf32>) -> (" + types + R"() {
    %none = nn.none
    %w = nn.constant dense<1.0> : tensor<2x1x1x1xf32>
    %c = nn.constant dense<1.0> : tensor<2xf32>
    %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("conv")
    %1 = nn.batch_norm %0, %c, %c, %c, %c {epsilon = 1.0} : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("norm")
    return )" +
         results + " : " + types + "\n}";
}
} // namespace

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

TEST_F(GraphLogTest, PrecisionsThatAreNotLowered) {
  const std::string products =
      R"(func.func @main(%a: tensor<4x4xf32>, %i: tensor<4x4xi32>) -> (tensor<4x4xf32>, tensor<4x4xi32>) {
    %0 = nn.matmul %a, %a : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32> loc("floats")
    %1 = nn.matmul %i, %i : (tensor<4x4xi32>, tensor<4x4xi32>) -> tensor<4x4xi32> loc("integers")
    return %0, %1 : tensor<4x4xf32>, tensor<4x4xi32>
  })";
  run(products, createAssignPrecisionPass(std::make_shared<BFloat16Factors>(), &log));
  EXPECT_TRUE(log.refusals().empty());
  run(products, createAssignPrecisionPass(std::make_shared<KeepFloat32>(), &log));
  expectOnly(Refusal::Kind::Precision, ReasonCode::NoKernel,
             "there is no native code of a lower precision", "floats");
}

TEST_F(GraphLogTest, WeightsThatOnlyARunTells) {
  run(R"(func.func @main(%x: tensor<1x4x8x8xf32>, %w: tensor<4x4x1x1xf32>) -> tensor<1x4x8x8xf32> {
    %none = nn.none
    %0 = nn.conv_transpose %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1 : i64} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x8x8xf32> loc("up")
    return %0 : tensor<1x4x8x8xf32>
  })",
      createAssignPrecisionPass(std::make_shared<BFloat16Factors>(), &log));
  expectOnly(Refusal::Kind::Precision, ReasonCode::NotConstant, "its weights are not constant",
             "up");
}

TEST_F(GraphLogTest, ResultsThatAreReadUnrounded) {
  const std::string chain = R"(func.func @main(%x: tensor<4xf16>) -> tensor<4xf16> {
    %0 = nn.exp %x : (tensor<4xf16>) -> tensor<4xf16>
    %1 = nn.tanh %0 : (tensor<4xf16>) -> tensor<4xf16>
    return %1 : tensor<4xf16>
  })";
  run(chain, createWidenFloat16Pass({/*excessPrecision=*/false}, &log));
  EXPECT_TRUE(log.explanation().unrounded.empty());
  run(chain, createWidenFloat16Pass({/*excessPrecision=*/true}, &log));
  EXPECT_EQ(log.explanation().unrounded, (std::map<std::string, size_t>{{"float16", 1}}));
}

TEST_F(GraphLogTest, AttentionThatIsRaisedLeavesNone) {
  run(attention("%y", "tensor<2x4x8x16xf32>"), createRaiseAttentionPass(&log));
  EXPECT_TRUE(log.refusals().empty());
  for (const char *name : {"scores", "softmax", "context"})
    EXPECT_EQ(node(name)->fate, Fate::Step) << name;
}

TEST_F(GraphLogTest, AttentionWhoseScoresAreUsed) {
  run(attention("%y, %s", "tensor<2x4x8x16xf32>, tensor<2x4x8x8xf32>"),
      createRaiseAttentionPass(&log));
  expectOnly(Refusal::Kind::Raise, ReasonCode::SeveralUses, "the scores are used elsewhere",
             "context");
}

TEST_F(GraphLogTest, NormalizationThatIsRaisedLeavesNone) {
  run(rootMeanSquare("%y", "tensor<2x8x4xf32>"), createRaiseLayerNormPass(&log));
  EXPECT_TRUE(log.refusals().empty());
  EXPECT_EQ(node("mean")->fate, Fate::Step);
}

TEST_F(GraphLogTest, NormalizationWhoseRootIsUsed) {
  run(rootMeanSquare("%y, %r", "tensor<2x8x4xf32>, tensor<2x8x1xf32>"),
      createRaiseLayerNormPass(&log));
  expectOnly(Refusal::Kind::Raise, ReasonCode::SeveralUses,
             "a step of the root mean square has other uses", "quotient");
}

TEST_F(GraphLogTest, BatchNormThatIsFoldedLeavesNone) {
  run(normalized("%1", "tensor<1x2x4x4xf32>"), createFoldBatchNormPass(nullptr, &log));
  EXPECT_TRUE(log.refusals().empty());
  EXPECT_EQ(node("norm")->fate, Fate::Step);
}

TEST_F(GraphLogTest, BatchNormWhoseInputIsUsed) {
  run(normalized("%1, %0", "tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>"),
      createFoldBatchNormPass(nullptr, &log));
  expectOnly(Refusal::Kind::Fold, ReasonCode::SeveralUses, "the producer's result has other uses",
             "norm");
}

TEST_F(GraphLogTest, NodesThatAreNotFused) {
  run(R"(func.func @main(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
    %0 = nn.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32> loc("product")
    %1 = nn.relu %0 : (tensor<4x8xf32>) -> tensor<4x8xf32> loc("relu")
    return %0, %1 : tensor<4x8xf32>, tensor<4x8xf32>
  })",
      createFormFusionGroupsPass({}, &log));
  Refusal refusal = only();
  EXPECT_EQ(refusal.kind, Refusal::Kind::Fuse);
  EXPECT_EQ(refusal.reason.code, ReasonCode::SeveralUses);
  EXPECT_EQ(refusal.reason.text, "the result before it is used elsewhere as well");
  EXPECT_THAT(refusal.reason.nodes, ElementsAre("product", "relu"));
}

TEST_F(GraphLogTest, TheLastRefusalCounts) {
  auto place = mlir::NameLoc::get(mlir::StringAttr::get(&context, "a"));
  log.refuse(Refusal::Kind::Raise, place, {ReasonCode::Form, "first"});
  log.refuse(Refusal::Kind::Raise, place, {ReasonCode::Shape, "second"});
  expectOnly(Refusal::Kind::Raise, ReasonCode::Shape, "second", "a");
  log.forget(Refusal::Kind::Fold, place);
  EXPECT_EQ(log.refusals().size(), 1u);
  log.forget(Refusal::Kind::Raise, place);
  EXPECT_TRUE(log.refusals().empty());
}

TEST_F(GraphLogTest, RefusalsAreBounded) {
  for (int i = 0; i < 3000; ++i) {
    auto name = mlir::StringAttr::get(&context, std::to_string(i));
    log.refuse(Refusal::Kind::Raise, mlir::NameLoc::get(name), {ReasonCode::Form, "why"});
    log.refuse({Refusal::Kind::Fuse, {ReasonCode::Form, "why"}});
  }
  EXPECT_EQ(log.refusals().size(), 2000u);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

TEST_F(GraphLogTest, NodesThatVanish) {
  run(R"(func.func @main(%x: tensor<2x2xf32>) -> tensor<2x2xf32>
      attributes {nn.nodes_without_ops = ["given", "identity"]} {
    %c = nn.constant dense<[[2.0, 3.0], [4.0, 5.0]]> : tensor<2x2xf32> loc("given")
    %0 = nn.exp %c : (tensor<2x2xf32>) -> tensor<2x2xf32> loc("folded")
    %1 = nn.relu %x : (tensor<2x2xf32>) -> tensor<2x2xf32> loc("unused")
    %2 = nn.transpose %x {perm = array<i64: 0, 1>} : (tensor<2x2xf32>) -> tensor<2x2xf32> loc("same")
    %3 = nn.add %2, %0 : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> loc("sum")
    return %3 : tensor<2x2xf32>
  })",
      createFoldConstantsPass(nullptr), createSimplifyGraphPass());
  ASSERT_EQ(log.nodes().size(), 6u);
  for (auto [name, fate, by] : {std::tuple("given", Fate::Constant, "import"),
                                std::tuple("identity", Fate::Removed, "import"),
                                std::tuple("folded", Fate::Constant, "nn-fold-constants"),
                                std::tuple("unused", Fate::Unused, ""),
                                std::tuple("same", Fate::Removed, "nn-simplify-graph"),
                                std::tuple("sum", Fate::Step, "")}) {
    const ExplainedNode *found = node(name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->fate, fate) << name;
    EXPECT_EQ(found->by, by) << name;
  }
}
