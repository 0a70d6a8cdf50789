//===- DrawVision.cpp - random regions and windows of images --------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
Drawn anyImage(ModelDraw &draw, double maxBound = 1024) {
  return draw.any(
      [=](const Drawn &v) {
        return v.dtype == DType::Float32 && v.rank() == 4 && v.elements() > 0 &&
               v.elements() <= 4000 && v.bound <= maxBound && v.dims[2] >= 2 && v.dims[3] >= 2;
      },
      [&] {
        return draw.leaf(DType::Float32, {draw.between(1, 2), draw.between(1, 5),
                                          draw.between(2, 9), draw.between(2, 9)});
      });
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

/// Regions of halves of pixels within an image of the given height and width, with the
/// number of the image in front where `withImage`.
Tensor drawRegions(ModelDraw &draw, const Drawn &x, int64_t count, bool withImage) {
  Tensor tensor = Tensor::allocate(DType::Float32, {count, withImage ? 5 : 4}).take();
  float *out = tensor.mutableData<float>();
  for (int64_t i = 0; i < count; ++i) {
    if (withImage)
      *out++ = static_cast<float>(draw.below(x.dims[0]));
    int64_t left = draw.below(2 * x.dims[3] - 1), top = draw.below(2 * x.dims[2] - 1);
    int64_t right = draw.between(left, 2 * x.dims[3] - 2);
    int64_t bottom = draw.between(top, 2 * x.dims[2] - 2);
    for (int64_t place : {left, top, right, bottom})
      *out++ = static_cast<float>(place) / 2;
  }
  return tensor;
}

bool drawRoiAlign(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Drawn x = anyImage(draw);
  int64_t count = draw.below(4), height = draw.pick<int64_t>({1, 2, 4}),
          width = draw.pick<int64_t>({1, 2, 4});
  float scale = draw.pick({1.0f, 0.5f, 0.25f});
  Tensor regions = drawRegions(draw, x, count, /*withImage=*/false);
  for (int64_t i = 0; i < regions.numElements(); ++i)
    regions.mutableData<float>()[i] /= scale;
  Drawn rois = draw.leafOf(regions, 100);
  Drawn images = draw.leaf(DType::Int64, {count}, 0, x.dims[0] - 1);
  Drawn y{draw.fresh(), x.dtype, {count, x.dims[1], height, width}, x.bound, 0};
  y.error = 4 * x.error + 256 * roundingUnit(x.dtype) * x.bound;
  auto &node = draw.result("RoiAlign", {x.name, rois.name, images.name}, y);
  if (height != 1 || draw.percent(50))
    node.attr("output_height", height);
  if (width != 1 || draw.percent(50))
    node.attr("output_width", width);
  if (draw.percent(60))
    node.attr("sampling_ratio", draw.pick<int64_t>({0, 1, 2, 4}));
  if (scale != 1 || draw.percent(50))
    node.attr("spatial_scale", scale);
  if (draw.percent(50))
    node.attr("mode", draw.pick({"avg", "avg", "max"}));
  if (draw.opset() >= 16 && draw.percent(70))
    node.attr("coordinate_transformation_mode", draw.pick({"half_pixel", "output_half_pixel"}));
  return true;
}

bool drawMaxRoiPool(ModelDraw &draw) {
  Drawn x = anyImage(draw);
  int64_t count = draw.between(1, 4);
  std::vector<int64_t> shape = {draw.between(1, 3), draw.between(1, 3)};
  Drawn rois = draw.leafOf(drawRegions(draw, x, count, /*withImage=*/true), 100);
  Drawn y{draw.fresh(), x.dtype, {count, x.dims[1], shape[0], shape[1]}, x.bound, x.error};
  auto &node = draw.result("MaxRoiPool", {x.name, rois.name}, y).attr("pooled_shape", shape);
  if (draw.percent(40))
    node.attr("spatial_scale", draw.pick({1.0f, 0.5f, 0.25f}));
  return true;
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

bool drawCol2Im(ModelDraw &draw) {
  if (draw.opset() < 18)
    return false;
  int64_t rank = draw.pick<int64_t>({1, 2, 2, 3}), windows = 1, blockElements = 1;
  std::vector<int64_t> image, block, dilations, strides, pads(2 * rank);
  for (int64_t d = 0; d < rank; ++d) {
    image.push_back(draw.between(2, 6));
    block.push_back(draw.between(1, 3));
    dilations.push_back(draw.pick<int64_t>({1, 1, 2}));
    strides.push_back(draw.between(1, 2));
    pads[d] = draw.below(2);
    pads[d + rank] = draw.below(2);
    int64_t room = image[d] + pads[d] + pads[d + rank] - dilations[d] * (block[d] - 1) - 1;
    if (room < 0)
      return false;
    windows *= room / strides[d] + 1;
    blockElements *= block[d];
  }
  int64_t batch = draw.between(1, 2), channels = draw.between(1, 3);
  Drawn x =
      draw.operand(draw.pick({DType::Float32, DType::Float32, DType::Float64, DType::Float16}),
                   {batch, channels * blockElements, windows}, 64);
  auto terms = static_cast<double>(blockElements);
  Drawn y{draw.fresh(), x.dtype, {batch, channels}, terms * x.bound, terms * x.error};
  y.dims.insert(y.dims.end(), image.begin(), image.end());
  auto &node = draw.result("Col2Im", {x.name, draw.ints(image), draw.ints(block)}, y);
  auto isOther = [](const std::vector<int64_t> &values, int64_t usual) {
    return std::any_of(values.begin(), values.end(), [=](int64_t v) { return v != usual; });
  };
  if (isOther(dilations, 1) || draw.percent(50))
    node.attr("dilations", dilations);
  if (isOther(strides, 1) || draw.percent(50))
    node.attr("strides", strides);
  if (isOther(pads, 0) || draw.percent(50))
    node.attr("pads", pads);
  return true;
}

bool drawCenterCropPad(ModelDraw &draw) {
  if (draw.opset() < 18 || !draw.knowsRanks())
    return false;
  Drawn x = draw.any(
      [](const Drawn &v) { return v.rank() >= 1 && v.rank() <= 4 && v.elements() <= 4000; },
      [&] { return draw.leaf(draw.pick({DType::Float32, DType::Int64}), draw.drawDims(1, 4)); });
  std::vector<int64_t> axes, shape;
  Drawn y{draw.fresh(), x.dtype, x.dims, x.bound, x.error};
  bool namesAxes = draw.percent(60);
  for (int64_t d = 0; d < x.rank(); ++d)
    if (!namesAxes || draw.percent(60)) {
      axes.push_back(d);
      y.dims[d] = draw.between(0, 8);
      shape.push_back(y.dims[d]);
    }
  if (axes.empty() || y.elements() > 20000)
    return false;
  auto &node = draw.result("CenterCropPad", {x.name, draw.ints(shape)}, y);
  if (!namesAxes)
    return true;
  for (int64_t &axis : axes)
    axis = draw.signOfKnownRank(axis, x.rank());
  node.attr("axes", axes);
  return true;
}
} // namespace

OpFamily random::visionFamily() {
  return {3,
          5,
          {drawRoiAlign, drawRoiAlign, drawMaxRoiPool, drawCol2Im, drawCol2Im, drawCenterCropPad}};
}
