//===- RaiseAttentionTest.cpp - attention, of any number of masks ---------===//
#include "ir/AttentionOps.h"
#include "passes/Passes.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace quern;

namespace {
/// An attention whose scores `steps` leads on, from %s0 to %s<count>.
std::string attentionWith(int count, const std::string &step) {
  std::string text = R"(
    func.func @main(%q: tensor<1x1x2x4xf32>, %k: tensor<1x1x4x2xf32>, %v: tensor<1x1x2x4xf32>,
                    %m: tensor<2x2xf32>, %c: tensor<f32>) -> tensor<1x1x2x4xf32> {
      %s0 = nn.matmul %q, %k : (tensor<1x1x2x4xf32>, tensor<1x1x4x2xf32>) -> tensor<1x1x2x2xf32>
)";
  for (int i = 0; i < count; ++i)
    text += fmt::format(fmt::runtime(step), i + 1, i);
  return text + fmt::format(R"(
      %p = nn.softmax %s{} {{axis = 3 : i64, trailing = false}}
        : (tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32>
      %y = nn.matmul %p, %v : (tensor<1x1x2x2xf32>, tensor<1x1x2x4xf32>) -> tensor<1x1x2x4xf32>
      return %y : tensor<1x1x2x4xf32>
    }})",
                            count);
}

/// Whether the pass makes an nn.attention of it.
bool isRaised(const std::string &text) {
  mlir::MLIRContext context;
  context.loadDialect<nn::NNDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  EXPECT_TRUE(module);
  mlir::PassManager pm(&context);
  pm.addNestedPass<mlir::func::FuncOp>(passes::createRaiseAttentionPass());
  EXPECT_TRUE(mlir::succeeded(pm.run(*module)));
  bool found = false;
  module->walk([&](nn::AttentionOp) { found = true; });
  return found;
}

constexpr const char *kMaskBehind = R"(
  %s{} = nn.add %s{}, %m : (tensor<1x1x2x2xf32>, tensor<2x2xf32>) -> tensor<1x1x2x2xf32>)";
constexpr const char *kMaskBefore = R"(
  %s{} = nn.add %m, %s{} : (tensor<2x2xf32>, tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32>)";
constexpr const char *kScale = R"(
  %s{} = nn.mul %s{}, %c : (tensor<1x1x2x2xf32>, tensor<f32>) -> tensor<1x1x2x2xf32>)";
} // namespace

TEST(RaiseAttention, TakesSeveralMasks) {
  for (const char *step : {kMaskBehind, kMaskBefore, kScale})
    for (int count : {0, 1, 5, 20})
      EXPECT_TRUE(isRaised(attentionWith(count, step))) << count << step;
}

// A file may have any number of them: neither the stack nor the memory may grow with it.
TEST(RaiseAttention, LeavesLongChainsAlone) {
  constexpr int kMany = 30000;
  for (const char *step : {kMaskBehind, kMaskBefore, kScale})
    EXPECT_FALSE(isRaised(attentionWith(kMany, step))) << step;
}
