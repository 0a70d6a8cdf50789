//===- NodeLabelsTest.cpp - a name for each node --------------------------===//
#include "frontend/onnx/NodeLabels.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

using namespace quern::onnx;

template <typename Graph> static proto::NodeProto &add(Graph &graph, const std::string &name) {
  proto::NodeProto &node = *graph.add_node();
  node.set_op_type("Relu");
  node.set_name(name);
  return node;
}

static proto::GraphProto &bodyOf(proto::NodeProto &node) {
  proto::AttributeProto &attribute = *node.add_attribute();
  attribute.set_type(proto::AttributeProto::GRAPH);
  return *attribute.mutable_g();
}

template <typename Graph>
static std::vector<std::string> labelsOf(const NodeLabels &labels, const Graph &graph) {
  std::vector<std::string> all;
  for (int i = 0; i < graph.node_size(); ++i)
    all.push_back(labels.of(graph.node(i), i));
  return all;
}

using Names = std::vector<std::string>;

TEST(NodeLabels, NamesComeBeforeNumbers) {
  proto::ModelProto model;
  proto::GraphProto &graph = *model.mutable_graph();
  for (const char *name : {"", "a", "Relu_0", "a", "a#2"})
    add(graph, name);
  EXPECT_EQ(labelsOf(NodeLabels(model), graph), (Names{"Relu_0#2", "a", "Relu_0", "a#3", "a#2"}));
}

TEST(NodeLabels, TheOuterGraphKeepsItsNames) {
  proto::ModelProto model;
  proto::GraphProto &graph = *model.mutable_graph();
  proto::NodeProto &first = add(graph, "");
  proto::GraphProto &body = bodyOf(first);
  proto::NodeProto &inner = add(body, "a");
  proto::GraphProto &innermost = bodyOf(inner);
  add(innermost, "");
  add(body, "");
  add(graph, "a");
  NodeLabels labels(model);
  EXPECT_EQ(labelsOf(labels, graph), (Names{"Relu_0", "a"}));
  EXPECT_EQ(labelsOf(labels, body), (Names{"a#2", "Relu_1"}));
  EXPECT_EQ(labelsOf(labels, innermost), Names{"Relu_0#2"});
}

// Calls put a prefix before them.
TEST(NodeLabels, FunctionsHaveTheirOwn) {
  proto::ModelProto model;
  add(*model.mutable_graph(), "a");
  proto::FunctionProto &function = *model.add_functions();
  add(function, "a");
  add(function, "a");
  EXPECT_EQ(labelsOf(NodeLabels(model), function), (Names{"a", "a#2"}));
}

// As many as a model may have take no time.
TEST(NodeLabels, ManyOfOneName) {
  proto::ModelProto model;
  proto::GraphProto &graph = *model.mutable_graph();
  constexpr int kNodes = 50000;
  for (int i = 0; i < kNodes; ++i)
    add(graph, "a");
  Names all = labelsOf(NodeLabels(model), graph);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), static_cast<size_t>(kNodes));
}
