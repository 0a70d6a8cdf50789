//===- ResampleKernel.h - one axis of a tensor, resampled -----------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"

#include <vector>

namespace quern::native {

/// What shapes the code of a resampling.
struct ResampleSpec {
  DType dtype = DType::Float32;
  /// Weighted sums; else copies.
  bool sums = true;
  /// Elements behind the axis, where they are few: a task is a line of results of the axis. 1:
  /// along the last axis. 0: any number, and a task is one result with all that is behind it.
  int64_t pixel = 0;
  /// That each result is a sum of, where all have as many, and few; else 0.
  int64_t taps = 0;

  static constexpr std::string_view kFamily = "resample";
  QUERN_FIELDS(dtype, sums, pixel, taps)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// Makes [outer, input, inner] into [outer, output, inner]: an element of the axis is a
/// weighted sum of some of the input's, or one of them.
struct Resampling {
  int64_t outer, input, output, inner;
  /// Whether the axis is the last, so that `inner` is 1 for any sizes.
  bool isLast;
  /// Elements of the axis, those of result i from begins[i] to begins[i + 1].
  std::vector<int64_t> begins, elements;
  /// Of each element. Where every result is a copy of one there are no weights and no begins.
  std::vector<double> weights;

  /// Elements of the tensor that results are made of, together.
  double reads() const {
    return static_cast<double>(outer) * static_cast<double>(elements.size()) *
           static_cast<double>(inner);
  }
  int64_t tableBytes() const {
    return static_cast<int64_t>((begins.size() + elements.size()) * sizeof(int64_t) +
                                weights.size() * sizeof(double));
  }
};
/// Sums are of float32 or float64; copies of any type.
LoweredStep resample(StepBuffer from, StepBuffer to, const Resampling &resampling, DType dtype);

} // namespace quern::native
