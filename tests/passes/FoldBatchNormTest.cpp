//===- FoldBatchNormTest.cpp - the same numbers before and after ----------===//
#include "backends/interpreter/Interpreter.h"
#include "ir/NNDialect.h"
#include "passes/Passes.h"
#include "passes/SpecializeInputs.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace quern;
using namespace quern::passes;

namespace {
class FoldBatchNorm : public testing::Test {
protected:
  FoldBatchNorm() { context.loadDialect<nn::NNDialect, mlir::func::FuncDialect>(); }

  /// Text of a dense constant with pseudo-random values in [low, high).
  std::string constant(const std::string &type, int64_t count, double low, double high) {
    std::uniform_real_distribution<float> values(low, high);
    std::string hex;
    for (int64_t i = 0; i < count; ++i) {
      uint32_t bits = std::bit_cast<uint32_t>(values(random));
      for (int byte = 0; byte < 4; ++byte)
        hex += llvm::toHex(llvm::ArrayRef<uint8_t>{static_cast<uint8_t>(bits >> (8 * byte))});
    }
    return "nn.constant dense<\"0x" + hex + "\"> : tensor<" + type + ">";
  }

  Tensor run(mlir::ModuleOp module, const Tensor &input) {
    auto results = interpreter::interpret(findMain(module), {&input, 1});
    EXPECT_TRUE(results) << results.status().message();
    return results ? results->front() : Tensor();
  }

  /// Runs `text` before and after the pass; `folded` must be gone after it.
  void expectSameNumbers(const std::string &text, const Tensor &input, const char *folded) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module);
    Tensor before = run(*module, input);
    mlir::PassManager pm(&context);
    pm.addNestedPass<mlir::func::FuncOp>(createFoldBatchNormPass());
    ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
    module->walk([&](mlir::Operation *op) { EXPECT_NE(op->getName().getStringRef(), folded); });
    Tensor after = run(*module, input);
    ASSERT_EQ(before.dims(), after.dims());
    for (int64_t i = 0; i < before.numElements(); ++i)
      EXPECT_NEAR(before.data<float>()[i], after.data<float>()[i],
                  1e-5 * (1 + std::abs(before.data<float>()[i])));
  }

  Tensor randomInput(Tensor::Dims dims) {
    Tensor tensor = Tensor::allocate(DType::Float32, std::move(dims)).take();
    std::uniform_real_distribution<float> values(-1, 1);
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      tensor.mutableData<float>()[i] = values(random);
    return tensor;
  }

  /// %scale, %shift, %mean and %variance of six channels.
  std::string parameters() {
    return "%scale = " + constant("6xf32", 6, -2, 2) + "\n%shift = " + constant("6xf32", 6, -2, 2) +
           "\n%mean = " + constant("6xf32", 6, -1, 1) +
           "\n%variance = " + constant("6xf32", 6, 0.1, 3) + "\n";
  }

  mlir::MLIRContext context;
  std::mt19937 random{3};
};
} // namespace

TEST_F(FoldBatchNorm, Conv) {
  std::string text = "func.func @main(%x: tensor<2x4x5x5xf32>) -> tensor<2x6x3x3xf32> {\n" +
                     parameters() + "%w = " + constant("6x2x3x3xf32", 108, -1, 1) +
                     "\n%b = " + constant("6xf32", 6, -1, 1) + R"(
    %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = array<i64: 0, 0, 0, 0>, group = 2 : i64}
      : (tensor<2x4x5x5xf32>, tensor<6x2x3x3xf32>, tensor<6xf32>) -> tensor<2x6x3x3xf32>
    %1 = nn.batch_norm %0, %scale, %shift, %mean, %variance {epsilon = 1.0e-3}
      : (tensor<2x6x3x3xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>)
      -> tensor<2x6x3x3xf32>
    return %1 : tensor<2x6x3x3xf32>
  })";
  expectSameNumbers(text, randomInput({2, 4, 5, 5}), "nn.batch_norm");
}

TEST_F(FoldBatchNorm, ConvTranspose) {
  std::string text = "func.func @main(%x: tensor<1x4x3x3xf32>) -> tensor<1x6x4x4xf32> {\n" +
                     parameters() + "%w = " + constant("4x3x2x2xf32", 48, -1, 1) + R"(
    %none = nn.none
    %0 = nn.conv_transpose %x, %w, %none {strides = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>,
      output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 2 : i64}
      : (tensor<1x4x3x3xf32>, tensor<4x3x2x2xf32>, none) -> tensor<1x6x4x4xf32>
    %1 = nn.batch_norm %0, %scale, %shift, %mean, %variance {epsilon = 1.0e-3}
      : (tensor<1x6x4x4xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>)
      -> tensor<1x6x4x4xf32>
    return %1 : tensor<1x6x4x4xf32>
  })";
  expectSameNumbers(text, randomInput({1, 4, 3, 3}), "nn.batch_norm");
}

TEST_F(FoldBatchNorm, GemmOfEitherOrder) {
  for (bool transposed : {false, true}) {
    std::string weights = transposed ? "6x4xf32" : "4x6xf32";
    std::string text = "func.func @main(%x: tensor<3x4xf32>) -> tensor<3x6xf32> {\n" +
                       parameters() + "%w = " + constant(weights, 24, -1, 1) +
                       "\n%b = " + constant("1x6xf32", 6, -1, 1) +
                       "\n%0 = nn.gemm %x, %w, %b {alpha = 0.5, beta = 2.0, trans_a = false, "
                       "trans_b = " +
                       (transposed ? "true" : "false") + "} : (tensor<3x4xf32>, tensor<" + weights +
                       R"(>, tensor<1x6xf32>) -> tensor<3x6xf32>
    %1 = nn.batch_norm %0, %scale, %shift, %mean, %variance {epsilon = 1.0e-3}
      : (tensor<3x6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>)
      -> tensor<3x6xf32>
    return %1 : tensor<3x6xf32>
  })";
    expectSameNumbers(text, randomInput({3, 4}), "nn.batch_norm");
  }
}

TEST_F(FoldBatchNorm, Decomposed) {
  std::string text =
      "func.func @main(%x: tensor<2x6x3xf32>) -> tensor<2x6x3xf32> {\n" + parameters() + R"(
    %1 = nn.batch_norm %x, %scale, %shift, %mean, %variance {epsilon = 1.0e-3}
      : (tensor<2x6x3xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>)
      -> tensor<2x6x3xf32>
    return %1 : tensor<2x6x3xf32>
  })";
  expectSameNumbers(text, randomInput({2, 6, 3}), "nn.batch_norm");
}
