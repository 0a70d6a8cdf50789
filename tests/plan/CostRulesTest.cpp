//===- CostRulesTest.cpp - what problems demand, by hand ------------------===//
//
// Numbers that docs/costs.md gives; no kernel has a part in them.
//
//===----------------------------------------------------------------------===//
#include "backends/plan/CostRules.h"
#include "ir/NNDialect.h"
#include "ir/Signature.h"
#include "tests/plan/FakeBackend.h"

#include "llvm/ADT/StringSet.h"

using namespace quern;
using namespace quern::plan;
using namespace quern::test;

static void expectCost(const StepCost &found, const StepCost &wanted) {
  EXPECT_DOUBLE_EQ(found.flops, wanted.flops);
  EXPECT_DOUBLE_EQ(found.bytesRead, wanted.bytesRead);
  EXPECT_DOUBLE_EQ(found.bytesWritten, wanted.bytesWritten);
  EXPECT_EQ(found.engine, wanted.engine);
}

/// The cost of the one op of a graph but for constants, by the sizes of its types.
static void expectCost(const Graph &graph, const StepCost &wanted) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  ASSERT_TRUE(module) << graph.text();
  std::vector<mlir::Operation *> ops;
  for (mlir::Operation &op : nn::findMain(*module).getBody().front().without_terminator())
    if (!mlir::isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op))
      ops.push_back(&op);
  ASSERT_EQ(ops.size(), 1u);
  SCOPED_TRACE(ops[0]->getName().getStringRef().str());
  expectCost(costOf(ops[0], ShapeEnvironment()), wanted);
}

/// The same for `op` with these attributes, and one result, on inputs of these types. Unless
/// `result` says another type, it has the elements of the first.
static void expectCost(const std::string &op, const std::vector<std::string> &inputs,
                       const std::string &attributes, const StepCost &wanted,
                       const std::string &result = "") {
  Graph graph;
  std::vector<GraphValue> operands;
  for (const std::string &type : inputs)
    operands.push_back(type.empty() ? graph.none() : graph.input(type));
  graph.output(graph.op(op, operands, attributes, result));
  expectCost(graph, wanted);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

TEST(CostRulesTest, Matrices) {
  expectCost("nn.matmul", {"2x3x4xf32", "4x5xf32"}, "", {2 * 4 * 30, (24 + 20) * 4, 30 * 4});
  expectCost("nn.matmul_integer", {"2x3x4xui8", "4x5xi8", "ui8", ""}, "",
             {2 * 4 * 30 + 24, 24 + 20 + 1, 30 * 4}, "2x3x5xi32");
  expectCost("nn.matmul", {"4xf64", "4xf64"}, "", {2 * 4, 8 * 8, 8});
  std::string layout = ", trans_a = true, trans_b = false";
  expectCost("nn.gemm", {"4x3xf32", "4x5xf32", ""}, "alpha = 1.0, beta = 2.0" + layout,
             {2 * 4 * 15, (12 + 20) * 4, 15 * 4});
  expectCost("nn.gemm", {"4x3xf32", "4x5xf32", "5xf32"}, "alpha = 0.5, beta = 2.0" + layout,
             {(2 * 4 + 3) * 15, (12 + 20 + 5) * 4, 15 * 4});
  expectCost("nn.det", {"2x3x3xf32"}, "", {36, 18 * 4, 2 * 4});
}

TEST(CostRulesTest, NarrowProducts) {
  expectCost("nn.matmul", {"3x4xui8", "4x5xi8"}, "", {2 * 4 * 15, 12 + 20, 15 * 4, Engine::Int8},
             "3x5xi32");
  expectCost("nn.matmul", {"3x4xbf16", "4x5xbf16"}, "",
             {2 * 4 * 15, (12 + 20) * 2, 15 * 4, Engine::BFloat16}, "3x5xf32");
}

TEST(CostRulesTest, NumbersOfLessThanAByteLieSideBySide) {
  expectCost("nn.block_matmul", {"3x64xf32", "8x64xi4", "8x2xf32", ""}, "block_size = 32",
             {2 * 64 * 24, 3 * 64 * 4 + 8 * 64 / 2 + 8 * 2 * 4, 24 * 4}, "3x8xf32");
}

TEST(CostRulesTest, FourierTransform) {
  for (const char *axis : {"dense<1>", "dense<-2>"}) {
    Graph graph;
    GraphValue x = graph.input("3x8x1xf32");
    graph.output(graph.op("nn.dft", {x, graph.constant(axis, "i64")}, "inverse = false"));
    expectCost(graph, {3 * 5 * 8 * 3, 24 * 4 + 8, 48 * 4});
  }
}

static const std::string kSquare = "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, "
                                   "pads = array<i64: 0, 0, 0, 0>";

TEST(CostRulesTest, Convolutions) {
  expectCost("nn.conv", {"2x4x5x5xf32", "6x2x3x3xf32", "6xf32"}, kSquare + ", group = 2",
             {108 * (2 * 18 + 1), (200 + 108 + 6) * 4, 108 * 4});
  expectCost("nn.conv_integer", {"2x4x5x5xui8", "6x2x3x3xi8", "", "i8", "6xi32"},
             kSquare + ", group = 2", {108 * (2 * 18 + 1) + 108, 200 + 108 + 1 + 6 * 4, 108 * 4},
             "2x6x3x3xi32");
  // A window that hangs over the edge is no smaller there.
  expectCost("nn.conv", {"1x1x4xf32", "1x1x3xf32", ""},
             "strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 1, 1>, "
             "group = 1",
             {4 * 2 * 3, (4 + 3) * 4, 4 * 4});
  expectCost("nn.conv_transpose", {"1x2x3x3xf32", "2x4x2x2xf32", "4xf32"},
             "strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, "
             "pads = array<i64: 0, 0, 0, 0>, output_padding = array<i64: 0, 0>, "
             "output_shape = array<i64>, group = 1",
             {2 * 18 * 16 + 144, (18 + 32 + 4) * 4, 144 * 4});
}

/// Blocks end in channels that are none.
TEST(CostRulesTest, BlockedConvolution) {
  std::string blocked = "1x1x4x4x8xf32, #nn.blocked<8>";
  Graph graph;
  graph.output(graph.op("nn.conv",
                        {graph.input(blocked), graph.weight("5x3x1x1xf32"), graph.none()},
                        kSquare + ", group = 1", blocked));
  expectCost(graph, {16 * 5 * 2 * 3, (128 + 15) * 4, 128 * 4});
}

static StepCost attentionCost(double scores, double perScore, double more = 0) {
  return {scores * perScore, (2 * 2 * 3 * 4 + 2 * 2 * 5 * 4 + 2 * 2 * 5 * 6) * 4 + more,
          2 * 2 * 3 * 6 * 4};
}

TEST(CostRulesTest, Attention) {
  auto attributes = [](const std::string &more) {
    std::string perms;
    for (const char *name : {"query", "key", "value", "result"})
      perms += std::string(name) + "_perm = array<i64: 0, 1, 2, 3>, ";
    return perms + "zero_masked_rows = false, " + more;
  };
  auto expect = [&](const std::vector<std::string> &optional, const std::string &offset,
                    const std::string &more, const StepCost &wanted) {
    Graph graph;
    std::vector<GraphValue> operands = {graph.input("2x2x3x4xf32"), graph.input("2x2x5x4xf32"),
                                        graph.input("2x2x5x6xf32")};
    for (const std::string &type : optional)
      operands.push_back(type.empty() ? graph.none() : graph.input(type));
    operands.push_back(offset.empty() ? graph.none() : graph.constant(offset, "i64"));
    operands.push_back(graph.none());
    graph.output(graph.op("nn.attention", operands, attributes(more)));
    expectCost(graph, wanted);
  };
  std::string plain = "scale_factor = 1.0, softcap = 0.0, ";
  expect({"", ""}, "", plain + "causal = false", attentionCost(4 * 15, 2 * 10 + 5));
  expect({"3x5xf32", ""}, "", "scale_factor = 0.5, softcap = 2.0, causal = false",
         attentionCost(4 * 15, 2 * 10 + 5 + 1 + 3 + 1, 15 * 4));
  expect({"", "f32"}, "", plain + "causal = false", attentionCost(4 * 15, 2 * 10 + 5 + 1, 4));
  // Of five keys three queries see 1, 2, 3; 4, 5, 5; 0, 1, 2.
  expect({"", ""}, "", plain + "causal = true", attentionCost(4 * 6, 25));
  expect({"", ""}, "dense<3>", plain + "causal = true", attentionCost(4 * 14, 25, 8));
  expect({"", ""}, "dense<-1>", plain + "causal = true", attentionCost(4 * 3, 25, 8));
  expect({"", ""}, "dense<-7>", plain + "causal = true", attentionCost(0, 25, 8));
}

TEST(CostRulesTest, Recurrent) {
  auto expect = [](const std::string &cell, const std::string &activations, int64_t gates,
                   size_t results, double perUnit) {
    Graph graph;
    GraphValue none = graph.none();
    std::string columns = std::to_string(gates * 5), zeros = gates == 1   ? "0.0"
                                                             : gates == 3 ? "0.0, 0.0"
                                                                          : "0.0, 0.0, 0.0";
    auto values =
        graph.multi("nn.recurrent " + cell + " forward [" + activations + "]",
                    {graph.input("3x2x" + columns + "xf32"), graph.input("1x" + columns + "x5xf32"),
                     none, none, none, none, none},
                    "alpha = array<f64: " + zeros + ">, beta = array<f64: " + zeros +
                        ">, input_forget = false, linear_before_reset = false",
                    results);
    for (const GraphValue &value : values)
      graph.output(value);
    auto width = static_cast<double>(gates * 5);
    expectCost(graph, {30 * perUnit, (6 * width + 5 * width) * 4,
                       (30 + 10 * (static_cast<double>(results) - 1)) * 4});
  };
  expect("rnn", "Tanh", 1, 2, 2 * 5 + 2);
  expect("gru", "Sigmoid, Tanh", 3, 2, 3 * (2 * 5 + 2) + 5);
  expect("lstm", "Sigmoid, Tanh, Tanh", 4, 3, 4 * (2 * 5 + 2) + 5);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

TEST(CostRulesTest, Reductions) {
  auto expect = [](const std::string &kind, double perElement) {
    Graph graph;
    GraphValue axes = graph.constant("dense<1>", "1xi64");
    graph.output(graph.op("nn.reduce " + kind, {graph.input("3x8xf32"), axes},
                          "keepdims = false, noop_with_empty_axes = false"));
    expectCost(graph, {perElement * 24, 24 * 4 + 8, 3 * 4});
  };
  expect("sum", 1);
  expect("mean", 1);
  expect("sum_square", 2);
  expect("log_sum_exp", 4);
  expectCost("nn.softmax", {"3x8xf32"}, "axis = 1, trailing = false", {120, 96, 96});
  expectCost("nn.arg_reduce max", {"3x8xf32"},
             "axis = 1, keepdims = false, select_last_index = false", {24, 96, 3 * 8}, "3xi64");
  expectCost("nn.cumulate sum", {"3x8xf32", "i64"}, "exclusive = false, reverse = false",
             {24, 96 + 8, 96});
}

TEST(CostRulesTest, TheLargest) {
  Graph graph;
  auto largest =
      graph.multi("nn.topk", {graph.input("3x8xf32"), graph.constant("dense<4>", "1xi64")},
                  "axis = 1, largest = true", 2, {"f32", "i64"});
  graph.output(largest[0]);
  graph.output(largest[1]);
  expectCost(graph, {24 + 12 * 2, 96 + 8, 12 * 4 + 12 * 8});
}

TEST(CostRulesTest, Pools) {
  std::string window = kSquare + ", kernel = array<i64: 2, 3>, ceil_mode = false";
  expectCost("nn.max_pool", {"1x2x4x5xf32"}, window, {18 * 6, 40 * 4, 18 * 4});
  expectCost("nn.average_pool", {"1x2x4x5xf32"}, window + ", count_include_pad = false",
             {18 * 6, 40 * 4, 18 * 4});
  expectCost("nn.global_pool mean", {"1x2x4x5xf32"}, "", {40, 40 * 4, 2 * 4});
  Graph graph;
  auto places = graph.multi("nn.max_pool_with_indices", {graph.input("1x2x4x5xf32")},
                            window + ", storage_order = 0", 2, {"f32", "i64"});
  graph.output(places[0]);
  graph.output(places[1]);
  expectCost(graph, {18 * 6, 40 * 4, 18 * 4 + 18 * 8});
}

TEST(CostRulesTest, Normalizations) {
  expectCost("nn.batch_norm", {"2x3x4xf32", "3xf32", "3xf32", "3xf32", "3xf32"}, "epsilon = 0.1",
             {4 * 24, (24 + 12) * 4, 96});
  expectCost("nn.instance_norm", {"2x3x4xf32", "3xf32", "3xf32"}, "epsilon = 0.1",
             {7 * 24, (24 + 6) * 4, 96});
  expectCost("nn.layer_norm", {"2x3x4xf32", "4xf32", "4xf32"},
             "axis = 2, center = true, epsilon = 0.1", {7 * 24, (24 + 8) * 4, 96});
  expectCost("nn.layer_norm", {"2x3x4xf32", "4xf32", ""}, "axis = 2, center = false, epsilon = 0.1",
             {4 * 24, (24 + 4) * 4, 96});
  expectCost("nn.lrn", {"2x3x4xf32"}, "alpha = 0.1, beta = 0.75, bias = 1.0, size = 3",
             {8 * 24, 96, 96});
}

/// Two trees of four leaves each: two comparisons, and a vote, for each row and tree.
TEST(CostRulesTest, Trees) {
  auto trees = [](const std::string &rows) {
    Graph graph;
    graph.output(graph.op("nn.tree_ensemble sum",
                          {graph.input(rows), graph.weight("6x3xi32"),
                           graph.weight(Tensor::of<uint8_t>({6}, {})), graph.weight("6xf32"),
                           graph.weight("2xi32"), graph.weight("9xi32"), graph.weight("8xi32"),
                           graph.weight("8xf32")},
                          "target_count = 3 : i64"));
    return graph;
  };
  // Many rows see all nodes, and four comparisons a row at most four features.
  double nodes = 6 * 12 + 6 + 6 * 4, roots = 2 * 4, leaves = (9 + 8 + 8) * 4;
  expectCost(trees("10x3xf32"), {10 * 2 * 3, 10 * 3 * 4 + nodes + roots + leaves, 10 * 3 * 4});
  expectCost(trees("10x40xf32"), {10 * 2 * 3, 10 * 4 * 4 + nodes + roots + leaves, 10 * 3 * 4});
  // One sees four nodes of the six, and two leaves of the eight.
  expectCost(trees("1x3xf32"), {2 * 3, 3 * 4 + nodes * 4 / 6 + roots + leaves * 2 / 8, 3 * 4});
}

//===----------------------------------------------------------------------===//
// Moves and samples
//===----------------------------------------------------------------------===//

TEST(CostRulesTest, ElementwiseOps) {
  expectCost("nn.add", {"2x3xf32", "3xf32"}, "", {6, (6 + 3) * 4, 6 * 4});
  expectCost("nn.sigmoid", {"2x3xf64"}, "", {6, 48, 48});
  expectCost("nn.less", {"2x3xf32", "2x3xf32"}, "", {6, 48, 6}, "2x3xi1");
  Graph twice;
  GraphValue x = twice.input("2x3xf32");
  twice.output(twice.op("nn.mul", {x, x}));
  expectCost(twice, {6, 24, 24});
  Graph converted;
  converted.output(converted.op("nn.cast", {converted.input("2x3xf32")}, "to = f16", "2x3xf16"));
  expectCost(converted, {6, 24, 12});
}

TEST(CostRulesTest, MovesOfAll) {
  expectCost("nn.transpose", {"2x3xf32"}, "perm = array<i64: 1, 0>", {0, 24, 24});
  expectCost("nn.concat", {"2x3xf32", "4x3xf32"}, "axis = 0", {0, 72, 72});
  Graph graph;
  graph.output(
      graph.op("nn.expand", {graph.input("3xf32"), graph.constant("dense<[5, 3]>", "2xi64")}));
  expectCost(graph, {0, 3 * 4 + 16, 15 * 4});
}

TEST(CostRulesTest, GathersReadWhatTheyTake) {
  // Two rows of a hundred; more than there are, of three.
  expectCost("nn.gather", {"100x8xf32", "2xi64"}, "axis = 0", {0, 2 * 8 * 4 + 16, 2 * 8 * 4});
  expectCost("nn.gather", {"3x8xf32", "50xi32"}, "axis = 0", {0, 3 * 8 * 4 + 50 * 4, 50 * 8 * 4});
  expectCost("nn.gather_elements", {"100x8xf32", "2x8xi64"}, "axis = 0",
             {0, 16 * 4 + 16 * 8, 16 * 4});
  expectCost("nn.gather_nd", {"100x8xf32", "3x1xi64"}, "batch_dims = 0",
             {0, 24 * 4 + 3 * 8, 24 * 4});
  Graph graph;
  GraphValue zero = graph.constant("dense<0>", "1xi64"), five = graph.constant("dense<5>", "1xi64");
  graph.output(graph.op("nn.slice", {graph.input("100x8xf32"), zero, five, zero, graph.none()}));
  // Start and axis are one operand here.
  expectCost(graph, {0, 5 * 8 * 4 + 2 * 8, 5 * 8 * 4});
  expectCost("nn.shape", {"100x8xf32"}, "start = 0", {0, 0, 16}, "2xi64");
}

TEST(CostRulesTest, ScattersCountWhatTheyChange) {
  std::vector<std::string> operands = {"100x8xf32", "2x8xi64", "2x8xf32"};
  expectCost("nn.scatter_elements none", operands, "axis = 0", {0, 16 * (8 + 4), 16 * 4});
  expectCost("nn.scatter_elements add", operands, "axis = 0", {16, 16 * (8 + 4 + 4), 16 * 4});
  expectCost("nn.scatter_nd max", {"100x8xf32", "2x1xi64", "2x8xf32"}, "",
             {16, 2 * 8 + 16 * (4 + 4), 16 * 4});
}

TEST(CostRulesTest, Samples) {
  auto resize = [](const std::string &rule, const std::string &scales, const StepCost &wanted,
                   const std::string &more = "") {
    Graph graph;
    GraphValue none = graph.none();
    GraphValue factors = graph.constant("dense<" + scales + ">", "4xf32");
    graph.output(graph.op("nn.resize " + rule, {graph.input("1x1x8x8xf32"), none, factors, none},
                          "cubic_coeff_a = -0.75, exclude_outside = false, "
                          "extrapolation_value = 0.0" +
                              more));
    expectCost(graph, wanted);
  };
  resize("nearest(asymmetric, floor)", "[1.0, 1.0, 0.5, 0.25]", {0, 8 * 4 + 16, 8 * 4});
  resize("linear(half_pixel, floor)", "[1.0, 1.0, 2.0, 2.0]", {256 * 2 * 4, 64 * 4 + 16, 256 * 4});
  resize("linear(half_pixel, floor)", "[1.0, 1.0, 1.0, 0.25]", {16 * 2 * 2, 32 * 4 + 16, 16 * 4});
  resize("linear(half_pixel, floor)", "[1.0, 1.0, 1.0, 0.25]",
         {16 * 2 * 2 * 4, 64 * 4 + 16, 16 * 4}, ", antialias = true");
  expectCost("nn.grid_sample cubic(constant)", {"1x3x8x8xf32", "1x2x1x2xf32"},
             "align_corners = false", {6 * 2 * 16, 6 * 16 * 4 + 4 * 4, 6 * 4});
  std::string region = "height = 2, width = 2, spatial_scale = 1.0, half_pixel = false, ";
  expectCost("nn.roi_pool mean", {"1x3x64x64xf32", "1x4xf32", "1xi64"},
             region + "sampling_ratio = 3, whole_pixels = false",
             {12 * 9 * 9, 12 * 36 * 4 + 16 + 8, 12 * 4});
  Graph graph;
  GraphValue image = graph.constant("dense<[3, 3]>", "2xi64"),
             block = graph.constant("dense<2>", "2xi64");
  graph.output(graph.op("nn.col2im", {graph.input("1x8x4xf32"), image, block},
                        "strides = array<i64>, dilations = array<i64>, pads = array<i64>"));
  expectCost(graph, {32, 32 * 4 + 32, 18 * 4});
}

TEST(CostRulesTest, MadeOfNumbers) {
  Graph range;
  GraphValue two = range.constant("dense<2>", "i64");
  range.output(range.op(
      "nn.range", {range.constant("dense<0>", "i64"), range.constant("dense<8>", "i64"), two}));
  expectCost(range, {2 * 4, 3 * 8, 4 * 8});
  Graph random;
  random.output(
      random.op("nn.random", {random.constant("dense<[2, 3]>", "2xi64")}, "dtype = f32", "*xf32"));
  expectCost(random, {6, 16, 24});
  expectCost("nn.lookup", {"5xi64", "3xi64", "3xf32", "1xf32"}, "",
             {5, 5 * 8 + 3 * 8 + 3 * 4 + 4, 5 * 4}, "5xf32");
}

//===----------------------------------------------------------------------===//
// What is not known
//===----------------------------------------------------------------------===//

TEST(CostRulesTest, UnknownSizesCountNothing) {
  expectCost("nn.relu", {"?x3xf32"}, "", {0, 0, 0});
  expectCost("nn.nonzero", {"2x3xf32"}, "", {0, 24, 0}, "2x?xi64");
}

TEST(CostRulesTest, StringsHaveNoBytes) {
  Graph graph;
  graph.output(
      graph.op("nn.equal", {graph.input("4x!nn.string"), graph.input("4x!nn.string")}, "", "4xi1"));
  expectCost(graph, {4, 0, 4});
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

/// The costs of the ops of an optimised graph, with the first input of these sizes.
static std::vector<StepCost> costsOf(const Graph &graph, llvm::ArrayRef<int64_t> sizes) {
  auto family = FakeBackend().family(graph);
  EXPECT_TRUE(family) << family.status().message();
  SharedGraph shared = (*family)->graphFor({}, Deadline()).take();
  const OptimizedGraph &optimized = shared->get();
  ShapeEnvironment values(optimized);
  values.setSizes(optimized.main().getArgument(0), sizes);
  EXPECT_TRUE(values.inferSizes().isOk());
  std::vector<StepCost> costs;
  for (const OptimizedGraph::Node &node : optimized.nodes()) {
    EXPECT_TRUE(mlir::isa<nn::GroupOp>(node.op)) << node.opName;
    costs.push_back(costOf(node.op, values));
  }
  return costs;
}

TEST(CostRulesTest, FusedConvolution) {
  Graph graph;
  GraphValue x = graph.input("?x2x5x5xf32");
  GraphValue conv = graph.op("nn.conv", {x, graph.weight("3x2x3x3xf32"), graph.weight("3xf32")},
                             kSquare + ", group = 1");
  GraphValue sum = graph.op("nn.add", {graph.op("nn.relu", {conv}), conv});
  graph.output(sum);
  std::vector<StepCost> costs = costsOf(graph, {4, 2, 5, 5});
  ASSERT_EQ(costs.size(), 1u);
  // The result of the convolution stays inside.
  expectCost(costs[0], {108 * (2 * 18 + 1) + 2 * 108, (200 + 54 + 3) * 4, 108 * 4});
}

TEST(CostRulesTest, GroupWithoutAnAnchor) {
  Graph graph;
  GraphValue x = graph.input("?x4xf32");
  graph.output(graph.op("nn.mul", {graph.op("nn.abs", {graph.op("nn.neg", {x})}),
                                   graph.constant("dense<2.0>", "f32")}));
  std::vector<StepCost> costs = costsOf(graph, {5, 4});
  ASSERT_EQ(costs.size(), 1u);
  expectCost(costs[0], {3 * 20, 80, 80});
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

TEST(CostRulesTest, EveryOpHasARule) {
  mlir::MLIRContext context;
  context.loadDialect<nn::NNDialect>();
  llvm::StringSet<> rows;
  for (const CostRow &row : costTable())
    EXPECT_TRUE(rows.insert(row.opName).second) << row.opName.str() << " has two rows";
  for (mlir::RegisteredOperationName name : context.getRegisteredOperations()) {
    bool computes = name.getDialectNamespace() == "nn" &&
                    name.hasInterface<nn::GraphOpInterface>() &&
                    !name.hasTrait<mlir::OpTrait::ZeroOperands>() &&
                    name.hasTrait<mlir::OpTrait::ZeroRegions>() &&
                    !name.hasInterface<nn::ElementwiseOpInterface>();
    EXPECT_EQ(rows.contains(name.getStringRef()), computes) << name.getStringRef().str();
  }
}
