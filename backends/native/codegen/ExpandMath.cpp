//===- ExpandMath.cpp - math ops to polynomials ---------------------------===//
//
// The polynomials were fitted for this file: iteratively reweighted least
// squares at Chebyshev nodes against double precision, so that the largest error
// relative to the function is smallest. Fused multiply-adds are used where the
// target has them, which the accuracy does not depend on.
//
//===----------------------------------------------------------------------===//
#include "backends/native/codegen/ExpandMath.h"

#include "backends/native/codegen/ExpandAvx512.h"
#include "backends/native/codegen/ExpandElementary.h"
#include "backends/native/codegen/ExpandGelu.h"
#include "backends/native/codegen/ExpandPower.h"
#include "backends/native/codegen/ExpandSigmoid.h"
#include "backends/native/codegen/Exponential.h"
#include "backends/native/emit/FloatBuilder.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;
using namespace quern::native;

static constexpr float kInfinity = std::numeric_limits<float>::infinity();

//===----------------------------------------------------------------------===//
// Exponentials
//===----------------------------------------------------------------------===//

/// 2^i for i in [-126, 127].
static Value powerOfTwo(FloatBuilder &b, Value i) {
  return b.fromBits(b.shiftLeft(b.addBits(i, b.integer(127)), 23));
}

static Value expandExp(FloatBuilder &b, Value x) {
  // Beyond the bounds the result is 0 or infinite for good.
  ReducedExponent e = reduceExponent(b, b.atLeast(b.atMost(x, 89.0f), -104.0f));
  // 2^n in two factors, so that results may be subnormal or infinite.
  Value n = e.nBits(b), half = b.shiftRight(n, 1);
  Value scaled = b.mul(expOfRest(b, e.r), powerOfTwo(b, half));
  return b.mul(scaled, powerOfTwo(b, b.subBits(n, half)));
}

static Value expandExpm1(FloatBuilder &b, Value x) {
  ReducedExponent e = reduceExponent(b, b.atLeast(b.atMost(x, 89.0f), -30.0f));
  Value tail = b.polynomial(
      e.r, {0.5f, 0.166666672f, 0.0416663513f, 0.00833327603f, 0.00139413297f, 0.000199125017f});
  Value ofRest = b.multiplyAdd(b.mul(e.r, e.r), tail, e.r);
  // 2^n (exp(r) - 1) + (2^n - 1), all halved until the end as 2^128 is infinite.
  Value scale = powerOfTwo(b, b.addBits(e.nBits(b), b.integer(-1)));
  Value halved = b.multiplyAdd(ofRest, scale, b.sub(scale, b.constant(0.5f)));
  return b.mul(halved, 2.0f);
}

//===----------------------------------------------------------------------===//
// Logarithms
//===----------------------------------------------------------------------===//

static Value expandLog(FloatBuilder &b, Value x) {
  using P = FloatBuilder::Predicate;
  constexpr float kSmallestNormal = 1.17549435e-38f;
  // Subnormal numbers are scaled up by 2^25 first.
  Value isTiny = b.compare(P::OLT, x, kSmallestNormal);
  Value normal = b.select(isTiny, b.mul(x, 33554432.0f), x);
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)): the exponent counts from there.
  constexpr int32_t kSqrtHalfBits = 0x3f3504f3;
  Value distance = b.subBits(b.bitsOf(normal), b.integer(kSqrtHalfBits));
  Value exponent = b.shiftRight(distance, 23);
  Value m = b.fromBits(b.subBits(b.bitsOf(normal), b.shiftLeft(exponent, 23)));
  Value e = b.toFloat(exponent);
  e = b.select(isTiny, b.sub(e, b.constant(25.0f)), e);

  Value f = b.sub(m, b.constant(1.0f));
  Value tail =
      b.polynomial(f, {0.333333105f, -0.249999866f, 0.200022265f, -0.166692495f, 0.142186552f,
                       -0.1238437f, 0.118730165f, -0.117896952f, 0.0691514686f});
  Value square = b.mul(f, f);
  Value low = b.mul(b.mul(tail, f), square);
  low = b.multiplyAdd(e, -2.12194440e-4f, low);
  low = b.multiplyAdd(square, -0.5f, low);
  Value result = b.multiplyAdd(e, 0.693359375f, b.add(f, low));

  result = b.select(b.compare(P::OEQ, x, kInfinity), x, result);
  result = b.select(b.compare(P::OEQ, x, 0.0f), b.constant(-kInfinity), result);
  Value isUndefined = b.compare(P::ULT, x, 0.0f); // negative or NaN
  return b.select(isUndefined, b.constant(std::numeric_limits<float>::quiet_NaN()), result);
}

/// log(u) of u = 1 + x, corrected by what the rounding of u lost.
static Value expandLog1p(FloatBuilder &b, Value x) {
  using P = FloatBuilder::Predicate;
  Value u = b.add(x, b.constant(1.0f));
  Value lost = b.div(b.sub(x, b.sub(u, b.constant(1.0f))), u);
  Value logarithm = expandLog(b, u);
  // The correction is no number at the poles, where it is not needed.
  Value isFinite = b.compare(P::OLT, b.abs(logarithm), kInfinity);
  return b.select(isFinite, b.add(logarithm, lost), logarithm);
}

//===----------------------------------------------------------------------===//
// Sigmoidal functions
//===----------------------------------------------------------------------===//

static Value expandTanh(FloatBuilder &b, Value x) {
  using P = FloatBuilder::Predicate;
  Value magnitude = b.abs(x), square = b.mul(x, x);
  Value tail = b.polynomial(square, {-0.333333313f, 0.133332089f, -0.0539471321f, 0.0217025541f,
                                     -0.00818161201f, 0.00214652903f});
  Value small = b.multiplyAdd(b.mul(tail, square), x, x);
  // From 10 on it is 1; so one factor is enough.
  ReducedExponent e = reduceExponent(b, b.atMost(b.add(magnitude, magnitude), 20.0f));
  Value exponential = b.mul(expOfRest(b, e.r), powerOfTwo(b, e.nBits(b)));
  Value rest = b.div(b.constant(2.0f), b.add(exponential, b.constant(1.0f)));
  Value large = b.sub(b.constant(1.0f), rest);
  // Of a small one as well: the sum makes +0 of -0.
  return b.copySign(b.select(b.compare(P::OLT, magnitude, 0.625f), small, large), x);
}

static Value expandErf(FloatBuilder &b, Value x) {
  using P = FloatBuilder::Predicate;
  Value magnitude = b.abs(x), square = b.mul(x, x);
  Value slope = b.polynomial(square, {1.12837923f, -0.376126349f, 0.112836972f, -0.0268594977f,
                                      0.00520127825f, -0.00081455108f, 8.38202322e-05f});
  Value small = b.mul(slope, x);
  // 1 - erf is the exponential of a smooth function; at 4 it rounds away.
  Value logOfRest =
      b.polynomial(b.atMost(magnitude, 4.0f),
                   {0.000169209074f, -1.12948847f, -0.633400798f, -0.108220436f, 0.0250806529f,
                    -0.0041562696f, 0.000431396795f, -2.08289148e-05f});
  Value large = b.copySign(b.sub(b.constant(1.0f), expandExp(b, logOfRest)), x);
  return b.select(b.compare(P::OLT, magnitude, 0.91f), small, large);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// The replacement of `op`; null when it stays.
static Value expand(Operation *op, const Target &target) {
  if (auto power = dyn_cast<math::PowFOp>(op))
    return expandPower(power);
  if (op->getNumResults() != 1 || !getElementTypeOrSelf(op->getResult(0).getType()).isF32())
    return {};
  if (target.has(Isa::Avx512))
    if (Value expansion = expandByAvx512(op))
      return expansion;
  FloatBuilder b(op);
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](math::ExpOp o) { return expandExp(b, o.getOperand()); })
      .Case([&](math::ExpM1Op o) { return expandExpm1(b, o.getOperand()); })
      .Case([&](math::LogOp o) { return expandLog(b, o.getOperand()); })
      .Case([&](math::Log1pOp o) { return expandLog1p(b, o.getOperand()); })
      .Case([&](math::TanhOp o) { return expandTanh(b, o.getOperand()); })
      .Case([&](math::ErfOp o) { return expandErf(b, o.getOperand()); })
      .Default([](Operation *o) { return expandElementary(o); });
}

namespace {
struct ExpandMath : PassWrapper<ExpandMath, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMath)
  explicit ExpandMath(const Target &target) : target(target) {}
  StringRef getArgument() const override { return "quern-expand-math"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect, math::MathDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  }
  void runOnOperation() override {
    expandGelus(getOperation(), target);
    expandSigmoids(getOperation(), target);
    getOperation().walk([&](Operation *op) {
      if (Value expansion = expand(op, target)) {
        op->replaceAllUsesWith(ValueRange{expansion});
        op->erase();
      }
    });
  }

private:
  const Target &target;
};
} // namespace

std::unique_ptr<Pass> quern::native::createExpandMathPass(const Target &target) {
  return std::make_unique<ExpandMath>(target);
}
