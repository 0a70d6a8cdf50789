//===- EpilogueTest.cpp - what epilogues compute, and what they cannot ----===//
//
// A group is cut at the op that does not fit: what is before it stays in the kernel.
//
//===----------------------------------------------------------------------===//
#include "tests/native/GraphCheck.h"

#include <gmock/gmock.h>

using namespace quern;
using namespace quern::native;
using testing::HasSubstr;
using testing::Not;

namespace {
constexpr const char *kWindow = "strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, "
                                "pads = array<i64: 0, 0, 0, 0>, group = 1 : i64";
} // namespace

// A product with a vector has no columns that an operand could vary along.
TEST(EpilogueTest, AnOperandThatIsBroadcastOddly) {
  Graph graph;
  GraphValue product = graph.op("nn.matmul", {graph.input("2x3x4xf32"), graph.input("4xf32")});
  GraphValue sum = graph.op("nn.add", {graph.op("nn.relu", {product}), graph.input("3xf32")});
  graph.output(graph.op("nn.neg", {graph.op("nn.abs", {sum})}));
  GraphRun run = expectExact(graph);
  // Not four: what is behind the misfit is one kernel as well.
  ASSERT_EQ(run.steps.size(), 2u);
  EXPECT_THAT(run.steps[0].kernel, HasSubstr("relu"));
  EXPECT_THAT(run.steps[0].kernel, Not(HasSubstr("add")));
  EXPECT_THAT(run.steps[1].kernel, HasSubstr("map"));
}

TEST(EpilogueTest, ARoundingThatNoKernelHas) {
  Graph graph;
  GraphValue conv = graph.op(
      "nn.conv", {graph.input("1x3x5x5xf64"), graph.input("4x3x1x1xf64"), graph.none()}, kWindow);
  GraphValue rounded =
      graph.op("nn.cast", {graph.op("nn.relu", {conv})}, "to = f16", "1x4x5x5xf16");
  graph.output(graph.op("nn.abs", {graph.op("nn.neg", {rounded})}));
  GraphCheck check;
  check.allowReference = true;
  GraphRun run = expectExact(graph, check);
  ASSERT_EQ(run.steps.size(), 3u);
  EXPECT_THAT(run.steps[0].kernel, HasSubstr("relu"));
  EXPECT_TRUE(run.steps[1].reference) << run.steps[1].kernel;
  EXPECT_FALSE(run.steps[2].reference) << run.steps[2].kernel;
}

// The group goes by its anchor, which has no native code: what follows it is one kernel still.
TEST(EpilogueTest, AnAnchorWithoutNativeCode) {
  Graph graph;
  GraphValue conv = graph.op(
      "nn.conv", {graph.input("1x2x3x2x3x2xf32"), graph.input("4x2x1x1x1x1xf32"), graph.none()},
      "strides = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1, 1, 1>, "
      "pads = array<i64: 0, 0, 0, 0, 0, 0, 0, 0>, group = 1 : i64");
  GraphValue scaled = graph.op("nn.mul", {conv, graph.input("1x4x1x1x1x1xf32")});
  graph.output(graph.op("nn.abs", {graph.op("nn.neg", {scaled})}));
  GraphCheck check;
  check.allowReference = true;
  GraphRun run = expectExact(graph, check);
  ASSERT_EQ(run.steps.size(), 2u);
  EXPECT_TRUE(run.steps[0].reference);
  EXPECT_FALSE(run.steps[1].reference) << run.steps[1].kernel;
}

// What is added, or multiplies, is widened and scaled in registers, at every form of the result.
TEST(EpilogueTest, ComputesItsOperands) {
  for (const char *element : {"i8", "ui8", "i32", "f16"}) {
    Graph conv;
    std::string narrow = std::string("2x5x6x7x") + element;
    GraphValue image = conv.input("2x3x6x7xf32"), residual = conv.input(narrow);
    GraphValue wide = conv.op("nn.cast", {residual}, "to = f32", "2x5x6x7xf32");
    GraphValue scaled = conv.op("nn.mul", {wide, conv.input("5x1x1xf32")});
    GraphValue sums = conv.op("nn.conv", {image, conv.weight("5x3x1x1xf32"), conv.none()}, kWindow);
    conv.output(conv.op("nn.relu", {conv.op("nn.add", {sums, scaled})}));
    GraphRun run = expectExact(conv);
    EXPECT_EQ(std::count_if(run.steps.begin(), run.steps.end(),
                            [](const ProfileRow &step) {
                              return step.kernel.find("map") != std::string::npos;
                            }),
              0)
        << element;
    Graph product;
    GraphValue by = product.input(std::string("3x4x5x") + element);
    GraphValue factor = product.op("nn.cast", {by}, "to = f32", "3x4x5xf32");
    GraphValue rows =
        product.op("nn.matmul", {product.input("3x4x6xf32"), product.weight("6x5xf32")});
    product.output(product.op("nn.mul", {factor, rows}));
    expectExact(product);
  }
}
