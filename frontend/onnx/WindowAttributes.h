//===- WindowAttributes.h - the window that a node asks for ---------------===//
#pragma once

#include "frontend/compose/Window.h"
#include "frontend/onnx/NodeReader.h"

namespace quern::onnx {

/// kernel_shape, strides, dilations, pads and auto_pad, complete, of a node whose operand 0 is the
/// data. `weights`, when given, is the shape of convolution weights: it supplies the kernel.
Window readWindow(NodeReader &node, const std::optional<nn::Shape> &weights = std::nullopt);

} // namespace quern::onnx
