//===- Region.cpp - where a graph computes with integers ------------------===//
#include "api/quantize/Region.h"

#include <algorithm>

using namespace quern;
using namespace quern::quantization;

namespace {
enum class Kind {
  None,
  /// Makes values of its own.
  Computes,
  /// Has the values of its first operand, some or all, in another order.
  Moves,
  /// Has those of all operands.
  Joins,
};

class RegionFinder {
public:
  RegionFinder(const EditableModel &model, const GraphIndex &index, std::span<const Layer> layers,
               const std::vector<bool> &chosen)
      : graph(model.graph()), model(model), index(index),
        kinds(static_cast<size_t>(graph.node_size())), activations(kinds.size(), -1),
        isLayer(kinds.size()), isActivation(kinds.size()) {
    region.nodes.resize(kinds.size());
    for (size_t i = 0; i < layers.size(); ++i)
      if (chosen[i]) {
        isLayer[static_cast<size_t>(layers[i].node)] = true;
        offered.insert(layers[i].input);
      }
  }

  Region find() {
    for (int i = 0; i < graph.node_size(); ++i)
      offer(i);
    for (int i = graph.node_size() - 1; i >= 0; --i)
      choose(i);
    for (int i = 0; i < graph.node_size(); ++i)
      if (region.nodes[static_cast<size_t>(i)])
        shareParameters(i);
    for (auto &[value, with] : region.shared)
      for (std::string next = region.shared.at(with); next != with; next = region.shared.at(with))
        with = next;
    return std::move(region);
  }

private:
  Kind kindOf(int i) const;
  void offer(int i);
  void choose(int i);
  void shareParameters(int i);
  std::vector<std::string> operandsOf(int i) const;
  std::vector<std::string> resultsOf(int i) const;
  bool isReadInRegion(const std::string &value) const;

  const proto::GraphProto &graph;
  const EditableModel &model;
  const GraphIndex &index;
  std::vector<Kind> kinds;
  /// The node that is the activation of each, or -1.
  std::vector<int> activations;
  std::vector<bool> isLayer, isActivation;
  /// What would be quantized if anybody reads it.
  std::set<std::string> offered;
  Region region;
};
} // namespace

static bool isOneOf(const proto::NodeProto &node, std::initializer_list<const char *> ops) {
  return std::ranges::any_of(ops, [&](const char *op) { return isOp(node, op); });
}

/// What an op would be here if its operands are quantized.
Kind RegionFinder::kindOf(int i) const {
  const proto::NodeProto &node = graph.node(i);
  if (isLayer[static_cast<size_t>(i)])
    return Kind::Computes;
  if (node.output_size() == 0 || node.input_size() == 0)
    return Kind::None;
  if (isOneOf(node, {"Split"}))
    return Kind::Moves;
  if (node.output_size() != 1)
    return Kind::None;
  if (isOneOf(node, {"MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice",
                     "DepthToSpace", "SpaceToDepth"}))
    return Kind::Moves;
  if (isOneOf(node, {"Concat"}))
    return Kind::Joins;
  if (isOneOf(node, {"Add", "AveragePool", "GlobalAveragePool"}))
    return Kind::Computes;
  return Kind::None;
}

/// The operands that are quantized.
std::vector<std::string> RegionFinder::operandsOf(int i) const {
  const proto::NodeProto &node = graph.node(i);
  bool takesAll = isOneOf(node, {"Add", "Concat"});
  int count = takesAll ? node.input_size() : 1;
  return {node.input().begin(), node.input().begin() + count};
}

/// What a node gives behind its activation.
std::vector<std::string> RegionFinder::resultsOf(int i) const {
  int last = activations[static_cast<size_t>(i)];
  const auto &outputs = graph.node(last < 0 ? i : last).output();
  return {outputs.begin(), outputs.end()};
}

void RegionFinder::offer(int i) {
  auto at = static_cast<size_t>(i);
  if (isActivation[at])
    return;
  Kind kind = kindOf(i);
  std::vector<std::string> operands =
      kind == Kind::None ? std::vector<std::string>() : operandsOf(i);
  bool allOffered = std::ranges::all_of(
      operands, [&](const std::string &value) { return offered.count(value) != 0; });
  if (kind == Kind::None || !allOffered)
    return;
  kinds[at] = kind;
  if (isLayer[at] || isOp(graph.node(i), "Add"))
    activations[at] = findActivation(model, index, i);
  if (activations[at] >= 0)
    isActivation[static_cast<size_t>(activations[at])] = true;
  for (const std::string &result : resultsOf(i))
    offered.insert(result);
}

bool RegionFinder::isReadInRegion(const std::string &value) const {
  auto readers = index.readers.find(value);
  if (readers == index.readers.end())
    return false;
  return std::ranges::any_of(readers->second, [&](int reader) {
    if (!region.nodes[static_cast<size_t>(reader)] || isActivation[static_cast<size_t>(reader)])
      return false;
    return std::ranges::count(operandsOf(reader), value) != 0;
  });
}

/// Readers have been decided. A layer is there anyway; what it makes is quantized where somebody
/// reads it so. That of a convolution always is: no runtime has one from integers to floats.
void RegionFinder::choose(int i) {
  auto at = static_cast<size_t>(i);
  if (kinds[at] == Kind::None)
    return;
  std::vector<std::string> results = resultsOf(i);
  bool isRead =
      std::ranges::any_of(results, [&](const std::string &value) { return isReadInRegion(value); });
  if (!isRead && !isLayer[at])
    return;
  region.nodes[at] = true;
  for (const std::string &operand : operandsOf(i))
    region.shared.try_emplace(operand, operand);
  if (!isRead && !isOp(graph.node(i), "Conv"))
    return;
  if (activations[at] >= 0)
    region.nodes[static_cast<size_t>(activations[at])] = true;
  for (const std::string &result : results)
    region.shared.try_emplace(result, result);
}

/// Moved values keep their scale and zero point, so that moving them is exact. An operand of a
/// concatenation has those of the result where it is for nothing else.
void RegionFinder::shareParameters(int i) {
  Kind kind = kinds[static_cast<size_t>(i)];
  if (kind == Kind::Moves) {
    std::string from = region.shared.at(graph.node(i).input(0));
    for (const std::string &result : resultsOf(i))
      region.shared[result] = from;
  }
  if (kind != Kind::Joins)
    return;
  const std::string &result = graph.node(i).output(0);
  for (const std::string &operand : graph.node(i).input())
    if (index.soleReader(operand) == i && region.shared.at(operand) == operand)
      region.shared[operand] = result;
}

Region quantization::findRegion(const EditableModel &model, const GraphIndex &index,
                                std::span<const Layer> layers, const std::vector<bool> &chosen) {
  return RegionFinder(model, index, layers, chosen).find();
}
