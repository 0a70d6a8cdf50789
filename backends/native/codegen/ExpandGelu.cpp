//===- ExpandGelu.cpp - the exact GELU as one function --------------------===//
//
// Step by step it is a division, a function of 19 instructions (AVX-512) or 44, and three steps
// more: as much as a product of 100 steps needs for its sums. Half of that computes the whole.
//
//===----------------------------------------------------------------------===//
#include "backends/native/codegen/ExpandGelu.h"

#include "backends/native/codegen/ExpandAvx512.h"
#include "backends/native/emit/FloatBuilder.h"
#include "backends/native/target/Target.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>
#include <numbers>
#include <optional>

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// Whether `value` is `number` in all lanes, but for the rounding of float32.
static bool isNumber(Value value, double number) {
  Attribute found;
  if (!matchPattern(value, m_Constant(&found)))
    return false;
  if (auto splat = dyn_cast<SplatElementsAttr>(found))
    found = splat.getSplatValue<Attribute>();
  auto real = dyn_cast<FloatAttr>(found);
  return real && std::abs(real.getValueAsDouble() / number - 1) < 1e-7;
}

/// The x whose x / sqrt(2) `value` is; null when it is something else.
static Value scaledBySqrtHalf(Value value) {
  if (auto quotient = value.getDefiningOp<arith::DivFOp>())
    return isNumber(quotient.getRhs(), std::numbers::sqrt2) ? quotient.getLhs() : Value();
  auto product = value.getDefiningOp<arith::MulFOp>();
  if (!product)
    return {};
  for (auto [factor, x] : {std::pair(product.getLhs(), product.getRhs()),
                           std::pair(product.getRhs(), product.getLhs())})
    if (isNumber(factor, std::numbers::sqrt2 / 2))
      return x;
  return {};
}

/// The only use of `op`'s result, where it is an `Op`, and the other operand of that.
template <typename Op> static std::optional<std::pair<Op, Value>> onlyUse(Operation *op) {
  if (!op->hasOneUse())
    return std::nullopt;
  auto user = dyn_cast<Op>(*op->user_begin());
  if (!user)
    return std::nullopt;
  Value other = user.getLhs() == op->getResult(0) ? user.getRhs() : user.getLhs();
  return std::pair(user, other);
}

/// Whether `value` is x / 2.
static bool isHalfOf(Value value, Value x) {
  auto product = value.getDefiningOp<arith::MulFOp>();
  return product && ((product.getLhs() == x && isNumber(product.getRhs(), 0.5)) ||
                     (product.getRhs() == x && isNumber(product.getLhs(), 0.5)));
}

/// The products that make a GELU of `x` out of 1 + erf(x / sqrt(2)) = `sum`: by x / 2, or by x and
/// 1/2 one after the other. Empty where it is another function.
static SmallVector<Operation *, 2> findProducts(Operation *sum, Value x) {
  auto first = onlyUse<arith::MulFOp>(sum);
  if (!first)
    return {};
  if (isHalfOf(first->second, x))
    return {first->first};
  bool byX = first->second == x;
  if (!byX && !isNumber(first->second, 0.5))
    return {};
  auto second = onlyUse<arith::MulFOp>(first->first);
  if (!second || !(byX ? isNumber(second->second, 0.5) : second->second == x))
    return {};
  return {first->first, second->first};
}

/// x times the normal distribution function, which is 1/2 + x p(x^2), in the place of `at`: one
/// polynomial for all x up to kLimit, beyond which the function is 0 or 1. Fitted for the least
/// largest error of x p(x^2), 2.8e-8, in powers of 2 x^2 / kLimit^2 - 1, whose terms do not cancel.
static Value expandGeluByPolynomial(Operation *at, Value x) {
  constexpr float kLimit = 5.4F;
  FloatBuilder b(at);
  Value square = b.atMost(b.mul(x, x), kLimit * kLimit);
  Value place = b.multiplyAdd(square, 2 / (kLimit * kLimit), b.constant(-1));
  Value sum = b.polynomial(place, {0.130928114, -0.0653280541, 0.0484995916, -0.039206814,
                                   0.0321165957, -0.0257464554, 0.0196451396, -0.013963324,
                                   0.00965120923, -0.00671533169, 0.0036589019, -0.00118641602,
                                   0.000874949619, -0.00102836697, 0.000392853952});
  Value aboveHalf = b.atLeast(b.atMost(b.mul(x, sum), 0.5F), -0.5F);
  return b.mul(x, b.add(aboveHalf, b.constant(0.5)));
}

static void expandGelu(math::ErfOp erf, const Target &target) {
  Value x = scaledBySqrtHalf(erf.getOperand());
  auto sum = onlyUse<arith::AddFOp>(erf);
  if (!x || !sum || !isNumber(sum->second, 1))
    return;
  SmallVector<Operation *, 2> products = findProducts(sum->first, x);
  if (products.empty())
    return;
  Value expansion = target.has(Isa::Avx512) ? expandGeluByAvx512(products.back(), x)
                                            : expandGeluByPolynomial(products.back(), x);
  if (!expansion)
    return;
  products.back()->getResult(0).replaceAllUsesWith(expansion);
  // The expansion of erf would be in vain.
  for (Operation *product : llvm::reverse(products))
    product->erase();
  sum->first.erase();
  erf.erase();
}

void quern::native::expandGelus(Operation *top, const Target &target) {
  SmallVector<math::ErfOp> found;
  top->walk([&](math::ErfOp erf) {
    if (getElementTypeOrSelf(erf.getType()).isF32())
      found.push_back(erf);
  });
  for (math::ErfOp erf : found)
    expandGelu(erf, target);
}
