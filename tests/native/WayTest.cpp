//===- WayTest.cpp - which way computes an op -----------------------------===//
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/lowering/TuningTable.h"
#include "ir/Signature.h"
#include "tests/native/GraphCheck.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

using namespace quern;
using namespace quern::native;
using testing::ElementsAre;

namespace {
// Ways of no op: they refuse, and cost, what their names say.
std::optional<Reason> refuseIt(mlir::Operation *, const LoweringContext &) {
  return Reason{ReasonCode::Layout, "nobody can"};
}
std::optional<Reason> refuseOtherwise(mlir::Operation *, const LoweringContext &) {
  return Reason{ReasonCode::Shape, "too small"};
}
template <int ns> double cost(mlir::Operation *, const LoweringContext &) { return ns; }
LoweringResult lowerNothing(mlir::Operation *, const LoweringContext &) { return LoweredSteps(); }

constexpr Way kSlow = {"slow", nullptr, cost<20>, lowerNothing};
constexpr Way kFast = {"fast", nullptr, cost<10>, lowerNothing};
constexpr Way kEqual = {"equal", nullptr, cost<10>, lowerNothing};
constexpr Way kNever = {"never", refuseIt, cost<1>, lowerNothing};
constexpr Way kNeither = {"neither", refuseIt, cost<1>, lowerNothing};
constexpr Way kSmall = {"small", refuseOtherwise, cost<1>, lowerNothing};

/// The first op of this name in a graph, and what a choice depends on.
class WayTest : public testing::Test {
protected:
  mlir::Operation *parse(const Graph &graph, llvm::StringRef name) {
    module = graph.parse(mlir);
    mlir::Operation *found = nullptr;
    module->walk([&](mlir::Operation *op) {
      if (op->getName().getStringRef() == name)
        found = op;
    });
    return found;
  }
  std::string chosen(mlir::Operation *op) {
    WayChoice choice = chooseWay(findLowering(op)->ways, op, context());
    return choice.way ? choice.way->name : "none: " + choice.reason->text;
  }
  WayChoice choose(std::vector<Way> given) {
    ways = std::move(given);
    return chooseWay(ways, any(), context());
  }
  mlir::Operation *any() {
    Graph graph;
    graph.output(graph.op("nn.reduce sum", {graph.input("2x3xf32"), graph.none()},
                          "keepdims = true, noop_with_empty_axes = false"));
    return parse(graph, "nn.reduce");
  }
  LoweringContext context() const { return {target, 1, values, &tuning, winograd}; }

  mlir::MLIRContext mlir{mlir::MLIRContext::Threading::DISABLED};
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Target target = resolveTarget("baseline").take();
  plan::ShapeEnvironment values;
  TuningTable tuning;
  WinogradUse winograd = WinogradUse::Auto;
  /// Those that were chosen from.
  std::vector<Way> ways;
};

/// A convolution of plain images with weights that are no constants.
Graph plainConv(const std::string &kernel, int64_t step = 1) {
  Graph graph;
  graph.output(graph.op(
      "nn.conv", {graph.input("2x3x6x6xf32"), graph.input("5x3x" + kernel + "xf32"), graph.none()},
      fmt::format("strides = array<i64: 1, {}>, dilations = array<i64: 1, 1>, pads = array<i64: 0, "
                  "0, 0, 0>, group = 1 : i64",
                  step)));
  return graph;
}

Graph product(int64_t rows, bool constantB) {
  Graph graph;
  GraphValue a = graph.input(std::to_string(rows) + "x8xf32");
  graph.output(
      graph.op("nn.matmul", {a, constantB ? graph.weight("8x24xf32") : graph.input("8x24xf32")}));
  return graph;
}

std::vector<std::string> kernelsOf(const GraphRun &run) {
  std::vector<std::string> names;
  for (const ProfileRow &step : run.steps)
    names.push_back(step.kernel.substr(0, step.kernel.find('_')));
  return names;
}
} // namespace

//===----------------------------------------------------------------------===//
// Choosing
//===----------------------------------------------------------------------===//

TEST_F(WayTest, TheLeastCost) {
  EXPECT_STREQ(choose({kSlow, kFast}).way->name, "fast");
  EXPECT_STREQ(choose({kFast, kSlow}).way->name, "fast");
  EXPECT_STREQ(choose({kSlow, kEqual, kFast}).way->name, "equal") << "the first of equal ones";
  EXPECT_STREQ(choose({kNever, kSlow}).way->name, "slow");
}

TEST_F(WayTest, AllRefuse) {
  WayChoice choice = choose({kNever, kNeither});
  EXPECT_EQ(choice.way, nullptr);
  EXPECT_EQ(choice.reason, (Reason{ReasonCode::Layout, "nobody can"}));
  choice = choose({kNever, kSmall});
  EXPECT_EQ(choice.way, nullptr);
  EXPECT_EQ(choice.reason, (Reason{ReasonCode::Layout, "never: nobody can; small: too small"}));
}

TEST_F(WayTest, TheTuningTableComesFirst) {
  std::string key = problemKey(any(), context());
  tuning.add(key, "slow");
  WayChoice choice = choose({kSlow, kFast});
  EXPECT_STREQ(choice.way->name, "slow");
  EXPECT_FALSE(choice.reason);
  tuning.add("another problem", "fast");
  EXPECT_STREQ(choose({kSlow, kFast}).way->name, "slow");
}

TEST_F(WayTest, WhatTheTableCannotHaveIsIgnored) {
  std::string key = problemKey(any(), context());
  tuning.add(key, "gone");
  WayChoice choice = choose({kSlow, kFast});
  EXPECT_STREQ(choice.way->name, "fast");
  EXPECT_EQ(choice.reason,
            (Reason{ReasonCode::Missing,
                    "the tuning table names 'gone', which is no way of computing it"}));
  tuning.add(key, "never");
  choice = choose({kNever, kSlow, kFast});
  EXPECT_STREQ(choice.way->name, "fast");
  EXPECT_EQ(choice.reason, (Reason{ReasonCode::Layout,
                                   "the tuning table names 'never', which cannot: nobody can"}));
}

TEST_F(WayTest, KeysTellProblemsApart) {
  std::set<std::string> keys;
  auto add = [&](const Graph &graph, const char *name) {
    mlir::Operation *op = parse(graph, name);
    keys.insert(problemKey(op, context()));
    EXPECT_EQ(keys.count(problemKey(op, context())), 1u);
  };
  add(plainConv("1x1"), "nn.conv");
  add(plainConv("3x3"), "nn.conv");
  add(product(4, true), "nn.matmul");
  add(product(4, false), "nn.matmul");
  add(product(5, false), "nn.matmul");
  EXPECT_EQ(keys.size(), 5u);
  add(product(5, false), "nn.matmul");
  EXPECT_EQ(keys.size(), 5u);
}

//===----------------------------------------------------------------------===//
// The ways of ops
//===----------------------------------------------------------------------===//

TEST_F(WayTest, Convolution) {
  EXPECT_EQ(chosen(parse(plainConv("1x1"), "nn.conv")), "pointwise");
  EXPECT_EQ(chosen(parse(plainConv("3x3"), "nn.conv")), "lines");
  EXPECT_EQ(chosen(parse(plainConv("3x3", 2), "nn.conv")), "unfolded");
}

/// A convolution on blocks of 4 channels.
static Graph blockedConv(int64_t channels, int64_t outputs, int64_t side, int64_t stride = 1,
                         int64_t height = 3, int64_t width = 3) {
  Graph graph;
  auto image = [](int64_t all, int64_t pixels) {
    return fmt::format("1x{0}x{1}x{1}x4xf32, #nn.blocked<4>", all / 4, pixels);
  };
  GraphValue weights =
      graph.weight(fmt::format("{}x{}x{}x{}xf32", outputs, channels, height, width));
  graph.output(graph.op("nn.conv", {graph.input(image(channels, side)), weights, graph.none()},
                        fmt::format("strides = array<i64: {0}, {0}>, dilations = array<i64: 1, 1>, "
                                    "pads = array<i64: {1}, {2}, {1}, {2}>, group = 1",
                                    stride, height / 2, width / 2),
                        image(outputs, side / stride)));
  return graph;
}

// Larger weights pay where many pixels share them.
TEST_F(WayTest, ConvolutionInBlocks) {
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 56), "nn.conv")), "winograd4");
  winograd = WinogradUse::Off;
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 56), "nn.conv")), "blocked");
  winograd = WinogradUse::Auto;
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 56, 2), "nn.conv")), "winograd4");
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 60, 3), "nn.conv")), "blocked");
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 56, 1, 1, 3), "nn.conv")), "winograd4");
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 56, 1, 3, 1), "nn.conv")), "winograd4");
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 28, 1, 5, 5), "nn.conv")), "winograd4");
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 28, 2, 5, 5), "nn.conv")), "winograd4");
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 28, 1, 1, 7), "nn.conv")), "winograd4");
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 28, 1, 7, 7), "nn.conv")), "winograd2");
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 28, 1, 9, 9), "nn.conv")), "blocked");
  EXPECT_EQ(chosen(parse(blockedConv(64, 64, 56, 1, 1, 1), "nn.conv")), "blocked");
  EXPECT_EQ(chosen(parse(blockedConv(256, 256, 2), "nn.conv")), "blocked");
  EXPECT_EQ(chosen(parse(blockedConv(2052, 4, 8), "nn.conv")), "blocked");
}

TEST_F(WayTest, MatrixProduct) {
  EXPECT_EQ(chosen(parse(product(1, true), "nn.matmul")), "packed ahead");
  EXPECT_EQ(chosen(parse(product(64, true), "nn.matmul")), "packed ahead");
  // To pack a small matrix pays for many rows only.
  EXPECT_EQ(chosen(parse(product(60, false), "nn.matmul")), "plain");
  EXPECT_EQ(chosen(parse(product(1200, false), "nn.matmul")), "packed by a step");
  // A vector is read by lanes along k, where parts of vectors can be loaded.
  Graph graph;
  graph.output(graph.op("nn.matmul", {graph.input("60x8xf32"), graph.weight("8x1xf32")}));
  EXPECT_EQ(chosen(parse(graph, "nn.matmul")), "packed ahead");
  target = resolveTarget("haswell").take();
  EXPECT_EQ(chosen(parse(graph, "nn.matmul")), "vector");
}

TEST_F(WayTest, Reduction) {
  for (auto [axes, wanted] : {std::pair("dense<[1, 2]>", "rows"), {"dense<[0, 2]>", "moved"}}) {
    Graph graph;
    graph.output(graph.op("nn.reduce sum",
                          {graph.input("2x3x4xf32"), graph.constant(axes, "2xi64")},
                          "keepdims = true, noop_with_empty_axes = false"));
    EXPECT_EQ(chosen(parse(graph, "nn.reduce")), wanted);
  }
}

// What measuring says is done, and right.
TEST_F(WayTest, TunedGraphsRun) {
  Graph graph = plainConv("1x1");
  EXPECT_THAT(kernelsOf(expectExact(graph)), ElementsAre("dot"));
  auto table = std::make_shared<TuningTable>();
  table->add(problemKey(parse(graph, "nn.conv"), context()), "unfolded");
  GraphCheck check;
  check.options.ways = table;
  EXPECT_THAT(kernelsOf(expectExact(graph, check)), ElementsAre("unfold", "dot"));

  graph = product(4, true);
  EXPECT_THAT(kernelsOf(expectExact(graph)), ElementsAre("dot"));
  table->add(problemKey(parse(graph, "nn.matmul"), context()), "packed by a step");
  EXPECT_EQ(expectExact(graph, check).steps.size(), 2u);
}
