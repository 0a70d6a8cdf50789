//===- RaiseLayerNorm.cpp - normalizations written as primitives ----------===//
//
// Exporters write layer and RMS normalization as a mean, differences, squares, their
// mean and a division: up to six passes over the tensor. Raised, they are one kernel
// that reads a row while it is in the cache.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/ShapeFacts.h"
#include "ir/Types.h"
#include "passes/GraphLog.h"
#include "passes/Passes.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_RAISELAYERNORMPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

namespace {
/// The mean of `input` over its dimensions from `axis` on, which stay as 1.
struct RowMean {
  Value input;
  int64_t axis;
};
} // namespace

/// What `value` is a mean of, over its last dimensions; nullopt for everything else. That of
/// images, as [1, 1, H] may be taken for one, is a pool by now.
static std::optional<RowMean> matchRowMean(Value value) {
  if (auto pool = value.getDefiningOp<GlobalPoolOp>(); pool && pool.getKind() == ReduceKind::Mean)
    return RowMean{pool.getInput(), /*axis=*/2};
  auto op = value.getDefiningOp<ReduceOp>();
  if (!op || op.getKind() != ReduceKind::Mean || !op.getKeepdims())
    return std::nullopt;
  TypeFacts facts;
  std::optional<Shape> shape = facts.shapeOf(op.getInput());
  auto dims = op.getReducedDimensions(facts);
  if (!shape || !dims || dims->empty())
    return std::nullopt;
  for (auto [i, dim] : llvm::enumerate(*dims))
    if (dim != shape->rank() - static_cast<int64_t>(dims->size() - i))
      return std::nullopt;
  return RowMean{op.getInput(), dims->front()};
}

/// The number that `value` is the square of; null when it is none.
static Value squareRootOf(Value value) {
  if (auto mul = value.getDefiningOp<MulOp>())
    return mul.getA() == mul.getB() ? mul.getA() : Value();
  auto pow = value.getDefiningOp<PowOp>();
  return pow && onlyReal(pow.getB()) == 2.0 ? pow.getA() : Value();
}

/// What `value` is the reciprocal of; null when it is none.
static Value reciprocalOf(Value value) {
  auto div = value.getDefiningOp<DivOp>();
  return div && onlyReal(div.getA()) == 1.0 ? div.getB() : Value();
}

namespace {
/// sqrt(mean(square(of)) + epsilon) over the dimensions from `axis` on.
struct RootMeanSquare {
  Value of;
  Operation *square;
  int64_t axis;
  double epsilon;
  /// All that it is made of.
  SmallVector<Operation *> ops;
};
} // namespace

static std::optional<RootMeanSquare> matchRootMeanSquare(Value value) {
  auto sqrt = value.getDefiningOp<SqrtOp>();
  auto add = sqrt ? sqrt.getX().getDefiningOp<AddOp>() : AddOp();
  if (!add)
    return std::nullopt;
  Value mean = add.getA(), shift = add.getB();
  if (isConstant(mean))
    std::swap(mean, shift);
  std::optional<double> epsilon = onlyReal(shift);
  std::optional<RowMean> ofRows = matchRowMean(mean);
  if (!epsilon || !ofRows)
    return std::nullopt;
  Value of = squareRootOf(ofRows->input);
  if (!of)
    return std::nullopt;
  Operation *square = ofRows->input.getDefiningOp();
  return RootMeanSquare{
      of, square, ofRows->axis, *epsilon, {square, mean.getDefiningOp(), add, sqrt}};
}

/// x - mean(x) over the same dimensions: x. Null for other values.
static Value uncentered(Value value, int64_t axis) {
  auto sub = value.getDefiningOp<SubOp>();
  std::optional<RowMean> mean = sub ? matchRowMean(sub.getB()) : std::nullopt;
  bool matches = mean && mean->input == sub.getA() && mean->axis == axis;
  return matches ? sub.getA() : Value();
}

/// The nodes of `ops`, in this order.
static Location fusedLocation(ArrayRef<Operation *> ops, PatternRewriter &rewriter) {
  SmallVector<Location> locations;
  for (Operation *op : ops)
    locations.push_back(op->getLoc());
  return rewriter.getFusedLoc(locations);
}

/// Why `op` does not become one op with the root, if it does not.
static std::optional<Reason> refuse(Operation *op, Value distance, const RootMeanSquare &root) {
  if (root.of != distance)
    return Reason{ReasonCode::Form, "squares of one tensor scale another"};
  // A number (epsilon, an exponent, a one) may have more dimensions than the tensor.
  if (op->getResult(0).getType() != distance.getType())
    return Reason{ReasonCode::Shape, "the result has another shape than what is normalized"};
  Type element = elementTypeOf(distance);
  if (!element.isF32() && !element.isF64())
    return Reason{ReasonCode::Rounding, "each step rounds to a type narrower than float32"};
  // What stays would be computed twice.
  if (!llvm::all_of(root.ops, [](Operation *step) { return step->hasOneUse(); }))
    return Reason{ReasonCode::SeveralUses, "a step of the root mean square has other uses"};
  auto isStep = [&](Operation *user) { return user == op || user == root.square; };
  if (uncentered(distance, root.axis) && !llvm::all_of(distance.getUsers(), isStep))
    return Reason{ReasonCode::SeveralUses, "the distances from the mean have other uses"};
  return std::nullopt;
}

/// Replaces `op`, which is `distance` over the root of its mean square.
static LogicalResult raise(Operation *op, Value distance, const RootMeanSquare &root,
                           PatternRewriter &rewriter) {
  if (std::optional<Reason> reason = refuse(op, distance, root))
    return refuseMatch(rewriter, op, *reason);
  Value x = uncentered(distance, root.axis);
  SmallVector<Operation *> ops;
  if (x)
    ops = {cast<SubOp>(distance.getDefiningOp()).getB().getDefiningOp(), distance.getDefiningOp()};
  ops.append(root.ops);
  ops.push_back(op);
  Location loc = fusedLocation(ops, rewriter);
  Value none = rewriter.create<NoneOp>(loc, rewriter.getNoneType());
  Value norm = rewriter.create<LayerNormOp>(loc, op->getResult(0).getType(), x ? x : distance, none,
                                            none, root.axis, /*center=*/static_cast<bool>(x),
                                            APFloat(root.epsilon));
  rewriter.replaceOp(op, norm);
  return success();
}

namespace {
/// d / sqrt(mean(d * d) + epsilon) is nn.layer_norm of d or, when d is x - mean(x), of x.
struct RaiseQuotient : OpRewritePattern<DivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DivOp op, PatternRewriter &rewriter) const override {
    std::optional<RootMeanSquare> root = matchRootMeanSquare(op.getB());
    if (!root)
      return rewriter.notifyMatchFailure(op, "the divisor is no root mean square of rows");
    return raise(op, op.getA(), *root, rewriter);
  }
};

/// The same as d * (1 / sqrt(...)), in any order.
struct RaiseProduct : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op, PatternRewriter &rewriter) const override {
    for (auto [distance, factor] :
         {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())}) {
      Value divisor = reciprocalOf(factor);
      if (!divisor)
        continue;
      if (std::optional<RootMeanSquare> root = matchRootMeanSquare(divisor)) {
        root->ops.push_back(factor.getDefiningOp());
        return raise(op, distance, *root, rewriter);
      }
    }
    return rewriter.notifyMatchFailure(op, "no factor is 1 / root mean square of rows");
  }
};

/// A product (a sum) of a normalization and a tensor of the sizes of a row becomes its
/// scale (its bias), unless it has one, or a bias comes in between.
template <typename Op> struct AbsorbParameter : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    auto norm = op.getA().template getDefiningOp<LayerNormOp>();
    Value parameter = op.getB();
    if (!norm) {
      norm = op.getB().template getDefiningOp<LayerNormOp>();
      parameter = op.getA();
    }
    constexpr bool isScale = std::is_same_v<Op, MulOp>;
    if (!norm)
      return rewriter.notifyMatchFailure(op, "no operand is a normalization");
    if (!norm->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the normalization has other uses");
    if (!isNone(norm.getBias()) || (isScale && !isNone(norm.getScale())))
      return rewriter.notifyMatchFailure(op, "the normalization has this parameter already");
    if (!hasSizesOfRow(norm, parameter))
      return rewriter.notifyMatchFailure(op, "the other operand may not have the sizes of a row");
    Value scale = isScale ? parameter : norm.getScale();
    Value bias = isScale ? norm.getBias() : parameter;
    Value absorbed = rewriter.create<LayerNormOp>(fusedLocation({norm, op}, rewriter), op.getType(),
                                                  norm.getInput(), scale, bias, norm.getAxisAttr(),
                                                  norm.getCenterAttr(), norm.getEpsilonAttr());
    rewriter.replaceOp(op, absorbed);
    return success();
  }

  static bool hasSizesOfRow(LayerNormOp norm, Value parameter) {
    TypeFacts facts;
    std::optional<Shape> input = facts.shapeOf(norm.getInput());
    std::optional<Shape> shape = facts.shapeOf(parameter);
    if (!input || !shape || shape->rank() != input->rank() - norm.getAxis())
      return false;
    for (int64_t i = 0; i < shape->rank(); ++i)
      if (!(*shape)[i].provablyEquals((*input)[norm.getAxis() + i]))
        return false;
    return true;
  }
};

struct RaiseLayerNormPass : passes::impl::RaiseLayerNormPassBase<RaiseLayerNormPass> {
  explicit RaiseLayerNormPass(GraphLog *log = nullptr) : log(log) {}
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    set.add<RaiseQuotient, RaiseProduct, AbsorbParameter<MulOp>, AbsorbParameter<AddOp>>(context);
    patterns = std::move(set);
    return success();
  }
  void runOnOperation() override {
    if (failed(applyLogged(getOperation(), patterns, Refusal::Kind::Raise, log)))
      signalPassFailure();
  }

private:
  FrozenRewritePatternSet patterns;
  GraphLog *log;
};
} // namespace

std::unique_ptr<Pass> passes::createRaiseLayerNormPass(GraphLog *log) {
  return std::make_unique<RaiseLayerNormPass>(log);
}
