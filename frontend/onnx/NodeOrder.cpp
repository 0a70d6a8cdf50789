//===- NodeOrder.cpp - names and order of a graph's nodes -----------------===//
#include "frontend/onnx/NodeOrder.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

using namespace quern;
using namespace quern::onnx;

namespace {
/// Cycles are printed up to this many nodes.
constexpr size_t kMaxPrintedNodes = 8;
/// What `makers` holds for graph inputs and initializers.
constexpr int kSource = -1;

class NodeSorter {
public:
  explicit NodeSorter(const proto::GraphProto &graph)
      : graph(graph), states(graph.node_size(), State::Waiting) {}
  Expected<std::vector<int>> sort();

private:
  enum class State : char { Waiting, OnPath, Placed };
  /// A node whose inputs are being placed, and the first that has not been looked at.
  struct Visit {
    int node;
    int nextInput = 0;
  };

  Status collectSources();
  Status collectProducers();
  Status place(int root);
  Status cycleError(const std::vector<Visit> &path, int closingNode) const;
  std::string label(int node) const { return "'" + nodeLabel(graph.node(node), node) + "'"; }

  const proto::GraphProto &graph;
  /// The node that makes a value, or kSource.
  std::unordered_map<std::string_view, int> makers;
  std::vector<State> states;
  std::vector<int> order;
};
} // namespace

Status NodeSorter::collectSources() {
  for (const proto::ValueInfoProto &input : graph.input()) {
    if (input.name().empty())
      return invalidModel("a graph input has no name");
    if (!makers.try_emplace(input.name(), kSource).second)
      return invalidModel("graph input '" + input.name() + "' is declared twice");
  }
  // An initializer may share the name of an input: it is its default value.
  std::unordered_set<std::string_view> initializers;
  for (const proto::TensorProto &initializer : graph.initializer()) {
    if (initializer.name().empty())
      return invalidModel("an initializer has no name");
    if (!initializers.insert(initializer.name()).second)
      return invalidModel("initializer '" + initializer.name() + "' is defined twice");
    makers.try_emplace(initializer.name(), kSource);
  }
  return Status::ok();
}

Status NodeSorter::collectProducers() {
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string &output : graph.node(i).output()) {
      if (output.empty())
        continue;
      auto [known, added] = makers.try_emplace(output, i);
      if (added)
        continue;
      if (known->second == kSource)
        return invalidModel("node " + label(i) + ": output '" + output +
                            "' is already a graph input or initializer");
      return invalidModel("node " + label(i) + ": tensor '" + output + "' is also made by node " +
                          label(known->second));
    }
  }
  return Status::ok();
}

/// `closingNode` makes what the last node of `path` needs, and is on it.
Status NodeSorter::cycleError(const std::vector<Visit> &path, int closingNode) const {
  // The path leads from users to producers; the text goes the way of the data.
  std::string text = label(closingNode) + " -> ";
  size_t printed = 1;
  for (auto visit = path.rbegin(); visit->node != closingNode; ++visit, ++printed)
    if (printed < kMaxPrintedNodes)
      text += label(visit->node) + " -> ";
  if (printed > kMaxPrintedNodes)
    text += "... -> ";
  return invalidModel("the graph has a cycle: " + text + label(closingNode));
}

/// Appends `root` to the order, after those nodes it needs that are not there yet.
/// Depth first, with a path in place of recursion: the depth is the file's to choose.
Status NodeSorter::place(int root) {
  std::vector<Visit> path;
  auto enter = [&](int node) {
    states[node] = State::OnPath;
    path.push_back({node});
  };
  if (states[root] == State::Waiting)
    enter(root);
  while (!path.empty()) {
    int node = path.back().node;
    if (path.back().nextInput == graph.node(node).input_size()) {
      states[node] = State::Placed;
      order.push_back(node);
      path.pop_back();
      continue;
    }
    const std::string &input = graph.node(node).input(path.back().nextInput++);
    if (input.empty())
      continue;
    auto maker = makers.find(input);
    if (maker == makers.end())
      return invalidModel("node " + label(node) + ": input '" + input +
                          "' is undefined: no graph input, initializer or node makes it");
    if (maker->second == kSource || states[maker->second] == State::Placed)
      continue;
    if (states[maker->second] == State::OnPath)
      return cycleError(path, maker->second);
    enter(maker->second);
  }
  return Status::ok();
}

Expected<std::vector<int>> NodeSorter::sort() {
  QUERN_TRY(collectSources());
  QUERN_TRY(collectProducers());
  for (int i = 0; i < graph.node_size(); ++i)
    QUERN_TRY(place(i));
  for (const proto::ValueInfoProto &output : graph.output())
    if (!makers.count(output.name()))
      return invalidModel("graph output '" + output.name() +
                          "' is undefined: no graph input, initializer or node makes it");
  return std::move(order);
}

Expected<std::vector<int>> quern::onnx::sortNodes(const proto::GraphProto &graph) {
  return NodeSorter(graph).sort();
}
