//===- NodeOrder.cpp - names and order of a graph's nodes -----------------===//
#include "frontend/onnx/NodeOrder.h"

#include <fmt/format.h>

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

/// Nodes, and the names around them.
struct NamedNodes {
  /// "graph" or "function".
  std::string kind;
  const google::protobuf::RepeatedPtrField<proto::NodeProto> &nodes;
  std::vector<std::string_view> inputs, initializers, outputs;
  /// Whether a value is made around the body; never when empty.
  std::function<bool(const std::string &)> isAround = {};
  bool hasAround(std::string_view name) const { return isAround && isAround(std::string(name)); }
};

class NodeSorter {
public:
  explicit NodeSorter(NamedNodes given)
      : graph(std::move(given)), states(graph.nodes.size(), State::Waiting) {}
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
  std::string label(int node) const { return "'" + nodeLabel(graph.nodes[node], node) + "'"; }
  Status undefined(const std::string &what, std::string_view name) const {
    return invalidModel(fmt::format(
        "{} '{}' is undefined: no {} input, initializer or node makes it", what, name, graph.kind));
  }

  NamedNodes graph;
  /// The node that makes a value, or kSource.
  std::unordered_map<std::string_view, int> makers;
  std::vector<State> states;
  std::vector<int> order;
};
} // namespace

Status NodeSorter::collectSources() {
  for (std::string_view input : graph.inputs) {
    if (input.empty())
      return invalidModel("a " + graph.kind + " input has no name");
    if (!makers.try_emplace(input, kSource).second)
      return invalidModel(fmt::format("{} input '{}' is declared twice", graph.kind, input));
  }
  // An initializer may share the name of an input: it is its default value.
  std::unordered_set<std::string_view> initializers;
  for (std::string_view initializer : graph.initializers) {
    if (initializer.empty())
      return invalidModel("an initializer has no name");
    if (!initializers.insert(initializer).second)
      return invalidModel(fmt::format("initializer '{}' is defined twice", initializer));
    makers.try_emplace(initializer, kSource);
  }
  return Status::ok();
}

Status NodeSorter::collectProducers() {
  for (int i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string &output : graph.nodes[i].output()) {
      if (output.empty())
        continue;
      auto [known, added] = makers.try_emplace(output, i);
      if (added)
        continue;
      if (known->second == kSource)
        return invalidModel("node " + label(i) + ": output '" + output + "' is already a " +
                            graph.kind + " input or initializer");
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
    if (path.back().nextInput == graph.nodes[node].input_size()) {
      states[node] = State::Placed;
      order.push_back(node);
      path.pop_back();
      continue;
    }
    const std::string &input = graph.nodes[node].input(path.back().nextInput++);
    if (input.empty())
      continue;
    auto maker = makers.find(input);
    if (maker == makers.end() && graph.hasAround(input))
      continue;
    if (maker == makers.end())
      return undefined("node " + label(node) + ": input", input);
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
  for (int i = 0; i < graph.nodes.size(); ++i)
    QUERN_TRY(place(i));
  for (std::string_view output : graph.outputs)
    if (!makers.count(output) && !graph.hasAround(output))
      return undefined(graph.kind + " output", output);
  return std::move(order);
}

Expected<std::vector<int>>
quern::onnx::sortNodes(const proto::GraphProto &graph,
                       const std::function<bool(const std::string &)> &isAround) {
  NamedNodes named{"graph", graph.node(), {}, {}, {}, isAround};
  for (const proto::ValueInfoProto &input : graph.input())
    named.inputs.push_back(input.name());
  for (const proto::TensorProto &initializer : graph.initializer())
    named.initializers.push_back(initializer.name());
  for (const proto::ValueInfoProto &output : graph.output())
    named.outputs.push_back(output.name());
  return NodeSorter(std::move(named)).sort();
}

Expected<std::vector<int>> quern::onnx::sortNodes(const proto::GraphProto &graph) {
  return sortNodes(graph, {});
}

Expected<std::vector<int>> quern::onnx::sortNodes(const proto::FunctionProto &function) {
  return NodeSorter({"function",
                     function.node(),
                     {function.input().begin(), function.input().end()},
                     {},
                     {function.output().begin(), function.output().end()}})
      .sort();
}
