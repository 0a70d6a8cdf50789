//===- Layers.h - what of a model can be quantized ------------------------===//
#pragma once

#include "api/quantize/EditableModel.h"

#include <span>

namespace quern::quantization {

enum class Mode { Static, Dynamic, WeightsInt8, WeightsInt4, Float16 };

/// As QuantizeOptions::mode has them.
std::optional<Mode> parseMode(std::string_view name);

/// A node that multiplies what it is given with constant weights.
struct Layer {
  /// In the graph.
  int node = -1;
  std::string name, op;
  std::string input, weights, output;
  /// A constant that has one entry for each output channel; empty when there is none, and where
  /// what is added is anything else.
  std::string bias = {};
  /// Of the output channels, in the weights; their number.
  int64_t channelAxis = 0, channels = 0;
  /// Why it cannot be quantized; empty when it can.
  std::string refusal = {};
};

/// All of them in the graph, in the order in which they run; not those in bodies and functions.
/// `keep` are nodes that stay as they are: a usage error when there is no such node.
Expected<std::vector<Layer>> findLayers(const EditableModel &model, Mode mode,
                                        std::span<const std::string> keep);

/// The node's result, or what Relu or Clip makes of it, where nobody else reads it: the node that
/// does, or -1. Bounds of Clip are constants.
int findActivation(const EditableModel &model, const GraphIndex &index, int node);

/// A layer as product: input times weights, which are those of a MatMul, plus the bias. Of MatMul
/// and Gemm.
struct Product {
  Tensor weights;
  /// What is added: the name of a value, or a constant; neither of products without.
  std::string addedValue;
  Tensor added;
};
/// Of a layer that is not refused.
Expected<Product> readProduct(const EditableModel &model, const proto::NodeProto &node);

} // namespace quern::quantization
