//===- EvalResize.cpp - reference kernel of resize ------------------------===//
//
// All modes are separable. Nearest picks one element per axis and moves it;
// linear and cubic interpolate in double, one axis after the other.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/DataMovement.h"
#include "runtime/reference/Enumerations.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/StridedCopy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::reference;

namespace {

/// One axis of a resize.
struct ResizeAxis {
  int64_t input = 0;
  int64_t output = 0;
  double scale = 1;
  /// The region of interest, relative to the axis.
  double roiBegin = 0;
  double roiEnd = 1;
};

/// What one result coordinate of an axis is made of.
struct Sample {
  struct Tap {
    int64_t element = 0;
    double weight = 0;
  };
  std::array<Tap, 4> taps;
  int64_t count = 0;
  /// Beyond the axis, where tf_crop_and_resize extrapolates.
  bool outside = false;
};

struct ResizeRule {
  ResizeMode mode = ResizeMode::Nearest;
  ResizeCoordinates coordinates = ResizeCoordinates::HalfPixel;
  NearestMode nearest = NearestMode::RoundPreferFloor;
  double cubicCoefficient = -0.75;
  bool excludeOutside = false;
};

} // namespace

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

static bool isOutside(double x, const ResizeRule &rule, const ResizeAxis &axis) {
  return rule.coordinates == ResizeCoordinates::TfCropAndResize &&
         !(x >= 0 && x <= static_cast<double>(axis.input - 1));
}

/// Whether the result has the same coordinates along an axis as the input.
static bool isIdentity(const ResizeRule &rule, const ResizeAxis &axis) {
  return axis.input == axis.output && axis.scale == 1 &&
         rule.coordinates != ResizeCoordinates::TfCropAndResize &&
         rule.coordinates != ResizeCoordinates::TfHalfPixelForNn;
}

//===----------------------------------------------------------------------===//
// Nearest
//===----------------------------------------------------------------------===//

static int64_t nearestElement(const ResizeRule &rule, const ResizeAxis &axis, double x) {
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
  }
  return std::clamp<int64_t>(static_cast<int64_t>(x), 0, axis.input - 1);
}

/// The work of finding the element at one coordinate of an axis, or its weights.
static constexpr int64_t kCoordinateWork = 32;

static Status resizeNearest(const Tensor &input, const ResizeRule &rule,
                            std::span<const ResizeAxis> axes, const Tensor &extrapolation,
                            Tensor &result, Budget &budget) {
  std::vector<int64_t> inputStrides = rowMajorStrides(input.dims());
  std::vector<Tensor> offsets;
  for (size_t d = 0; d < axes.size(); ++d) {
    QUERN_ASSIGN(Tensor axisOffsets, budget.allocateUninitialized(DType::Int64, {axes[d].output}));
    QUERN_TRY(budget.spend(axes[d].output * kCoordinateWork));
    for (int64_t i = 0; i < axes[d].output; ++i) {
      double x = originalCoordinate(rule.coordinates, axes[d], i);
      axisOffsets.mutableData<int64_t>()[i] =
          nearestElement(rule, axes[d], limitedCoordinate(x, axes[d])) * inputStrides[d];
    }
    offsets.push_back(std::move(axisOffsets));
  }
  QUERN_TRY(takeByOffsets(result, input, offsets, budget));
  std::vector<int64_t> strides = rowMajorStrides(result.dims());
  for (size_t d = 0; d < axes.size(); ++d) {
    std::vector<int64_t> slab = result.dims();
    slab[d] = 1;
    StridedBox still{0, std::vector<int64_t>(slab.size(), 0)};
    for (int64_t i = 0; i < axes[d].output; ++i)
      if (isOutside(originalCoordinate(rule.coordinates, axes[d], i), rule, axes[d]))
        QUERN_TRY(copyBox(result, {i * strides[d], strides}, extrapolation, still, slab, budget));
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Linear and cubic
//===----------------------------------------------------------------------===//

/// The weight of an element at `distance` from the sampled point.
static double interpolationWeight(const ResizeRule &rule, double distance) {
  double t = std::abs(distance), a = rule.cubicCoefficient;
  if (rule.mode == ResizeMode::Linear)
    return std::max(0.0, 1 - t);
  if (t <= 1)
    return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

static Sample sampleAt(const ResizeRule &rule, const ResizeAxis &axis, int64_t coordinate) {
  double x = originalCoordinate(rule.coordinates, axis, coordinate);
  Sample sample;
  sample.outside = isOutside(x, rule, axis);
  x = limitedCoordinate(x, axis);
  auto below = static_cast<int64_t>(std::floor(x));
  int64_t reach = rule.mode == ResizeMode::Cubic ? 2 : 1;
  double sum = 0;
  for (int64_t i = below - reach + 1; i <= below + reach; ++i) {
    double weight = interpolationWeight(rule, x - static_cast<double>(i));
    bool excluded = rule.excludeOutside && (i < 0 || i >= axis.input);
    // Without weight an element does not count, even if it is infinite.
    if (weight == 0 || excluded)
      continue;
    sample.taps[sample.count++] = {std::clamp<int64_t>(i, 0, axis.input - 1), weight};
    sum += weight;
  }
  if (rule.excludeOutside)
    for (Sample::Tap &tap : sample.taps)
      tap.weight /= sum;
  return sample;
}

/// Interpolates one axis: `from` is [outer, axis.input, inner], `to` is
/// [outer, axis.output, inner].
static Status interpolateAxis(const double *from, double *to, int64_t outer, const ResizeAxis &axis,
                              int64_t inner, std::span<const Sample> samples, double extrapolation,
                              Budget &budget) {
  for (int64_t o = 0; o < outer; ++o, from += axis.input * inner) {
    for (const Sample &sample : samples) {
      QUERN_TRY(budget.spend(8 + inner * (1 + sample.count)));
      std::fill_n(to, inner, sample.outside ? extrapolation : 0.0);
      for (int64_t t = 0; t < sample.count && !sample.outside; ++t) {
        const auto &[element, weight] = sample.taps[t];
        const double *row = from + element * inner;
        for (int64_t i = 0; i < inner; ++i)
          to[i] += weight * row[i];
      }
      to += inner;
    }
  }
  return Status::ok();
}

/// The tensor of doubles `values` with axis `d` interpolated.
static Expected<Tensor> resizeAxis(const Tensor &values, size_t d, const ResizeRule &rule,
                                   const ResizeAxis &axis, double extrapolation, Budget &budget) {
  QUERN_ASSIGN(std::span<Sample> samples, budget.scratch<Sample>(axis.output));
  QUERN_TRY(budget.forParts(axis.output, kCoordinateWork, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      samples[i] = sampleAt(rule, axis, i);
  }));
  std::vector<int64_t> dims = values.dims();
  dims[d] = axis.output;
  QUERN_ASSIGN(Tensor result, budget.allocateUninitialized(DType::Float64, dims));
  std::span<const int64_t> sizes = values.dims();
  QUERN_TRY(interpolateAxis(values.data<double>(), result.mutableData<double>(),
                            countOf(sizes.first(d)), axis, countOf(sizes.subspan(d + 1)), samples,
                            extrapolation, budget));
  return result;
}

template <typename T>
static Status interpolate(const Tensor &input, const ResizeRule &rule,
                          std::span<const ResizeAxis> axes, double extrapolation, Tensor &result,
                          Budget &budget) {
  QUERN_ASSIGN(Tensor values, budget.allocateUninitialized(DType::Float64, input.dims()));
  QUERN_TRY(budget.forParts(input.numElements(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      values.mutableData<double>()[i] = static_cast<double>(widen(input.data<T>()[i]));
  }));
  for (size_t d = axes.size(); d-- > 0;) {
    if (isIdentity(rule, axes[d]))
      continue;
    QUERN_ASSIGN(values, resizeAxis(values, d, rule, axes[d], extrapolation, budget));
  }
  return budget.forParts(result.numElements(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      result.mutableData<T>()[i] = fromDouble<T>(values.data<double>()[i]);
  });
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

static ResizeRule readRule(const Attributes &attributes) {
  ResizeRule rule;
  rule.mode = attributes.getEnum("mode", rule.mode);
  rule.coordinates = attributes.getEnum("coordinate_transformation_mode", rule.coordinates);
  rule.nearest = attributes.getEnum("nearest_mode", rule.nearest);
  rule.cubicCoefficient = attributes.getFloat("cubic_coeff_a", -0.75);
  rule.excludeOutside = attributes.getInt("exclude_outside") != 0;
  return rule;
}

/// The size of an axis scaled as ONNX shape inference does it, in float.
static Status scaleAxis(ResizeAxis &axis, double scale, bool crop) {
  if (!(scale > 0) || std::isinf(scale))
    return invalidInput(fmt::format("scales must be positive, found {:f}", scale));
  double region = crop ? axis.roiEnd - axis.roiBegin : 1;
  float size = std::floor(static_cast<float>(axis.input) * static_cast<float>(region) *
                          static_cast<float>(scale));
  if (!(size >= 0 && size < 0x1p62f))
    return resourceLimit(
        fmt::format("a dimension of {} scaled by {:f} has no valid size", axis.input, scale));
  axis.scale = scale;
  // Float does not hold all large sizes.
  axis.output = scale == 1 && !crop ? axis.input : static_cast<int64_t>(size);
  return Status::ok();
}

static Expected<std::vector<ResizeAxis>> readAxes(const OpCall &call, bool crop) {
  const Tensor &input = call.inputs[0], &roi = call.inputs[1];
  const Tensor &scaleOperand = call.inputs[2], &sizeOperand = call.inputs[3];
  if (scaleOperand.isPresent() == sizeOperand.isPresent())
    return invalidInput("exactly one of scales and sizes must be given");
  size_t rank = input.dims().size();
  std::vector<double> scales, region;
  std::vector<int64_t> sizes;
  if (crop) {
    QUERN_ASSIGN(region, readFloats(roi, "roi", 2 * input.rank()));
  }
  if (scaleOperand.isPresent()) {
    QUERN_ASSIGN(scales, readFloats(scaleOperand, "scales", input.rank()));
  } else {
    QUERN_ASSIGN(sizes, readInts(sizeOperand, "sizes"));
    if (sizes.size() != rank)
      return invalidInput(fmt::format("sizes needs {} entries, found {}", rank, sizes.size()));
  }
  std::vector<ResizeAxis> axes(rank);
  for (size_t d = 0; d < rank; ++d) {
    ResizeAxis &axis = axes[d];
    axis.input = input.dims()[d];
    if (crop) {
      axis.roiBegin = region[d];
      axis.roiEnd = region[rank + d];
    }
    if (!scales.empty()) {
      QUERN_TRY(scaleAxis(axis, scales[d], crop));
    } else {
      axis.output = sizes[d];
      axis.scale = static_cast<double>(axis.output) / static_cast<double>(axis.input);
    }
    if (axis.input == 0 && axis.output > 0)
      return invalidInput(
          fmt::format("dimension {} of {} is empty and cannot grow", d, input.describe()));
  }
  return axes;
}

/// One element of type `dtype`.
static Expected<Tensor> scalarOf(DType dtype, double value) {
  QUERN_ASSIGN(Tensor scalar, Tensor::allocate(dtype, {}));
  QUERN_TRY(visitNumberOrBool(dtype, [&]<typename T>() {
    *scalar.mutableData<T>() = fromDouble<T>(value);
    return Status::ok();
  }));
  return scalar;
}

Expected<std::vector<Tensor>> reference::evalResize(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  double extrapolation = call.attributes.getFloat("extrapolation_value");
  ResizeRule rule = readRule(call.attributes);
  bool crop = rule.coordinates == ResizeCoordinates::TfCropAndResize;
  QUERN_ASSIGN(std::vector<ResizeAxis> axes, readAxes(call, crop));
  std::vector<int64_t> dims;
  for (const ResizeAxis &axis : axes)
    dims.push_back(axis.output);
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), dims));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  if (rule.mode == ResizeMode::Nearest) {
    Tensor outside;
    if (crop) {
      QUERN_ASSIGN(outside, scalarOf(input.dtype(), extrapolation));
    }
    QUERN_TRY(resizeNearest(input, rule, axes, outside, result, call.budget));
  } else {
    QUERN_TRY(visitNumber(input.dtype(), [&]<typename T>() {
      return interpolate<T>(input, rule, axes, extrapolation, result, call.budget);
    }));
  }
  return std::vector<Tensor>{result};
}
