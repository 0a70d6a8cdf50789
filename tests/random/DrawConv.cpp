//===- DrawConv.cpp - random convolutions and pools -----------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
/// The window of a convolution or pool, as ONNX attributes say it.
struct Window {
  std::vector<int64_t> kernel, strides, dilations, pads;
  std::string autoPad = "NOTSET";
  Tensor::Dims output;
};

/// A window that fits `spatial`; nullopt when it is larger than the padded input.
std::optional<Window> drawWindow(ModelDraw &draw, const Tensor::Dims &spatial, bool dilates) {
  Window w;
  auto rank = static_cast<int64_t>(spatial.size());
  w.pads.assign(2 * rank, 0);
  if (draw.percent(25))
    w.autoPad = draw.pick<std::string>({"SAME_UPPER", "SAME_LOWER", "VALID"});
  bool pads = draw.percent(60), same = w.autoPad.starts_with("SAME");
  for (int64_t d = 0; d < rank; ++d) {
    w.kernel.push_back(draw.pick<int64_t>({1, 2, 3, 3, 5}));
    w.strides.push_back(draw.pick<int64_t>({1, 1, 1, 2, 3}));
    w.dilations.push_back(dilates && !same && draw.percent(20) ? 2 : 1);
    int64_t reach = (w.kernel[d] - 1) * w.dilations[d] + 1;
    if (pads && w.autoPad == "NOTSET")
      for (int64_t side : {d, d + rank})
        w.pads[side] = draw.between(0, std::min<int64_t>(w.kernel[d] - 1, 2));
    int64_t room = spatial[d] + w.pads[d] + w.pads[d + rank] - reach;
    if (spatial[d] == 0 || (room < 0 && !same))
      return std::nullopt;
    w.output.push_back(same ? (spatial[d] + w.strides[d] - 1) / w.strides[d]
                            : room / w.strides[d] + 1);
  }
  return w;
}

bool anyOf(const std::vector<int64_t> &values, int64_t other) {
  return std::any_of(values.begin(), values.end(), [=](int64_t v) { return v != other; });
}

/// Sets the attributes; what equals its default is left out half of the time.
void setWindow(ModelDraw &draw, quern::onnx::test::ModelBuilder &node, const Window &w,
               bool kernel) {
  if (kernel)
    node.attr("kernel_shape", w.kernel);
  if (anyOf(w.strides, 1) || draw.percent(50))
    node.attr("strides", w.strides);
  if (anyOf(w.dilations, 1))
    node.attr("dilations", w.dilations);
  if (w.autoPad != "NOTSET")
    node.attr("auto_pad", w.autoPad.c_str());
  else if (anyOf(w.pads, 0) || draw.percent(50))
    node.attr("pads", w.pads);
}

DType drawImageType(ModelDraw &draw) {
  return draw.percent(85) ? DType::Float32 : draw.pick({DType::Float64, DType::Float16});
}

Drawn anyImage(ModelDraw &draw, double maxBound) {
  return draw.any(
      [=](const Drawn &v) {
        return (v.dtype == DType::Float32 || v.dtype == DType::Float64 ||
                v.dtype == DType::Float16) &&
               v.rank() >= 3 && v.rank() <= 5 && v.bound <= maxBound && v.elements() > 0 &&
               v.elements() <= 20000;
      },
      [&] {
        Tensor::Dims dims = {draw.pick<int64_t>({1, 1, 2}),
                             draw.wantsImages() ? draw.pick<int64_t>({3, 8, 16, 20, 32, 48})
                                                : draw.between(1, 5)};
        int64_t spatial = draw.pick<int64_t>({1, 2, 2, 2, 2, 3});
        for (int64_t d = 0; d < spatial; ++d)
          dims.push_back(spatial == 3 ? draw.between(1, 4) : draw.between(1, 9));
        return draw.leaf(drawImageType(draw), dims);
      });
}

Tensor::Dims spatialOf(const Drawn &x) { return {x.dims.begin() + 2, x.dims.end()}; }

Drawn convolved(ModelDraw &draw, const Drawn &x, const Drawn &w, double terms, int64_t channels,
                const Tensor::Dims &spatial) {
  Drawn y{draw.fresh(), x.dtype, {x.dims[0], channels}, terms * x.bound * w.bound, 0};
  y.dims.insert(y.dims.end(), spatial.begin(), spatial.end());
  y.error = terms * (w.bound * x.error + x.bound * w.error);
  if (y.error > 0)
    y.error += std::sqrt(terms) * roundingUnit(x.dtype) * y.bound;
  return y;
}

int64_t drawGroups(ModelDraw &draw, int64_t channels) {
  if (draw.percent(60))
    return 1;
  std::vector<int64_t> divisors;
  for (int64_t g = 1; g <= channels; ++g)
    if (channels % g == 0)
      divisors.push_back(g);
  return draw.percent(40) ? channels : draw.pick(divisors);
}

bool drawConv(ModelDraw &draw) {
  Drawn x = draw.tamed(anyImage(draw, 1e6), 16);
  auto window = drawWindow(draw, spatialOf(x), /*dilates=*/true);
  if (!window)
    return false;
  int64_t groups = drawGroups(draw, x.dims[1]), perGroup = x.dims[1] / groups;
  int64_t outputs =
      groups * (draw.wantsImages() ? draw.pick<int64_t>({1, 2, 16, 17, 32}) : draw.between(1, 4));
  // As many results as channels: groups lie within blocks of channels.
  if (groups > 1 && (outputs > 64 || draw.percent(30)))
    outputs = draw.percent(50) ? groups : x.dims[1];
  Tensor::Dims wDims = {outputs, perGroup};
  wDims.insert(wDims.end(), window->kernel.begin(), window->kernel.end());
  Drawn w = draw.parameter(x.dtype, wDims, -2, 2);
  double terms = static_cast<double>(w.elements()) / static_cast<double>(outputs);
  Drawn y = convolved(draw, x, w, terms, outputs, window->output);
  if (y.elements() > 30000)
    return false;
  // Winograd's algorithm, which filters of many channels may go by, rounds: by eight times as much
  // as direct sums of reals at most.
  if (perGroup >= 16 && std::ranges::any_of(window->kernel, [](int64_t k) { return k >= 3; }))
    y.error += 8 * std::sqrt(terms) * roundingUnit(x.dtype) * y.bound;
  std::vector<std::string> inputs = {x.name, w.name};
  if (draw.percent(60)) {
    inputs.push_back(draw.parameter(x.dtype, {outputs}).name);
    y.bound += 3;
  }
  auto &node = draw.result("Conv", inputs, y);
  setWindow(draw, node, *window, draw.percent(70));
  if (groups != 1 || draw.percent(20))
    node.attr("group", groups);
  return true;
}

bool drawConvTranspose(ModelDraw &draw) {
  Drawn x = draw.tamed(anyImage(draw, 1e6), 16);
  auto rank = static_cast<int64_t>(x.dims.size()) - 2;
  // As many as fill blocks of channels, which are computed otherwise.
  int64_t groups = drawGroups(draw, x.dims[1]),
          perGroup =
              draw.wantsImages() ? draw.pick<int64_t>({1, 2, 13, 16, 32}) : draw.between(1, 4);
  std::vector<int64_t> kernel, strides, extra(rank, 0), pads(2 * rank, 0);
  Tensor::Dims wDims = {x.dims[1], perGroup}, spatial;
  for (int64_t d = 0; d < rank; ++d) {
    kernel.push_back(draw.between(1, 4));
    strides.push_back(draw.between(1, 3));
    wDims.push_back(kernel[d]);
    if (strides[d] >= 2 && draw.percent(30))
      extra[d] = draw.between(1, strides[d] - 1);
    if (draw.percent(40)) {
      pads[d] = draw.between(0, kernel[d] - 1);
      pads[d + rank] = draw.between(0, kernel[d] - 1);
    }
    spatial.push_back((x.dims[d + 2] - 1) * strides[d] + kernel[d] + extra[d] - pads[d] -
                      pads[d + rank]);
    if (spatial[d] <= 0)
      return false;
  }
  Drawn w = draw.parameter(x.dtype, wDims, -2, 2);
  double terms = static_cast<double>(w.elements()) / static_cast<double>(perGroup * groups);
  Drawn y = convolved(draw, x, w, terms, perGroup * groups, spatial);
  if (y.elements() > 20000 || y.elements() == 0)
    return false;
  std::vector<std::string> inputs = {x.name, w.name};
  if (draw.percent(50)) {
    inputs.push_back(draw.parameter(x.dtype, {perGroup * groups}).name);
    y.bound += 3;
  }
  auto &node = draw.result("ConvTranspose", inputs, y);
  node.attr("strides", strides).attr("pads", pads);
  if (draw.percent(50))
    node.attr("kernel_shape", kernel);
  if (anyOf(extra, 0))
    node.attr("output_padding", extra);
  if (groups != 1)
    node.attr("group", groups);
  return true;
}

bool drawPool(ModelDraw &draw) {
  Drawn x = anyImage(draw, 1024);
  bool max = draw.percent(50);
  auto window = drawWindow(draw, spatialOf(x), /*dilates=*/max && draw.opset() >= 10);
  if (!window)
    return false;
  auto rank = static_cast<int64_t>(window->kernel.size());
  // A window that sees pads only has no maximum and no mean.
  for (int64_t d = 0; d < rank; ++d)
    if (std::max(window->pads[d], window->pads[d + rank]) >= window->kernel[d] ||
        (window->dilations[d] > 1 && x.dims[d + 2] < window->dilations[d]))
      return false;
  bool ceils = window->autoPad == "NOTSET" && draw.opset() >= 10 && draw.percent(25);
  if (ceils)
    for (int64_t d = 0; d < rank; ++d) {
      int64_t reach = (window->kernel[d] - 1) * window->dilations[d] + 1;
      int64_t room = x.dims[d + 2] + window->pads[d] + window->pads[d + rank] - reach;
      int64_t size = (room + window->strides[d] - 1) / window->strides[d] + 1;
      // The last window must start inside the input or its leading pad.
      if ((size - 1) * window->strides[d] >= x.dims[d + 2] + window->pads[d])
        --size;
      window->output[d] = size;
    }
  Drawn y{draw.fresh(), x.dtype, {x.dims[0], x.dims[1]}, x.bound, x.error};
  y.dims.insert(y.dims.end(), window->output.begin(), window->output.end());
  if (!max)
    y.error += roundingUnit(x.dtype) * x.bound;
  bool indices = max && x.isExact() && !ceils && window->autoPad == "NOTSET" && draw.percent(15);
  if (indices) {
    Drawn at{draw.fresh(), DType::Int64, y.dims, 1e9, 0};
    draw.keep(y);
    draw.keep(at);
    auto &node = draw.node("MaxPool", {x.name}, {y.name, at.name});
    setWindow(draw, node, *window, /*kernel=*/true);
    return true;
  }
  auto &node = draw.result(max ? "MaxPool" : "AveragePool", {x.name}, y);
  setWindow(draw, node, *window, /*kernel=*/true);
  if (ceils)
    node.attr("ceil_mode", int64_t{1});
  if (!max && draw.percent(50))
    node.attr("count_include_pad", draw.below(2));
  return true;
}

bool drawGlobalPool(ModelDraw &draw) {
  Drawn x = anyImage(draw, 1024);
  bool max = draw.percent(40);
  Drawn y{draw.fresh(), x.dtype, x.dims, x.bound, x.error};
  std::fill(y.dims.begin() + 2, y.dims.end(), 1);
  if (!max)
    y.error += 4 * roundingUnit(x.dtype) * x.bound;
  draw.result(max ? "GlobalMaxPool" : "GlobalAveragePool", {x.name}, y);
  return true;
}
} // namespace

OpFamily random::convFamily() {
  return {10, 30, {drawConv, drawConv, drawConv, drawConvTranspose}, 1};
}

OpFamily random::poolFamily() { return {5, 12, {drawPool, drawPool, drawGlobalPool}, 2}; }
