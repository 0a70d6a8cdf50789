//===- RowDotTest.cpp - products of a matrix with a vector or a few -------===//
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

// Each number of columns, with rows that fill no task, and depths that fill no vector.
TEST_P(RowDotTest, FewColumns) {
  for (auto [name, dtype] : {std::pair("f32", DType::Float32), {"f64", DType::Float64}}) {
    Graph graph;
    for (int64_t columns = 2; columns <= std::max<int64_t>(target.lanes(dtype) / 2, 2); ++columns)
      for (int64_t rows : {64, 99})
        for (int64_t depth : {256, 301}) {
          GraphValue left = graph.input(fmt::format("{}x{}x{}", rows, depth, name));
          graph.output(graph.op(
              "nn.matmul", {left, graph.weight(fmt::format("{}x{}x{}", depth, columns, name))}));
        }
    expectRowDots(graph, dtype);
  }
}

// Whatever is chosen; one row and two are less than any round.
TEST_P(RowDotTest, FewColumnsOfAnyRowsAndDepths) {
  Graph graph;
  for (int64_t columns : {2, 3, 4, 5, 7, 8, 9})
    for (int64_t rows : {1, 2, 5, 17, 50})
      for (int64_t depth : {1, 20, 400})
        graph.output(
            graph.op("nn.matmul", {graph.input(fmt::format("{}x{}xf32", rows, depth)),
                                   graph.weight(fmt::format("{}x{}xf32", depth, columns))}));
  expectExact(graph, check);
}

// Columns that lie side by side as they are, constant or not; others are no business of this way.
TEST_P(RowDotTest, FewColumnsAsTheyAre) {
  Graph graph;
  const char *attributes = "alpha = 2.0 : f64, beta = 3.0 : f64, trans_a = false, trans_b = true";
  for (GraphValue right : {graph.input("3x300xf32"), graph.weight("3x300xf32")})
    for (const char *c : {"3x", "1x3x", "70x3x", "70x1x", ""})
      graph.output(graph.op("nn.gemm",
                            {graph.input("70x300xf32"), right, graph.input(std::string(c) + "f32")},
                            attributes));
  expectRowDots(graph);
  Graph across;
  across.output(across.op("nn.matmul", {across.input("70x300xf32"), across.input("300x3xf32")}));
  for (const ProfileRow &step : expectExact(across, check).steps)
    EXPECT_FALSE(step.kernel.starts_with("row_dots"));
}

// What is read for columns, for each result and once.
TEST_P(RowDotTest, EpiloguesOfFewColumns) {
  Graph graph;
  for (int64_t columns : {2, 3, 4})
    for (std::string operand : {"{}x", "1x{}x", "50x{}x", ""}) {
      GraphValue weights = graph.weight(fmt::format("300x{}xf32", columns));
      GraphValue product = graph.op("nn.gemm", {graph.input("50x300xf32"), weights, graph.none()},
                                    "alpha = 1.0 : f64, beta = 1.0 : f64, trans_a = false, "
                                    "trans_b = false");
      std::string type = fmt::format(fmt::runtime(operand + "f32"), columns);
      graph.output(graph.op("nn.relu", {graph.op("nn.sub", {product, graph.input(type)})}));
    }
  expectRowDots(graph);
}

// A row by fewer columns than a vector has lanes: the columns are the rows then. With more than
// half as many whatever is chosen.
TEST_P(RowDotTest, OneRow) {
  for (auto [name, dtype] : {std::pair("f32", DType::Float32), {"f64", DType::Float64}}) {
    Graph few, more;
    int64_t lanes = target.lanes(dtype);
    for (int64_t columns = 2; columns < std::max<int64_t>(lanes, 4); ++columns)
      for (int64_t depth : {512, 1001}) {
        Graph &graph = columns <= std::max<int64_t>(lanes / 2, 2) ? few : more;
        graph.output(
            graph.op("nn.matmul", {graph.input(fmt::format("1x{}x{}", depth, name)),
                                   graph.weight(fmt::format("{}x{}x{}", depth, columns, name))}));
      }
    few.output(few.op("nn.matmul", {few.input(fmt::format("900x{}", name)),
                                    few.weight(fmt::format("900x2x{}", name))}));
    expectRowDots(few, dtype);
    expectExact(more, check);
  }
}

// What is read for a column is read for each result, and what is read for the row once.
TEST_P(RowDotTest, EpiloguesOfOneRow) {
  Graph graph;
  for (GraphValue right : {graph.input("3x800xf32"), graph.weight("3x800xf32")})
    for (const char *operand : {"3xf32", "1x3xf32", "1x1xf32", "1xf32", "f32"}) {
      auto product = [&] {
        return graph.op("nn.gemm", {graph.input("1x800xf32"), right, graph.input(operand)},
                        "alpha = 2.0 : f64, beta = 3.0 : f64, trans_a = false, trans_b = true");
      };
      graph.output(graph.op("nn.relu", {graph.op("nn.sub", {product(), graph.input("3xf32")})}));
      graph.output(graph.op("nn.mul", {product(), graph.input(operand)}));
    }
  expectRowDots(graph);
}

TEST_P(RowDotTest, AnyNumberOfRowsOfFewColumns) {
  Graph graph;
  GraphValue product =
      graph.op("nn.matmul", {graph.input("?x200xf32"), graph.weight("200x3xf32")}, "", "?x3xf32");
  graph.output(graph.op("nn.add", {product, graph.weight("3xf32")}, "", "?x3xf32"));
  auto executable = compileForTest(graph, check.options);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t rows : {0, 1, 2, 15, 16, 17, 1000})
    expectExactAt(graph, *executable, {{rows, 200}});
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
