//===- GatherTest.cpp - gathers and scatters by index ---------------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <limits>

using namespace quern;
using namespace quern::reference;
using Ints = std::vector<int64_t>;

namespace {

Tensor ints(const Tensor::Dims &dims, const Ints &values) {
  return Tensor::of<int64_t>(dims, values);
}

/// [[1, 2, 3], [4, 5, 6]]
Tensor table() { return Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6}); }

Tensor strings(const Tensor::Dims &dims, const std::vector<std::string> &values) {
  Tensor t = Tensor::allocate(DType::String, dims).take();
  std::copy(values.begin(), values.end(), t.mutableData<std::string>());
  return t;
}

Attributes axisIs(int64_t axis) { return makeAttributes({{"axis", axis}}); }
Attributes batchDims(int64_t count) { return makeAttributes({{"batch_dims", count}}); }
Attributes reducing(const char *reduction, int64_t axis = 0) {
  return makeAttributes({{"reduction", numberOf<ScatterReduction>(reduction)}, {"axis", axis}});
}

} // namespace

TEST(GatherElements, TakesAlongAnAxis) {
  Tensor indices = ints({2, 2}, {0, 2, -1, -3});
  expectTensor<float>(evaluate("nn.gather_elements", {table(), indices}, axisIs(1)), {2, 2},
                      {1, 3, 6, 4});
  expectTensor<float>(evaluate("nn.gather_elements", {table(), indices}, axisIs(-1)), {2, 2},
                      {1, 3, 6, 4});
  // Other dimensions of the indices may be smaller, and more may be asked for along the axis.
  Tensor rows = Tensor::of<int32_t>({3, 1}, {1, 0, -1});
  expectTensor<float>(evaluate("nn.gather_elements", {table(), rows}, axisIs(0)), {3, 1},
                      {4, 1, 4});
  expectTensor<float>(evaluate("nn.gather_elements", {table(), ints({0, 3}, {})}, axisIs(0)),
                      {0, 3}, {});
  EXPECT_EQ(elementsOf<std::string>(evaluate(
                "nn.gather_elements", {strings({2}, {"a", "b"}), ints({3}, {1, 0, 1})}, axisIs(0))),
            (std::vector<std::string>{"b", "a", "b"}));
}

TEST(GatherElements, RefusesWhatDoesNotFit) {
  auto message = [](const Tensor &indices, int64_t axis) {
    return evaluateError("nn.gather_elements", {table(), indices}, axisIs(axis)).message();
  };
  EXPECT_EQ(message(ints({1, 1}, {3}), 1), "index 3 is out of range for a size of 3");
  EXPECT_EQ(message(ints({1, 1}, {-4}), 1), "index -4 is out of range for a size of 3");
  EXPECT_EQ(message(ints({3, 1}, {0, 0, 0}), 1),
            "indices of int64 3x1 do not fit float32 2x3 along axis 1");
  EXPECT_EQ(message(ints({1}, {0}), 1), "indices of int64 1 do not fit float32 2x3 along axis 1");
  EXPECT_EQ(message(Tensor::of<float>({1, 1}, {0}), 1),
            "indices must be int32 or int64, found float32 1x1");
  EXPECT_EQ(message(ints({1, 1}, {0}), 2), "axis 2 is out of range for rank 2");
}

TEST(GatherND, TakesSlices) {
  Attributes none = batchDims(0);
  expectTensor<float>(evaluate("nn.gather_nd", {table(), ints({2, 2}, {0, 0, -1, -1})}, none), {2},
                      {1, 6});
  expectTensor<float>(evaluate("nn.gather_nd", {table(), ints({2, 1}, {1, 0})}, none), {2, 3},
                      {4, 5, 6, 1, 2, 3});
  expectTensor<float>(evaluate("nn.gather_nd", {table(), ints({1, 2, 1}, {1, -2})}, none),
                      {1, 2, 3}, {4, 5, 6, 1, 2, 3});
  expectTensor<float>(evaluate("nn.gather_nd", {table(), ints({2}, {1, 1})}, none), {}, {5});
  // An index of no entries selects everything.
  expectTensor<float>(evaluate("nn.gather_nd", {table(), ints({2, 0}, {})}, none), {2, 2, 3},
                      {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6});
  expectTensor<float>(evaluate("nn.gather_nd", {table(), ints({0, 2}, {})}, none), {0}, {});
}

TEST(GatherND, HasBatches) {
  expectTensor<float>(evaluate("nn.gather_nd", {table(), ints({2, 1}, {2, -3})}, batchDims(1)), {2},
                      {3, 4});
  expectTensor<float>(
      evaluate("nn.gather_nd", {table(), ints({2, 2, 1}, {0, 1, 2, 0})}, batchDims(1)), {2, 2},
      {1, 2, 6, 4});
  Tensor cube = Tensor::of<float>({2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  expectTensor<float>(evaluate("nn.gather_nd", {cube, ints({2, 1}, {1, 0})}, batchDims(1)), {2, 2},
                      {2, 3, 4, 5});
}

TEST(GatherND, RefusesWhatDoesNotFit) {
  auto message = [](const Tensor &indices, int64_t batches) {
    return evaluateError("nn.gather_nd", {table(), indices}, batchDims(batches)).message();
  };
  EXPECT_EQ(message(ints({1, 2}, {0, 3}), 0), "index 3 is out of range for a size of 3");
  EXPECT_EQ(message(ints({1, 2}, {-3, 0}), 0), "index -3 is out of range for a size of 2");
  EXPECT_EQ(message(ints({1, 3}, {0, 0, 0}), 0),
            "index tuples of int64 1x3 do not fit float32 2x3 with 0 batch dimensions");
  EXPECT_EQ(message(ints({3, 1}, {0, 0, 0}), 1),
            "index tuples of int64 3x1 do not fit float32 2x3 with 1 batch dimensions");
  EXPECT_EQ(message(ints({2, 1}, {0, 0}), -1),
            "index tuples of int64 2x1 do not fit float32 2x3 with -1 batch dimensions");
  EXPECT_EQ(message(ints({}, {0}), 0),
            "index tuples of int64 scalar do not fit float32 2x3 with 0 batch dimensions");
  // Indices of empty slices are checked too.
  Tensor empty = Tensor::of<float>({2, 0}, {});
  EXPECT_EQ(evaluateError("nn.gather_nd", {empty, ints({1, 1}, {2})}, batchDims(0)).message(),
            "index 2 is out of range for a size of 2");
}

TEST(ScatterElements, WritesAlongAnAxis) {
  Tensor indices = ints({2, 2}, {0, -1, 1, 1}), updates = Tensor::of<float>({2, 2}, {7, 8, 9, 10});
  // Of two updates of one element the last stays.
  expectTensor<float>(
      evaluate("nn.scatter_elements", {table(), indices, updates}, reducing("none", 1)), {2, 3},
      {7, 2, 8, 4, 10, 6});
  expectTensor<float>(
      evaluate("nn.scatter_elements", {table(), indices, updates}, reducing("none", -1)), {2, 3},
      {7, 2, 8, 4, 10, 6});
  expectTensor<float>(
      evaluate("nn.scatter_elements", {table(), indices, updates}, reducing("none", 0)), {2, 3},
      {7, 2, 3, 9, 10, 6});
  EXPECT_EQ(elementsOf<std::string>(
                evaluate("nn.scatter_elements",
                         {strings({2}, {"a", "b"}), ints({1}, {-1}), strings({1}, {"c"})},
                         reducing("none"))),
            (std::vector<std::string>{"a", "c"}));
}

TEST(ScatterElements, Reduces) {
  auto scatter = [](const char *reduction) {
    return evaluate("nn.scatter_elements",
                    {Tensor::of<float>({3}, {1, -2, 5}), ints({4}, {1, 1, 2, -1}),
                     Tensor::of<float>({4}, {3, -4, 2, 7})},
                    reducing(reduction));
  };
  expectTensor<float>(scatter("add"), {3}, {1, -3, 14});
  expectTensor<float>(scatter("mul"), {3}, {1, 24, 70});
  expectTensor<float>(scatter("max"), {3}, {1, 3, 7});
  expectTensor<float>(scatter("min"), {3}, {1, -4, 2});
  // NaN stays, on either side; integers wrap.
  Tensor odd = Tensor::of<float>({2}, {NAN, 1}), updates = Tensor::of<float>({2}, {2, NAN});
  for (const char *reduction : {"max", "min"})
    expectTensor<float>(
        evaluate("nn.scatter_elements", {odd, ints({2}, {0, 1}), updates}, reducing(reduction)),
        {2}, {NAN, NAN});
  expectTensor<uint8_t>(
      evaluate("nn.scatter_elements",
               {Tensor::of<uint8_t>({1}, {200}), ints({1}, {0}), Tensor::of<uint8_t>({1}, {100})},
               reducing("add")),
      {1}, {44});
  // Truth values: any of them, or all.
  for (auto [reduction, mixed] :
       {std::pair("add", true), {"max", true}, {"mul", false}, {"min", false}})
    EXPECT_EQ(elementsOf<bool>(evaluate("nn.scatter_elements",
                                        {Tensor::of<bool>({4}, {false, false, true, true}),
                                         ints({4}, {0, 1, 2, 3}),
                                         Tensor::of<bool>({4}, {false, true, false, true})},
                                        reducing(reduction))),
              (std::vector<bool>{false, mixed, mixed, true}));
  EXPECT_EQ(evaluateError("nn.scatter_elements",
                          {strings({1}, {"a"}), ints({1}, {0}), strings({1}, {"c"})},
                          reducing("add"))
                .code(),
            StatusCode::Unsupported);
}

TEST(ScatterElements, RefusesWhatDoesNotFit) {
  auto message = [](const Tensor &indices, const Tensor &updates) {
    return evaluateError("nn.scatter_elements", {table(), indices, updates}, reducing("none", 1))
        .message();
  };
  Tensor one = Tensor::of<float>({1, 1}, {0});
  EXPECT_EQ(message(ints({1, 1}, {3}), one), "index 3 is out of range for a size of 3");
  EXPECT_EQ(message(ints({1, 2}, {0, 1}), one), "updates must be float32 1x2, found float32 1x1");
  EXPECT_EQ(message(ints({1, 1}, {0}), ints({1, 1}, {0})),
            "updates must be float32 1x1, found int64 1x1");
  EXPECT_EQ(message(ints({3, 1}, {0, 0, 0}), one),
            "indices of int64 3x1 do not fit float32 2x3 along axis 1");
}

TEST(ScatterND, WritesSlices) {
  Tensor row = Tensor::of<float>({1, 3}, {7, 8, 9});
  expectTensor<float>(
      evaluate("nn.scatter_nd", {table(), ints({1, 1}, {-1}), row}, reducing("none")), {2, 3},
      {1, 2, 3, 7, 8, 9});
  Tensor pair = Tensor::of<float>({2}, {10, 20});
  expectTensor<float>(
      evaluate("nn.scatter_nd", {table(), ints({2, 2}, {0, 1, 0, 1}), pair}, reducing("none")),
      {2, 3}, {1, 20, 3, 4, 5, 6});
  expectTensor<float>(
      evaluate("nn.scatter_nd", {table(), ints({2, 2}, {0, 1, 0, 1}), pair}, reducing("add")),
      {2, 3}, {1, 32, 3, 4, 5, 6});
  expectTensor<float>(evaluate("nn.scatter_nd", {table(), ints({1, 1}, {0}), row}, reducing("mul")),
                      {2, 3}, {7, 16, 27, 4, 5, 6});
  // One tuple of no entries: everything.
  expectTensor<float>(
      evaluate("nn.scatter_nd",
               {Tensor::of<float>({2}, {3, 9}), ints({0}, {}), Tensor::of<float>({2}, {5, 6})},
               reducing("max")),
      {2}, {5, 9});
  expectTensor<float>(evaluate("nn.scatter_nd",
                               {table(), ints({0, 2}, {}), Tensor::of<float>({0}, {})},
                               reducing("none")),
                      {2, 3}, {1, 2, 3, 4, 5, 6});
}

TEST(ScatterND, RefusesWhatDoesNotFit) {
  auto message = [](const Tensor &indices, const Tensor &updates) {
    return evaluateError("nn.scatter_nd", {table(), indices, updates}, reducing("none")).message();
  };
  Tensor one = Tensor::of<float>({1}, {0});
  EXPECT_EQ(message(ints({1, 2}, {2, 0}), one), "index 2 is out of range for a size of 2");
  EXPECT_EQ(message(ints({1, 1}, {0}), one), "updates must be float32 1x3, found float32 1");
  EXPECT_EQ(message(ints({1, 3}, {0, 0, 0}), one),
            "index tuples of int64 1x3 do not fit float32 2x3 with 0 batch dimensions");
}
