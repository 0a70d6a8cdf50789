//===- SharesTest.cpp - what each step of an op does of its problem -------===//
#include "backends/native/lowering/Lowering.h"
#include "backends/native/target/Target.h"
#include "backends/plan/LowerGraph.h"
#include "ir/Signature.h"
#include "tests/plan/Graph.h"

#include <gtest/gtest.h>

#include <numeric>

using namespace quern;
using namespace quern::native;
using test::Graph;
using test::GraphValue;

/// The shares of the steps of the one op of `graph`, lowered for a CPU with AVX2.
static std::vector<double> sharesOf(const Graph &graph) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = graph.parse(context);
  EXPECT_TRUE(module) << graph.text();
  mlir::func::FuncOp main = nn::findMain(*module);
  plan::OptimizedGraph optimized(main);
  plan::ShapeEnvironment values(optimized);
  EXPECT_TRUE(values.inferSizes().isOk());
  NativeLowering lowering(resolveTarget("haswell").take(), /*threads=*/2);
  auto lowered = plan::lowerGraph(optimized, plan::GraphPart::wholeOf(main), lowering,
                                  std::move(values), plan::UnknownSizes::Reference, Limits());
  EXPECT_TRUE(lowered) << lowered.status().message();
  EXPECT_EQ(lowered->ops.size(), 1u);
  EXPECT_EQ(lowered->ops[0].reason, std::nullopt);
  std::vector<double> shares;
  for (const plan::LoweredStep &step : lowered->ops[0].steps)
    shares.push_back(step.share);
  return shares;
}

static void expectShares(const Graph &graph, const std::vector<double> &wanted) {
  std::vector<double> found = sharesOf(graph);
  ASSERT_EQ(found.size(), wanted.size()) << graph.text();
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], wanted[i], 1e-12) << "step " << i << " of " << graph.text();
  EXPECT_NEAR(std::accumulate(found.begin(), found.end(), 0.0), 1, 1e-12);
}

static const std::string kWindow = "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, "
                                   "pads = array<i64: 1, 1, 1, 1>, group = 1";

// The windows of some images are unfolded, and multiplied, at a time.
TEST(SharesTest, ConvolutionInParts) {
  Graph graph;
  graph.output(graph.op("nn.conv",
                        {graph.input("5x64x64x64xf32"), graph.weight("8x64x3x3xf32"), graph.none()},
                        "strides = array<i64: 1, 2>, dilations = array<i64: 1, 1>, "
                        "pads = array<i64: 1, 1, 1, 1>, group = 1"));
  std::vector<double> shares = sharesOf(graph);
  ASSERT_GE(shares.size(), 4u) << "images are too small to be cut";
  ASSERT_EQ(shares.size() % 2, 0u);
  double all = 0;
  for (size_t i = 0; i < shares.size(); i += 2) {
    EXPECT_EQ(shares[i], 0) << "unfolding";
    all += shares[i + 1];
  }
  EXPECT_NEAR(all, 1, 1e-12);
}

TEST(SharesTest, ProductsThatArePrepared) {
  Graph padded;
  std::string blocked = "1x2x8x8x8xf32, #nn.blocked<8>";
  padded.output(padded.op("nn.conv",
                          {padded.input(blocked), padded.weight("16x16x5x5xf32"), padded.none()},
                          kWindow, "1x2x6x6x8xf32, #nn.blocked<8>"));
  expectShares(padded, {0, 1});

  // Both operands are repeated, and B is packed for the many rows.
  Graph crosswise;
  crosswise.output(crosswise.op(
      "nn.matmul", {crosswise.input("2x1x1000x4xf32"), crosswise.input("1x5x4x6xf32")}));
  expectShares(crosswise, {0, 0, 0, 1});

  Graph transposed;
  transposed.output(transposed.op(
      "nn.conv_transpose",
      {transposed.input("1x2x3x3xf32"), transposed.weight("2x4x2x2xf32"), transposed.none()},
      "strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, "
      "output_padding = array<i64: 0, 0>, output_shape = array<i64>, group = 1"));
  expectShares(transposed, {1, 0});
}

// Directions with activations of their own are steps of their own.
TEST(SharesTest, DirectionsOfARecurrence) {
  Graph graph;
  GraphValue none = graph.none();
  auto results = graph.multi(
      "nn.recurrent rnn bidirectional [Tanh, Relu]",
      {graph.input("3x2x10xf32"), graph.input("2x5x5xf32"), none, none, none, none, none},
      "alpha = array<f64: 0.0, 0.0>, beta = array<f64: 0.0, 0.0>, "
      "input_forget = false, linear_before_reset = false",
      2);
  for (const GraphValue &result : results)
    graph.output(result);
  expectShares(graph, {0, 0.5, 0.5});
}

TEST(SharesTest, MovesOfParts) {
  Graph joined;
  joined.output(
      joined.op("nn.concat", {joined.input("2x3xf32"), joined.input("2x5xf32")}, "axis = 1"));
  expectShares(joined, {6.0 / 16, 10.0 / 16});

  Graph split;
  GraphValue sizes = split.constant("dense<[1, 3]>", "2xi64");
  for (const GraphValue &part :
       split.multi("nn.split", {split.input("4x6xf32"), sizes}, "axis = 0", 2))
    split.output(part);
  expectShares(split, {0.25, 0.75});

  // The 3 x 4 elements, two rows above them, then a column before all and two behind.
  Graph padded;
  GraphValue pads = padded.constant("dense<[2, 1, 0, 2]>", "4xi64");
  padded.output(padded.op("nn.pad constant", {padded.input("3x4xf32"), pads, padded.none()}));
  expectShares(padded, {12.0 / 35, 8.0 / 35, 5.0 / 35, 10.0 / 35});

  // One whole block of channels, four of the second, and what fills it.
  Graph packed;
  packed.output(
      packed.op("nn.pack", {packed.input("1x12x3x3xf32")}, "", "1x2x3x3x8xf32, #nn.blocked<8>"));
  expectShares(packed, {0.5, 0.25, 0.25});
  Graph plain;
  plain.output(plain.op("nn.unpack", {plain.input("1x2x3x3x8xf32, #nn.blocked<8>")},
                        "channels = 12", "1x12x3x3xf32"));
  expectShares(plain, {8.0 / 12, 4.0 / 12});
}

TEST(SharesTest, RowsThatAreMoved) {
  Graph reduced;
  GraphValue axes = reduced.constant("dense<[0, 2]>", "2xi64");
  reduced.output(reduced.op("nn.reduce sum", {reduced.input("3x4x5xf32"), axes},
                            "keepdims = false, noop_with_empty_axes = false"));
  expectShares(reduced, {0, 1});

  Graph largest;
  for (const GraphValue &result :
       largest.multi("nn.topk", {largest.input("8x3xf32"), largest.constant("dense<2>", "1xi64")},
                     "axis = 0, largest = true", 2, {"f32", "i64"}))
    largest.output(result);
  expectShares(largest, {0, 1, 0, 0});
}

// An axis after the other, by what is read: 8 x 8 elements become 8 x 16, those 16 x 16.
TEST(SharesTest, AxesOfAResize) {
  Graph graph;
  GraphValue none = graph.none(), scales = graph.constant("dense<[1.0, 1.0, 2.0, 2.0]>", "4xf32");
  graph.output(graph.op("nn.resize nearest(asymmetric, floor)",
                        {graph.input("1x1x8x8xf32"), none, scales, none},
                        "cubic_coeff_a = -0.75, exclude_outside = false, "
                        "extrapolation_value = 0.0"));
  expectShares(graph, {1.0 / 3, 2.0 / 3});
}

TEST(SharesTest, ScattersAreTheirUpdates) {
  for (const char *updates : {"2", "0"}) {
    Graph graph;
    std::string rows = std::string(updates) + "x8x";
    graph.output(
        graph.op("nn.scatter_elements none",
                 {graph.input("10x8xf32"), graph.input(rows + "i64"), graph.input(rows + "f32")},
                 "axis = 0"));
    expectShares(graph, updates[0] == '0' ? std::vector<double>{1} : std::vector<double>{0, 1});
  }
}
