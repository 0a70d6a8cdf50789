//===- DrawQdq.cpp - random graphs of DequantizeLinear, op, QuantizeLinear -===//
//
// As exporters write quantized networks: products and convolutions, sums, and functions of one
// tensor between what dequantizes and what quantizes; weights of few bits with scales for blocks.
//
//===----------------------------------------------------------------------===//
#include "tests/random/DrawBytes.h"

#include <algorithm>
#include <utility>

using namespace quern;
using namespace quern::random;

namespace {
/// Of fewer factors all sums of products of bytes are exact in float32.
constexpr int64_t kMostFactors = 256;
/// How often scales are no powers of two.
constexpr int64_t kPercentReal = 30;

/// What DequantizeLinear makes of bytes, with one scale.
std::string dequantized(ModelDraw &draw, const Drawn &x, const Tensor &scale) {
  std::vector<std::string> inputs = {x.name, draw.initializer(scale)};
  if (draw.percent(70))
    inputs.push_back(draw.initializer(drawZeroPoints(draw, x.dtype, {})));
  std::string name = draw.fresh();
  draw.node("DequantizeLinear", inputs, {name});
  return name;
}

/// Scales as training leaves them: products by them are rounded.
Tensor drawRealScales(ModelDraw &draw, const Tensor::Dims &dims, float least, float largest) {
  Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] =
        least + (largest - least) * static_cast<float>(draw.below(10000)) / 10000;
  return tensor;
}

/// One scale: one of `choices`, or any between the least and the largest of them.
Tensor drawScale(ModelDraw &draw, bool isReal, std::initializer_list<float> choices) {
  return isReal ? drawRealScales(draw, {}, std::min(choices), std::max(choices))
                : drawScales(draw, {}, choices);
}

/// What QuantizeLinear takes beside a tensor.
struct Quantization {
  Tensor scale, zeroPoint;
};
Quantization drawQuantization(ModelDraw &draw, const Tensor &scale) {
  return {scale, drawZeroPoints(draw, drawByteType(draw), {})};
}

/// Bytes of what is not exact may be the neighbours of what they would be.
void quantizeTo(ModelDraw &draw, const Drawn &y, const Quantization &by) {
  draw.result("QuantizeLinear",
              {y.name, draw.initializer(by.scale), draw.initializer(by.zeroPoint)},
              {draw.fresh(), by.zeroPoint.dtype(), y.dims, 255, y.isExact() ? 0.0 : kOneStep});
}

/// What DequantizeLinear makes of an initializer.
struct DequantizedWeights {
  std::string name;
  std::vector<float> scales;
};
/// With one scale, or one for each position of `axis`.
DequantizedWeights drawDequantizedWeights(ModelDraw &draw, const Tensor::Dims &dims, int64_t axis,
                                          bool isReal) {
  DType type = drawByteType(draw);
  bool isPerAxis = draw.opset() >= 13 && draw.percent(50);
  Tensor::Dims of = isPerAxis ? Tensor::Dims{dims[axis]} : Tensor::Dims();
  Tensor scales =
      isReal ? drawRealScales(draw, of, 0.25F, 0.5F) : drawScales(draw, of, {0.25F, 0.5F});
  std::vector<std::string> inputs = {draw.initializer(drawBytes(draw, type, dims)),
                                     draw.initializer(scales)};
  if (draw.percent(60)) // the middle of uint8, which leaves what fits into int8, or any
    inputs.push_back(draw.initializer(
        type == DType::UInt8 && draw.percent(70)
            ? Tensor::of<uint8_t>(
                  of, std::vector<uint8_t>(isPerAxis ? static_cast<size_t>(dims[axis]) : 1, 128))
            : drawZeroPoints(draw, type, of)));
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

/// What a product of so many factors each is, before anything follows it.
Drawn drawnProduct(ModelDraw &draw, const Tensor::Dims &dims, int64_t factors, bool isReal) {
  double bound = 255.0 * 255 * 0.5 * static_cast<double>(factors) + 5000;
  double error = static_cast<double>(factors + 4) * roundingUnit(DType::Float32) * bound;
  return {draw.fresh(), DType::Float32, dims, bound, isReal ? error : 0};
}

/// Bounds of a product's floats, perhaps, and what they are quantized to, perhaps. What is not
/// exact is off by less than the least scale.
bool drawRequantization(ModelDraw &draw, Drawn y) {
  if (draw.percent(30))
    draw.node("Relu", {std::exchange(y.name, draw.fresh())}, {y.name});
  if (draw.opset() >= 11 && draw.percent(30)) {
    std::string low = draw.initializer(Tensor::of<float>({}, {draw.percent(50) ? 0.0F : -64.0F}));
    std::string high = draw.initializer(Tensor::of<float>({}, {96.0F}));
    draw.node("Clip", {std::exchange(y.name, draw.fresh()), low, high}, {y.name});
  }
  if (draw.percent(30))
    draw.keep(y);
  else
    quantizeTo(draw, y,
               drawQuantization(draw, y.isExact() ? drawScale(draw, false, {2, 16, 128})
                                                  : drawScale(draw, true, {16, 128})));
  return true;
}

/// A product of a dequantized matrix by dequantized weights.
bool drawDequantizedMatrix(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Tensor::Dims dims = {draw.drawSize(),
                       draw.percent(80) ? draw.between(1, 30) : draw.between(0, kMostFactors)};
  DType type = drawByteType(draw);
  bool isReal = draw.percent(kPercentReal);
  Tensor xScale = drawScale(draw, isReal, {0.5F, 1.0F});
  std::string x = dequantized(
      draw, draw.percent(30) ? draw.operand(type, dims) : newBytes(draw, type, dims), xScale);
  int64_t n = draw.between(1, 12);
  bool isTransposed = draw.percent(40), isGemm = draw.opset() >= 11 && draw.percent(60);
  bool hasColumnsFirst = isGemm && isTransposed;
  DequantizedWeights weights = drawDequantizedWeights(
      draw, hasColumnsFirst ? Tensor::Dims{n, dims[1]} : Tensor::Dims{dims[1], n},
      hasColumnsFirst ? 0 : 1, isReal);
  Drawn y = drawnProduct(draw, {dims[0], n}, dims[1], isReal);
  std::vector<std::string> factors = {x, weights.name};
  if (!isGemm) {
    draw.node("MatMul", factors, {y.name});
    return drawRequantization(draw, y);
  }
  if (std::string bias = drawDequantizedBias(draw, n, *xScale.data<float>(), weights);
      !bias.empty())
    factors.push_back(bias);
  auto &node = draw.node("Gemm", factors, {y.name});
  if (isTransposed)
    node.attr("transB", int64_t{1});
  return drawRequantization(draw, y);
}

/// A product of two dequantized activations, as attention has them.
bool drawDequantizedFactors(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  int64_t m = draw.percent(50) ? draw.between(16, 40) : draw.drawSize();
  int64_t k = draw.percent(80) ? draw.between(1, 80) : draw.between(0, kMostFactors);
  int64_t n = draw.between(1, 40);
  Tensor::Dims batch = draw.percent(60) ? draw.drawDims(1, 2) : Tensor::Dims();
  auto matrices = [&](int64_t rows, int64_t columns) {
    Tensor::Dims dims = batch;
    dims.insert(dims.end(), {rows, columns});
    return dims;
  };
  bool isReal = draw.percent(kPercentReal);
  auto factor = [&](const Tensor::Dims &dims, std::initializer_list<float> scales) {
    DType type = drawByteType(draw);
    return dequantized(draw,
                       draw.percent(50) ? draw.operand(type, dims) : newBytes(draw, type, dims),
                       drawScale(draw, isReal, scales));
  };
  std::string a = factor(matrices(m, k), {0.5F, 1.0F}), b = factor(matrices(k, n), {0.25F, 0.5F});
  Drawn y = drawnProduct(draw, matrices(m, n), k, isReal);
  draw.node("MatMul", {a, b}, {y.name});
  return drawRequantization(draw, y);
}

bool drawDequantizedConv(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  int64_t kernel = draw.between(1, 3), stride = draw.between(1, 2), pad = draw.below(2);
  int64_t inputs = std::min(drawChannels(draw), kMostFactors / (kernel * kernel));
  Tensor::Dims dims = {draw.between(1, 2), inputs, draw.between(3, 9), draw.between(3, 9)};
  DType type = drawByteType(draw);
  bool isReal = draw.percent(kPercentReal);
  Tensor xScale = drawScale(draw, isReal, {0.5F, 1.0F});
  std::string x = dequantized(
      draw, draw.percent(50) ? draw.operand(type, dims) : newBytes(draw, type, dims), xScale);
  int64_t group = draw.percent(30) ? inputs : 1;
  int64_t outputs = group == 1 ? drawChannels(draw) : group * draw.between(1, 2);
  DequantizedWeights weights =
      drawDequantizedWeights(draw, {outputs, inputs / group, kernel, kernel}, 0, isReal);
  Tensor::Dims results = {dims[0], outputs};
  for (int64_t d : {2, 3})
    results.push_back((dims[d] + 2 * pad - kernel) / stride + 1);
  Drawn y = drawnProduct(draw, results, inputs / group * kernel * kernel, isReal);
  std::vector<std::string> operands = {x, weights.name};
  if (std::string bias = drawDequantizedBias(draw, outputs, *xScale.data<float>(), weights);
      !bias.empty())
    operands.push_back(bias);
  auto &node = draw.node("Conv", operands, {y.name});
  node.attr("pads", std::vector<int64_t>(4, pad));
  node.attr("strides", std::vector<int64_t>(2, stride));
  if (group != 1)
    node.attr("group", group);
  return drawRequantization(draw, y);
}

/// A residual: two dequantized tensors are added or multiplied. Compiled, sums and products that
/// nothing follows are computed by ONNX Runtime's formulas, which add the zero point before they
/// round: halves become even numbers with it, in the model without it.
bool drawDequantizedSum(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Drawn a = anyBytes(draw, 0, 4), b = draw.operand(a.dtype, a.dims, 255);
  bool isReal = draw.percent(kPercentReal);
  auto scale = [&] { return drawScale(draw, isReal, {0.25F, 0.5F, 1.0F}); };
  std::vector<std::string> terms = {dequantized(draw, a, scale()), dequantized(draw, b, scale())};
  if (draw.percent(50))
    std::swap(terms[0], terms[1]);
  Drawn y{draw.fresh(), DType::Float32, a.dims, 65025, 0};
  std::string op = draw.pick({"Add", "Add", "Sub", "Mul"});
  draw.node(op, terms, {y.name});
  bool isLast = draw.percent(60);
  if (!isLast)
    draw.node("Relu", {std::exchange(y.name, draw.fresh())}, {y.name});
  Quantization by = drawQuantization(draw, drawScale(draw, isReal, {0.5F, 1.0F, 2.0F, 64.0F}));
  bool hasFormula = isLast && op != "Sub" && by.zeroPoint.dtype() == a.dtype;
  if (hasFormula && (isReal || *by.zeroPoint.data<uint8_t>() % 2 == 1))
    y.error = roundingUnit(DType::Float32);
  quantizeTo(draw, y, by);
  return true;
}

/// A function of one tensor that gives the same floats everywhere.
bool drawDequantizedFunction(ModelDraw &draw) {
  if (draw.opset() < 10)
    return false;
  Drawn a = anyBytes(draw, 1, 4);
  bool isReal = draw.percent(kPercentReal);
  Drawn y{dequantized(draw, a, drawScale(draw, isReal, {0.25F, 0.5F, 1.0F})), DType::Float32,
          a.dims, 1024, 0};
  for (int64_t left = draw.between(1, 3); left > 0; --left) {
    std::string x = std::exchange(y.name, draw.fresh());
    std::string op = draw.pick({"Relu", "Abs", "Neg", "LeakyRelu", "Floor", "Sign", "Transpose"});
    auto &node = draw.node(op, {x}, {y.name});
    if (op == "LeakyRelu")
      node.attr("alpha", 0.25F);
    if (op == "Transpose")
      std::reverse(y.dims.begin(), y.dims.end());
  }
  quantizeTo(draw, y, drawQuantization(draw, drawScale(draw, isReal, {0.25F, 0.5F, 1.0F, 2.0F})));
  return true;
}

//===----------------------------------------------------------------------===//
// Weights with scales for blocks
//===----------------------------------------------------------------------===//

/// DequantizeLinear of constant weights [k, n] with a scale for each block of a column.
bool drawBlockScales(ModelDraw &draw) {
  if (draw.opset() < 21)
    return false;
  int64_t block = draw.pick<int64_t>({16, 32}), blocks = draw.between(1, 4), n = draw.drawSize();
  int64_t k = block * blocks - (draw.percent(20) ? draw.below(block) : 0), m = draw.drawSize();
  DType type = draw.pick({DType::Int4, DType::UInt4, DType::Int8, DType::UInt8});
  Drawn x = draw.operand(DType::Float32, {m, k}, 3);
  if (!x.isExact())
    return false;
  Tensor::Dims of = {(k + block - 1) / block, n};
  std::vector<std::string> inputs = {draw.initializer(drawBytes(draw, type, {k, n})),
                                     draw.initializer(drawScales(draw, of, {0.5F, 1.0F, 2.0F}))};
  if (draw.percent(60))
    inputs.push_back(draw.initializer(drawZeroPoints(draw, type, of)));
  std::string weights = draw.fresh();
  draw.node("DequantizeLinear", inputs, {weights})
      .attr("axis", draw.eitherSign(0, 2))
      .attr("block_size", block);
  draw.result("MatMul", {x.name, weights},
              {draw.fresh(), DType::Float32, {m, n}, 3 * 255 * 2 * static_cast<double>(k), 0});
  return true;
}

/// ONNX Runtime's product by such weights, several in a byte.
bool drawPackedBlocks(ModelDraw &draw) {
  int64_t bits = draw.pick<int64_t>({2, 4, 4, 8}), block = draw.pick<int64_t>({16, 32});
  int64_t blocks = draw.between(1, 4), n = draw.between(1, 40), m = draw.drawSize();
  int64_t k = block * blocks - (draw.percent(20) ? draw.below(block) : 0);
  Drawn x = draw.operand(DType::Float32, {m, k}, 3);
  if (!x.isExact())
    return false;
  std::vector<std::string> inputs = {
      x.name, draw.initializer(drawBytes(draw, DType::UInt8, {n, blocks, block * bits / 8})),
      draw.initializer(drawScales(draw, {n * blocks}, {0.5F, 1.0F, 2.0F}))};
  if (draw.percent(60))
    inputs.push_back(
        draw.initializer(drawBytes(draw, DType::UInt8, {n * ((blocks * bits + 7) / 8)})));
  auto &node =
      draw.result("MatMulNBits", inputs,
                  {draw.fresh(), DType::Float32, {m, n}, 3 * 255 * 2 * static_cast<double>(k), 0});
  draw.domain("com.microsoft");
  node.attr("K", k).attr("N", n).attr("bits", bits).attr("block_size", block);
  return true;
}
} // namespace

OpFamily random::qdqFamily() {
  return {2,
          2,
          {drawDequantizedMatrix, drawDequantizedFactors, drawDequantizedConv, drawDequantizedConv,
           drawDequantizedSum, drawDequantizedFunction, drawBlockScales, drawPackedBlocks},
          14};
}
