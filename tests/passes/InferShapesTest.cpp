//===- InferShapesTest.cpp - several functions at a time ------------------===//
#include "ir/NNDialect.h"
#include "ir/OutlinedOps.h"
#include "passes/Passes.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace quern;

/// A branch of each adds sizes that do not fit; each has a size of its own.
static std::string functionsWithABrokenBranch(int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += fmt::format(R"(
      func.func @f{0}(%c: tensor<i1>, %x: tensor<{1}xf32>, %y: tensor<2xf32>) -> tensor<*xf32> {{
        %u = nn.relu %x : (tensor<{1}xf32>) -> tensor<*xf32>
        %0 = nn.if %c {{
          %a = nn.add %u, %y : (tensor<*xf32>, tensor<2xf32>) -> tensor<*xf32>
          nn.yield %a : tensor<*xf32>
        }} else {{
          nn.yield %y : tensor<2xf32>
        }} : (tensor<i1>) -> tensor<*xf32>
        return %0 : tensor<*xf32>
      }})",
                        i, i + 1000);
  return text;
}

/// Passes run on functions in parallel; MLIR asks the newest of all handlers first.
TEST(InferShapes, ABrokenBranchHasItsOwnMessage) {
  constexpr int kFunctions = 500;
  mlir::MLIRContext context;
  context.loadDialect<nn::NNDialect, mlir::func::FuncDialect>();
  auto module =
      mlir::parseSourceString<mlir::ModuleOp>(functionsWithABrokenBranch(kFunctions), &context);
  ASSERT_TRUE(module);
  mlir::PassManager pm(&context);
  pm.addNestedPass<mlir::func::FuncOp>(passes::createInferShapesPass());
  ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
  int function = 0;
  module->walk([&](nn::FailOp fail) {
    std::string message = fail.getMessage().str();
    EXPECT_NE(message.find(std::to_string(1000 + function)), std::string::npos) << message;
    EXPECT_EQ(message.find(';'), std::string::npos) << message;
    ++function;
  });
  EXPECT_EQ(function, kFunctions);
}
