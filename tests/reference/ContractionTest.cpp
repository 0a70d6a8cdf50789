//===- ContractionTest.cpp - matmul and gemm ------------------------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::reference;

static Tensor floats(Tensor::Dims dims, const std::vector<float> &values) {
  return Tensor::of<float>(std::move(dims), values);
}

TEST(MatMul, MultipliesMatrices) {
  Tensor a = floats({2, 3}, {1, 2, 3, 4, 5, 6}), b = floats({3, 2}, {7, 8, 9, 10, 11, 12});
  expectTensor<float>(evaluate("nn.matmul", {a, b}), {2, 2}, {58, 64, 139, 154});
}

TEST(MatMul, DropsTheDimensionOfVectors) {
  Tensor v = floats({2}, {1, 10}), m = floats({2, 2}, {1, 2, 3, 4});
  expectTensor<float>(evaluate("nn.matmul", {v, m}), {2}, {31, 42});
  expectTensor<float>(evaluate("nn.matmul", {m, v}), {2}, {21, 43});
  expectTensor<float>(evaluate("nn.matmul", {v, v}), {}, {101});
}

TEST(MatMul, BroadcastsBatches) {
  Tensor a = floats({2, 1, 1, 2}, {1, 2, 3, 4});
  Tensor b = floats({3, 2, 1}, {1, 1, 10, 10, 100, 1});
  expectTensor<float>(evaluate("nn.matmul", {a, b}), {2, 3, 1, 1}, {3, 30, 102, 7, 70, 304});
}

TEST(MatMul, GivesZerosForAnEmptySum) {
  expectTensor<float>(evaluate("nn.matmul", {floats({2, 0}, {}), floats({0, 1}, {})}), {2, 1},
                      {0, 0});
}

TEST(MatMul, GivesNothingForAnEmptyBatch) {
  expectTensor<float>(
      evaluate("nn.matmul", {floats({0, 2, 3}, {}), floats({3, 2}, {0, 0, 0, 0, 0, 0})}), {0, 2, 2},
      {});
}

TEST(MatMul, WrapsIntegers) {
  Tensor a = Tensor::of<int8_t>({1, 2}, {100, 100}), b = Tensor::of<int8_t>({2, 1}, {2, 3});
  expectTensor<int8_t>(evaluate("nn.matmul", {a, b}), {1, 1}, {static_cast<int8_t>(500)});
  Tensor big = Tensor::of<int64_t>({1, 1}, {INT64_MAX}), two = Tensor::of<int64_t>({1, 1}, {2});
  expectTensor<int64_t>(evaluate("nn.matmul", {big, two}), {1, 1}, {-2});
}

TEST(MatMul, SumsNarrowFactorsInWiderTypes) {
  Tensor a = Tensor::of<uint8_t>({1, 3}, {255, 255, 1}),
         b = Tensor::of<int8_t>({3, 1}, {-128, 127, 5});
  expectTensor<int32_t>(evaluate("nn.matmul", {a, b}, {}, DType::Int32), {1, 1}, {-250});
  Tensor third = Tensor::of<BFloat16>({1, 1}, {BFloat16(0.333984375f)});
  expectTensor<float>(evaluate("nn.matmul", {third, third}, {}, DType::Float32), {1, 1},
                      {0.333984375f * 0.333984375f});
  EXPECT_EQ(evaluateError("nn.matmul", {a, b}).message().find("operand types differ"), 0u);
}

TEST(MatMul, AccumulatesInDouble) {
  // In float arithmetic 2^24 + 1 is 2^24 and the sum would be 0.
  Tensor a = floats({1, 3}, {0x1p24f, 1, -0x1p24f}), ones = floats({3, 1}, {1, 1, 1});
  expectTensor<float>(evaluate("nn.matmul", {a, ones}), {1, 1}, {1});
}

TEST(MatMul, CrossesBlockEdges) {
  // C[i, j] = sum over k of (i + k) * (k - j), for sizes that no block divides.
  constexpr int64_t rows = 70, depth = 130, columns = 300;
  std::vector<float> a(rows * depth), b(depth * columns), c(rows * columns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < depth; ++k)
      a[i * depth + k] = static_cast<float>(i + k);
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t j = 0; j < columns; ++j)
      b[k * columns + j] = static_cast<float>(k - j);
  constexpr int64_t sumK = depth * (depth - 1) / 2;
  constexpr int64_t sumKK = (depth - 1) * depth * (2 * depth - 1) / 6;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      c[i * columns + j] = static_cast<float>(sumKK + (i - j) * sumK - depth * i * j);
  expectTensor<float>(
      evaluate("nn.matmul", {floats({rows, depth}, a), floats({depth, columns}, b)}),
      {rows, columns}, c);
}

TEST(MatMul, RefusesWhatDoesNotFit) {
  Tensor a = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(evaluateError("nn.matmul", {a, a}).message(),
            "inner dimensions differ: float32 2x3 and float32 2x3");
  EXPECT_EQ(evaluateError("nn.matmul", {a, Tensor::of<double>({3, 1}, {1, 1, 1})}).message(),
            "operand types differ: float32 2x3 and float64 3x1");
  EXPECT_EQ(evaluateError("nn.matmul", {a, floats({}, {1})}).message(),
            "operands need rank 1 or more, found float32 2x3 and float32 scalar");
  Tensor batch2 = floats({2, 1, 1}, {1, 2}), batch3 = floats({3, 1, 1}, {1, 2, 3});
  EXPECT_EQ(evaluateError("nn.matmul", {batch2, batch3}).message(),
            "shapes 2 and 3 do not broadcast");
}

TEST(MatMul, KeepsToTheLimitOfTensorBytes) {
  Tensor column = floats({4, 1}, {1, 2, 3, 4}), row = floats({1, 4}, {1, 2, 3, 4});
  EXPECT_EQ(evaluateError("nn.matmul", {column, row}, {}, Limits{.maxTensorBytes = 63}).code(),
            StatusCode::ResourceLimit);
}

static Attributes gemmAttributes(double alpha, double beta, bool transA, bool transB) {
  return makeAttributes({{"alpha", alpha},
                         {"beta", beta},
                         {"trans_a", int64_t(transA)},
                         {"trans_b", int64_t(transB)}});
}

TEST(Gemm, TransposesAndScales) {
  Tensor a = floats({2, 2}, {1, 2, 3, 4}), b = floats({2, 2}, {5, 6, 7, 8});
  Tensor c = floats({2}, {1, 2}), none;
  expectTensor<float>(evaluate("nn.gemm", {a, b, none}, gemmAttributes(1, 1, false, false)), {2, 2},
                      {19, 22, 43, 50});
  expectTensor<float>(evaluate("nn.gemm", {a, b, none}, gemmAttributes(1, 1, true, false)), {2, 2},
                      {26, 30, 38, 44});
  expectTensor<float>(evaluate("nn.gemm", {a, b, none}, gemmAttributes(1, 1, false, true)), {2, 2},
                      {17, 23, 39, 53});
  expectTensor<float>(evaluate("nn.gemm", {a, b, c}, gemmAttributes(0.5, 2, false, false)), {2, 2},
                      {11.5, 15, 23.5, 29});
}

TEST(Gemm, BroadcastsTheAddend) {
  Tensor a = floats({2, 1}, {1, 2}), b = floats({1, 2}, {10, 20});
  Attributes plain = gemmAttributes(1, 1, false, false);
  expectTensor<float>(evaluate("nn.gemm", {a, b, floats({2, 1}, {1, 2})}, plain), {2, 2},
                      {11, 21, 22, 42});
  expectTensor<float>(evaluate("nn.gemm", {a, b, floats({}, {5})}, plain), {2, 2},
                      {15, 25, 25, 45});
  EXPECT_EQ(evaluateError("nn.gemm", {a, b, floats({3}, {1, 2, 3})}, plain).message(),
            "shapes 3 and 2x2 do not broadcast");
  EXPECT_EQ(evaluateError("nn.gemm", {a, b, floats({1, 1, 1}, {1})}, plain).message(),
            "c (float32 1x1x1) does not broadcast to 2x2");
}

TEST(Gemm, ServesHalfPrecision) {
  auto half = [](float v) { return Float16(v); };
  Tensor a = Tensor::of<Float16>({1, 2}, {half(1.5f), half(2)});
  Tensor b = Tensor::of<Float16>({2, 1}, {half(2), half(0.25f)});
  Tensor result = evaluate("nn.gemm", {a, b, Tensor()}, gemmAttributes(1, 1, false, false));
  EXPECT_EQ(static_cast<float>(result.data<Float16>()[0]), 3.5f);
}
