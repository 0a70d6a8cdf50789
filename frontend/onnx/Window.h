//===- Window.h - the window attributes of convolution and pooling --------===//
#pragma once

#include "ir/Shape.h"
#include "runtime/reference/Enumerations.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace quern::onnx {

class NodeImport;

/// kernel_shape, strides, dilations, pads and auto_pad of a node, complete.
struct Window {
  std::vector<int64_t> kernel; ///< empty when only the weights tell at run time
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  /// Begins of all spatial axes, then ends.
  std::vector<int64_t> pads;
  /// NotSet; or SameUpper and SameLower when pads are not yet known.
  AutoPad autoPad = AutoPad::NotSet;
};

/// Reads the attributes of a node whose operand 0 is the data. `weights`, when
/// given, is the shape of convolution weights: it supplies the kernel.
Window readWindow(NodeImport &node, const std::optional<nn::Shape> &weights = std::nullopt);

/// Replaces SAME_* by the pads it means when input and kernel sizes are known.
void resolveAutoPad(Window &window, const std::optional<nn::Shape> &input);

} // namespace quern::onnx
