//===- ValueDataTest.cpp - sequences, optionals and maps in .pb files -----===//
#include "frontend/onnx/ValueData.h"

#include "frontend/onnx/OnnxProto.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace quern;
using quern::onnx::readValueFile;
using quern::onnx::serializeValue;
namespace proto = quern::onnx::proto;
namespace fs = std::filesystem;

namespace {
const ValueType kFloats = ValueType::tensor(DType::Float32);
const ValueType kStrings = ValueType::tensor(DType::String);

class ValueData : public testing::Test {
protected:
  Expected<AnyValue> read(const std::string &bytes, const ValueType &type,
                          const Limits &limits = {}) {
    std::ofstream(path, std::ios::binary) << bytes;
    return readValueFile(path, type, limits);
  }
  /// Of a value that is written and read.
  std::string roundTrip(const AnyValue &value, const ValueType &type) {
    auto bytes = serializeValue(value, "v");
    EXPECT_TRUE(bytes) << bytes.status().message();
    auto again = read(bytes.take(), type);
    EXPECT_TRUE(again) << again.status().message();
    if (!again)
      return again.status().message();
    EXPECT_EQ(*serializeValue(*again, "v"), *serializeValue(value, "v"));
    return again->describe();
  }
  void TearDown() override { fs::remove(path); }

  std::string path =
      fs::temp_directory_path() / ("quern-value-" + std::to_string(::getpid()) + ".pb");
};

Tensor floats(std::vector<float> values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}
Tensor strings(const std::vector<std::string> &values) {
  Tensor tensor = Tensor::allocate(DType::String, {static_cast<int64_t>(values.size())}).take();
  std::copy(values.begin(), values.end(), tensor.mutableData<std::string>());
  return tensor;
}
AnyValue sequenceOf(const ValueType &type, std::vector<AnyValue> values) {
  return AnyValue::sequence(type, std::move(values)).take();
}
} // namespace

TEST_F(ValueData, AllKindsAreReadAsTheyWereWritten) {
  AnyValue sequence = sequenceOf(kFloats, {floats({1, 2}), floats({})});
  ValueType type = ValueType::sequenceOf(kFloats);
  EXPECT_EQ(roundTrip(floats({1}), kFloats), "float32 1");
  EXPECT_EQ(roundTrip(sequence, type), "sequence of 2 values");
  EXPECT_EQ(roundTrip(sequenceOf(kStrings, {strings({"a", "b"})}), ValueType::sequenceOf(kStrings)),
            "sequence of 1 value");
  EXPECT_EQ(roundTrip(AnyValue::optional(type, sequence).take(), ValueType::optionalOf(type)),
            "optional sequence of 2 values");
  EXPECT_EQ(roundTrip(AnyValue::optional(type, {}).take(), ValueType::optionalOf(type)),
            "empty optional");
  ValueType map = ValueType::mapOf(DType::String, kFloats);
  AnyValue named = AnyValue::map(strings({"k"}), kFloats, {floats({3})}).take();
  EXPECT_EQ(roundTrip(named, map), "map of 1 value");
  EXPECT_EQ(roundTrip(sequenceOf(map, {named, named}), ValueType::sequenceOf(map)),
            "sequence of 2 values");
  EXPECT_EQ(roundTrip(AnyValue::map(Tensor::ofInts({7}), type, {sequence}).take(),
                      ValueType::mapOf(DType::Int64, type)),
            "map of 1 value");
  EXPECT_EQ(roundTrip(sequenceOf(type, {sequence}), ValueType::sequenceOf(type)),
            "sequence of 1 value");
}

TEST_F(ValueData, NibblesArePacked) {
  Tensor nibbles = Tensor::allocate(DType::Int4, {3}).take();
  int8_t *elements = static_cast<int8_t *>(nibbles.mutableRawData());
  elements[0] = -8, elements[1] = 7, elements[2] = -1;
  auto again = read(*serializeValue(nibbles, "v"), ValueType::tensor(DType::Int4));
  ASSERT_TRUE(again) << again.status().message();
  auto *found = static_cast<const int8_t *>(again->asTensor()->rawData());
  EXPECT_EQ(found[0], -8);
  EXPECT_EQ(found[1], 7);
  EXPECT_EQ(found[2], -1);
}

TEST_F(ValueData, OtherValuesAreRefused) {
  AnyValue sequence = sequenceOf(kFloats, {floats({1, 2})});
  std::string bytes = *serializeValue(sequence, "v");
  auto strings = read(bytes, ValueType::sequenceOf(kStrings));
  EXPECT_EQ(strings.status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(strings.status().message(),
            path + ": element 0 is float32 2, wanted string of any shape");
  auto nested = read(bytes, ValueType::sequenceOf(ValueType::sequenceOf(kFloats)));
  EXPECT_EQ(nested.status().message(), path + ": wanted a sequence of sequence of float32 of any "
                                              "shape, found values of kind tensor");
  EXPECT_FALSE(read("no message", ValueType::sequenceOf(kFloats)));
  proto::SequenceProto broken;
  broken.add_tensor_values()->set_data_type(1);
  broken.mutable_tensor_values(0)->add_dims(3);
  EXPECT_EQ(read(broken.SerializeAsString(), ValueType::sequenceOf(kFloats)).status().message(),
            path + ": value 0: holds 0 values, float32 3 needs 3");
  proto::OptionalProto optional;
  optional.mutable_sequence_value();
  EXPECT_EQ(read(optional.SerializeAsString(), ValueType::optionalOf(kFloats)).status().message(),
            path + ": wanted an optional float32 of any shape, found one of a sequence");
  proto::MapProto map;
  map.set_key_type(7);
  map.add_keys(1);
  EXPECT_FALSE(read(map.SerializeAsString(), ValueType::mapOf(DType::Int64, kFloats)));
}

TEST_F(ValueData, DepthIsLimited) {
  ValueType type = kFloats;
  AnyValue value = floats({1});
  for (int i = 0; i < 6; ++i) {
    value = sequenceOf(type, {value});
    type = ValueType::sequenceOf(type);
  }
  std::string bytes = *serializeValue(value, "v");
  EXPECT_TRUE(read(bytes, type));
  Limits limits;
  limits.maxNesting = 3;
  EXPECT_EQ(read(bytes, type, limits).status().code(), StatusCode::ResourceLimit);
}
