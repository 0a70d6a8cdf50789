//===- DrawReduction.cpp - random reductions, softmax, arg max ------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
Drawn anyFloat(ModelDraw &draw, double maxBound) {
  return draw.any(
      [=](const Drawn &v) {
        return isFloat(v.dtype) && v.dtype != DType::BFloat16 && v.bound <= maxBound &&
               v.rank() >= 1 && v.elements() > 0;
      },
      [&] {
        Tensor::Dims dims = draw.drawDims(1, 5);
        for (int64_t &d : dims)
          d = std::max<int64_t>(d, 1);
        return draw.leaf(
            draw.pick({DType::Float32, DType::Float32, DType::Float64, DType::Float16}), dims);
      });
}

struct Axes {
  /// Empty: none given.
  std::vector<int64_t> given;
  std::vector<bool> reduced;
  bool keepdims = true;
};

Axes drawAxes(ModelDraw &draw, const Drawn &x) {
  Axes axes;
  axes.reduced.assign(x.dims.size(), false);
  axes.keepdims = draw.percent(60);
  if (draw.percent(80))
    for (int64_t d = 0; d < x.rank(); ++d)
      if (draw.percent(45)) {
        axes.given.push_back(draw.opset() >= 11 ? draw.eitherSign(d, x.rank()) : d);
        axes.reduced[d] = true;
      }
  if (axes.given.empty())
    axes.reduced.assign(x.dims.size(), true);
  if (draw.percent(20))
    std::reverse(axes.given.begin(), axes.given.end());
  return axes;
}

Tensor::Dims reducedDims(const Drawn &x, const Axes &axes) {
  Tensor::Dims dims;
  for (size_t d = 0; d < x.dims.size(); ++d)
    if (!axes.reduced[d])
      dims.push_back(x.dims[d]);
    else if (axes.keepdims)
      dims.push_back(1);
  return dims;
}

int64_t reducedCount(const Drawn &x, const Axes &axes) {
  int64_t count = 1;
  for (size_t d = 0; d < x.dims.size(); ++d)
    count *= axes.reduced[d] ? x.dims[d] : 1;
  return count;
}

/// Bound and error of a reduction of `n` elements.
void describe(const std::string &kind, const Drawn &x, double n, Drawn &y) {
  double unit = roundingUnit(x.dtype);
  y.bound = n * x.bound;
  y.error = n * x.error;
  if (kind == "Mean") {
    y.bound = x.bound;
    y.error = x.error + unit * x.bound * std::sqrt(n);
  } else if (kind == "Max" || kind == "Min") {
    y.bound = x.bound;
    y.error = x.error;
  } else if (kind == "L2") {
    y.error += unit * y.bound;
  } else if (kind == "SumSquare") {
    y.bound = n * x.bound * x.bound;
    y.error = 2 * n * x.bound * x.error;
  } else if (kind == "LogSumExp") {
    y.bound = x.bound + std::log(n) + 1;
    y.error = x.error + 4 * unit * y.bound;
  }
  if (!x.isExact())
    y.error += unit * y.bound * std::sqrt(n);
}

bool drawReduce(ModelDraw &draw) {
  std::string kind = draw.pick<std::string>(
      {"Sum", "Sum", "Mean", "Mean", "Max", "Min", "L1", "L2", "SumSquare", "LogSumExp"});
  Drawn x = anyFloat(draw, kind == "LogSumExp" ? 8 : 64);
  Axes axes = drawAxes(draw, x);
  bool axesAreInput = draw.opset() >= (kind == "Sum" ? 13 : 18);
  // Without axes, `noop_with_empty_axes` makes it a copy.
  bool copies = axesAreInput && axes.given.empty() && draw.percent(40);
  Drawn y{draw.fresh(), x.dtype, copies ? x.dims : reducedDims(x, axes), x.bound, x.error};
  if (!copies)
    describe(kind, x, static_cast<double>(reducedCount(x, axes)), y);
  std::vector<std::string> inputs = {x.name};
  if (axesAreInput && !axes.given.empty())
    inputs.push_back(draw.ints(axes.given));
  auto &node = draw.result("Reduce" + kind, inputs, y);
  if (!axesAreInput && !axes.given.empty())
    node.attr("axes", axes.given);
  if (!axes.keepdims || draw.percent(30))
    node.attr("keepdims", int64_t{axes.keepdims});
  if (copies)
    node.attr("noop_with_empty_axes", int64_t{1});
  return true;
}

bool drawReduceIntegers(ModelDraw &draw) {
  DType dtype = draw.pick({DType::Int32, DType::Int64});
  Drawn x = draw.any(
      [=](const Drawn &v) { return v.dtype == dtype && v.rank() >= 1 && v.elements() > 0; },
      [&] { return draw.leaf(dtype, {draw.between(1, 5), draw.between(1, 20)}); });
  std::string kind = draw.pick<std::string>({"Sum", "Max", "Min", "Prod", "SumSquare", "L1"});
  Axes axes = drawAxes(draw, x);
  Drawn y{draw.fresh(), dtype, reducedDims(x, axes), 0x1p63, 0};
  std::vector<std::string> inputs = {x.name};
  bool axesAreInput = draw.opset() >= (kind == "Sum" ? 13 : 18);
  if (axesAreInput && !axes.given.empty())
    inputs.push_back(draw.ints(axes.given));
  auto &node = draw.result("Reduce" + kind, inputs, y);
  if (!axesAreInput && !axes.given.empty())
    node.attr("axes", axes.given);
  if (!axes.keepdims)
    node.attr("keepdims", int64_t{0});
  return true;
}

bool drawSoftmax(ModelDraw &draw) {
  Drawn x = anyFloat(draw, 32);
  int64_t axis = draw.below(x.rank());
  // Before opset 13 the default is 1, and all dimensions after the axis count too.
  bool isDefault = axis == (draw.opset() >= 13 ? x.rank() - 1 : 1) && draw.percent(60);
  if (draw.opset() >= 11)
    axis = draw.eitherSign(axis, x.rank());
  bool logarithm = draw.percent(30);
  Drawn y{draw.fresh(), x.dtype, x.dims, 1, 2 * x.error + 8 * roundingUnit(x.dtype)};
  if (logarithm) {
    y.bound = 2 * x.bound + 12;
    y.error = 2 * x.error + 8 * roundingUnit(x.dtype) * y.bound;
  }
  auto &node = draw.result(logarithm ? "LogSoftmax" : "Softmax", {x.name}, y);
  if (!isDefault)
    node.attr("axis", axis);
  return true;
}

/// On integers as floats, so that ties are frequent.
bool drawArg(ModelDraw &draw) {
  Drawn x = anyFloat(draw, 1024);
  if (!x.isExact())
    return false;
  int64_t axis = draw.below(x.rank());
  bool keepdims = draw.percent(50);
  Drawn y{draw.fresh(), DType::Int64, x.dims, static_cast<double>(x.dims[axis]), 0};
  if (keepdims)
    y.dims[axis] = 1;
  else
    y.dims.erase(y.dims.begin() + axis);
  bool isDefault = axis == 0 && draw.percent(50);
  if (draw.opset() >= 11)
    axis = draw.eitherSign(axis, x.rank());
  auto &node = draw.result(draw.percent(50) ? "ArgMax" : "ArgMin", {x.name}, y);
  if (!isDefault)
    node.attr("axis", axis);
  if (!keepdims || draw.percent(30))
    node.attr("keepdims", int64_t{keepdims});
  if (draw.opset() >= 12 && draw.percent(50))
    node.attr("select_last_index", draw.below(2));
  return true;
}

/// On integers, as drawArg.
bool drawTopK(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Drawn x = anyFloat(draw, 1024);
  if (!x.isExact())
    return false;
  int64_t axis = draw.below(x.rank()), k = draw.between(0, x.dims[axis]);
  Drawn values{draw.fresh(), x.dtype, x.dims, x.bound, 0};
  values.dims[axis] = k;
  Drawn places{draw.fresh(), DType::Int64, values.dims, static_cast<double>(x.dims[axis]), 0};
  auto &node = draw.node("TopK", {x.name, draw.ints({k})}, {values.name, places.name});
  if (axis != x.rank() - 1 || draw.percent(50))
    node.attr("axis", draw.opset() >= 11 ? draw.eitherSign(axis, x.rank()) : axis);
  if (draw.opset() >= 11 && draw.percent(60))
    node.attr("largest", draw.below(2));
  draw.keep(values);
  draw.keep(places);
  return true;
}

bool drawCumSum(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  Drawn x = anyFloat(draw, 64);
  int64_t axis = draw.below(x.rank());
  if (x.dtype == DType::Float16)
    return false;
  double n = static_cast<double>(x.dims[axis]);
  Drawn y{draw.fresh(), x.dtype, x.dims, n * x.bound, n * x.error};
  if (!x.isExact())
    y.error += roundingUnit(x.dtype) * y.bound;
  std::string at = draw.percent(70) ? draw.constantInts({draw.eitherSign(axis, x.rank())})
                                    : draw.ints({draw.eitherSign(axis, x.rank())}, DType::Int32);
  auto &node = draw.result("CumSum", {x.name, at}, y);
  for (const char *flag : {"exclusive", "reverse"})
    if (draw.percent(40))
      node.attr(flag, draw.below(2));
  return true;
}
} // namespace

OpFamily random::reductionFamily() {
  return {12,
          6,
          {drawReduce, drawReduce, drawReduceIntegers, drawSoftmax, drawSoftmax, drawArg, drawTopK,
           drawCumSum},
          1};
}
