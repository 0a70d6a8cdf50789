//===- TopKTest.cpp - the largest elements and running sums ---------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <numeric>
#include <random>

using namespace quern;
using namespace quern::reference;
using Ints = std::vector<int64_t>;

namespace {

struct Selected {
  Tensor values, indices;
};

Selected topK(const Tensor &input, int64_t k, int64_t axis, bool largest) {
  auto results = evaluateAll("nn.topk", {input, Tensor::ofInts({k})},
                             makeAttributes({{"axis", axis}, {"largest", int64_t{largest}}}),
                             {input.dtype(), DType::Int64});
  EXPECT_TRUE(results) << results.status().message();
  return results ? Selected{(*results)[0], (*results)[1]} : Selected();
}

Tensor cumulate(const char *kind, const Tensor &input, int64_t axis, bool exclusive, bool reverse) {
  return evaluate("nn.cumulate", {input, Tensor::of<int64_t>({}, {axis})},
                  makeAttributes({{"kind", numberOf<ReduceKind>(kind)},
                                  {"exclusive", int64_t{exclusive}},
                                  {"reverse", int64_t{reverse}}}));
}

Tensor cumSum(const Tensor &input, int64_t axis, bool exclusive, bool reverse) {
  return cumulate("sum", input, axis, exclusive, reverse);
}

} // namespace

TEST(TopK, SelectsAlongAnAxis) {
  Tensor x = Tensor::of<float>({2, 3}, {3, 1, 2, 4, 6, 5});
  Selected rows = topK(x, 2, -1, true);
  expectTensor<float>(rows.values, {2, 2}, {3, 2, 6, 5});
  expectTensor<int64_t>(rows.indices, {2, 2}, {0, 2, 1, 2});
  Selected smallest = topK(x, 2, 1, false);
  expectTensor<float>(smallest.values, {2, 2}, {1, 2, 4, 5});
  expectTensor<int64_t>(smallest.indices, {2, 2}, {1, 2, 0, 2});
  Selected columns = topK(x, 1, 0, true);
  expectTensor<float>(columns.values, {1, 3}, {4, 6, 5});
  expectTensor<int64_t>(columns.indices, {1, 3}, {1, 1, 1});
  Tensor cube = Tensor::of<int32_t>({1, 3, 2}, {1, 6, 5, 2, 3, 4});
  Selected middle = topK(cube, 2, 1, true);
  expectTensor<int32_t>(middle.values, {1, 2, 2}, {5, 6, 3, 4});
  expectTensor<int64_t>(middle.indices, {1, 2, 2}, {1, 0, 2, 2});
}

TEST(TopK, TiesGoToTheLowerIndex) {
  Tensor x = Tensor::of<int64_t>({5}, {2, 7, 2, 7, 2});
  expectTensor<int64_t>(topK(x, 5, 0, true).indices, {5}, {1, 3, 0, 2, 4});
  expectTensor<int64_t>(topK(x, 2, 0, false).indices, {2}, {0, 2});
  Tensor zeros = Tensor::of<float>({2}, {-0.0f, 0});
  expectTensor<int64_t>(topK(zeros, 2, 0, true).indices, {2}, {0, 1});
}

TEST(TopK, NaNIsTheLargest) {
  Tensor x = Tensor::of<float>({4}, {1, NAN, INFINITY, NAN});
  expectTensor<int64_t>(topK(x, 4, 0, true).indices, {4}, {1, 3, 2, 0});
  expectTensor<int64_t>(topK(x, 4, 0, false).indices, {4}, {0, 2, 1, 3});
}

TEST(TopK, EmptyAndTooMany) {
  Tensor x = Tensor::of<float>({2, 3}, {3, 1, 2, 4, 6, 5});
  expectTensor<float>(topK(x, 0, 1, true).values, {2, 0}, {});
  expectTensor<float>(topK(Tensor::of<float>({0, 3}, {}), 2, 1, true).values, {0, 2}, {});
  auto message = [&](const Tensor &k) {
    return evaluateAll("nn.topk", {x, k}, makeAttributes({{"axis", int64_t{1}}}),
                       {DType::Float32, DType::Int64})
        .status()
        .message();
  };
  EXPECT_EQ(message(Tensor::ofInts({4})), "k is 4, but there are 3 elements along the axis");
  EXPECT_EQ(message(Tensor::ofInts({-1})), "k is -1, but there are 3 elements along the axis");
  EXPECT_EQ(message(Tensor::ofInts({1, 2})), "k must have one element, found 2");
}

// Every k of a random row, against a stable sort.
TEST(TopK, AgreesWithSorting) {
  std::mt19937 random(7);
  std::vector<int32_t> values(100);
  for (int32_t &v : values)
    v = static_cast<int32_t>(random() % 20);
  Ints order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return values[a] > values[b]; });
  Tensor x = Tensor::of<int32_t>({100}, values);
  for (int64_t k = 1; k <= 100; ++k)
    EXPECT_EQ(elementsOf<int64_t>(topK(x, k, 0, true).indices),
              Ints(order.begin(), order.begin() + k));
}

TEST(CumSum, SumsAlongAnAxis) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  expectTensor<float>(cumSum(x, 1, false, false), {2, 3}, {1, 3, 6, 4, 9, 15});
  expectTensor<float>(cumSum(x, -2, false, false), {2, 3}, {1, 2, 3, 5, 7, 9});
  expectTensor<float>(cumSum(x, 1, true, false), {2, 3}, {0, 1, 3, 0, 4, 9});
  expectTensor<float>(cumSum(x, 1, false, true), {2, 3}, {6, 5, 3, 15, 11, 6});
  expectTensor<float>(cumSum(x, 1, true, true), {2, 3}, {5, 3, 0, 11, 6, 0});
  expectTensor<float>(cumSum(Tensor::of<float>({0, 3}, {}), 0, false, false), {0, 3}, {});
  expectTensor<uint8_t>(cumSum(Tensor::of<uint8_t>({3}, {200, 100, 1}), 0, false, false), {3},
                        {200, 44, 45});
  // Sums are kept in double: the small addends are not lost.
  expectTensor<float>(cumSum(Tensor::of<float>({4}, {1e8f, 1, 1, -1e8f}), 0, false, false), {4},
                      {1e8f, 1e8f, 1e8f, 2});
}

TEST(CumProd, MultipliesAlongAnAxis) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  expectTensor<float>(cumulate("prod", x, 1, false, false), {2, 3}, {1, 2, 6, 4, 20, 120});
  expectTensor<float>(cumulate("prod", x, 0, true, false), {2, 3}, {1, 1, 1, 1, 2, 3});
  expectTensor<float>(cumulate("prod", x, -1, true, true), {2, 3}, {6, 3, 1, 30, 6, 1});
  expectTensor<uint8_t>(cumulate("prod", Tensor::of<uint8_t>({3}, {100, 3, 2}), 0, false, false),
                        {3}, {100, 44, 88});
}

TEST(CumSum, RefusesBadAxes) {
  Tensor x = Tensor::of<float>({2}, {1, 2});
  EXPECT_EQ(evaluateError("nn.cumulate", {x, Tensor::ofInts({1})}).message(),
            "axis 1 is out of range for rank 1");
  EXPECT_EQ(evaluateError("nn.cumulate", {x, Tensor::ofInts({0, 0})}).message(),
            "axis must be one number, found 2");
}
