//===- ConvGraph.h - graphs of convolutions -------------------------------===//
#pragma once

#include "tests/native/GraphCheck.h"

namespace quern::native {

/// One convolution; the window's attributes default to the plain ones.
struct ConvCase {
  Tensor::Dims input;
  int64_t outputs = 1;
  Tensor::Dims kernel, strides = {}, dilations = {}, pads = {};
  int64_t group = 1;
  bool bias = true;
  bool constantWeights = true;
  std::string autoPad = "NOTSET";
  std::string dtype = "f32";
};

inline std::string sizesText(const Tensor::Dims &sizes, const std::string &dtype) {
  std::string text;
  for (int64_t size : sizes)
    text += std::to_string(size) + "x";
  return text + dtype;
}

inline std::string arrayText(const Tensor::Dims &values) {
  std::string text;
  for (int64_t value : values)
    text += (text.empty() ? ": " : ", ") + std::to_string(value);
  return "array<i64" + text + ">";
}

inline std::string describe(const ConvCase &c) {
  return formatDims(c.input) + " to " + std::to_string(c.outputs) + " kernel " +
         formatDims(c.kernel) + " strides " + formatDims(c.strides) + " dilations " +
         formatDims(c.dilations) + " pads " + formatDims(c.pads) + " group " +
         std::to_string(c.group) + " " + c.autoPad + " " + c.dtype;
}

inline GraphValue addConv(Graph &graph, const ConvCase &c, const GraphValue *input = nullptr) {
  size_t spatial = c.kernel.size();
  auto orElse = [](const Tensor::Dims &given, Tensor::Dims otherwise) {
    return given.empty() ? otherwise : given;
  };
  Tensor::Dims weights = {c.outputs, c.input[1] / c.group};
  weights.insert(weights.end(), c.kernel.begin(), c.kernel.end());
  GraphValue x = input ? *input : graph.input(sizesText(c.input, c.dtype));
  std::string type = sizesText(weights, c.dtype);
  GraphValue w = c.constantWeights ? graph.weight(type) : graph.input(type);
  std::string biasType = sizesText({c.outputs}, c.dtype);
  GraphValue bias = !c.bias             ? graph.none()
                    : c.constantWeights ? graph.weight(biasType)
                                        : graph.input(biasType);
  return graph.op("nn.conv", {x, w, bias},
                  "strides = " + arrayText(orElse(c.strides, Tensor::Dims(spatial, 1))) +
                      ", dilations = " + arrayText(orElse(c.dilations, Tensor::Dims(spatial, 1))) +
                      ", pads = " + arrayText(orElse(c.pads, Tensor::Dims(2 * spatial, 0))) +
                      ", group = " + std::to_string(c.group) + ", auto_pad = #nn<auto_pad " +
                      c.autoPad + ">");
}

inline void expectExactConvs(const std::vector<ConvCase> &cases, const GraphCheck &check = {}) {
  Graph graph;
  for (const ConvCase &c : cases)
    graph.output(addConv(graph, c), describe(c));
  expectExact(graph, check);
}

} // namespace quern::native
