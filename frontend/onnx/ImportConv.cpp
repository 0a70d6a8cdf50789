//===- ImportConv.cpp - convolution ---------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/compose/Window.h"
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/WindowAttributes.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;

static mlir::Value createConv(NodeReader &node) {
  Window window = readWindow(node, node.inputShape(1));
  int64_t group = node.getInt("group", 1);
  resolveAutoPad(window, node.inputShape(0));
  return node.create<nn::ConvOp>(node.input(0), node.input(1), node.input(2), window.strides,
                                 window.dilations, window.pads, group, window.autoPad);
}

static void importConv(NodeReader &node) { node.setOutput(0, createConv(node)); }

/// Convolution, plus input 3, then an activation.
static void importFusedConv(NodeReader &node) {
  std::string activation = node.getString("activation", "");
  std::vector<float> params = node.getFloats("activation_params");
  mlir::Value y = createConv(node);
  if (node.hasInput(3))
    y = node.create<nn::AddOp>(y, node.input(3));
  node.setOutput(0, createActivation(node, activation, y,
                                     llvm::SmallVector<double>(params.begin(), params.end())));
}

static void importConvTranspose(NodeReader &node) {
  Window window = readWindow(node, node.inputShape(1));
  size_t axes = window.strides.size();
  int64_t group = node.getInt("group", 1);
  std::vector<int64_t> outputPadding = node.getInts("output_padding");
  std::vector<int64_t> outputShape = node.getInts("output_shape");
  if (outputPadding.empty())
    outputPadding.assign(axes, 0);
  // Old exporters write the whole shape; ONNX means the spatial sizes.
  if (outputShape.size() == axes + 2)
    outputShape.erase(outputShape.begin(), outputShape.begin() + 2);
  if (outputPadding.size() != axes || (!outputShape.empty() && outputShape.size() != axes))
    return node.invalid(fmt::format("output_padding and output_shape need {} entries", axes));
  node.setOutput(0, node.create<nn::ConvTransposeOp>(node.input(0), node.input(1), node.input(2),
                                                     window.strides, window.dilations, window.pads,
                                                     outputPadding, outputShape, group,
                                                     window.autoPad));
}

std::span<const OpsetRow> quern::onnx::convImports() {
  static constexpr OpsetRow rows[] = {
      {"Conv", 1, kNewestOpset, 2, 3, 1, importConv},
      {"ConvTranspose", 1, kNewestOpset, 2, 3, 1, importConvTranspose},
      {"FusedConv", 1, 1, 2, 4, 1, importFusedConv, kMicrosoftDomain},
  };
  return rows;
}
