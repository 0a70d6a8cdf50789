//===- ElementwiseTest.cpp - broadcasting and types of elementwise ops ----===//
#include "tests/reference/KernelCall.h"

#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::reference;

// Rows as ElementwiseOps.td would make them.
static const ScalarFunctions kSub = {
    .onFloat = [](const Scalar *x, const double *) { return Scalar{.f = x[0].f - x[1].f}; },
    .onSigned = [](const Scalar *x, const double *) { return Scalar{.i = x[0].i - x[1].i}; },
    .onUnsigned = [](const Scalar *x, const double *) { return Scalar{.u = x[0].u - x[1].u}; }};
static const ScalarFunctions kLess = {
    .onFloat = [](const Scalar *x, const double *) { return Scalar{.u = x[0].f < x[1].f}; },
    .onSigned = [](const Scalar *x, const double *) { return Scalar{.u = x[0].i < x[1].i}; }};
static const ScalarFunctions kEqual = {
    .onUnsigned = [](const Scalar *x, const double *) { return Scalar{.u = x[0].u == x[1].u}; }};
static const ScalarFunctions kWhere = {
    .onFloat = [](const Scalar *x, const double *) { return x[0].f != 0 ? x[1] : x[2]; },
    .onSigned = [](const Scalar *x, const double *) { return x[0].i != 0 ? x[1] : x[2]; },
    .onUnsigned = [](const Scalar *x, const double *) { return x[0].u != 0 ? x[1] : x[2]; },
    .onBool = [](const Scalar *x, const double *) { return x[0].u != 0 ? x[1] : x[2]; }};
static const ScalarFunctions kScale = {.onFloat = [](const Scalar *x, const double *params) {
  return Scalar{.f = params[0] * x[0].f};
}};

static Expected<std::vector<Tensor>> apply(const ScalarFunctions &functions,
                                           const std::vector<Tensor> &inputs, DType resultType,
                                           std::string_view opName = "nn.test",
                                           const std::vector<double> &params = {}) {
  Attributes none;
  Limits limits;
  Budget budget(limits);
  return evaluateElementwise({opName, none, inputs, {&resultType, 1}, budget}, functions, params);
}

static Tensor applied(const ScalarFunctions &functions, const std::vector<Tensor> &inputs,
                      DType resultType, std::string_view opName = "nn.test") {
  auto results = apply(functions, inputs, resultType, opName);
  EXPECT_TRUE(results) << results.status().message();
  return results ? (*results)[0] : Tensor();
}

static Tensor strings(Tensor::Dims dims, const std::vector<std::string> &values) {
  Tensor tensor = Tensor::allocate(DType::String, std::move(dims)).take();
  std::copy(values.begin(), values.end(), tensor.mutableData<std::string>());
  return tensor;
}

TEST(Elementwise, BroadcastsAsNumPyDoes) {
  Tensor a = Tensor::of<float>({2, 1, 2}, {1, 2, 3, 4}),
         b = Tensor::of<float>({3, 1}, {1, 10, 100});
  expectTensor<float>(applied(kSub, {a, b}, DType::Float32), {2, 3, 2},
                      {0, 1, -9, -8, -99, -98, 2, 3, -7, -6, -97, -96});
  Tensor scalar = Tensor::of<float>({}, {1});
  expectTensor<float>(applied(kSub, {scalar, b}, DType::Float32), {3, 1}, {0, -9, -99});
  expectTensor<float>(applied(kSub, {scalar, scalar}, DType::Float32), {}, {0});
}

TEST(Elementwise, ServesEmptyTensors) {
  Tensor empty = Tensor::of<float>({2, 0}, {}), one = Tensor::of<float>({2, 1}, {1, 2});
  expectTensor<float>(applied(kSub, {empty, one}, DType::Float32), {2, 0}, {});
}

TEST(Elementwise, ComputesRowsLongerThanAChunk) {
  std::vector<int32_t> ramp(2000), wanted(2000);
  std::iota(ramp.begin(), ramp.end(), 0);
  for (size_t i = 0; i < ramp.size(); ++i)
    wanted[i] = ramp[i] - (i < 1000 ? 5 : 7);
  Tensor a = Tensor::of<int32_t>({2, 1000}, ramp), b = Tensor::of<int32_t>({2, 1}, {5, 7});
  expectTensor<int32_t>(applied(kSub, {a, b}, DType::Int32), {2, 1000}, wanted);
}

TEST(Elementwise, WrapsIntegersOfEveryWidth) {
  auto subtract = [](Tensor a, Tensor b) { return applied(kSub, {a, b}, a.dtype()); };
  expectTensor<int8_t>(subtract(Tensor::of<int8_t>({1}, {-128}), Tensor::of<int8_t>({1}, {1})), {1},
                       {127});
  expectTensor<uint16_t>(subtract(Tensor::of<uint16_t>({1}, {0}), Tensor::of<uint16_t>({1}, {1})),
                         {1}, {65535});
  expectTensor<int64_t>(
      subtract(Tensor::of<int64_t>({1}, {INT64_MIN}), Tensor::of<int64_t>({1}, {1})), {1},
      {INT64_MAX});
  expectTensor<uint64_t>(subtract(Tensor::of<uint64_t>({1}, {0}), Tensor::of<uint64_t>({1}, {1})),
                         {1}, {UINT64_MAX});
}

TEST(Elementwise, RoundsNarrowFloats) {
  Tensor a = Tensor::of<BFloat16>({1}, {BFloat16(1.0f)}),
         b = Tensor::of<BFloat16>({1}, {BFloat16(0x1p-10f)});
  // 1 - 2^-10 lies nearer to 1 than to the next smaller bfloat16, 1 - 2^-8.
  Tensor result = applied(kSub, {a, b}, DType::BFloat16);
  EXPECT_EQ(static_cast<float>(result.data<BFloat16>()[0]), 1.0f);
  Tensor big = Tensor::of<Float16>({1}, {Float16(65504.0f)}),
         minus = Tensor::of<Float16>({1}, {Float16(-65504.0f)});
  EXPECT_TRUE(std::isinf(
      static_cast<float>(applied(kSub, {big, minus}, DType::Float16).data<Float16>()[0])));
}

TEST(Elementwise, GivesBoolForComparisons) {
  Tensor a = Tensor::of<float>({3}, {1, NAN, 3}), b = Tensor::of<float>({}, {2});
  expectTensor<bool>(applied(kLess, {a, b}, DType::Bool), {3}, {true, false, false});
}

TEST(Elementwise, PassesParameters) {
  auto results =
      apply(kScale, {Tensor::of<double>({2}, {1, -2})}, DType::Float64, "nn.test", {0.1});
  ASSERT_TRUE(results);
  expectTensor<double>((*results)[0], {2}, {0.1, -0.2});
}

TEST(Elementwise, SelectsDataOfAnyTypeByABoolCondition) {
  Tensor condition = Tensor::of<bool>({2, 1}, {true, false});
  auto select = [&](Tensor a, Tensor b) {
    return applied(kWhere, {condition, a, b}, a.dtype(), "nn.where");
  };
  expectTensor<float>(select(Tensor::of<float>({2}, {1, 2}), Tensor::of<float>({2}, {3, NAN})),
                      {2, 2}, {1, 2, 3, NAN});
  expectTensor<int8_t>(select(Tensor::of<int8_t>({2}, {1, 2}), Tensor::of<int8_t>({2}, {3, 4})),
                       {2, 2}, {1, 2, 3, 4});
  expectTensor<bool>(select(Tensor::of<bool>({1}, {true}), Tensor::of<bool>({1}, {false})), {2, 1},
                     {true, false});
  Tensor text = select(strings({2}, {"a", "b"}), strings({}, {"c"}));
  EXPECT_EQ(text.dims(), (Tensor::Dims{2, 2}));
  EXPECT_EQ(elementsOf<std::string>(text), (std::vector<std::string>{"a", "b", "c", "c"}));
}

TEST(Elementwise, ComparesStrings) {
  Tensor a = strings({2}, {"x", "y"}), b = strings({2}, {"x", "z"});
  expectTensor<bool>(applied(kEqual, {a, b}, DType::Bool, "nn.equal"), {2}, {true, false});
  EXPECT_EQ(apply(kSub, {a, b}, DType::String).status().message(),
            "element type string is not supported");
}

TEST(Elementwise, RefusesWhatTheRowDoesNotServe) {
  Tensor i = Tensor::of<int32_t>({1}, {1}), f = Tensor::of<float>({1}, {1});
  EXPECT_EQ(apply(kScale, {i}, DType::Int32).status().code(), StatusCode::Unsupported);
  EXPECT_EQ(apply(kSub, {i, f}, DType::Float32).status().message(),
            "operand types int32 and float32 differ");
  EXPECT_EQ(apply(kSub, {f, f}, DType::Int32).status().message(),
            "result type int32 does not follow from operand type float32");
  Tensor three = Tensor::of<float>({3}, {1, 2, 3}), two = Tensor::of<float>({2}, {1, 2});
  EXPECT_EQ(apply(kSub, {three, two}, DType::Float32).status().message(),
            "shapes 3 and 2 do not broadcast");
}
