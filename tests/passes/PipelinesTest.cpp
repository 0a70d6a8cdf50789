//===- PipelinesTest.cpp - all graph passes keep the numbers --------------===//
#include "passes/Pipelines.h"

#include "passes/LayoutPolicy.h"
#include "tests/passes/SameNumbers.h"

using namespace quern;
using namespace quern::passes;

using Pipelines = SameNumbers;

TEST(Phases, HaveNames) {
  for (int i = 0; i <= static_cast<int>(Phase::Object); ++i) {
    auto phase = static_cast<Phase>(i);
    EXPECT_EQ(parsePhase(phaseName(phase)), phase);
  }
  EXPECT_EQ(parsePhase("fuse"), std::nullopt);
}

/// A plain image, a residual, a depthwise and a padded convolution, branches with
/// a concatenation, pools, and a matrix product at the end.
TEST_F(Pipelines, KeepTheNumbersOfANetwork) {
  std::string text = "func.func @main(%x: tensor<2x3x9x9xf32>) -> tensor<2x5xf32> {\n%w0 = " +
                     constant("16x3x3x3xf32", 432, -0.3f, 0.3f) +
                     "%w1 = " + constant("16x16x1x1xf32", 256, -0.3f, 0.3f) +
                     "%w2 = " + constant("16x1x3x3xf32", 144, -0.3f, 0.3f) +
                     "%w3 = " + constant("12x16x1x1xf32", 192, -0.3f, 0.3f) +
                     "%w4 = " + constant("16x12x1x1xf32", 192, -0.3f, 0.3f) +
                     "%w5 = " + constant("16x16x3x3xf32", 2304, -0.3f, 0.3f) +
                     "%c = " + constant("16xf32", 16, 0.5f, 2) +
                     "%d = " + constant("16x1x1xf32", 16) + "%m = " + constant("32x5xf32", 160) +
                     R"(
    %none = nn.none
    %shape = nn.constant dense<[0, -1]> : tensor<2xi64>
    %0 = nn.conv %x, %w0, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
      : (tensor<2x3x9x9xf32>, tensor<16x3x3x3xf32>, none) -> tensor<2x16x9x9xf32>
    %1 = nn.batch_norm %0, %c, %c, %c, %c {epsilon = 1.0e-5} : (tensor<2x16x9x9xf32>, tensor<16xf32>,
      tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<2x16x9x9xf32>
    %2 = nn.relu %1 : (tensor<2x16x9x9xf32>) -> tensor<2x16x9x9xf32>
    %3 = nn.conv %2, %w1, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = array<i64: 0, 0, 0, 0>, group = 1 : i64}
      : (tensor<2x16x9x9xf32>, tensor<16x16x1x1xf32>, none) -> tensor<2x16x9x9xf32>
    %4 = nn.add %3, %2 : (tensor<2x16x9x9xf32>, tensor<2x16x9x9xf32>) -> tensor<2x16x9x9xf32>
    %5 = nn.mul %4, %d : (tensor<2x16x9x9xf32>, tensor<16x1x1xf32>) -> tensor<2x16x9x9xf32>
    %6 = nn.conv %5, %w2, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = array<i64: 1, 1, 1, 1>, group = 16 : i64}
      : (tensor<2x16x9x9xf32>, tensor<16x1x3x3xf32>, none) -> tensor<2x16x9x9xf32>
    %7 = nn.conv %6, %w3, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = array<i64: 0, 0, 0, 0>, group = 1 : i64}
      : (tensor<2x16x9x9xf32>, tensor<12x16x1x1xf32>, none) -> tensor<2x12x9x9xf32>
    %8 = nn.relu %7 : (tensor<2x12x9x9xf32>) -> tensor<2x12x9x9xf32>
    %9 = nn.conv %8, %w4, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = array<i64: 0, 0, 0, 0>, group = 1 : i64}
      : (tensor<2x12x9x9xf32>, tensor<16x12x1x1xf32>, none) -> tensor<2x16x9x9xf32>
    %10 = nn.conv %5, %w5, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
      pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
      : (tensor<2x16x9x9xf32>, tensor<16x16x3x3xf32>, none) -> tensor<2x16x9x9xf32>
    %11 = nn.concat %9, %10 {axis = 1 : i64}
      : (tensor<2x16x9x9xf32>, tensor<2x16x9x9xf32>) -> tensor<2x32x9x9xf32>
    %12 = nn.max_pool %11 {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>,
      dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, ceil_mode = false}
      : (tensor<2x32x9x9xf32>) -> tensor<2x32x5x5xf32>
    %13 = nn.average_pool %12 {kernel = array<i64: 5, 5>, strides = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false,
      count_include_pad = false} : (tensor<2x32x5x5xf32>) -> tensor<2x32x1x1xf32>
    %14 = nn.reshape %13, %shape {allowzero = false}
      : (tensor<2x32x1x1xf32>, tensor<2xi64>) -> tensor<2x32xf32>
    %15 = nn.matmul %14, %m : (tensor<2x32xf32>, tensor<32x5xf32>) -> tensor<2x5xf32>
    return %15 : tensor<2x5xf32>
  })";
  Tensor input = randomInput({2, 3, 9, 9});
  for (int level = 0; level <= 3; ++level)
    for (int64_t block : {4, 8, 16}) {
      SCOPED_TRACE("-O" + std::to_string(level) + ", block " + std::to_string(block));
      PipelineOptions options;
      options.optLevel = level;
      options.layouts = std::make_shared<ChannelBlocks>(block);
      expectSame(text, input, [&](mlir::OpPassManager &pm) { buildGraphPipeline(pm, options); });
    }
}
