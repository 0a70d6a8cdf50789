//===- DrawShape.cpp - random changes of shape ----------------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>

using namespace quern;
using namespace quern::random;

namespace {
Drawn anyValue(ModelDraw &draw, int64_t minRank = 0) {
  return draw.any([=](const Drawn &v) { return v.rank() >= minRank && v.elements() <= 20000; },
                  [&] { return draw.leaf(draw.drawFloat(), draw.drawDims(minRank, 5)); });
}

Drawn like(ModelDraw &draw, const Drawn &x, Tensor::Dims dims) {
  return {draw.fresh(), x.dtype, std::move(dims), x.bound, x.error};
}

/// Some dims with as many elements.
Tensor::Dims refactored(ModelDraw &draw, int64_t elements) {
  Tensor::Dims dims;
  for (int64_t rest = elements; rest > 1;) {
    int64_t factor = rest;
    for (int64_t f : {2, 3, 4, 5, 7, 8, 16})
      if (rest % f == 0 && draw.percent(40))
        factor = f;
    dims.push_back(factor);
    rest /= factor;
  }
  for (int64_t ones = draw.pick<int64_t>({0, 0, 1, 2}); ones > 0 && dims.size() < 5; --ones)
    dims.insert(dims.begin() + draw.below(static_cast<int64_t>(dims.size()) + 1), 1);
  return dims;
}

bool drawReshape(ModelDraw &draw) {
  Drawn x = anyValue(draw);
  Tensor::Dims dims = x.elements() == 0 ? x.dims : refactored(draw, x.elements());
  std::vector<int64_t> target = dims;
  bool allowsZero = draw.opset() >= 14 && draw.percent(15);
  // 0 copies the dimension of the input.
  for (size_t i = 0; i < target.size() && !allowsZero; ++i)
    if (i < x.dims.size() && x.dims[i] == target[i] && draw.percent(50))
      target[i] = 0;
  for (size_t i = 0; i < target.size() && !allowsZero; ++i)
    if (target[i] == 0 && (i >= x.dims.size() || x.dims[i] != dims[i]))
      return false;
  if (!target.empty() && x.elements() > 0 && draw.percent(40))
    target[draw.below(static_cast<int64_t>(target.size()))] = -1;
  auto &node = draw.result("Reshape", {x.name, draw.ints(target)}, like(draw, x, dims));
  if (allowsZero)
    node.attr("allowzero", int64_t{1});
  return true;
}

bool drawFlatten(ModelDraw &draw) {
  Drawn x = anyValue(draw);
  int64_t axis = draw.below(x.rank() + 1), outer = 1, inner = 1;
  for (int64_t d = 0; d < x.rank(); ++d)
    (d < axis ? outer : inner) *= x.dims[d];
  bool isDefault = axis == 1 && draw.percent(50);
  if (draw.opset() >= 11 && axis < x.rank())
    axis = draw.eitherSign(axis, x.rank());
  auto &node = draw.result("Flatten", {x.name}, like(draw, x, {outer, inner}));
  if (!isDefault)
    node.attr("axis", axis);
  return true;
}

/// Axes are an attribute before opset 13, an operand after.
void addAxes(ModelDraw &draw, const std::string &op, const Drawn &x, Drawn y,
             const std::vector<int64_t> &axes) {
  if (draw.opset() >= 13)
    draw.result(op, {x.name, draw.ints(axes)}, std::move(y));
  else
    draw.result(op, {x.name}, std::move(y)).attr("axes", axes);
}

bool drawSqueeze(ModelDraw &draw) {
  Drawn x = anyValue(draw, 1);
  std::vector<int64_t> axes;
  Tensor::Dims dims;
  bool all = draw.percent(25), any = false;
  for (int64_t d = 0; d < x.rank(); ++d) {
    bool removed = x.dims[d] == 1 && (all || draw.percent(60));
    any |= removed;
    if (removed)
      axes.push_back(draw.opset() >= 11 ? draw.eitherSign(d, x.rank()) : d);
    else
      dims.push_back(x.dims[d]);
  }
  if (!any)
    return false;
  if (draw.percent(30))
    std::reverse(axes.begin(), axes.end());
  if (all)
    draw.result("Squeeze", {x.name}, like(draw, x, dims));
  else
    addAxes(draw, "Squeeze", x, like(draw, x, dims), axes);
  return true;
}

bool drawUnsqueeze(ModelDraw &draw) {
  Drawn x = anyValue(draw);
  if (x.rank() > 4)
    return false;
  Tensor::Dims dims = x.dims;
  int64_t count = draw.between(1, 2), rank = x.rank() + count;
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = draw.below(static_cast<int64_t>(dims.size()) + 1);
    dims.insert(dims.begin() + at, 1);
    for (int64_t &axis : axes)
      axis += axis >= at ? 1 : 0;
    axes.push_back(at);
  }
  for (int64_t &axis : axes)
    axis = draw.opset() >= 11 ? draw.eitherSign(axis, rank) : axis;
  if (draw.opset() < 13)
    std::sort(axes.begin(), axes.end());
  addAxes(draw, "Unsqueeze", x, like(draw, x, dims), axes);
  return true;
}

bool drawShape(ModelDraw &draw) {
  Drawn x = anyValue(draw);
  Drawn y{draw.fresh(), DType::Int64, {x.rank()}, 20000, 0};
  if (draw.percent(20)) {
    y.dims = {};
    draw.result("Size", {x.name}, y);
    return true;
  }
  if (draw.opset() < 15 || draw.percent(40)) {
    draw.result("Shape", {x.name}, y);
    return true;
  }
  int64_t start = draw.between(-x.rank() - 1, x.rank() + 1);
  int64_t end = draw.between(-x.rank() - 1, x.rank() + 1);
  bool hasEnd = draw.percent(60);
  auto clamped = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + x.rank() : at, 0, x.rank());
  };
  y.dims = {std::max<int64_t>((hasEnd ? clamped(end) : x.rank()) - clamped(start), 0)};
  auto &node = draw.result("Shape", {x.name}, y).attr("start", start);
  if (hasEnd)
    node.attr("end", end);
  return true;
}

bool drawConstantOfShape(ModelDraw &draw) {
  if (draw.opset() < 9)
    return false;
  Tensor::Dims dims = draw.drawDims(0, 3);
  DType dtype = draw.pick({DType::Float32, DType::Int64, DType::Float64, DType::Bool});
  int64_t fill = draw.between(0, 1);
  bool isDefault = dtype == DType::Float32 && draw.percent(40);
  auto &node = draw.result("ConstantOfShape", {draw.ints(dims)},
                           {draw.fresh(), dtype, dims, isDefault ? 0.0 : 1.0, 0});
  if (isDefault)
    return true;
  auto *value = node.attribute("value", quern::onnx::proto::AttributeProto::TENSOR).mutable_t();
  value->set_data_type(static_cast<int>(dtype));
  value->add_dims(1);
  if (dtype == DType::Float32)
    value->add_float_data(static_cast<float>(fill));
  else if (dtype == DType::Float64)
    value->add_double_data(static_cast<double>(fill));
  else if (dtype == DType::Int64)
    value->add_int64_data(fill);
  else
    value->add_int32_data(static_cast<int32_t>(fill));
  return true;
}

bool drawRange(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  DType dtype = draw.pick({DType::Int64, DType::Int32, DType::Float32});
  int64_t start = draw.between(-4, 4), delta = draw.pick<int64_t>({1, 2, -1, -3}),
          limit = draw.between(-9, 9);
  int64_t distance = delta > 0 ? limit - start : start - limit, step = std::abs(delta);
  int64_t size = distance <= 0 ? 0 : (distance + step - 1) / step;
  auto scalar = [&](int64_t v) { return draw.leaf(dtype, {}, v, v).name; };
  std::vector<std::string> inputs = {scalar(start), scalar(limit), scalar(delta)};
  draw.result("Range", inputs, {draw.fresh(), dtype, {size}, 9, 0});
  return true;
}

bool drawDropout(ModelDraw &draw) {
  Drawn x = draw.any([](const Drawn &v) { return isFloat(v.dtype) && v.dtype != DType::BFloat16; },
                     [&] { return draw.leaf(DType::Float32, draw.drawDims(0, 4)); });
  draw.result("Dropout", {x.name}, like(draw, x, x.dims));
  return true;
}
} // namespace

OpFamily random::shapeFamily() {
  return {12,
          6,
          {drawReshape, drawReshape, drawReshape, drawFlatten, drawSqueeze, drawUnsqueeze,
           drawUnsqueeze, drawShape, drawConstantOfShape, drawRange, drawDropout}};
}
