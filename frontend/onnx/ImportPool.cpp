//===- ImportPool.cpp - pooling -------------------------------------------===//
#include "frontend/onnx/ImportContext.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/Window.h"

using namespace quern;
using namespace quern::onnx;

namespace {
/// The window of a pooling node and its rounding.
struct PoolWindow : Window {
  bool ceilMode;
};
} // namespace

static PoolWindow readPoolWindow(NodeImport &node) {
  PoolWindow window{readWindow(node), node.getBool("ceil_mode", false)};
  if (window.kernel.empty())
    node.invalid("required attribute 'kernel_shape' is missing");
  // SAME_* fixes the output size: there is nothing left to round.
  if (window.autoPad != AutoPad::NotSet)
    window.ceilMode = false;
  resolveAutoPad(window, node.inputShape(0));
  return window;
}

static void importMaxPool(NodeImport &node) {
  PoolWindow window = readPoolWindow(node);
  int64_t storageOrder = node.getInt("storage_order", 0);
  if (!node.hasOutput(1))
    return node.setOutput(0, node.create<nn::MaxPoolOp>(
                                 node.input(0), window.kernel, window.strides, window.dilations,
                                 window.pads, window.ceilMode, window.autoPad));
  auto results = node.createMulti<nn::MaxPoolWithIndicesOp>(
      2, node.input(0), window.kernel, window.strides, window.dilations, window.pads,
      window.ceilMode, storageOrder, window.autoPad);
  node.setOutput(0, results[0]);
  node.setOutput(1, results[1]);
}

static void importAveragePool(NodeImport &node) {
  PoolWindow window = readPoolWindow(node);
  bool countPads = node.getBool("count_include_pad", false);
  node.setOutput(0, node.create<nn::AveragePoolOp>(node.input(0), window.kernel, window.strides,
                                                   window.dilations, window.pads, window.ceilMode,
                                                   countPads, window.autoPad));
}

template <typename Op> static void importGlobalPool(NodeImport &node) {
  node.setOutput(0, node.create<Op>(node.input(0)));
}

std::span<const OpsetRow> quern::onnx::poolImports() {
  static constexpr OpsetRow rows[] = {
      {"AveragePool", 1, kNewestOpset, 1, 1, 1, importAveragePool},
      {"GlobalAveragePool", 1, kNewestOpset, 1, 1, 1, importGlobalPool<nn::GlobalAveragePoolOp>},
      {"GlobalMaxPool", 1, kNewestOpset, 1, 1, 1, importGlobalPool<nn::GlobalMaxPoolOp>},
      {"MaxPool", 1, kNewestOpset, 1, 1, 2, importMaxPool},
  };
  return rows;
}
