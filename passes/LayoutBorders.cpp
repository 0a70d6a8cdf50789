//===- LayoutBorders.cpp - into channel blocks and out of them ------------===//
//
// What is left of nn.pack and nn.unpack stands at the borders of the blocked parts of a graph. Some
// move nothing; others move more than single channels, where what they meet moves channels as well.
//
//===----------------------------------------------------------------------===//
#include "passes/BlockedImages.h"
#include "passes/LayoutPolicy.h"
#include "passes/StaticReshape.h"

#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace {
/// nn.pack and nn.unpack of 1x1 images in whole blocks move nothing: reshapes.
template <typename Op> struct MakeBorderReshape : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    auto input = dyn_cast<RankedTensorType>(op.getInput().getType());
    auto result = dyn_cast<RankedTensorType>(op.getResult().getType());
    if (!input || !result || !input.hasStaticShape() || !result.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "shapes are not static");
    RankedTensorType plain = std::is_same_v<Op, PackOp> ? input : result;
    if (!llvm::all_of(plain.getShape().drop_front(2), [](int64_t size) { return size == 1; }))
      return rewriter.notifyMatchFailure(op, "the image is larger than 1x1");
    if (input.getNumElements() != result.getNumElements())
      return rewriter.notifyMatchFailure(op, "channels are padded");
    rewriter.replaceOp(op, createStaticReshape(rewriter, op.getLoc(), op.getInput(),
                                               result.getShape(), layoutOf(result)));
    return success();
  }
};

/// From blocks to others channels move, not by way of a plain image.
struct MoveBetweenBlocks : OpRewritePattern<PackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PackOp op, PatternRewriter &rewriter) const override {
    auto unpack = op.getInput().getDefiningOp<UnpackOp>();
    if (!unpack || !sourceBlock(op.getInput()) || unpack.getInput().getType() == op.getType())
      return rewriter.notifyMatchFailure(op, "it packs no image that was in other blocks");
    auto lanes = llvm::to_vector(llvm::seq<int64_t>(0, unpack.getChannels()));
    rewriter.replaceOpWithNewOp<GatherChannelsOp>(op, op.getType(), unpack.getInput(), lanes);
    return success();
  }
};

/// Of a transpose that brings the channels of an image [N, C, pixels...] to its end: from dimension
/// 1, or back there.
bool movesChannels(TransposeOp op, bool toEnd) {
  ArrayRef<int64_t> perm = op.getPerm();
  auto rank = static_cast<int64_t>(perm.size());
  auto wanted = [&](int64_t d) {
    if (d == 0)
      return int64_t{0};
    return toEnd ? (d + 1 < rank ? d + 1 : 1) : (d == 1 ? rank - 1 : d - 1);
  };
  for (int64_t d = 0; d < rank; ++d)
    if (perm[d] != wanted(d))
      return false;
  return rank >= 3;
}

/// `value` with dimensions 1 and 2 of `sizes` exchanged: runs of a block of channels move.
Value exchangeBlocks(OpBuilder &builder, Value value, SmallVector<int64_t> sizes) {
  Value view = createStaticReshape(builder, value.getLoc(), value, sizes);
  std::swap(sizes[1], sizes[2]);
  return builder.create<TransposeOp>(value.getLoc(),
                                     RankedTensorType::get(sizes, elementTypeOf(view)), view,
                                     ArrayRef<int64_t>{0, 2, 1, 3});
}

/// Rows of channels, transposed to an image that is packed: blocks of them move, once.
struct PackTransposed : OpRewritePattern<PackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PackOp op, PatternRewriter &rewriter) const override {
    auto transpose = beforePixels(op.getInput()).getDefiningOp<TransposeOp>();
    if (!transpose || !movesChannels(transpose, /*toEnd=*/false) ||
        !hasStaticSizes(transpose.getInput()) || !hasStaticSizes(op.getResult()))
      return rewriter.notifyMatchFailure(op, "it packs no transposed rows of channels");
    auto rows = cast<RankedTensorType>(transpose.getInput().getType());
    auto result = cast<RankedTensorType>(op.getResult().getType());
    int64_t channels = rows.getShape().back(), block = layoutOf(result).block;
    if (channels % block != 0 || rows.getNumElements() == 0)
      return rewriter.notifyMatchFailure(op, "channels do not fill blocks");
    int64_t images = rows.getDimSize(0), pixels = rows.getNumElements() / (images * channels);
    Value moved =
        exchangeBlocks(rewriter, transpose.getInput(), {images, pixels, channels / block, block});
    rewriter.replaceOp(
        op, createStaticReshape(rewriter, op.getLoc(), moved, result.getShape(), layoutOf(result)));
    return success();
  }
};

/// The same the other way round.
struct TransposeUnpacked : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto unpack = beforePixels(op.getInput()).getDefiningOp<UnpackOp>();
    if (!unpack || !movesChannels(op, /*toEnd=*/true) || !hasStaticSizes(unpack.getInput()) ||
        !hasStaticSizes(op.getResult()))
      return rewriter.notifyMatchFailure(op, "it transposes no unpacked image");
    auto rows = cast<RankedTensorType>(op.getResult().getType());
    int64_t channels = rows.getShape().back(), block = layoutOf(unpack.getInput()).block;
    if (channels % block != 0 || rows.getNumElements() == 0)
      return rewriter.notifyMatchFailure(op, "channels do not fill blocks");
    int64_t images = rows.getDimSize(0), pixels = rows.getNumElements() / (images * channels);
    Value moved =
        exchangeBlocks(rewriter, unpack.getInput(), {images, channels / block, pixels, block});
    rewriter.replaceOp(op, createStaticReshape(rewriter, op.getLoc(), moved, rows.getShape()));
    return success();
  }
};
} // namespace

void passes::populateLayoutBorderPatterns(RewritePatternSet &patterns) {
  patterns.add<MakeBorderReshape<PackOp>, MakeBorderReshape<UnpackOp>, MoveBetweenBlocks,
               PackTransposed, TransposeUnpacked>(patterns.getContext());
  GatherChannelsOp::getCanonicalizationPatterns(patterns, patterns.getContext());
}
