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
#include "passes/CausalMask.h"
#include "passes/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_RAISEATTENTIONPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

static bool isOneFloat(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && type.getNumElements() == 1 &&
         type.getElementType().isF32();
}

/// The value of a float32 constant of one element.
static std::optional<double> numberOf(Value value) {
  return isOneFloat(value) ? onlyReal(value) : std::nullopt;
}

static bool isFourFloats(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 4 && type.getElementType().isF32();
}

/// Whether `value` is one float32, of no more dimensions than the scores that it multiplies.
static bool isFactor(Value value) {
  return isOneFloat(value) && cast<RankedTensorType>(value.getType()).getRank() <= 4;
}

namespace {
/// Numbers that multiply the scores.
struct Factors {
  double constant = 1;
  SmallVector<Value, 2> multipliers, divisors;

  /// Takes a multiplication or division by one number in; what is multiplied. Null when
  /// `value` is none.
  Value take(Value value) {
    if (auto mul = value.getDefiningOp<MulOp>()) {
      for (auto [x, number] :
           {std::pair(mul.getA(), mul.getB()), std::pair(mul.getB(), mul.getA())})
        if (isFactor(number) && isFourFloats(x) && !isFactor(x)) {
          if (std::optional<double> known = numberOf(number))
            constant *= *known;
          else
            multipliers.push_back(number);
          return x;
        }
    }
    if (auto div = value.getDefiningOp<DivOp>();
        div && isFactor(div.getB()) && isFourFloats(div.getA())) {
      if (std::optional<double> known = numberOf(div.getB()))
        constant /= *known;
      else
        divisors.push_back(div.getB());
      return div.getA();
    }
    return {};
  }

  /// The product of those that are not constant; null when there are none.
  Value create(PatternRewriter &rewriter, Location loc) const {
    Value product;
    auto times = [&](Value number) {
      if (!product) {
        product = number;
        return;
      }
      // Of one element each: the type of higher rank.
      auto a = cast<RankedTensorType>(product.getType()),
           b = cast<RankedTensorType>(number.getType());
      product = rewriter.create<MulOp>(loc, a.getRank() < b.getRank() ? b : a, product, number);
    };
    for (Value number : multipliers)
      times(number);
    for (Value number : divisors) {
      Value one = createConstant(rewriter, loc, Tensor::of<float>({}, {1}));
      times(rewriter.create<DivOp>(loc, number.getType(), one, number));
    }
    return product;
  }
};

/// An operand of a product as it lies in memory: dimension i is perm[i] of `source`.
struct Strided {
  Value source;
  SmallVector<int64_t> perm = {0, 1, 2, 3};

  /// Looks through transposes that `accepts`, and scales, which go into `factors` if given.
  static Strided of(Value value, Factors *factors,
                    llvm::function_ref<bool(ArrayRef<int64_t> perm)> accepts) {
    Strided found{value};
    while (true) {
      if (auto transpose = found.source.getDefiningOp<TransposeOp>();
          transpose && transpose.getPerm().size() == 4) {
        SmallVector<int64_t> perm;
        for (int64_t i : found.perm)
          perm.push_back(transpose.getPerm()[i]);
        if (!accepts(perm))
          return found;
        found = {transpose.getInput(), perm};
      } else if (Value inner = factors ? factors->take(found.source) : Value()) {
        found.source = inner;
      } else {
        return found;
      }
    }
  }
};

/// A mask: what is added, or (with a condition) the number that scores become.
struct MaskTerm {
  Value added, condition;
  bool hiddenWhereTrue = false;
};

/// What computes the scores of a softmax.
struct Scores {
  MatMulOp product;
  /// The queries of the product, before heads that share keys were put together.
  Value queries;
  Factors factors;
  double softcap = 0;
  SmallVector<MaskTerm, 2> masks;
  /// The mask that hides later keys, which is not among the others.
  std::optional<CausalMask> causal;
  Value causalMask;
};
} // namespace

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

/// Whether `many`, [batch, heads, rows, size], and `few` have the same elements, the rows of
/// consecutive heads being those of one.
static bool isRegrouped(Value many, Value few) {
  if (!isFourFloats(many) || !isFourFloats(few))
    return false;
  Shape from = *shapeOf(many), to = *shapeOf(few);
  return from[0].provablyEquals(to[0]) && from[3].provablyEquals(to[3]) && from[1].isStatic() &&
         to[1].isStatic() && to[1].size() > 0 && from[1].size() % to[1].size() == 0;
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// The product that `value` scales, bends and regroups; each of these is used once.
static const char *matchProduct(Value value, Scores &scores) {
  auto isUsedOnce = [](Value v) { return v.hasOneUse() && isFourFloats(v); };
  if (auto mul = value.getDefiningOp<MulOp>())
    if (auto tanh = mul.getA().getDefiningOp<TanhOp>(); tanh && isUsedOnce(value)) {
      auto div = tanh.getOperand().getDefiningOp<DivOp>();
      std::optional<double> cap = numberOf(mul.getB()),
                            divisor = div ? numberOf(div.getB()) : std::nullopt;
      if (!cap || cap != divisor || *cap == 0 || !isUsedOnce(mul.getA()) ||
          !isUsedOnce(tanh.getOperand()))
        return "a hyperbolic tangent is no soft cap of the scores";
      scores.softcap = *cap;
      value = div.getA();
    }
  while (isUsedOnce(value)) {
    if (Value inner = scores.factors.take(value)) {
      value = inner;
      continue;
    }
    Value grouped = value;
    if (auto reshape = value.getDefiningOp<ReshapeOp>()) {
      grouped = reshape.getInput();
      if (!isUsedOnce(grouped) || !isRegrouped(value, grouped))
        return "the scores are reshaped";
    }
    auto product = grouped.getDefiningOp<MatMulOp>();
    if (!product || !isFourFloats(product.getA()) || !isFourFloats(product.getB()))
      return "the scores are no product of queries and keys with batch and heads";
    scores.product = product;
    scores.queries = product.getA();
    if (grouped == value)
      return nullptr;
    auto reshape = scores.queries.getDefiningOp<ReshapeOp>();
    if (!reshape || !isRegrouped(reshape.getInput(), scores.queries) ||
        !(*shapeOf(reshape.getInput()))[1].provablyEquals((*shapeOf(value))[1]))
      return "the queries are not grouped as the scores are";
    scores.queries = reshape.getInput();
    return nullptr;
  }
  return "the scores are used elsewhere, or have no batch and heads of float32";
}

/// Whether adding `fill` to a score does the same as replacing it: what is left of the score is
/// lost in the rounding.
static bool hides(Value fill) {
  constexpr double kLost = -1e30;
  std::optional<double> number = numberOf(fill);
  return number && *number <= kLost;
}

/// The same of a score that has a mask already, which may be -infinity.
static bool hidesAll(Value fill) { return numberOf(fill) == -kInfinity; }

static const char *matchScores(Value value, Scores &scores) {
  if (!value.hasOneUse())
    return "the scores are used elsewhere";
  auto isMask = [](Value mask) {
    auto type = dyn_cast<RankedTensorType>(mask.getType());
    return type && type.getRank() <= 4;
  };
  auto tryWith = [&](Value rest, const MaskTerm &term) {
    Scores inner = scores;
    inner.masks.push_back(term);
    size_t count = inner.masks.size();
    if (matchScores(rest, inner) ||
        (term.condition && inner.masks.size() > count && !hidesAll(term.added)))
      return false;
    scores = std::move(inner);
    return true;
  };
  if (auto add = value.getDefiningOp<AddOp>()) {
    for (auto [rest, mask] : {std::pair(add.getA(), add.getB()), std::pair(add.getB(), add.getA())})
      if (isMask(mask) && tryWith(rest, {mask, {}}))
        return nullptr;
    return "neither operand of a sum is a score";
  }
  if (auto where = value.getDefiningOp<WhereOp>()) {
    Value condition = where.getOperand(0);
    for (bool hiddenWhereTrue : {false, true}) {
      Value fill = where.getOperand(hiddenWhereTrue ? 1 : 2),
            rest = where.getOperand(hiddenWhereTrue ? 2 : 1);
      if (hides(fill) && isMask(condition) && tryWith(rest, {fill, condition, hiddenWhereTrue}))
        return nullptr;
    }
    return "no operand of a choice is a score, or the other does not hide it";
  }
  return matchProduct(value, scores);
}

/// Takes the mask that hides later keys out of those of `scores`.
static void takeCausalMask(Scores &scores) {
  // Of the product itself: a mask may have queries or keys that it lacks.
  Dim queries = (*shapeOf(scores.queries))[2], keys = (*shapeOf(scores.product.getResult()))[3];
  for (MaskTerm &term : scores.masks)
    if (!term.condition && !scores.causal) {
      scores.causal = matchCausalMask(term.added, queries, keys);
      if (scores.causal)
        scores.causalMask = term.added;
    }
  if (scores.causal)
    llvm::erase_if(scores.masks,
                   [&](const MaskTerm &term) { return term.added == scores.causalMask; });
}

/// The masks of `scores` as one that is added; null when there is none.
static Value createMask(PatternRewriter &rewriter, Location loc, const Scores &scores) {
  Value sum;
  for (const MaskTerm &term : scores.masks) {
    Value added = term.added;
    if (term.condition) {
      Type type = cast<RankedTensorType>(term.condition.getType()).clone(rewriter.getF32Type());
      Value zero = createConstant(rewriter, loc, Tensor::of<float>({}, {0}));
      added = rewriter.create<WhereOp>(loc, type, term.condition,
                                       term.hiddenWhereTrue ? term.added : zero,
                                       term.hiddenWhereTrue ? zero : term.added);
    }
    if (!sum) {
      sum = added;
      continue;
    }
    Expected<Shape> shape = broadcastShapes(*shapeOf(sum), *shapeOf(added));
    sum = rewriter.create<AddOp>(loc, InferredType{rewriter.getF32Type(), shape.take()}.type(), sum,
                                 added);
  }
  return sum;
}

//===----------------------------------------------------------------------===//
// Probabilities
//===----------------------------------------------------------------------===//

namespace {
/// What the values are weighed by.
struct Weights {
  SoftmaxOp softmax;
  Scores scores;
  /// Rows that become 0 all the same; null when none do.
  Value zeroRows;
  /// They are those that the only mask hides.
  bool zeroMaskedRows = false;
  /// Rows of heads that share keys were put together.
  bool isGrouped = false;
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
  return only && only->dtype() == DType::Bool && !*only->data<bool>();
}

static const char *matchZeroRows(Weights &weights, WhereOp where) {
  Value condition = where.getOperand(0);
  auto type = dyn_cast<RankedTensorType>(condition.getType());
  if (isNeverTrue(condition) && where.getType() == where.getOperand(2).getType())
    return nullptr;
  if (numberOf(where.getOperand(1)) != 0.0 || !type || type.getRank() < 1 || type.getRank() > 4 ||
      type.getDimSize(type.getRank() - 1) != 1 || where.getType() != where.getOperand(2).getType())
    return "something else than whole rows of weights is replaced";
  weights.zeroRows = condition;
  return nullptr;
}

static const char *matchWeights(Value value, Weights &weights) {
  if (!value.hasOneUse() || !isFourFloats(value))
    return "the weights are used elsewhere, or have no batch and heads of float32";
  if (auto reshape = value.getDefiningOp<ReshapeOp>()) {
    if (!isRegrouped(reshape.getInput(), value))
      return "the weights are reshaped";
    weights.isGrouped = true;
    value = reshape.getInput();
  }
  if (auto where = value.getDefiningOp<WhereOp>(); where && value.hasOneUse()) {
    if (const char *reason = matchZeroRows(weights, where))
      return reason;
    value = where.getOperand(2);
  }
  weights.softmax = value.getDefiningOp<SoftmaxOp>();
  if (!weights.softmax || !value.hasOneUse() || !isFourFloats(value))
    return "the weights are no softmax that is used once";
  if (weights.softmax.getLogarithm())
    return "the weights are logarithms";
  if (weights.softmax.getAxis() != 3 && weights.softmax.getAxis() != -1)
    return "the softmax is not along the keys";
  if (const char *reason = matchScores(weights.softmax.getInput(), weights.scores))
    return reason;
  Scores &scores = weights.scores;
  weights.zeroMaskedRows = weights.zeroRows && scores.masks.size() == 1 &&
                           !scores.masks.front().condition &&
                           saysWhatIsMasked(weights.zeroRows, scores.masks.front().added);
  if (weights.zeroMaskedRows)
    weights.zeroRows = {};
  takeCausalMask(scores);
  return std::isfinite(scores.factors.constant) ? nullptr : "the scale is infinite";
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

  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    Weights weights;
    if (!isFourFloats(op.getB()))
      return rewriter.notifyMatchFailure(op, "the values have no batch and heads of float32");
    if (const char *reason = matchWeights(op.getA(), weights))
      return rewriter.notifyMatchFailure(op, reason);
    if (!hasSmallHeads(weights.scores.queries) || !hasSmallHeads(op.getB()))
      return rewriter.notifyMatchFailure(op, "the size of a head is unknown or large");
    Operation *root = op;
    if (weights.isGrouped) {
      Operation *user = op->hasOneUse() ? *op->user_begin() : nullptr;
      if (!isa_and_nonnull<ReshapeOp>(user) || !isRegrouped(user->getResult(0), op.getResult()) ||
          !headsOf(user->getResult(0)).provablyEquals(headsOf(weights.softmax.getResult())))
        return rewriter.notifyMatchFailure(op, "the result is not split into all heads");
      root = user;
    } else if (weights.scores.queries != weights.scores.product.getA()) {
      return rewriter.notifyMatchFailure(op, "scores are grouped, weights are not");
    }
    SmallVector<int64_t> resultPerm = {0, 1, 2, 3};
    if (!weights.zeroRows && root->hasOneUse())
      if (auto transpose = dyn_cast<TransposeOp>(*root->user_begin());
          transpose && transpose.getPerm().size() == 4 && transpose.getPerm().back() == 3) {
        resultPerm.assign(transpose.getPerm().begin(), transpose.getPerm().end());
        root = transpose;
      }
    rewrite(op, root, weights, resultPerm, rewriter);
    return success();
  }

private:
  static Dim headsOf(Value value) { return (*shapeOf(value))[1]; }
  static bool hasSmallHeads(Value value) {
    Dim size = (*shapeOf(value))[3];
    return size.isStatic() && size.size() <= kLargestHead;
  }

  static void rewrite(MatMulOp op, Operation *root, Weights &weights, ArrayRef<int64_t> resultPerm,
                      PatternRewriter &rewriter) {
    Scores &scores = weights.scores;
    auto keepsLast = [](ArrayRef<int64_t> perm) { return perm[3] == 3; };
    Strided query = Strided::of(scores.queries, &scores.factors, keepsLast);
    // The product has keys as columns; either their elements or they themselves lie together.
    Strided key = Strided::of(scores.product.getB(), &scores.factors,
                              [](ArrayRef<int64_t> perm) { return perm[2] == 3 || perm[3] == 3; });
    std::swap(key.perm[2], key.perm[3]);
    Strided value = Strided::of(op.getB(), nullptr, keepsLast);
    rewriter.setInsertionPoint(root);
    Location loc = weights.softmax.getLoc();
    Value none = rewriter.create<NoneOp>(loc, rewriter.getNoneType());
    Value mask = createMask(rewriter, loc, scores);
    Value scale = scores.factors.create(rewriter, loc);
    Value offset = none;
    if (scores.causal && scores.causal->offset)
      offset = scores.causal->offset;
    else if (scores.causal && scores.causal->constant != 0)
      offset = createConstant(rewriter, loc, Tensor::of<int64_t>({}, {scores.causal->constant}));
    Type type = root->getResult(0).getType();
    Value result = rewriter.create<AttentionOp>(
        loc, type, query.source, key.source, value.source, mask ? mask : none, scale ? scale : none,
        offset, query.perm, key.perm, value.perm, resultPerm, APFloat(scores.factors.constant),
        APFloat(scores.softcap), scores.causal.has_value(), weights.zeroMaskedRows);
    if (weights.zeroRows) {
      Value zero = createConstant(rewriter, loc, Tensor::of<float>({}, {0}));
      result = rewriter.create<WhereOp>(loc, type, weights.zeroRows, zero, result);
    }
    rewriter.replaceOp(root, result);
  }
};

struct RaiseAttentionPass : passes::impl::RaiseAttentionPassBase<RaiseAttentionPass> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    set.add<RaiseAttention>(context);
    patterns = std::move(set);
    return success();
  }
  void runOnOperation() override {
    if (failed(applyPatternsAndFoldGreedily(getOperation(), patterns)))
      signalPassFailure();
  }

private:
  FrozenRewritePatternSet patterns;
};
} // namespace
