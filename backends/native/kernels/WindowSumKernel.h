//===- WindowSumKernel.h - images from the windows over them --------------===//
#pragma once

#include "backends/native/kernels/MoveKernels.h"

#include <optional>

namespace quern::native {

/// What shapes the code.
struct WindowSumSpec {
  DType dtype = DType::Float32;
  /// Along a line.
  bool unitStride = true;
  bool hasBias = false;

  static constexpr std::string_view kFamily = "window_sum";
  QUERN_FIELDS(dtype, unitStride, hasBias)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// The inverse of unfoldWindows: adds the rows of matrices [channels * kernel...,
/// output...] up to `images` images [channels, input...] in all. Of float32 or float64.
struct WindowSum {
  WindowShape3 shape;
  int64_t images;
  /// What every element of a channel starts from: [channels]; zero without it.
  std::optional<StepBuffer> bias;
};
LoweredStep sumWindows(StepBuffer from, StepBuffer to, WindowSum sum, DType dtype);

} // namespace quern::native
