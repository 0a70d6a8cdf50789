//===- GridSampleKernel.h - images at places between their pixels ---------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "runtime/reference/Enumerations.h"

namespace quern::native {

/// What shapes the code of sampling, as nn.grid_sample says.
struct GridSampleSpec {
  ResizeMode mode;
  PadMode padding;
  bool alignCorners;
  /// Spatial axes.
  int64_t axes;
  /// float32 or float64.
  DType dtype, points;

  static constexpr std::string_view kFamily = "grid_sample";
  QUERN_FIELDS(mode, padding, alignCorners, axes, dtype, points)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
  /// Whether there is code for it: where a tap of a cubic turns back, there is none.
  bool isNative() const {
    return axes <= 3 && (mode != ResizeMode::Cubic || (axes <= 2 && padding != PadMode::Reflect));
  }
};

struct GridSampleSizes {
  int64_t batch, channels;
  /// Points of one image.
  int64_t points;
  llvm::ArrayRef<int64_t> spatial;
};
LoweredStep sampleGrid(StepBuffer image, StepBuffer points, StepBuffer result,
                       const GridSampleSpec &spec, const GridSampleSizes &sizes);

} // namespace quern::native
