//===- ContractionTest.cpp - matrix products through the whole compiler ---===//
#include "tests/native/GraphCheck.h"

using namespace quern;
using namespace quern::native;

namespace {
std::string matrixType(int64_t rows, int64_t columns, const std::string &dtype = "f32") {
  return std::to_string(rows) + "x" + std::to_string(columns) + "x" + dtype;
}

/// One gemm; `c` is the inside of C's type without the element type, or "none".
struct GemmCase {
  int64_t m, n, k;
  bool transA = false, transB = false;
  std::string alpha = "1.0", beta = "1.0";
  std::string c = "none";
  bool constantB = true;
  std::string dtype = "f32";
};

GraphValue addGemm(Graph &graph, const GemmCase &g) {
  GraphValue a =
      graph.input(g.transA ? matrixType(g.k, g.m, g.dtype) : matrixType(g.m, g.k, g.dtype));
  std::string typeB = g.transB ? matrixType(g.n, g.k, g.dtype) : matrixType(g.k, g.n, g.dtype);
  GraphValue b = g.constantB ? graph.weight(typeB) : graph.input(typeB);
  GraphValue c = g.c == "none" ? graph.none() : graph.input(g.c + g.dtype);
  auto flag = [](bool b) { return std::string(b ? "true" : "false"); };
  return graph.op("nn.gemm", {a, b, c},
                  "alpha = " + g.alpha + " : f64, beta = " + g.beta +
                      " : f64, trans_a = " + flag(g.transA) + ", trans_b = " + flag(g.transB));
}

std::string describe(const GemmCase &g) {
  return std::to_string(g.m) + "x" + std::to_string(g.k) + "x" + std::to_string(g.n) +
         (g.transA ? " transA" : "") + (g.transB ? " transB" : "") + " alpha " + g.alpha +
         " beta " + g.beta + " C " + g.c + (g.constantB ? "" : " run-time B") + " " + g.dtype;
}

void expectExactGemms(const std::vector<GemmCase> &cases, const GraphCheck &check = {}) {
  Graph graph;
  for (const GemmCase &g : cases)
    graph.output(addGemm(graph, g), describe(g));
  expectExact(graph, check);
}

/// A matmul of the given types ("2x3xf32").
struct MatMulCase {
  std::string a, b;
};

void expectExactMatMuls(const std::vector<MatMulCase> &cases, bool constantB,
                        const GraphCheck &check = {}) {
  Graph graph;
  for (const MatMulCase &c : cases) {
    GraphValue b = constantB ? graph.weight(c.b) : graph.input(c.b);
    graph.output(graph.op("nn.matmul", {graph.input(c.a), b}), c.a + " * " + c.b);
  }
  expectExact(graph, check);
}
} // namespace

TEST(ContractionTest, GemmSizes) {
  for (bool constantB : {true, false}) {
    std::vector<GemmCase> cases;
    for (int64_t m : {1, 2, 3, 5, 6, 7, 13, 16, 17})
      for (int64_t n : {1, 15, 16, 17, 33, 65})
        cases.push_back({.m = m, .n = n, .k = 1 + (m * n) % 20, .constantB = constantB});
    cases.push_back({.m = 70, .n = 70, .k = 70, .constantB = constantB});
    cases.push_back({.m = 1, .n = 130, .k = 3, .constantB = constantB});
    expectExactGemms(cases);
  }
}

// A column tile of B is too large for the second cache: k comes in parts, and many rows in chunks.
TEST(ContractionTest, LongK) {
  Graph graph;
  for (const char *rows : {"5", "20"}) {
    std::string m = rows;
    GraphValue product =
        graph.op("nn.matmul", {graph.input(m + "x1603xf32"), graph.weight("1603x70xf32")});
    GraphValue bias = graph.op("nn.add", {product, graph.weight("70xf32")});
    graph.output(graph.op("nn.add", {bias, graph.input(m + "x70xf32")}), m + " rows");
  }
  graph.output(graph.op("nn.relu", {graph.op("nn.matmul", {graph.input("20x3300xf32"),
                                                           graph.weight("3300x64xf32")})}),
               "three parts");
  graph.output(graph.op("nn.matmul", {graph.input("20x2100xf64"), graph.weight("2100x32xf64")}),
               "f64");
  expectExact(graph);
}

TEST(ContractionTest, LongKOfAnyNumberOfRows) {
  Graph graph;
  graph.output(graph.op("nn.matmul", {graph.input("?x1700xf32"), graph.weight("1700x64xf32")}, "",
                        "?x64xf32"));
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (int64_t rows : {13, 1, 6, 390, 2})
    expectExactAt(graph, *executable, {{rows, 1700}});
}

TEST(ContractionTest, GemmForms) {
  std::vector<GemmCase> cases;
  for (bool transA : {false, true})
    for (bool transB : {false, true})
      for (bool constantB : {true, false})
        for (int64_t m : {1, 4, 19}) {
          GemmCase g{m, 21, 9, transA, transB};
          g.constantB = constantB;
          cases.push_back(g);
          g.alpha = "2.0";
          g.c = "21x";
          cases.push_back(g);
          g.beta = "-0.5";
          cases.push_back(g);
        }
  expectExactGemms(cases);
}

TEST(ContractionTest, GemmC) {
  std::vector<GemmCase> cases;
  for (const char *c : {"none", "", "1x", "1x1x", "18x", "1x18x", "7x1x", "7x18x"})
    for (const char *beta : {"1.0", "3.0"})
      cases.push_back({.m = 7, .n = 18, .k = 5, .alpha = "0.5", .beta = beta, .c = c});
  for (const char *c : {"1x", "1x1x", "9x1x"})
    cases.push_back({.m = 9, .n = 1, .k = 5, .c = c});
  expectExactGemms(cases);
}

TEST(ContractionTest, MatMulVectorsAndBatches) {
  for (bool constantB : {true, false})
    expectExactMatMuls({{"9xf32", "9xf32"},
                        {"9xf32", "9x4xf32"},
                        {"5x9xf32", "9xf32"},
                        {"9xf32", "3x9x4xf32"},
                        {"3x5x9xf32", "9xf32"},
                        {"3x5x9xf32", "9x17xf32"},
                        {"2x3x5x9xf32", "2x3x9x17xf32"},
                        {"3x20x9xf32", "3x9x40xf32"},
                        {"20x9xf32", "3x9x40xf32"},
                        {"1x5x9xf32", "4x9x6xf32"},
                        {"4x5x9xf32", "1x9x6xf32"},
                        {"4x1x9xf32", "4x9x6xf32"},
                        {"1x4x5x9xf32", "4x9x6xf32"}},
                       constantB);
}

TEST(ContractionTest, MatMulBroadcastBatches) {
  for (bool constantB : {true, false})
    expectExactMatMuls({{"3x1x5x9xf32", "1x2x9x4xf32"},
                        {"3x1x5x9xf32", "2x9x4xf32"},
                        {"3x2x5x9xf32", "2x9x4xf32"},
                        {"2x20x9xf32", "3x1x9x40xf32"},
                        {"2x9xf32", "3x4x9x40xf32"},
                        {"3x1x1x5x9xf32", "1x2x1x9x4xf32"},
                        {"2x1x4x1x9xi32", "3x1x9x5xi32"}},
                       constantB);
}

// Where an operand would become much larger than all else, the reference kernel computes.
TEST(ContractionTest, MatMulCopiesWithinReason) {
  GraphCheck check;
  check.allowReference = true;
  expectExactMatMuls({{"40x1x1x70xf32", "1x40x70x70xf32"}}, /*constantB=*/false, check);
}

TEST(ContractionTest, Integers) {
  for (const char *dtype : {"i32", "i64", "ui32"}) {
    std::string type = std::string("x") + dtype;
    for (bool constantB : {true, false})
      expectExactMatMuls({{"5x9" + type, "9x17" + type},
                          {"2x3x5x33" + type, "33x70" + type},
                          {"4x20x9" + type, "4x9x40" + type},
                          {"9" + type, "9x3" + type},
                          {"1x16" + type, "16x1" + type}},
                         constantB);
    expectExactGemms(
        {{.m = 7, .n = 19, .k = 12, .transB = true, .c = "19x", .dtype = dtype},
         {.m = 20, .n = 5, .k = 3, .transA = true, .constantB = false, .dtype = dtype}});
  }
}

// The sums of a quantized product, made floats and bytes again in the same step.
TEST(ContractionTest, IntegersWithAnEpilogue) {
  Graph graph;
  GraphValue product =
      graph.op("nn.matmul", {graph.input("6x40xi32"), graph.weight("40x33xi32")}, "", "6x33xi32");
  GraphValue real = graph.op("nn.cast", {product}, "to = f32", "6x33xf32");
  GraphValue scale = graph.weight(Tensor::of<float>({}, {0.125}));
  GraphValue scaled = graph.op("nn.mul", {real, scale}, "", "6x33xf32");
  GraphValue rounded = graph.op("nn.round", {scaled}, "", "6x33xf32");
  graph.output(graph.op("nn.cast", {rounded}, "to = ui8", "6x33xui8"), "bytes");
  EXPECT_EQ(expectExact(graph).steps.size(), 1u);
}

TEST(ContractionTest, Float64) {
  for (bool constantB : {true, false}) {
    std::vector<GemmCase> cases;
    for (int64_t m : {1, 5, 17})
      for (int64_t n : {1, 7, 8, 33})
        cases.push_back(
            {.m = m, .n = n, .k = 11, .c = "1x", .constantB = constantB, .dtype = "f64"});
    expectExactGemms(cases);
  }
}

TEST(ContractionTest, EmptyOperands) {
  GraphCheck check;
  check.allowReference = true;
  expectExactMatMuls({{"0x3xf32", "3x4xf32"}, {"2x0xf32", "0x4xf32"}, {"2x3xf32", "3x0xf32"}},
                     /*constantB=*/false, check);
}

TEST(ContractionTest, Epilogues) {
  Graph graph;
  for (bool constantB : {true, false})
    for (const MatMulCase &c : std::vector<MatMulCase>{
             {"7x9xf32", "9x21xf32"}, {"2x7x9xf32", "9x21xf32"}, {"2x7x9xf32", "2x9x21xf32"}}) {
      auto product = [&] {
        GraphValue b = constantB ? graph.weight(c.b) : graph.input(c.b);
        return graph.op("nn.matmul", {graph.input(c.a), b});
      };
      std::string label = c.a + " * " + c.b;
      graph.output(graph.op("nn.relu", {product()}), label + " relu");
      GraphValue bias = graph.op("nn.add", {product(), graph.weight("21xf32")});
      graph.output(graph.op("nn.relu", {bias}), label + " bias");
      graph.output(graph.op("nn.add", {product(), graph.input("7x21xf32")}), label + " matrix");
      GraphValue residual = graph.op("nn.abs", {product()});
      graph.output(graph.op("nn.add", {residual, product()}), label + " residual");
      graph.output(residual, label + " the residual itself");
      graph.output(graph.op("nn.mul", {product(), graph.input("7x1xf32")}), label + " rows");
      graph.output(graph.op("nn.mul", {product(), graph.input("f32")}), label + " scalar");
    }
  expectExact(graph);
}

TEST(ContractionTest, EpiloguesOfOtherTypes) {
  Graph graph;
  for (const char *a : {"19x9xf32", "2x7x9xf32"}) {
    auto product = [&] {
      return graph.op("nn.matmul",
                      {graph.input(a), graph.input(a[1] == 'x' ? "2x9x40xf32" : "9x40xf32")});
    };
    GraphValue zero = graph.constant("dense<0.0>", "f32");
    GraphValue isPositive = graph.op("nn.less", {zero, product()}, "", "*xi1");
    graph.output(isPositive, std::string(a) + " greater");
    GraphValue wide = graph.op("nn.cast", {product()}, "to = f64", "*xf64");
    graph.output(graph.op("nn.mul", {wide, wide}), std::string(a) + " to float64");
    graph.output(graph.op("nn.where", {isPositive, product(), zero}, "", "*xf32"),
                 std::string(a) + " where");
  }
  expectExact(graph);
}

TEST(ContractionTest, GemmWithScalingAndEpilogue) {
  Graph graph;
  for (const char *c : {"none", "21x", "7x1x", "7x21x"}) {
    GraphValue gemm =
        addGemm(graph, {.m = 7, .n = 21, .k = 5, .alpha = "2.0", .beta = "3.0", .c = c});
    GraphValue scaled = graph.op("nn.mul", {gemm, graph.input("21xf32")});
    GraphValue sum = graph.op("nn.add", {scaled, graph.input("7x21xf32")});
    graph.output(graph.op("nn.relu", {sum}), c);
  }
  expectExact(graph);
}

// Weights that are used twice, scaled differently, are packed twice.
TEST(ContractionTest, SharedWeights) {
  Graph graph;
  GraphValue b = graph.weight("40x40xf32");
  for (const char *alpha :
       {"1.0", "2.0", "0.00000011920928955078125", "0.000000059604644775390625"})
    for (const char *transB : {"false", "true"})
      graph.output(graph.op("nn.gemm", {graph.input("3x40xf32"), b, graph.none()},
                            std::string("alpha = ") + alpha +
                                " : f64, beta = 1.0 : f64, trans_a = false, trans_b = " + transB),
                   std::string("alpha ") + alpha + " transB " + transB);
  expectExact(graph);
}
