//===- RowDotTest.cpp - products of a matrix with a vector ----------------===//
#include "backends/native/kernels/MapKernel.h"
#include "tests/native/GraphCheck.h"
#include "tests/native/RunnableTargets.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::native;

namespace {
class RowDotTest : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    check.options.targetCpu = GetParam();
    target = resolveTarget(GetParam()).take();
  }
  /// That the products of `graph`, of many rows, are computed so where the CPU can.
  void expectRowDots(const Graph &graph, DType dtype = DType::Float32) {
    size_t count = 0;
    GraphRun run = expectExact(graph, check);
    for (const ProfileRow &step : run.steps)
      count += step.kernel.starts_with("row_dots");
    EXPECT_EQ(count, hasMaskedAccess(target, dtype) ? run.steps.size() : 0) << graph.text();
  }

  GraphCheck check;
  Target target;
};
} // namespace

TEST_P(RowDotTest, RowsAndDepths) {
  for (auto [name, dtype] : {std::pair("f32", DType::Float32), {"f64", DType::Float64}}) {
    Graph graph;
    for (int64_t depth : {8, 15, 16, 17, 40, 130})
      for (int64_t rows : {33, 48, 100})
        graph.output(graph.op("nn.matmul", {graph.input(fmt::format("{}x{}x{}", rows, depth, name)),
                                            graph.weight(fmt::format("{}x1x{}", depth, name))}));
    expectRowDots(graph, dtype);
  }
}

// Whatever is chosen.
TEST_P(RowDotTest, FewRowsAndShortOnes) {
  Graph graph;
  for (int64_t depth : {1, 3, 40, 300})
    for (int64_t rows : {1, 2, 7, 16, 17})
      graph.output(graph.op("nn.matmul", {graph.input(fmt::format("{}x{}xf32", rows, depth)),
                                          graph.input(fmt::format("{}x1xf32", depth))}));
  expectExact(graph, check);
}

TEST_P(RowDotTest, Forms) {
  Graph graph;
  GraphValue weights = graph.weight("1x30xf32");
  graph.output(graph.op("nn.matmul", {graph.input("40x30xf32"), graph.weight("30xf32")}));
  graph.output(graph.op("nn.matmul", {graph.input("3x40x30xf32"), graph.input("30x1xf32")}));
  for (const char *c : {"", "1x", "1x1x", "40x1x"}) {
    graph.output(graph.op("nn.gemm",
                          {graph.input("40x30xf32"), weights, graph.input(std::string(c) + "f32")},
                          "alpha = 2.0 : f64, beta = 3.0 : f64, trans_a = false, trans_b = true"));
  }
  expectRowDots(graph);
}

// What is added or multiplied is read for each row, or once.
TEST_P(RowDotTest, Epilogues) {
  Graph graph;
  for (const char *operand : {"50x1xf32", "1xf32", "f32", "1x1xf32"}) {
    GraphValue product =
        graph.op("nn.matmul", {graph.input("50x20xf32"), graph.weight("20x1xf32")});
    graph.output(graph.op("nn.relu", {graph.op("nn.sub", {product, graph.input(operand)})}));
  }
  GraphValue product = graph.op(
      "nn.gemm", {graph.input("50x20xf32"), graph.weight("20x1xf32"), graph.weight("1xf32")},
      "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, "
      "trans_b = false");
  graph.output(graph.op("nn.mul", {product, graph.input("50x1xf32")}));
  expectRowDots(graph);
}

// Rows that are apart, and batches of vectors, are computed otherwise.
TEST_P(RowDotTest, OtherForms) {
  Graph graph;
  graph.output(graph.op("nn.gemm",
                        {graph.input("30x40xf32"), graph.weight("30x1xf32"), graph.none()},
                        "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = true, trans_b = false"));
  graph.output(graph.op("nn.matmul", {graph.input("3x40x30xf32"), graph.input("3x30x1xf32")}));
  graph.output(graph.op("nn.matmul", {graph.input("40x30xi32"), graph.input("30x1xi32")}));
  for (const ProfileRow &step : expectExact(graph, check).steps)
    EXPECT_FALSE(step.kernel.starts_with("row_dots"));
}

TEST_P(RowDotTest, AnyNumberOfRows) {
  Graph graph;
  graph.output(
      graph.op("nn.matmul", {graph.input("?x24xf32"), graph.weight("24x1xf32")}, "", "?x1xf32"));
  auto executable = compileForTest(graph, check.options);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t rows : {0, 1, 2, 15, 16, 17, 1000})
    expectExactAt(graph, *executable, {{rows, 24}});
}

INSTANTIATE_TEST_SUITE_P(Targets, RowDotTest, testing::ValuesIn(runnableTargets()));
