//===- Window.h - the window of convolution and pooling -------------------===//
#pragma once

#include "ir/Shape.h"
#include "runtime/reference/Enumerations.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace quern::frontend {

/// What convolution and pooling slide over the spatial axes.
struct Window {
  std::vector<int64_t> kernel; ///< empty when only the weights tell at run time
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  /// Begins of all spatial axes, then ends.
  std::vector<int64_t> pads;
  /// NotSet; or SameUpper and SameLower when pads are not yet known.
  AutoPad autoPad = AutoPad::NotSet;
};

/// Replaces SAME_* by the pads it means when input and kernel sizes are known.
void resolveAutoPad(Window &window, const std::optional<nn::Shape> &input);

} // namespace quern::frontend
