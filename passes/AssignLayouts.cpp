//===- AssignLayouts.cpp - channel-blocked tensors between convolutions ---===//
//
// Convolutions and pools that profit, as a LayoutPolicy says, are put on
// [N, C/b, H, W, b] tensors between nn.pack and nn.unpack; then each nn.unpack sinks through the
// ops after it until it meets the nn.pack of the next convolution and both go. What is left stands
// at the borders of the blocked parts of the graph.
//
// Channels that do not fill their last block leave padding in it. Ops that work
// lane by lane (elementwise, pools, depthwise convolution) may read padding,
// whatever it holds; other convolutions and nn.lrn take whole blocks only
// (SinkUnpack.cpp, SinkChannels.cpp, LayoutBorders.cpp).
//
//===----------------------------------------------------------------------===//
#include "passes/BlockedImages.h"
#include "passes/GraphLog.h"
#include "passes/LayoutPolicy.h"
#include "passes/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_ASSIGNLAYOUTSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

namespace {
ReasonOr<Blocking> blockingOf(ConvOp op, const LayoutPolicy &policy) {
  return policy.blockConv(op);
}
ReasonOr<Blocking> blockingOf(ConvTransposeOp op, const LayoutPolicy &policy) {
  return policy.blockTransposed(op);
}

/// A convolution in one or two dimensions for which blocks pay becomes blocked, its result at
/// least.
template <typename Op> struct BlockConv : OpRewritePattern<Op> {
  BlockConv(MLIRContext *context, const LayoutPolicy &policy)
      : OpRewritePattern<Op>(context), policy(policy) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (layoutOf(op.getResult()).isBlocked())
      return rewriter.notifyMatchFailure(op, "is blocked already");
    if (!channelsOf(op.getInput()) || !channelsOf(op.getResult()))
      return refuseMatch(rewriter, op, noBlockableImage());
    ReasonOr<Blocking> blocking = blockingOf(op, policy);
    if (!blocking)
      return refuseMatch(rewriter, op, blocking.reason());
    SmallVector<Value> operands(op->getOperands());
    if (blocking->input)
      operands[0] = toLanes(rewriter, op.getInput(), blocking->input);
    replaceByBlocked(op, operands, blocking->output, rewriter);
    return success();
  }
  const LayoutPolicy &policy;
};

/// A 2-D pool for which blocks pay becomes blocked.
template <typename Op> struct BlockPool : OpRewritePattern<Op> {
  BlockPool(MLIRContext *context, const LayoutPolicy &policy)
      : OpRewritePattern<Op>(context), policy(policy) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (layoutOf(op.getInput()).isBlocked())
      return rewriter.notifyMatchFailure(op, "is blocked already");
    // Of anything else than images, a global pool is but a reduction.
    if (!planeChannelsOf(op.getInput()) || !planeChannelsOf(op.getResult()))
      return std::is_same_v<Op, GlobalPoolOp>
                 ? rewriter.notifyMatchFailure(op, "it is not of images")
                 : refuseMatch(rewriter, op, noBlockableImage());
    ReasonOr<Blocking> blocking = policy.blockPool(op, sourceBlock(op.getInput()));
    if (!blocking)
      return refuseMatch(rewriter, op, blocking.reason());
    replaceByBlocked(op, toLanes(rewriter, op.getInput(), blocking->input), blocking->output,
                     rewriter);
    return success();
  }
  const LayoutPolicy &policy;
};

struct AssignLayoutsPass : passes::impl::AssignLayoutsPassBase<AssignLayoutsPass> {
  using AssignLayoutsPassBase::AssignLayoutsPassBase;
  AssignLayoutsPass(std::shared_ptr<const LayoutPolicy> policy, GraphLog *log)
      : policy(std::move(policy)), log(log) {}

  void runOnOperation() override {
    if (!policy && block != 16 && block != 8 && block != 4) {
      getOperation().emitError("block must be 16, 8 or 4, found ") << block;
      return signalPassFailure();
    }
    ChannelBlocks byOption(block);
    const LayoutPolicy &decides = policy ? *policy : byOption;
    MLIRContext *context = &getContext();
    RewritePatternSet blocking(context), borders(context);
    blocking.add<BlockConv<ConvOp>, BlockConv<ConvTransposeOp>, BlockPool<MaxPoolOp>,
                 BlockPool<AveragePoolOp>, BlockPool<GlobalPoolOp>>(context, decides);
    populateSinkUnpackPatterns(blocking);
    populateSinkChannelPatterns(blocking);
    PackOp::getCanonicalizationPatterns(blocking, context);
    UnpackOp::getCanonicalizationPatterns(blocking, context);
    populateLayoutBorderPatterns(borders);
    // From the inputs on, as in SimplifyGraph.
    GreedyRewriteConfig config;
    config.useTopDownTraversal = true;
    if (failed(
            applyLogged(getOperation(), std::move(blocking), Refusal::Kind::Block, log, config)) ||
        failed(applyPatternsAndFoldGreedily(getOperation(), std::move(borders), config)))
      signalPassFailure();
  }

  /// Null: by the option.
  std::shared_ptr<const LayoutPolicy> policy;
  GraphLog *log = nullptr;
};
} // namespace

std::unique_ptr<Pass> passes::createAssignLayoutsPass(std::shared_ptr<const LayoutPolicy> policy,
                                                      GraphLog *log) {
  return std::make_unique<AssignLayoutsPass>(std::move(policy), log);
}
