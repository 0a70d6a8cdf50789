//===- DrawLoss.cpp - random losses ---------------------------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
bool drawLoss(ModelDraw &draw) {
  if (draw.opset() < 12)
    return false;
  bool ofScores = draw.percent(50);
  auto fits = [](const Drawn &v) {
    return (v.dtype == DType::Float32 || v.dtype == DType::Float64) && v.rank() >= 2 &&
           v.rank() <= 4 && v.elements() > 0 && v.elements() <= 4000 && v.bound <= 32;
  };
  Drawn x = draw.any(fits, [&] {
    Tensor::Dims dims(draw.between(2, 4));
    for (int64_t &d : dims)
      d = draw.between(1, 6);
    return draw.leaf(draw.pick({DType::Float32, DType::Float64}), dims);
  });
  int64_t classes = x.dims[1];
  Tensor::Dims of = x.dims;
  of.erase(of.begin() + 1);
  DType type = draw.pick({DType::Int64, DType::Int32});
  bool ignores = draw.percent(40);
  int64_t ignored = draw.percent(50) ? -1 : draw.below(classes);
  Drawn target = draw.leaf(type, of, ignores && ignored < 0 ? -1 : 0, classes - 1);
  std::vector<std::string> inputs = {x.name, target.name};
  if (draw.percent(50))
    inputs.push_back(draw.parameter(x.dtype, {classes}, 1, 4).name);
  std::string reduction = draw.pick<std::string>({"none", "sum", "mean", "mean"});
  double count = reduction == "none" ? 1 : static_cast<double>(x.elements() / classes);
  double logarithm = ofScores ? 2 * x.bound + std::log(static_cast<double>(classes)) : x.bound;
  Drawn loss{draw.fresh(), x.dtype, reduction == "none" ? of : Tensor::Dims(),
             4 * count * logarithm, 0};
  loss.error = 8 * count * (2 * x.error + 16 * roundingUnit(x.dtype) * std::max(logarithm, 1.0));
  std::vector<std::string> outputs = {loss.name};
  Drawn logarithms{draw.fresh(), x.dtype, x.dims, logarithm,
                   2 * x.error + 16 * roundingUnit(x.dtype) * logarithm};
  bool both = ofScores && draw.percent(40);
  if (both)
    outputs.push_back(logarithms.name);
  auto &node = draw.node(ofScores ? "SoftmaxCrossEntropyLoss" : "NegativeLogLikelihoodLoss", inputs,
                         outputs);
  if (reduction != "mean" || draw.percent(50))
    node.attr("reduction", reduction.c_str());
  if (ignores)
    node.attr("ignore_index", ignored);
  // A mean of samples that are all ignored is no number: nothing is computed from it.
  if (both)
    draw.keep(logarithms);
  if (reduction != "mean" || !ignores)
    draw.keep(loss);
  return true;
}
} // namespace

OpFamily random::lossFamily() { return {1, 1, {drawLoss}}; }
