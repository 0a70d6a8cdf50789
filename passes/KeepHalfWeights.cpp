//===- KeepHalfWeights.cpp - weights of 16 bits stay what they are --------===//
//
// A product of float32 by constants that are widened from float16 or bfloat16 reads these, and
// kernels widen them in registers, which is exact. So they take half of the memory, and a row of
// activations, which meets each of them once, half of the time. What moves them moves those of 16
// bits, when constants are folded. This runs before the casts are folded.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/Passes.h"
#include "passes/QuantizedValues.h"
#include "passes/SmallWeights.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_KEEPHALFWEIGHTSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

bool passes::isWeight(OpOperand &operand) {
  return isa<MatMulOp, GemmOp>(operand.getOwner()) && operand.getOperandNumber() == 1;
}

bool passes::isHalfWeight(OpOperand &operand) {
  return isWeight(operand) && isHalf(elementTypeOf(operand.get())) &&
         elementTypeOf(operand.getOwner()->getOperand(0)).isF32();
}

/// Moves whose other operands are constant, so that folding does them.
static bool movesConstants(Operation *op) {
  return isMove(op) && llvm::all_of(op->getOperands().drop_front(), [](Value operand) {
           return isNone(operand) || isConstant(operand);
         });
}

/// The cast of a constant of 16 bits to float32 that gives `value`; null where there is none.
static CastOp wideningOf(Value value) {
  auto cast = value.getDefiningOp<CastOp>();
  bool fits = cast && elementTypeOf(value).isF32() && isHalf(elementTypeOf(cast.getInput())) &&
              isConstant(cast.getInput());
  return fits ? cast : CastOp();
}

/// Whether `value` becomes nothing but weights.
static bool feedsWeightsOnly(Value value) {
  return !value.use_empty() && llvm::all_of(value.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    if (movesConstants(user))
      return use.getOperandNumber() == 0 && feedsWeightsOnly(user->getResult(0));
    return isWeight(use) && elementTypeOf(user->getResult(0)).isF32();
  });
}

bool passes::isWidenedWeight(Value value) {
  // What is as small as shapes and scalars are is folded at once, for passes to look at.
  constexpr int64_t kFewElements = 256;
  CastOp cast = wideningOf(value);
  std::optional<Shape> shape = shapeOf(value);
  std::optional<int64_t> elements = shape ? shape->numElements() : std::nullopt;
  return cast && elements && *elements > kFewElements && feedsWeightsOnly(value);
}

/// What `value`, a constant that was widened and moved, is of 16 bits; null where it is none.
static Value halfOf(OpBuilder &builder, Value value) {
  if (CastOp widening = wideningOf(value))
    return widening.getInput();
  Operation *move = value.getDefiningOp();
  if (!move || !movesConstants(move))
    return {};
  Value half = halfOf(builder, move->getOperand(0));
  return half ? moveInstead(builder, move, half) : Value();
}

/// Erases what made `value`, as far as nobody wants it any more: folding would compute it.
static void eraseUnused(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isOpTriviallyDead(op))
    return;
  Value source = op->getNumOperands() > 0 ? op->getOperand(0) : Value();
  op->erase();
  if (source)
    eraseUnused(source);
}

namespace {
struct KeepHalfWeightsPass : passes::impl::KeepHalfWeightsPassBase<KeepHalfWeightsPass> {
  void runOnOperation() override {
    SmallVector<Operation *> products;
    getOperation().walk([&](Operation *op) {
      if (isa<MatMulOp, GemmOp>(op) && elementTypeOf(op->getOperand(0)).isF32() &&
          elementTypeOf(op->getOperand(1)).isF32())
        products.push_back(op);
    });
    for (Operation *product : products) {
      OpBuilder builder(product);
      Value wide = product->getOperand(1), half = halfOf(builder, wide);
      if (!half)
        continue;
      product->setOperand(1, half);
      eraseUnused(wide);
    }
  }
};
} // namespace
