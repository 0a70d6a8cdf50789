//===- ReductionTest.cpp - reduce, softmax, arg max and min ---------------===//
#include "tests/reference/KernelCall.h"

#include <cmath>

using namespace quern;
using namespace quern::reference;

static Attributes reduceAttributes(const std::string &kind, bool keepDims = true,
                                   bool noop = false) {
  return makeAttributes({{"kind", numberOf<ReduceKind>(kind)},
                         {"keepdims", int64_t(keepDims)},
                         {"noop_with_empty_axes", int64_t(noop)}});
}

static Tensor reduce(const std::string &kind, const Tensor &x, const Tensor &axes,
                     bool keepDims = true) {
  return evaluate("nn.reduce", {x, axes}, reduceAttributes(kind, keepDims));
}

static Tensor allOf(const std::string &kind, const Tensor &x) {
  return reduce(kind, x, Tensor(), /*keepDims=*/false);
}

TEST(Reduce, KnowsAllKinds) {
  Tensor x = Tensor::of<float>({2, 2}, {1, -2, 3, -4});
  auto expectRows = [&](const std::string &kind, float first, float second) {
    SCOPED_TRACE(kind);
    expectTensor<float>(reduce(kind, x, Tensor::ofInts({1}), false), {2}, {first, second});
  };
  expectRows("sum", -1, -1);
  expectRows("mean", -0.5, -0.5);
  expectRows("max", 1, 3);
  expectRows("min", -2, -4);
  expectRows("prod", -2, -12);
  expectRows("l1", 3, 7);
  expectRows("l2", std::sqrt(5.0f), 5);
  expectRows("sum_square", 5, 25);
  expectRows("log_sum", NAN, NAN);
  expectRows("log_sum_exp", 1.0485873f, 3.0009115f);
  expectTensor<float>(allOf("log_sum", Tensor::of<float>({2}, {1, 1})), {}, {std::log(2.0f)});
}

TEST(Reduce, FollowsTheRulesOfAxes) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  expectTensor<float>(reduce("sum", x, Tensor::ofInts({-2})), {1, 3}, {5, 7, 9});
  expectTensor<float>(reduce("sum", x, Tensor::ofInts({1, 0}), false), {}, {21});
  expectTensor<float>(reduce("sum", x, Tensor()), {1, 1}, {21});
  expectTensor<float>(reduce("sum", x, Tensor::ofInts({})), {1, 1}, {21});
  expectTensor<float>(
      evaluate("nn.reduce", {x, Tensor::ofInts({})}, reduceAttributes("sum", true, true)), {2, 3},
      {1, 2, 3, 4, 5, 6});
  expectTensor<float>(reduce("sum", Tensor::of<float>({}, {7}), Tensor()), {}, {7});
  Attributes sum = reduceAttributes("sum");
  EXPECT_EQ(evaluateError("nn.reduce", {x, Tensor::ofInts({2})}, sum).message(),
            "axis 2 is out of range for rank 2");
  EXPECT_EQ(evaluateError("nn.reduce", {x, Tensor::ofInts({0, -2})}, sum).message(),
            "axis -2 is given twice");
}

TEST(Reduce, ReducesNonAdjacentDimensions) {
  Tensor x = Tensor::of<int32_t>({2, 2, 2}, {1, 2, 4, 8, 16, 32, 64, 128});
  expectTensor<int32_t>(reduce("sum", x, Tensor::ofInts({0, 2}), false), {2}, {51, 204});
}

TEST(Reduce, OfNothingGivesTheNeutralElement) {
  Tensor x = Tensor::of<float>({2, 0}, {});
  auto expectBoth = [&](const std::string &kind, float value) {
    SCOPED_TRACE(kind);
    expectTensor<float>(reduce(kind, x, Tensor::ofInts({1}), false), {2}, {value, value});
  };
  expectBoth("sum", 0);
  expectBoth("prod", 1);
  expectBoth("max", -INFINITY);
  expectBoth("min", INFINITY);
  expectBoth("mean", NAN);
  expectBoth("log_sum", -INFINITY);
  expectBoth("log_sum_exp", -INFINITY);
  expectTensor<float>(reduce("sum", x, Tensor::ofInts({0}), false), {0}, {});
  Tensor ints = Tensor::of<int8_t>({0}, {});
  expectTensor<int8_t>(allOf("max", ints), {}, {-128});
  expectTensor<int8_t>(allOf("min", ints), {}, {127});
  expectTensor<int8_t>(allOf("mean", ints), {}, {0});
}

TEST(Reduce, PropagatesNaN) {
  for (std::vector<float> values : {std::vector<float>{NAN, 1}, std::vector<float>{1, NAN}})
    for (const char *kind : {"max", "min", "sum", "log_sum_exp"}) {
      SCOPED_TRACE(kind);
      expectTensor<float>(allOf(kind, Tensor::of<float>({2}, values)), {}, {NAN});
    }
}

TEST(Reduce, DefinesIntegerResults) {
  expectTensor<int8_t>(allOf("sum", Tensor::of<int8_t>({2}, {127, 1})), {}, {-128});
  expectTensor<int32_t>(allOf("mean", Tensor::of<int32_t>({2}, {-3, -4})), {}, {-3});
  expectTensor<uint8_t>(allOf("max", Tensor::of<uint8_t>({2}, {200, 3})), {}, {200});
  expectTensor<int64_t>(allOf("l1", Tensor::of<int64_t>({1}, {INT64_MIN})), {}, {INT64_MIN});
  expectTensor<int32_t>(allOf("l2", Tensor::of<int32_t>({2}, {3, 5})), {}, {5});
  expectTensor<int32_t>(allOf("log_sum", Tensor::of<int32_t>({1}, {0})), {}, {INT32_MIN});
  expectTensor<bool>(allOf("max", Tensor::of<bool>({2}, {false, true})), {}, {true});
  EXPECT_EQ(
      evaluateError("nn.reduce", {Tensor::of<bool>({1}, {true}), Tensor()}, reduceAttributes("sum"))
          .code(),
      StatusCode::Unsupported);
}

TEST(Reduce, DoesNotOverflowInLogSumExp) {
  expectTensor<double>(allOf("log_sum_exp", Tensor::of<double>({2}, {1e4, -1e4})), {}, {1e4});
  expectTensor<float>(allOf("log_sum_exp", Tensor::of<float>({2}, {INFINITY, 1})), {}, {INFINITY});
}

TEST(Reduce, SumsInDouble) {
  Tensor x = Tensor::of<float>({3}, {0x1p24f, 1, -0x1p24f});
  expectTensor<float>(allOf("sum", x), {}, {1});
}

static Attributes softmaxAttributes(int64_t axis, bool trailing = false, bool logarithm = false) {
  return makeAttributes(
      {{"axis", axis}, {"trailing", int64_t(trailing)}, {"logarithm", int64_t(logarithm)}});
}

TEST(Softmax, WorksAlongItsAxis) {
  constexpr float a = 0.09003057f, b = 0.24472847f, c = 0.66524096f;
  Tensor rows = Tensor::of<float>({2, 3}, {1, 2, 3, 1001, 1002, 1003});
  expectTensor<float>(evaluate("nn.softmax", {rows}, softmaxAttributes(-1)), {2, 3},
                      {a, b, c, a, b, c});
  Tensor columns = Tensor::of<float>({3, 2}, {1, 3, 2, 2, 3, 1});
  expectTensor<float>(evaluate("nn.softmax", {columns}, softmaxAttributes(0)), {3, 2},
                      {a, c, b, b, c, a});
  expectTensor<float>(evaluate("nn.softmax", {rows}, softmaxAttributes(1, false, true)), {2, 3},
                      {-2.407606f, -1.407606f, -0.407606f, -2.407606f, -1.407606f, -0.407606f});
}

TEST(Softmax, TakesAllTrailingDimensionsTogether) {
  Tensor x = Tensor::of<float>({2, 2, 2}, {0, 0, 0, 0, 0, 0, 0, 0});
  expectTensor<float>(evaluate("nn.softmax", {x}, softmaxAttributes(1, true)), {2, 2, 2},
                      std::vector<float>(8, 0.25f));
  expectTensor<float>(evaluate("nn.softmax", {x}, softmaxAttributes(0, true)), {2, 2, 2},
                      std::vector<float>(8, 0.125f));
  expectTensor<float>(evaluate("nn.softmax", {x}, softmaxAttributes(3, true)), {2, 2, 2},
                      std::vector<float>(8, 1.0f));
}

TEST(Softmax, ServesExtremes) {
  Tensor x = Tensor::of<float>({2, 2}, {-INFINITY, 0, -INFINITY, -INFINITY});
  expectTensor<float>(evaluate("nn.softmax", {x}, softmaxAttributes(1)), {2, 2}, {0, 1, NAN, NAN});
  expectTensor<float>(evaluate("nn.softmax", {x}, softmaxAttributes(1, false, true)), {2, 2},
                      {-INFINITY, 0, NAN, NAN});
  expectTensor<float>(evaluate("nn.softmax", {Tensor::of<float>({2, 0}, {})}, softmaxAttributes(1)),
                      {2, 0}, {});
  EXPECT_EQ(evaluateError("nn.softmax", {x}, softmaxAttributes(2)).message(),
            "axis 2 is out of range for rank 2");
}

static Tensor arg(const std::string &kind, const Tensor &x, int64_t axis, bool keepDims = false,
                  bool last = false) {
  return evaluate("nn.arg_reduce", {x},
                  makeAttributes({{"kind", numberOf<ReduceKind>(kind)},
                                  {"axis", axis},
                                  {"keepdims", int64_t(keepDims)},
                                  {"select_last_index", int64_t(last)}}));
}

TEST(ArgReduce, FindsTheFirstOrTheLast) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 3, 3, 2, 2, 1});
  expectTensor<int64_t>(arg("max", x, 1), {2}, {1, 0});
  expectTensor<int64_t>(arg("max", x, -1, true, true), {2, 1}, {2, 1});
  expectTensor<int64_t>(arg("min", x, 0), {3}, {0, 1, 1});
  expectTensor<int64_t>(arg("min", x, 0, true), {1, 3}, {0, 1, 1});
}

TEST(ArgReduce, FindsNaN) {
  Tensor x = Tensor::of<float>({4}, {5, NAN, 7, NAN});
  expectTensor<int64_t>(arg("max", x, 0), {}, {1});
  expectTensor<int64_t>(arg("min", x, 0), {}, {1});
  expectTensor<int64_t>(arg("max", x, 0, false, true), {}, {3});
}

TEST(ArgReduce, RefusesAnEmptyDimension) {
  EXPECT_EQ(evaluateError("nn.arg_reduce", {Tensor::of<float>({2, 0}, {})},
                          makeAttributes({{"axis", int64_t(1)}}))
                .message(),
            "dimension 1 is empty");
  expectTensor<int64_t>(arg("max", Tensor::of<float>({0, 2}, {}), 1), {0}, {});
}
