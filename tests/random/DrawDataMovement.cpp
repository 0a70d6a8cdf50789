//===- DrawDataMovement.cpp - random moves and copies ---------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <numeric>

using namespace quern;
using namespace quern::random;

namespace {
const std::vector<DType> kAllTypes = {
    DType::Float32, DType::Float32, DType::Float32, DType::Float64, DType::Float16, DType::Int64,
    DType::Int32,   DType::Int8,    DType::UInt8,   DType::Int16,   DType::Bool};

/// A value of any type with a rank in the range.
Drawn anyValue(ModelDraw &draw, int64_t minRank, int64_t maxRank = 5) {
  return draw.any(
      [=](const Drawn &v) {
        return v.rank() >= minRank && v.rank() <= maxRank && v.elements() <= 20000;
      },
      [&] { return draw.leaf(draw.pick(kAllTypes), draw.drawDims(minRank, maxRank)); });
}

Drawn like(ModelDraw &draw, const Drawn &x, Tensor::Dims dims) {
  return {draw.fresh(), x.dtype, std::move(dims), x.bound, x.error};
}

/// Negative axes came with opset 11 for the ops that did not have them from the start.
int64_t drawAxis(ModelDraw &draw, int64_t rank) {
  int64_t axis = draw.below(rank);
  return draw.opset() >= 11 ? draw.eitherSign(axis, rank) : axis;
}
int64_t fromFront(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

bool drawConcat(ModelDraw &draw) {
  Drawn x = anyValue(draw, 1);
  int64_t axis = drawAxis(draw, x.rank()), at = fromFront(axis, x.rank());
  std::vector<std::string> names = {x.name};
  Drawn y = like(draw, x, x.dims);
  for (int64_t i = draw.below(4); i > 0; --i) {
    // Values of the same shape along all other dimensions.
    auto fits = [&](const Drawn &v) {
      if (v.dtype != x.dtype || v.rank() != x.rank())
        return false;
      for (int64_t d = 0; d < x.rank(); ++d)
        if (d != at && v.dims[d] != x.dims[d])
          return false;
      return true;
    };
    Drawn next = draw.any(fits, [&] {
      Tensor::Dims dims = x.dims;
      dims[at] = draw.between(0, 5);
      return draw.leaf(x.dtype, dims);
    });
    names.push_back(next.name);
    y.dims[at] += next.dims[at];
    y.bound = std::max(y.bound, next.bound);
    y.error = std::max(y.error, next.error);
  }
  if (draw.percent(30))
    std::rotate(names.begin(), names.begin() + 1, names.end());
  draw.result("Concat", names, y).attr("axis", axis);
  // The same values in two concatenations can lie in place in one only.
  if (draw.percent(25)) {
    std::rotate(names.begin(), names.begin() + 1, names.end());
    y.name = draw.fresh();
    draw.result("Concat", names, y).attr("axis", axis);
  }
  return true;
}

bool drawSplit(ModelDraw &draw) {
  Drawn x = anyValue(draw, 1);
  int64_t axis = drawAxis(draw, x.rank()), at = fromFront(axis, x.rank()), whole = x.dims[at];
  std::vector<int64_t> parts;
  bool equal = draw.percent(40);
  if (equal) {
    int64_t count = draw.pick<int64_t>({1, 2, 3});
    if (whole % count != 0)
      return false;
    parts.assign(count, whole / count);
  } else {
    for (int64_t rest = whole; rest > 0 || parts.empty();) {
      parts.push_back(parts.size() == 3 ? rest : draw.between(0, rest));
      rest -= parts.back();
    }
  }
  std::vector<Drawn> results;
  std::vector<std::string> outputs, inputs = {x.name};
  for (int64_t part : parts) {
    Tensor::Dims dims = x.dims;
    dims[at] = part;
    results.push_back(like(draw, x, dims));
    outputs.push_back(results.back().name);
  }
  bool asInput = draw.opset() >= 13;
  if (!equal && asInput)
    inputs.push_back(draw.constantInts(parts));
  auto &node = draw.node("Split", inputs, outputs);
  if (!equal && !asInput)
    node.attr("split", parts);
  if (equal && draw.opset() >= 18)
    node.attr("num_outputs", static_cast<int64_t>(parts.size()));
  if (axis != 0 || draw.percent(50))
    node.attr("axis", axis);
  for (const Drawn &value : results)
    draw.keep(value);
  return true;
}

/// [start, end) by step along one dimension, in all the ways ONNX lets it be said.
struct Cut {
  int64_t start, end, step, size;
};
Cut drawCut(ModelDraw &draw, int64_t size, bool steps) {
  Cut cut{0, 0, 1, 0};
  if (steps && draw.percent(50))
    cut.step = draw.pick<int64_t>({-1, 2, -2, 3, -3, 1});
  auto bound = [&]() -> int64_t {
    if (draw.percent(15))
      return draw.percent(50) ? INT64_MAX : INT64_MIN + 1;
    return draw.between(-size - 2, size + 2);
  };
  cut.start = draw.percent(30) ? (cut.step > 0 ? 0 : -1) : bound();
  cut.end = draw.percent(30) ? (cut.step > 0 ? INT64_MAX : INT64_MIN + 1) : bound();
  // Going backward, ONNX Runtime (not ONNX) takes this for "to the first element".
  if (cut.step < 0 && cut.end == INT64_MAX)
    cut.end = size;
  // ONNX's rule; NumPy lets a start before the first element give nothing.
  if (size == 0)
    return cut;
  auto clampTo = [&](int64_t at, int64_t low, int64_t high) {
    return std::clamp(at < 0 ? at + size : at, low, high);
  };
  int64_t first = cut.step > 0 ? clampTo(cut.start, 0, size) : clampTo(cut.start, 0, size - 1);
  int64_t last = cut.step > 0 ? clampTo(cut.end, 0, size) : clampTo(cut.end, -1, size - 1);
  int64_t distance = cut.step > 0 ? last - first : first - last;
  int64_t stride = std::abs(cut.step);
  cut.size = distance <= 0 ? 0 : (distance + stride - 1) / stride;
  return cut;
}

bool drawSlice(ModelDraw &draw) {
  Drawn x = anyValue(draw, 1);
  bool asInputs = draw.opset() >= 10;
  std::vector<int64_t> order(x.rank()), starts, ends, axes, steps;
  std::iota(order.begin(), order.end(), 0);
  bool givesAxes = draw.percent(70), givesSteps = asInputs && draw.percent(60);
  if (givesAxes)
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[draw.below(static_cast<int64_t>(i))]);
  order.resize(draw.between(1, x.rank()));
  Drawn y = like(draw, x, x.dims);
  for (int64_t d : order) {
    Cut cut = drawCut(draw, x.dims[d], givesSteps);
    starts.push_back(cut.start);
    ends.push_back(cut.end);
    axes.push_back(asInputs ? draw.eitherSign(d, x.rank()) : d);
    steps.push_back(cut.step);
    y.dims[d] = cut.size;
  }
  if (!asInputs) {
    auto &node = draw.result("Slice", {x.name}, y).attr("starts", starts).attr("ends", ends);
    if (givesAxes)
      node.attr("axes", axes);
    return true;
  }
  std::vector<std::string> inputs = {x.name, draw.ints(starts), draw.ints(ends)};
  if (givesAxes || givesSteps)
    inputs.push_back(givesAxes ? draw.ints(axes) : "");
  if (givesSteps)
    inputs.push_back(draw.ints(steps));
  draw.result("Slice", inputs, y);
  return true;
}

bool drawTranspose(ModelDraw &draw) {
  Drawn x = anyValue(draw, 0);
  std::vector<int64_t> perm(x.rank());
  std::iota(perm.rbegin(), perm.rend(), 0);
  bool explicitly = draw.percent(80);
  if (explicitly)
    for (size_t i = perm.size(); i > 1; --i)
      std::swap(perm[i - 1], perm[draw.below(static_cast<int64_t>(i))]);
  Drawn y = like(draw, x, x.dims);
  for (size_t i = 0; i < perm.size(); ++i)
    y.dims[i] = x.dims[perm[i]];
  auto &node = draw.result("Transpose", {x.name}, y);
  if (explicitly && x.rank() > 0)
    node.attr("perm", perm);
  return true;
}

bool drawExpand(ModelDraw &draw) {
  Drawn x = anyValue(draw, 0, 4);
  Tensor::Dims wanted = x.dims;
  for (int64_t &d : wanted)
    d = d == 1 ? draw.between(1, 4) : draw.percent(30) ? 1 : d;
  wanted.erase(wanted.begin(),
               wanted.begin() + draw.below(static_cast<int64_t>(wanted.size()) + 1));
  if (draw.percent(30) && x.rank() < 4) {
    while (static_cast<int64_t>(wanted.size()) < x.rank())
      wanted.insert(wanted.begin(), 1);
    wanted.insert(wanted.begin(), draw.between(1, 3));
  }
  Drawn y = like(draw, x, x.dims);
  while (y.dims.size() < wanted.size())
    y.dims.insert(y.dims.begin(), 1);
  for (size_t i = 0; i < wanted.size(); ++i) {
    int64_t &d = y.dims[y.dims.size() - 1 - i];
    d = d == 1 ? wanted[wanted.size() - 1 - i] : d;
  }
  if (y.elements() > 20000)
    return false;
  draw.result("Expand", {x.name, draw.ints(wanted)}, y);
  return true;
}

bool drawTile(ModelDraw &draw) {
  Drawn x = anyValue(draw, 1, 4);
  std::vector<int64_t> repeats;
  Drawn y = like(draw, x, x.dims);
  for (int64_t &d : y.dims) {
    repeats.push_back(draw.pick<int64_t>({1, 1, 2, 3, 0}));
    d *= repeats.back();
  }
  if (y.elements() > 20000)
    return false;
  draw.result("Tile", {x.name, draw.ints(repeats)}, y);
  return true;
}

/// Axes in any order, among them all that are padded; `pads` become those of the axes.
std::vector<int64_t> chooseAxes(ModelDraw &draw, std::vector<int64_t> &pads) {
  auto rank = static_cast<int64_t>(pads.size()) / 2;
  std::vector<int64_t> axes, begins, ends;
  for (int64_t d = 0; d < rank; ++d)
    if (pads[d] != 0 || pads[d + rank] != 0 || draw.percent(50))
      axes.insert(draw.percent(50) ? axes.begin() : axes.end(), d);
  for (int64_t axis : axes) {
    begins.push_back(pads[axis]);
    ends.push_back(pads[axis + rank]);
  }
  pads = begins;
  pads.insert(pads.end(), ends.begin(), ends.end());
  for (int64_t &axis : axes)
    axis = draw.signOfKnownRank(axis, rank);
  return axes;
}

bool drawPad(ModelDraw &draw) {
  Drawn x =
      draw.any([](const Drawn &v) { return isFloat(v.dtype) && v.rank() >= 1 && v.rank() <= 5; },
               [&] { return draw.leaf(DType::Float32, draw.drawDims(1, 4)); });
  std::string mode = draw.pick<std::string>({"constant", "constant", "reflect", "edge", "wrap"});
  if (mode == "wrap" && (draw.opset() < 19 || !draw.knowsRanks()))
    return false;
  std::vector<int64_t> pads(2 * x.rank());
  Drawn y = like(draw, x, x.dims);
  for (int64_t d = 0; d < x.rank(); ++d) {
    if (draw.percent(40))
      continue;
    int64_t most = mode == "reflect" ? std::max<int64_t>(x.dims[d] - 1, 0)
                   : mode == "wrap"  ? x.dims[d]
                                     : 3;
    if (mode != "constant" && x.dims[d] == 0)
      return false;
    for (int64_t side : {int64_t{0}, x.rank()})
      pads[d + side] = draw.between(0, std::min<int64_t>(most, 3));
    // A negative pad crops.
    if (mode == "constant" && x.dims[d] >= 2 && draw.percent(20))
      pads[d] = -1;
    y.dims[d] += pads[d] + pads[d + x.rank()];
  }
  if (y.elements() > 20000)
    return false;
  int64_t value = draw.between(-2, 2);
  bool givesValue = mode == "constant" && draw.percent(50);
  if (givesValue)
    y.bound = std::max(y.bound, 2.0);
  if (draw.opset() < 11) {
    auto &node = draw.result("Pad", {x.name}, y).attr("pads", pads).attr("mode", mode.c_str());
    if (givesValue)
      node.attr("value", static_cast<float>(value));
    return true;
  }
  std::vector<int64_t> axes;
  if (draw.opset() >= 18 && draw.knowsRanks() && draw.percent(40))
    axes = chooseAxes(draw, pads);
  if (axes.empty() && pads.empty())
    return false;
  std::vector<std::string> inputs = {x.name, draw.ints(pads)};
  if (givesValue || !axes.empty())
    inputs.push_back(givesValue ? draw.leaf(x.dtype, {}, value, value).name : "");
  if (!axes.empty())
    inputs.push_back(draw.constantInts(axes));
  auto &node = draw.result("Pad", inputs, y);
  if (mode != "constant" || draw.percent(50))
    node.attr("mode", mode.c_str());
  return true;
}

bool drawGather(ModelDraw &draw) {
  Drawn x = anyValue(draw, 1, 4);
  int64_t axis = drawAxis(draw, x.rank()), at = fromFront(axis, x.rank()), size = x.dims[at];
  if (size == 0)
    return false;
  Tensor::Dims shape = draw.pick<Tensor::Dims>({{}, {1}, {3}, {2, 2}, {0}, {1, 4}});
  Drawn indices = draw.leaf(draw.pick({DType::Int64, DType::Int32}), shape,
                            draw.opset() >= 11 ? -size : 0, size - 1);
  Drawn y = like(draw, x, {});
  y.dims.insert(y.dims.end(), x.dims.begin(), x.dims.begin() + at);
  y.dims.insert(y.dims.end(), shape.begin(), shape.end());
  y.dims.insert(y.dims.end(), x.dims.begin() + at + 1, x.dims.end());
  auto &node = draw.result("Gather", {x.name, indices.name}, y);
  if (axis != 0 || draw.percent(50))
    node.attr("axis", axis);
  return true;
}
} // namespace

OpFamily random::dataMovementFamily() {
  return {22,
          24,
          {drawConcat, drawConcat, drawSplit, drawSlice, drawSlice, drawTranspose, drawExpand,
           drawTile, drawPad, drawGather},
          6};
}
