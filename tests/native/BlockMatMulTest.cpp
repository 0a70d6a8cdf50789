//===- BlockMatMulTest.cpp - products with weights of few bits ------------===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"

#include <fmt/format.h>
#include <random>

using namespace quern;
using namespace quern::native;

namespace {
enum class Zero { None, Half, Scalar, Blocks };

struct ProductCase {
  int64_t m = 1, k = 64, n = 40, block = 32;
  DType type = DType::UInt4;
  Zero zero = Zero::None;
};

/// Weights of all values of the type, the ends too.
Tensor drawWeights(DType type, const Tensor::Dims &dims, unsigned seed) {
  Tensor weights = Tensor::allocate(type, dims).take();
  std::mt19937 random(seed);
  int64_t count = int64_t{1} << dtypeBits(type), least = isSignedInteger(type) ? -count / 2 : 0;
  auto *bytes = static_cast<uint8_t *>(weights.mutableRawData());
  for (int64_t i = 0; i < weights.numElements(); ++i)
    bytes[i] = static_cast<uint8_t>(least + static_cast<int64_t>(random() % count));
  return weights;
}

/// Powers of two, so that sums stay exact.
Tensor drawScales(const Tensor::Dims &dims, unsigned seed) {
  Tensor scales = Tensor::allocate(DType::Float32, dims).take();
  std::mt19937 random(seed);
  for (int64_t i = 0; i < scales.numElements(); ++i)
    scales.mutableData<float>()[i] = random() % 2 ? 0.5f : 2.0f;
  return scales;
}

void addProduct(Graph &graph, const ProductCase &c, unsigned seed) {
  GraphValue a = graph.input(fmt::format("{}x{}xf32", c.m, c.k));
  GraphValue weights = graph.weight(drawWeights(c.type, {c.n, c.k}, seed));
  GraphValue scale = graph.weight(drawScales({c.n, c.k / c.block}, seed + 1));
  GraphValue zero = graph.none();
  if (c.zero == Zero::Blocks)
    zero = graph.weight(drawWeights(c.type, {c.n, c.k / c.block}, seed + 2));
  if (c.zero == Zero::Half) {
    Tensor half = Tensor::allocate(c.type, {}).take();
    *static_cast<uint8_t *>(half.mutableRawData()) =
        static_cast<uint8_t>(1 << (dtypeBits(c.type) - 1));
    zero = graph.weight(half);
  }
  GraphValue bias = graph.weight(fmt::format("{}xf32", c.n));
  GraphValue product = graph.op("nn.block_matmul", {a, weights, scale, zero},
                                fmt::format("block_size = {}", c.block));
  graph.output(graph.op("nn.relu", {graph.op("nn.add", {product, bias})}),
               fmt::format("{}x{}x{} of {}", c.m, c.k, c.n, dtypeName(c.type)));
}

void expectExactOn(const char *target, const std::vector<ProductCase> &cases) {
  if (!checkRunsHere(resolveTarget(target).take()).isOk())
    return;
  SCOPED_TRACE(target);
  Graph graph;
  for (size_t i = 0; i < cases.size(); ++i)
    addProduct(graph, cases[i], 10 * static_cast<unsigned>(i));
  GraphCheck check;
  check.options.targetCpu = target;
  expectExact(graph, check);
}
} // namespace

TEST(BlockMatMulTest, BitsAndZeroPoints) {
  std::vector<ProductCase> cases;
  for (DType type :
       {DType::UInt4, DType::Int4, DType::UInt8, DType::Int8, DType::UInt2, DType::Int2})
    for (Zero zero : {Zero::None, Zero::Blocks})
      cases.push_back({.type = type, .zero = zero});
  for (DType type : {DType::UInt4, DType::UInt8, DType::UInt2})
    cases.push_back({.type = type, .zero = Zero::Half});
  for (const char *target : {"baseline", "haswell", "skylake-avx512", "host"})
    expectExactOn(target, cases);
}

TEST(BlockMatMulTest, Sizes) {
  std::vector<ProductCase> cases;
  for (int64_t m : {1, 2, 7, 20})
    for (int64_t n : {1, 16, 65, 130})
      cases.push_back({.m = m, .n = n, .zero = Zero::Half});
  cases.push_back({.m = 3, .k = 128, .block = 128});
  cases.push_back({.m = 3, .k = 256, .block = 16, .zero = Zero::Blocks});
  expectExactOn("host", cases);
}

/// With tiles of twice the columns, and blocks of one, two and three groups.
TEST(BlockMatMulTest, OneRow) {
  std::vector<ProductCase> cases;
  for (DType type : {DType::UInt4, DType::Int4, DType::UInt8, DType::Int8, DType::UInt2})
    for (int64_t groups : {1, 2, 3}) {
      int64_t block = groups * 32 / dtypeBits(type);
      for (int64_t n : {128, 256, 192})
        cases.push_back({.k = 2 * block, .n = n, .block = block, .type = type});
    }
  for (const char *target : {"haswell", "skylake-avx512", "host"})
    expectExactOn(target, cases);
}
