//===- DrawAttentionPrimitives.cpp - attention out of products ------------===//
//
// Masks and conditions are of all sizes, numbers of all ranks; heads share keys as they do in
// models, or in ways that only look like it. Keys that a condition hides may hold anything.
//
//===----------------------------------------------------------------------===//
#include "tests/random/DrawAttention.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::random;

namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// What exporters subtract from scores that do not count: beside others they are lost.
constexpr double kLarge = 10000;

/// One attention on its way.
class PrimitiveAttention {
public:
  explicit PrimitiveAttention(ModelDraw &draw) : draw(draw) {}
  void emit();

private:
  /// An operand, [batch, heads, length, size].
  Drawn drawHeads(int64_t heads, int64_t length, int64_t size);
  Drawn drawKeys(int64_t heads);
  void drawSizes();
  Drawn regrouped(Drawn value, int64_t count);
  int64_t headsFor(const Drawn &value, int64_t regular);
  Drawn product(const Drawn &a, const std::string &b, int64_t bHeads, int64_t columns);
  std::string node(const std::string &op, const std::vector<std::string> &inputs);
  std::string transposed(const std::string &value, const std::vector<int64_t> &perm);
  std::string cast(const std::string &value, DType to);
  std::string number(double value, DType type, int64_t mostDims);

  // Between product and softmax.
  void scale(Drawn &scores);
  void cap(Drawn &scores);
  void addMask(Drawn &scores, DType type);
  void hide(Drawn &scores, DType type);
  std::string condition(const Tensor::Dims &dims, bool shownWhereTrue, bool firstKeyStays);
  Drawn weigh(Drawn scores);
  double errorOf(const Drawn &q, const Drawn &k, const Drawn &v) const;

  ModelDraw &draw;
  DType dtype = DType::Float32;
  int64_t batch = 1, heads = 1, keyHeads = 1, queries = 1, keys = 1, size = 1, valueSize = 1;
  bool isGrouped = false, isRegular = true;
  /// The last of the keys, which hold anything; every condition hides them.
  int64_t garbage = 0;
  /// The largest of what is added to scores that count, and of what most others become.
  double maskBound = 0, fillBound = 0;
};
} // namespace

/// A divisor of `n`, which is positive.
static int64_t drawDivisor(ModelDraw &draw, int64_t n) {
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d <= n; ++d)
    if (n % d == 0)
      divisors.push_back(d);
  return draw.pick(divisors);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

std::string PrimitiveAttention::node(const std::string &op,
                                     const std::vector<std::string> &inputs) {
  std::string name = draw.fresh();
  draw.node(op, inputs, {name});
  return name;
}

std::string PrimitiveAttention::transposed(const std::string &value,
                                           const std::vector<int64_t> &perm) {
  std::string name = draw.fresh();
  draw.node("Transpose", {value}, {name}).attr("perm", perm);
  return name;
}

std::string PrimitiveAttention::cast(const std::string &value, DType to) {
  std::string name = draw.fresh();
  draw.node("Cast", {value}, {name}).attr("to", static_cast<int64_t>(to));
  return name;
}

/// A number, of any rank up to `mostDims`.
std::string PrimitiveAttention::number(double value, DType type, int64_t mostDims) {
  Tensor::Dims dims(static_cast<size_t>(draw.percent(50) ? 0 : draw.between(0, mostDims)), 1);
  Tensor tensor = Tensor::allocate(type, dims).take();
  setElement(tensor, 0, value);
  return draw.percent(80) ? draw.initializer(tensor) : draw.unsharedLeaf(tensor);
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

void PrimitiveAttention::drawSizes() {
  if (draw.percent(30) && draw.opset() >= 13)
    dtype = draw.opset() >= 16 && draw.percent(40) ? DType::BFloat16 : DType::Float16;
  isGrouped = draw.percent(45);
  isRegular = draw.percent(60);
  batch = draw.between(1, 2);
  size = draw.between(1, 20);
  valueSize = draw.between(1, 20);
  keys = draw.percent(75) ? draw.between(1, 19) : draw.between(120, 140);
  keyHeads = draw.between(1, isGrouped ? 3 : 4);
  heads = isGrouped ? keyHeads * draw.between(1, 3) : keyHeads;
  queries = draw.between(1, isGrouped ? 6 : 19);
  if (!isGrouped && draw.percent(15))
    keyHeads = 1;
  constexpr int64_t kFirstWithWhere = 9;
  if (keys > 1 && draw.opset() >= kFirstWithWhere && draw.percent(30))
    garbage = draw.between(1, keys - 1);
}

Drawn PrimitiveAttention::drawHeads(int64_t count, int64_t length, int64_t width) {
  bool isSplit = draw.percent(50);
  Tensor::Dims dims = {batch, isSplit ? length : count, isSplit ? count : length, width};
  // Of a half type exact, so that only what is rounded in the model is.
  Drawn value = dtype == DType::Float32 ? drawOperand(draw, dims) : draw.leaf(dtype, dims);
  if (isSplit) {
    value.name = transposed(value.name, {0, 2, 1, 3});
    std::swap(value.dims[1], value.dims[2]);
  }
  return value;
}

/// The keys as columns, some of which may hold anything.
Drawn PrimitiveAttention::drawKeys(int64_t count) {
  if (garbage == 0) {
    Drawn value = drawHeads(count, keys, size);
    value.name = transposed(value.name, {0, 1, 3, 2});
    return value;
  }
  constexpr int kBound = 3;
  Tensor tensor = Tensor::allocate(dtype, {batch, count, size, keys}).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    setElement(tensor, i,
               i % keys < keys - garbage
                   ? static_cast<double>(draw.between(-kBound, kBound))
                   : draw.pick({kInfinity, -kInfinity, 0.0, std::nan(""), 60000.0}));
  return {draw.unsharedLeaf(tensor), dtype, tensor.dims(), kBound, 0};
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// `value` with its rows in so many heads.
Drawn PrimitiveAttention::regrouped(Drawn value, int64_t count) {
  value.dims[2] = value.dims[1] * value.dims[2] / count;
  value.dims[1] = count;
  value.name = node("Reshape", {value.name, draw.ints(value.dims)});
  return value;
}

/// How many heads the rows of `value` are put into: as many as in a model, or almost.
int64_t PrimitiveAttention::headsFor(const Drawn &value, int64_t regular) {
  int64_t rows = value.dims[1] * value.dims[2];
  bool fits = isRegular || (rows % regular == 0 && draw.percent(75));
  return fits ? regular : drawDivisor(draw, rows);
}

Drawn PrimitiveAttention::product(const Drawn &a, const std::string &b, int64_t bHeads,
                                  int64_t columns) {
  Drawn found = a;
  found.dims[1] = std::max(a.dims[1], bHeads);
  found.dims[3] = columns;
  found.name = node("MatMul", {a.name, b});
  return found;
}

//===----------------------------------------------------------------------===//
// Between product and softmax
//===----------------------------------------------------------------------===//

void PrimitiveAttention::scale(Drawn &scores) {
  bool divides = draw.percent(50);
  std::string factor = number(divides ? 4 : 0.25, dtype, 4);
  scores.name = node(divides ? "Div" : "Mul", {scores.name, factor});
}

void PrimitiveAttention::cap(Drawn &scores) {
  std::string limit = draw.initializer(Tensor::of<float>({}, {8}));
  std::string bent = node("Tanh", {node("Div", {scores.name, limit})});
  scores.name = node("Mul", {bent, limit});
}

/// The first key stays visible: a row of none is NaN, which other ops would spread.
void PrimitiveAttention::addMask(Drawn &scores, DType type) {
  Tensor::Dims dims = draw.broadcastable(scores.dims);
  Tensor mask = Tensor::allocate(type, dims).take();
  bool hides = !dims.empty() && dims.back() == keys && keys > 1 && draw.percent(50);
  double fill = draw.pick({-kInfinity, -kLarge, type == DType::Float32 ? -1e30 : -60000.0});
  for (int64_t i = 0; i < mask.numElements(); ++i) {
    bool isHidden = hides && i % keys != 0 && draw.percent(40);
    setElement(mask, i, isHidden ? fill : static_cast<double>(draw.between(-3, 3)));
  }
  if (hides && fill == -kLarge)
    fillBound = kLarge;
  std::string name = draw.unsharedLeaf(mask);
  scores.name =
      draw.percent(70) ? node("Add", {scores.name, name}) : node("Add", {name, scores.name});
  maskBound += 3;
}

std::string PrimitiveAttention::condition(const Tensor::Dims &dims, bool shownWhereTrue,
                                          bool firstKeyStays) {
  Tensor tensor = Tensor::allocate(DType::Bool, dims).take();
  bool hasKeys = !dims.empty() && dims.back() == keys;
  bool isCausal = hasKeys && dims.size() > 1 && draw.percent(30);
  for (int64_t i = 0; i < tensor.numElements(); ++i) {
    int64_t key = hasKeys ? i % keys : 0;
    bool isShown = isCausal ? key <= i / keys % dims[dims.size() - 2] : draw.percent(60);
    isShown |= firstKeyStays && key == 0;
    isShown &= key < keys - garbage;
    tensor.mutableData<bool>()[i] = isShown == shownWhereTrue;
  }
  return draw.unsharedLeaf(tensor);
}

void PrimitiveAttention::hide(Drawn &scores, DType type) {
  double fill =
      draw.pick({-kInfinity, -kInfinity, -kLarge, 0.5, type == DType::Float32 ? -1e30 : -60000.0});
  Tensor::Dims dims = draw.broadcastable(scores.dims);
  if (garbage > 0 && (dims.empty() || dims.back() != keys))
    dims = {keys};
  if (fill == -kLarge)
    fillBound = kLarge;
  bool shownWhereTrue = draw.percent(65);
  std::string shown = condition(dims, shownWhereTrue, fill == -kInfinity);
  std::string hidden = number(fill, type, 4);
  scores.name = shownWhereTrue ? node("Where", {shown, scores.name, hidden})
                               : node("Where", {shown, hidden, scores.name});
}

/// How far apart results may be: softmax is no steeper than its scores are wrong.
double PrimitiveAttention::errorOf(const Drawn &q, const Drawn &k, const Drawn &v) const {
  double unit = roundingUnit(DType::Float32), terms = static_cast<double>(size) * 0.25;
  double score = terms * q.bound * k.bound + maskBound;
  double wrong = terms * (q.error * k.bound + k.error * q.bound) +
                 static_cast<double>(size + 16) * unit * score + 8 * unit * fillBound;
  double error = v.error + v.bound * (4 * wrong + static_cast<double>(keys + 16) * unit);
  if (dtype == DType::Float32)
    return error;
  // Weights are rounded, and may be too small for the type.
  return error + v.bound * (4 * roundingUnit(dtype) + static_cast<double>(keys) * 0x1p-24);
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

/// Masks and conditions, and the softmax; of half types some or all of it in float32.
Drawn PrimitiveAttention::weigh(Drawn scores) {
  DType type = dtype;
  bool widens = dtype != DType::Float32 && draw.percent(50);
  constexpr int64_t kFirstWithWhere = 9;
  for (int64_t step = draw.between(0, 3); step > 0; --step) {
    if (widens && type == dtype && draw.percent(50))
      scores.name = cast(scores.name, type = DType::Float32);
    if (draw.opset() >= kFirstWithWhere && draw.percent(50))
      hide(scores, type);
    else
      addMask(scores, type);
  }
  if (garbage > 0)
    hide(scores, type);
  if (widens && type == dtype)
    scores.name = cast(scores.name, type = DType::Float32);
  Drawn weights = scores;
  weights.name = draw.fresh();
  draw.node("Softmax", {scores.name}, {weights.name})
      .attr("axis", draw.opset() >= 11 ? draw.eitherSign(3, 4) : 3);
  if (type != dtype)
    weights.name = cast(weights.name, dtype);
  return weights;
}

void PrimitiveAttention::emit() {
  drawSizes();
  Drawn q = drawHeads(heads, queries, size);
  Drawn k = drawKeys(keyHeads);
  Drawn scores = q;
  bool scalesQueries = draw.percent(30);
  if (scalesQueries)
    scale(scores);
  if (isGrouped)
    scores = regrouped(scores, isRegular || draw.percent(50) ? keyHeads : 1);
  scores = product(scores, k.name, keyHeads, keys);
  if (isGrouped)
    scores = regrouped(scores, headsFor(scores, heads));
  if (!scalesQueries)
    scale(scores);
  if (dtype == DType::Float32 && draw.percent(10))
    cap(scores);
  Drawn weights = weigh(scores);
  int64_t valueHeads = weights.dims[1];
  if (isGrouped) {
    valueHeads = headsFor(weights, keyHeads);
    weights = regrouped(weights, !isRegular && draw.percent(30) ? 1 : valueHeads);
  } else if (draw.percent(15)) {
    valueHeads = 1;
  }
  Drawn v = drawHeads(valueHeads, keys, valueSize);
  Drawn y = product(weights, v.name, valueHeads, valueSize);
  if (isGrouped)
    y = regrouped(y, headsFor(y, heads));
  if (draw.percent(50)) {
    y.name = transposed(y.name, {0, 2, 1, 3});
    std::swap(y.dims[1], y.dims[2]);
  }
  y.error = errorOf(q, k, v);
  y.bound = v.bound + y.error;
  draw.keep(y);
}

bool random::drawPrimitiveAttention(ModelDraw &draw) {
  PrimitiveAttention(draw).emit();
  return true;
}
