//===- RowTest.cpp - rows with what surrounds them ------------------------===//
//
// Reductions and global pools read through the elementwise ops before them; these, softmax and
// layer normalizations compute what follows them.
//
//===----------------------------------------------------------------------===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>

using namespace quern;
using namespace quern::native;
using testing::HasSubstr;

namespace {
class RowTest : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    if (!checkRunsHere(resolveTarget(GetParam()).take()).isOk())
      GTEST_SKIP() << "this CPU cannot run code for " << GetParam();
    check.options.targetCpu = GetParam();
  }
  GraphRun expectOneStep(const Graph &graph, const char *kernel) {
    GraphRun run = expectExact(graph, check);
    EXPECT_EQ(run.steps.size(), 1u);
    if (!run.steps.empty())
      EXPECT_THAT(run.steps[0].kernel, HasSubstr(kernel));
    return run;
  }
  /// (x - 3) * 0.5 as float32.
  static GraphValue dequantized(Graph &graph, const std::string &sizes, const std::string &type) {
    GraphValue wide =
        graph.op("nn.cast", {graph.input(sizes + "x" + type)}, "to = i32", sizes + "xi32");
    GraphValue centred = graph.op("nn.sub", {wide, graph.weight(Tensor::of<int32_t>({}, {3}))});
    GraphValue real = graph.op("nn.cast", {centred}, "to = f32", sizes + "xf32");
    return graph.op("nn.mul", {real, graph.weight(Tensor::of<float>({}, {0.5F}))});
  }
  static GraphValue reduced(Graph &graph, const char *kind, const GraphValue &x,
                            std::vector<int64_t> axes) {
    return graph.op(fmt::format("nn.reduce {}", kind),
                    {x, graph.weight(Tensor::ofInts(std::move(axes)))},
                    "keepdims = true, noop_with_empty_axes = false");
  }

  GraphCheck check;
};
} // namespace

INSTANTIATE_TEST_SUITE_P(Targets, RowTest,
                         testing::Values("x86-64", "haswell", "skylake-avx512", "host"));

// Rows, columns, and dimensions that are copied to be neighbours first.
TEST_P(RowTest, ReductionsReadBytes) {
  for (const char *type : {"ui8", "i8"})
    for (const char *kind : {"sum", "max", "min", "sum_square", "l1"})
      for (std::vector<int64_t> axes : {std::vector<int64_t>{2}, {1}, {0, 2}}) {
        SCOPED_TRACE(fmt::format("{} {} {}", type, kind, fmt::join(axes, ",")));
        Graph graph;
        GraphValue y = reduced(graph, kind, dequantized(graph, "3x5x77", type), axes);
        graph.output(graph.op("nn.neg", {y}));
        GraphRun run = expectExact(graph, check);
        EXPECT_EQ(run.steps.size(), axes.size());
        EXPECT_THAT(run.steps.back().kernel, HasSubstr("cast_sub_cast_mul_reduce_neg"));
      }
}

TEST_P(RowTest, ReductionsGiveBytes) {
  Graph graph;
  GraphValue y = reduced(graph, "sum", graph.input("4x70x33xf32"), {1});
  graph.output(
      graph.op("nn.cast", {graph.op("nn.round", {y})}, "to = ui8, saturate = true", "*xui8"));
  expectOneStep(graph, "reduce_round_cast");
}

// What one op reads twice is no prologue, and stays a step.
TEST_P(RowTest, SquaresAreAStep) {
  Graph graph;
  GraphValue x = graph.input("4x70xf32");
  graph.output(reduced(graph, "sum", graph.op("nn.mul", {x, x}), {1}));
  EXPECT_EQ(expectExact(graph, check).steps.size(), 2u);
}

TEST_P(RowTest, GlobalPoolsReadBytes) {
  Graph graph;
  graph.output(graph.op("nn.global_pool max", {dequantized(graph, "2x7x9x9", "ui8")}));
  expectOneStep(graph, "cast_sub_cast_mul_reduce");
}

// Of equal numbers everything is exact: the fraction of a row.
TEST_P(RowTest, SoftmaxGivesBytes) {
  for (auto [sizes, axis] : {std::pair{"3x64", 1}, {"5x16x21", 1}, {"3x128x4", 1}, {"128x3", 0}}) {
    SCOPED_TRACE(sizes);
    Graph graph;
    GraphValue same = graph.input(std::string(sizes) + "xf32");
    GraphValue y = graph.op(
        "nn.softmax", {graph.op("nn.mul", {same, graph.weight(Tensor::of<float>({}, {0.0F}))})},
        fmt::format("axis = {} : i64, trailing = false", axis));
    GraphValue scaled = graph.op("nn.mul", {y, graph.weight(Tensor::of<float>({}, {256.0F}))});
    GraphValue sum = graph.op("nn.add", {scaled, graph.input(std::string(sizes) + "xf32")});
    graph.output(
        graph.op("nn.cast", {graph.op("nn.round", {sum})}, "to = i8, saturate = true", "*xi8"));
    GraphRun run = expectExact(graph, check);
    EXPECT_EQ(run.steps.size(), 2u);
    EXPECT_THAT(run.steps.back().kernel, HasSubstr("softmax_mul_add_round_cast"));
  }
}

// Rows of 3 and -3 have a mean of 0 and a variance of 9.
TEST_P(RowTest, NormsGiveNarrowNumbers) {
  for (const char *to : {"bf16", "f16", "ui8", "i8"})
    for (int64_t length : {2, 64, 78}) {
      SCOPED_TRACE(fmt::format("{} {}", to, length));
      std::vector<float> row(static_cast<size_t>(3 * length));
      for (size_t i = 0; i < row.size(); ++i)
        row[i] = i % 2 ? -3 : 3;
      Graph graph;
      GraphValue x = graph.input(fmt::format("3x{}xf32", length)),
                 v = graph.input(fmt::format("{}xf32", length));
      GraphValue y = graph.op("nn.layer_norm", {x, graph.none(), graph.none()},
                              "axis = 1 : i64, center = true, epsilon = 0.0 : f64");
      graph.output(graph.op("nn.cast", {graph.op("nn.max", {y, v})},
                            fmt::format("to = {}, saturate = true", to), fmt::format("*x{}", to)));
      check.inputs = {Tensor::of<float>({3, length}, row),
                      integerTensor(DType::Float32, {length}, 7)};
      expectOneStep(graph, "layer_norm_max_cast");
    }
}
