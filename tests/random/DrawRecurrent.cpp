//===- DrawRecurrent.cpp - random RNNs, GRUs and LSTMs --------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
constexpr int64_t kMaxSteps = 5, kMaxHidden = 20;
/// Weights are so small that a step does not multiply an error by more than kGain.
constexpr double kWeight = 0.1, kGain = 3, kMaxInput = 8;

Drawn drawSequence(ModelDraw &draw) {
  auto fits = [](const Drawn &v) {
    return (v.dtype == DType::Float32 || v.dtype == DType::Float64 || v.dtype == DType::Float16) &&
           v.rank() == 3 && v.dims[0] <= kMaxSteps && v.dims[1] <= kMaxSteps &&
           v.bound <= kMaxInput && v.error <= 1e-3 && v.elements() > 0 && v.dims[2] <= 64;
  };
  return draw.any(fits, [&] {
    return draw.leaf(draw.pick({DType::Float32, DType::Float32, DType::Float64, DType::Float16}),
                     {draw.between(1, kMaxSteps), draw.between(1, kMaxSteps), draw.between(1, 6)});
  });
}

/// The name of an operand that may be left out.
std::string perhaps(ModelDraw &draw, const std::function<Drawn()> &operand) {
  return draw.percent(50) ? operand().name : "";
}

bool drawRecurrent(ModelDraw &draw) {
  Drawn x = drawSequence(draw);
  std::string op = draw.pick<const char *>({"RNN", "GRU", "LSTM"});
  bool isLstm = op == "LSTM", batchFirst = draw.opset() >= 14 && draw.percent(30);
  int64_t gates = isLstm ? 4 : op == "GRU" ? 3 : 1, directions = draw.between(1, 2);
  int64_t hidden = draw.between(1, draw.percent(50) ? 4 : kMaxHidden), features = x.dims[2];
  int64_t steps = x.dims[batchFirst ? 1 : 0], batch = x.dims[batchFirst ? 0 : 1];
  auto reals = [&](const Tensor::Dims &dims) {
    return draw.realLeaf(x.dtype, dims, -kWeight, kWeight);
  };
  Tensor::Dims state = {directions, batch, hidden};
  if (batchFirst)
    std::swap(state[0], state[1]);
  std::vector<std::string> inputs = {x.name, reals({directions, gates * hidden, features}).name,
                                     reals({directions, gates * hidden, hidden}).name};
  inputs.push_back(perhaps(draw, [&] { return reals({directions, 2 * gates * hidden}); }));
  inputs.push_back(perhaps(draw, [&] { return draw.leaf(DType::Int32, {batch}, 0, steps); }));
  inputs.push_back(perhaps(draw, [&] { return reals(state); }));
  if (isLstm) {
    inputs.push_back(perhaps(draw, [&] { return reals(state); }));
    inputs.push_back(perhaps(draw, [&] { return reals({directions, 3 * hidden}); }));
  }
  Tensor::Dims all = {steps, directions, batch, hidden};
  if (batchFirst)
    all = {batch, steps, directions, hidden};
  double unit = std::max(roundingUnit(x.dtype), 1e-16);
  double error = (x.error * static_cast<double>(features) + 64 * unit) *
                 std::pow(kGain, static_cast<double>(steps));
  std::vector<Drawn> results = {{draw.fresh(), x.dtype, all, 1, error},
                                {draw.fresh(), x.dtype, state, 1, error}};
  if (isLstm)
    results.push_back({draw.fresh(), x.dtype, state, 1.0 + static_cast<double>(steps), error});
  std::vector<std::string> outputs;
  for (const Drawn &value : results)
    outputs.push_back(value.name);
  auto &node = draw.node(op, inputs, outputs).attr("hidden_size", hidden);
  if (directions == 2 || draw.percent(50))
    node.attr("direction", directions == 2 ? "bidirectional" : draw.pick({"forward", "reverse"}));
  if (draw.percent(30))
    node.attr("clip", draw.pick({0.25f, 1.0f}));
  if (batchFirst || (draw.opset() >= 14 && draw.percent(30)))
    node.attr("layout", static_cast<int64_t>(batchFirst));
  if (isLstm && draw.percent(30))
    node.attr("input_forget", draw.below(2));
  if (op == "GRU" && draw.percent(50))
    node.attr("linear_before_reset", draw.below(2));
  for (const Drawn &value : results)
    draw.keep(value);
  return true;
}
} // namespace

OpFamily random::recurrentFamily() { return {2, 0, {drawRecurrent}}; }
