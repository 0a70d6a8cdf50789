//===- MaxPlaceKernel.h - maxima of windows and their places --------------===//
#pragma once

#include "backends/native/kernels/PoolKernel.h"

namespace quern::native {

/// What shapes the code.
struct MaxPlaceSpec {
  DType dtype = DType::Float32;

  static constexpr std::string_view kFamily = "max_places";
  QUERN_FIELDS(dtype)
  std::string name() const { return "max_places_" + std::string(dtypeName(dtype)); }
  void emit(KernelBuilder &kb) const;
};

/// What the windows of all planes are, depth, height and width; and what the number of an
/// element of a plane is made of.
struct MaxPlaceShape {
  int64_t planes = 1;
  PoolAxis axes[3];
  int64_t strides[3] = {0, 0, 0};
};

/// The step that gives the largest element of each window and its number in the tensor, -1
/// in a window of padding only. The first of equal ones counts, NaN is the largest. The
/// planes are not empty.
LoweredStep poolPlaces(const MaxPlaceShape &shape, DType dtype, StepBuffer input, StepBuffer result,
                       StepBuffer places);

} // namespace quern::native
