//===- LayoutPolicyTest.cpp - what is put on channel-blocked tensors ------===//
#include "passes/LayoutPolicy.h"

#include "passes/GraphLog.h"
#include "passes/Passes.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

using namespace quern;
using namespace quern::passes;
using testing::ElementsAre;

namespace {
ConvFacts convOf(int64_t inputs, int64_t outputs, int64_t groups = 1) {
  return {.dtype = DType::Float32,
          .inputType = DType::Float32,
          .spatialRank = 2,
          .inputs = inputs,
          .outputs = outputs,
          .groups = groups,
          .hasConstantWeights = true};
}

/// "8, 8", or why there are no blocks.
std::string chosen(const ConvFacts &conv, int64_t block) {
  ReasonOr<Blocking> blocking = chooseBlocks(conv, block);
  return blocking ? std::to_string(blocking->input) + ", " + std::to_string(blocking->output)
                  : blocking.reason().text;
}

constexpr const char *kNotFilled = "its channels do not fill blocks of 8";

/// Blocks convolutions by the node's name, and no pool.
class ByName : public LayoutPolicy {
public:
  explicit ByName(std::map<std::string, Blocking> blockings) : blockings(std::move(blockings)) {}
  ReasonOr<Blocking> blockConv(nn::ConvOp conv) const override {
    auto at = blockings.find(nn::nodeName(conv->getLoc()));
    if (at == blockings.end())
      return Reason{ReasonCode::Form, "nobody asked for it"};
    return at->second;
  }
  ReasonOr<Blocking> blockTransposed(nn::ConvTransposeOp) const override {
    return Reason{ReasonCode::Form, "nobody asked for it"};
  }
  ReasonOr<Blocking> blockPool(mlir::Operation *, int64_t given) const override {
    return Reason{ReasonCode::Form, "no pool of blocks of " + std::to_string(given)};
  }

private:
  std::map<std::string, Blocking> blockings;
};

/// Two convolutions and a pool, of 16 channels.
constexpr const char *kGraph = R"(
  func.func @main(%x: tensor<1x16x4x4xf32>) -> tensor<1x16x2x2xf32> {
    %none = nn.none
    %w = nn.constant dense<1.0> : tensor<16x16x1x1xf32>
    %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x16x4x4xf32>, tensor<16x16x1x1xf32>, none) -> tensor<1x16x4x4xf32> loc("first")
    %1 = nn.conv %0, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x16x4x4xf32>, tensor<16x16x1x1xf32>, none) -> tensor<1x16x4x4xf32> loc("second")
    %2 = nn.max_pool %1 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false} : (tensor<1x16x4x4xf32>) -> tensor<1x16x2x2xf32> loc("pool")
    return %2 : tensor<1x16x2x2xf32>
  })";

/// The layouts of the convolutions' and pools' inputs and results that a policy leads to, and what
/// it refuses.
struct Layouts {
  std::vector<std::string> ops;
  std::vector<std::string> refusals;
};
Layouts layOut(std::shared_ptr<const LayoutPolicy> policy) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  nn::loadDialects(context);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(kGraph, &context);
  GraphLog log;
  mlir::PassManager pm(&context);
  pm.addNestedPass<mlir::func::FuncOp>(createAssignLayoutsPass(std::move(policy), &log));
  EXPECT_TRUE(module && mlir::succeeded(pm.run(*module)));
  Layouts layouts;
  module->walk([&](mlir::Operation *op) {
    if (mlir::isa<nn::ConvOp, nn::MaxPoolOp>(op))
      layouts.ops.push_back(std::to_string(nn::layoutOf(op->getOperand(0)).block) + " to " +
                            std::to_string(nn::layoutOf(op->getResult(0)).block));
  });
  for (const Refusal &refusal : log.refusals()) {
    EXPECT_EQ(refusal.kind, Refusal::Kind::Block);
    layouts.refusals.push_back(refusal.reason.nodes.front() + ": " + refusal.reason.text);
  }
  return layouts;
}
} // namespace

TEST(LayoutPolicyTest, PaddingIsAThirdOfTheChannelsAtMost) {
  EXPECT_EQ(chosen(convOf(8, 8), 8), "8, 8");
  EXPECT_EQ(chosen(convOf(8, 6), 8), "8, 8");
  EXPECT_EQ(chosen(convOf(8, 5), 8), kNotFilled);
  EXPECT_EQ(chosen(convOf(8, 12), 8), "8, 8");
  EXPECT_EQ(chosen(convOf(8, 11), 8), kNotFilled);
  EXPECT_EQ(chosen(convOf(8, 0), 8), kNotFilled);
  EXPECT_EQ(chosen(convOf(3, 16), 8), "0, 8") << "a part of a block is read as it is";
}

TEST(LayoutPolicyTest, GroupsAreWholeBlocksOrSingleChannels) {
  EXPECT_EQ(chosen(convOf(16, 16, 2), 8), "8, 8");
  EXPECT_EQ(chosen(convOf(24, 24, 2), 8), "groups do not fill channel blocks");
  EXPECT_EQ(chosen(convOf(9, 9, 9), 8), "8, 8") << "depthwise, with much padding";
  EXPECT_EQ(chosen(convOf(7, 7, 7), 8), kNotFilled);
}

// Of a divisor of the block's channels, and as many results; their kernel is of float32.
TEST(LayoutPolicyTest, SmallGroupsLieWithinBlocks) {
  EXPECT_EQ(chosen(convOf(32, 32, 8), 8), "8, 8");
  EXPECT_EQ(chosen(convOf(12, 12, 3), 8), "8, 8") << "with padding of whole groups";
  EXPECT_EQ(chosen(convOf(36, 36, 12), 8), "groups do not fill channel blocks") << "of three";
  EXPECT_EQ(chosen(convOf(32, 64, 8), 8), "groups do not fill channel blocks") << "more results";
  EXPECT_EQ(chosen(convOf(12, 24, 12), 8), "8, 8") << "two of each channel";
  EXPECT_EQ(chosen(convOf(4, 8, 4), 8), "8, 8");
  EXPECT_EQ(chosen(convOf(12, 36, 12), 8), "groups do not fill channel blocks") << "three of each";
  EXPECT_EQ(chosen(convOf(24, 12, 12), 8), "groups do not fill channel blocks") << "fewer results";
  EXPECT_EQ(chosen(convOf(4, 4, 2), 8), kNotFilled);
  ConvFacts bytes = convOf(32, 32, 8);
  bytes.dtype = DType::Int32;
  bytes.inputType = DType::UInt8;
  EXPECT_EQ(chosen(bytes, 8), "groups do not fill channel blocks");
}

// Packing them costs a copy: once, for every time that the filter reads a pixel.
TEST(LayoutPolicyTest, PartialBlocksAreReadWhereItPays) {
  ConvFacts conv = convOf(24, 32);
  EXPECT_EQ(chosen(conv, 16), "0, 16");
  conv.readsOfPixel = 9;
  EXPECT_EQ(chosen(conv, 16), "16, 16");
  conv.inputs = 12;
  EXPECT_EQ(chosen(conv, 16), "16, 16");
  conv.inputs = 18;
  EXPECT_EQ(chosen(conv, 16), "0, 16") << "nearly half of it would be padding";
  conv.inputs = 24;
  conv.dtype = conv.inputType = DType::Int32;
  EXPECT_EQ(chosen(conv, 16), "0, 16");
}

TEST(LayoutPolicyTest, NarrowImagesAreReadInBlocks) {
  ConvFacts bytes = convOf(24, 32);
  bytes.dtype = DType::Int32;
  bytes.inputType = DType::UInt8;
  EXPECT_EQ(chosen(bytes, 16), "16, 16") << "padding times zero is nothing";
  bytes.inputs = 3;
  EXPECT_EQ(chosen(bytes, 16), "4, 16");
  EXPECT_EQ(chosen(bytes, 4), "4, 4");
  ConvFacts halves = convOf(24, 32);
  halves.inputType = DType::BFloat16;
  EXPECT_EQ(chosen(halves, 16), "16, 16") << "padding is left out";
  halves.inputs = 25;
  EXPECT_EQ(chosen(halves, 16), "16, 16") << "of the last pair, too";
  halves.inputs = 32;
  EXPECT_EQ(chosen(halves, 16), "16, 16");
  halves.inputs = 3;
  EXPECT_EQ(chosen(halves, 16), "4, 16");
  EXPECT_EQ(chosen(halves, 4), "4, 4");
}

// Tiles of matrices multiply padding for nothing, but read whole blocks, of one group.
TEST(LayoutPolicyTest, TilesHaveFewResults) {
  auto tiled = [](int64_t inputs, int64_t outputs, int64_t groups = 1) {
    ConvFacts conv = convOf(inputs, outputs, groups);
    conv.inputType = DType::BFloat16;
    conv.isTiled = true;
    return conv;
  };
  EXPECT_EQ(chosen(tiled(16, 3), 8), "8, 8");
  EXPECT_EQ(chosen(tiled(16, 9), 8), "8, 8");
  EXPECT_EQ(chosen(convOf(16, 3), 8), kNotFilled);
  EXPECT_EQ(chosen(tiled(12, 3), 8), kNotFilled);
  EXPECT_EQ(chosen(tiled(3, 3), 8), kNotFilled) << "a first layer";
  EXPECT_EQ(chosen(tiled(16, 6, 2), 8), "groups do not fill channel blocks");
}

TEST(LayoutPolicyTest, WhatNoKernelDoesIsRefused) {
  ConvFacts conv = convOf(8, 8);
  conv.dtype = DType::Int32;
  EXPECT_EQ(chosen(conv, 8), "8, 8");
  conv.dtype = DType::Float64;
  EXPECT_EQ(chosen(conv, 8), "blocked convolution is of float32 and int32 only");
  conv = convOf(8, 8);
  conv.spatialRank = 1;
  EXPECT_EQ(chosen(conv, 8), "8, 8");
  conv.spatialRank = 3;
  EXPECT_EQ(chosen(conv, 8), "blocked convolution is native in one or two dimensions only");
  conv = convOf(8, 8);
  conv.hasConstantWeights = false;
  EXPECT_EQ(chosen(conv, 8), "blocked convolution needs constant weights and bias");
}

TEST(LayoutPolicyTest, ThePolicyDecides) {
  Layouts layouts = layOut(std::make_shared<ByName>(
      std::map<std::string, Blocking>{{"first", {0, 4}}, {"second", {8, 8}}}));
  // Blocks of either size; the pool's image would have come in blocks.
  EXPECT_THAT(layouts.ops, ElementsAre("0 to 4", "8 to 8", "0 to 0"));
  EXPECT_THAT(layouts.refusals, ElementsAre("pool: no pool of blocks of 8"));
}

TEST(LayoutPolicyTest, WhatStaysPlainIsLoggedWithItsReason) {
  Layouts layouts = layOut(std::make_shared<ByName>(std::map<std::string, Blocking>{}));
  EXPECT_THAT(layouts.ops, ElementsAre("0 to 0", "0 to 0", "0 to 0"));
  EXPECT_THAT(layouts.refusals,
              ElementsAre("first: nobody asked for it", "second: nobody asked for it",
                          "pool: no pool of blocks of 0"));
}

// A pool that is looked at before its image comes in blocks is not refused in the end.
TEST(LayoutPolicyTest, WhatIsBlockedAfterAllLeavesNoRefusal) {
  Layouts layouts = layOut(std::make_shared<ChannelBlocks>(16));
  EXPECT_THAT(layouts.ops, ElementsAre("16 to 16", "16 to 16", "16 to 16"));
  EXPECT_TRUE(layouts.refusals.empty());
}
