//===- MaxPlaceKernel.h - maxima of windows and their places --------------===//
#pragma once

#include "backends/native/kernels/PoolKernel.h"
#include "backends/plan/LoweredStep.h"

namespace quern::native {

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
