//===- EmptyTensorTest.cpp - every family on tensors without elements -----===//
//
// No step may run over them, divide by their sizes or touch their storage, which
// may be nowhere. Sanitized builds watch.
//
//===----------------------------------------------------------------------===//
#include "tests/native/GraphCheck.h"

using namespace quern;
using namespace quern::native;

namespace {
/// The tensor, or one without storage where it has no elements.
Tensor withoutNeedlessStorage(const Tensor &tensor) {
  return tensor.numElements() > 0 ? tensor : Tensor::borrow(tensor.dtype(), tensor.dims(), nullptr);
}

/// As expectExact, at both ends of the levels, and with null pointers to nothing.
void expectExactOnNothing(const Graph &graph) {
  for (int level : {0, 3}) {
    SCOPED_TRACE("level " + std::to_string(level));
    GraphCheck check;
    check.options.optLevel = level;
    check.allowReference = true;
    expectExact(graph, check);
    std::vector<Tensor> inputs, outputs;
    for (const Tensor &input : integerInputs(graph))
      inputs.push_back(withoutNeedlessStorage(input));
    auto wanted = runInterpreted(graph, inputs);
    ASSERT_TRUE(wanted) << wanted.status().message();
    for (const Tensor &result : *wanted)
      outputs.push_back(withoutNeedlessStorage(result.clone().take()));
    auto executable = compileForTest(graph, check.options);
    ASSERT_TRUE(executable) << executable.status().message();
    Session session(*executable, {.threads = 2});
    Status status = session.run(inputs, outputs);
    ASSERT_TRUE(status.isOk()) << status.message();
    expectSameTensors(outputs, *wanted, graph.labels());
  }
}

std::string ints(const std::string &values) { return "dense<[" + values + "]>"; }

const std::string kWindow = "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = "
                            "array<i64: 1, 1, 1, 1>";
} // namespace

TEST(EmptyTensorTest, Elementwise) {
  Graph graph;
  GraphValue x = graph.input("0x3xf32"), row = graph.input("3xf32"), one = graph.input("1x3xf32");
  GraphValue deep = graph.input("2x0x4xf32");
  graph.output(graph.op("nn.relu", {x}), "relu");
  graph.output(graph.op("nn.add", {x, row}), "add a row");
  graph.output(graph.op("nn.mul", {graph.op("nn.sub", {one, x}), row}), "a chain");
  graph.output(graph.op("nn.add", {deep, graph.input("4xf32")}), "in the middle");
  graph.output(graph.op("nn.less", {x, row}, "", "0x3xi1"), "a comparison");
  expectExactOnNothing(graph);
}

TEST(EmptyTensorTest, DataMovement) {
  Graph graph;
  GraphValue x = graph.input("0x3xf32"), y = graph.input("2x3xf32"), z = graph.input("2x0x4xf32");
  GraphValue none = graph.none();
  graph.output(graph.op("nn.transpose", {z}, "perm = array<i64: 2, 0, 1>"), "transpose");
  graph.output(graph.op("nn.concat", {x, y, x}, "axis = 0"), "concat");
  graph.output(graph.op("nn.concat", {x, graph.op("nn.neg", {x})}, "axis = 0"),
               "concat of nothing");
  graph.output(
      graph.op("nn.concat", {graph.op("nn.neg", {x}), graph.op("nn.abs", {y})}, "axis = 0"),
      "concat in place");
  auto parts =
      graph.multi("nn.split", {y, graph.constant(ints("0, 2, 0"), "3xi64")}, "axis = 0", 3);
  for (const GraphValue &part : parts)
    graph.output(part, "split");
  auto slice = [&](const GraphValue &value, const std::string &starts, const std::string &ends) {
    return graph.op("nn.slice", {value, graph.constant(ints(starts), "1xi64"),
                                 graph.constant(ints(ends), "1xi64"),
                                 graph.constant(ints("1"), "1xi64"), none});
  };
  graph.output(slice(y, "2", "2"), "an empty slice");
  graph.output(slice(z, "0", "7"), "a slice of nothing");
  auto backward = [&](const GraphValue &value, const std::string &start) {
    return graph.op("nn.slice", {value, graph.constant(ints(start), "1xi64"),
                                 graph.constant(ints("-9223372036854775808"), "1xi64"),
                                 graph.constant(ints("0"), "1xi64"),
                                 graph.constant(ints("-9223372036854775808"), "1xi64")});
  };
  graph.output(backward(x, "4"), "a slice of nothing, backward");
  graph.output(backward(y, "1"), "one element by a step that would overflow");
  graph.output(
      graph.op("nn.reshape", {z, graph.constant(ints("0, 5"), "2xi64")}, "allowzero = true"),
      "reshape");
  graph.output(graph.op("nn.flatten", {z}, "axis = 1"), "flatten");
  graph.output(
      graph.op("nn.expand", {graph.input("1x3xf32"), graph.constant(ints("0, 3"), "2xi64")}),
      "expand to nothing");
  graph.output(graph.op("nn.tile", {y, graph.constant(ints("0, 2"), "2xi64")}), "tile");
  graph.output(graph.op("nn.tile", {x, graph.constant(ints("3, 2"), "2xi64")}), "tile of nothing");
  graph.output(graph.op("nn.pad constant", {x, graph.constant(ints("1, 0, 2, 1"), "4xi64"), none}),
               "pad");
  graph.output(graph.op("nn.gather", {y, graph.weight(Tensor::ofInts({}))}, "axis = 0"), "gather");
  graph.output(graph.op("nn.gather", {z, graph.constant(ints("1, 0"), "2xi64")}, "axis = 0"),
               "gather of nothing");
  expectExactOnNothing(graph);
}

TEST(EmptyTensorTest, Products) {
  Graph graph;
  auto product = [&](const std::string &a, const std::string &b) {
    graph.output(graph.op("nn.matmul", {graph.input(a + "xf32"), graph.input(b + "xf32")}),
                 a + " * " + b);
    graph.output(graph.op("nn.relu", {graph.op("nn.matmul", {graph.input(a + "xf32"),
                                                             graph.weight(b + "xf32")})}),
                 a + " * weight " + b);
  };
  product("0x4", "4x5");
  product("3x0", "0x5");
  product("3x4", "4x0");
  product("0x2x3", "3x4");
  product("0x2x3", "0x3x4");
  product("2x0x3", "2x3x4");
  for (auto [a, b] : {std::pair("0x4xf32", "4x5xf32"), {"3x0xf32", "0x5xf32"}})
    graph.output(graph.op("nn.gemm",
                          {graph.input(a), graph.weight(std::string(b)), graph.weight("5xf32")},
                          "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, trans_b = false"),
                 std::string("gemm of ") + a);
  expectExactOnNothing(graph);
}

TEST(EmptyTensorTest, Windows) {
  Graph graph;
  for (const char *channels : {"3", "16"}) {
    std::string c = channels;
    GraphValue x = graph.input("0x" + c + "x5x6xf32");
    graph.output(graph.op("nn.conv", {x, graph.weight("16x" + c + "x3x3xf32"), graph.none()},
                          kWindow + ", group = 1"),
                 "conv");
    graph.output(graph.op("nn.conv", {x, graph.weight(c + "x1x3x3xf32"), graph.none()},
                          kWindow + ", group = " + c),
                 "depthwise");
    for (const char *pool : {"nn.max_pool", "nn.average_pool"})
      graph.output(
          graph.op(pool, {x},
                   kWindow + ", kernel = array<i64: 3, 3>, ceil_mode = false" +
                       (std::string(pool) == "nn.max_pool" ? "" : ", count_include_pad = true")),
          pool);
    graph.output(graph.op("nn.global_pool mean", {x}), "global");
    graph.output(graph.op("nn.lrn", {x},
                          "alpha = 0.1 : f64, beta = 0.5 : f64, bias = 1.0 : f64, "
                          "size = 3"),
                 "lrn");
    GraphValue scale = graph.weight(c + "xf32");
    graph.output(graph.op("nn.batch_norm", {x, scale, scale, scale, graph.op("nn.abs", {scale})},
                          "epsilon = 1.0 : f64"),
                 "batch_norm");
    GraphValue none = graph.none();
    graph.output(
        graph.op("nn.layer_norm", {x, none, none}, "axis = 2, center = true, epsilon = 1.0 : f64"),
        "layer_norm");
    graph.output(graph.op("nn.instance_norm", {x, scale, scale}, "epsilon = 1.0 : f64"),
                 "instance_norm");
  }
  expectExactOnNothing(graph);
}

TEST(EmptyTensorTest, Reductions) {
  Graph graph;
  for (const char *type : {"0x3x4xf32", "2x0x4xf32", "2x3x0xf32"}) {
    GraphValue x = graph.input(type);
    for (int64_t axis : {0, 1, 2}) {
      std::string label = type + (" along " + std::to_string(axis));
      for (std::string kind : {"sum", "prod"})
        graph.output(graph.op("nn.reduce " + kind, {x, graph.weight(Tensor::ofInts({axis}))},
                              "keepdims = false, noop_with_empty_axes = false"),
                     kind + " of " + label);
      graph.output(graph.op("nn.softmax", {x}, "trailing = false, axis = " + std::to_string(axis)),
                   "softmax of " + label);
      graph.output(graph.op("nn.softmax", {x},
                            "logarithm = true, trailing = false, axis = " + std::to_string(axis)),
                   "logarithm of softmax of " + label);
    }
  }
  graph.output(graph.op("nn.arg_reduce max", {graph.input("2x0x4xf32")},
                        "axis = 2, keepdims = false, select_last_index = false", "2x0xi64"),
               "arg_max");
  expectExactOnNothing(graph);
}
