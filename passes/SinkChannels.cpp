//===- SinkChannels.cpp - channels of unpacked images, moved in blocks ----===//
//
// Concatenations, splits, slices and shuffles of channels are done on blocks: by whole blocks where
// these remain, which moves little or nothing, else by nn.gather_channels.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "passes/BlockedImages.h"
#include "passes/LayoutPolicy.h"
#include "passes/StaticReshape.h"
#include "runtime/values/CeilDiv.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

/// The image of type `plain` whose channels are these lanes of blocked tensors, unpacked.
static Value gatherImage(OpBuilder &builder, Location loc, ValueRange blocked,
                         ArrayRef<int64_t> lanes, Type plain, int64_t block) {
  Value gathered = builder.create<GatherChannelsOp>(loc, blockedType(plain, block), blocked, lanes);
  return builder.create<UnpackOp>(loc, plain, gathered, static_cast<int64_t>(lanes.size()));
}

static SmallVector<int64_t> countFrom(int64_t first, int64_t count, int64_t step = 1) {
  SmallVector<int64_t> lanes;
  for (int64_t i = 0; i < count; ++i)
    lanes.push_back(first + i * step);
  return lanes;
}

/// Replaces `op`, which leaves these channels of the unpacked image `image`.
static void replaceByGathered(Operation *op, Value image, ArrayRef<int64_t> channels,
                              PatternRewriter &rewriter) {
  int64_t block = sourceBlock(image);
  rewriter.replaceOp(op, gatherImage(rewriter, op->getLoc(), blockedSource(image, block), channels,
                                     op->getResult(0).getType(), block));
}

namespace {
/// A concatenation of channels whose operands are all of whole blocks, one of them unpacked,
/// concatenates blocks; one of other unpacked images gathers their channels.
struct SinkThroughConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    if (op.getAxis() != 1)
      return rewriter.notifyMatchFailure(op, "the axis is not that of the channels");
    int64_t block = 0;
    for (Value operand : op->getOperands())
      block = block ? block : sourceBlock(operand);
    if (!block)
      return rewriter.notifyMatchFailure(op, "no operand is unpacked");
    if (!channelsOf(op.getResult()))
      return rewriter.notifyMatchFailure(op, "the result is no image");
    auto hasWholeBlocks = [&](Value operand) {
      std::optional<int64_t> channels = channelsOf(operand);
      return channels && *channels % block == 0;
    };
    if (!llvm::all_of(op->getOperands(), hasWholeBlocks))
      return gather(op, rewriter);
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(toLanes(rewriter, operand, block));
    replaceByBlocked(op, operands, block, rewriter);
    return success();
  }

private:
  static LogicalResult gather(ConcatOp op, PatternRewriter &rewriter) {
    SmallVector<Value> blocked;
    SmallVector<int64_t> lanes;
    int64_t first = 0, least = 0;
    for (Value operand : op->getOperands()) {
      int64_t block = sourceBlock(operand);
      if (!block)
        return rewriter.notifyMatchFailure(op, "an operand is not unpacked, or no image");
      int64_t channels = *channelsOf(operand);
      blocked.push_back(blockedSource(operand, block));
      lanes.append(countFrom(first, channels));
      first += quern::ceilDiv(channels, block) * block;
      least = least == 0 ? block : std::min(least, block);
    }
    rewriter.replaceOp(
        op, gatherImage(rewriter, op.getLoc(), blocked, lanes, op.getResult().getType(), least));
    return success();
  }
};

/// An unpacked image is split by blocks where all parts but the last have whole ones; else the
/// channels of each part are gathered.
struct SinkThroughSplit : OpRewritePattern<SplitOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SplitOp op, PatternRewriter &rewriter) const override {
    int64_t block = sourceBlock(op.getInput());
    if (op.getAxis() != 1 || block == 0 || !hasStaticSizes(op.getInput()))
      return rewriter.notifyMatchFailure(op, "it splits no channels of an unpacked image");
    SmallVector<int64_t> parts;
    SmallVector<Type> types;
    bool areWhole = true;
    for (Value result : op.getResults()) {
      std::optional<int64_t> channels = channelsOf(result);
      if (!channels || !hasStaticSizes(result))
        return rewriter.notifyMatchFailure(op, "a part is no image of known sizes");
      areWhole &= *channels % block == 0 || result == op.getResults().back();
      parts.push_back(quern::ceilDiv(*channels, block));
      types.push_back(viewType(result.getType(), block));
    }
    SmallVector<Value> images;
    if (!areWhole) {
      int64_t first = 0;
      for (Value result : op.getResults()) {
        int64_t channels = *channelsOf(result);
        images.push_back(gatherImage(rewriter, op.getLoc(), blockedSource(op.getInput(), block),
                                     countFrom(first, channels), result.getType(), block));
        first += channels;
      }
      rewriter.replaceOp(op, images);
      return success();
    }
    Value sizes =
        createConstant(rewriter, op.getLoc(), Tensor::ofInts({parts.begin(), parts.end()}));
    auto split = rewriter.create<SplitOp>(
        op.getLoc(), types, viewOfBlocks(rewriter, blockedSource(op.getInput(), block)), sizes,
        /*axis=*/1);
    for (auto [view, result] : llvm::zip_equal(split.getResults(), op.getResults()))
      images.push_back(imageOfBlocks(rewriter, view, result.getType(), block));
    rewriter.replaceOp(op, images);
    return success();
  }
};

/// A slice of channels of an unpacked image that begins with a block is one of blocks; of another
/// they are gathered.
struct SinkThroughSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    int64_t block = sourceBlock(op.getInput());
    if (block == 0 || !hasStaticSizes(op.getInput()) || !hasStaticSizes(op.getResult()))
      return rewriter.notifyMatchFailure(op, "it cuts no unpacked image of known sizes");
    std::optional<SmallVector<int64_t>> cut = op.getCutDimensions(TypeFacts());
    std::optional<std::vector<int64_t>> starts = TypeFacts().integersOf(op.getStarts()),
                                        steps = TypeFacts().integersOf(op.getSteps());
    if (!cut || cut->size() != 1 || cut->front() != 1 || !starts || starts->size() != 1 ||
        !(isNone(op.getSteps()) || (steps && steps->front() > 0)))
      return rewriter.notifyMatchFailure(op, "it cuts not just a range of channels");
    int64_t channels = *channelsOf(op.getInput()), count = *channelsOf(op.getResult());
    int64_t start = std::clamp<int64_t>(
        starts->front() < 0 ? starts->front() + channels : starts->front(), 0, channels);
    int64_t step = isNone(op.getSteps()) ? 1 : steps->front();
    if (count == 0)
      return rewriter.notifyMatchFailure(op, "it leaves nothing");
    if (start % block != 0 || step != 1) {
      replaceByGathered(op, op.getInput(), countFrom(start, count, step), rewriter);
      return success();
    }
    auto number = [&](int64_t value) {
      return createConstant(rewriter, op.getLoc(), Tensor::ofInts({value}));
    };
    Value view = rewriter.create<SliceOp>(
        op.getLoc(), viewType(op.getResult().getType(), block),
        viewOfBlocks(rewriter, blockedSource(op.getInput(), block)), number(start / block),
        number(start / block + quern::ceilDiv(count, block)), number(1), op.getSteps());
    replaceByBlocksOf(op, view, block, rewriter);
    return success();
  }
};

/// Channels of an unpacked image that are shuffled: [N, a * b, ...] as [N, a, b, ...], transposed
/// to [N, b, a, ...].
struct SinkThroughShuffle : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto transpose = op.getInput().getDefiningOp<TransposeOp>();
    auto parted = transpose ? transpose.getInput().getDefiningOp<ReshapeOp>() : ReshapeOp();
    if (!parted || !sourceBlock(parted.getInput()) || !hasStaticSizes(parted.getInput()) ||
        parted.getInput().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "it shuffles no unpacked image of known sizes");
    auto image = cast<RankedTensorType>(op.getType());
    auto parts = dyn_cast<RankedTensorType>(parted.getType());
    SmallVector<int64_t> order = countFrom(0, image.getRank() + 1);
    std::swap(order[1], order[2]);
    bool isShuffle = parts && parts.hasStaticShape() && parts.getRank() == image.getRank() + 1 &&
                     parts.getDimSize(0) == image.getDimSize(0) &&
                     parts.getShape().drop_front(3) == image.getShape().drop_front(2) &&
                     transpose.getPerm() == ArrayRef(order);
    if (!isShuffle)
      return rewriter.notifyMatchFailure(op, "it moves more than channels");
    int64_t outer = parts.getDimSize(1), inner = parts.getDimSize(2);
    SmallVector<int64_t> channels;
    for (int64_t i = 0; i < inner; ++i)
      channels.append(countFrom(i, outer, inner));
    replaceByGathered(op, parted.getInput(), channels, rewriter);
    return success();
  }
};
} // namespace

void passes::populateSinkChannelPatterns(RewritePatternSet &patterns) {
  patterns.add<SinkThroughConcat, SinkThroughShuffle, SinkThroughSlice, SinkThroughSplit>(
      patterns.getContext());
  GatherChannelsOp::getCanonicalizationPatterns(patterns, patterns.getContext());
}
