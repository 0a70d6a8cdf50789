//===- DrawAttention.cpp - random attention -------------------------------===//
#include "tests/random/ModelDraw.h"

#include "quern/CheckedSize.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::random;

namespace {
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Sizes of an attention.
struct Sizes {
  int64_t batch, heads, size, queries, keys, past;
};

int64_t countOf(const Tensor::Dims &dims) { return CheckedSize::product(dims).value(); }

/// A value of small integers whose rank is known: importers need that of attention.
Drawn drawOperand(ModelDraw &draw, const Tensor::Dims &dims) {
  Drawn flat = draw.operand(DType::Float32, {countOf(dims)}, 4);
  Drawn shaped{draw.fresh(), flat.dtype, dims, flat.bound, flat.error};
  draw.result("Reshape", {flat.name, draw.constantInts(dims)}, shaped);
  return shaped;
}

/// How far apart results may be: softmax is no steeper than its scores are wrong.
Drawn attentionResult(ModelDraw &draw, const Sizes &s, const Drawn &q, const Drawn &k,
                      const Drawn &v, float scale, const Drawn &bias) {
  double unit = roundingUnit(DType::Float32), factor = std::abs(scale);
  double score = static_cast<double>(s.size) * q.bound * k.bound * factor + bias.bound;
  double wrong = static_cast<double>(s.size) * factor * (q.error * k.bound + k.error * q.bound) +
                 static_cast<double>(s.size + 8) * unit * score + bias.error;
  Drawn y{draw.fresh(), DType::Float32, {s.batch, s.queries, s.heads * s.size}, v.bound, v.error};
  y.error += v.bound * (4 * wrong + static_cast<double>(s.keys + s.past + 16) * unit);
  return y;
}

/// ONNX Runtime's, packed, with or without masks, a bias and a past.
bool drawMultiHeadAttention(ModelDraw &draw) {
  bool isCausal = draw.percent(30);
  Sizes s{draw.between(1, 2), draw.between(1, 4),  draw.between(1, 9),
          draw.between(1, 7), draw.between(1, 19), draw.percent(30) ? draw.between(1, 5) : 0};
  if (isCausal)
    s.keys = s.queries;
  int64_t width = s.heads * s.size, all = s.keys + s.past;
  Drawn q = drawOperand(draw, {s.batch, s.queries, width});
  Drawn k = drawOperand(draw, {s.batch, s.keys, width});
  Drawn v = drawOperand(draw, {s.batch, s.keys, width});
  std::vector<std::string> inputs = {q.name, k.name, v.name, "", "", "", "", ""};
  if (draw.percent(40)) {
    int64_t kind = draw.below(3);
    Tensor::Dims dims = kind == 0   ? Tensor::Dims{s.batch}
                        : kind == 1 ? Tensor::Dims{s.batch, all}
                                    : Tensor::Dims{s.batch, s.queries, all};
    std::vector<int32_t> mask(static_cast<size_t>(countOf(dims)));
    for (int32_t &m : mask)
      m = static_cast<int32_t>(kind == 0 ? draw.between(1, all) : draw.below(2));
    inputs[4] = draw.initializer(Tensor::of<int32_t>(dims, mask));
  }
  Drawn bias;
  if (draw.percent(40)) {
    bias = drawOperand(
        draw, {draw.percent(50) ? 1 : s.batch, draw.percent(50) ? 1 : s.heads, s.queries, all});
    inputs[5] = bias.name;
  }
  bias.bound += 8; // the mask
  if (s.past > 0) {
    Drawn pastKeys = drawOperand(draw, {s.batch, s.heads, s.past, s.size});
    Drawn pastValues = drawOperand(draw, {s.batch, s.heads, s.past, s.size});
    k = {k.name, k.dtype, k.dims, std::max(k.bound, pastKeys.bound),
         std::max(k.error, pastKeys.error)};
    v = {v.name, v.dtype, v.dims, std::max(v.bound, pastValues.bound),
         std::max(v.error, pastValues.error)};
    inputs[6] = pastKeys.name;
    inputs[7] = pastValues.name;
  }
  float scale = draw.pick({0.25f, 0.5f, -0.125f});
  Drawn y = attentionResult(draw, s, q, k, v, scale, bias);
  y.error += 16 * roundingUnit(y.dtype) * y.bound;
  std::vector<std::string> outputs = {y.name};
  draw.keep(y);
  // ONNX Runtime takes no account of a past when nobody asks for what is present.
  for (const Drawn &part : {k, v})
    if (s.past > 0) {
      Drawn present{
          draw.fresh(), part.dtype, {s.batch, s.heads, all, s.size}, part.bound, part.error};
      outputs.push_back(present.name);
      draw.keep(present);
    }
  auto &node = draw.node("MultiHeadAttention", inputs, outputs);
  node.domain("com.microsoft").attr("num_heads", s.heads).attr("scale", scale);
  node.attr("mask_filter_value", -8.0f);
  if (isCausal)
    node.attr("unidirectional", int64_t{1});
  return true;
}

/// A node whose result no other op of the model reads.
std::string inner(ModelDraw &draw, const std::string &op, const std::vector<std::string> &inputs,
                  const std::vector<int64_t> &perm = {}) {
  std::string name = draw.fresh();
  auto &node = draw.node(op, inputs, {name});
  if (!perm.empty())
    node.attr("perm", perm);
  return name;
}

/// [batch, heads, length, size] as `name`, which may lie in memory with heads beside each other.
Drawn drawHeads(ModelDraw &draw, int64_t batch, int64_t heads, int64_t length, int64_t size) {
  if (draw.percent(50))
    return drawOperand(draw, {batch, heads, length, size});
  Drawn packed = drawOperand(draw, {batch, length, heads, size});
  packed.name = inner(draw, "Transpose", {packed.name}, {0, 2, 1, 3});
  return packed;
}

/// The scores with a mask added, or hidden where a condition says so; the first key stays.
std::string drawMask(ModelDraw &draw, const Sizes &s, const std::string &scores, Drawn &bias) {
  constexpr int64_t kFirstWithWhere = 9;
  if (draw.opset() < kFirstWithWhere || draw.percent(50)) {
    bias = drawOperand(draw, {draw.percent(50) ? 1 : s.batch, draw.percent(50) ? 1 : s.heads,
                              draw.percent(50) ? 1 : s.queries, draw.percent(20) ? 1 : s.keys});
    return draw.percent(50) ? inner(draw, "Add", {scores, bias.name})
                            : inner(draw, "Add", {bias.name, scores});
  }
  Tensor allowed = Tensor::allocate(DType::Bool, {s.queries, s.keys}).take();
  bool isCausal = draw.percent(50);
  for (int64_t i = 0; i < allowed.numElements(); ++i) {
    int64_t query = i / s.keys, key = i % s.keys;
    allowed.mutableData<bool>()[i] = isCausal ? key <= query : key == 0 || draw.percent(60);
  }
  std::string condition = draw.initializer(allowed);
  std::string fill = draw.initializer(Tensor::of<float>({}, {-kInfinity}));
  if (draw.percent(50))
    return inner(draw, "Where", {condition, scores, fill});
  std::string zero = draw.initializer(Tensor::of<float>({}, {0}));
  return inner(draw, "Add", {scores, inner(draw, "Where", {condition, zero, fill})});
}

/// What exporters write: products, a scale, a mask, a softmax, and transposes around them.
bool drawPrimitives(ModelDraw &draw) {
  Sizes s{draw.between(1, 2),
          draw.between(1, 4),
          draw.between(1, 20),
          draw.between(1, 19),
          draw.percent(70) ? draw.between(1, 19) : draw.between(120, 140),
          0};
  Drawn q = drawHeads(draw, s.batch, s.heads, s.queries, s.size);
  Drawn k = drawHeads(draw, s.batch, s.heads, s.keys, s.size);
  int64_t valueSize = draw.between(1, 20);
  Drawn v = drawHeads(draw, s.batch, s.heads, s.keys, valueSize);
  constexpr float kScale = 0.25F;
  std::string factor = draw.initializer(Tensor::of<float>({}, {kScale}));
  std::string query = q.name, columns = inner(draw, "Transpose", {k.name}, {0, 1, 3, 2});
  bool scalesQueries = draw.percent(50);
  if (scalesQueries)
    query = inner(draw, "Mul", {query, factor});
  std::string scores = inner(draw, "MatMul", {query, columns});
  if (!scalesQueries)
    scores = inner(draw, "Mul", {scores, factor});
  Drawn bias;
  if (draw.percent(60))
    scores = drawMask(draw, s, scores, bias);
  std::string weights = draw.fresh();
  draw.node("Softmax", {scores}, {weights})
      .attr("axis", draw.opset() >= 11 ? draw.eitherSign(3, 4) : 3);
  Drawn y = attentionResult(draw, s, q, k, v, kScale, bias);
  y.dims = {s.batch, s.heads, s.queries, valueSize};
  if (draw.percent(50)) {
    std::string product = inner(draw, "MatMul", {weights, v.name});
    std::swap(y.dims[1], y.dims[2]);
    draw.result("Transpose", {product}, y).attr("perm", std::vector<int64_t>{0, 2, 1, 3});
  } else {
    draw.result("MatMul", {weights, v.name}, y);
  }
  return true;
}
} // namespace

OpFamily random::attentionFamily() { return {2, 1, {drawMultiHeadAttention, drawPrimitives}}; }
