//===- HalfWeightTest.cpp - products with weights of 16 bits --------------===//
//
// Weights of float16 and bfloat16 beside float32 are packed as they are and widened in registers,
// with instructions for it and without.
//
//===----------------------------------------------------------------------===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"

#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <random>

using namespace quern;
using namespace quern::native;

namespace {
constexpr const char *kTargets[] = {"baseline", "haswell", "skylake-avx512", "host"};

bool runsHere(const char *target) { return checkRunsHere(resolveTarget(target).take()).isOk(); }

struct ProductCase {
  int64_t m = 1, k = 40, n = 33;
  bool isTransposed = false;
};

/// With an epilogue.
void addProduct(Graph &graph, const ProductCase &c, const std::string &half) {
  GraphValue a = graph.input(fmt::format("{}x{}xf32", c.m, c.k));
  GraphValue bias = graph.weight(fmt::format("{}xf32", c.n));
  GraphValue product;
  if (c.isTransposed) {
    GraphValue weights = graph.weight(fmt::format("{}x{}x{}", c.n, c.k, half));
    product = graph.op("nn.gemm", {a, weights, bias},
                       "alpha = 2.0, beta = 1.0, trans_a = false, trans_b = true");
  } else {
    GraphValue weights = graph.weight(fmt::format("{}x{}x{}", c.k, c.n, half));
    product = graph.op("nn.add", {graph.op("nn.matmul", {a, weights}), bias});
  }
  graph.output(graph.op("nn.relu", {product}), fmt::format("{}x{}x{} of {}", c.m, c.k, c.n, half));
}

/// Numbers whose products round.
template <typename T> Tensor drawNumbers(const Tensor::Dims &dims, unsigned seed) {
  Tensor tensor = Tensor::allocate(dtypeOf<T>(), dims).take();
  std::mt19937 random(seed);
  std::normal_distribution<float> numbers;
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<T>()[i] = T(numbers(random));
  return tensor;
}

/// Each element is within the bound of a sum of `k` rounded products, in any order.
template <typename T> void expectNearFloat64(const Tensor &a, const Tensor &w, const Tensor &y) {
  int64_t m = a.dim(0), k = a.dim(1), n = w.dim(1);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0, magnitudes = 0;
      for (int64_t l = 0; l < k; ++l) {
        double product = double(a.data<float>()[i * k + l]) * double(float(w.data<T>()[l * n + j]));
        sum += product;
        magnitudes += std::abs(product);
      }
      ASSERT_NEAR(y.data<float>()[i * n + j], sum, double(k) * 0x1p-24 * magnitudes);
    }
}

/// A graph of a product by weights that a cast widens.
Graph graphOfCast(const Tensor &weights, const Tensor::Dims &a) {
  Graph graph;
  GraphValue x = graph.input(fmt::format("{}x{}xf32", a[0], a[1]));
  GraphValue wide = graph.op("nn.cast", {graph.weight(weights)}, "to = f32", "*xf32");
  graph.output(graph.op("nn.matmul", {x, wide}));
  return graph;
}

template <typename T> void expectNearOnAllTargets() {
  constexpr int64_t kDepth = 300, kColumns = 70;
  Tensor weights = drawNumbers<T>({kDepth, kColumns}, 1);
  for (const char *target : kTargets) {
    if (!runsHere(target))
      continue;
    for (int64_t rows : {1, 20}) {
      SCOPED_TRACE(fmt::format("{}, {} rows", target, rows));
      Tensor a = drawNumbers<float>({rows, kDepth}, 2);
      NativeOptions options;
      options.targetCpu = target;
      auto executable = compileForTest(graphOfCast(weights, a.dims()), options);
      ASSERT_TRUE(executable) << executable.status().message();
      auto run = runCompiled(*executable, {a});
      ASSERT_TRUE(run) << run.status().message();
      ASSERT_EQ(run->steps.size(), 1u) << "the cast is not a step";
      EXPECT_NE(run->steps[0].kernel.find("16"), std::string::npos) << run->steps[0].kernel;
      expectNearFloat64<T>(a, weights, run->results[0]);
    }
  }
}

/// All numbers of a type: [1, n].
template <typename T> Tensor allNumbers() {
  std::vector<uint16_t> bits;
  for (uint32_t i = 0; i < 0x10000; ++i) {
    auto number = float(std::bit_cast<T>(static_cast<uint16_t>(i)));
    // Subnormal numbers of float32 count as zero in a run.
    if (!std::isnan(number) && (std::isnormal(number) || number == 0 || std::isinf(number)))
      bits.push_back(static_cast<uint16_t>(i));
  }
  Tensor all = Tensor::allocate(dtypeOf<T>(), {1, static_cast<int64_t>(bits.size())}).take();
  std::copy(bits.begin(), bits.end(), static_cast<uint16_t *>(all.mutableRawData()));
  return all;
}

template <typename T> void expectAllWidened() {
  Tensor weights = allNumbers<T>();
  for (const char *target : kTargets) {
    if (!runsHere(target))
      continue;
    SCOPED_TRACE(target);
    NativeOptions options;
    options.targetCpu = target;
    auto executable = compileForTest(graphOfCast(weights, {1, 1}), options);
    ASSERT_TRUE(executable) << executable.status().message();
    auto run = runCompiled(*executable, {Tensor::of<float>({1, 1}, {1})});
    ASSERT_TRUE(run) << run.status().message();
    for (int64_t i = 0; i < weights.numElements(); ++i)
      ASSERT_EQ(run->results[0].data<float>()[i], float(weights.data<T>()[i])) << i;
  }
}
} // namespace

TEST(HalfWeightTest, Sizes) {
  Graph graph;
  for (const char *half : {"f16", "bf16"})
    for (int64_t m : {1, 7, 103}) // many rows share what is widened before
      for (int64_t n : {33, 130})
        addProduct(graph, {.m = m, .n = n, .isTransposed = n % 2 == 0}, half);
  for (const char *target : kTargets) {
    if (!runsHere(target))
      continue;
    SCOPED_TRACE(target);
    GraphCheck check;
    check.options.targetCpu = target;
    expectExact(graph, check);
  }
}

TEST(HalfWeightTest, BatchesAndVectors) {
  Graph graph;
  for (const std::string half : {"f16", "bf16"}) {
    GraphValue a = graph.input("3x4x20xf32");
    graph.output(graph.op("nn.matmul", {a, graph.weight("3x20x18x" + half)}), "a matrix for each");
    graph.output(graph.op("nn.matmul", {a, graph.weight("2x1x20x18x" + half)}), "more matrices");
    graph.output(graph.op("nn.matmul", {a, graph.weight("20x" + half)}), "a vector");
    graph.output(graph.op("nn.matmul", {graph.input("20xf32"), graph.weight("20x18x" + half)}),
                 "by a matrix");
    GraphValue columns = graph.input("20x5xf32");
    graph.output(graph.op("nn.gemm", {columns, graph.weight("20x18x" + half), graph.none()},
                          "alpha = 1.0, beta = 1.0, trans_a = true, trans_b = false"),
                 "the first transposed");
  }
  expectExact(graph);
}

TEST(HalfWeightTest, AgainstFloat64) {
  expectNearOnAllTargets<Float16>();
  expectNearOnAllTargets<BFloat16>();
}

TEST(HalfWeightTest, AllNumbersAreWidenedAsTheyAre) {
  expectAllWidened<Float16>();
  expectAllWidened<BFloat16>();
}

// With less than float32 asked for, they are what is multiplied.
TEST(HalfWeightTest, BecomeFactorsOfLowerPrecision) {
  if (!runsHere("cooperlake"))
    GTEST_SKIP() << "no instruction for products of bfloat16";
  NativeOptions options;
  options.precision = Precision::BFloat16;
  Tensor a = drawNumbers<float>({20, 64}, 2);
  auto kernelOf = [&](const Tensor &weights) {
    auto executable = compileForTest(graphOfCast(weights, a.dims()), options);
    auto run = executable ? runCompiled(*executable, {a}) : executable.status();
    return run ? run->steps.back().kernel : run.status().message();
  };
  EXPECT_NE(kernelOf(drawNumbers<Float16>({64, 32}, 1)).find("_bf16_"), std::string::npos);
  EXPECT_NE(kernelOf(drawNumbers<BFloat16>({64, 32}, 1)).find("_bf16_"), std::string::npos);
}
