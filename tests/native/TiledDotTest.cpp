//===- TiledDotTest.cpp - products by tiles of matrices -------------------===//
#include "backends/native/kernels/TiledDotKernel.h"
#include "tests/native/NarrowFactors.h"
#include "tests/native/TilesTest.h"

#include <gmock/gmock.h>

using namespace quern;
using namespace quern::native;
using testing::HasSubstr;

namespace {
struct ProductSizes {
  std::vector<int64_t> rows, depths, columns;
};
} // namespace

/// A product of each combination of sizes, `seed` draws their numbers.
static void addProducts(Graph &graph, std::vector<Tensor> &inputs, const NarrowTypes &types,
                        const ProductSizes &sizes, unsigned seed) {
  for (int64_t k : sizes.depths)
    for (int64_t n : sizes.columns)
      for (int64_t m : sizes.rows) {
        GraphValue a = graph.input(typeText({m, k}, types.a));
        inputs.push_back(drawTensor(dtypeOfName(types.a), {m, k}, ++seed));
        GraphValue b = graph.weight(drawTensor(dtypeOfName(types.b), {k, n}, ++seed));
        GraphValue sum = graph.op("nn.matmul", {a, b}, "", "*x" + std::string(types.sums));
        graph.output(graph.op("nn.relu", {sum}), fmt::format("{}x{} by {}", m, k, n));
      }
}

// Rows that fill no half, one, one and a bit, many; columns of one vector to several tiles; k of
// less than a step, of whole ones, and with parts of groups left over.
TEST_F(TilesTest, MatrixProducts) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    addProducts(graph, inputs, types, {{15, 16, 31, 65}, {20, 64, 128, 195}, {5, 40, 130}}, 300);
    expectExactOnTiles(graph, inputs, inputs.size());
  }
}

// k in several parts, the last of which may be shorter, for three tiles of rows and more; columns
// of one half, two, three and five vectors.
TEST_F(TilesTest, LongProducts) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    addProducts(graph, inputs, types, {{65, 112}, {1024, 1088, 1900}, {16, 32, 48, 64, 80}}, 350);
    expectExactOnTiles(graph, inputs, inputs.size());
  }
}

// Epilogues: biases and residuals of all kinds that follow a product, in parts of k, too, and rows
// that a tile computes again.
TEST_F(TilesTest, Epilogues) {
  Graph graph;
  std::vector<Tensor> inputs;
  for (auto [m, k] : {std::pair<int64_t, int64_t>{20, 96}, {33, 96}, {77, 96}, {77, 1024}}) {
    GraphValue a = graph.input(typeText({m, k}, "ui8")),
               b = graph.weight(drawTensor(DType::Int8, {k, 48}, 7));
    inputs.push_back(drawTensor(DType::UInt8, {m, k}, static_cast<unsigned>(m)));
    GraphValue residual =
        graph.op("nn.matmul", {a, graph.weight(drawTensor(DType::Int8, {k, 48}, 8))}, "", "*xi32");
    GraphValue ofColumn = graph.weight(integerTensor(DType::Int32, {48}, 4));
    GraphValue ofRow = graph.weight(integerTensor(DType::Int32, {m, 1}, 5));
    GraphValue sum = graph.op("nn.matmul", {a, b}, "", "*xi32");
    for (const GraphValue &other : {ofColumn, residual, ofRow})
      sum = graph.op("nn.add", {sum, other});
    graph.output(graph.op("nn.relu", {sum}), fmt::format("{}x{}", m, k));
  }
  expectExactOnTiles(graph, inputs, 8);
}

// Few rows, and few steps, stay on vectors.
TEST_F(TilesTest, FewRowsAreNotTiled) {
  Graph graph;
  std::vector<Tensor> inputs;
  unsigned seed = 400;
  auto add = [&](int64_t m, int64_t k) {
    GraphValue a = graph.input(typeText({m, k}, "ui8")),
               b = graph.weight(drawTensor(DType::Int8, {k, 40}, ++seed));
    inputs.push_back(drawTensor(DType::UInt8, {m, k}, ++seed));
    graph.output(graph.op("nn.matmul", {a, b}, "", "*xi32"), fmt::format("{}x{}", m, k));
  };
  add(1, 2048);
  add(2, 130);
  add(5, 64);
  add(4, 1000); // this one is
  expectExactOnTiles(graph, inputs, 1);
}

// A step packs them with zeros up to whole steps of k, and of what is left of the last columns.
TEST_F(TilesTest, ComputedFactors) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 450;
    for (int64_t k : {9, 40, 64}) {
      GraphValue a = graph.input(typeText({2, 40, k}, types.a)),
                 b = graph.input(typeText({2, k, 100}, types.b));
      inputs.push_back(drawTensor(dtypeOfName(types.a), {2, 40, k}, ++seed));
      inputs.push_back(drawTensor(dtypeOfName(types.b), {2, k, 100}, ++seed));
      graph.output(graph.op("nn.matmul", {a, b}, "", "*x" + std::string(types.sums)),
                   std::to_string(k));
    }
    expectExactOnTiles(graph, inputs, 3);
  }
}

// Attention's: each matrix of a batch has an epilogue's numbers for its rows, and for its columns.
TEST_F(TilesTest, RowsAndColumnsOfBatches) {
  Graph graph;
  std::vector<Tensor> inputs;
  unsigned seed = 470;
  for (int64_t m : {9, 35}) {
    auto input = [&](const Tensor::Dims &dims, DType type, const char *name) {
      inputs.push_back(drawTensor(type, dims, ++seed));
      return graph.input(typeText(dims, name));
    };
    GraphValue a = input({2, 3, m, 64}, DType::UInt8, "ui8"),
               b = input({2, 3, 64, 70}, DType::Int8, "i8");
    GraphValue ofRows = input({2, 3, m, 1}, DType::Int32, "i32"),
               ofColumns = input({2, 3, 1, 70}, DType::Int32, "i32");
    GraphValue sum = graph.op("nn.matmul", {a, b}, "", "*xi32");
    for (const GraphValue &other : {ofRows, ofColumns})
      sum = graph.op("nn.sub", {sum, other});
    graph.output(graph.op("nn.relu", {sum}), std::to_string(m));
  }
  expectExactOnTiles(graph, inputs, 2);
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

/// The instructions between the last label and the jump back to it that multiply tiles most, of
/// the assembly of kernels.
static std::string innerLoopOf(const std::string &assembly) {
  std::string best, label;
  size_t most = 0, begin = 0;
  auto count = [](const std::string &text) {
    size_t found = 0;
    for (size_t at = text.find("\ttdp"); at != std::string::npos; at = text.find("\ttdp", at + 1))
      ++found;
    return found;
  };
  for (size_t line = 0; line < assembly.size();) {
    size_t end = std::min(assembly.find('\n', line), assembly.size());
    std::string text = assembly.substr(line, end - line);
    if (text.starts_with(".LBB")) {
      label = text.substr(0, text.find(':'));
      begin = line;
    } else if (text.starts_with("\tj") && !label.empty() && text.ends_with(label)) {
      std::string loop = assembly.substr(begin, end - begin);
      if (size_t products = count(loop); products > most) {
        most = products;
        best = loop;
      }
    }
    line = end + 1;
  }
  return best;
}

// Four products of two tiles by two in the inner loop, and nothing else that touches memory.
TEST(TiledDotCodeTest, InnerLoopsMultiplyTiles) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    GraphValue a = graph.input(typeText({64, 256}, types.a)),
               b = graph.weight(drawTensor(dtypeOfName(types.b), {256, 32}, 1));
    graph.output(graph.op("nn.matmul", {a, b}, "", "*x" + std::string(types.sums)));
    mlir::MLIRContext context;
    auto module = graph.parse(context);
    NativeOptions options;
    options.targetCpu = "sapphirerapids";
    auto assembly = compileToPhase(*module, passes::Phase::Object, options);
    ASSERT_TRUE(assembly) << assembly.status().message();
    std::string loop = innerLoopOf(*assembly);
    auto count = [&](const std::string &text) {
      size_t found = 0;
      for (size_t at = loop.find(text); at != std::string::npos; at = loop.find(text, at + 1))
        ++found;
      return found;
    };
    EXPECT_EQ(count("\ttdp"), 4u) << loop;
    EXPECT_EQ(count("\ttileloadd"), 4u) << loop;
    // A stride may be read again.
    EXPECT_LE(count("(") - count("\tlea"), 5u) << loop;
    EXPECT_THAT(*assembly, HasSubstr("ldtilecfg"));
    EXPECT_THAT(*assembly, HasSubstr("tilerelease"));
  }
}

// A row that meets a matrix waits for memory, which two threads read twice as fast.
TEST(TiledDot, TasksThatReadMuchAreSharedOut) {
  LineWork work{.flops = 4.7e6, .threads = 2};
  EXPECT_GT(grainOfTiles(48, work), 24) << "few products alone are not worth another thread";
  work.bytesOfB = 4.7e6;
  EXPECT_EQ(grainOfTiles(48, work), 1);
}
