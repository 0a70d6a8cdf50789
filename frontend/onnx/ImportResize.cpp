//===- ImportResize.cpp - Upsample and Resize -----------------------------===//
#include "frontend/onnx/ImportContext.h"
#include "frontend/onnx/OpsetTable.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using llvm::APFloat;
using mlir::Value;

/// The mode; before opset 11 "linear" could also be written "bilinear".
static ResizeMode readMode(NodeImport &node) {
  if (node.opset() < 11 && node.getString("mode", "nearest") == "bilinear")
    return ResizeMode::Linear;
  return node.getEnum("mode", ResizeMode::Nearest);
}

/// Upsample, and Resize of opset 10, scale without an offset and round down.
static void importAsymmetric(NodeImport &node, Value scales) {
  Value none = node.graph().none;
  ResizeMode mode = readMode(node);
  node.setOutput(0, node.create<nn::ResizeOp>(node.input(0), none, scales, none, mode,
                                              ResizeCoordinates::Asymmetric, NearestMode::Floor,
                                              APFloat(-0.75), false, APFloat(0.0)));
}

/// Of an image: a factor for its height and one for its width.
static void importUpsampleV1(NodeImport &node) {
  auto height = static_cast<float>(node.getFloat("height_scale"));
  auto width = static_cast<float>(node.getFloat("width_scale"));
  importAsymmetric(node, node.constant(Tensor::of<float>({4}, {1, 1, height, width})));
}

static void importUpsampleV7(NodeImport &node) {
  std::vector<float> scales = node.getFloats("scales");
  if (scales.empty())
    return node.invalid("required attribute 'scales' is missing");
  importAsymmetric(node,
                   node.constant(Tensor::of<float>({static_cast<int64_t>(scales.size())}, scales)));
}

static void importResizeV10(NodeImport &node) { importAsymmetric(node, node.input(1)); }

/// The operand; `nn.none` also when it is an empty tensor, the way opset 11 leaves it out.
static Value inputUnlessEmpty(NodeImport &node, int i) {
  auto shape = node.inputShape(i);
  bool empty = shape && shape->numElements() == 0;
  return empty ? node.graph().none : node.input(i);
}

/// What opset 18 and 19 added is refused unless it says what was so before.
static void refuseNewerAttributes(NodeImport &node) {
  if (node.getBool("antialias", false))
    node.unsupported("attribute 'antialias'");
  if (!node.getInts("axes").empty())
    node.unsupported("attribute 'axes'");
  if (std::string policy = node.getString("keep_aspect_ratio_policy", "stretch");
      policy != "stretch")
    node.unsupported("keep_aspect_ratio_policy '" + policy + "'");
}

static void importResize(NodeImport &node) {
  ResizeMode mode = readMode(node);
  auto coordinates = node.getEnum("coordinate_transformation_mode", ResizeCoordinates::HalfPixel);
  NearestMode nearest = node.getEnum("nearest_mode", NearestMode::RoundPreferFloor);
  double cubicCoeff = node.getFloat("cubic_coeff_a", -0.75);
  bool excludeOutside = node.getBool("exclude_outside", false);
  double extrapolation = node.getFloat("extrapolation_value", 0);
  if (coordinates == ResizeCoordinates::HalfPixelSymmetric && node.opset() < 19)
    node.unsupported("coordinate_transformation_mode 'half_pixel_symmetric' before opset 19");
  if (node.opset() >= 18)
    refuseNewerAttributes(node);
  Value roi = coordinates == ResizeCoordinates::TfCropAndResize ? node.input(1) : node.graph().none;
  Value scales = inputUnlessEmpty(node, 2), sizes = inputUnlessEmpty(node, 3);
  if (nn::isNone(scales) == nn::isNone(sizes))
    return node.invalid("exactly one of scales and sizes must be given");
  node.setOutput(0, node.create<nn::ResizeOp>(node.input(0), roi, scales, sizes, mode, coordinates,
                                              nearest, APFloat(cubicCoeff), excludeOutside,
                                              APFloat(extrapolation)));
}

std::span<const OpsetRow> quern::onnx::resizeImports() {
  static constexpr OpsetRow rows[] = {
      {"Resize", 10, 10, 2, 2, 1, importResizeV10},
      {"Resize", 11, kNewestOpset, 1, 4, 1, importResize},
      {"Upsample", 1, 6, 1, 1, 1, importUpsampleV1},
      {"Upsample", 7, 8, 1, 1, 1, importUpsampleV7},
      {"Upsample", 9, 9, 2, 2, 1, importResizeV10},
  };
  return rows;
}
