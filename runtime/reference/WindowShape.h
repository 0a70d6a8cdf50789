//===- WindowShape.h - sizes of convolution and pooling windows -----------===//
//
// The ONNX rules for output sizes and automatic padding of one spatial axis.
// MLIR-free: shape inference, reference kernels and plans share them.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Status.h"
#include "runtime/reference/Enumerations.h"

#include <cstdint>
#include <optional>

namespace quern {

/// A window that slides along one spatial axis.
struct WindowAxis {
  int64_t input = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t padBegin = 0;
  int64_t padEnd = 0;
};

/// Checks that kernel, stride and dilation are positive, that pads are not
/// negative, and that the sizes made of them do not overflow.
Status checkWindow(const WindowAxis &axis);
/// The input elements a window spans; `axis` has passed checkWindow.
int64_t windowExtent(const WindowAxis &axis);

/// The number of window positions. Resolves `autoPad` into the pads of `axis`.
/// With `ceilMode` a last window may hang over the end, but windows that would
/// start in the end padding are ignored. An error when no window fits.
Expected<int64_t> windowOutputSize(WindowAxis &axis, AutoPad autoPad, bool ceilMode);

/// The output size of a transposed convolution. With `outputSize` given, or
/// SAME padding, the pads of `axis` follow from it; they are never negative.
Expected<int64_t> transposedOutputSize(WindowAxis &axis, AutoPad autoPad, int64_t outputPadding,
                                       std::optional<int64_t> outputSize);

} // namespace quern
