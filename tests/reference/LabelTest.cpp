//===- LabelTest.cpp - labels, and maps from them, by hand ----------------===//
#include "runtime/reference/ValueEvaluator.h"
#include "tests/reference/KernelCall.h"

#include <limits>

using namespace quern;
using namespace quern::reference;
using Strings = std::vector<std::string>;

static Tensor strings(const Strings &values) {
  Tensor tensor = Tensor::allocate(DType::String, {static_cast<int64_t>(values.size())}).take();
  std::copy(values.begin(), values.end(), tensor.mutableData<std::string>());
  return tensor;
}

static Expected<std::vector<Tensor>> lookup(const std::vector<Tensor> &operands) {
  return evaluateAll("nn.lookup", operands, {}, {operands[2].dtype()});
}

static Expected<std::vector<AnyValue>>
onValues(const char *opName, const std::vector<AnyValue> &operands, const Limits &limits = {}) {
  Budget budget(limits);
  Attributes attributes;
  return findValueEvaluator(opName)({opName, attributes, operands, {}, budget});
}

TEST(Label, LookupTakesTheLastOfEqualKeys) {
  Tensor keys = strings({"b", "a", "b"}), values = Tensor::ofInts({1, 2, 3});
  Tensor x = strings({"a", "b", "c", "b"}), otherwise = Tensor::ofInts({-1});
  auto found = lookup({x, keys, values, otherwise});
  ASSERT_TRUE(found) << found.status().message();
  expectTensor<int64_t>((*found)[0], {4}, {2, 3, -1, 3});
  EXPECT_EQ(lookup({x, keys, values, Tensor()}).status().message(), "'c' is none of the 3 keys");
  auto back = lookup({Tensor::of<int64_t>({2, 1}, {3, 9}), values, keys, strings({"?"})});
  ASSERT_TRUE(back) << back.status().message();
  EXPECT_EQ((*back)[0].dims(), (Tensor::Dims{2, 1}));
  EXPECT_EQ(elementsOf<std::string>((*back)[0]), (Strings{"b", "?"}));
}

TEST(Label, LookupFindsNaNAndZero) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  Tensor x = Tensor::of<float>({4}, {-nan, -0.0f, 1, -3});
  Tensor keys = Tensor::of<float>({3}, {nan, 0, -3}), values = Tensor::of<float>({3}, {7, 8, 9});
  auto found = lookup({x, keys, values, Tensor::of<float>({}, {5})});
  ASSERT_TRUE(found) << found.status().message();
  expectTensor<float>((*found)[0], {4}, {7, 8, 5, 9});
  EXPECT_EQ(lookup({x, keys, Tensor::of<float>({2}, {7, 8}), Tensor()}).status().message(),
            "keys float32 3 and values float32 2 do not fit input float32 4");
  // No keys at all.
  Tensor none = Tensor::of<float>({0}, {});
  found = lookup({x, none, none, Tensor::of<float>({}, {5})});
  ASSERT_TRUE(found) << found.status().message();
  expectTensor<float>((*found)[0], {4}, {5, 5, 5, 5});
}

TEST(Label, CouplesPairs) {
  // Of two classes the pair is the answer; what is consistent stays what it is.
  Tensor two = Tensor::of<float>({1, 2, 2}, {0, 0.8f, 0.2f, 0});
  Tensor found = evaluate("nn.couple_pairs", {two});
  ASSERT_EQ(found.dims(), (Tensor::Dims{1, 2}));
  EXPECT_NEAR(found.data<float>()[0], 0.8, 0.005);
  // p = 0.5, 0.3, 0.2
  Tensor three =
      Tensor::of<float>({1, 3, 3}, {0, 0.625f, 5 / 7.0f, 0.375f, 0, 0.6f, 2 / 7.0f, 0.4f, 0});
  found = evaluate("nn.couple_pairs", {three});
  EXPECT_NEAR(found.data<float>()[0], 0.5, 0.01);
  EXPECT_NEAR(found.data<float>()[1], 0.3, 0.01);
  EXPECT_NEAR(found.data<float>()[2], 0.2, 0.01);
  EXPECT_EQ(evaluateError("nn.couple_pairs", {Tensor::of<float>({1, 1, 2}, {0, 0})}).message(),
            "pairs must be [rows, classes, classes], found float32 1x1x2");
}

TEST(Label, ZipMapMakesAMapOfEachRow) {
  Tensor x = Tensor::of<float>({2, 2}, {0.25f, 0.75f, 1, 0});
  auto found = onValues("nn.zip_map", {x, strings({"no", "yes"})});
  ASSERT_TRUE(found) << found.status().message();
  x.mutableData<float>()[0] = 9; // what has been made keeps its elements
  const SequenceValue *sequence = (*found)[0].asSequence();
  ASSERT_TRUE(sequence && sequence->elements.size() == 2);
  EXPECT_EQ(sequence->elementType.describe(), "map from string to float32 scalar");
  const MapValue *map = sequence->elements[0].asMap();
  ASSERT_TRUE(map);
  EXPECT_EQ(elementsOf<std::string>(map->keys), (Strings{"no", "yes"}));
  ASSERT_TRUE(map->values[0].asTensor() && map->values[1].asTensor());
  expectTensor<float>(*map->values[0].asTensor(), {}, {0.25f});
  expectTensor<float>(*map->values[1].asTensor(), {}, {0.75f});
  EXPECT_EQ(onValues("nn.zip_map", {x, strings({"no"})}).status().message(),
            "keys string 1 do not fit input float32 2x2");
}

TEST(Label, MapEntriesAreSorted) {
  auto scalar = [](double value) { return AnyValue(Tensor::of<double>({}, {value})); };
  ValueType valueType = ValueType::tensor(DType::Float64, PortShape());
  AnyValue map =
      AnyValue::map(Tensor::ofInts({5, -1, 3}), valueType, {scalar(50), scalar(-10), scalar(30)})
          .take();
  auto found = onValues("nn.map_entries", {map});
  ASSERT_TRUE(found) << found.status().message();
  expectTensor<int64_t>(*(*found)[0].asTensor(), {3}, {-1, 3, 5});
  expectTensor<double>(*(*found)[1].asTensor(), {3}, {-10, 30, 50});
  EXPECT_EQ(onValues("nn.map_entries", {scalar(1)}).status().message(),
            "the operand must be a map, found float64 scalar");
}

TEST(Label, KernelsOfValuesKeepToTheBudget) {
  std::atomic<bool> cancelled = true;
  Budget budget(Limits(), &cancelled);
  Attributes attributes;
  Tensor x = Tensor::allocate(DType::Float32, {100000, 10}).take();
  Tensor keys = Tensor::allocate(DType::Int64, {10}).take();
  std::vector<AnyValue> zip = {x, keys};
  EXPECT_EQ(
      findValueEvaluator("nn.zip_map")({"nn.zip_map", attributes, zip, {}, budget}).status().code(),
      StatusCode::Cancelled);
  std::vector<AnyValue> values(200000, AnyValue(Tensor::of<float>({}, {1})));
  std::vector<AnyValue> map = {AnyValue::map(Tensor::allocate(DType::Int64, {200000}).take(),
                                             ValueType::tensor(DType::Float32, PortShape()), values)
                                   .take()};
  EXPECT_EQ(findValueEvaluator("nn.map_entries")({"nn.map_entries", attributes, map, {}, budget})
                .status()
                .code(),
            StatusCode::Cancelled);
}
