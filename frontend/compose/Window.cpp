//===- Window.cpp - the window of convolution and pooling -----------------===//
#include "frontend/compose/Window.h"

#include "runtime/reference/WindowShape.h"

using namespace quern;
using namespace quern::frontend;
using namespace quern::nn;

void frontend::resolveAutoPad(Window &window, const std::optional<Shape> &input) {
  int64_t axes = static_cast<int64_t>(window.kernel.size());
  if (window.autoPad == AutoPad::NotSet || axes == 0 || !input || input->rank() != axes + 2)
    return;
  std::vector<int64_t> pads(2 * axes, 0);
  for (int64_t i = 0; i < axes; ++i) {
    const Dim &dim = (*input)[2 + i];
    if (!dim.isStatic() || dim.size() == 0)
      return;
    WindowAxis axis{dim.size(), window.kernel[i], window.strides[i], window.dilations[i]};
    if (!windowOutputSize(axis, window.autoPad, /*ceilMode=*/false))
      return;
    pads[i] = axis.padBegin;
    pads[axes + i] = axis.padEnd;
  }
  window.pads = std::move(pads);
  window.autoPad = AutoPad::NotSet;
}
