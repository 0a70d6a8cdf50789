//===- FoldNorms.cpp - batch norms into the weights before them -----------===//
#include "api/quantize/FoldNorms.h"

#include <cmath>

using namespace quern;
using namespace quern::quantization;

namespace {
/// y = x * scale + shift by channel.
struct ChannelAffine {
  std::vector<double> scale, shift;
};
} // namespace

/// The operands of a norm behind the first: scale, shift, mean, variance.
static constexpr int kStatistics = 4;

/// What a norm over `channels` does in inference; nothing where that is not constant.
static Expected<std::optional<ChannelAffine>>
readNorm(const EditableModel &model, const proto::NodeProto &norm, int64_t channels) {
  std::optional<ChannelAffine> none;
  if (norm.input_size() != 1 + kStatistics || norm.output_size() != 1 ||
      intAttribute(norm, "training_mode", 0) != 0)
    return none;
  std::vector<Tensor> statistics;
  for (int i = 1; i <= kStatistics; ++i) {
    if (!model.isFloatConstant(norm.input(i)))
      return none;
    QUERN_ASSIGN(Tensor tensor, model.constantValue(norm.input(i)));
    if (tensor.dims() != Tensor::Dims{channels})
      return none;
    statistics.push_back(std::move(tensor));
  }
  double epsilon = floatAttribute(norm, "epsilon", 1e-5f);
  ChannelAffine affine;
  for (int64_t c = 0; c < channels; ++c) {
    auto at = [&](int which) {
      return double(statistics[static_cast<size_t>(which)].data<float>()[c]);
    };
    double scale = at(0) / std::sqrt(at(3) + epsilon), shift = at(1) - at(2) * scale;
    if (!std::isfinite(scale) || !std::isfinite(shift))
      return none;
    affine.scale.push_back(scale);
    affine.shift.push_back(shift);
  }
  return std::optional(std::move(affine));
}

/// Whether weights and bias of a convolution are constants.
static bool isConstantConv(const EditableModel &model, const proto::NodeProto &node) {
  if (!isOp(node, "Conv") || node.input_size() < 2 || !model.isFloatConstant(node.input(1)))
    return false;
  bool hasBias = node.input_size() > 2 && !node.input(2).empty();
  return !hasBias || model.isFloatConstant(node.input(2));
}

/// Rewrites the weights and the bias of `conv` for what `affine` does to its result.
static Status scaleConv(EditableModel &model, proto::NodeProto &conv, const ChannelAffine &affine) {
  QUERN_ASSIGN(Tensor given, model.constantValue(conv.input(1)));
  QUERN_ASSIGN(Tensor weights, given.clone());
  auto channels = static_cast<int64_t>(affine.scale.size());
  int64_t inner = weights.numElements() / channels;
  for (int64_t i = 0; i < weights.numElements(); ++i) {
    float &weight = weights.mutableData<float>()[i];
    weight = static_cast<float>(weight * affine.scale[static_cast<size_t>(i / inner)]);
  }
  std::vector<float> bias(affine.shift.begin(), affine.shift.end());
  if (conv.input_size() > 2 && !conv.input(2).empty()) {
    QUERN_ASSIGN(Tensor before, model.constantValue(conv.input(2)));
    if (before.numElements() != channels)
      return invalidModel("node '" + conv.name() +
                          "': the bias has not one entry for each channel");
    for (size_t c = 0; c < bias.size(); ++c)
      bias[c] = static_cast<float>(before.data<float>()[c] * affine.scale[c] + affine.shift[c]);
  }
  std::string weightName = conv.input(1);
  conv.set_input(1, model.addConstant(weightName + "_folded", weights));
  while (conv.input_size() < 3)
    conv.add_input("");
  conv.set_input(2, model.addConstant(weightName + "_shift", Tensor::of<float>({channels}, bias)));
  return Status::ok();
}

Status quantization::foldNorms(EditableModel &model) {
  GraphIndex index = model.index();
  std::vector<bool> isFolded(static_cast<size_t>(model.graph().node_size()));
  for (int i = 0; i < model.graph().node_size(); ++i) {
    proto::NodeProto &conv = *model.graph().mutable_node(i);
    int reader = isConstantConv(model, conv) ? index.soleReader(conv.output(0)) : -1;
    if (reader < 0)
      continue;
    const proto::NodeProto &norm = model.graph().node(reader);
    if (!isOp(norm, "BatchNormalization") || norm.input(0) != conv.output(0))
      continue;
    const proto::TensorProto &weights = *model.constant(conv.input(1));
    if (weights.dims_size() < 2)
      continue;
    QUERN_ASSIGN(std::optional<ChannelAffine> affine, readNorm(model, norm, weights.dims(0)));
    if (!affine)
      continue;
    QUERN_TRY(scaleConv(model, conv, *affine));
    conv.set_output(0, norm.output(0));
    isFolded[static_cast<size_t>(reader)] = true;
  }
  std::vector<proto::NodeProto> nodes;
  for (int i = 0; i < model.graph().node_size(); ++i)
    if (!isFolded[static_cast<size_t>(i)])
      nodes.push_back(std::move(*model.graph().mutable_node(i)));
  model.setNodes(std::move(nodes));
  return Status::ok();
}
