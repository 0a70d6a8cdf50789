//===- AttentionGraph.cpp - attention of any sizes ------------------------===//
#include "tests/plan/AttentionGraph.h"

using namespace quern;
using namespace quern::test;

Graph test::attentionOfOpenSizes() {
  Graph graph;
  GraphValue x = graph.input("?x?x8xf32"), y = graph.input("?x?x8xf32");
  GraphValue shape = graph.op("nn.shape", {x}, "start = 0 : i64", "3xi64");
  GraphValue batch = graph.op("nn.gather", {shape, graph.ints({0})}, "axis = 0", "1xi64");
  GraphValue length = graph.op("nn.gather", {shape, graph.ints({1})}, "axis = 0", "1xi64");
  GraphValue heads =
      graph.op("nn.concat", {batch, length, graph.ints({2}), graph.ints({4})}, "axis = 0", "4xi64");
  auto split = [&](const GraphValue &value) {
    return graph.op("nn.transpose",
                    {graph.op("nn.reshape", {value, heads}, "allowzero = false", "?x?x?x?xf32")},
                    "perm = array<i64: 0, 2, 1, 3>");
  };
  GraphValue key = graph.op("nn.transpose", {split(x)}, "perm = array<i64: 0, 1, 3, 2>");
  GraphValue scores = graph.op("nn.matmul", {split(y), key});
  GraphValue joined = graph.op("nn.transpose", {graph.op("nn.matmul", {scores, split(x)})},
                               "perm = array<i64: 0, 2, 1, 3>");
  GraphValue flat = graph.op("nn.reshape", {joined, shape}, "allowzero = false", "?x?x?xf32");
  // Read along the batch: an epilogue only where that is 1.
  GraphValue scale = graph.op("nn.reduce max", {x, graph.ints({1, 2})},
                              "keepdims = true, noop_with_empty_axes = false");
  graph.output(graph.op("nn.add", {graph.op("nn.matmul", {flat, graph.weight("8x8xf32")}), scale}));
  graph.output(shape);
  return graph;
}
