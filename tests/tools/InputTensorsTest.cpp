//===- InputTensorsTest.cpp -----------------------------------------------===//
#include "tools/quern/InputTensors.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::cli;

namespace {
const OutputStyle kQuiet = {.verbosity = -1, .color = "never", .jsonPath = {}};
const std::vector<PortSignature> kPorts = {
    {"a", DType::Float32, PortShape({PortDim::symbol("N"), 3})},
    {"b=c", DType::Int64, PortShape({PortDim::symbol("N"), PortDim()})}};

Expected<std::vector<AnyValue>> make(std::vector<std::string> given,
                                     MissingInputs missing = MissingInputs::Refuse,
                                     uint64_t seed = 0) {
  return makeInputs(kPorts, {.given = std::move(given), .seed = seed}, missing, kQuiet);
}

std::vector<float> floatsOf(const AnyValue &value) {
  const Tensor &t = *value.asTensor();
  return {t.data<float>(), t.data<float>() + t.numElements()};
}
} // namespace

TEST(InputTensors, RandomOnesDependOnTheSeedOnly) {
  auto inputs = make({"random"});
  ASSERT_TRUE(inputs) << inputs.status().message();
  EXPECT_EQ((*inputs)[0].describe(), "float32 1x3");
  EXPECT_EQ((*inputs)[1].describe(), "int64 1x1");
  EXPECT_EQ(floatsOf((*make({"random"}))[0]), floatsOf((*inputs)[0]));
  EXPECT_NE(floatsOf((*make({"random"}, MissingInputs::Refuse, 1))[0]), floatsOf((*inputs)[0]));
}

TEST(InputTensors, RandomValuesAreInRange) {
  Tensor floats = randomTensor(DType::Float32, {10'000}, 1, {}).take();
  double sum = 0;
  for (float v : floats.elementsAs<float>()) {
    EXPECT_GE(v, -1.0f);
    EXPECT_LT(v, 1.0f);
    sum += v;
  }
  EXPECT_LT(std::abs(sum / 10'000), 0.05);
  Tensor ints = randomTensor(DType::Int32, {1000}, 1, {}).take();
  int64_t ones = 0;
  for (int32_t v : ints.elementsAs<int32_t>()) {
    EXPECT_TRUE(v == 0 || v == 1);
    ones += v;
  }
  EXPECT_GT(ones, 400);
  EXPECT_LT(ones, 600);
}

TEST(InputTensors, NamesWithEqualsSigns) {
  auto inputs = make({"b=c=zeros", "a=random"});
  ASSERT_TRUE(inputs) << inputs.status().message();
  EXPECT_EQ((*inputs)[1].asTensor()->data<int64_t>()[0], 0);
}

TEST(InputTensors, MissingOnesAreNamed) {
  auto inputs = make({"a=zeros"});
  ASSERT_FALSE(inputs);
  EXPECT_EQ(inputs.status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(inputs.status().message(),
            "input 'b=c' (int64 Nx?) is not given; use --input b=c=FILE.npy, or --input random");
  EXPECT_TRUE(make({"a=zeros"}, MissingInputs::Random));
}

TEST(InputTensors, SizesOfMadeTensorsAreLimited) {
  std::vector<PortSignature> ports = {{"a", DType::Float32, PortShape({int64_t{1} << 40})}};
  auto inputs = makeInputs(ports, {.given = {"zeros"}}, MissingInputs::Refuse, kQuiet);
  ASSERT_FALSE(inputs);
  EXPECT_EQ(inputs.status().code(), StatusCode::ResourceLimit);
}

TEST(InputTensors, ValuesOfAllKindsAreMade) {
  ValueType floats = ValueType::tensor(DType::Float32, PortShape({2}));
  std::vector<PortSignature> ports = {
      {"s", ValueType::sequenceOf(floats)},
      {"o", ValueType::optionalOf(ValueType::sequenceOf(floats))},
      {"m", ValueType::mapOf(DType::String, ValueType::tensor(DType::Int64, PortShape()))},
      {"deep", ValueType::sequenceOf(ValueType::sequenceOf(floats))}};
  for (const char *filling : {"random", "zeros"}) {
    auto inputs = makeInputs(ports, {.given = {filling}}, MissingInputs::Refuse, kQuiet);
    ASSERT_TRUE(inputs) << inputs.status().message();
    EXPECT_EQ((*inputs)[0].describe(), "sequence of 2 values");
    EXPECT_EQ((*inputs)[1].describe(), "optional sequence of 2 values");
    EXPECT_EQ((*inputs)[2].describe(), "map of 1 value");
    EXPECT_EQ((*inputs)[3].describe(), "sequence of 1 value");
  }
  auto missing = makeInputs(ports, {}, MissingInputs::Refuse, kQuiet);
  EXPECT_EQ(missing.status().message(), "input 's' (sequence of float32 2) is not given; use "
                                        "--input s=FILE.pb, or --input random");
}
