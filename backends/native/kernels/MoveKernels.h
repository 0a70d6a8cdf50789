//===- MoveKernels.h - copies that prepare a Dot's operands ---------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"

namespace quern::native {

// What shapes the code of each.

struct PadHaloSpec {
  DType dtype = DType::Float32;
  /// Elements of a pixel of which only so many are of the last plane of an image: the others become
  /// zeros there. 0: all are copied.
  int64_t pixel = 0, lastElements = 0;

  static constexpr std::string_view kFamily = "pad_halo";
  QUERN_FIELDS(dtype, pixel, lastElements)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};
struct UnfoldSpec {
  DType dtype = DType::Float32;
  /// Along a line.
  bool unitStride = true;

  static constexpr std::string_view kFamily = "unfold";
  QUERN_FIELDS(dtype, unitStride)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};
struct PackColumnsSpec {
  DType dtype = DType::Float32;
  int64_t tileColumns = 0;
  /// The elements of a row lie together.
  bool unitStride = true;
  /// Elements along k that lie together: 1, or 2 of 16 bits.
  int64_t group = 1;

  static constexpr std::string_view kFamily = "pack_columns";
  QUERN_FIELDS(dtype, tileColumns, unitStride, group)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};
struct CopySpec {
  DType dtype = DType::UInt8;

  static constexpr std::string_view kFamily = "copy";
  QUERN_FIELDS(dtype)
  std::string name() const { return "copy_bytes"; }
  void emit(KernelBuilder &kb) const;
};

/// Copies `planes` images of height x width pixels of `pixel` adjacent elements
/// into frames of `outside`, 0 but for bytes, that are wider by the pads.
struct HaloShape {
  int64_t planes, height, width, pixel;
  int64_t top, bottom, left, right;
  int64_t outside = 0;
  /// Parts that lines are cut into (chooseLineParts).
  int64_t parts = 1;
  /// Planes of an image, and of their elements those in the last one that are copied: 0 for all.
  int64_t planesOfImage = 1, lastElements = 0;
};
LoweredStep padHalo(StepBuffer from, StepBuffer to, const HaloShape &shape, DType dtype);

struct TakePixelsSpec {
  DType dtype = DType::Float32;
  /// Adjacent elements of a pixel.
  int64_t pixel = 1;

  static constexpr std::string_view kFamily = "take_pixels";
  QUERN_FIELDS(dtype, pixel)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// Copies of `planes` images, planeStride elements apart, each columnStep-th pixel of each
/// lineStep-th line: height x width in all, which lie side by side afterwards. Steps are in
/// elements.
struct PixelGrid {
  int64_t planes, height, width;
  int64_t planeStride, lineStep, columnStep;
  /// Parts that lines are cut into (chooseLineParts).
  int64_t parts = 1;
};
LoweredStep takePixels(StepBuffer from, StepBuffer to, const PixelGrid &grid,
                       const TakePixelsSpec &spec);

/// The window geometry of a 3-D convolution (leading axes of size 1 when fewer).
struct WindowShape3 {
  int64_t channels;
  int64_t input[3], output[3], kernel[3], stride[3], dilation[3], padBegin[3];
  /// What lies beyond the edges: 0 but for bytes.
  int64_t outside = 0;
};
/// Unfolds a [channels, input...] image into rows of a matrix
/// [channels * kernel..., output...].
LoweredStep unfoldWindows(StepBuffer from, StepBuffer to, const WindowShape3 &shape, DType dtype);

/// Packs B [batch][k, n] (elements strideK and strideN apart) into
/// [batch][column tile][k / group][tileColumns][group], zero-padded.
struct PackShape {
  int64_t batch, batchStride, k, n, strideK, strideN, tileColumns, group = 1;
  /// Zeros follow up to a whole number of these elements along k: a multiple of `group`.
  int64_t step = group;

  int64_t paddedK() const { return (k + step - 1) / step * step; }
  /// The elements of what is packed.
  CheckedSize packedElements() const {
    return CheckedSize(batch) * paddedK() * CheckedSize(n).alignedTo(tileColumns);
  }
};
LoweredStep packColumns(StepBuffer from, StepBuffer to, const PackShape &shape, DType dtype);

/// Copies `bytes` bytes.
LoweredStep copyBytes(StepBuffer from, StepBuffer to, int64_t bytes);

} // namespace quern::native
