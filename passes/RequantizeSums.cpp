//===- RequantizeSums.cpp - sums and products of quantized tensors --------===//
//
// ONNX Runtime computes dequantize, add (or multiply), quantize as one op of its own, which neither
// scales both tensors nor divides by the scale of the result. By its formulas the integers are the
// same as there, where the floats that the model speaks of may round to a neighbour.
//
//===----------------------------------------------------------------------===//
#include "ir/RequantizedSums.h"

#include "passes/Composer.h"
#include "passes/QuantizedValues.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

/// A scale of a whole tensor, in float32, whose quotients by others are ordinary numbers.
static bool isOrdinaryScale(Value scale) {
  std::optional<double> known = isOfTensor(scale) ? knownNumber(scale) : std::nullopt;
  return known && elementTypeOf(scale).isF32() && *known > 0x1p-60 && *known < 0x1p60;
}

static Value scalarOf(Composer &make, double number) {
  return make.constant(Tensor::of<float>({}, {static_cast<float>(number)}));
}

/// A scale and a zero point as numbers.
template <typename Op> static ScaledNumbers parametersOf(Composer &make, Op op) {
  return {{},
          scalarOf(make, *knownNumber(op.getScale())),
          scalarOf(make, *knownNumber(op.getZeroPoint()))};
}

/// The integers as floats: as what is dequantized, they may become integers of the other sign.
static ScaledNumbers numbersOf(Composer &make, DequantizeOp op) {
  ScaledNumbers x = parametersOf(make, op);
  x.numbers = make.create<DequantizeOp>(op.getX(), scalarOf(make, 1), make.none(), op.getTo());
  return x;
}

/// Whether one known scale and zero point are for the whole tensor.
template <typename Op> static bool isOfOneScale(Op op) {
  return isOrdinaryScale(op.getScale()) && isOfTensor(op.getZeroPoint()) &&
         knownNumber(op.getZeroPoint());
}

namespace {
/// `Sum`, nn.add or nn.mul, of two tensors of the type that the result has again.
template <typename Sum> struct RequantizeSum : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    auto sum = op.getX().getDefiningOp<Sum>();
    DequantizeOp a = sum ? dequantizedBytes(sum.getA()) : DequantizeOp(),
                 b = sum ? dequantizedBytes(sum.getB()) : DequantizeOp();
    if (!a || !b || !sum->hasOneUse())
      return rewriter.notifyMatchFailure(op, "it quantizes no sum of what was dequantized");
    Type type = elementTypeOf(op.getResult());
    if (elementTypeOf(a.getX()) != type || elementTypeOf(b.getX()) != type ||
        !op.getPrecision().isF32())
      return rewriter.notifyMatchFailure(op, "the tensors are of several types");
    if (!isOfOneScale(a) || !isOfOneScale(b) || !isOfOneScale(op))
      return rewriter.notifyMatchFailure(op, "a scale or zero point is not one known number");
    Composer make(rewriter, sum->getLoc());
    ScaledNumbers left = numbersOf(make, a), right = numbersOf(make, b),
                  result = parametersOf(make, op);
    Value value = std::is_same_v<Sum, AddOp> ? requantizedSum(make, left, right, result)
                                             : requantizedProduct(make, left, right, result);
    Composer last(rewriter, op.getLoc());
    rewriter.replaceOp(op, last.create<QuantizeOp>(value, scalarOf(last, 1), last.none(),
                                                   op.getTo(), op.getPrecision()));
    return success();
  }
};
} // namespace

void passes::populateRequantizedSums(RewritePatternSet &patterns) {
  patterns.add<RequantizeSum<AddOp>, RequantizeSum<MulOp>>(patterns.getContext());
}
