//===- SimplifyPools.cpp - one form for pools over whole images -----------===//
#include "ir/Constants.h"
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

/// The channels and the sizes of an image are numbers; how many there are need not be known.
static bool isImage(const std::optional<Shape> &shape) {
  return shape && shape->rank() >= 3 &&
         llvm::all_of(llvm::drop_begin(shape->dims()), [](const Dim &d) { return d.isStatic(); });
}

/// `pool`, [N, C, 1...], as [N, C].
static Value dropOnes(OpBuilder &builder, Location loc, Value pool, Type type) {
  if (auto known = dyn_cast<RankedTensorType>(type); known && known.hasStaticShape())
    return createStaticReshape(builder, loc, pool, known.getShape());
  // Zeros stand for the sizes of the input.
  Value shape = createConstant(builder, loc, Tensor::ofInts({0, 0}));
  return builder.create<ReshapeOp>(loc, type, pool, shape, /*allowzero=*/false);
}

/// A mean or maximum over all spatial dimensions is a global pool; without
/// `keepdims` followed by a reshape.
struct MakeReducePool : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &rewriter) const override {
    std::optional<Shape> image = shapeOf(op.getInput());
    if (!isImage(image) || !shapeOf(op.getResult()) ||
        !isa<FloatType>(elementTypeOf(op.getInput())))
      return rewriter.notifyMatchFailure(op, "not a float image of known size");
    if (op.getKind() != ReduceKind::Mean && op.getKind() != ReduceKind::Max)
      return rewriter.notifyMatchFailure(op, "no pool has this kind");
    std::optional<SmallVector<int64_t>> dimensions = op.getReducedDimensions(TypeFacts());
    if (!dimensions)
      return rewriter.notifyMatchFailure(op, "axes are not constant");
    if (!llvm::equal(*dimensions, llvm::seq<int64_t>(2, image->rank())))
      return rewriter.notifyMatchFailure(op, "axes are not the spatial dimensions");

    DimVector pooled(image->rank(), Dim(1));
    pooled[0] = (*image)[0];
    pooled[1] = (*image)[1];
    RankedTensorType type = tensorType(Shape(pooled), elementTypeOf(op.getInput()));
    Value pool = rewriter.create<GlobalPoolOp>(op.getLoc(), type, op.getInput(), op.getKind());
    if (!op.getKeepdims())
      pool = dropOnes(rewriter, op.getLoc(), pool, op.getType());
    rewriter.replaceOp(op, pool);
    return success();
  }
};
} // namespace

void passes::populateGlobalPoolPatterns(RewritePatternSet &patterns) {
  patterns.add<MakePoolGlobal<AveragePoolOp, ReduceKind::Mean>,
               MakePoolGlobal<MaxPoolOp, ReduceKind::Max>, MakeReducePool>(patterns.getContext());
}
