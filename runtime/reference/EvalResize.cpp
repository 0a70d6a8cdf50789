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
#include "runtime/reference/ResizeTaps.h"
#include "runtime/reference/StridedCopy.h"

#include <algorithm>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Nearest
//===----------------------------------------------------------------------===//

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
      axisOffsets.mutableData<int64_t>()[i] = nearestElement(rule, axes[d], i) * inputStrides[d];
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
      if (isOutside(rule, axes[d], i))
        QUERN_TRY(copyBox(result, {i * strides[d], strides}, extrapolation, still, slab, budget));
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Linear and cubic
//===----------------------------------------------------------------------===//

/// Interpolates one axis: `from` is [outer, axis.input, inner], `to` is
/// [outer, axis.output, inner].
static Status interpolateAxis(const double *from, double *to, int64_t outer, const ResizeAxis &axis,
                              int64_t inner, std::span<const ResizeSample> samples,
                              double extrapolation, Budget &budget) {
  for (int64_t o = 0; o < outer; ++o, from += axis.input * inner) {
    for (const ResizeSample &sample : samples) {
      std::span<const ResizeTap> taps = sample.outside ? std::span<const ResizeTap>() : sample.taps;
      QUERN_TRY(budget.spend(8 + inner * (1 + static_cast<int64_t>(taps.size()))));
      std::fill_n(to, inner, sample.outside ? extrapolation : 0.0);
      for (const auto &[element, weight] : taps) {
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
  QUERN_ASSIGN(int64_t most, mostTaps(rule, axis));
  QUERN_ASSIGN(std::span<ResizeSample> samples, budget.scratch<ResizeSample>(axis.output));
  QUERN_ASSIGN(std::span<ResizeTap> taps,
               budget.scratch<ResizeTap>(CheckedSize(axis.output) * most));
  for (int64_t i = 0; i < axis.output; ++i) {
    QUERN_TRY(budget.spend(kCoordinateWork + 8 * most));
    samples[i] = sampleAt(rule, axis, i, taps.subspan(i * most, most));
  }
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

static ResizeRule readRule(const Attributes &attributes) {
  ResizeRule rule;
  rule.mode = attributes.getEnum("mode", rule.mode);
  rule.coordinates = attributes.getEnum("coordinate_transformation_mode", rule.coordinates);
  rule.nearest = attributes.getEnum("nearest_mode", rule.nearest);
  rule.cubicCoefficient = attributes.getFloat("cubic_coeff_a", -0.75);
  rule.excludeOutside = attributes.getInt("exclude_outside") != 0;
  rule.antialias = attributes.getInt("antialias") != 0;
  return rule;
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
  QUERN_ASSIGN(std::vector<ResizeAxis> axes,
               resizeAxes(input.dims(), {call.inputs[1], call.inputs[2], call.inputs[3]}, crop));
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
