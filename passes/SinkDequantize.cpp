//===- SinkDequantize.cpp - integers as long as it goes -------------------===//
//
// What only moves elements, or takes the largest, moves those of the quantized tensor, and what is
// quantized again as it was is what it was: so nn.dequantize comes to stand in front of what
// computes, where FormIntegerProducts looks for it, and nn.quantize behind it; fewer bytes are
// moved. All of it is exact.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/Composer.h"
#include "passes/Passes.h"
#include "passes/QuantizedValues.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_SINKDEQUANTIZEPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

/// Whether products and quotients by `scale`, all of its elements, are neither subnormal nor
/// infinite: (q * scale) / scale is then q, for all q of 16 bits, once it is rounded.
static bool isOrdinary(Value scale) {
  std::optional<Tensor> tensor = constantTensor(scale);
  if (!tensor || tensor->dtype() != DType::Float32)
    return false;
  return llvm::all_of(tensor->elementsAs<float>(), [](float value) {
    return std::abs(value) > 0x1p-100F && std::abs(value) < 0x1p100F;
  });
}

/// The scale of a whole tensor, where it is known to be positive: order is that of the integers.
static bool isIncreasing(DequantizeOp op) {
  std::optional<double> scale = knownNumber(op.getScale());
  return scale && *scale > 0;
}

/// The nn.dequantize of 8-bit integers by one scale and zero point that gives `value`.
static DequantizeOp dequantizedTensor(Value value) {
  DequantizeOp op = dequantizedBytes(value);
  return op && isOfTensor(op.getScale()) && isOfTensor(op.getZeroPoint()) ? op : DequantizeOp();
}

/// The floats of `x`, with the scale and zero point of `like`.
static Value dequantizedAs(PatternRewriter &rewriter, Value x, DequantizeOp like,
                           int64_t axis = 0) {
  return Composer(rewriter, like.getLoc())
      .create<DequantizeOp>(x, like.getScale(), like.getZeroPoint(), like.getTo(), axis);
}

namespace {
/// Moves of what one scale and zero point is for; transposes also where there are more.
struct SinkBelowMove : RewritePattern {
  SinkBelowMove(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isMove(op) && !isMaxOfElements(op))
      return failure();
    DequantizeOp floats = dequantizedTensor(op->getOperand(0));
    if (!floats)
      return rewriter.notifyMatchFailure(op, "what it moves has not one scale");
    if (!isMove(op) && !isIncreasing(floats))
      return rewriter.notifyMatchFailure(op, "the largest float may not be the largest integer");
    Value moved = moveInstead(rewriter, op, floats.getX());
    rewriter.replaceOp(op, dequantizedAs(rewriter, moved, floats));
    return success();
  }
};

/// Transposes of what has a scale for each position of a dimension: the dimension moves along.
struct SinkBelowTranspose : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    DequantizeOp floats = dequantizedBytes(op.getInput());
    std::optional<Shape> shape = shapeOf(op.getInput().getType());
    if (!floats || !shape || dequantizedTensor(op.getInput()))
      return rewriter.notifyMatchFailure(op, "no scales move along");
    int64_t axis = floats.getAxis() < 0 ? floats.getAxis() + shape->rank() : floats.getAxis();
    int64_t to = shape->rank() - 1 - axis; // an empty permutation reverses
    for (auto [i, from] : llvm::enumerate(op.getPerm()))
      if (from == axis)
        to = static_cast<int64_t>(i);
    Value moved = moveInstead(rewriter, op, floats.getX());
    rewriter.replaceOp(op, dequantizedAs(rewriter, moved, floats, to));
    return success();
  }
};

/// Tensors that mean the same are joined as integers.
struct SinkDequantizeBelowConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    DequantizeOp first = dequantizedTensor(op.getInputs().front());
    SmallVector<Value> parts;
    for (Value input : op.getInputs()) {
      DequantizeOp floats = dequantizedTensor(input);
      if (!floats || elementTypeOf(floats.getX()) != elementTypeOf(first.getX()) ||
          !areSameParameters(floats.getScale(), first.getScale()) ||
          !areSameParameters(floats.getZeroPoint(), first.getZeroPoint()))
        return rewriter.notifyMatchFailure(op, "inputs have not the same scale and zero point");
      parts.push_back(floats.getX());
    }
    auto type = cast<TensorType>(op.getType()).clone(elementTypeOf(parts.front()));
    Value joined = rewriter.create<ConcatOp>(op.getLoc(), type, parts, op.getAxis());
    rewriter.replaceOp(op, dequantizedAs(rewriter, joined, first));
    return success();
  }
};

/// What is put around a tensor is one of its numbers.
struct SinkBelowPad : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PadOp op, PatternRewriter &rewriter) const override {
    DequantizeOp floats = dequantizedTensor(op.getInput());
    std::optional<double> value = knownNumber(op.getValue());
    if (!floats || !value || !isOrdinary(floats.getScale()))
      return rewriter.notifyMatchFailure(op, "what it moves has not one scale");
    std::optional<double> zero = knownNumber(floats.getZeroPoint());
    auto scale = static_cast<float>(*knownNumber(floats.getScale()));
    double level = std::nearbyint(*value / scale);
    bool isSigned = !elementTypeOf(floats.getX()).isUnsignedInteger();
    int64_t least = isSigned ? INT8_MIN : 0;
    if (!zero || static_cast<float>(level) * scale != static_cast<float>(*value) ||
        level + *zero < static_cast<double>(least) ||
        level + *zero > static_cast<double>(least + UINT8_MAX))
      return rewriter.notifyMatchFailure(op, "the integers have not what lies around");
    auto number = static_cast<int64_t>(level + *zero);
    Composer make(rewriter, op.getLoc());
    Value around =
        make.constant(isSigned ? Tensor::of<int8_t>({}, {static_cast<int8_t>(number)})
                               : Tensor::of<uint8_t>({}, {static_cast<uint8_t>(number)}));
    Value moved = moveInstead(rewriter, op, floats.getX());
    moved.getDefiningOp<PadOp>().getValueMutable().assign(around);
    rewriter.replaceOp(op, dequantizedAs(rewriter, moved, floats));
    return success();
  }
};

/// What one scale and zero point is for is quantized before it is joined or moved, where that is
/// all that becomes of it: by what makes it, and fewer bytes are moved.
struct RaiseQuantize : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    Operation *move = op.getX().getDefiningOp();
    bool keepsElements =
        isa_and_nonnull<ConcatOp, ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp, TransposeOp>(move);
    if (!keepsElements || !move->hasOneUse())
      return rewriter.notifyMatchFailure(op, "its operand is not just moved");
    auto precedes = [&](Value value) {
      Operation *producer = value.getDefiningOp();
      return !producer || producer->getBlock() != move->getBlock() ||
             producer->isBeforeInBlock(move);
    };
    if (op.getBlockSize() != 0 || !isOfTensor(op.getScale()) || !isOfTensor(op.getZeroPoint()) ||
        !precedes(op.getScale()) || !precedes(op.getZeroPoint()) ||
        !elementTypeOf(op.getTo()).isInteger(8))
      return rewriter.notifyMatchFailure(op, "it does not quantize to bytes of one scale");
    rewriter.setInsertionPoint(move);
    Composer make(rewriter, op.getLoc());
    SmallVector<Value> operands(move->getOperands());
    size_t count = isa<ConcatOp>(move) ? operands.size() : 1;
    for (Value &operand : MutableArrayRef(operands).take_front(count))
      operand = make.create<QuantizeOp>(operand, op.getScale(), op.getZeroPoint(), op.getTo(),
                                        op.getPrecision(), 0, 0, op.getSaturate());
    Operation *moved = rewriter.clone(*move);
    moved->setOperands(operands);
    moved->getResult(0).setType(op.getType());
    rewriter.replaceOp(op, moved->getResult(0));
    return success();
  }
};

/// No float is below 0 where zero is the least integer.
struct DropRelu : OpRewritePattern<ReluOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReluOp op, PatternRewriter &rewriter) const override {
    DequantizeOp floats = dequantizedTensor(op.getX());
    if (!floats || !isIncreasing(floats))
      return rewriter.notifyMatchFailure(op, "its operand is not dequantized by a positive scale");
    double least = elementTypeOf(floats.getX()).isUnsignedInteger() ? 0 : INT8_MIN;
    if (knownNumber(floats.getZeroPoint()) != least)
      return rewriter.notifyMatchFailure(op, "there are integers below the zero point");
    rewriter.replaceOp(op, op.getX());
    return success();
  }
};

/// What bounds floats beyond which all are quantized to the least or the greatest integer.
struct DropBound : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    Operation *bound = op.getX().getDefiningOp();
    std::optional<double> scale = knownNumber(op.getScale()), zero = knownNumber(op.getZeroPoint());
    if (!isa_and_nonnull<ReluOp, MaxOp, MinOp>(bound) || !elementTypeOf(op.getTo()).isInteger(8) ||
        !op.getPrecision().isF32() || !scale || !(*scale > 0) || !isOrdinary(op.getScale()) ||
        !zero)
      return rewriter.notifyMatchFailure(op, "no bounded floats become bytes of one scale");
    std::optional<double> at = isa<ReluOp>(bound) ? 0 : knownNumber(bound->getOperand(1));
    bool isUnsigned = elementTypeOf(op.getTo()).isUnsignedInteger();
    double least = isUnsigned ? 0 : INT8_MIN, greatest = isUnsigned ? UINT8_MAX : INT8_MAX;
    if (!at || !(isa<ReluOp>(bound) || isOfTensor(bound->getOperand(1))) ||
        bound->getOperand(0).getType() != op.getX().getType())
      return rewriter.notifyMatchFailure(op, "the bound is no number");
    double level = std::nearbyint(static_cast<float>(*at) / static_cast<float>(*scale)) + *zero;
    if (isa<MinOp>(bound) ? !(level >= greatest) : !(level <= least))
      return rewriter.notifyMatchFailure(op, "integers lie beyond the bound");
    rewriter.modifyOpInPlace(op, [&] { op.getXMutable().assign(bound->getOperand(0)); });
    return success();
  }
};

/// What is quantized as it was before.
struct DropRequantization : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    DequantizeOp floats = dequantizedBytes(op.getX());
    if (!floats || elementTypeOf(floats.getX()) != op.getTo() || !op.getPrecision().isF32() ||
        op.getBlockSize() != 0)
      return rewriter.notifyMatchFailure(op, "its operand is not dequantized from its type");
    bool isOne =
        dequantizedTensor(op.getX()) && isOfTensor(op.getScale()) && isOfTensor(op.getZeroPoint());
    if (!areSameParameters(floats.getScale(), op.getScale()) ||
        !areSameParameters(floats.getZeroPoint(), op.getZeroPoint()) ||
        !isOrdinary(op.getScale()) || (!isOne && floats.getAxis() != op.getAxis()))
      return rewriter.notifyMatchFailure(op, "its scale or zero point is another");
    rewriter.replaceOp(op, floats.getX());
    return success();
  }
};

struct SinkDequantizePass : passes::impl::SinkDequantizePassBase<SinkDequantizePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SinkBelowMove, SinkBelowTranspose, SinkDequantizeBelowConcat, SinkBelowPad,
                 DropRelu, DropBound, DropRequantization, RaiseQuantize>(&getContext());
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
