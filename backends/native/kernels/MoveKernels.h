//===- MoveKernels.h - copies that prepare a Dot's operands ---------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/native/kernels/ScalarProgram.h"
#include "backends/plan/LoweredStep.h"

namespace quern::native {

/// Copies `planes` images of height x width pixels of `pixel` adjacent elements
/// into zeroed frames that are wider by the pads.
struct HaloShape {
  int64_t planes, height, width, pixel;
  int64_t top, bottom, left, right;
};
LoweredStep padHalo(StepBuffer from, StepBuffer to, const HaloShape &shape, DType dtype);

/// The window geometry of a 3-D convolution (leading axes of size 1 when fewer).
struct WindowShape3 {
  int64_t channels;
  int64_t input[3], output[3], kernel[3], stride[3], dilation[3], padBegin[3];
};
/// Unfolds a [channels, input...] image into rows of a matrix
/// [channels * kernel..., output...].
LoweredStep unfoldWindows(StepBuffer from, StepBuffer to, const WindowShape3 &shape, DType dtype);

/// Packs B [batch][k, n] (elements strideK and strideN apart) into
/// [batch][column tile][k][tileColumns], zero-padded.
struct PackShape {
  int64_t batch, batchStride, k, n, strideK, strideN, tileColumns;
};
LoweredStep packColumns(StepBuffer from, StepBuffer to, const PackShape &shape, DType dtype);

/// Copies `bytes` bytes.
LoweredStep copyBytes(StepBuffer from, StepBuffer to, int64_t bytes);

} // namespace quern::native
