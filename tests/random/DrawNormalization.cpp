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
  return {
      5, 8, {drawBatchNormalization, drawBatchNormalization, drawInstanceNormalization, drawLrn}};
}
