//===- Images.h - what ops on images share --------------------------------===//
//
// Files have images as [N, spatial..., C], the dialect's windows slide over [N, C, spatial...].
//
//===----------------------------------------------------------------------===//
#pragma once

#include "frontend/compose/Quantization.h"
#include "frontend/compose/Window.h"
#include "frontend/tflite/OpReader.h"

namespace quern::tflite {

/// The window of `kernel`, strides and dilations, whose padding follows from the image, which has
/// its channels in front.
Window windowOf(std::vector<int64_t> kernel, std::vector<int64_t> strides,
                std::vector<int64_t> dilations, file::Padding padding, mlir::Value image);

/// An error unless strides, dilations and sizes are 1 or more, and not too large to compute with.
bool checkWindow(OpReader &op, std::initializer_list<int64_t> values);

/// An error unless input `i` has this rank.
bool checkRank(OpReader &op, int i, int64_t rank);

/// Size `at` of input `i`; Unsupported, and 1, when a run computes it.
int64_t staticSize(OpReader &op, int i, int64_t at);

/// What TfLitePadding says in the options of a custom op.
file::Padding readStructPadding(OpReader &op, int64_t field);

} // namespace quern::tflite
