//===- DrawQuant.cpp - random quantization and integer products -----------===//
//
// Scales are powers of two, so that quotients are exact and often halves.
//
//===----------------------------------------------------------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <utility>

using namespace quern;
using namespace quern::random;

namespace {
Tensor drawScales(ModelDraw &draw, const Tensor::Dims &dims, std::initializer_list<float> choices) {
  Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = draw.pick(choices);
  return tensor;
}

/// Bytes of any value; `dtype` is int8 or uint8.
Tensor drawBytes(ModelDraw &draw, DType dtype, const Tensor::Dims &dims) {
  Tensor tensor = Tensor::allocate(dtype, dims).take();
  auto *out = static_cast<uint8_t *>(tensor.mutableRawData());
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    out[i] = static_cast<uint8_t>(draw.below(256));
  return tensor;
}

DType drawByteType(ModelDraw &draw) { return draw.pick({DType::Int8, DType::UInt8}); }

/// Bytes that were computed before, or new ones.
Drawn anyBytes(ModelDraw &draw, int64_t minRank, int64_t maxRank) {
  return draw.any(
      [=](const Drawn &v) {
        return (v.dtype == DType::Int8 || v.dtype == DType::UInt8) && v.rank() >= minRank &&
               v.rank() <= maxRank && v.elements() <= 8000;
      },
      [&] {
        DType dtype = drawByteType(draw);
        Tensor::Dims dims = draw.drawDims(minRank, maxRank);
        return dtype == DType::Int8 ? draw.leaf(dtype, dims, -128, 127)
                                    : draw.leaf(dtype, dims, 0, 255);
      });
}

/// The axis of scales for `x`: empty when there is one scale. It counts from the end, for
/// the rank of `x` may be unknown.
std::optional<int64_t> drawAxis(ModelDraw &draw, const Drawn &x) {
  if (draw.opset() < 13 || x.rank() == 0 || draw.percent(50))
    return std::nullopt;
  return -1 - draw.below(x.rank());
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
  std::optional<int64_t> axis = drawAxis(draw, x);
  Tensor::Dims dims;
  if (axis)
    dims = {x.dims[x.rank() + *axis]};
  std::vector<std::string> inputs = {
      x.name, draw.initializer(drawScales(draw, dims, {0.25, 0.5, 1, 2, 2, 8}))};
  Drawn y{draw.fresh(), DType::UInt8, x.dims, 255, 0};
  if (draw.percent(80)) {
    y.dtype = drawByteType(draw);
    inputs.push_back(draw.initializer(drawBytes(draw, y.dtype, dims)));
  }
  auto &node = draw.result("QuantizeLinear", inputs, y);
  if (axis)
    node.attr("axis", *axis);
  return true;
}

bool drawDequantizeLinear(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Drawn x = anyBytes(draw, 0, 4);
  std::optional<int64_t> axis = drawAxis(draw, x);
  Tensor::Dims dims;
  if (axis)
    dims = {x.dims[x.rank() + *axis]};
  std::vector<std::string> inputs = {x.name,
                                     draw.initializer(drawScales(draw, dims, {0.25, 0.5, 1, 2}))};
  if (draw.percent(70))
    inputs.push_back(draw.initializer(drawBytes(draw, x.dtype, dims)));
  auto &node =
      draw.result("DequantizeLinear", inputs, {draw.fresh(), DType::Float32, x.dims, 1024, 0});
  if (axis)
    node.attr("axis", *axis);
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
  if (k == 0)
    return false;
  DType type = drawByteType(draw);
  std::string b = draw.initializer(drawBytes(draw, type, {k, n}));
  auto zeroPoint = [&](DType dtype, const Tensor::Dims &dims) {
    return draw.initializer(drawBytes(draw, dtype, dims));
  };
  Tensor::Dims columns = draw.percent(40) ? Tensor::Dims{n} : Tensor::Dims();
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
  Tensor::Dims dims = {draw.between(1, 2), draw.between(1, 4), draw.between(3, 9),
                       draw.between(3, 9)};
  DType inputType = drawByteType(draw), type = drawByteType(draw);
  Drawn x = draw.operand(inputType, dims);
  int64_t group = draw.percent(30) ? dims[1] : 1, outputs = group * draw.between(1, 3);
  int64_t kernel = draw.between(1, 3), stride = draw.between(1, 2), pad = draw.below(2);
  std::string w =
      draw.initializer(drawBytes(draw, type, {outputs, dims[1] / group, kernel, kernel}));
  auto zeroPoint = [&](DType dtype, const Tensor::Dims &of) {
    return draw.initializer(drawBytes(draw, dtype, of));
  };
  Tensor::Dims channels = draw.percent(50) ? Tensor::Dims{outputs} : Tensor::Dims();
  Drawn y{draw.fresh(), DType::Int32, {dims[0], outputs}, 65025.0 * double(36), 0};
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
/// What DequantizeLinear makes of an initializer.
struct DequantizedWeights {
  std::string name;
  std::vector<float> scales;
};
/// With one scale, or one for each position of `axis`.
DequantizedWeights drawDequantizedWeights(ModelDraw &draw, const Tensor::Dims &dims, int64_t axis) {
  DType type = drawByteType(draw);
  bool isPerAxis = draw.opset() >= 13 && draw.percent(50);
  Tensor::Dims of = isPerAxis ? Tensor::Dims{dims[axis]} : Tensor::Dims();
  Tensor scales = drawScales(draw, of, {0.25, 0.5});
  std::vector<std::string> inputs = {draw.initializer(drawBytes(draw, type, dims)),
                                     draw.initializer(scales)};
  if (draw.percent(60)) // the middle of uint8, which leaves what fits into int8, or any
    inputs.push_back(draw.initializer(
        type == DType::UInt8 && draw.percent(70)
            ? Tensor::of<uint8_t>(
                  of, std::vector<uint8_t>(isPerAxis ? static_cast<size_t>(dims[axis]) : 1, 128))
            : drawBytes(draw, type, of)));
  DequantizedWeights weights{draw.fresh(), {}};
  auto elements = scales.elementsAs<float>();
  weights.scales.assign(elements.begin(), elements.end());
  auto &node = draw.node("DequantizeLinear", inputs, {weights.name});
  if (isPerAxis)
    node.attr("axis", axis);
  return weights;
}

/// The bias of a product of these scales: none (an empty name), floats, or integers.
std::string drawDequantizedBias(ModelDraw &draw, int64_t channels, float xScale,
                                const DequantizedWeights &weights) {
  if (draw.percent(40))
    return "";
  if (draw.percent(30))
    return draw.parameter(DType::Float32, {channels}, -8, 8).name;
  std::vector<float> scales;
  for (float scale : weights.scales)
    scales.push_back(xScale * scale);
  Tensor::Dims of;
  if (draw.opset() >= 13 && scales.size() > 1)
    of = {static_cast<int64_t>(scales.size())};
  else if (scales.size() > 1)
    return "";
  std::string name = draw.fresh();
  auto &node = draw.node("DequantizeLinear",
                         {draw.parameter(DType::Int32, {channels}, -5000, 5000).name,
                          draw.initializer(Tensor::of<float>(of, scales))},
                         {name});
  if (!of.empty())
    node.attr("axis", int64_t{0});
  return name;
}

/// Bounds of a product's floats, perhaps, and what they are quantized to, perhaps.
bool drawRequantization(ModelDraw &draw, Drawn y) {
  if (draw.percent(30))
    draw.node("Relu", {std::exchange(y.name, draw.fresh())}, {y.name});
  if (draw.opset() >= 11 && draw.percent(30)) {
    std::string low = draw.initializer(Tensor::of<float>({}, {draw.percent(50) ? 0.0F : -64.0F}));
    std::string high = draw.initializer(Tensor::of<float>({}, {96.0F}));
    draw.node("Clip", {std::exchange(y.name, draw.fresh()), low, high}, {y.name});
  }
  if (draw.percent(30)) {
    draw.keep(y);
    return true;
  }
  Drawn bytes{draw.fresh(), drawByteType(draw), y.dims, 255, 0};
  draw.result("QuantizeLinear",
              {y.name, draw.initializer(drawScales(draw, {}, {2, 16, 128})),
               draw.initializer(drawBytes(draw, bytes.dtype, {}))},
              bytes);
  return true;
}

/// A product or a convolution of what is dequantized. Scales are so small that all sums are exact
/// in float32.
bool drawDequantizedProduct(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  bool isConv = draw.percent(60);
  DType type = drawByteType(draw);
  Tensor::Dims dims =
      isConv ? Tensor::Dims{1, draw.between(1, 4), draw.between(3, 9), draw.between(3, 9)}
             : Tensor::Dims{draw.between(1, 5), draw.between(1, 30)};
  float xScale = draw.pick({0.5F, 1.0F});
  std::vector<std::string> inputs = {draw.operand(type, dims).name,
                                     draw.initializer(Tensor::of<float>({}, {xScale}))};
  if (draw.percent(70))
    inputs.push_back(draw.initializer(drawBytes(draw, type, {})));
  std::string x = draw.fresh();
  draw.node("DequantizeLinear", inputs, {x});
  Drawn y{draw.fresh(), DType::Float32, {}, 2000000, 0};
  if (!isConv) {
    int64_t n = draw.between(1, 12);
    bool isTransposed = draw.percent(40), isGemm = draw.opset() >= 11 && draw.percent(60);
    DequantizedWeights weights = drawDequantizedWeights(
        draw, isGemm && isTransposed ? Tensor::Dims{n, dims[1]} : Tensor::Dims{dims[1], n},
        isGemm && isTransposed ? 0 : 1);
    y.dims = {dims[0], n};
    if (!isGemm) {
      draw.node("MatMul", {x, weights.name}, {y.name});
      return drawRequantization(draw, y);
    }
    std::vector<std::string> factors = {x, weights.name};
    if (std::string bias = drawDequantizedBias(draw, n, xScale, weights); !bias.empty())
      factors.push_back(bias);
    auto &node = draw.node("Gemm", factors, {y.name});
    if (isTransposed)
      node.attr("transB", int64_t{1});
    return drawRequantization(draw, y);
  }
  int64_t group = draw.percent(30) ? dims[1] : 1, outputs = group * draw.between(1, 3);
  int64_t kernel = draw.between(1, 3), stride = draw.between(1, 2), pad = draw.below(2);
  DequantizedWeights weights =
      drawDequantizedWeights(draw, {outputs, dims[1] / group, kernel, kernel}, 0);
  y.dims = {1, outputs};
  for (int64_t d : {2, 3})
    y.dims.push_back((dims[d] + 2 * pad - kernel) / stride + 1);
  std::vector<std::string> operands = {x, weights.name};
  if (std::string bias = drawDequantizedBias(draw, outputs, xScale, weights); !bias.empty())
    operands.push_back(bias);
  auto &node = draw.node("Conv", operands, {y.name});
  node.attr("pads", std::vector<int64_t>(4, pad));
  node.attr("strides", std::vector<int64_t>(2, stride));
  if (group != 1)
    node.attr("group", group);
  return drawRequantization(draw, y);
}
} // namespace

OpFamily random::quantFamily() {
  return {4,
          4,
          {drawQuantizeLinear, drawQuantizeLinear, drawDequantizeLinear, drawDequantizeLinear,
           drawDynamicQuantizeLinear, drawProduct, drawConvolution, drawDequantizedProduct,
           drawDequantizedProduct}};
}
