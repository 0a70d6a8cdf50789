//===- AttentionScores.cpp - what the softmax of an attention is taken of -===//
#include "passes/AttentionScores.h"

#include "ir/Constants.h"
#include "ir/Types.h"
#include "passes/SmallWeights.h"
#include "runtime/reference/DTypeDispatch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

//===----------------------------------------------------------------------===//
// Numbers and shapes
//===----------------------------------------------------------------------===//

static bool isOneFloat(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && type.getNumElements() == 1 &&
         (type.getElementType().isF32() || isHalf(type.getElementType()));
}

std::optional<double> passes::numberOf(Value value) {
  std::optional<Tensor> number = isOneFloat(value) ? onlyNumber(value) : std::nullopt;
  if (!number)
    return std::nullopt;
  auto widened = [&]<typename T>() -> Expected<double> {
    return static_cast<double>(reference::widen(*number->data<T>()));
  };
  Expected<double> result = reference::visitFloat(number->dtype(), widened);
  return result ? std::optional(*result) : std::nullopt;
}

bool passes::hasHeads(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 4 &&
         (type.getElementType().isF32() || isHalf(type.getElementType()));
}

bool passes::hasWideHeads(Value value) { return hasHeads(value) && elementTypeOf(value).isF32(); }

Value passes::halfOf(Value value) {
  auto cast = value.getDefiningOp<CastOp>();
  bool widens = cast && elementTypeOf(value).isF32() && isHalf(elementTypeOf(cast.getInput()));
  return widens ? cast.getInput() : Value();
}

bool passes::haveSame(int64_t i, Value a, Value b) {
  return (*shapeOf(a))[i].provablyEquals((*shapeOf(b))[i]);
}

bool passes::isRegrouped(Value many, Value few) {
  if (!hasHeads(many) || !hasHeads(few))
    return false;
  Dim from = (*shapeOf(many))[1], to = (*shapeOf(few))[1];
  return haveSame(0, many, few) && haveSame(3, many, few) && from.isStatic() && to.isStatic() &&
         to.size() > 0 && from.size() % to.size() == 0;
}

bool passes::multipliesHeads(Value a, Value b) {
  return haveSame(1, a, b) || (*shapeOf(a))[1].isStatic(1) || (*shapeOf(b))[1].isStatic(1);
}

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

/// Whether `value` is one float, of no more dimensions than the scores that it multiplies.
static bool isFactor(Value value) {
  return isOneFloat(value) && cast<RankedTensorType>(value.getType()).getRank() <= 4;
}

Value Factors::take(Value value) {
  if (auto mul = value.getDefiningOp<MulOp>()) {
    for (auto [x, number] : {std::pair(mul.getA(), mul.getB()), std::pair(mul.getB(), mul.getA())})
      if (isFactor(number) && hasHeads(x) && !isFactor(x)) {
        if (std::optional<double> known = numberOf(number))
          constant *= *known;
        else
          multipliers.push_back(number);
        ops.push_back(mul);
        return x;
      }
  }
  if (auto div = value.getDefiningOp<DivOp>();
      div && isFactor(div.getB()) && hasHeads(div.getA())) {
    if (std::optional<double> known = numberOf(div.getB()))
      constant /= *known;
    else
      divisors.push_back(div.getB());
    ops.push_back(div);
    return div.getA();
  }
  return {};
}

/// `value` in float32.
static Value createWide(PatternRewriter &rewriter, Location loc, Value value) {
  Type wide = rewriter.getF32Type();
  if (elementTypeOf(value) == wide)
    return value;
  return rewriter.create<CastOp>(loc, cast<RankedTensorType>(value.getType()).clone(wide), value,
                                 wide);
}

Value Factors::create(PatternRewriter &rewriter, Location loc) const {
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
    times(createWide(rewriter, loc, number));
  for (Value number : divisors) {
    Value one = createConstant(rewriter, loc, Tensor::of<float>({}, {1}));
    Value divisor = createWide(rewriter, loc, number);
    times(rewriter.create<DivOp>(loc, divisor.getType(), one, divisor));
  }
  return product;
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

static bool isUsedOnce(Value value) { return value.hasOneUse() && hasHeads(value); }

/// The operand of a soft cap: `value` itself when there is none; null when something else does.
static Value matchSoftCap(Value value, Scores &scores) {
  auto mul = value.getDefiningOp<MulOp>();
  auto tanh = mul ? mul.getA().getDefiningOp<TanhOp>() : TanhOp();
  if (!tanh || !isUsedOnce(value))
    return value;
  auto div = tanh.getOperand().getDefiningOp<DivOp>();
  std::optional<double> cap = numberOf(mul.getB()),
                        divisor = div ? numberOf(div.getB()) : std::nullopt;
  if (!cap || cap != divisor || *cap == 0 || !isUsedOnce(mul.getA()) ||
      !isUsedOnce(tanh.getOperand()))
    return {};
  scores.softcap = *cap;
  scores.ops.append({mul, tanh, div});
  return div.getA();
}

/// Looks through the regrouping of heads around the product: of its result, which is then
/// `value`, and of its queries.
static std::optional<Reason> matchGrouping(Value value, Scores &scores) {
  MatMulOp product = scores.product;
  Value half = halfOf(scores.queries), grouped = half ? half : scores.queries;
  auto reshape = grouped.getDefiningOp<ReshapeOp>();
  Value queries = reshape ? reshape.getInput() : Value();
  // Keys with more heads than the queries of the product would be others than those of the
  // group; another number of rows would be rows of other heads.
  if (!reshape || !isRegrouped(queries, grouped) || !haveSame(1, queries, value) ||
      !haveSame(2, queries, value) || !haveSame(1, product.getA(), product.getResult()))
    return Reason{ReasonCode::Form, "the queries are not grouped as the scores are"};
  scores.queries = queries;
  scores.ops.push_back(reshape);
  return std::nullopt;
}

std::optional<Reason> passes::matchProduct(Value value, Scores &scores) {
  if (!hasHeads(value))
    return Reason{ReasonCode::ElementType, "the scores have no batch and heads of floats"};
  if (isHalf(elementTypeOf(value)))
    scores.rounded = elementTypeOf(value);
  value = matchSoftCap(value, scores);
  if (!value)
    return Reason{ReasonCode::Form, "a hyperbolic tangent is no soft cap of the scores"};
  while (Value inner = isUsedOnce(value) ? scores.factors.take(value) : Value())
    value = inner;
  // Each of them would round.
  if (scores.rounded && scores.factors.ops.size() > 1)
    return Reason{ReasonCode::Rounding, "scores of a half type are scaled twice"};
  if (!hasHeads(value))
    return Reason{ReasonCode::ElementType, "the scores have no batch and heads of floats"};
  if (!value.hasOneUse())
    return Reason{ReasonCode::SeveralUses, "the scores are used elsewhere"};
  Value grouped = value;
  if (auto reshape = value.getDefiningOp<ReshapeOp>()) {
    grouped = reshape.getInput();
    if (!isUsedOnce(grouped) || !isRegrouped(value, grouped))
      return Reason{ReasonCode::Form, "the scores are reshaped"};
    scores.ops.push_back(reshape);
  }
  Value exact = grouped;
  if (auto cast = grouped.getDefiningOp<CastOp>(); cast && scores.rounded) {
    exact = cast.getInput();
    scores.ops.push_back(cast);
  }
  auto product = exact.getDefiningOp<MatMulOp>();
  if (!product || !isUsedOnce(exact) || !hasWideHeads(exact) || !hasWideHeads(product.getA()) ||
      !hasWideHeads(product.getB()) || !multipliesHeads(product.getA(), product.getB()))
    return Reason{ReasonCode::Form,
                  "the scores are no product of queries and keys with batch and heads"};
  scores.product = product;
  scores.queries = product.getA();
  scores.ops.push_back(product);
  return grouped == value ? std::nullopt : matchGrouping(value, scores);
}
