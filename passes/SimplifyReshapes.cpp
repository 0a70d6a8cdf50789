//===- SimplifyReshapes.cpp - one form for reshapes and transposes --------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/SimplifyGraph.h"
#include "passes/StaticReshape.h"

#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace {
/// squeeze, unsqueeze, flatten and reshape with a static result become
/// nn.reshape with that shape as a constant.
template <typename Op> struct MakeReshapeStatic : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    RankedTensorType type = staticType(op.getResult());
    if (!type)
      return rewriter.notifyMatchFailure(op, "result shape is not static");
    if constexpr (std::is_same_v<Op, ReshapeOp>) {
      std::optional<std::vector<int64_t>> shape = constantInts(op.getShape());
      if (op.getAllowzero() && shape && ArrayRef<int64_t>(*shape) == type.getShape())
        return rewriter.notifyMatchFailure(op, "has the static form already");
    }
    rewriter.replaceOp(op, createStaticReshape(rewriter, op.getLoc(), op.getInput(),
                                               type.getShape(), layoutOf(type)));
    return success();
  }
};

/// reshape(reshape(x)) with a static result is a reshape of x.
struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<ReshapeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "input is not nn.reshape");
    if (!staticType(op.getResult()))
      return rewriter.notifyMatchFailure(op, "result shape is not static");
    rewriter.modifyOpInPlace(op, [&] { op.getInputMutable().assign(inner.getInput()); });
    return success();
  }
};

/// transpose(transpose(x)) is one transpose.
struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "input is not nn.transpose");
    if (op.getPerm().empty() || inner.getPerm().empty())
      return rewriter.notifyMatchFailure(op, "a permutation is implicit");
    SmallVector<int64_t> perm;
    for (int64_t axis : op.getPerm())
      perm.push_back(inner.getPerm()[axis]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getInput(), perm);
    return success();
  }
};

/// A transpose with an empty perm reverses: say so.
struct MakePermExplicit : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getInput().getType());
    if (!op.getPerm().empty() || !type || type.getRank() == 0)
      return rewriter.notifyMatchFailure(op, "the permutation is explicit or the rank unknown");
    SmallVector<int64_t> perm(type.getRank());
    std::iota(perm.rbegin(), perm.rend(), 0);
    rewriter.modifyOpInPlace(op, [&] { op.setPerm(perm); });
    return success();
  }
};

/// A transpose that only moves dimensions of size 1 moves no element: a reshape.
struct MakeTransposeReshape : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    RankedTensorType type = staticType(op.getInput());
    if (!type || !staticType(op.getResult()))
      return rewriter.notifyMatchFailure(op, "shapes are not static");
    int64_t last = -1;
    for (int64_t axis : op.getPerm()) {
      if (type.getDimSize(axis) == 1)
        continue;
      if (axis < last)
        return rewriter.notifyMatchFailure(op, "elements move");
      last = axis;
    }
    if (op.getPerm().empty() && type.getRank() > 1)
      return rewriter.notifyMatchFailure(op, "the permutation is implicit");
    rewriter.replaceOp(op, createStaticReshape(rewriter, op.getLoc(), op.getInput(),
                                               staticType(op.getResult()).getShape()));
    return success();
  }
};
} // namespace

void passes::populateReshapePatterns(RewritePatternSet &patterns) {
  patterns.add<MakeReshapeStatic<ReshapeOp>, MakeReshapeStatic<SqueezeOp>,
               MakeReshapeStatic<UnsqueezeOp>, MakeReshapeStatic<FlattenOp>, MergeReshapes,
               MergeTransposes, MakePermExplicit, MakeTransposeReshape>(patterns.getContext());
}
