//===- EqualizeLayers.cpp - weights of neighbours on one scale ------------===//
//
// relu(s x) = s relu(x) for s > 0, so that W2 relu(W1 x + b) = (W2 / s) relu(s W1 x + s b) for any
// positive s by channel. With s = sqrt(r2 / r1), r1 and r2 the largest weights of a channel in
// both, each has the largest weight sqrt(r1 r2). A layer may be in two pairs, so all are gone
// through a few times.
//
//===----------------------------------------------------------------------===//
#include "api/quantize/EqualizeLayers.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::quantization;

namespace {
/// Weights and bias of a convolution that are rewritten.
struct ConvWeights {
  Tensor weights, bias;
  /// Its input channels are not its output channels' own: one group.
  bool isFull = false;
};

/// Two convolutions, by node, with as many channels between them.
struct Pair {
  int first, second;
};

class Equalizer {
public:
  explicit Equalizer(EditableModel &model) : model(model), index(model.index()) {}

  Expected<int> run();

private:
  Expected<bool> read(int node);
  int next(int node) const;
  void equalize(const Pair &pair);
  void write();

  EditableModel &model;
  GraphIndex index;
  std::map<int, ConvWeights> convs;
};
} // namespace

/// Reads a convolution of one group, or of one for each channel; false for others.
Expected<bool> Equalizer::read(int i) {
  const proto::NodeProto &node = model.graph().node(i);
  if (!isOp(node, "Conv") || node.input_size() < 2 || !model.isFloatConstant(node.input(1)))
    return false;
  bool hasBias = node.input_size() > 2 && !node.input(2).empty();
  if (hasBias && !model.isFloatConstant(node.input(2)))
    return false;
  ConvWeights conv;
  QUERN_ASSIGN(Tensor weights, model.constantValue(node.input(1)));
  if (weights.rank() < 3)
    return false;
  int64_t group = intAttribute(node, "group", 1);
  conv.isFull = group == 1;
  bool isDepthwise = group == weights.dim(0) && weights.dim(1) == 1;
  if (!conv.isFull && !isDepthwise)
    return false;
  QUERN_ASSIGN(conv.weights, weights.clone());
  if (hasBias) {
    QUERN_ASSIGN(Tensor bias, model.constantValue(node.input(2)));
    if (bias.dims() != Tensor::Dims{weights.dim(0)})
      return false;
    QUERN_ASSIGN(conv.bias, bias.clone());
  }
  convs[i] = std::move(conv);
  return true;
}

/// The convolution that alone reads the result of one, at most through ReLU; -1 when there is none.
int Equalizer::next(int node) const {
  int reader = index.soleReader(model.graph().node(node).output(0));
  if (reader >= 0 && isOp(model.graph().node(reader), "Relu"))
    reader = index.soleReader(model.graph().node(reader).output(0));
  auto found = convs.find(reader);
  if (found == convs.end())
    return -1;
  // It reads it as data, not as weights.
  const ConvWeights &second = found->second;
  int64_t inputs = second.isFull ? second.weights.dim(1) : second.weights.dim(0);
  return inputs == convs.at(node).weights.dim(0) ? reader : -1;
}

/// Calls visit(channel, weight) for the weights by output channel, or by the input channel of a
/// convolution of one group.
template <typename Visit> static void forEachWeight(ConvWeights &conv, bool byInput, Visit visit) {
  Tensor &weights = conv.weights;
  int64_t inputs = weights.dim(1), kernel = weights.numElements() / weights.dim(0) / inputs;
  float *data = weights.mutableData<float>();
  for (int64_t i = 0; i < weights.numElements(); ++i)
    visit(static_cast<size_t>(byInput && conv.isFull ? i / kernel % inputs : i / (inputs * kernel)),
          data[i]);
}

void Equalizer::equalize(const Pair &pair) {
  ConvWeights &first = convs.at(pair.first), &second = convs.at(pair.second);
  auto channels = static_cast<size_t>(first.weights.dim(0));
  std::vector<float> before(channels), after(channels), factors(channels, 1);
  auto keepLargest = [](std::vector<float> &largest) {
    return [&largest](size_t c, float w) { largest[c] = std::max(largest[c], std::abs(w)); };
  };
  forEachWeight(first, /*byInput=*/false, keepLargest(before));
  forEachWeight(second, /*byInput=*/true, keepLargest(after));
  // Beyond that, scales of activations would suffer.
  constexpr float kMost = 256;
  for (size_t c = 0; c < channels; ++c)
    if (before[c] > 0 && after[c] > 0 && std::isfinite(before[c]) && std::isfinite(after[c]))
      factors[c] = std::clamp(std::sqrt(after[c] / before[c]), 1 / kMost, kMost);
  forEachWeight(first, false, [&](size_t c, float &w) { w *= factors[c]; });
  forEachWeight(second, true, [&](size_t c, float &w) { w /= factors[c]; });
  for (size_t c = 0; c < channels && first.bias.isPresent(); ++c)
    first.bias.mutableData<float>()[c] *= factors[c];
}

void Equalizer::write() {
  for (auto &[i, conv] : convs) {
    proto::NodeProto &node = *model.graph().mutable_node(i);
    node.set_input(1, model.addConstant(node.input(1) + "_equalized", conv.weights));
    if (conv.bias.isPresent())
      node.set_input(2, model.addConstant(node.input(2) + "_equalized", conv.bias));
  }
  model.removeUnusedConstants();
}

Expected<int> Equalizer::run() {
  constexpr int kRounds = 8;
  for (int i = 0; i < model.graph().node_size(); ++i)
    QUERN_TRY(read(i).status());
  std::vector<Pair> pairs;
  for (const auto &[i, conv] : convs)
    if (int second = next(i); second >= 0)
      pairs.push_back({i, second});
  for (int round = 0; round < kRounds; ++round)
    for (const Pair &pair : pairs)
      equalize(pair);
  if (!pairs.empty())
    write();
  return static_cast<int>(pairs.size());
}

Expected<int> quantization::equalizeLayers(EditableModel &model) { return Equalizer(model).run(); }
