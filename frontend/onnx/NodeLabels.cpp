//===- NodeLabels.cpp - a name for each node ------------------------------===//
#include "frontend/onnx/NodeLabels.h"

#include <deque>
#include <unordered_set>
#include <vector>

using namespace quern;
using namespace quern::onnx;

namespace {
struct LabelledNode {
  const proto::NodeProto *node;
  std::string label;
};
} // namespace

/// The nodes of a graph or function, then those of the bodies in it, the outer ones first.
template <typename Graph> static std::vector<LabelledNode> nodesOf(const Graph &graph) {
  std::vector<LabelledNode> all;
  std::deque<const proto::GraphProto *> bodies;
  auto add = [&](const auto &nodes) {
    for (int i = 0; i < nodes.size(); ++i) {
      all.push_back({&nodes[i], nodeLabel(nodes[i], i)});
      for (const proto::AttributeProto &attribute : nodes[i].attribute()) {
        if (attribute.has_g())
          bodies.push_back(&attribute.g());
        for (const proto::GraphProto &body : attribute.graphs())
          bodies.push_back(&body);
      }
    }
  };
  add(graph.node());
  for (; !bodies.empty(); bodies.pop_front())
    add(bodies.front()->node());
  return all;
}

template <typename Graph> void NodeLabels::nameApart(const Graph &graph) {
  std::vector<LabelledNode> all = nodesOf(graph);
  std::unordered_set<std::string> taken;
  std::vector<const LabelledNode *> later;
  for (bool isNamed : {true, false})
    for (const LabelledNode &each : all)
      if (each.node->name().empty() != isNamed && !taken.insert(each.label).second)
        later.push_back(&each);
  std::unordered_map<std::string, int64_t> last;
  for (const LabelledNode *each : later) {
    int64_t &number = last.try_emplace(each->label, 1).first->second;
    std::string label;
    do {
      label = fmt::format("{}#{}", each->label, ++number);
    } while (!taken.insert(label).second);
    others[each->node] = std::move(label);
  }
}

NodeLabels::NodeLabels(const proto::ModelProto &model) {
  nameApart(model.graph());
  for (const proto::FunctionProto &function : model.functions())
    nameApart(function);
}

std::string NodeLabels::of(const proto::NodeProto &node, int64_t index) const {
  auto other = others.find(&node);
  return other == others.end() ? nodeLabel(node, index) : other->second;
}
