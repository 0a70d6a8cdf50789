//===- FoldBatchNormTest.cpp - the same numbers before and after ----------===//
#include "ir/Constants.h"
#include "ir/Types.h"
#include "passes/Passes.h"
#include "tests/passes/SameNumbers.h"

using namespace quern;
using namespace quern::passes;

namespace {
class FoldBatchNorm : public SameNumbers {
protected:
  /// %scale, %shift, %mean and %variance of six channels.
  std::string parameters() {
    return "%scale = " + constant("6xf32", 6, -2, 2) + "%shift = " + constant("6xf32", 6, -2, 2) +
           "%mean = " + constant("6xf32", 6) + "%variance = " + constant("6xf32", 6, 0.1f, 3);
  }

  void expectFolded(const std::string &text, const Tensor &input) {
    expectSame(
        text, input,
        [](mlir::OpPassManager &pm) {
          pm.addNestedPass<mlir::func::FuncOp>(createFoldBatchNormPass());
        },
        [](mlir::ModuleOp module) {
          module.walk([](nn::BatchNormOp op) { ADD_FAILURE() << "nn.batch_norm is left"; });
        });
  }
};
} // namespace

TEST_F(FoldBatchNorm, Conv) {
  std::string text = "func.func @main(%x: tensor<2x4x5x5xf32>) -> tensor<2x6x3x3xf32> {\n" +
                     parameters() + "%w = " + constant("6x2x3x3xf32", 108) +
                     "\n%b = " + constant("6xf32", 6) + R"(
    %0 = nn.conv %x, %w, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = array<i64: 0, 0, 0, 0>, group = 2 : i64}
      : (tensor<2x4x5x5xf32>, tensor<6x2x3x3xf32>, tensor<6xf32>) -> tensor<2x6x3x3xf32>
    %1 = nn.batch_norm %0, %scale, %shift, %mean, %variance {epsilon = 1.0e-3}
      : (tensor<2x6x3x3xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>)
      -> tensor<2x6x3x3xf32>
    return %1 : tensor<2x6x3x3xf32>
  })";
  expectFolded(text, randomInput({2, 4, 5, 5}));
}

TEST_F(FoldBatchNorm, ConvTranspose) {
  std::string text = "func.func @main(%x: tensor<1x4x3x3xf32>) -> tensor<1x6x4x4xf32> {\n" +
                     parameters() + "%w = " + constant("4x3x2x2xf32", 48) + R"(
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
  expectFolded(text, randomInput({1, 4, 3, 3}));
}

TEST_F(FoldBatchNorm, GemmOfEitherOrder) {
  for (bool transposed : {false, true}) {
    std::string weights = transposed ? "6x4xf32" : "4x6xf32";
    std::string text = "func.func @main(%x: tensor<3x4xf32>) -> tensor<3x6xf32> {\n" +
                       parameters() + "%w = " + constant(weights, 24) +
                       "\n%b = " + constant("1x6xf32", 6) +
                       "%0 = nn.gemm %x, %w, %b {alpha = 0.5, beta = 2.0, trans_a = false, "
                       "trans_b = " +
                       (transposed ? "true" : "false") + "} : (tensor<3x4xf32>, tensor<" + weights +
                       R"(>, tensor<1x6xf32>) -> tensor<3x6xf32>
    %1 = nn.batch_norm %0, %scale, %shift, %mean, %variance {epsilon = 1.0e-3}
      : (tensor<3x6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>)
      -> tensor<3x6xf32>
    return %1 : tensor<3x6xf32>
  })";
    expectFolded(text, randomInput({3, 4}));
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
  expectFolded(text, randomInput({2, 6, 3}));
}

// However many factors there are, the weights are read once and scaled once, and the location
// does not grow with them.
TEST_F(FoldBatchNorm, AChainOfFactors) {
  constexpr int kFactors = 300;
  std::string text = "func.func @main(%x: tensor<1x2x3x3xf32>) -> tensor<1x4x3x3xf32> {\n%w = " +
                     constant("4x2x1x1xf32", 8) + R"(
    %none = nn.none
    %c0 = nn.constant dense<2.0> : tensor<f32>
    %c1 = nn.constant dense<[[[0.5]], [[0.5]], [[0.25]], [[0.5]]]> : tensor<4x1x1xf32>
    %v0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = array<i64: 0, 0, 0, 0>, group = 1 : i64}
      : (tensor<1x2x3x3xf32>, tensor<4x2x1x1xf32>, none) -> tensor<1x4x3x3xf32> loc("conv"))";
  for (int i = 0; i < kFactors; ++i)
    text += "\n%v" + std::to_string(i + 1) + " = nn.mul %v" + std::to_string(i) + ", %c" +
            std::to_string(i % 2) + " : (tensor<1x4x3x3xf32>, tensor<" + (i % 2 ? "4x1x1x" : "") +
            "f32>) -> tensor<1x4x3x3xf32> loc(\"mul" + std::to_string(i) + "\")";
  text += "\nreturn %v" + std::to_string(kFactors) + " : tensor<1x4x3x3xf32>\n}";
  expectSame(
      text, randomInput({1, 2, 3, 3}),
      [](mlir::OpPassManager &pm) {
        pm.addNestedPass<mlir::func::FuncOp>(createFoldBatchNormPass());
      },
      [](mlir::ModuleOp module) {
        module.walk([](nn::MulOp op) { ADD_FAILURE() << "nn.mul is left"; });
        module.walk([](nn::ConvOp op) {
          std::string name = nn::nodeName(op.getLoc());
          EXPECT_EQ(name.substr(0, 15), "conv+mul0+mul1+");
          EXPECT_LE(std::count(name.begin(), name.end(), '+'), 63);
          std::optional<nn::WeightSource> weights = nn::weightSource(op.getWeights());
          ASSERT_TRUE(weights);
          EXPECT_LE(weights->recipes(), 1);
        });
      });
}
