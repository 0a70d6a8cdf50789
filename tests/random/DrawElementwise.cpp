//===- DrawElementwise.cpp - random ops on single elements ----------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
const std::vector<DType> kFloats = {DType::Float32, DType::Float32, DType::Float64, DType::Float16};
const std::vector<DType> kIntegers = {DType::Int32, DType::Int64,  DType::Int8,   DType::Int16,
                                      DType::UInt8, DType::UInt16, DType::UInt32, DType::UInt64};

Drawn anyFloat(ModelDraw &draw) {
  return draw.any([](const Drawn &v) { return isFloat(v.dtype) && v.bound <= 1024; },
                  [&] { return draw.leaf(draw.drawFloat(), draw.drawDims(0, 5)); });
}

Drawn anyNumber(ModelDraw &draw) {
  auto newLeaf = [&] {
    DType dtype = draw.percent(50) ? draw.drawFloat() : draw.pick(kIntegers);
    return draw.leaf(dtype, draw.drawDims(0, 5));
  };
  return draw.any([](const Drawn &v) { return v.dtype != DType::Bool && v.bound <= 1024; },
                  newLeaf);
}

Drawn anyBool(ModelDraw &draw) {
  return draw.any([](const Drawn &v) { return v.dtype == DType::Bool; },
                  [&] { return draw.leaf(DType::Bool, draw.drawDims(0, 4)); });
}

Tensor::Dims broadcast(const Tensor::Dims &a, const Tensor::Dims &b) {
  Tensor::Dims dims(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < dims.size(); ++i) {
    int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    dims[dims.size() - 1 - i] = x == 1 ? y : x;
  }
  return dims;
}

/// Another operand for `a`, on either side.
std::pair<Drawn, Drawn> pairWith(ModelDraw &draw, const Drawn &a, bool ordered = false) {
  Drawn b = draw.percent(8) ? a : draw.operand(a.dtype, draw.broadcastable(a.dims), 1024);
  bool swap = !ordered && draw.percent(50);
  return swap ? std::pair(b, a) : std::pair(a, b);
}

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

/// A function without parameters. `slope` bounds its derivative; 0 marks functions
/// with jumps, which get exact operands only. `limit` bounds its values; 0 says
/// that they are no larger than the operand.
struct UnaryRow {
  const char *op;
  double slope, limit;
  int64_t since = 7;
  bool exactResult = false;
  bool integers = false;
  int64_t integersSince = 99;
};
const UnaryRow kUnary[] = {
    {"Abs", 1, 0, 7, true, true, 7},
    {"Neg", 1, 0, 7, true, false},
    {"Relu", 1, 0, 7, true, true, 14},
    {"Sign", 0, 1, 9, true, true, 9},
    {"Ceil", 0, 0, 7, true},
    {"Floor", 0, 0, 7, true},
    {"Round", 0, 0, 11, true},
    {"Erf", 1.2, 1, 9},
    {"Sin", 1, 1},
    {"Cos", 1, 1},
    {"Tanh", 1, 1},
    {"Sigmoid", 1, 1},
    {"Atan", 1, 2},
    {"Asinh", 1, 8, 9},
    {"Softplus", 1, 1025},
    {"Softsign", 1, 1},
    {"HardSwish", 2, 0, 14},
    {"Identity", 1, 0, 7, true, true, 7},
};

bool drawUnary(ModelDraw &draw) {
  const UnaryRow &row = kUnary[draw.below(std::size(kUnary))];
  if (draw.opset() < row.since)
    return false;
  Drawn x = row.integers && draw.opset() >= row.integersSince ? anyNumber(draw) : anyFloat(draw);
  if (row.slope == 0 && !x.isExact())
    return false;
  // Not all of these take unsigned or bfloat16 operands in ONNX.
  if (isUnsignedInteger(x.dtype) && std::string(row.op) == "Relu")
    return false;
  Drawn y{draw.fresh(), x.dtype, x.dims, row.limit > 0 ? row.limit : x.bound, x.error * row.slope};
  if (!row.exactResult)
    y.error += roundingUnit(x.dtype) * std::max(y.bound, 1.0);
  draw.result(row.op, {x.name}, y);
  return true;
}

/// Functions that are defined on a part of the line, on leaves within it.
bool drawWithDomain(ModelDraw &draw) {
  struct Row {
    const char *op;
    double low, high, limit;
    int64_t since = 7;
  };
  static const Row kRows[] = {
      {"Sqrt", 0.5, 9, 3},      {"Log", 0.5, 9, 2.2},     {"Exp", -4, 3, 21},
      {"Asin", -0.9, 0.9, 1.2}, {"Acos", -0.9, 0.9, 2.8}, {"Atanh", -0.9, 0.9, 1.5, 9},
      {"Acosh", 1.1, 9, 3, 9},  {"Sinh", -3, 3, 10.1, 9}, {"Cosh", -3, 3, 10.1, 9},
      {"Tan", -1, 1, 1.6},      {"Reciprocal", 0.5, 4, 2}};
  const Row &row = kRows[draw.below(std::size(kRows))];
  if (draw.opset() < row.since)
    return false;
  Drawn x = draw.realLeaf(draw.pick(kFloats), draw.drawDims(0, 4), row.low, row.high);
  Drawn y{draw.fresh(), x.dtype, x.dims, row.limit, 0};
  y.error = 32 * roundingUnit(x.dtype) * row.limit;
  draw.result(row.op, {x.name}, y);
  return true;
}

bool drawWithParameters(ModelDraw &draw) {
  Drawn x = anyFloat(draw);
  Drawn y{draw.fresh(), x.dtype, x.dims, 0, 0};
  double alpha = draw.pick({0.25, 0.5, 1.5, -0.5}), beta = draw.pick({0.5, 0.25, 2.0});
  bool givesDefault = draw.percent(30);
  std::string op = draw.pick<std::string>(
      {"LeakyRelu", "Elu", "Selu", "Celu", "HardSigmoid", "ThresholdedRelu", "Shrink"});
  if ((op == "Celu" && (draw.opset() < 12 || x.dtype != DType::Float32)) ||
      (op == "ThresholdedRelu" && (draw.opset() < 10 || !x.isExact())) ||
      (op == "Shrink" && (draw.opset() < 9 || !x.isExact())))
    return false;
  if (op == "Celu")
    alpha = std::abs(alpha);
  y.bound = op == "HardSigmoid" ? 1 : 3 * x.bound + 4;
  bool exact = op == "ThresholdedRelu" || (op == "Shrink" && givesDefault);
  y.error = exact ? 0 : 3 * x.error + roundingUnit(x.dtype) * y.bound;
  auto &node = draw.result(op, {x.name}, y);
  if (givesDefault)
    return true;
  if (op == "Shrink") {
    node.attr("lambd", static_cast<float>(beta)).attr("bias", static_cast<float>(alpha));
    return true;
  }
  node.attr("alpha", static_cast<float>(alpha));
  if (op == "Selu")
    node.attr("gamma", static_cast<float>(beta));
  if (op == "HardSigmoid")
    node.attr("beta", static_cast<float>(beta));
  return true;
}

bool drawClip(ModelDraw &draw) {
  Drawn x = draw.opset() >= 12 ? anyNumber(draw) : anyFloat(draw);
  Drawn y{draw.fresh(), x.dtype, x.dims, x.bound, x.error};
  bool hasLow = draw.percent(60), hasHigh = draw.percent(60);
  int64_t low = draw.between(-3, 1), high = draw.between(1, 3);
  if (isUnsignedInteger(x.dtype))
    low = std::max<int64_t>(low, 0);
  y.bound = std::max(x.bound, 3.0);
  if (draw.opset() < 11) {
    auto &node = draw.result("Clip", {x.name}, y);
    if (hasLow)
      node.attr("min", static_cast<float>(low));
    if (hasHigh)
      node.attr("max", static_cast<float>(high));
    return true;
  }
  std::vector<std::string> inputs = {x.name};
  inputs.push_back(hasLow ? draw.leaf(x.dtype, {}, low, low).name : "");
  inputs.push_back(hasHigh ? draw.leaf(x.dtype, {}, high, high).name : "");
  while (inputs.back().empty())
    inputs.pop_back();
  draw.result("Clip", inputs, y);
  return true;
}

bool drawCast(ModelDraw &draw) {
  bool fromBool = draw.percent(20);
  Drawn x = fromBool ? anyBool(draw) : anyNumber(draw);
  std::vector<DType> types = kIntegers;
  types.insert(types.end(), kFloats.begin(), kFloats.end());
  types.push_back(DType::Bool);
  if (draw.opset() >= 13)
    types.push_back(DType::BFloat16);
  DType to = draw.pick(types);
  bool jumps = !isFloat(to);
  // Floats outside an integer type's range have no defined conversion in ONNX.
  if ((jumps && !x.isExact()) || (isFloat(x.dtype) && isUnsignedInteger(to)) || x.bound > 100)
    return false;
  Drawn y{draw.fresh(), to, x.dims, to == DType::Bool ? 1 : x.bound, x.error};
  // A negative number becomes a large unsigned one.
  if (isUnsignedInteger(to) && !isUnsignedInteger(x.dtype))
    y.bound = 0x1p63;
  draw.result("Cast", {x.name}, y).attr("to", static_cast<int64_t>(to));
  return true;
}

//===----------------------------------------------------------------------===//
// Several operands
//===----------------------------------------------------------------------===//

bool drawArithmetic(ModelDraw &draw) {
  Drawn x = draw.percent(70) || draw.opset() < 14 ? anyFloat(draw) : anyNumber(draw);
  auto [a, b] = pairWith(draw, x);
  std::string op = draw.pick<std::string>({"Add", "Sub", "Mul", "Add", "Mul", "Max", "Min"});
  if (op.front() == 'M' && op != "Mul" && draw.opset() < 8)
    return false;
  Drawn y{draw.fresh(), a.dtype, broadcast(a.dims, b.dims), a.bound + b.bound, a.error + b.error};
  if (op == "Mul") {
    y.bound = a.bound * b.bound;
    y.error = a.bound * b.error + b.bound * a.error + a.error * b.error;
  } else if (op.front() == 'M') {
    y.bound = std::max(a.bound, b.bound);
    y.error = std::max(a.error, b.error);
  }
  // What wraps around is exact, but of any size.
  if (!isFloat(y.dtype) && (isUnsignedInteger(y.dtype) || y.bound > 100))
    y.bound = 0x1p63;
  draw.result(op, {a.name, b.name}, y);
  return true;
}

bool drawVariadic(ModelDraw &draw) {
  std::string op = draw.pick<std::string>({"Sum", "Mean", "Max", "Min"});
  if (draw.opset() < 8)
    return false;
  Drawn x = anyFloat(draw);
  std::vector<std::string> names = {x.name};
  Drawn y{draw.fresh(), x.dtype, x.dims, x.bound, x.error};
  for (int64_t i = draw.below(4); i > 0; --i) {
    Drawn next = draw.operand(x.dtype, draw.broadcastable(x.dims), 1024);
    names.push_back(next.name);
    y.dims = broadcast(y.dims, next.dims);
    y.bound += next.bound;
    y.error += next.error;
  }
  if (op == "Mean" && names.size() > 1)
    y.error += roundingUnit(x.dtype) * y.bound;
  if (draw.percent(30))
    std::rotate(names.begin(), names.begin() + 1, names.end());
  draw.result(op, names, y);
  return true;
}

/// Divisors are leaves without zeros.
bool drawDivision(ModelDraw &draw) {
  Drawn x = draw.percent(60) ? anyFloat(draw) : anyNumber(draw);
  bool mod = draw.percent(40);
  if (mod && (draw.opset() < 10 || !x.isExact()))
    return false;
  if (!isFloat(x.dtype) && draw.opset() < 14 && x.dtype != DType::Int32 && x.dtype != DType::Int64)
    return false;
  Drawn divisor = draw.leaf(x.dtype, draw.broadcastable(x.dims), 1, 4);
  Drawn y{draw.fresh(), x.dtype, broadcast(x.dims, divisor.dims), x.bound, x.error};
  if (!mod) {
    y.error += roundingUnit(x.dtype) * x.bound;
    draw.result("Div", {x.name, divisor.name}, y);
    return true;
  }
  // Negative divisors show whose sign the result has.
  if (!isUnsignedInteger(x.dtype) && draw.percent(50))
    divisor = draw.leaf(x.dtype, divisor.dims, -4, -1);
  y.bound = 4;
  auto &node = draw.result("Mod", {x.name, divisor.name}, y);
  if (isFloat(x.dtype) || draw.percent(50))
    node.attr("fmod", int64_t{1});
  return true;
}

bool drawPow(ModelDraw &draw) {
  DType dtype = draw.pick(kFloats);
  if (draw.percent(50)) { // small integers to small powers
    Drawn x =
        draw.any([&](const Drawn &v) { return v.dtype == dtype && v.isExact() && v.bound <= 4; },
                 [&] { return draw.leaf(dtype, draw.drawDims(0, 4)); });
    int64_t power = draw.between(0, 3);
    DType type = draw.opset() >= 12 ? draw.pick({dtype, DType::Int32, DType::Int64}) : dtype;
    Drawn exponent = draw.leaf(type, draw.percent(70) ? Tensor::Dims() : draw.broadcastable(x.dims),
                               power, power);
    Drawn y{draw.fresh(), dtype, broadcast(x.dims, exponent.dims), 64, 0};
    // pow of a library need not be exact.
    y.error = power > 2 ? roundingUnit(dtype) * 64 : 0;
    draw.result("Pow", {x.name, exponent.name}, y);
    return true;
  }
  Drawn x = draw.realLeaf(dtype, draw.drawDims(0, 4), 0.5, 3);
  double power = draw.pick({-2.0, -1.0, -0.5, 0.25, 0.5, 0.75, 1.5, 2.5, 3.0, 1.7});
  Drawn exponent = draw.realLeaf(
      dtype, draw.percent(70) ? Tensor::Dims() : draw.broadcastable(x.dims), power, power);
  Drawn y{draw.fresh(), dtype, broadcast(x.dims, exponent.dims), 27, 64 * roundingUnit(dtype) * 27};
  draw.result("Pow", {x.name, exponent.name}, y);
  return true;
}

bool drawComparison(ModelDraw &draw) {
  std::string op =
      draw.pick<std::string>({"Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"});
  if (draw.opset() < 12 && op.size() > 7)
    return false;
  Drawn x = draw.opset() >= 11 ? anyNumber(draw) : anyFloat(draw);
  if (draw.opset() < 11 && op == "Equal")
    return false;
  auto [a, b] = pairWith(draw, x);
  if (!a.isExact() || !b.isExact())
    return false;
  draw.result(op, {a.name, b.name}, {draw.fresh(), DType::Bool, broadcast(a.dims, b.dims), 1, 0});
  return true;
}

bool drawLogic(ModelDraw &draw) {
  Drawn x = anyBool(draw);
  if (draw.percent(25)) {
    draw.result("Not", {x.name}, {draw.fresh(), DType::Bool, x.dims, 1, 0});
    return true;
  }
  auto [a, b] = pairWith(draw, x);
  draw.result(draw.pick<std::string>({"And", "Or", "Xor"}), {a.name, b.name},
              {draw.fresh(), DType::Bool, broadcast(a.dims, b.dims), 1, 0});
  return true;
}

bool drawWhere(ModelDraw &draw) {
  if (draw.opset() < 9)
    return false;
  auto [a, b] = pairWith(draw, draw.percent(80) ? anyNumber(draw) : anyBool(draw));
  Tensor::Dims dims = broadcast(a.dims, b.dims);
  Drawn condition = draw.operand(DType::Bool, draw.broadcastable(dims));
  draw.result("Where", {condition.name, a.name, b.name},
              {draw.fresh(), a.dtype, broadcast(dims, condition.dims), std::max(a.bound, b.bound),
               std::max(a.error, b.error)});
  return true;
}

bool drawPRelu(ModelDraw &draw) {
  Drawn x = anyFloat(draw);
  Tensor::Dims dims = draw.broadcastable(x.dims);
  Drawn slope = draw.leaf(x.dtype, dims);
  Drawn y{draw.fresh(), x.dtype, x.dims, x.bound * slope.bound, x.error * slope.bound};
  draw.result("PRelu", {x.name, slope.name}, y);
  return true;
}

bool drawBitShift(ModelDraw &draw) {
  if (draw.opset() < 11)
    return false;
  DType dtype = draw.pick({DType::UInt8, DType::UInt16, DType::UInt32, DType::UInt64});
  Drawn x = draw.operand(dtype, draw.drawDims(0, 3));
  Drawn by = draw.leaf(dtype, draw.broadcastable(x.dims), 0, 7);
  draw.result("BitShift", {x.name, by.name},
              {draw.fresh(), dtype, broadcast(x.dims, by.dims), 0x1p63, 0})
      .attr("direction", draw.percent(50) ? "LEFT" : "RIGHT");
  return true;
}
} // namespace

OpFamily random::elementwiseFamily() {
  return {30,
          20,
          {drawUnary, drawUnary, drawUnary, drawWithDomain, drawWithParameters, drawClip, drawCast,
           drawArithmetic, drawArithmetic, drawArithmetic, drawArithmetic, drawVariadic,
           drawDivision, drawPow, drawComparison, drawLogic, drawWhere, drawPRelu, drawBitShift},
          5};
}
