//===- ByteShifts.cpp - activations as uint8, or int8, from the start -----===//
//
// Instructions multiply uint8 by int8. What a model has as the other type is shifted by 128 in
// front of a product (asUnsigned, asSigned); these patterns move the shift to where the tensor is
// quantized, and leave it out there: a zero point that is as much more or less gives the same. (But
// for what is not a number, which nn.quantize makes 0 of, whatever the zero point.)
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/IntegerFactors.h"
#include "passes/QuantizedValues.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

/// The ops that give `value` as bytes of the other type.
static SmallVector<Operation *> shiftsOf(Value value) {
  SmallVector<Operation *> shifts;
  for (Operation *widened : value.getUsers())
    for (Operation *add : widened->getUsers())
      for (Operation *narrowed : add->getUsers())
        if (isa<CastOp>(narrowed) && shiftedFrom(narrowed->getResult(0)) == value &&
            !llvm::is_contained(shifts, narrowed))
          shifts.push_back(narrowed);
  return shifts;
}

namespace {
/// What is moved, and then shifted, is shifted before.
struct ShiftBeforeMove : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    Value moved = shiftedFrom(op.getResult());
    Operation *move = moved ? moved.getDefiningOp() : nullptr;
    auto concat = dyn_cast_or_null<ConcatOp>(move);
    if (!isMove(move) && !isMaxOfElements(move) && !concat)
      return rewriter.notifyMatchFailure(op, "it shifts nothing that is moved");
    if (!llvm::all_of(moved.getUsers(), [](Operation *user) { return isShift(user); }))
      return rewriter.notifyMatchFailure(op, "what is moved is used as it is, too");
    rewriter.setInsertionPoint(move);
    Composer make(rewriter, op.getLoc());
    auto shift = [&](Value bytes) {
      return elementTypeOf(op.getResult()).isUnsignedInteger() ? asUnsigned(make, bytes)
                                                               : asSigned(make, bytes);
    };
    if (!concat) {
      rewriter.replaceOp(op, moveInstead(rewriter, move, shift(move->getOperand(0))));
      return success();
    }
    SmallVector<Value> parts;
    for (Value input : concat.getInputs())
      parts.push_back(shift(input));
    auto type = cast<TensorType>(concat.getType()).clone(elementTypeOf(parts.front()));
    rewriter.replaceOp(
        op, rewriter.create<ConcatOp>(concat.getLoc(), type, parts, concat.getAxis()).getResult());
    return success();
  }

  /// Whether all that `user` gives is shifted.
  static bool isShift(Operation *user) {
    auto shifted = [](Operation *cast) {
      return isa<CastOp>(cast) && shiftedFrom(cast->getResult(0));
    };
    return isa<CastOp>(user) && llvm::all_of(user->getUsers(), [&](Operation *add) {
             return isa<AddOp>(add) && llvm::all_of(add->getUsers(), shifted);
           });
  }
};

/// What is quantized and shifted is quantized to the other type. Who wants the floats again takes
/// them from there.
struct QuantizeShifted : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    if (!op.getTo().isInteger(8))
      return rewriter.notifyMatchFailure(op, "it does not quantize to bytes");
    SmallVector<Operation *> shifted = shiftsOf(op.getResult());
    SmallVector<DequantizeOp> floats;
    for (Operation *user : op->getUsers())
      if (auto dequantize = dyn_cast<DequantizeOp>(user))
        floats.push_back(dequantize);
    if (shifted.empty())
      return rewriter.notifyMatchFailure(op, "it is not shifted");
    Type narrow = elementTypeOf(shifted.front()->getResult(0));
    Composer make(rewriter, op.getLoc());
    Value none = make.none();
    auto zeroFor = [&](Value zero) {
      Value wide = narrow.isUnsignedInteger() ? unsignedZero(make, op.getResult(), zero)
                                              : signedZero(make, op.getResult(), zero);
      return wide ? make.convert(wide, narrow) : none;
    };
    Value bytes = make.create<QuantizeOp>(op.getX(), op.getScale(), zeroFor(op.getZeroPoint()),
                                          narrow, op.getPrecision(), op.getAxis(),
                                          op.getBlockSize(), op.getSaturate());
    for (Operation *shift : shifted)
      rewriter.replaceOp(shift, bytes);
    for (DequantizeOp dequantize : floats) {
      rewriter.setInsertionPoint(dequantize);
      rewriter.replaceOp(dequantize,
                         make.create<DequantizeOp>(
                             bytes, dequantize.getScale(), zeroFor(dequantize.getZeroPoint()),
                             dequantize.getTo(), dequantize.getAxis(), dequantize.getBlockSize()));
    }
    return success();
  }
};
} // namespace

void passes::populateByteShifts(RewritePatternSet &patterns) {
  patterns.add<ShiftBeforeMove, QuantizeShifted>(patterns.getContext());
}
