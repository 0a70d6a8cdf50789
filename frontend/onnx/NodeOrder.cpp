//===- NodeOrder.cpp - names and order of a graph's nodes -----------------===//
#include "frontend/onnx/NodeOrder.h"

#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

using namespace quern;
using namespace quern::onnx;

namespace {
/// Cycles are printed up to this many nodes.
constexpr size_t kMaxPrintedNodes = 8;

class NodeOrder {
public:
  explicit NodeOrder(const proto::GraphProto &graph) : graph(graph) {}
  Status check();

private:
  Status collectSources();
  Status collectProducers();
  Status explainUse(int node, const std::string &tensor);
  std::optional<std::vector<int>> findCycle();
  std::vector<int> unsortableNodes();
  std::string label(int node) const { return "'" + nodeLabel(graph.node(node), node) + "'"; }

  const proto::GraphProto &graph;
  /// Graph inputs and initializers.
  std::unordered_set<std::string_view> sources;
  /// The node that makes a value.
  std::unordered_map<std::string_view, int> producers;
};
} // namespace

Status NodeOrder::collectSources() {
  for (const proto::ValueInfoProto &input : graph.input()) {
    if (input.name().empty())
      return invalidModel("a graph input has no name");
    if (!sources.insert(input.name()).second)
      return invalidModel("graph input '" + input.name() + "' is declared twice");
  }
  // An initializer may share the name of an input: it is its default value.
  std::unordered_set<std::string_view> initializers;
  for (const proto::TensorProto &initializer : graph.initializer()) {
    if (initializer.name().empty())
      return invalidModel("an initializer has no name");
    if (!initializers.insert(initializer.name()).second)
      return invalidModel("initializer '" + initializer.name() + "' is defined twice");
    sources.insert(initializer.name());
  }
  return Status::ok();
}

Status NodeOrder::collectProducers() {
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string &output : graph.node(i).output()) {
      if (output.empty())
        continue;
      if (sources.count(output))
        return invalidModel("node " + label(i) + ": output '" + output +
                            "' is already a graph input or initializer");
      auto [known, added] = producers.try_emplace(output, i);
      if (!added)
        return invalidModel("node " + label(i) + ": tensor '" + output + "' is also made by node " +
                            label(known->second));
    }
  }
  return Status::ok();
}

/// Nodes that no topological sort reaches: those on cycles and behind them.
std::vector<int> NodeOrder::unsortableNodes() {
  std::vector<int> pending(graph.node_size(), 0), ready, rest;
  std::vector<std::vector<int>> users(graph.node_size());
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string &input : graph.node(i).input())
      if (auto producer = producers.find(input); producer != producers.end()) {
        users[producer->second].push_back(i);
        ++pending[i];
      }
    if (pending[i] == 0)
      ready.push_back(i);
  }
  while (!ready.empty()) {
    int node = ready.back();
    ready.pop_back();
    for (int user : users[node])
      if (--pending[user] == 0)
        ready.push_back(user);
  }
  for (int i = 0; i < graph.node_size(); ++i)
    if (pending[i] > 0)
      rest.push_back(i);
  return rest;
}

/// The nodes of one cycle, in the direction of the data.
std::optional<std::vector<int>> NodeOrder::findCycle() {
  std::vector<int> rest = unsortableNodes();
  if (rest.empty())
    return std::nullopt;
  // Every such node has a producer among them: walking back must meet itself.
  std::unordered_set<int> unsortable(rest.begin(), rest.end());
  std::unordered_map<int, size_t> position;
  std::vector<int> path;
  for (int node = rest.front(); position.try_emplace(node, path.size()).second;) {
    path.push_back(node);
    for (const std::string &input : graph.node(node).input()) {
      auto producer = producers.find(input);
      if (producer != producers.end() && unsortable.count(producer->second)) {
        node = producer->second;
        break;
      }
    }
    if (auto seen = position.find(node); seen != position.end())
      return std::vector<int>(path.rbegin(), path.rend() - static_cast<long>(seen->second));
  }
  return std::nullopt;
}

Status NodeOrder::explainUse(int node, const std::string &tensor) {
  auto producer = producers.find(tensor);
  if (producer == producers.end())
    return invalidModel("node " + label(node) + ": input '" + tensor +
                        "' is undefined: no graph input, initializer or node makes it");
  if (auto cycle = findCycle()) {
    std::string text;
    for (size_t i = 0; i < cycle->size() && i < kMaxPrintedNodes; ++i)
      text += label((*cycle)[i]) + " -> ";
    if (cycle->size() > kMaxPrintedNodes)
      text += "... -> ";
    return invalidModel("the graph has a cycle: " + text + label(cycle->front()));
  }
  return invalidModel("node " + label(node) + ": input '" + tensor + "' is made later, by node " +
                      label(producer->second) + "; ONNX wants nodes in topological order");
}

Status NodeOrder::check() {
  QUERN_TRY(collectSources());
  QUERN_TRY(collectProducers());
  for (int i = 0; i < graph.node_size(); ++i)
    for (const std::string &input : graph.node(i).input()) {
      if (input.empty() || sources.count(input))
        continue;
      auto producer = producers.find(input);
      if (producer == producers.end() || producer->second >= i)
        QUERN_TRY(explainUse(i, input));
    }
  for (const proto::ValueInfoProto &output : graph.output())
    if (!sources.count(output.name()) && !producers.count(output.name()))
      return invalidModel("graph output '" + output.name() +
                          "' is undefined: no graph input, initializer or node makes it");
  return Status::ok();
}

Status quern::onnx::checkNodeOrder(const proto::GraphProto &graph) {
  return NodeOrder(graph).check();
}
