//===- ResizeTaps.cpp - what each element of a resized axis is made of ----===//
#include "runtime/reference/ResizeTaps.h"

#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Indexing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Coordinates
//===----------------------------------------------------------------------===//

/// The coordinate in the input of a coordinate in the result. Where the ONNX
/// text says length_resized, the conformance data use scale * input unrounded.
static double originalCoordinate(ResizeCoordinates mode, const ResizeAxis &axis,
                                 int64_t coordinate) {
  auto x = static_cast<double>(coordinate);
  double last = static_cast<double>(axis.input) - 1;
  double resized = axis.scale * static_cast<double>(axis.input);
  switch (mode) {
  case ResizeCoordinates::HalfPixel:
    return (x + 0.5) / axis.scale - 0.5;
  case ResizeCoordinates::HalfPixelSymmetric: {
    // Keeps the centre where it is when the result's size was rounded.
    double centre = static_cast<double>(axis.input) / 2;
    return centre * (1 - static_cast<double>(axis.output) / resized) + (x + 0.5) / axis.scale - 0.5;
  }
  case ResizeCoordinates::PytorchHalfPixel:
    return axis.output > 1 ? (x + 0.5) / axis.scale - 0.5 : 0;
  case ResizeCoordinates::AlignCorners:
    return axis.output > 1 ? x * last / (resized - 1) : 0;
  case ResizeCoordinates::Asymmetric:
    return x / axis.scale;
  case ResizeCoordinates::TfHalfPixelForNn:
    return (x + 0.5) / axis.scale;
  case ResizeCoordinates::TfCropAndResize: {
    double extent = axis.roiEnd - axis.roiBegin;
    if (axis.output > 1)
      return axis.roiBegin * last + x * extent * last / (static_cast<double>(axis.output) - 1);
    return 0.5 * (axis.roiBegin + axis.roiEnd) * last;
  }
  }
  return x;
}

/// A coordinate that is safe to turn into an integer and near which nothing but
/// the edge of the axis is seen.
static double limitedCoordinate(double x, const ResizeAxis &axis) {
  constexpr double kMargin = 8;
  return std::isnan(x) ? 0 : std::clamp(x, -kMargin, static_cast<double>(axis.input) + kMargin);
}

bool reference::isOutside(const ResizeRule &rule, const ResizeAxis &axis, int64_t coordinate) {
  if (rule.coordinates != ResizeCoordinates::TfCropAndResize)
    return false;
  double x = originalCoordinate(rule.coordinates, axis, coordinate);
  return !(x >= 0 && x <= static_cast<double>(axis.input - 1));
}

bool reference::isIdentity(const ResizeRule &rule, const ResizeAxis &axis) {
  return axis.input == axis.output && axis.scale == 1 &&
         rule.coordinates != ResizeCoordinates::TfCropAndResize &&
         rule.coordinates != ResizeCoordinates::TfHalfPixelForNn;
}

//===----------------------------------------------------------------------===//
// Elements and weights
//===----------------------------------------------------------------------===//

/// FloorOrCeil of x / scale. In float32, as ONNX Runtime divides: where a scale such as 4/3 is
/// rounded, the quotient is the integer that is meant.
static double floorOrCeil(const ResizeAxis &axis, int64_t coordinate) {
  float x = static_cast<float>(coordinate) / static_cast<float>(axis.scale);
  return limitedCoordinate(axis.scale < 1 ? std::ceil(x) : std::floor(x), axis);
}

int64_t reference::nearestElement(const ResizeRule &rule, const ResizeAxis &axis,
                                  int64_t coordinate) {
  double x = limitedCoordinate(originalCoordinate(rule.coordinates, axis, coordinate), axis);
  switch (rule.nearest) {
  case NearestMode::RoundPreferFloor:
    x = std::ceil(x - 0.5);
    break;
  case NearestMode::RoundPreferCeil:
    x = std::floor(x + 0.5);
    break;
  case NearestMode::Floor:
    x = std::floor(x);
    break;
  case NearestMode::Ceil:
    x = std::ceil(x);
    break;
  case NearestMode::FloorOrCeil:
    x = floorOrCeil(axis, coordinate);
    break;
  }
  return std::clamp<int64_t>(static_cast<int64_t>(x), 0, axis.input - 1);
}

/// The weight of an element at `distance` from the sampled point.
static double interpolationWeight(const ResizeRule &rule, double distance) {
  double t = std::abs(distance), a = rule.cubicCoefficient;
  if (rule.mode == ResizeMode::Linear)
    return std::max(0.0, 1 - t);
  if (t <= 1)
    return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

/// How much wider weights are than without antialiasing.
static double wideningOf(const ResizeRule &rule, const ResizeAxis &axis) {
  return rule.antialias && axis.scale < 1 ? 1 / axis.scale : 1;
}

Expected<int64_t> reference::mostTaps(const ResizeRule &rule, const ResizeAxis &axis) {
  double reach = std::ceil((rule.mode == ResizeMode::Cubic ? 2 : 1) * wideningOf(rule, axis));
  if (!(reach < 0x1p31))
    return resourceLimit(fmt::format("a scale of {} needs too many elements", axis.scale));
  return 2 * static_cast<int64_t>(reach) + 1;
}

/// Taps beyond the axis are its outer elements.
ResizeSample reference::sampleAt(const ResizeRule &rule, const ResizeAxis &axis, int64_t coordinate,
                                 std::span<ResizeTap> taps) {
  double x = limitedCoordinate(originalCoordinate(rule.coordinates, axis, coordinate), axis);
  auto below = static_cast<int64_t>(std::floor(x)),
       reach = (static_cast<int64_t>(taps.size()) - 1) / 2;
  double widening = wideningOf(rule, axis), sum = 0;
  size_t count = 0;
  for (int64_t i = below - reach + 1; i <= below + reach; ++i) {
    double weight = interpolationWeight(rule, (x - static_cast<double>(i)) / widening);
    bool excluded = rule.excludeOutside && (i < 0 || i >= axis.input);
    // Without weight an element does not count, even if it is infinite.
    if (weight == 0 || excluded)
      continue;
    taps[count++] = {std::clamp<int64_t>(i, 0, axis.input - 1), weight};
    sum += weight;
  }
  if (rule.excludeOutside || rule.antialias)
    for (ResizeTap &tap : taps.first(count))
      tap.weight /= sum;
  return {taps.first(count), isOutside(rule, axis, coordinate)};
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// The elements of a float vector with `count` entries.
static Expected<std::vector<double>> readFloats(const Tensor &tensor, std::string_view what,
                                                int64_t count) {
  if (tensor.rank() != 1 || tensor.dim(0) != count)
    return invalidInput(
        fmt::format("{} needs {} entries, found {}", what, count, tensor.describe()));
  std::vector<double> values;
  QUERN_TRY(visitFloat(tensor.dtype(), [&]<typename T>() {
    for (T value : tensor.elementsAs<T>())
      values.push_back(widen(value));
    return Status::ok();
  }));
  return values;
}

/// The size of an axis scaled as ONNX shape inference does it, in float. A region does not
/// change it: the text of the specification says so, but neither ONNX's shape inference, its
/// reference nor ONNX Runtime do that.
static Status scaleAxis(ResizeAxis &axis, double scale) {
  if (!(scale > 0) || std::isinf(scale))
    return invalidInput(fmt::format("scales must be positive, found {:f}", scale));
  float size = std::floor(static_cast<float>(axis.input) * static_cast<float>(scale));
  if (!(size >= 0 && size < 0x1p62f))
    return resourceLimit(
        fmt::format("a dimension of {} scaled by {:f} has no valid size", axis.input, scale));
  axis.scale = scale;
  // Float does not hold all large sizes.
  axis.output = scale == 1 ? axis.input : static_cast<int64_t>(size);
  return Status::ok();
}

Expected<std::vector<ResizeAxis>> reference::resizeAxes(const Tensor::Dims &input,
                                                        const ResizeOperands &operands, bool crop) {
  const Tensor &roi = operands.roi, &scaleOperand = operands.scales, &sizeOperand = operands.sizes;
  if (!scaleOperand.isPresent() && !sizeOperand.isPresent())
    return invalidInput("scales or sizes must be given");
  size_t rank = input.size();
  auto entries = static_cast<int64_t>(rank);
  std::vector<double> scales, region;
  std::vector<int64_t> sizes;
  if (crop) {
    QUERN_ASSIGN(region, readFloats(roi, "roi", 2 * entries));
  }
  if (scaleOperand.isPresent()) {
    QUERN_ASSIGN(scales, readFloats(scaleOperand, "scales", entries));
  }
  if (sizeOperand.isPresent()) {
    QUERN_ASSIGN(sizes, readInts(sizeOperand, "sizes"));
    if (sizes.size() != rank)
      return invalidInput(fmt::format("sizes needs {} entries, found {}", rank, sizes.size()));
  }
  std::vector<ResizeAxis> axes(rank);
  for (size_t d = 0; d < rank; ++d) {
    ResizeAxis &axis = axes[d];
    axis.input = input[d];
    if (crop) {
      axis.roiBegin = region[d];
      axis.roiEnd = region[rank + d];
    }
    if (!scales.empty())
      QUERN_TRY(scaleAxis(axis, scales[d]));
    else
      axis.scale = static_cast<double>(sizes[d]) / static_cast<double>(axis.input);
    if (!sizes.empty())
      axis.output = sizes[d];
    if (axis.input == 0 && axis.output > 0)
      return invalidInput(
          fmt::format("dimension {} of {} is empty and cannot grow", d, formatDims(input)));
  }
  return axes;
}
