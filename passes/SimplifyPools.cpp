//===- SimplifyPools.cpp - one form for pools over whole images -----------===//
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/SimplifyGraph.h"
#include "passes/StaticReshape.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace {
/// An average or maximum over a window that is the whole unpadded image is a
/// global pool.
template <typename Op, ReduceKind kind> struct MakePoolGlobal : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    RankedTensorType input = staticType(op.getInput());
    if (!input || layoutOf(op.getInput()).isBlocked() ||
        input.getShape().drop_front(2) != op.getKernel())
      return rewriter.notifyMatchFailure(op, "the window is not the whole image");
    auto isZero = [](int64_t v) { return v == 0; };
    if (op.getAutoPad() != AutoPad::NotSet || !llvm::all_of(op.getPads(), isZero))
      return rewriter.notifyMatchFailure(op, "the image is padded");
    if (!llvm::all_of(op.getDilations(), [](int64_t d) { return d == 1; }))
      return rewriter.notifyMatchFailure(op, "the window is dilated");
    rewriter.replaceOpWithNewOp<GlobalPoolOp>(op, op.getType(), op.getInput(), kind);
    return success();
  }
};

/// A mean or maximum over all spatial dimensions is a global pool; without
/// `keepdims` followed by a reshape.
struct MakeReducePool : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &rewriter) const override {
    RankedTensorType input = staticType(op.getInput());
    RankedTensorType result = staticType(op.getResult());
    if (!input || !result || input.getRank() < 3 || !isa<FloatType>(input.getElementType()))
      return rewriter.notifyMatchFailure(op, "not a static float image");
    if (op.getKind() != ReduceKind::Mean && op.getKind() != ReduceKind::Max)
      return rewriter.notifyMatchFailure(op, "no pool has this kind");
    std::optional<SmallVector<int64_t>> dimensions = op.getReducedDimensions(TypeFacts());
    if (!dimensions)
      return rewriter.notifyMatchFailure(op, "axes are not constant");
    if (!llvm::equal(*dimensions, llvm::seq<int64_t>(2, input.getRank())))
      return rewriter.notifyMatchFailure(op, "axes are not the spatial dimensions");

    SmallVector<int64_t> pooled(input.getRank(), 1);
    pooled[0] = input.getDimSize(0);
    pooled[1] = input.getDimSize(1);
    auto type = RankedTensorType::get(pooled, input.getElementType());
    Value pool = rewriter.create<GlobalPoolOp>(op.getLoc(), type, op.getInput(), op.getKind());
    if (!op.getKeepdims())
      pool = createStaticReshape(rewriter, op.getLoc(), pool, result.getShape());
    rewriter.replaceOp(op, pool);
    return success();
  }
};
} // namespace

void passes::populateGlobalPoolPatterns(RewritePatternSet &patterns) {
  patterns.add<MakePoolGlobal<AveragePoolOp, ReduceKind::Mean>,
               MakePoolGlobal<MaxPoolOp, ReduceKind::Max>, MakeReducePool>(patterns.getContext());
}
