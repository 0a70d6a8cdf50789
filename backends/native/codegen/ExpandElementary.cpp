//===- ExpandElementary.cpp - circular and hyperbolic functions -----------===//
//
// Computed in float64 and rounded once: what cancels in reductions and sums there
// leaves more than float32 can hold. The polynomials were fitted as those of
// ExpandMath.cpp.
//
//===----------------------------------------------------------------------===//
#include "backends/native/codegen/ExpandElementary.h"

#include "backends/native/emit/FloatBuilder.h"
#include "backends/native/emit/WideMath.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"

#include <limits>
#include <numbers>

using namespace mlir;
using namespace quern::native;
using P = FloatBuilder::Predicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
static constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
static constexpr double kLn2 = std::numbers::ln2, kLog2E = std::numbers::log2e;
static constexpr double kPi = std::numbers::pi;

/// `expansion`, unless a lane `isOutside` of its domain: then `op` itself.
static Value expandInside(FloatBuilder &b, Operation *op, Value isOutside, Value expansion) {
  OpBuilder builder(op);
  auto choice = builder.create<scf::IfOp>(
      op->getLoc(), b.anyLane(isOutside),
      [&](OpBuilder &inner, Location loc) {
        inner.create<scf::YieldOp>(loc, inner.clone(*op)->getResults());
      },
      [&](OpBuilder &inner, Location loc) { inner.create<scf::YieldOp>(loc, expansion); });
  return choice.getResult(0);
}

//===----------------------------------------------------------------------===//
// Sine, cosine, tangent
//===----------------------------------------------------------------------===//

namespace {
/// x = n pi/2 + r with |r| <= pi/4: n in the lowest bits, sine and cosine of r.
struct Quadrant {
  Value n, sine, cosine;
};
} // namespace

/// Beyond it n pi/2 loses bits that r needs.
static constexpr double kLargestAngle = 1e6;

static Quadrant reduceAngle(FloatBuilder &b, Value x) {
  // Adding 1.5 * 2^52 rounds to an integer, which is then in the lowest bits.
  constexpr double kRounder = 6755399441055744.0;
  Value shifted = b.multiplyAdd(x, 2 / kPi, b.constant(kRounder));
  Value n = b.sub(shifted, b.constant(kRounder));
  // pi/2 in two parts; the first has 33 bits, so that its product is exact.
  Value r = b.multiplyAdd(n, -1.57079632673412561417, x);
  r = b.multiplyAdd(n, -6.07710050650619224932e-11, r);
  Value z = b.mul(r, r);
  Value sine = b.polynomial(z, {0.9999999999954458, -0.16666666630417026, 0.00833332868735509,
                                -0.00019839177517798259, 2.7171451043664298e-06});
  Value cosine = b.polynomial(z, {0.9999999999438792, -0.499999995712046, 0.04166661320070788,
                                  -0.001388652818708518, 2.437259238711943e-05});
  return {b.bitsOf(shifted), b.mul(sine, r), cosine};
}

/// `x` negated where `bit` of `n` is set.
static Value negateIf(FloatBuilder &b, Value n, int64_t bit, Value x) {
  Value sign = b.shiftLeft(b.andBits(n, b.integer(int64_t{1} << bit)), 63 - bit);
  return b.fromBits(b.xorBits(b.bitsOf(x), sign));
}

static Value sine(FloatBuilder &b, Value x) {
  Quadrant q = reduceAngle(b, x);
  return negateIf(b, q.n, 1, b.select(b.isOdd(q.n), q.cosine, q.sine));
}

static Value cosine(FloatBuilder &b, Value x) {
  Quadrant q = reduceAngle(b, x);
  return negateIf(b, b.addBits(q.n, b.integer(1)), 1, b.select(b.isOdd(q.n), q.sine, q.cosine));
}

static Value tangent(FloatBuilder &b, Value x) {
  Quadrant q = reduceAngle(b, x);
  Value isOdd = b.isOdd(q.n);
  Value ratio = b.div(b.select(isOdd, q.cosine, q.sine), b.select(isOdd, q.sine, q.cosine));
  return negateIf(b, q.n, 0, ratio);
}

//===----------------------------------------------------------------------===//
// Their inverses
//===----------------------------------------------------------------------===//

static Value arcTangent(FloatBuilder &b, Value x) {
  Value a = b.abs(x);
  Value isLarge = b.compare(P::OGT, a, 1.0);
  Value t = b.select(isLarge, b.div(b.constant(1), a), a);
  Value slope = b.polynomial(b.mul(t, t),
                             {0.9999999999412359, -0.33333331571205077, 0.19999912051359078,
                              -0.1428398076137718, 0.11093241293619625, -0.08980239310599257,
                              0.07245718990797997, -0.05427912033257406, 0.03420962310720968,
                              -0.016111690685059174, 0.004850937449295111, -0.0006847930547634947});
  Value angle = b.mul(slope, t);
  return b.copySign(b.select(isLarge, b.sub(b.constant(kPi / 2), angle), angle), x);
}

namespace {
/// asin of |x| up to 1/2, and asin of sqrt((1 - |x|) / 2) beyond.
struct ReducedSine {
  Value isLarge, angle;
};
} // namespace

static ReducedSine reduceSine(FloatBuilder &b, Value x) {
  Value a = b.abs(x);
  Value isLarge = b.compare(P::OGT, a, 0.5);
  Value half = b.mul(b.sub(b.constant(1), a), 0.5); // negative, its root NaN, beyond 1
  Value z = b.select(isLarge, half, b.mul(a, a));
  Value slope = b.polynomial(z, {0.9999999999849032, 0.16666667421672207, 0.07499938198704094,
                                 0.044662035632221625, 0.03009220821765393, 0.024711549111109992,
                                 0.007223809208732444, 0.03495157656699837});
  return {isLarge, b.mul(slope, b.select(isLarge, b.sqrt(half), a))};
}

static Value arcSine(FloatBuilder &b, Value x) {
  ReducedSine s = reduceSine(b, x);
  Value beyond = b.multiplyAdd(s.angle, -2, b.constant(kPi / 2));
  return b.copySign(b.select(s.isLarge, beyond, s.angle), x);
}

static Value arcCosine(FloatBuilder &b, Value x) {
  ReducedSine s = reduceSine(b, x);
  Value twice = b.add(s.angle, s.angle);
  Value isNegative = b.compare(P::OLT, x, 0.0);
  Value beyond = b.select(isNegative, b.sub(b.constant(kPi), twice), twice);
  return b.select(s.isLarge, beyond, b.sub(b.constant(kPi / 2), b.copySign(s.angle, x)));
}

//===----------------------------------------------------------------------===//
// Hyperbolic functions and their inverses
//===----------------------------------------------------------------------===//

static Value hyperbolicSine(FloatBuilder &b, Value x) {
  Value a = b.abs(x);
  Value slope =
      b.polynomial(b.mul(x, x), {1.0000000000459763, 0.16666666430246846, 0.008333352592906042,
                                 0.000198358124476014, 2.8185239430207167e-06});
  Value power = expandWideExp2(b, b.mul(a, kLog2E));
  Value large = b.mul(b.sub(power, b.div(b.constant(1), power)), 0.5);
  return b.select(b.compare(P::OLT, a, 1.0), b.mul(slope, x), b.copySign(large, x));
}

static Value hyperbolicCosine(FloatBuilder &b, Value x) {
  Value power = expandWideExp2(b, b.mul(b.abs(x), kLog2E));
  return b.mul(b.add(power, b.div(b.constant(1), power)), 0.5);
}

/// Below it few terms of the series do, where logarithms near 1 lose bits.
static constexpr double kSeriesBound = 1.0 / 64;

static Value inverseHyperbolicSine(FloatBuilder &b, Value x) {
  Value a = b.abs(x), z = b.mul(x, x);
  Value root = b.sqrt(b.add(z, b.constant(1)));
  Value large = b.mul(expandWideLog2(b, b.add(a, root)), kLn2);
  Value small = b.mul(b.polynomial(z, {1, -1.0 / 6, 3.0 / 40, -15.0 / 336}), x);
  return b.select(b.compare(P::OLT, a, kSeriesBound), small, b.copySign(large, x));
}

static Value inverseHyperbolicCosine(FloatBuilder &b, Value x) {
  Value one = b.constant(1);
  Value root = b.sqrt(b.mul(b.sub(x, one), b.add(x, one)));
  Value result = b.mul(expandWideLog2(b, b.add(x, root)), kLn2);
  return b.select(b.compare(P::OLT, x, 1.0), b.constant(kNan), result);
}

static Value inverseHyperbolicTangent(FloatBuilder &b, Value x) {
  Value a = b.abs(x), one = b.constant(1);
  Value large = b.mul(expandWideLog2(b, b.div(b.add(one, a), b.sub(one, a))), kLn2 / 2);
  large = b.select(b.compare(P::OGT, a, 1.0), b.constant(kNan), large);
  Value small = b.mul(b.polynomial(b.mul(x, x), {1, 1.0 / 3, 1.0 / 5, 1.0 / 7}), x);
  return b.select(b.compare(P::OLT, a, kSeriesBound), small, b.copySign(large, x));
}

//===----------------------------------------------------------------------===//
// Remainder
//===----------------------------------------------------------------------===//

/// x - trunc(x / y) y. Up to a quotient of 2^28 its integer part is that of the
/// rounded division, and the product of 28 and 24 bits is exact.
static Value expandRemainder(FloatBuilder &b, arith::RemFOp op) {
  constexpr double kLargestQuotient = 268435456.0;
  FloatBuilder wide = b.inDouble();
  Value x = wide.extend(op.getLhs()), y = wide.extend(op.getRhs());
  Value quotient = wide.div(x, y);
  Value isOutside = wide.compare(P::UGE, wide.abs(quotient), kLargestQuotient);
  Value whole = wide.truncated(wide.select(isOutside, wide.constant(0), quotient));
  Value product = wide.mul(whole, y);
  // Zero times an infinite divisor is no number.
  Value isWhole = wide.compare(P::OLT, wide.abs(y), kInfinity);
  Value remainder = wide.select(isWhole, wide.sub(x, product), x);
  return expandInside(b, op, isOutside, b.truncate(wide.copySign(remainder, x)));
}

//===----------------------------------------------------------------------===//
// All of them
//===----------------------------------------------------------------------===//

using Expansion = Value (*)(FloatBuilder &, Value);

static Expansion findExpansion(Operation *op) {
  return llvm::TypeSwitch<Operation *, Expansion>(op)
      .Case([](math::SinOp) { return sine; })
      .Case([](math::CosOp) { return cosine; })
      .Case([](math::TanOp) { return tangent; })
      .Case([](math::AsinOp) { return arcSine; })
      .Case([](math::AcosOp) { return arcCosine; })
      .Case([](math::AtanOp) { return arcTangent; })
      .Case([](math::SinhOp) { return hyperbolicSine; })
      .Case([](math::CoshOp) { return hyperbolicCosine; })
      .Case([](math::AsinhOp) { return inverseHyperbolicSine; })
      .Case([](math::AcoshOp) { return inverseHyperbolicCosine; })
      .Case([](math::AtanhOp) { return inverseHyperbolicTangent; })
      .Default(Expansion());
}

Value quern::native::expandElementary(Operation *op) {
  FloatBuilder b(op);
  if (auto remainder = dyn_cast<arith::RemFOp>(op))
    return expandRemainder(b, remainder);
  Expansion expand = findExpansion(op);
  if (!expand)
    return {};
  FloatBuilder wide = b.inDouble();
  Value x = op->getOperand(0);
  Value result = b.truncate(expand(wide, wide.extend(x)));
  if (!isa<math::SinOp, math::CosOp, math::TanOp>(op))
    return result;
  return expandInside(b, op, b.compare(P::OGT, b.abs(x), kLargestAngle), result);
}
