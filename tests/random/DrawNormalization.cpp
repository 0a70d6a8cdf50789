//===- DrawNormalization.cpp - random normalizations ----------------------===//
#include "tests/random/ModelDraw.h"

#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
Drawn anyTensor(ModelDraw &draw, int64_t minRank) {
  return draw.any(
      [=](const Drawn &v) {
        return (v.dtype == DType::Float32 || v.dtype == DType::Float64 ||
                v.dtype == DType::Float16) &&
               v.rank() >= minRank && v.bound <= 64 && v.elements() > 0;
      },
      [&] {
        Tensor::Dims dims = draw.drawDims(minRank, 4);
        for (int64_t &d : dims)
          d = std::max<int64_t>(d, 1);
        return draw.leaf(DType::Float32, dims);
      });
}

bool drawBatchNormalization(ModelDraw &draw) {
  Drawn x = anyTensor(draw, 1);
  // A vector is a batch of one channel.
  int64_t channels = x.rank() == 1 ? 1 : x.dims[1];
  Drawn scale = draw.parameter(x.dtype, {channels}), bias = draw.parameter(x.dtype, {channels});
  Drawn mean = draw.parameter(x.dtype, {channels}),
        variance = draw.parameter(x.dtype, {channels}, 1, 4);
  Drawn y{draw.fresh(), x.dtype, x.dims, 3 * (x.bound + 3) + 3, 3 * x.error};
  y.error += 4 * roundingUnit(x.dtype) * y.bound;
  auto &node = draw.result("BatchNormalization",
                           {x.name, scale.name, bias.name, mean.name, variance.name}, y);
  if (draw.percent(50))
    node.attr("epsilon", draw.percent(50) ? 0.125f : 1e-3f);
  return true;
}

bool drawInstanceNormalization(ModelDraw &draw) {
  Drawn x = anyTensor(draw, 3);
  Drawn scale = draw.parameter(x.dtype, {x.dims[1]}), bias = draw.parameter(x.dtype, {x.dims[1]});
  float epsilon = draw.pick({0.125f, 1e-2f, 1e-5f});
  // Equal elements have no deviation: the error grows by what 1 / sqrt(epsilon) is.
  double slope = 2 * 3 / std::sqrt(static_cast<double>(epsilon));
  Drawn y{draw.fresh(), x.dtype, x.dims, 0, slope * x.error};
  y.bound = 3 * std::sqrt(static_cast<double>(x.elements())) + 3;
  y.error += slope * roundingUnit(x.dtype) * x.bound;
  draw.result("InstanceNormalization", {x.name, scale.name, bias.name}, y).attr("epsilon", epsilon);
  return true;
}

/// The bound and error of what is normalized over `length` elements with this epsilon.
void boundNormalized(Drawn &y, const Drawn &x, int64_t length, float epsilon) {
  // Equal elements have no deviation: the error grows by what 1 / sqrt(epsilon) is.
  double slope = 2 * 3 / std::sqrt(static_cast<double>(epsilon));
  y.bound = 3 * std::sqrt(static_cast<double>(length)) + 3;
  y.error = slope * (x.error + roundingUnit(x.dtype) * x.bound) + roundingUnit(x.dtype) * y.bound;
}

bool drawLayerNormalization(ModelDraw &draw) {
  if (draw.opset() < 17)
    return false;
  Drawn x = anyTensor(draw, 1);
  int64_t axis = draw.below(x.rank());
  Tensor::Dims inner(x.dims.begin() + axis, x.dims.end());
  float epsilon = draw.pick({0.125f, 1e-2f, 1e-5f});
  Drawn y{draw.fresh(), x.dtype, x.dims, 0, 0};
  int64_t length = 1;
  for (int64_t d : inner)
    length *= d;
  boundNormalized(y, x, length, epsilon);
  std::vector<std::string> inputs = {x.name, draw.parameter(x.dtype, inner).name};
  if (draw.percent(70))
    inputs.push_back(draw.parameter(x.dtype, draw.broadcastable(inner)).name);
  auto &node = draw.result("LayerNormalization", inputs, y).attr("epsilon", epsilon);
  if (axis != x.rank() - 1 || draw.percent(50))
    node.attr("axis", draw.signOfKnownRank(axis, x.rank()));
  return true;
}

bool drawMeanVarianceNormalization(ModelDraw &draw) {
  if (draw.opset() < 9)
    return false;
  // Equal elements would be divided by rounding errors.
  Drawn x = draw.realLeaf(draw.pick({DType::Float32, DType::Float64}),
                          {draw.between(2, 4), draw.between(1, 3), 3, draw.between(2, 20)}, 1, 8);
  Drawn y{draw.fresh(), x.dtype, x.dims, 0, 0};
  boundNormalized(y, x, x.elements(), 1e-3f);
  draw.result("MeanVarianceNormalization", {x.name}, y);
  return true;
}

bool drawLpNormalization(ModelDraw &draw) {
  Drawn x = anyTensor(draw, 1);
  if (!x.isExact()) // near zero the slope has no bound
    return false;
  Drawn y{draw.fresh(), x.dtype, x.dims, 1, 4 * roundingUnit(x.dtype)};
  auto &node = draw.result("LpNormalization", {x.name}, y);
  node.attr("axis", draw.eitherSign(draw.below(x.rank()), x.rank()));
  if (draw.percent(60))
    node.attr("p", draw.pick<int64_t>({1, 2}));
  return true;
}

bool drawHardmax(ModelDraw &draw) {
  Drawn x = anyTensor(draw, 2);
  if (!x.isExact())
    return false;
  auto &node = draw.result("Hardmax", {x.name}, {draw.fresh(), x.dtype, x.dims, 1, 0});
  if (draw.percent(70))
    node.attr("axis", draw.opset() >= 11 ? draw.signOfKnownRank(draw.below(x.rank()), x.rank())
                                         : draw.below(x.rank()));
  return true;
}

bool drawLrn(ModelDraw &draw) {
  Drawn x = anyTensor(draw, 3);
  if (x.dtype != DType::Float32 || x.rank() != 4)
    return false;
  Drawn y{draw.fresh(), x.dtype, x.dims, x.bound,
          4 * x.error + 8 * roundingUnit(x.dtype) * x.bound};
  auto &node = draw.result("LRN", {x.name}, y).attr("size", draw.pick<int64_t>({1, 3, 5}));
  if (draw.percent(50))
    node.attr("alpha", draw.pick({0.5f, 0.001f})).attr("beta", draw.pick({0.5f, 0.75f}));
  if (draw.percent(30))
    node.attr("bias", 2.0f);
  return true;
}
} // namespace

OpFamily random::normalizationFamily() {
  return {9,
          8,
          {drawBatchNormalization, drawBatchNormalization, drawInstanceNormalization, drawLrn,
           drawLayerNormalization, drawLayerNormalization, drawMeanVarianceNormalization,
           drawLpNormalization, drawHardmax}};
}
