//===- ImportVision.cpp - sampling, regions, windows summed up ------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/VisionOps.h"
#include "quern/Limits.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using llvm::APFloat;
using mlir::Value;

/// a * b + c in the type of `a`.
static Value scaleAndShift(NodeReader &node, Value a, double b, double c) {
  Value product = node.create<nn::MulOp>(a, constantLike(node, b, a));
  return node.create<nn::AddOp>(product, constantLike(node, c, a));
}

//===----------------------------------------------------------------------===//
// GridSample
//===----------------------------------------------------------------------===//

/// How many spatial axes there are; 0 with an error when nothing tells.
static int64_t gridAxes(NodeReader &node) {
  auto input = node.inputShape(0), grid = node.inputShape(1);
  int64_t axes = 0;
  if (input)
    axes = input->rank() - 2;
  else if (grid && grid->rank() > 2)
    axes = grid->rank() - 2;
  else
    node.unsupported("an input and a grid of unknown rank");
  if (!node.failed() && (axes < 1 || (grid && grid->rank() != axes + 2)))
    node.invalid(fmt::format("input {} and grid {} must have the same rank of 3 or more",
                             input ? input->str() : "?", grid ? grid->str() : "?"));
  return axes;
}

/// Places in [-1, 1] as places in pixels.
static Value gridInPixels(NodeReader &node, int64_t axes, bool alignCorners) {
  Value grid = widen(node, node.input(1));
  // The grid's coordinates are those of the last axis first.
  std::vector<int64_t> reversed;
  for (int64_t axis = axes; axis >= 1; --axis)
    reversed.push_back(axis - 1);
  Value sizes = node.create<nn::GatherOp>(createSizes(node, node.input(0), 2),
                                          node.intsConstant(reversed), /*axis=*/0);
  sizes = convert(node, sizes, dtypeOf(grid));
  Value one = constantLike(node, 1, grid), two = constantLike(node, 2, grid);
  Value fromZero = node.create<nn::AddOp>(grid, one);
  if (alignCorners) {
    Value half = node.create<nn::DivOp>(fromZero, two);
    return node.create<nn::MulOp>(half, node.create<nn::SubOp>(sizes, one));
  }
  Value edges = node.create<nn::SubOp>(node.create<nn::MulOp>(fromZero, sizes), one);
  return node.create<nn::DivOp>(edges, two);
}

/// Opset 16 and ONNX Runtime's op have other names for modes than opset 20.
static ResizeMode readSampleMode(NodeReader &node) {
  std::string mode = node.getString("mode", "linear");
  if (mode == "linear" || mode == "bilinear")
    return ResizeMode::Linear;
  if (mode == "cubic" || mode == "bicubic")
    return ResizeMode::Cubic;
  if (mode != "nearest")
    node.unsupported("mode '" + mode + "'");
  return ResizeMode::Nearest;
}

static PadMode readSamplePadding(NodeReader &node) {
  std::string padding = node.getString("padding_mode", "zeros");
  if (padding == "border")
    return PadMode::Edge;
  if (padding == "reflection")
    return PadMode::Reflect;
  if (padding != "zeros")
    node.unsupported("padding_mode '" + padding + "'");
  return PadMode::Constant;
}

static void importGridSample(NodeReader &node) {
  ResizeMode mode = readSampleMode(node);
  PadMode padding = readSamplePadding(node);
  bool alignCorners = node.getBool("align_corners", false);
  requireFloats(node, 1);
  int64_t axes = gridAxes(node);
  if (node.failed())
    return;
  Value points = gridInPixels(node, axes, alignCorners);
  node.setOutput(0,
                 node.create<nn::GridSampleOp>(node.input(0), points, mode, padding, alignCorners));
}

//===----------------------------------------------------------------------===//
// AffineGrid
//===----------------------------------------------------------------------===//

/// Where the pixels of an axis lie in [-1, 1].
static Value axisPlaces(NodeReader &node, Value size, bool alignCorners, DType dtype) {
  Value places = convert(node, node.createCount(size), dtype);
  size = convert(node, size, dtype);
  if (alignCorners) {
    Value steps = node.create<nn::SubOp>(size, constantLike(node, 1, size));
    steps = node.create<nn::MaxOp>(steps, constantLike(node, 1, size));
    Value fromZero = scaleAndShift(node, places, 2, 0);
    return scaleAndShift(node, node.create<nn::DivOp>(fromZero, steps), 1, -1);
  }
  Value centres = node.create<nn::DivOp>(scaleAndShift(node, places, 2, 1), size);
  return scaleAndShift(node, centres, 1, -1);
}

/// How many spatial axes there are: theta is [N, axes, axes + 1].
static int64_t affineAxes(NodeReader &node) {
  auto theta = node.inputShape(0), size = node.inputShape(1);
  int64_t axes = 0;
  if (theta && theta->rank() == 3 && (*theta)[1].isStatic())
    axes = (*theta)[1].size();
  else if (size && size->rank() == 1 && (*size)[0].isStatic())
    axes = (*size)[0].size() - 2;
  else
    node.unsupported("theta and size of unknown sizes");
  bool fits = axes == 2 || axes == 3;
  if (fits && theta)
    fits = theta->rank() == 3 && (*theta)[1].compatibleWith(nn::Dim(axes)) &&
           (*theta)[2].compatibleWith(nn::Dim(axes + 1));
  if (fits && size)
    fits = size->rank() == 1 && (*size)[0].compatibleWith(nn::Dim(axes + 2));
  if (!node.failed() && !fits)
    node.invalid(fmt::format("theta must be Nx2x3 for a size of 4 entries or Nx3x4 for one of 5, "
                             "found {} and {}",
                             theta ? theta->str() : "?", size ? size->str() : "?"));
  return axes;
}

/// theta[:, :, column], to be added to places in its last dimension: [N, 1, ..., axes].
static Value thetaColumn(NodeReader &node, Value theta, int64_t column, int64_t axes) {
  Value vector = node.create<nn::GatherOp>(theta, node.scalarConstant(double(column), DType::Int64),
                                           /*axis=*/2);
  std::vector<int64_t> inner;
  for (int64_t axis = 1; axis <= axes; ++axis)
    inner.push_back(axis);
  return node.create<nn::UnsqueezeOp>(vector, node.intsConstant(inner));
}

static void importAffineGrid(NodeReader &node) {
  bool alignCorners = node.getBool("align_corners", false);
  requireFloats(node, 0);
  int64_t axes = affineAxes(node);
  if (node.failed())
    return;
  Value theta = widen(node, node.input(0));
  Value result = thetaColumn(node, theta, axes, axes);
  // Column 0 belongs to x, the last axis.
  for (int64_t column = 0; column < axes; ++column) {
    int64_t axis = axes - 1 - column;
    Value size = node.create<nn::GatherOp>(node.input(1), node.intsConstant({2 + axis}), 0);
    Value places =
        axisPlaces(node, convert(node, size, DType::Int64), alignCorners, dtypeOf(theta));
    // [size, 1, ...] with a dimension for each axis after it and for the coordinates.
    std::vector<int64_t> after;
    for (int64_t d = 1; d <= axes - axis; ++d)
      after.push_back(d);
    places = node.create<nn::UnsqueezeOp>(places, node.intsConstant(after));
    Value part = node.create<nn::MulOp>(thetaColumn(node, theta, column, axes), places);
    result = node.create<nn::AddOp>(part, result);
  }
  node.setOutput(0, convert(node, result, node.inputDType(0)));
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

/// RoiAlign; pixels have whole coordinates at their corners from opset 16 on.
static void importRoiAlign(NodeReader &node) {
  std::string kind = node.getString("mode", "avg");
  int64_t height = node.getInt("output_height", 1), width = node.getInt("output_width", 1);
  int64_t samplingRatio = node.getInt("sampling_ratio", 0);
  double scale = node.getFloat("spatial_scale", 1);
  std::string coordinates = "output_half_pixel";
  if (node.opset() >= 16)
    coordinates = node.getString("coordinate_transformation_mode", "half_pixel");
  if (kind != "avg" && kind != "max")
    return node.unsupported("mode '" + kind + "'");
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    return node.unsupported("coordinate_transformation_mode '" + coordinates + "'");
  requireFloats(node, 0);
  requireFloats(node, 1);
  if (node.failed())
    return;
  Value rois = convert(node, node.input(1), node.inputDType(0));
  node.setOutput(0, node.create<nn::RoiPoolOp>(node.input(0), rois, node.input(2),
                                               kind == "max" ? ReduceKind::Max : ReduceKind::Mean,
                                               height, width, APFloat(scale), samplingRatio,
                                               coordinates == "half_pixel",
                                               /*whole_pixels=*/false));
}

/// A region is (image, x1, y1, x2, y2).
static void importMaxRoiPool(NodeReader &node) {
  std::vector<int64_t> shape = node.getInts("pooled_shape");
  double scale = node.getFloat("spatial_scale", 1);
  if (shape.size() != 2)
    return node.invalid(fmt::format("pooled_shape needs 2 entries, found {}", shape.size()));
  requireFloats(node, 1);
  if (auto rois = node.inputShape(1);
      rois && (rois->rank() != 2 || !(*rois)[1].compatibleWith(nn::Dim(5))))
    node.invalid("rois must be Rx5, found " + rois->str());
  if (node.failed())
    return;
  Value image = node.create<nn::GatherOp>(node.input(1), node.scalarConstant(0, DType::Int64), 1);
  Value rois = node.create<nn::GatherOp>(node.input(1), node.intsConstant({1, 2, 3, 4}), 1);
  node.setOutput(0, node.create<nn::RoiPoolOp>(node.input(0), rois,
                                               node.createCast(image, DType::Int64),
                                               ReduceKind::Max, shape[0], shape[1], APFloat(scale),
                                               /*sampling_ratio=*/int64_t{0}, /*half_pixel=*/false,
                                               /*whole_pixels=*/true));
}

namespace {
/// One axis of ONNX Runtime's CropAndResize.
struct CropAxis {
  /// [R, crop size], in pixels.
  Value places;
  /// Whether they are beyond the image.
  Value outside;
};
} // namespace

/// Regions begin and end at columns `axis` and 2 + `axis` of `rois`, in [0, 1].
static CropAxis cropAxis(NodeReader &node, Value rois, int64_t axis) {
  auto column = [&](int64_t i) -> Value {
    return node.create<nn::GatherOp>(rois, node.intsConstant({i}), /*axis=*/1);
  };
  Value begin = column(axis), end = column(2 + axis), one = constantLike(node, 1, rois);
  Value last = node.create<nn::SubOp>(
      convert(node, createSizes(node, node.input(0), 2 + axis, 3 + axis), dtypeOf(rois)), one);
  Value count = convert(
      node, node.create<nn::GatherOp>(node.input(3), node.intsConstant({axis}), 0), DType::Int64);
  Value steps = node.create<nn::SubOp>(convert(node, count, dtypeOf(rois)), one);
  Value extent = node.create<nn::MulOp>(node.create<nn::SubOp>(end, begin), last);
  Value step = node.create<nn::DivOp>(extent, node.create<nn::MaxOp>(steps, one));
  Value number = convert(node, node.createCount(count), dtypeOf(rois));
  Value spread = node.create<nn::AddOp>(node.create<nn::MulOp>(begin, last),
                                        node.create<nn::MulOp>(number, step));
  // A single place is the middle.
  Value middle =
      node.create<nn::MulOp>(scaleAndShift(node, node.create<nn::AddOp>(begin, end), 0.5, 0), last);
  Value isSingle = node.create<nn::EqualOp>(steps, constantLike(node, 0, steps));
  CropAxis crop;
  crop.places = node.create<nn::WhereOp>(isSingle, middle, spread);
  crop.outside = node.create<nn::OrOp>(
      node.create<nn::LessOp>(crop.places, constantLike(node, 0, crop.places)),
      createGreater(node, crop.places, last));
  return crop;
}

/// ONNX Runtime's op: regions, each of one size afterwards.
static void importCropAndResize(NodeReader &node) {
  std::string mode = node.getString("mode", "bilinear");
  double extrapolation = node.getFloat("extrapolation_value", 0);
  if (mode != "bilinear" && mode != "nearest")
    return node.unsupported("mode '" + mode + "'");
  requireFloats(node, 0);
  requireFloats(node, 1);
  if (auto shape = node.inputShape(0); shape && shape->rank() != 4)
    node.invalid("input 0 must have rank 4, found " + shape->str());
  if (node.failed())
    return;
  Value rois = widen(node, node.input(1));
  CropAxis y = cropAxis(node, rois, 0), x = cropAxis(node, rois, 1);
  auto rounded = [&](Value places) -> Value {
    return mode == "bilinear" ? places
                              : node.create<nn::FloorOp>(scaleAndShift(node, places, 1, 0.5));
  };
  // [R, height, width, 2] of (x, y).
  Value countY = createSizes(node, y.places, 1), countX = createSizes(node, x.places, 1);
  Value regions = createSizes(node, rois, 0, 1), one = node.intsConstant({1});
  auto spread = [&](Value places, int64_t axis) -> Value {
    places = node.create<nn::UnsqueezeOp>(rounded(places), node.intsConstant({axis, 3}));
    return node.create<nn::ExpandOp>(places, joinSizes(node, {regions, countY, countX, one}));
  };
  Value both[] = {spread(x.places, 1), spread(y.places, 2)};
  Value points = node.create<nn::ConcatOp>(mlir::ValueRange(both), /*axis=*/3);
  Value images = node.create<nn::GatherOp>(node.input(0), node.input(2), /*axis=*/0);
  Value sampled = node.create<nn::GridSampleOp>(
      images, points, mode == "nearest" ? ResizeMode::Nearest : ResizeMode::Linear, PadMode::Edge,
      /*align_corners=*/true);
  // [R, 1, height, width]
  Value outside =
      node.create<nn::OrOp>(node.create<nn::UnsqueezeOp>(y.outside, node.intsConstant({1, 3})),
                            node.create<nn::UnsqueezeOp>(x.outside, node.intsConstant({1, 2})));
  node.setOutput(
      0, node.create<nn::WhereOp>(outside, constantLike(node, extrapolation, sampled), sampled));
}

//===----------------------------------------------------------------------===//
// Col2Im
//===----------------------------------------------------------------------===//

static void importCol2Im(NodeReader &node) {
  node.setOutput(0, node.create<nn::Col2ImOp>(node.input(0), node.input(1), node.input(2),
                                              node.getInts("strides"), node.getInts("dilations"),
                                              node.getInts("pads")));
}

std::span<const OpsetRow> quern::onnx::visionImports() {
  static constexpr OpsetRow rows[] = {
      {"AffineGrid", 20, kNewestOpset, 2, 2, 1, importAffineGrid},
      {"Col2Im", 18, kNewestOpset, 3, 3, 1, importCol2Im},
      {"CropAndResize", 1, 1, 4, 4, 1, importCropAndResize, kMicrosoftDomain},
      {"GridSample", 16, kNewestOpset, 2, 2, 1, importGridSample},
      {"GridSample", 1, 1, 2, 2, 1, importGridSample, kMicrosoftDomain},
      {"MaxRoiPool", 1, kNewestOpset, 2, 2, 1, importMaxRoiPool},
      {"RoiAlign", 10, kNewestOpset, 3, 3, 1, importRoiAlign},
  };
  return rows;
}
