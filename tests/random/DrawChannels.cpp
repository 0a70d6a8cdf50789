//===- DrawChannels.cpp - random networks that part and join channels -----===//
//
// What MixNet, ShuffleNet and the like are made of: parts of an image that convolutions compute by
// themselves, joined, followed by something and parted again; shuffled channels.
//
//===----------------------------------------------------------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>

using namespace quern;
using namespace quern::random;

namespace {
Drawn anyImage(ModelDraw &draw) {
  auto fits = [](const Drawn &v) {
    return v.dtype == DType::Float32 && v.rank() == 4 && v.bound <= 64 && v.dims[1] >= 2 &&
           v.elements() > 0 && v.elements() <= 10000;
  };
  return draw.any(fits, [&] {
    Tensor::Dims dims = {draw.pick<int64_t>({1, 1, 2}),
                         draw.pick<int64_t>({2, 12, 16, 20, 32, 40, 48}), draw.between(1, 6),
                         draw.between(1, 9)};
    return draw.leaf(DType::Float32, dims);
  });
}

/// Two or three sizes, which add up to `channels`.
std::vector<int64_t> drawParts(ModelDraw &draw, int64_t channels) {
  if (channels % 2 == 0 && draw.percent(30))
    return {channels / 2, channels / 2};
  std::vector<int64_t> parts = {draw.between(1, channels - 1)};
  parts.push_back(channels - parts[0]);
  if (parts[1] > 1 && draw.percent(40)) {
    int64_t last = draw.between(1, parts[1] - 1);
    parts[1] -= last;
    parts.push_back(last);
  }
  return parts;
}

/// By Split, or slice by slice.
std::vector<Drawn> parted(ModelDraw &draw, const Drawn &x, const std::vector<int64_t> &parts) {
  std::vector<Drawn> images;
  std::vector<std::string> names;
  for (int64_t part : parts) {
    images.push_back(x);
    images.back().name = draw.fresh();
    images.back().dims[1] = part;
    names.push_back(images.back().name);
  }
  if (draw.opset() >= 13 && draw.percent(60)) {
    draw.node("Split", {x.name, draw.constantInts(parts)}, names).attr("axis", int64_t{1});
  } else if (draw.opset() < 13) {
    draw.node("Split", {x.name}, names).attr("axis", int64_t{1}).attr("split", parts);
  } else {
    int64_t begin = 0;
    for (size_t i = 0; i < parts.size(); begin += parts[i++])
      draw.node("Slice",
                {x.name, draw.constantInts({begin}), draw.constantInts({begin + parts[i]}),
                 draw.constantInts({1})},
                {names[i]});
  }
  return images;
}

/// A convolution that keeps the pixels: of each by itself, or of those around; of single channels.
Drawn convolved(ModelDraw &draw, const Drawn &x) {
  bool isDepthwise = draw.percent(35);
  // Of larger filters of many channels Winograd's algorithm rounds the sums.
  int64_t inputs = x.dims[1];
  int64_t kernel = isDepthwise   ? draw.pick<int64_t>({1, 3, 5})
                   : inputs < 16 ? draw.pick<int64_t>({1, 3})
                                 : 1;
  int64_t outputs = isDepthwise ? inputs : draw.pick<int64_t>({1, 8, 10, 16, 20, 32});
  int64_t terms = (isDepthwise ? 1 : inputs) * kernel * kernel;
  Drawn w =
      draw.parameter(DType::Float32, {outputs, isDepthwise ? 1 : inputs, kernel, kernel}, -1, 1);
  Drawn y = x;
  y.name = draw.fresh();
  y.dims[1] = outputs;
  y.bound = static_cast<double>(terms) * x.bound * w.bound;
  y.error = static_cast<double>(terms) * w.bound * x.error;
  if (y.error > 0)
    y.error += static_cast<double>(terms) * roundingUnit(y.dtype) * y.bound;
  int64_t pad = kernel / 2;
  draw.result("Conv", {x.name, w.name}, y)
      .attr("group", isDepthwise ? inputs : 1)
      .attr("kernel_shape", std::vector<int64_t>{kernel, kernel})
      .attr("pads", std::vector<int64_t>{pad, pad, pad, pad});
  return y;
}

/// An elementwise op, with a number for each channel or one for all, or none.
Drawn followed(ModelDraw &draw, Drawn x) {
  std::string image = x.name;
  x.name = draw.fresh();
  std::string op = draw.pick<std::string>({"Relu", "Neg", "Mul", "Add", "Sub"});
  std::vector<std::string> operands = {image};
  if (op == "Mul" || op == "Add" || op == "Sub") {
    Drawn numbers = draw.percent(70) ? draw.parameter(x.dtype, {1, x.dims[1], 1, 1}, -2, 2)
                                     : draw.parameter(x.dtype, {}, -2, 2);
    operands.insert(draw.percent(50) ? operands.begin() : operands.end(), numbers.name);
    x.bound = op == "Mul" ? 2 * x.bound : x.bound + 2;
    x.error *= 2;
    if (x.error > 0)
      x.error += roundingUnit(x.dtype) * x.bound;
  }
  draw.result(op, operands, x);
  return x;
}

bool drawPartedConvolutions(ModelDraw &draw) {
  Drawn x = draw.tamed(anyImage(draw), 4);
  std::vector<std::string> joined;
  Drawn y = x;
  y.dims[1] = 0;
  y.bound = 0;
  y.error = 0;
  for (const Drawn &part : parted(draw, x, drawParts(draw, x.dims[1]))) {
    Drawn image = draw.percent(85) ? convolved(draw, part) : part;
    joined.push_back(image.name);
    y.dims[1] += image.dims[1];
    y.bound = std::max(y.bound, image.bound);
    y.error = std::max(y.error, image.error);
  }
  y.name = draw.fresh();
  draw.result("Concat", joined, y).attr("axis", int64_t{1});
  for (int64_t i = draw.below(3); i > 0; --i)
    y = followed(draw, y);
  if (y.dims[1] > 1 && draw.percent(50))
    for (const Drawn &part : parted(draw, y, drawParts(draw, y.dims[1])))
      draw.keep(part);
  return true;
}

bool drawShuffle(ModelDraw &draw) {
  Drawn x = anyImage(draw);
  std::vector<int64_t> divisors;
  for (int64_t g = 1; g <= x.dims[1]; ++g)
    if (x.dims[1] % g == 0)
      divisors.push_back(g);
  int64_t groups = draw.pick(divisors);
  Drawn image = draw.percent(70) ? convolved(draw, draw.tamed(x, 4)) : x;
  if (image.dims[1] % groups != 0)
    return false;
  Drawn parts = image, turned = image, y = image;
  parts.name = draw.fresh();
  parts.dims = {x.dims[0], groups, image.dims[1] / groups, x.dims[2], x.dims[3]};
  draw.result("Reshape", {image.name, draw.constantInts(parts.dims)}, parts);
  turned.name = draw.fresh();
  turned.dims = {x.dims[0], image.dims[1] / groups, groups, x.dims[2], x.dims[3]};
  draw.result("Transpose", {parts.name}, turned).attr("perm", std::vector<int64_t>{0, 2, 1, 3, 4});
  y.name = draw.fresh();
  draw.result("Reshape", {turned.name, draw.constantInts(image.dims)}, y);
  if (draw.percent(50))
    convolved(draw, draw.tamed(y, 4));
  return true;
}
} // namespace

OpFamily random::channelsFamily() {
  return {1, 14, {drawPartedConvolutions, drawPartedConvolutions, drawShuffle}};
}
