//===- DrawAttention.cpp - random attention -------------------------------===//
#include "tests/random/DrawAttention.h"

#include "quern/CheckedSize.h"

#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
/// Sizes of an attention.
struct Sizes {
  int64_t batch, heads, size, queries, keys, past;
};

int64_t countOf(const Tensor::Dims &dims) { return CheckedSize::product(dims).value(); }

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
} // namespace

Drawn random::drawOperand(ModelDraw &draw, const Tensor::Dims &dims) {
  Drawn flat = draw.operand(DType::Float32, {countOf(dims)}, 4);
  Drawn shaped{draw.fresh(), flat.dtype, dims, flat.bound, flat.error};
  draw.result("Reshape", {flat.name, draw.constantInts(dims)}, shaped);
  return shaped;
}

OpFamily random::attentionFamily() {
  return {2, 1, {drawMultiHeadAttention, drawPrimitiveAttention}};
}
