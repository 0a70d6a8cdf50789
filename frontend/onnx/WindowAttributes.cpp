//===- WindowAttributes.cpp - the window that a node asks for -------------===//
#include "frontend/onnx/WindowAttributes.h"

#include "frontend/onnx/NodeReader.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::nn;
using namespace quern::onnx;

/// Sizes beyond this are refused, so that window arithmetic cannot overflow.
static constexpr int64_t kMaxWindowValue = int64_t{1} << 31;

/// The kernel that the weights [M, C, kernel...] have, when static.
static std::optional<std::vector<int64_t>> kernelOfWeights(const std::optional<Shape> &weights) {
  if (!weights || weights->rank() < 3)
    return std::nullopt;
  std::vector<int64_t> kernel;
  for (int64_t i = 2; i < weights->rank(); ++i) {
    if (!(*weights)[i].isStatic())
      return std::nullopt;
    kernel.push_back((*weights)[i].size());
  }
  return kernel;
}

/// The number of spatial axes; nullopt when nothing tells.
static std::optional<int64_t> spatialRank(NodeReader &node, const std::vector<int64_t> &kernel,
                                          const std::optional<Shape> &weights) {
  if (!kernel.empty())
    return static_cast<int64_t>(kernel.size());
  for (const std::optional<Shape> &shape : {weights, node.inputShape(0)})
    if (shape && shape->rank() >= 3)
      return shape->rank() - 2;
  for (const char *name : {"strides", "dilations"})
    if (std::vector<int64_t> values = node.getInts(name); !values.empty())
      return static_cast<int64_t>(values.size());
  if (std::vector<int64_t> pads = node.getInts("pads"); !pads.empty())
    return static_cast<int64_t>(pads.size() / 2);
  return std::nullopt;
}

/// Reads a list attribute with one entry per axis. When it is missing, and when it
/// is wrong, each entry is `otherwise`.
static std::vector<int64_t> readAxesList(NodeReader &node, const char *name, int64_t axes,
                                         int64_t otherwise, int64_t smallest) {
  std::vector<int64_t> values = node.getInts(name);
  std::vector<int64_t> defaults(axes, otherwise);
  if (values.empty())
    return defaults;
  std::string where = fmt::format("attribute '{}'", name);
  if (static_cast<int64_t>(values.size()) != axes) {
    node.invalid(fmt::format("{} has {} entries, need {}", where, values.size(), axes));
    return defaults;
  }
  for (int64_t value : values)
    if (value < smallest || value > kMaxWindowValue) {
      node.invalid(fmt::format("{}: {} is not in [{}, 2^31]", where, value, smallest));
      return defaults;
    }
  return values;
}

/// Old exporters also leave it empty.
static AutoPad readAutoPad(NodeReader &node) {
  std::string text = node.getString("auto_pad", "");
  std::optional<AutoPad> autoPad = text.empty() ? AutoPad::NotSet : enumNamed<AutoPad>(text);
  if (!autoPad)
    node.invalid("attribute 'auto_pad': unknown value '" + text + "'");
  return autoPad.value_or(AutoPad::NotSet);
}

Window quern::onnx::readWindow(NodeReader &node, const std::optional<Shape> &weights) {
  Window window;
  window.kernel = node.getInts("kernel_shape");
  auto ofWeights = kernelOfWeights(weights);
  if (ofWeights && window.kernel.empty())
    window.kernel = *ofWeights;
  if (ofWeights && window.kernel != *ofWeights)
    node.invalid("kernel_shape " + formatDims(window.kernel) +
                 " differs from that of the weights, " + formatDims(*ofWeights));
  for (int64_t size : window.kernel)
    if (size < 1 || size > kMaxWindowValue)
      node.invalid("kernel_shape " + formatDims(window.kernel) + " is not in [1, 2^31]");
  std::optional<int64_t> axes = spatialRank(node, window.kernel, weights);
  if (!axes)
    node.unsupported("a window whose number of spatial axes is unknown");
  int64_t count = axes.value_or(1);
  window.strides = readAxesList(node, "strides", count, 1, 1);
  window.dilations = readAxesList(node, "dilations", count, 1, 1);
  window.pads = readAxesList(node, "pads", 2 * count, 0, 0);
  window.autoPad = readAutoPad(node);
  if (window.autoPad != AutoPad::NotSet)
    window.pads.assign(2 * count, 0);
  if (window.autoPad == AutoPad::Valid)
    window.autoPad = AutoPad::NotSet;
  return window;
}
