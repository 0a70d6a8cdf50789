//===- AttentionMasks.cpp - what hides scores of an attention -------------===//
//
// Between product and softmax masks are added, and conditions replace scores by a number. All
// of them together are one condition, which is applied first, and one mask: what an outer
// condition hides must not be changed by an inner mask, so that is 0 there.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/Types.h"
#include "passes/AttentionScores.h"
#include "passes/ChannelConstants.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

namespace {
/// A way on from a softmax towards a product.
struct Branch {
  /// What is left to match.
  Value rest;
  ScoreStep step;
  /// How many steps come before.
  size_t depth = 0;
};
} // namespace

static bool isMaskOf(Value mask, Type element) {
  auto type = dyn_cast<RankedTensorType>(mask.getType());
  return type && type.getRank() <= 4 && type.getElementType() == element;
}

/// The steps that `value` may be, the likeliest first.
static SmallVector<Branch, 2> branchesOf(Value value) {
  SmallVector<Branch, 2> branches;
  Operation *op = value.getDefiningOp();
  Type element = elementTypeOf(value);
  if (auto add = dyn_cast_or_null<AddOp>(op))
    for (auto [rest, mask] : {std::pair(add.getA(), add.getB()), std::pair(add.getB(), add.getA())})
      if (isMaskOf(mask, element))
        branches.push_back({rest, {ScoreStep::Add, op, mask}});
  if (auto where = dyn_cast_or_null<WhereOp>(op)) {
    Value condition = where.getOperand(0);
    for (bool whereTrue : {false, true}) {
      std::optional<double> fill = numberOf(where.getOperand(whereTrue ? 1 : 2));
      bool isFill = fill && (std::isfinite(*fill) || *fill == -kInfinity);
      if (isFill && isMaskOf(condition, IntegerType::get(value.getContext(), 1)))
        branches.push_back({where.getOperand(whereTrue ? 2 : 1),
                            {ScoreStep::Hide, op, condition, *fill, whereTrue}});
    }
  }
  if (Value half = halfOf(value))
    branches.push_back({half, {ScoreStep::Widen, op, {}}});
  return branches;
}

/// Whether the masks that are added can be one: in a half type each sum is rounded.
static std::optional<Reason> checkSums(Scores &scores) {
  int64_t narrow = 0, wide = 0;
  bool isWide = !scores.rounded, hidesWidely = false;
  for (const ScoreStep &step : llvm::reverse(scores.steps)) {
    if (step.kind == ScoreStep::Widen && isWide)
      return Reason{ReasonCode::Rounding, "scores are widened twice"};
    if (step.kind == ScoreStep::Widen)
      isWide = true;
    else if (step.kind == ScoreStep::Add)
      ++(isWide ? wide : narrow);
    else
      hidesWidely |= isWide && std::isfinite(step.fill);
  }
  scores.roundsSums = narrow > 0;
  if (narrow > 1 || (narrow == 1 && wide > 0))
    return Reason{ReasonCode::Rounding, "several masks are added to scores of a half type"};
  if (scores.roundsSums && hidesWidely)
    return Reason{ReasonCode::Rounding,
                  "a number that hides scores may be no number of their type"};
  return std::nullopt;
}

/// Whether the conditions can be one: a score that two of them hide must become the number of
/// the outer one.
static std::optional<Reason> checkConditions(const Scores &scores) {
  std::optional<double> fill;
  Shape shape;
  for (const ScoreStep &step : llvm::reverse(scores.steps)) {
    if (step.kind == ScoreStep::Widen)
      continue;
    Expected<Shape> both = broadcastShapes(shape, *shapeOf(step.operand));
    if (!both)
      return Reason{ReasonCode::Shape, "masks do not fit together"};
    shape = both.take();
    if (step.kind == ScoreStep::Add)
      continue;
    if (fill && *fill != step.fill && (!std::isfinite(*fill) || std::isfinite(step.fill)))
      return Reason{ReasonCode::Form, "scores are hidden by numbers that differ"};
    fill = fill.value_or(step.fill);
  }
  return std::nullopt;
}

void passes::takeCausalMask(Scores &scores) {
  // Of the product itself: a mask may have queries or keys that it lacks.
  Dim queries = (*shapeOf(scores.queries))[2], keys = (*shapeOf(scores.product.getResult()))[3];
  for (auto [i, step] : llvm::enumerate(scores.steps)) {
    // What is a number afterwards is not hidden.
    if (step.kind == ScoreStep::Hide && step.fill != -kInfinity)
      return;
    if (step.kind != ScoreStep::Add)
      continue;
    scores.causal = matchCausalMask(step.operand, queries, keys);
    if (scores.causal) {
      scores.steps.erase(scores.steps.begin() + static_cast<int64_t>(i));
      return;
    }
  }
}

static std::optional<Reason> matchAll(Value value, Scores &scores) {
  for (const ScoreStep &step : scores.steps)
    scores.ops.push_back(step.op);
  if (std::optional<Reason> reason = matchProduct(value, scores))
    return reason;
  if (std::optional<Reason> reason = checkSums(scores))
    return reason;
  return checkConditions(scores);
}

std::optional<Reason> passes::matchScores(Value value, Scores &scores) {
  // More than any model has, but a file may have any number.
  constexpr int kMostBranches = 64;
  std::optional<Reason> reason;
  SmallVector<ScoreStep, 4> steps;
  SmallVector<Branch> open = {{value, {}}};
  for (int visited = 0; !open.empty(); ++visited) {
    if (visited == kMostBranches)
      return Reason{ReasonCode::Limit, "there are too many masks"};
    Branch branch = open.pop_back_val();
    steps.truncate(branch.depth == 0 ? 0 : branch.depth - 1);
    if (branch.step.op)
      steps.push_back(branch.step);
    if (!branch.rest.hasOneUse()) {
      reason = Reason{ReasonCode::SeveralUses, "the scores are used elsewhere"};
      continue;
    }
    SmallVector<Branch, 2> next = branchesOf(branch.rest);
    for (Branch &way : llvm::reverse(next)) {
      way.depth = steps.size() + 1;
      open.push_back(way);
    }
    if (!next.empty())
      continue;
    Scores found = scores;
    found.steps = steps;
    reason = matchAll(branch.rest, found);
    if (!reason) {
      scores = std::move(found);
      return std::nullopt;
    }
  }
  return reason;
}

//===----------------------------------------------------------------------===//
// One mask, one condition
//===----------------------------------------------------------------------===//

namespace {
/// Makes ops on masks, whose sizes broadcast.
struct MaskBuilder {
  PatternRewriter &rewriter;
  Location loc;

  Type typeOf(Type element, Value a, Value b) const {
    // checkConditions has seen that they fit together.
    Shape shape = broadcastShapes(*shapeOf(a), *shapeOf(b)).take();
    return InferredType{element, std::move(shape)}.type();
  }
  Value number(Type element, double value) const {
    return createConstant(rewriter, loc,
                          tensorFromDoubles(nn::dtypeOf(element), {}, {&value, 1}).take());
  }
  Value sum(Value a, Value b) const {
    if (!a)
      return b;
    return rewriter.create<AddOp>(loc, typeOf(elementTypeOf(a), a, b), a, b);
  }
  Value both(Value a, Value b) const {
    if (!a)
      return b;
    return rewriter.create<AndOp>(loc, typeOf(elementTypeOf(a), a, b), a, b);
  }
  Value negated(Value condition) const {
    return rewriter.create<NotOp>(loc, condition.getType(), condition);
  }
  /// `mask` where the condition holds, else `otherwise`.
  Value choice(Value condition, Value mask, double otherwise) const {
    Type element = elementTypeOf(mask);
    return rewriter.create<WhereOp>(loc, typeOf(element, condition, mask), condition, mask,
                                    number(element, otherwise));
  }
  Value wide(Value mask) const {
    Type type = rewriter.getF32Type();
    if (!mask || elementTypeOf(mask) == type)
      return mask;
    return rewriter.create<CastOp>(loc, cast<RankedTensorType>(mask.getType()).clone(type), mask,
                                   type);
  }
};
} // namespace

ScoreMasks passes::createMasks(PatternRewriter &rewriter, Location loc, const Scores &scores) {
  MaskBuilder build{rewriter, loc};
  ScoreMasks masks;
  for (const ScoreStep &step : llvm::reverse(scores.steps)) {
    if (step.kind == ScoreStep::Add)
      masks.mask = build.sum(masks.mask, step.operand);
    if (step.kind != ScoreStep::Hide)
      continue;
    Value shown = step.hiddenWhereTrue ? build.negated(step.operand) : step.operand;
    if (!masks.condition)
      masks.hidden = step.fill;
    if (masks.hidden == step.fill) {
      if (masks.mask)
        masks.mask = build.choice(shown, masks.mask, 0);
      masks.condition = build.both(masks.condition, shown);
      continue;
    }
    // The outer number is -infinity: that is what any finite one becomes with it.
    Value none = masks.mask ? masks.mask : build.number(rewriter.getF32Type(), 0);
    masks.mask = build.choice(shown, none, step.fill);
  }
  masks.mask = build.wide(masks.mask);
  return masks;
}
