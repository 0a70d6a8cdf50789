//===- ExpandGelu.cpp - the exact GELU as one function --------------------===//
//
// Step by step it is a division, a function of 19 instructions and three steps more, as much as a
// product of 100 steps needs for its sums. Half of that computes the whole.
//
//===----------------------------------------------------------------------===//
#include "backends/native/codegen/ExpandGelu.h"

#include "backends/native/codegen/ExpandAvx512.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>
#include <numbers>
#include <optional>

using namespace mlir;

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

static void expandGelu(math::ErfOp erf) {
  Value x = scaledBySqrtHalf(erf.getOperand());
  auto sum = onlyUse<arith::AddFOp>(erf);
  if (!x || !sum || !isNumber(sum->second, 1))
    return;
  SmallVector<Operation *, 2> products = findProducts(sum->first, x);
  Value expansion =
      products.empty() ? Value() : quern::native::expandGeluByAvx512(products.back(), x);
  if (!expansion)
    return;
  products.back()->getResult(0).replaceAllUsesWith(expansion);
  // The expansion of erf would be in vain.
  for (Operation *product : llvm::reverse(products))
    product->erase();
  sum->first.erase();
  erf.erase();
}

void quern::native::expandGelus(Operation *top) {
  SmallVector<math::ErfOp> found;
  top->walk([&](math::ErfOp erf) {
    if (getElementTypeOrSelf(erf.getType()).isF32())
      found.push_back(erf);
  });
  for (math::ErfOp erf : found)
    expandGelu(erf);
}
