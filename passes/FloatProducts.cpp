//===- FloatProducts.cpp - products of floats that are dequantized --------===//
#include "passes/FloatProducts.h"

#include "ir/Constants.h"
#include "ir/Types.h"
#include "passes/QuantizedValues.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

/// Whether a scale or zero point is one number, or along `axis`.
static bool isAlong(DequantizeOp op, Value parameter, int64_t axis) {
  if (isNone(parameter))
    return true;
  std::optional<Shape> shape = shapeOf(parameter.getType()), x = shapeOf(op.getX().getType());
  if (!shape || !x || !shape->isStatic())
    return false;
  int64_t found = op.getAxis() < 0 ? op.getAxis() + x->rank() : op.getAxis();
  return shape->numElements() == 1 || (shape->rank() == 1 && found == axis);
}

/// Whether one scale and one zero point of the whole tensor are known.
static bool hasKnownParameters(DequantizeOp op) {
  return knownNumber(op.getScale()) && knownNumber(op.getZeroPoint());
}

static bool areWeights(DequantizeOp op, int64_t axis) {
  return isConstant(op.getX()) && isConstant(op.getScale()) && isAlong(op, op.getScale(), axis) &&
         isAlong(op, op.getZeroPoint(), axis);
}

/// Matches `x` by `weights`, whose channels of the result are along `axis`.
static bool matchFactors(Value x, Value weights, int64_t axis, FloatProduct &product) {
  DequantizeOp left = dequantizedBytes(x), right = dequantizedBytes(weights);
  bool mayBeComputed = isa<MatMulOp>(product.op);
  if (!left || !right || !hasKnownParameters(left) ||
      !(areWeights(right, axis) ||
        (mayBeComputed && !isConstant(right.getX()) && hasKnownParameters(right))))
    return false;
  product.factors = {left.getX(), left.getZeroPoint(), right.getX(), right.getZeroPoint()};
  product.xScale = left.getScale();
  product.weightsScale = right.getScale();
  return true;
}

/// The float32 elements of a constant; none of what is no such constant.
static std::vector<float> floatsOf(Value value) {
  std::optional<Tensor> tensor = constantTensor(value);
  if (!tensor || tensor->dtype() != DType::Float32)
    return {};
  auto elements = tensor->elementsAs<float>();
  return {elements.begin(), elements.end()};
}

/// Whether a bias has the scale that the sums of the product have.
static bool hasScaleOfSums(Value scale, const FloatProduct &product) {
  std::vector<float> found = floatsOf(scale), x = floatsOf(product.xScale),
                     weights = floatsOf(product.weightsScale);
  if (x.empty() || found.empty() || weights.empty())
    return false;
  // What quantizers compute in float64, or in another order.
  constexpr float kRounding = 1e-5F;
  size_t count = std::max(found.size(), weights.size());
  if ((found.size() != 1 && found.size() != count) ||
      (weights.size() != 1 && weights.size() != count))
    return false;
  for (size_t i = 0; i < count; ++i) {
    float wanted = x[0] * weights[weights.size() == 1 ? 0 : i];
    if (!(std::abs(found[found.size() == 1 ? 0 : i] - wanted) <= kRounding * std::abs(wanted)))
      return false;
  }
  return true;
}

static void matchBias(Value bias, FloatProduct &product) {
  product.integerBias = product.floatBias = bias;
  auto op = isNone(bias) ? DequantizeOp() : bias.getDefiningOp<DequantizeOp>();
  bool isInteger = op && elementTypeOf(op.getX()).isSignlessInteger(32) && isConstant(op.getX()) &&
                   op.getBlockSize() == 0 && knownNumber(op.getZeroPoint()) == 0 &&
                   hasScaleOfSums(op.getScale(), product);
  if (isNone(bias))
    return;
  if (isInteger)
    product.integerBias = op.getX();
  else
    product.integerBias = {};
}

std::optional<FloatProduct> passes::matchFloatProduct(Operation *op) {
  FloatProduct product{.op = op};
  if (auto conv = dyn_cast<ConvOp>(op)) {
    std::optional<Shape> weights = shapeOf(conv.getWeights().getType());
    if (!weights || !matchFactors(conv.getInput(), conv.getWeights(), 0, product))
      return std::nullopt;
    product.spatialRank = weights->rank() - 2;
    matchBias(conv.getBias(), product);
    return product;
  }
  if (auto matmul = dyn_cast<MatMulOp>(op)) {
    if (!matchFactors(matmul.getA(), matmul.getB(), 1, product))
      return std::nullopt;
    return product;
  }
  auto gemm = dyn_cast<GemmOp>(op);
  if (!gemm || gemm.getTransA() || !gemm.getAlpha().isExactlyValue(1) ||
      (!isNone(gemm.getC()) && !gemm.getBeta().isExactlyValue(1)))
    return std::nullopt;
  product.isTransposed = gemm.getTransB();
  if (!matchFactors(gemm.getA(), gemm.getB(), product.isTransposed ? 0 : 1, product))
    return std::nullopt;
  matchBias(gemm.getC(), product);
  return product;
}
