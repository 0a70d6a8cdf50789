//===- DrawResize.cpp - random resizes and samplings ----------------------===//
//
// Places are sums of few binary digits wherever they decide which elements are taken,
// so that they are the same in any precision.
//
//===----------------------------------------------------------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::random;

namespace {
bool isImage(const Drawn &v, int64_t minRank, int64_t maxRank) {
  return (v.dtype == DType::Float32 || v.dtype == DType::Float64 || v.dtype == DType::Float16) &&
         v.rank() >= minRank && v.rank() <= maxRank && v.elements() > 0 && v.elements() <= 4000 &&
         v.bound <= 1024;
}

Drawn anyImage(ModelDraw &draw, int64_t minRank, int64_t maxRank) {
  return draw.any([=](const Drawn &v) { return isImage(v, minRank, maxRank); },
                  [&] {
                    Tensor::Dims dims(draw.between(minRank, maxRank));
                    for (int64_t &d : dims)
                      d = draw.between(1, 7);
                    DType dtype =
                        draw.pick({DType::Float32, DType::Float32, DType::Float64, DType::Float16});
                    return draw.leaf(dtype, dims);
                  });
}

/// What interpolation of `x` is off by; a cubic one has weights beyond 1.
double interpolationError(const Drawn &x, double places) {
  return 4 * x.error + 64 * places * roundingUnit(DType::Float32) * x.bound +
         16 * roundingUnit(x.dtype) * x.bound;
}

//===----------------------------------------------------------------------===//
// Resize
//===----------------------------------------------------------------------===//

/// What is asked of each dimension of a resize.
struct Resizing {
  std::vector<int64_t> axes;
  std::vector<float> scales, roi;
  std::vector<int64_t> sizes;
  Tensor::Dims dims;
};

/// The dimensions that change: all, or some that `axes` name.
std::vector<int64_t> drawResizedAxes(ModelDraw &draw, int64_t rank, bool mayName) {
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (!mayName || draw.percent(60))
    return axes;
  for (size_t i = axes.size(); i > 1; --i)
    std::swap(axes[i - 1], axes[draw.below(static_cast<int64_t>(i))]);
  axes.resize(draw.between(1, rank));
  return axes;
}

/// A region of the input for each axis, of halves and quarters of it.
void drawRegion(ModelDraw &draw, Resizing &to) {
  std::vector<float> begins, ends;
  for (size_t i = 0; i < to.axes.size(); ++i) {
    begins.push_back(draw.pick({0.0f, 0.0f, 0.25f, 0.5f, -0.25f}));
    ends.push_back(draw.pick({1.0f, 1.0f, 0.75f, 0.5f, 1.25f}));
  }
  to.roi = begins;
  to.roi.insert(to.roi.end(), ends.begin(), ends.end());
}

void drawScaling(ModelDraw &draw, const Drawn &x, Resizing &to, bool givesScales) {
  to.dims = x.dims;
  for (size_t i = 0; i < to.axes.size(); ++i) {
    int64_t axis = to.axes[i], size = x.dims[axis];
    bool stays = axis < 2 && x.rank() >= 3 && draw.percent(70);
    if (!givesScales) {
      to.sizes.push_back(stays ? size : draw.pick<int64_t>({size, 2 * size, 1, 3, 4, 8}));
      to.dims[axis] = to.sizes.back();
      continue;
    }
    to.scales.push_back(stays ? 1.0f : draw.pick({1.0f, 2.0f, 0.5f, 1.5f, 0.75f, 3.0f, 0.25f}));
    to.dims[axis] = static_cast<int64_t>(std::floor(static_cast<double>(size) * to.scales.back()));
  }
}

/// One scale for all axes that keeps the aspect, and the sizes that come of it.
void keepAspect(Resizing &to, const Drawn &x, bool isSmaller) {
  double scale = isSmaller ? 1e9 : 0;
  for (size_t i = 0; i < to.axes.size(); ++i) {
    double ratio = static_cast<double>(to.sizes[i]) / static_cast<double>(x.dims[to.axes[i]]);
    scale = isSmaller ? std::min(scale, ratio) : std::max(scale, ratio);
  }
  for (int64_t axis : to.axes)
    to.dims[axis] =
        static_cast<int64_t>(std::floor(scale * static_cast<double>(x.dims[axis]) + 0.5));
}

Tensor floatsOf(const std::vector<float> &values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

/// Adds the operands after the first; what is not given is empty before opset 13.
void addOperands(ModelDraw &draw, std::vector<std::string> &inputs, const Resizing &to) {
  auto absent = [&] {
    return draw.opset() >= 13 ? std::string()
                              : draw.initializer(Tensor::allocate(DType::Float32, {0}).take());
  };
  inputs.push_back(to.roi.empty() ? absent() : draw.initializer(floatsOf(to.roi)));
  inputs.push_back(to.scales.empty()  ? absent()
                   : draw.percent(70) ? draw.initializer(floatsOf(to.scales))
                                      : draw.leafOf(floatsOf(to.scales), 4).name);
  if (!to.sizes.empty())
    inputs.push_back(draw.ints(to.sizes));
}

bool drawResize(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  Drawn x = anyImage(draw, 1, 5);
  std::string mode = draw.pick<std::string>({"nearest", "linear", "linear", "cubic"});
  std::string coordinates =
      draw.pick<std::string>({"half_pixel", "half_pixel", "pytorch_half_pixel", "align_corners",
                              "asymmetric", "tf_crop_and_resize", "half_pixel_symmetric"});
  bool crops = coordinates.starts_with("tf"), givesScales = draw.percent(50);
  if (coordinates.ends_with("symmetric") && draw.opset() < 19)
    return false;
  Resizing to;
  to.axes =
      drawResizedAxes(draw, x.rank(), draw.opset() >= 18 && x.rank() > 0 && draw.knowsRanks());
  bool namesAxes = static_cast<int64_t>(to.axes.size()) < x.rank() ||
                   !std::is_sorted(to.axes.begin(), to.axes.end());
  if (crops)
    drawRegion(draw, to);
  drawScaling(draw, x, to, givesScales);
  std::string policy;
  if (draw.opset() >= 18 && !givesScales && draw.percent(30)) {
    policy = draw.pick<std::string>({"not_larger", "not_smaller", "stretch"});
    if (policy != "stretch")
      keepAspect(to, x, policy == "not_larger");
  }
  Drawn y{draw.fresh(), x.dtype, to.dims, 2 * x.bound + 2, interpolationError(x, 8)};
  if (y.elements() > 20000 || y.elements() == 0)
    return false;
  if (mode == "nearest") {
    y.bound = std::max(x.bound, 2.0);
    y.error = x.error;
  }
  std::vector<std::string> inputs = {x.name};
  addOperands(draw, inputs, to);
  auto &node = draw.result("Resize", inputs, y);
  if (mode != "nearest" || draw.percent(50))
    node.attr("mode", mode.c_str());
  if (coordinates != "half_pixel" || draw.percent(50))
    node.attr("coordinate_transformation_mode", coordinates.c_str());
  if (mode == "nearest" && draw.percent(80))
    node.attr("nearest_mode",
              draw.pick({"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}));
  if (mode == "cubic" && draw.percent(50))
    node.attr("cubic_coeff_a", draw.pick({-0.5f, -0.75f}));
  if (mode == "cubic" && draw.percent(30))
    node.attr("exclude_outside", int64_t{1});
  if (crops && draw.percent(60))
    node.attr("extrapolation_value", draw.pick({2.0f, -1.0f}));
  if (mode != "nearest" && draw.opset() >= 18 && draw.percent(25))
    node.attr("antialias", int64_t{1});
  if (!policy.empty())
    node.attr("keep_aspect_ratio_policy", policy.c_str());
  if (namesAxes)
    node.attr("axes", to.axes);
  return true;
}

/// Upsample, and Resize of opset 10: factors only.
bool drawUpsample(ModelDraw &draw) {
  if (draw.opset() > 10)
    return false;
  Drawn x = anyImage(draw, 4, 4);
  bool linear = draw.percent(50);
  std::vector<float> scales = {1, 1};
  Drawn y{draw.fresh(), x.dtype, x.dims, x.bound, linear ? interpolationError(x, 8) : x.error};
  for (int64_t d : {2, 3}) {
    scales.push_back(draw.opset() == 10 ? draw.pick({1.0f, 2.0f, 0.5f, 0.6f, 0.7f, 4.0f / 3})
                                        : draw.pick({1.0f, 2.0f, 3.0f, 1.5f}));
    y.dims[d] = static_cast<int64_t>(std::floor(static_cast<float>(x.dims[d]) * scales.back()));
  }
  if (y.elements() == 0)
    return false;
  std::vector<std::string> inputs = {x.name};
  if (draw.opset() >= 9)
    inputs.push_back(draw.initializer(floatsOf(scales)));
  auto &node = draw.result(draw.opset() == 10 ? "Resize" : "Upsample", inputs, y);
  node.attr("mode", linear ? "linear" : "nearest");
  if (draw.opset() < 9) {
    auto &list = node.attribute("scales", quern::onnx::proto::AttributeProto::FLOATS);
    for (float scale : scales)
      list.add_floats(scale);
  }
  return true;
}

//===----------------------------------------------------------------------===//
// GridSample, AffineGrid
//===----------------------------------------------------------------------===//

/// Places of sixteenths around [-1, 1], which are exact in pixels; or what was computed.
Drawn drawGrid(ModelDraw &draw, const Tensor::Dims &dims, bool mayBeRounded) {
  auto fits = [&](const Drawn &v) {
    return v.dtype == DType::Float32 && v.dims == dims && v.bound <= 16 &&
           (v.isExact() || mayBeRounded) && v.error < 1e-4;
  };
  return draw.any(fits, [&] {
    Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      tensor.mutableData<float>()[i] = static_cast<float>(draw.between(-24, 24)) / 16;
    return draw.leafOf(tensor, 1.5);
  });
}

bool drawGridSample(ModelDraw &draw) {
  if (draw.opset() < 16)
    return false;
  Drawn x = anyImage(draw, 4, draw.opset() >= 20 ? 5 : 4);
  if (x.dtype == DType::Float16)
    return false;
  std::string mode = draw.pick<std::string>({"linear", "linear", "nearest", "cubic"});
  if (mode == "cubic" && x.rank() != 4)
    return false;
  Tensor::Dims gridDims = {x.dims[0]};
  Drawn y{draw.fresh(), x.dtype, {x.dims[0], x.dims[1]}, 4 * x.bound, 0};
  for (int64_t d = 2; d < x.rank(); ++d) {
    gridDims.push_back(draw.between(1, 6));
    y.dims.push_back(gridDims.back());
  }
  gridDims.push_back(x.rank() - 2);
  Drawn grid = drawGrid(draw, gridDims, mode != "nearest");
  double largest = 1;
  for (int64_t d = 2; d < x.rank(); ++d)
    largest = std::max(largest, static_cast<double>(x.dims[d]));
  y.error = mode == "nearest"
                ? x.error
                : interpolationError(x, largest) + 16 * largest * grid.error * x.bound;
  bool isOld = draw.opset() < 20;
  if (isOld && mode != "nearest")
    mode = "bi" + mode;
  auto &node = draw.result("GridSample", {x.name, grid.name}, y);
  if (mode != (isOld ? "bilinear" : "linear") || draw.percent(50))
    node.attr("mode", mode.c_str());
  if (draw.percent(70))
    node.attr("padding_mode", draw.pick({"zeros", "border", "reflection"}));
  if (draw.percent(60))
    node.attr("align_corners", draw.below(2));
  return true;
}

bool drawAffineGrid(ModelDraw &draw) {
  if (draw.opset() < 20)
    return false;
  int64_t axes = draw.between(2, 3), batch = draw.between(1, 3);
  Drawn theta = draw.operand(draw.pick({DType::Float32, DType::Float32, DType::Float64}),
                             {batch, axes, axes + 1}, 8);
  std::vector<int64_t> size = {batch, draw.between(1, 3)};
  Drawn y{draw.fresh(), theta.dtype, {batch}, 4 * theta.bound, 4 * theta.error};
  for (int64_t d = 0; d < axes; ++d) {
    size.push_back(draw.between(1, 6));
    y.dims.push_back(size.back());
  }
  y.dims.push_back(axes);
  y.error += 8 * roundingUnit(theta.dtype) * y.bound;
  auto &node = draw.result("AffineGrid", {theta.name, draw.constantInts(size)}, y);
  if (draw.percent(60))
    node.attr("align_corners", draw.below(2));
  return true;
}
} // namespace

OpFamily random::resizeFamily() {
  return {3,
          6,
          {drawResize, drawResize, drawResize, drawUpsample, drawGridSample, drawGridSample,
           drawAffineGrid},
          1};
}
