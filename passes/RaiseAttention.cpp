//===- RaiseAttention.cpp - attention out of its primitives ---------------===//
//
// softmax(scale * q k^T + mask) v, as exporters and our own importers write it, becomes one
// nn.attention, whose kernel never holds all scores. Sums are then rounded in another order.
// What only moves elements around it (transposes) is read by strides; scores that anything
// else reads stay as they are.
//
//===----------------------------------------------------------------------===//
#include "ir/AttentionOps.h"
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/AttentionScores.h"
#include "passes/GraphLog.h"
#include "passes/Passes.h"
#include "runtime/values/TruthValue.h"

#include "mlir/IR/PatternMatch.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_RAISEATTENTIONPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

namespace {
/// An operand of a product as it lies in memory: dimension i is perm[i] of `source`, which may
/// hold a half type.
struct Strided {
  Value source;
  SmallVector<int64_t> perm = {0, 1, 2, 3};

  /// Looks through transposes that `accepts`, casts to float32, and scales, which go into
  /// `factors` if given; adds what it saw to `ops`.
  static Strided of(Value value, Factors *factors, SmallVectorImpl<Operation *> &ops,
                    llvm::function_ref<bool(ArrayRef<int64_t> perm)> accepts) {
    Strided found{value};
    while (true) {
      Operation *op = found.source.getDefiningOp();
      if (auto transpose = dyn_cast_or_null<TransposeOp>(op);
          transpose && transpose.getPerm().size() == 4) {
        SmallVector<int64_t> perm;
        for (int64_t i : found.perm)
          perm.push_back(transpose.getPerm()[i]);
        if (!accepts(perm))
          return found;
        ops.push_back(op);
        found = {transpose.getInput(), perm};
      } else if (Value half = halfOf(found.source)) {
        found.source = half;
        factors = nullptr;
      } else if (Value inner = factors ? factors->take(found.source) : Value()) {
        found.source = inner;
      } else {
        return found;
      }
    }
  }

  /// In float32.
  Value create(PatternRewriter &rewriter) const {
    Type wide = rewriter.getF32Type();
    if (elementTypeOf(source) == wide)
      return source;
    Type type = cast<RankedTensorType>(source.getType()).clone(wide);
    return rewriter.create<CastOp>(source.getLoc(), type, source, wide);
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Probabilities
//===----------------------------------------------------------------------===//

namespace {
/// The weights of the values.
struct Weights {
  SoftmaxOp softmax;
  Scores scores;
  /// Rows that become 0 all the same; null when none do.
  Value zeroRows;
  /// They are those that the only mask hides.
  bool zeroMaskedRows = false;
  /// The weights where rows of heads that share keys were put together; null when none were.
  Value grouped;
  /// All that this stands for beside the scores.
  SmallVector<Operation *> ops;
};
} // namespace

/// Whether `condition` says in which rows all elements of `mask` are -infinity.
static bool saysWhatIsMasked(Value condition, Value mask) {
  auto equal = condition.getDefiningOp<EqualOp>();
  auto reduce = equal ? equal.getA().getDefiningOp<ReduceOp>() : ReduceOp();
  if (!reduce || reduce.getKind() != ReduceKind::Max || !reduce.getKeepdims() ||
      reduce.getInput() != mask || numberOf(equal.getB()) != -kInfinity)
    return false;
  std::optional<SmallVector<int64_t>> axes = reduce.getReducedDimensions(TypeFacts());
  auto type = dyn_cast<RankedTensorType>(mask.getType());
  return type && axes && axes->size() == 1 && axes->front() == type.getRank() - 1;
}

static bool isNeverTrue(Value condition) {
  std::optional<Tensor> only = onlyNumber(condition);
  return only && only->dtype() == DType::Bool && !truthValue(*only);
}

static std::optional<Reason> matchZeroRows(Weights &weights, WhereOp where) {
  Value condition = where.getOperand(0);
  auto type = dyn_cast<RankedTensorType>(condition.getType());
  if (isNeverTrue(condition) && where.getType() == where.getOperand(2).getType())
    return std::nullopt;
  if (numberOf(where.getOperand(1)) != 0.0 || !type || type.getRank() < 1 || type.getRank() > 4 ||
      type.getDimSize(type.getRank() - 1) != 1 || where.getType() != where.getOperand(2).getType())
    return Reason{ReasonCode::Form, "something else than whole rows of weights is replaced"};
  weights.zeroRows = condition;
  return std::nullopt;
}

static std::optional<Reason> matchSoftmax(Value value, Weights &weights) {
  weights.softmax = value.getDefiningOp<SoftmaxOp>();
  if (!weights.softmax || !value.hasOneUse() || !hasWideHeads(value))
    return Reason{ReasonCode::Form, "the weights are no softmax that is used once"};
  if (weights.softmax.getLogarithm())
    return Reason{ReasonCode::Attributes, "the weights are logarithms"};
  if (weights.softmax.getAxis() != 3 && weights.softmax.getAxis() != -1)
    return Reason{ReasonCode::Attributes, "the softmax is not along the keys"};
  if (std::optional<Reason> reason = matchScores(weights.softmax.getInput(), weights.scores))
    return reason;
  weights.ops.push_back(weights.softmax);
  Scores &scores = weights.scores;
  weights.zeroMaskedRows = weights.zeroRows && scores.steps.size() == 1 &&
                           scores.steps.front().kind == ScoreStep::Add &&
                           saysWhatIsMasked(weights.zeroRows, scores.steps.front().operand);
  if (weights.zeroMaskedRows)
    weights.zeroRows = {};
  takeCausalMask(scores);
  return std::nullopt;
}

/// `value`, or what of float32 it is a copy of that was rounded to a half type and is used once.
/// The weights are not rounded then: a block of keys does not know the sum that they are divided
/// by.
static Value unrounded(Value value, Weights &weights) {
  Value half = halfOf(value);
  auto round =
      half && value.hasOneUse() && half.hasOneUse() ? half.getDefiningOp<CastOp>() : CastOp();
  if (!round || !elementTypeOf(round.getInput()).isF32())
    return value;
  weights.ops.push_back(round);
  return round.getInput();
}

/// Whether there is a softmax behind what may be done to the weights.
static bool comesFromSoftmax(Value value) {
  // A rounding and a widening around each of the others.
  constexpr int kMostOps = 6;
  for (int i = 0; i < kMostOps; ++i) {
    Operation *op = value.getDefiningOp();
    if (isa_and_nonnull<SoftmaxOp>(op))
      return true;
    if (!isa_and_nonnull<CastOp, ReshapeOp, WhereOp>(op))
      return false;
    value = op->getOperand(isa<WhereOp>(op) ? 2 : 0);
  }
  return false;
}

static std::optional<Reason> matchWeights(Value value, Weights &weights) {
  if (!hasWideHeads(value))
    return Reason{ReasonCode::Shape, "the weights have no batch and heads of float32"};
  if (!value.hasOneUse())
    return Reason{ReasonCode::SeveralUses, "the weights are used elsewhere"};
  // Of a half type the heads are put together between two casts.
  Value half = halfOf(value), grouped = half ? half : value;
  if (auto reshape = grouped.getDefiningOp<ReshapeOp>()) {
    if (!grouped.hasOneUse() || !isRegrouped(reshape.getInput(), grouped))
      return Reason{ReasonCode::Form, "the weights are reshaped"};
    weights.grouped = grouped;
    weights.ops.push_back(reshape);
    value = reshape.getInput();
    if (auto round = half ? value.getDefiningOp<CastOp>() : CastOp()) {
      if (!value.hasOneUse())
        return Reason{ReasonCode::SeveralUses, "the weights are used elsewhere"};
      value = round.getInput();
    }
  } else {
    value = unrounded(value, weights);
  }
  if (auto where = value.getDefiningOp<WhereOp>(); where && value.hasOneUse()) {
    if (std::optional<Reason> reason = matchZeroRows(weights, where))
      return reason;
    weights.ops.push_back(where);
    value = where.getOperand(2);
  }
  return matchSoftmax(value, weights);
}

//===----------------------------------------------------------------------===//
// The result
//===----------------------------------------------------------------------===//

namespace {
/// What nn.attention replaces: `root` computes what `perm` makes of [batch, heads, queries,
/// size], rounded to `narrowed` unless that is null.
struct Root {
  Operation *op;
  SmallVector<int64_t> perm = {0, 1, 2, 3};
  Type narrowed;
};
} // namespace

static Operation *onlyUser(Operation *op) { return op->hasOneUse() ? *op->user_begin() : nullptr; }

/// Finds what is made of the product of weights and values: the heads apart again, which must be
/// there when they were put together, and a transpose.
static std::optional<Reason> matchRoot(MatMulOp product, Weights &weights, Root &root) {
  root.op = product;
  Operation *next = onlyUser(product);
  auto cast = dyn_cast_or_null<CastOp>(next);
  if (cast && weights.scores.rounded && cast.getTo() == weights.scores.rounded)
    next = onlyUser(cast);
  else
    cast = {};
  auto follow = [&](Operation *op) {
    root.narrowed = cast ? Type(cast.getTo()) : Type();
    weights.ops.push_back(op);
    root.op = op;
  };
  if (weights.grouped) {
    auto reshape = dyn_cast_or_null<ReshapeOp>(next);
    Value whole = weights.softmax.getResult();
    if (!reshape || !isRegrouped(reshape, reshape.getInput()) || !haveSame(1, reshape, whole) ||
        !haveSame(2, reshape, whole) || !haveSame(1, weights.grouped, product))
      return Reason{ReasonCode::Form,
                    "the result is not split into the heads that the weights have"};
    follow(reshape);
    next = onlyUser(reshape);
  }
  auto transpose = dyn_cast_or_null<TransposeOp>(next);
  if (transpose && !weights.zeroRows && transpose.getPerm().size() == 4 &&
      transpose.getPerm().back() == 3) {
    follow(transpose);
    root.perm.assign(transpose.getPerm().begin(), transpose.getPerm().end());
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
/// The product of weights and values, with all that the weights are made of.
struct RaiseAttention : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  /// The kernel holds a block of keys and values.
  static constexpr int64_t kLargestHead = 1024;
  /// All of them are named where the op is.
  static constexpr size_t kMostOps = 256;

  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    if (!comesFromSoftmax(op.getA()))
      return rewriter.notifyMatchFailure(op, "the weights are no softmax");
    Weights weights;
    Root root;
    if (std::optional<Reason> reason = match(op, weights, root))
      return refuseMatch(rewriter, op, *reason);
    Scores &scores = weights.scores;
    auto keepsLast = [](ArrayRef<int64_t> perm) { return perm[3] == 3; };
    // Of a half type, factors of queries and keys round before the product does.
    Factors *factors = scores.rounded ? nullptr : &scores.factors;
    Strided query = Strided::of(scores.queries, factors, weights.ops, keepsLast);
    // The product has keys as columns; either their elements or they themselves lie together.
    Strided key = Strided::of(scores.product.getB(), factors, weights.ops,
                              [](ArrayRef<int64_t> perm) { return perm[2] == 3 || perm[3] == 3; });
    std::swap(key.perm[2], key.perm[3]);
    Strided value = Strided::of(op.getB(), nullptr, weights.ops, keepsLast);
    if (!std::isfinite(scores.factors.constant))
      return refuseMatch(rewriter, op, {ReasonCode::Attributes, "the scale is infinite"});
    weights.ops.append(scores.ops);
    weights.ops.append(scores.factors.ops);
    if (weights.ops.size() > kMostOps)
      return refuseMatch(rewriter, op, {ReasonCode::Limit, "it is made of too many ops"});
    rewrite(root, weights, query, key, value, rewriter);
    return success();
  }

private:
  /// Why a head of `value` is no block of a kernel, if it is none.
  static std::optional<Reason> refuseHead(Value value) {
    Dim size = (*shapeOf(value))[3];
    if (!size.isStatic())
      return Reason{ReasonCode::UnknownSize, "the size of a head is unknown"};
    if (size.size() > kLargestHead)
      return Reason{ReasonCode::Limit, "the heads are large"};
    return std::nullopt;
  }

  static std::optional<Reason> match(MatMulOp op, Weights &weights, Root &root) {
    if (!hasWideHeads(op.getB()))
      return Reason{ReasonCode::Shape, "the values have no batch and heads of float32"};
    if (std::optional<Reason> reason = matchWeights(op.getA(), weights))
      return reason;
    const Scores &scores = weights.scores;
    for (Value value : {scores.queries, Value(op.getB())})
      if (std::optional<Reason> reason = refuseHead(value))
        return reason;
    if (!multipliesHeads(op.getA(), op.getB()))
      return Reason{ReasonCode::Shape, "weights and values may differ in heads"};
    if (!weights.grouped && scores.queries != Value(weights.scores.product.getA()))
      return Reason{ReasonCode::Form, "scores are grouped, weights are not"};
    weights.ops.push_back(op);
    return matchRoot(op, weights, root);
  }

  /// The nodes that the op stands for, in their order.
  static Location locationOf(SmallVectorImpl<Operation *> &ops, PatternRewriter &rewriter) {
    llvm::sort(ops, [](Operation *a, Operation *b) { return a != b && a->isBeforeInBlock(b); });
    SmallVector<Location> locations;
    for (Operation *op : ops)
      locations.push_back(op->getLoc());
    return rewriter.getFusedLoc(locations);
  }

  static Value createOffset(const Scores &scores, Value none, PatternRewriter &rewriter,
                            Location loc) {
    if (scores.causal && scores.causal->offset)
      return scores.causal->offset;
    if (scores.causal && scores.causal->constant != 0)
      return createConstant(rewriter, loc, Tensor::of<int64_t>({}, {scores.causal->constant}));
    return none;
  }

  static void rewrite(const Root &root, Weights &weights, const Strided &query, const Strided &key,
                      const Strided &value, PatternRewriter &rewriter) {
    const Scores &scores = weights.scores;
    Location loc = locationOf(weights.ops, rewriter);
    rewriter.setInsertionPoint(root.op);
    Value none = rewriter.create<NoneOp>(loc, rewriter.getNoneType());
    ScoreMasks masks = createMasks(rewriter, loc, scores);
    Value scale = scores.factors.create(rewriter, loc);
    Value offset = createOffset(scores, none, rewriter, loc);
    auto orNone = [&](Value operand) { return operand ? operand : none; };
    auto given = cast<RankedTensorType>(root.op->getResult(0).getType());
    Type type = given.clone(rewriter.getF32Type());
    Value result = rewriter.create<AttentionOp>(
        loc, type, query.create(rewriter), key.create(rewriter), value.create(rewriter),
        orNone(masks.mask), orNone(scale), offset, orNone(masks.condition), query.perm, key.perm,
        value.perm, root.perm, APFloat(scores.factors.constant), APFloat(scores.softcap),
        scores.causal.has_value(), weights.zeroMaskedRows, APFloat(masks.hidden),
        scores.rounded ? TypeAttr::get(scores.rounded) : TypeAttr(), scores.roundsSums);
    if (weights.zeroRows) {
      Value zero = createConstant(rewriter, loc, Tensor::of<float>({}, {0}));
      result = rewriter.create<WhereOp>(loc, type, weights.zeroRows, zero, result);
    }
    if (root.narrowed)
      result = rewriter.create<CastOp>(loc, given, result, root.narrowed);
    rewriter.replaceOp(root.op, result);
  }
};

struct RaiseAttentionPass : passes::impl::RaiseAttentionPassBase<RaiseAttentionPass> {
  explicit RaiseAttentionPass(GraphLog *log = nullptr) : log(log) {}
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    set.add<RaiseAttention>(context);
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

std::unique_ptr<Pass> passes::createRaiseAttentionPass(GraphLog *log) {
  return std::make_unique<RaiseAttentionPass>(log);
}
