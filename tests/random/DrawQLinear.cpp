//===- DrawQLinear.cpp - random ops on bytes of ONNX Runtime --------------===//
#include "tests/random/DrawBytes.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
constexpr double kUnit = 0x1p-24;
const char *const kMicrosoft = "com.microsoft";

std::string drawScale(ModelDraw &draw, std::initializer_list<float> choices) {
  return draw.initializer(Tensor::of<float>({}, {draw.pick(choices)}));
}

std::string drawZeroPoint(ModelDraw &draw, DType dtype) {
  return draw.initializer(drawZeroPoints(draw, dtype, {}));
}

/// Operands of a quantized tensor: its bytes, scale and zero point.
std::vector<std::string> quantized(ModelDraw &draw, const Drawn &x) {
  return {x.name, drawScale(draw, {0.25f, 0.5f, 1.0f, 2.0f}), drawZeroPoint(draw, x.dtype)};
}

/// Adds scale and zero point of the result.
void addResult(ModelDraw &draw, std::vector<std::string> &inputs, DType dtype,
               std::initializer_list<float> scales) {
  inputs.push_back(drawScale(draw, scales));
  inputs.push_back(drawZeroPoint(draw, dtype));
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

bool drawBinary(ModelDraw &draw) {
  Drawn a = anyBytes(draw, 0, 4);
  Tensor::Dims dims = draw.broadcastable(a.dims);
  Drawn b = draw.operand(a.dtype, dims);
  if (b.bound > 255)
    return false;
  Drawn y{draw.fresh(), a.dtype, a.dims, 255, 0};
  for (size_t i = 0; i < b.dims.size(); ++i) {
    int64_t &d = y.dims[y.dims.size() - 1 - i];
    d = d == 1 ? b.dims[b.dims.size() - 1 - i] : d;
  }
  bool multiplies = draw.percent(50), swaps = draw.percent(50);
  std::vector<std::string> inputs = quantized(draw, swaps ? b : a);
  for (const std::string &name : quantized(draw, swaps ? a : b))
    inputs.push_back(name);
  addResult(draw, inputs, a.dtype, {0.5f, 1.0f, 2.0f, 64.0f});
  draw.result(multiplies ? "QLinearMul" : "QLinearAdd", inputs, y);
  draw.domain(kMicrosoft);
  return true;
}

bool drawLeakyRelu(ModelDraw &draw) {
  Drawn x = anyBytes(draw, 0, 4);
  std::vector<std::string> inputs = quantized(draw, x);
  addResult(draw, inputs, x.dtype, {0.25f, 0.5f, 1.0f});
  auto &node = draw.result("QLinearLeakyRelu", inputs, {draw.fresh(), x.dtype, x.dims, 255, 0});
  draw.domain(kMicrosoft);
  node.attr("alpha", draw.pick({0.25f, 0.5f, 0.125f}));
  return true;
}

bool drawWhere(ModelDraw &draw) {
  Drawn x = anyBytes(draw, 0, 4), y = draw.operand(x.dtype, x.dims);
  if (y.bound > 255)
    return false;
  Drawn condition = draw.operand(DType::Bool, x.dims);
  std::vector<std::string> inputs = {condition.name};
  for (const Drawn &value : {x, y})
    for (const std::string &name : quantized(draw, value))
      inputs.push_back(name);
  addResult(draw, inputs, x.dtype, {0.25f, 0.5f, 1.0f});
  draw.result("QLinearWhere", inputs, {draw.fresh(), x.dtype, x.dims, 255, 0});
  draw.domain(kMicrosoft);
  return true;
}

bool drawConcat(ModelDraw &draw) {
  Drawn x = anyBytes(draw, 1, 4);
  int64_t axis = draw.below(x.rank());
  Drawn y{draw.fresh(), x.dtype, x.dims, 255, 0};
  std::vector<std::string> inputs;
  addResult(draw, inputs, x.dtype, {0.25f, 0.5f, 1.0f});
  for (const std::string &name : quantized(draw, x))
    inputs.push_back(name);
  for (int64_t i = draw.below(3); i > 0; --i) {
    Tensor::Dims dims = x.dims;
    dims[axis] = draw.between(1, 4);
    for (const std::string &name : quantized(draw, newBytes(draw, x.dtype, dims)))
      inputs.push_back(name);
    y.dims[axis] += dims[axis];
  }
  auto &node = draw.result("QLinearConcat", inputs, y);
  draw.domain(kMicrosoft);
  node.attr("axis", draw.signOfKnownRank(axis, x.rank()));
  return true;
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

bool drawGlobalAveragePool(ModelDraw &draw) {
  // Sums of a power of two of elements are divided without rounding.
  Drawn x = newBytes(draw, draw.pick({DType::Int8, DType::UInt8}),
                     {draw.between(1, 2), draw.between(1, 9), draw.pick<int64_t>({1, 2, 4}),
                      draw.pick<int64_t>({1, 2, 4})});
  bool last = draw.knowsRanks() && draw.percent(40);
  Drawn y{draw.fresh(), x.dtype, x.dims, 255, 0};
  if (last)
    y.dims[1] = y.dims[2] = 1;
  else
    y.dims[2] = y.dims[3] = 1;
  std::vector<std::string> inputs = quantized(draw, x);
  addResult(draw, inputs, x.dtype, {0.25f, 0.5f, 1.0f});
  auto &node = draw.result("QLinearGlobalAveragePool", inputs, y);
  draw.domain(kMicrosoft);
  if (last || draw.percent(50))
    node.attr("channels_last", int64_t{last});
  return true;
}

bool drawAveragePool(ModelDraw &draw) {
  DType dtype = draw.pick({DType::Int8, DType::UInt8});
  Drawn x =
      newBytes(draw, dtype,
               {draw.between(1, 2), draw.between(1, 5), draw.between(2, 8), draw.between(2, 8)});
  std::vector<int64_t> kernel = {draw.pick<int64_t>({1, 2}), draw.pick<int64_t>({1, 2})};
  std::vector<int64_t> strides = {draw.between(1, 2), draw.between(1, 2)};
  Drawn y{draw.fresh(), dtype, x.dims, 255, 0};
  for (int64_t d : {0, 1})
    y.dims[d + 2] = (x.dims[d + 2] - kernel[d]) / strides[d] + 1;
  std::vector<std::string> inputs = quantized(draw, x);
  addResult(draw, inputs, dtype, {0.25f, 0.5f, 1.0f});
  auto &node = draw.result("QLinearAveragePool", inputs, y);
  draw.domain(kMicrosoft);
  node.attr("kernel_shape", kernel).attr("strides", strides);
  return true;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

bool drawGemm(ModelDraw &draw) {
  Drawn a = anyBytes(draw, 2, 2);
  int64_t m = a.dims[0], k = a.dims[1], n = draw.between(1, 20);
  bool transA = draw.percent(30), transB = draw.percent(50), toFloat = draw.percent(30);
  if (transA)
    std::swap(m, k);
  Drawn b = newBytes(draw, a.dtype, transB ? Tensor::Dims{n, k} : Tensor::Dims{k, n});
  std::vector<std::string> inputs = quantized(draw, a);
  for (const std::string &name : quantized(draw, b))
    inputs.push_back(name);
  bool hasBias = draw.percent(60);
  inputs.push_back(hasBias ? draw.parameter(DType::Int32, {n}, -500, 500).name : "");
  Drawn y{draw.fresh(), a.dtype, {m, n}, 255, 0};
  if (toFloat) {
    y.dtype = DType::Float32;
    y.bound = 4 * (65025.0 * static_cast<double>(k) + 500);
    y.error = 4 * kUnit * y.bound;
  } else {
    addResult(draw, inputs, a.dtype, {64.0f, 256.0f, 1024.0f});
  }
  while (inputs.back().empty())
    inputs.pop_back();
  auto &node = draw.result("QGemm", inputs, y);
  draw.domain(kMicrosoft);
  if (transA || draw.percent(30))
    node.attr("transA", int64_t{transA});
  if (transB || draw.percent(30))
    node.attr("transB", int64_t{transB});
  if (draw.percent(40))
    node.attr("alpha", draw.pick({0.5f, 2.0f}));
  return true;
}

bool drawIntegerToFloat(ModelDraw &draw) {
  Drawn a = anyBytes(draw, 2, 3);
  int64_t k = a.dims.back(), n = draw.between(1, 20);
  DType type = draw.pick({DType::Int8, DType::UInt8});
  Drawn b = newBytes(draw, type, {k, n});
  bool perColumn = draw.percent(40);
  Tensor scales =
      Tensor::allocate(DType::Float32, perColumn ? Tensor::Dims{n} : Tensor::Dims()).take();
  for (int64_t i = 0; i < scales.numElements(); ++i)
    scales.mutableData<float>()[i] = draw.pick({0.25f, 0.5f, 1.0f});
  std::vector<std::string> inputs = {a.name, b.name, drawScale(draw, {0.5f, 1.0f, 2.0f}),
                                     draw.initializer(scales)};
  if (draw.percent(70))
    inputs.push_back(drawZeroPoint(draw, a.dtype));
  if (inputs.size() == 5 && draw.percent(60))
    inputs.push_back(drawZeroPoint(draw, type));
  Drawn y{draw.fresh(), DType::Float32, a.dims, 2 * 65025.0 * static_cast<double>(k) + 3, 0};
  y.dims.back() = n;
  y.error = 4 * kUnit * y.bound;
  if (draw.percent(40)) {
    inputs.resize(6);
    inputs.push_back(draw.parameter(DType::Float32, {n}).name);
  }
  draw.result("MatMulIntegerToFloat", inputs, y);
  draw.domain(kMicrosoft);
  return true;
}
} // namespace

OpFamily random::qlinearFamily() {
  return {3,
          2,
          {drawBinary, drawBinary, drawLeakyRelu, drawWhere, drawConcat, drawGlobalAveragePool,
           drawAveragePool, drawGemm, drawIntegerToFloat},
          10};
}
