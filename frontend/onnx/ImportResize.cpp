//===- ImportResize.cpp - Upsample and Resize -----------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/GatherOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using llvm::APFloat;
using mlir::Value;

/// The mode; before opset 11 "linear" could also be written "bilinear".
static ResizeMode readMode(NodeReader &node) {
  if (node.opset() < 11 && node.getString("mode", "nearest") == "bilinear")
    return ResizeMode::Linear;
  return node.getEnum("mode", ResizeMode::Nearest);
}

/// Upsample, and Resize of opset 10, scale without an offset. The text of these versions does
/// not say which element is the nearest; the data of ONNX 1.5 and ONNX Runtime do.
static void importAsymmetric(NodeReader &node, Value scales) {
  Value none = node.none();
  ResizeMode mode = readMode(node);
  node.setOutput(0, node.create<nn::ResizeOp>(
                        node.input(0), none, scales, none, mode, ResizeCoordinates::Asymmetric,
                        NearestMode::FloorOrCeil, APFloat(-0.75), false, APFloat(0.0), false));
}

/// Of an image: a factor for its height and one for its width.
static void importUpsampleV1(NodeReader &node) {
  auto height = static_cast<float>(node.getFloat("height_scale"));
  auto width = static_cast<float>(node.getFloat("width_scale"));
  importAsymmetric(node, node.constant(Tensor::of<float>({4}, {1, 1, height, width})));
}

static void importUpsampleV7(NodeReader &node) {
  std::vector<float> scales = node.getFloats("scales");
  if (scales.empty())
    return node.invalid("required attribute 'scales' is missing");
  importAsymmetric(node,
                   node.constant(Tensor::of<float>({static_cast<int64_t>(scales.size())}, scales)));
}

static void importResizeV10(NodeReader &node) { importAsymmetric(node, node.input(1)); }

/// The operand; `nn.none` also when it is an empty tensor, the way opset 11 leaves it out.
static Value inputUnlessEmpty(NodeReader &node, int i) {
  auto shape = node.inputShape(i);
  bool empty = shape && shape->numElements() == 0;
  return empty ? node.none() : node.input(i);
}

//===----------------------------------------------------------------------===//
// What opset 18 added: chosen axes, sizes that keep the aspect ratio
//===----------------------------------------------------------------------===//

namespace {
/// The operands of a resize.
struct ResizeOperands {
  Value roi, scales, sizes;
};
} // namespace

/// The axes that the operands are about, counted from the front; empty for all.
static std::vector<int64_t> readAxes(NodeReader &node) {
  std::vector<int64_t> axes = node.getInts("axes");
  auto shape = node.inputShape(0);
  if (axes.empty())
    return axes;
  if (!shape) {
    node.unsupported("axes, when the rank of the input is unknown");
    return {};
  }
  std::vector<bool> seen(static_cast<size_t>(shape->rank()));
  for (int64_t &axis : axes) {
    int64_t rank = shape->rank(), at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank || seen[at]) {
      node.invalid(fmt::format("axis {} is not in [-{}, {}), or there twice", axis, rank, rank));
      return {};
    }
    seen[at] = true;
    axis = at;
  }
  return axes;
}

/// `everywhere`, an entry for each dimension of the input, with those of `chosen` at the axes.
static Value entriesAtAxes(NodeReader &node, Value everywhere, Value chosen,
                           const std::vector<int64_t> &axes) {
  return node.create<nn::ScatterElementsOp>(everywhere, node.intsConstant(axes), chosen,
                                            ScatterReduction::None, /*axis=*/0);
}

/// A float vector with `count` equal entries, in the type of `like`.
static Value filledLike(NodeReader &node, size_t count, float value, Value like) {
  std::vector<float> entries(count, value);
  return convert(node, node.constant(Tensor::of<float>({static_cast<int64_t>(count)}, entries)),
                 dtypeOf(like));
}

/// The operands for all dimensions instead of `axes`.
static void extendToAllAxes(NodeReader &node, ResizeOperands &operands,
                            const std::vector<int64_t> &axes) {
  auto rank = static_cast<size_t>(node.inputShape(0)->rank());
  if (!nn::isNone(operands.scales))
    operands.scales =
        entriesAtAxes(node, filledLike(node, rank, 1, operands.scales), operands.scales, axes);
  if (!nn::isNone(operands.sizes))
    operands.sizes = entriesAtAxes(node, createSizes(node, node.input(0), 0),
                                   convert(node, operands.sizes, DType::Int64), axes);
  if (nn::isNone(operands.roi))
    return;
  auto ends = node.createMulti<nn::SplitOp>(2, operands.roi, node.none(), /*axis=*/0);
  Value begin = entriesAtAxes(node, filledLike(node, rank, 0, operands.roi), ends[0], axes);
  Value end = entriesAtAxes(node, filledLike(node, rank, 1, operands.roi), ends[1], axes);
  operands.roi = joinSizes(node, {begin, end});
}

/// One scale for all axes, the smallest or the largest that the sizes ask for; the sizes
/// are those that it gives, rounded.
static void keepAspectRatio(NodeReader &node, ResizeOperands &operands,
                            const std::vector<int64_t> &axes, ReduceKind choice) {
  Value dims = createSizes(node, node.input(0), 0);
  if (!axes.empty())
    dims = node.create<nn::GatherOp>(dims, node.intsConstant(axes), /*axis=*/0);
  dims = node.createCast(dims, DType::Float64);
  Value ratios = node.create<nn::DivOp>(node.createCast(operands.sizes, DType::Float64), dims);
  Value scale = node.create<nn::ReduceOp>(ratios, node.intsConstant({0}), choice,
                                          /*keepdims=*/true, /*noop_with_empty_axes=*/false);
  Value exact = node.create<nn::MulOp>(dims, scale);
  Value half = node.scalarConstant(0.5, DType::Float64);
  operands.sizes =
      node.createCast(node.create<nn::FloorOp>(node.create<nn::AddOp>(exact, half)), DType::Int64);
  operands.scales = node.create<nn::ExpandOp>(scale, createSizes(node, dims, 0));
}

/// Applies the attributes of opset 18.
static void readNewerOperands(NodeReader &node, ResizeOperands &operands) {
  std::vector<int64_t> axes = readAxes(node);
  std::string policy = node.getString("keep_aspect_ratio_policy", "stretch");
  bool isSmaller = policy == "not_larger";
  if (!isSmaller && policy != "not_smaller" && policy != "stretch")
    node.unsupported("keep_aspect_ratio_policy '" + policy + "'");
  if (node.failed())
    return;
  // Scales say the ratio themselves.
  if (policy != "stretch" && !nn::isNone(operands.sizes))
    keepAspectRatio(node, operands, axes, isSmaller ? ReduceKind::Min : ReduceKind::Max);
  if (!axes.empty())
    extendToAllAxes(node, operands, axes);
}

static void importResize(NodeReader &node) {
  ResizeMode mode = readMode(node);
  auto coordinates = node.getEnum("coordinate_transformation_mode", ResizeCoordinates::HalfPixel);
  NearestMode nearest = node.getEnum("nearest_mode", NearestMode::RoundPreferFloor);
  if (nearest == NearestMode::FloorOrCeil) // a name of ours
    node.unsupported("nearest_mode '" + std::string(nameOf(nearest)) + "'");
  double cubicCoeff = node.getFloat("cubic_coeff_a", -0.75);
  bool excludeOutside = node.getBool("exclude_outside", false);
  double extrapolation = node.getFloat("extrapolation_value", 0);
  bool antialias = node.opset() >= 18 && node.getBool("antialias", false);
  if (coordinates == ResizeCoordinates::HalfPixelSymmetric && node.opset() < 19)
    node.unsupported("coordinate_transformation_mode 'half_pixel_symmetric' before opset 19");
  bool crops = coordinates == ResizeCoordinates::TfCropAndResize;
  ResizeOperands operands{crops ? node.input(1) : node.none(), inputUnlessEmpty(node, 2),
                          inputUnlessEmpty(node, 3)};
  if (nn::isNone(operands.scales) == nn::isNone(operands.sizes))
    return node.invalid("exactly one of scales and sizes must be given");
  if (node.opset() >= 18)
    readNewerOperands(node, operands);
  if (node.failed())
    return;
  node.setOutput(0, node.create<nn::ResizeOp>(node.input(0), operands.roi, operands.scales,
                                              operands.sizes, mode, coordinates, nearest,
                                              APFloat(cubicCoeff), excludeOutside,
                                              APFloat(extrapolation), antialias));
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
