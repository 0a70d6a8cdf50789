//===- NormalizationKernels.h - instance, layer and local response norms --===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/EpilogueLoads.h"
#include "quern/DType.h"

#include <string>

namespace quern::native {

/// What a kernel of an instance normalization does: all of it; or first the moments of parts of
/// planes, where there are too few of these for all threads, and then the rest.
enum class InstanceNormStage { All, Moments, Normal };
/// Of the work of a normalization, what its moments are.
constexpr double kShareOfMoments = 0.5;

/// What shapes the code of an instance normalization: of the plane of a channel at a time, or of a
/// block of channels. Buffers: input, scale, bias, result, then the epilogue's operands: rows are
/// channels, or columns in blocks; last the moments that a stage before has left. The stage of the
/// moments has input and moments only.
struct InstanceNormSpec {
  DType dtype = DType::Float32;
  double epsilon = 0;
  /// Channels per pixel; 0 on plain images.
  int64_t block = 0;
  /// On blocks; else all of it.
  InstanceNormStage stage = InstanceNormStage::All;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "instance_norm";
  QUERN_FIELDS(dtype, epsilon, block, stage, epilogue)
  std::string name() const {
    return stage == InstanceNormStage::Moments ? "instance_moments"
                                               : "instance_norm" + epilogue.program.label();
  }
  void emit(KernelBuilder &kb) const;
};
/// A task is a plane, of which there are `planes` in an image: of channels, or of their blocks. In
/// stages it is one of `parts` of `partPixels` pixels of a plane; moments are means and sums of
/// squares about these, a block of each, for each task.
struct InstanceNormDims {
  int64_t channels, plane, planes;
  int64_t parts = 1, partPixels = plane;
};

/// What shapes the code of a layer normalization: of a row at a time. Buffers: input, scale
/// and bias where there are any, result, then the epilogue's operands.
struct LayerNormSpec {
  DType dtype = DType::Float32;
  /// The mean is subtracted; otherwise it is an RMS normalization.
  bool center = true;
  bool hasScale = false, hasBias = false;
  double epsilon = 0;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "layer_norm";
  QUERN_FIELDS(dtype, center, hasScale, hasBias, epsilon, epilogue)
  std::string name() const {
    return (center ? "layer_norm" : "rms_norm") + epilogue.program.label();
  }
  void emit(KernelBuilder &kb) const;
};
/// A task is a row.
struct LayerNormDims {
  int64_t length;
};

/// What shapes the code of a local response normalization: of a line of pixels of one
/// channel, whose neighbours in the other channels lie a plane apart. Buffers: input, result.
struct LrnSpec {
  DType dtype = DType::Float32;
  /// alpha is already divided by the window's size.
  double alpha = 0, beta = 0, bias = 0;
  /// Channels of a block, which they fill, and those of the window on either side; 0 on plain
  /// images.
  int64_t block = 0, before = 0, after = 0;

  static constexpr std::string_view kFamily = "lrn";
  QUERN_FIELDS(dtype, alpha, beta, bias, block, before, after)
  std::string name() const { return "lrn"; }
  void emit(KernelBuilder &kb) const;
};
/// A task is a chunk of pixels of one channel of one image, or of all its channels in blocks.
struct LrnDims {
  int64_t channels, plane;
  /// Channels of the window on either side.
  int64_t before, after;
  /// Pixels of a chunk, and chunks of a plane.
  int64_t chunk, chunks;

  /// Of scratch memory, where a blocked kernel has the squares of a group of pixels.
  int64_t bytesOfSquares() const;
};

} // namespace quern::native
