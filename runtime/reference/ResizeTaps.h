//===- ResizeTaps.h - what each element of a resized axis is made of ------===//
//
// The ONNX rules for coordinates and weights along one axis, which reference kernels
// and plans share.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Status.h"
#include "quern/Tensor.h"
#include "runtime/reference/Enumerations.h"

#include <cstdint>
#include <span>
#include <vector>

namespace quern::reference {

/// One axis of a resize.
struct ResizeAxis {
  int64_t input = 0;
  int64_t output = 0;
  double scale = 1;
  /// The region of interest, relative to the axis.
  double roiBegin = 0;
  double roiEnd = 1;
};

struct ResizeRule {
  ResizeMode mode = ResizeMode::Nearest;
  ResizeCoordinates coordinates = ResizeCoordinates::HalfPixel;
  NearestMode nearest = NearestMode::RoundPreferFloor;
  double cubicCoefficient = -0.75;
  bool excludeOutside = false;
  /// Weights widen by as much as an axis shrinks, and sum up to 1.
  bool antialias = false;
};

/// The operands besides the data; absent when left out.
struct ResizeOperands {
  Tensor roi, scales, sizes;
};
/// The axes of a resize of `input`; `crop`: of its region of interest.
Expected<std::vector<ResizeAxis>> resizeAxes(const Tensor::Dims &input,
                                             const ResizeOperands &operands, bool crop);

/// Whether the result has the same coordinates along an axis as the input.
bool isIdentity(const ResizeRule &rule, const ResizeAxis &axis);
/// Whether a coordinate of the result is beyond the axis, where tf_crop_and_resize
/// extrapolates.
bool isOutside(const ResizeRule &rule, const ResizeAxis &axis, int64_t coordinate);
/// The element that ResizeMode::Nearest picks.
int64_t nearestElement(const ResizeRule &rule, const ResizeAxis &axis, int64_t coordinate);

/// An element and its weight.
struct ResizeTap {
  int64_t element = 0;
  double weight = 0;
};
/// What one result coordinate of an axis is made of.
struct ResizeSample {
  std::span<const ResizeTap> taps;
  bool outside = false;
};
/// How many taps a sample of an interpolated axis has at most.
Expected<int64_t> mostTaps(const ResizeRule &rule, const ResizeAxis &axis);
/// `taps` has room for mostTaps().
ResizeSample sampleAt(const ResizeRule &rule, const ResizeAxis &axis, int64_t coordinate,
                      std::span<ResizeTap> taps);

} // namespace quern::reference
