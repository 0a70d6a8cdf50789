//===- DrawQuant.cpp - random quantization and integer products -----------===//
#include "tests/random/DrawBytes.h"

#include <algorithm>

using namespace quern;
using namespace quern::random;

namespace {
/// What the scales of a tensor are for: all of it, each position of an axis, or blocks along it.
struct Granularity {
  Tensor::Dims dims;
  std::optional<int64_t> axis;
  int64_t block = 0;
};
Granularity drawGranularity(ModelDraw &draw, const Drawn &x) {
  if (draw.opset() < 13 || x.rank() == 0 || draw.percent(50))
    return {};
  int64_t axis = draw.below(x.rank());
  Granularity drawn{{x.dims[axis]}, draw.eitherSign(axis, x.rank())};
  if (draw.opset() >= 21 && draw.percent(50)) {
    drawn.block = draw.between(1, 5);
    drawn.dims = x.dims;
    drawn.dims[axis] = (x.dims[axis] + drawn.block - 1) / drawn.block;
  }
  return drawn;
}

void setGranularity(quern::onnx::test::ModelBuilder &node, const Granularity &by) {
  if (by.axis)
    node.attr("axis", *by.axis);
  if (by.block > 0)
    node.attr("block_size", by.block);
}

bool drawQuantizeLinear(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Drawn x = draw.any(
      [](const Drawn &v) {
        return (v.dtype == DType::Float32 || v.dtype == DType::Int32) && v.isExact() &&
               v.bound <= 4096;
      },
      [&] { return draw.leaf(DType::Float32, draw.drawDims(0, 4), -600, 600); });
  Granularity by = drawGranularity(draw, x);
  std::vector<std::string> inputs = {
      x.name, draw.initializer(drawScales(draw, by.dims, {0.25, 0.5, 1, 2, 2, 8}))};
  Drawn y{draw.fresh(), DType::UInt8, x.dims, 255, 0};
  if (draw.percent(80)) {
    y.dtype = drawByteType(draw);
    inputs.push_back(draw.initializer(drawZeroPoints(draw, y.dtype, by.dims)));
  }
  auto &node = draw.result("QuantizeLinear", inputs, y);
  setGranularity(node, by);
  return true;
}

bool drawDequantizeLinear(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Drawn x = anyBytes(draw, 0, 4);
  Granularity by = drawGranularity(draw, x);
  std::vector<std::string> inputs = {
      x.name, draw.initializer(drawScales(draw, by.dims, {0.25, 0.5, 1, 2}))};
  if (draw.percent(70))
    inputs.push_back(draw.initializer(drawZeroPoints(draw, x.dtype, by.dims)));
  auto &node =
      draw.result("DequantizeLinear", inputs, {draw.fresh(), DType::Float32, x.dims, 1024, 0});
  setGranularity(node, by);
  return true;
}

bool drawDynamicQuantizeLinear(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  Drawn x = draw.any(
      [](const Drawn &v) {
        return v.dtype == DType::Float32 && v.isExact() && v.bound <= 4096 && v.elements() > 0;
      },
      [&] {
        return draw.leaf(DType::Float32, {draw.between(1, 20), draw.between(1, 40)}, -9, 99);
      });
  Drawn y{draw.fresh(), DType::UInt8, x.dims, 255, 0};
  Drawn scale{draw.fresh(), DType::Float32, {}, 64, roundingUnit(DType::Float32)};
  Drawn zero{draw.fresh(), DType::UInt8, {}, 255, 0};
  for (const Drawn &value : {y, scale, zero})
    draw.keep(value);
  draw.node("DynamicQuantizeLinear", {x.name}, {y.name, scale.name, zero.name});
  return true;
}

bool drawProduct(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Drawn a = anyBytes(draw, 2, 4);
  int64_t m = a.dims[a.rank() - 2], k = a.dims.back(), n = draw.between(1, 40);
  DType type = drawByteType(draw);
  bool isComputed = draw.percent(40);
  Tensor::Dims dims = {k, n};
  if (isComputed && draw.percent(50)) // a matrix for each of a
    dims.insert(dims.begin(), a.dims.begin(), a.dims.end() - 2);
  std::string b =
      isComputed ? draw.operand(type, dims).name : draw.initializer(drawBytes(draw, type, dims));
  auto zeroPoint = [&](DType dtype, const Tensor::Dims &dims) {
    return draw.initializer(drawZeroPoints(draw, dtype, dims));
  };
  Tensor::Dims columns = dims.size() == 2 && draw.percent(40) ? Tensor::Dims{n} : Tensor::Dims();
  Tensor::Dims rows = draw.percent(20) && m > 0 ? Tensor::Dims{m} : Tensor::Dims();
  Drawn y{draw.fresh(), DType::Int32, a.dims, 65025.0 * double(k), 0};
  y.dims.back() = n;
  if (draw.percent(50)) {
    std::vector<std::string> inputs = {a.name, b};
    if (draw.percent(80))
      inputs.push_back(zeroPoint(a.dtype, rows));
    if (inputs.size() == 3 && draw.percent(70))
      inputs.push_back(zeroPoint(type, columns));
    draw.result("MatMulInteger", inputs, y);
    return true;
  }
  y.dtype = drawByteType(draw);
  y.bound = 255;
  auto scales = [&](const Tensor::Dims &dims, std::initializer_list<float> choices) {
    return draw.initializer(drawScales(draw, dims, choices));
  };
  draw.result("QLinearMatMul",
              {a.name, scales(rows, {0.5, 1, 2}), zeroPoint(a.dtype, rows), b,
               scales(columns, {0.25, 1}), zeroPoint(type, columns), scales({}, {64, 256, 1024}),
               zeroPoint(y.dtype, {})},
              y);
  return true;
}

bool drawConvolution(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Tensor::Dims dims = {draw.between(1, 2), drawChannels(draw), draw.between(3, 9),
                       draw.between(3, 9)};
  DType inputType = drawByteType(draw), type = drawByteType(draw);
  Drawn x = draw.percent(50) ? draw.operand(inputType, dims) : newBytes(draw, inputType, dims);
  int64_t group = draw.percent(30) ? dims[1] : 1;
  int64_t outputs = group == 1 ? drawChannels(draw) : group * draw.between(1, 2);
  int64_t kernel = draw.between(1, 3), stride = draw.between(1, 2), pad = draw.below(2);
  std::string w =
      draw.initializer(drawBytes(draw, type, {outputs, dims[1] / group, kernel, kernel}));
  auto zeroPoint = [&](DType dtype, const Tensor::Dims &of) {
    return draw.initializer(drawZeroPoints(draw, dtype, of));
  };
  Tensor::Dims channels = draw.percent(50) ? Tensor::Dims{outputs} : Tensor::Dims();
  Drawn y{draw.fresh(),
          DType::Int32,
          {dims[0], outputs},
          65025.0 * double(kernel * kernel * dims[1]),
          0};
  for (int64_t d : {2, 3})
    y.dims.push_back((dims[d] + 2 * pad - kernel) / stride + 1);
  std::vector<std::string> inputs = {x.name, w};
  bool requantizes = draw.percent(60);
  if (requantizes) {
    y.dtype = drawByteType(draw);
    y.bound = 255;
    auto scales = [&](const Tensor::Dims &of, std::initializer_list<float> choices) {
      return draw.initializer(drawScales(draw, of, choices));
    };
    inputs = {x.name,
              scales({}, {0.5, 1}),
              zeroPoint(inputType, {}),
              w,
              scales(channels, {0.25, 0.5, 2}),
              zeroPoint(type, channels),
              scales({}, {16, 128, 512}),
              zeroPoint(y.dtype, {})};
    if (draw.percent(60))
      inputs.push_back(draw.parameter(DType::Int32, {outputs}, -5000, 5000).name);
  } else if (draw.percent(70)) {
    inputs.push_back(zeroPoint(inputType, {}));
    if (draw.percent(60))
      inputs.push_back(zeroPoint(type, channels));
  }
  auto &node = draw.result(requantizes ? "QLinearConv" : "ConvInteger", inputs, y);
  node.attr("pads", std::vector<int64_t>(4, pad));
  node.attr("strides", std::vector<int64_t>(2, stride));
  if (group != 1)
    node.attr("group", group);
  return true;
}
} // namespace

OpFamily random::quantFamily() {
  return {3,
          3,
          {drawQuantizeLinear, drawQuantizeLinear, drawDequantizeLinear, drawDequantizeLinear,
           drawDynamicQuantizeLinear, drawProduct, drawConvolution},
          10};
}
