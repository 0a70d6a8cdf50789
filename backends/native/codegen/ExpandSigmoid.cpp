//===- ExpandSigmoid.cpp - sigmoids as one function -----------------------===//
//
// Step by step it is an exponential that serves any x, and a choice between two numerators. The
// whole needs neither: 27 instructions or more become 17 (without AVX-512).
//
//===----------------------------------------------------------------------===//
#include "backends/native/codegen/ExpandSigmoid.h"

#include "backends/native/codegen/ExpandAvx512.h"
#include "backends/native/codegen/Exponential.h"
#include "backends/native/emit/FloatBuilder.h"
#include "backends/native/target/Target.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace quern::native;

/// The x whose sigmoid `op` is, as ir/ElementwiseOps.td writes it: p / (p + 1) where x is below 0,
/// else 1 / (p + 1), of p = exp(-|x|). Null when `op` is something else.
static Value findSigmoid(arith::DivFOp op) {
  auto part = op.getLhs().getDefiningOp<arith::SelectOp>();
  auto sum = op.getRhs().getDefiningOp<arith::AddFOp>();
  auto power = part ? part.getTrueValue().getDefiningOp<math::ExpOp>() : math::ExpOp();
  if (!power || !sum || sum.getLhs() != power.getResult() ||
      !matchPattern(sum.getRhs(), m_OneFloat()) ||
      !matchPattern(part.getFalseValue(), m_OneFloat()))
    return {};
  auto negated = power.getOperand().getDefiningOp<arith::NegFOp>();
  auto magnitude = negated ? negated.getOperand().getDefiningOp<math::AbsFOp>() : math::AbsFOp();
  auto isNegative = part.getCondition().getDefiningOp<arith::CmpFOp>();
  if (!magnitude || !isNegative || isNegative.getPredicate() != arith::CmpFPredicate::OLT ||
      isNegative.getLhs() != magnitude.getOperand() ||
      !matchPattern(isNegative.getRhs(), m_AnyZeroFloat()))
    return {};
  return magnitude.getOperand();
}

/// exp(x) / (exp(x) + 1) as 2^n / (2^n + exp(-r)) of x = n ln 2 + r, both times 2^24: so 2^n is a
/// normal number and less than 2^117 between the bounds, beyond which the result is 0 or 1, and
/// what is small keeps its relative error, down to subnormal numbers.
static Value expandByOneExponential(Operation *at, Value x) {
  constexpr int64_t kShift = 24, kBias = 127, kMantissaBits = 23;
  FloatBuilder b(at);
  ReducedExponent e = reduceExponent(b, b.atMost(b.atLeast(x, -104.0f), 64.0f));
  // All but the lowest bits of the number beneath n are shifted out.
  Value power = b.fromBits(b.addBits(b.shiftLeft(b.bitsOf(e.shifted), kMantissaBits),
                                     b.integer((kBias + kShift) << kMantissaBits)));
  return b.div(power, b.add(power, scaledExpOfNegated(b, e.r, kShift)));
}

/// Erases `op` and what only it used, if nothing uses it.
static void eraseUnused(Operation *op) {
  if (!isOpTriviallyDead(op))
    return;
  SmallVector<Value> operands(op->getOperands());
  op->erase();
  for (Value operand : operands)
    if (Operation *producer = operand.getDefiningOp())
      eraseUnused(producer);
}

/// Whether all that becomes of a value is rounded to bfloat16, by products and sums at most: a
/// fourteenth of what that rounds off is lost in it. Not where a constant is added, which may be
/// what the sigmoid comes close to: tanh is 2 sigmoid - 1.
static bool isRoundedToBf16(Value value) {
  return !value.use_empty() && llvm::all_of(value.getUsers(), [](Operation *user) {
    if (isa<arith::TruncFOp>(user))
      return getElementTypeOrSelf(user->getResult(0).getType()).isBF16();
    auto isConstant = [](Value operand) { return operand.getDefiningOp<arith::ConstantOp>(); };
    bool isKind = isa<arith::MulFOp>(user) ||
                  (isa<arith::AddFOp>(user) && llvm::none_of(user->getOperands(), isConstant));
    return isKind && isRoundedToBf16(user->getResult(0));
  });
}

void quern::native::expandSigmoids(Operation *top, const Target &target) {
  top->walk([&](arith::DivFOp op) {
    Value x = findSigmoid(op);
    if (!x || !getElementTypeOrSelf(x.getType()).isF32())
      return;
    Value expansion = target.has(Isa::Avx512)
                          ? expandSigmoidByAvx512(op, x, isRoundedToBf16(op.getResult()))
                          : Value();
    op.replaceAllUsesWith(expansion ? expansion : expandByOneExponential(op, x));
    eraseUnused(op);
  });
}
