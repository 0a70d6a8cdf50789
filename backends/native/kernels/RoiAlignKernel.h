//===- RoiAlignKernel.h - regions of images, sampled between pixels -------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"

namespace quern::native {

/// What shapes the code. Samples are computed in float64.
struct RoiAlignSpec {
  DType dtype = DType::Float32, indexType = DType::Int64;
  /// The largest sample part of a bin, or the mean of its samples.
  bool isMax = false;
  /// Corners of pixels have whole coordinates, not their centres.
  bool halfPixel = false;
  /// About one sample for each pixel, not `RoiAlignShape::samples`.
  bool perPixel = true;

  static constexpr std::string_view kFamily = "roi_align";
  QUERN_FIELDS(dtype, indexType, isMax, halfPixel, perPixel)
  std::string name() const { return "roi_align"; }
  void emit(KernelBuilder &kb) const;
};

struct RoiAlignShape {
  int64_t images, channels, height, width, regions, outHeight, outWidth;
  /// Samples along each axis of a bin; bounded, for a task is not interrupted.
  int64_t samples = 0;
  double scale = 1;
};
constexpr int64_t kMaxRoiSamples = 64;

/// The step that pools the regions [regions, 4] of the images whose numbers are in `images`.
/// It refuses numbers out of range, and regions without a place or of 2^31 pixels.
LoweredStep poolRegions(const RoiAlignSpec &spec, const RoiAlignShape &shape, StepBuffer input,
                        StepBuffer rois, StepBuffer images, StepBuffer result);

} // namespace quern::native
