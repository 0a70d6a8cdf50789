//===- SimplifyGraph.cpp - one form for each thing, none for nothing ------===//
//
// Every rewrite keeps all bits of the result, NaN and the sign of zero included,
// except that a global pool sums in its own order.
//
//===----------------------------------------------------------------------===//
#include "passes/SimplifyGraph.h"
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/Passes.h"
#include "passes/ReshapeTargets.h"
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

//===----------------------------------------------------------------------===//
// Ops that do nothing
//===----------------------------------------------------------------------===//

namespace {
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

/// The larger, or the smaller, of a value and itself is the value.
template <typename Op> struct RemoveOfItself : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (op->getOperand(0) != op->getOperand(1) ||
        op->getOperand(0).getType() != op->getResult(0).getType())
      return rewriter.notifyMatchFailure(op, "its operands differ");
    rewriter.replaceOp(op, op->getOperand(0));
    return success();
  }
};

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

struct SimplifyGraphPass : passes::impl::SimplifyGraphPassBase<SimplifyGraphPass> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateReshapePatterns(set);
    set.add<RemoveCopy<ReshapeOp>, RemoveCopy<ExpandOp>, RemoveCopy<CastOp>, RemoveCopy<ConcatOp>,
            RemoveCopy<PadOp>, RemoveCopy<TileOp>, RemoveCopy<TransposeOp>, RemoveCopy<SliceOp>>(
        context);
    set.add<RemoveNeutralElement<AddOp>, RemoveNeutralElement<SubOp>, RemoveNeutralElement<MulOp>,
            RemoveNeutralElement<DivOp>>(context);
    populateGlobalPoolPatterns(set);
    populatePadPatterns(set);
    populateConcatPatterns(set);
    set.add<ShrinkSplat, RemoveOfItself<MaxOp>, RemoveOfItself<MinOp>>(context);
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
