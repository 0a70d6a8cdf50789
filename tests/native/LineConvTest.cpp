//===- LineConvTest.cpp - convolution along lines of plain images ---------===//
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/lowering/TuningTable.h"
#include "tests/native/GraphCheck.h"
#include "tests/native/RunnableTargets.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::native;

namespace {
struct LineCase {
  int64_t batch = 1, channels = 3, height = 5, width = 20, outputs = 4;
  int64_t rows = 3, columns = 3;
  /// Top, left, bottom, right.
  Tensor::Dims pads = {1, 1, 1, 1};
  int64_t stride = 1, dilation = 1, dilationOfLine = 1, groups = 1;
  const char *dtype = "f32";
  bool bias = true, constantWeights = true;

  GraphValue addTo(Graph &graph) const {
    auto operand = [&](const std::string &type) {
      return constantWeights ? graph.weight(type) : graph.input(type);
    };
    GraphValue x =
        graph.input(fmt::format("{}x{}x{}x{}x{}", batch, channels, height, width, dtype));
    GraphValue w =
        operand(fmt::format("{}x{}x{}x{}x{}", outputs, channels / groups, rows, columns, dtype));
    GraphValue b = bias ? operand(fmt::format("{}x{}", outputs, dtype)) : graph.none();
    return graph.op("nn.conv", {x, w, b},
                    fmt::format("strides = array<i64: {}, 1>, dilations = array<i64: {}, {}>, "
                                "pads = array<i64: {}>, group = {}",
                                stride, dilation, dilationOfLine, fmt::join(pads, ", "), groups));
  }
  Graph graph() const {
    Graph graph;
    graph.output(addTo(graph));
    return graph;
  }
};

/// Whatever else is expected to be faster.
class LineConvTest : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override { check.options.targetCpu = GetParam(); }

  void useLines(const Graph &graph) {
    mlir::MLIRContext mlir{mlir::MLIRContext::Threading::DISABLED};
    auto module = graph.parse(mlir);
    Target target = resolveTarget(GetParam()).take();
    plan::ShapeEnvironment values;
    auto table = std::make_shared<TuningTable>();
    module->walk([&](mlir::Operation *op) {
      if (op->getName().getStringRef() == "nn.conv")
        table->add(problemKey(op, {target, 1, values, nullptr, WinogradUse::Auto}), "lines");
    });
    check.options.ways = table;
    // Layouts that a pass chooses would make other problems of these.
    check.options.optLevel = 1;
  }
  void expectLines(const LineCase &c) {
    Graph graph = c.graph();
    useLines(graph);
    GraphRun run = expectExact(graph, check);
    ASSERT_EQ(run.steps.size(), 1u) << graph.text();
    EXPECT_TRUE(run.steps[0].kernel.starts_with("lines_")) << run.steps[0].kernel << graph.text();
  }

  GraphCheck check;
};
} // namespace

TEST_P(LineConvTest, Widths) {
  for (int64_t width : {1, 2, 15, 16, 33, 64, 130})
    expectLines({.width = width});
}

// Tiles of all heights, and of one output less.
TEST_P(LineConvTest, OutputsAndChannels) {
  for (int64_t outputs : {1, 2, 3, 5, 7, 8, 9, 11, 17})
    expectLines({.channels = outputs % 4 + 1, .width = 34, .outputs = outputs});
}

// Several tasks: their lines begin in the middle, and rows of the filter lie outside.
TEST_P(LineConvTest, Lines) {
  for (int64_t height : {1, 2, 3, 31, 70})
    for (int64_t stride : {1, 2, 3})
      expectLines({.batch = 2, .channels = 9, .height = height, .width = 40, .stride = stride});
}

TEST_P(LineConvTest, FiltersAndPads) {
  expectLines({.rows = 1, .columns = 1, .pads = {0, 0, 0, 0}});
  expectLines({.rows = 1, .columns = 2, .pads = {0, 0, 0, 0}});
  expectLines({.rows = 2, .columns = 1, .pads = {0, 3, 0, 20}});
  expectLines({.rows = 5, .columns = 7, .pads = {0, 6, 4, 0}});
  expectLines({.height = 9, .width = 40, .rows = 3, .columns = 16, .pads = {2, 20, 9, 40}});
  expectLines({.height = 9, .pads = {0, 0, 0, 0}, .dilation = 3});
  expectLines({.height = 9, .pads = {7, 9, 1, 5}, .dilation = 2, .dilationOfLine = 7});
}

TEST_P(LineConvTest, GroupsAndTypes) {
  expectLines({.batch = 3, .channels = 6, .outputs = 4, .groups = 2});
  expectLines({.batch = 2, .channels = 3, .outputs = 6, .groups = 3, .bias = false});
  for (const char *dtype : {"f64", "i32", "i64"}) {
    expectLines({.dtype = dtype});
    expectLines({.width = 33, .outputs = 9, .dtype = dtype, .constantWeights = false});
  }
}

// Short and long ones, in place of what they add and not.
TEST_P(LineConvTest, Epilogues) {
  for (int64_t width : {19, 64})
    for (int length : {1, 9}) {
      LineCase c{.batch = 2, .width = width, .outputs = 9};
      Graph graph;
      std::string type = fmt::format("2x9x5x{}xf32", width);
      GraphValue sum =
          graph.op("nn.add", {c.addTo(graph), graph.op("nn.neg", {graph.input(type)})});
      GraphValue result = graph.op("nn.mul", {sum, graph.weight("9x1x1xf32")});
      for (int i = 0; i < length; ++i) {
        GraphValue low = graph.op("nn.max", {result, graph.constant("dense<-50.0>", "f32")});
        result = graph.op("nn.sub", {low, graph.weight(fmt::format("5x{}xf32", width))});
      }
      graph.output(result);
      useLines(graph);
      bool found = false;
      for (const ProfileRow &step : expectExact(graph, check).steps)
        found |= step.kernel.starts_with("lines_");
      EXPECT_TRUE(found);
    }
}

INSTANTIATE_TEST_SUITE_P(Targets, LineConvTest, testing::ValuesIn(runnableTargets()));
