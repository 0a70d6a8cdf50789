//===- DrawGather.cpp - random gathers, scatters and choices by position --===//
#include "tests/random/ModelDraw.h"

#include <algorithm>

using namespace quern;
using namespace quern::random;

namespace {
const std::vector<DType> kTypes = {DType::Float32, DType::Float32, DType::Float64,
                                   DType::Float16, DType::Int64,   DType::UInt8};

Drawn anyValue(ModelDraw &draw, int64_t minRank, int64_t maxRank) {
  return draw.any(
      [=](const Drawn &v) {
        return v.rank() >= minRank && v.rank() <= maxRank && v.elements() <= 5000;
      },
      [&] { return draw.leaf(draw.pick(kTypes), draw.drawDims(minRank, maxRank)); });
}

Drawn like(ModelDraw &draw, const Drawn &x, Tensor::Dims dims) {
  return {draw.fresh(), x.dtype, std::move(dims), x.bound, x.error};
}

/// Dims of at most the size of those of `x`, but along the axis.
Tensor::Dims indexDims(ModelDraw &draw, const Drawn &x, int64_t axis) {
  Tensor::Dims dims = x.dims;
  for (int64_t d = 0; d < x.rank(); ++d)
    dims[d] = d == axis ? draw.between(0, 5) : draw.percent(70) ? dims[d] : draw.below(dims[d] + 1);
  return dims;
}

/// Where elements of a value are along an axis.
struct Indexed {
  Drawn x;
  int64_t axis;
  Drawn indices;
};

std::optional<Indexed> drawIndexed(ModelDraw &draw, DType dtype, bool mayBeNegative) {
  Drawn x = anyValue(draw, 1, 4);
  int64_t axis = draw.below(x.rank()), size = x.dims[axis];
  if (size == 0)
    return std::nullopt;
  Tensor::Dims dims = indexDims(draw, x, axis);
  return Indexed{x, axis, draw.leaf(dtype, dims, mayBeNegative ? -size : 0, size - 1)};
}

bool drawGatherElements(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  auto at = drawIndexed(draw, draw.pick({DType::Int64, DType::Int32}), /*mayBeNegative=*/true);
  if (!at)
    return false;
  draw.result("GatherElements", {at->x.name, at->indices.name}, like(draw, at->x, at->indices.dims))
      .attr("axis", draw.eitherSign(at->axis, at->x.rank()));
  return true;
}

/// How updates of what `y` begins with are combined; the bounds of `y` follow.
std::string drawReduction(ModelDraw &draw, const Drawn &x, const Drawn &updates, Drawn &y) {
  bool isExact = x.isExact() && updates.isExact();
  if (draw.opset() < 16 || draw.percent(40) || !isExact)
    return "none";
  if (draw.opset() >= 18 && draw.percent(50))
    return draw.percent(50) ? "min" : "max";
  if (x.dtype == DType::Bool)
    return "add";
  // All updates may be for one element.
  double sum = x.bound + static_cast<double>(updates.elements()) * updates.bound;
  if (isFloat(x.dtype) && sum > exactLimit(x.dtype))
    return "none";
  y.bound = isFloat(x.dtype) ? sum : 0x1p63;
  return "add";
}

bool drawScatterElements(ModelDraw &draw) {
  if (draw.opset() < 9)
    return false;
  bool mayBeNegative = draw.opset() >= 11;
  auto at = drawIndexed(draw, DType::Int64, mayBeNegative);
  if (!at)
    return false;
  auto &[x, axis, indices] = *at;
  Drawn updates = draw.operand(x.dtype, indices.dims);
  Drawn y = like(draw, x, x.dims);
  y.bound = std::max(x.bound, updates.bound);
  y.error = std::max(x.error, updates.error);
  std::string reduction = drawReduction(draw, x, updates, y);
  auto &node = draw.result(mayBeNegative ? "ScatterElements" : "Scatter",
                           {x.name, indices.name, updates.name}, y);
  node.attr("axis", mayBeNegative ? draw.eitherSign(axis, x.rank()) : axis);
  if (reduction != "none")
    node.attr("reduction", reduction.c_str());
  return true;
}

/// A space of tuples of indices, each of a slice of `x`.
struct IndexedSlices {
  Drawn indices;
  Tensor::Dims dims;
};

std::optional<IndexedSlices> drawTuples(ModelDraw &draw, const Drawn &x, int64_t batchDims) {
  int64_t length = draw.between(1, x.rank() - batchDims), size = INT64_MAX;
  for (int64_t d = 0; d < length; ++d)
    size = std::min(size, x.dims[batchDims + d]);
  if (size == 0)
    return std::nullopt;
  Tensor::Dims dims(x.dims.begin(), x.dims.begin() + batchDims);
  for (int64_t d = draw.between(batchDims == 0 ? 1 : 0, 2); d > 0; --d)
    dims.push_back(draw.between(0, 5));
  IndexedSlices slices{{}, dims};
  dims.push_back(length);
  slices.indices = draw.leaf(DType::Int64, dims, -size, size - 1);
  slices.dims.insert(slices.dims.end(), x.dims.begin() + batchDims + length, x.dims.end());
  return slices;
}

bool drawGatherND(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  Drawn x = anyValue(draw, 1, 4);
  int64_t batchDims = draw.opset() >= 12 ? draw.below(x.rank()) : 0;
  auto slices = drawTuples(draw, x, batchDims);
  if (!slices)
    return false;
  Drawn y = like(draw, x, slices->dims);
  if (y.elements() > 20000)
    return false;
  auto &node = draw.result("GatherND", {x.name, slices->indices.name}, y);
  if (batchDims > 0)
    node.attr("batch_dims", batchDims);
  return true;
}

bool drawScatterND(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  Drawn x = anyValue(draw, 1, 4);
  auto slices = drawTuples(draw, x, 0);
  if (!slices)
    return false;
  Drawn updates = draw.operand(x.dtype, slices->dims), y = like(draw, x, x.dims);
  if (updates.elements() > 20000)
    return false;
  y.bound = std::max(x.bound, updates.bound);
  y.error = std::max(x.error, updates.error);
  std::string reduction = drawReduction(draw, x, updates, y);
  auto &node = draw.result("ScatterND", {x.name, slices->indices.name, updates.name}, y);
  if (reduction != "none")
    node.attr("reduction", reduction.c_str());
  return true;
}

bool drawTrilu(ModelDraw &draw) {
  if (draw.opset() < 14)
    return false;
  Drawn x = anyValue(draw, 2, 4);
  std::vector<std::string> inputs = {x.name};
  if (draw.percent(60))
    inputs.push_back(draw.leaf(DType::Int64, {}, -3, 3).name);
  auto &node = draw.result("Trilu", inputs, like(draw, x, x.dims));
  if (draw.percent(60))
    node.attr("upper", draw.below(2));
  return true;
}

bool drawOneHot(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  int64_t depth = draw.between(1, 6);
  Drawn indices = draw.leaf(draw.pick({DType::Int64, DType::Int32, DType::Float32}),
                            draw.drawDims(0, 3), -depth - 1, depth);
  if (indices.elements() > 5000)
    return false;
  Drawn values = draw.leaf(draw.pick(kTypes), {2}, 0, 3);
  int64_t rank = indices.rank() + 1, axis = draw.below(rank);
  Drawn y = like(draw, values, indices.dims);
  y.dims.insert(y.dims.begin() + axis, depth);
  draw.result("OneHot", {indices.name, draw.constantInts({depth}), values.name}, y)
      .attr("axis", draw.signOfKnownRank(axis, rank));
  return true;
}

bool drawBlocks(ModelDraw &draw) {
  bool toDepth = draw.percent(50);
  int64_t block = draw.between(1, 3), square = block * block;
  auto fits = [=](const Drawn &v) {
    return v.rank() == 4 && v.elements() > 0 && v.elements() <= 20000 &&
           (toDepth ? v.dims[2] % block == 0 && v.dims[3] % block == 0 : v.dims[1] % square == 0);
  };
  Drawn x = draw.any(fits, [&] {
    int64_t c = draw.between(1, 4), h = draw.between(1, 4), w = draw.between(1, 4);
    Tensor::Dims dims =
        toDepth ? Tensor::Dims{2, c, h * block, w * block} : Tensor::Dims{2, c * square, h, w};
    return draw.leaf(draw.pick(kTypes), dims);
  });
  const Tensor::Dims &d = x.dims;
  Drawn y = like(draw, x,
                 toDepth ? Tensor::Dims{d[0], d[1] * square, d[2] / block, d[3] / block}
                         : Tensor::Dims{d[0], d[1] / square, d[2] * block, d[3] * block});
  auto &node = draw.result(toDepth ? "SpaceToDepth" : "DepthToSpace", {x.name}, y);
  node.attr("blocksize", block);
  if (!toDepth && draw.opset() >= 11 && draw.percent(60))
    node.attr("mode", draw.percent(50) ? "CRD" : "DCR");
  return true;
}
} // namespace

OpFamily random::gatherFamily() {
  return {6,
          4,
          {drawGatherElements, drawGatherND, drawScatterElements, drawScatterND, drawTrilu,
           drawOneHot, drawBlocks}};
}
