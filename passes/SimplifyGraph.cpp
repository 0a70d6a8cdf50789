//===- SimplifyGraph.cpp - one form for each thing, none for nothing ------===//
//
// Every rewrite keeps all bits of the result, NaN and the sign of zero included,
// except that a global pool sums in its own order.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/Passes.h"
#include "passes/ReshapeTargets.h"
#include "passes/StaticReshape.h"
#include "runtime/reference/DTypeDispatch.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_SIMPLIFYGRAPHPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

static RankedTensorType staticType(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() ? type : RankedTensorType();
}

//===----------------------------------------------------------------------===//
// Reshapes
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// Ops that do nothing
//===----------------------------------------------------------------------===//

bool isAll(const std::optional<std::vector<int64_t>> &values, int64_t wanted) {
  return values && llvm::all_of(*values, [=](int64_t v) { return v == wanted; });
}

/// Whether `op`, whose result has the type of its static input, copies it.
bool copiesInput(ReshapeOp) { return true; }
/// A size that only a run can tell may not fit: an error, which must not get lost.
bool copiesInput(ExpandOp op) {
  std::optional<DimVector> target = TypeFacts().dimsIn(op.getShape());
  return target && llvm::all_of(*target, [](const Dim &dim) { return dim.isStatic(); });
}
bool copiesInput(CastOp) { return true; }
bool copiesInput(ConcatOp op) { return op.getInputs().size() == 1; }
bool copiesInput(PadOp op) { return isAll(constantInts(op.getPads()), 0); }
bool copiesInput(TileOp op) { return isAll(constantInts(op.getRepeats()), 1); }
bool copiesInput(TransposeOp op) { return !op.getPerm().empty() && llvm::is_sorted(op.getPerm()); }
/// With the full size kept, only the direction is left to ask.
bool copiesInput(SliceOp op) {
  return isNone(op.getSteps()) || isAll(constantInts(op.getSteps()), 1);
}

/// An op whose result is its first operand, element by element, goes.
template <typename Op> struct RemoveCopy : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    Value input = op->getOperand(0);
    if (input.getType() != op->getResult(0).getType())
      return rewriter.notifyMatchFailure(op, "the type changes");
    // A cast copies whatever the sizes are; the others could differ in unknown ones.
    if (!isa<CastOp, TransposeOp, ConcatOp>(op.getOperation()) && !staticType(input))
      return rewriter.notifyMatchFailure(op, "the shape is not static");
    if (!copiesInput(op))
      return rewriter.notifyMatchFailure(op, "elements change or move");
    rewriter.replaceOp(op, input);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Neutral elements
//===----------------------------------------------------------------------===//

/// Whether all elements of a constant are `wanted`; zeros must have the same
/// sign when they are floats.
bool isConstantOf(Value value, double wanted) {
  std::optional<Tensor> number = onlyNumber(value);
  if (!number)
    return false;
  auto equals = [&]<typename T>() -> Expected<bool> {
    double v = static_cast<double>(reference::widen(*number->data<T>()));
    return v == wanted && (!isFloat(number->dtype()) || std::signbit(v) == std::signbit(wanted));
  };
  Expected<bool> result = reference::visitNumber(number->dtype(), equals);
  return result && *result;
}

/// The constant that leaves the other operand as it is. For floats x + 0 turns
/// -0 into +0, but x + -0 and x - 0 keep every x.
double neutralElement(AddOp op) {
  return isa<FloatType>(elementTypeOf(op.getResult())) ? -0.0 : 0.0;
}
double neutralElement(SubOp) { return 0.0; }
double neutralElement(MulOp) { return 1.0; }
double neutralElement(DivOp) { return 1.0; }

/// x + -0, x - 0, x * 1, x / 1 and, where the op commutes, the other way round.
template <typename Op> struct RemoveNeutralElement : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    constexpr bool commutes = std::is_same_v<Op, AddOp> || std::is_same_v<Op, MulOp>;
    for (auto [x, constant] : {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())}) {
      if (constant == op.getA() && !commutes)
        continue;
      // Of unknown rank, the constant may be what gives the result its shape.
      if (!isa<RankedTensorType>(x.getType()) || x.getType() != op.getType() ||
          !isConstantOf(constant, neutralElement(op)))
        continue;
      rewriter.replaceOp(op, x);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no operand is neutral");
  }
};

//===----------------------------------------------------------------------===//
// Splats
//===----------------------------------------------------------------------===//

/// The number that all elements of a constant tensor of several are.
std::optional<Tensor> splatNumber(Value value) {
  RankedTensorType type = staticType(value);
  return type && type.getNumElements() > 1 ? onlyNumber(value) : std::nullopt;
}

/// An elementwise operand of equal numbers becomes one number, which is part of
/// the kernel's code, where another operand alone gives the result its shape.
struct ShrinkSplat : OpInterfaceRewritePattern<ElementwiseOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(ElementwiseOpInterface op,
                                PatternRewriter &rewriter) const override {
    RankedTensorType result = staticType(op->getResult(0));
    if (!result)
      return rewriter.notifyMatchFailure(op, "the shape is not static");
    for (OpOperand &operand : op->getOpOperands()) {
      auto givesShape = [&](OpOperand &other) {
        RankedTensorType given = staticType(other.get());
        return &other != &operand && given && given.getShape() == result.getShape();
      };
      if (llvm::none_of(op->getOpOperands(), givesShape))
        continue;
      std::optional<Tensor> number = splatNumber(operand.get());
      if (!number)
        continue;
      Value constant = createConstant(rewriter, op->getLoc(), *number);
      rewriter.modifyOpInPlace(op, [&] { operand.set(constant); });
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no operand that need not have its shape is a splat");
  }
};

//===----------------------------------------------------------------------===//
// Global pools
//===----------------------------------------------------------------------===//

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

struct SimplifyGraphPass : passes::impl::SimplifyGraphPassBase<SimplifyGraphPass> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    set.add<MakeReshapeStatic<ReshapeOp>, MakeReshapeStatic<SqueezeOp>,
            MakeReshapeStatic<UnsqueezeOp>, MakeReshapeStatic<FlattenOp>, MergeReshapes,
            MergeTransposes, MakePermExplicit, MakeTransposeReshape>(context);
    set.add<RemoveCopy<ReshapeOp>, RemoveCopy<ExpandOp>, RemoveCopy<CastOp>, RemoveCopy<ConcatOp>,
            RemoveCopy<PadOp>, RemoveCopy<TileOp>, RemoveCopy<TransposeOp>, RemoveCopy<SliceOp>>(
        context);
    set.add<RemoveNeutralElement<AddOp>, RemoveNeutralElement<SubOp>, RemoveNeutralElement<MulOp>,
            RemoveNeutralElement<DivOp>>(context);
    set.add<MakePoolGlobal<AveragePoolOp, ReduceKind::Mean>,
            MakePoolGlobal<MaxPoolOp, ReduceKind::Max>, MakeReducePool, ShrinkSplat>(context);
    populateReshapeTargetPatterns(set);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    // From the inputs on: an op with a hundred thousand operands is then looked at
    // when they are all simplified, not after each of them.
    GreedyRewriteConfig config;
    config.useTopDownTraversal = true;
    if (failed(applyPatternsAndFoldGreedily(getOperation(), patterns, config)))
      signalPassFailure();
  }

private:
  FrozenRewritePatternSet patterns;
};
} // namespace
