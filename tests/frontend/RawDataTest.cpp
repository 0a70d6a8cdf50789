//===- RawDataTest.cpp - the raw_data of tensors, left where it lies ------===//
#include "frontend/onnx/RawData.h"

#include "frontend/onnx/OnnxReader.h"
#include "tests/frontend/ModelBuilder.h"

#include <random>

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;

namespace {
/// Parses bytes that the caller keeps.
Expected<ParsedModel> parseInPlace(const std::string &bytes) {
  auto keptByCaller = std::make_shared<int>();
  return readModelBytes({std::as_bytes(std::span(bytes)), keptByCaller}, Limits());
}

std::string rawText(const proto::TensorProto &tensor, const SourceBytes &source) {
  std::span<const std::byte> raw = rawDataOf(tensor, source);
  return {reinterpret_cast<const char *>(raw.data()), raw.size()};
}

/// The message with every raw_data back in its place.
void restore(google::protobuf::Message &message, const SourceBytes &source) {
  if (auto *tensor = dynamic_cast<proto::TensorProto *>(&message)) {
    if (!tensor->raw_data().empty())
      tensor->set_raw_data(rawText(*tensor, source));
    return;
  }
  const google::protobuf::Reflection *reflection = message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor *> fields;
  reflection->ListFields(message, &fields);
  for (const auto *field : fields) {
    if (!field->message_type())
      continue;
    if (!field->is_repeated()) {
      restore(*reflection->MutableMessage(&message, field), source);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i)
      restore(*reflection->MutableRepeatedMessage(&message, field, i), source);
  }
}

/// A model with tensors wherever there can be some.
ModelBuilder modelOfTensors() {
  ModelBuilder b;
  b.input("x", {1, 2}).output("y");
  b.graph().add_initializer()->set_raw_data("initializer");
  b.graph().add_initializer()->set_raw_data(std::string(300, 'z'));
  b.graph().add_initializer()->add_float_data(1);
  b.graph().add_sparse_initializer()->mutable_values()->set_raw_data("sparse");
  b.node("Constant", {}, {"c"});
  b.attribute("value", proto::AttributeProto::TENSOR).mutable_t()->set_raw_data("v");
  b.node("If", {"c"}, {"y"});
  auto &branch = *b.attribute("then_branch", proto::AttributeProto::GRAPH).mutable_g();
  branch.add_initializer()->set_raw_data("nested");
  auto &list = *branch.add_node()->add_attribute();
  list.add_tensors()->set_raw_data("of a list");
  list.add_graphs()->add_initializer()->set_raw_data("deeper");
  b.model.add_functions()->add_node()->add_attribute()->mutable_t()->set_raw_data("function");
  return b;
}

std::string tag(int field, int wireType) { return {static_cast<char>(field << 3 | wireType)}; }
std::string lengthDelimited(int field, const std::string &content) {
  return tag(field, 2) + static_cast<char>(content.size()) + content;
}
/// A model whose graph has one initializer with these bytes.
std::string modelOfInitializer(const std::string &tensor) {
  return lengthDelimited(7, lengthDelimited(5, tensor));
}
} // namespace

TEST(RawData, IsFoundWhereverTensorsAre) {
  ModelBuilder b = modelOfTensors();
  std::string bytes = b.bytes();
  auto parsed = parseInPlace(bytes);
  ASSERT_TRUE(parsed) << parsed.status().message();
  EXPECT_EQ(rawText((*parsed)->graph().initializer(0), parsed->source), "initializer");
  const proto::TensorProto &value = (*parsed)->graph().node(0).attribute(0).t();
  EXPECT_EQ(rawText(value, parsed->source), "v");

  proto::ModelProto restored = **parsed;
  restore(restored, parsed->source);
  EXPECT_EQ(restored.SerializeAsString(), bytes);
}

TEST(RawData, IsNotCopied) {
  ModelBuilder b;
  b.initializer("w", Tensor::of<float>({4}, {1, 2, 3, 4}));
  std::string bytes = b.bytes();
  auto parsed = parseInPlace(bytes);
  ASSERT_TRUE(parsed);
  auto raw = rawDataOf((*parsed)->graph().initializer(0), parsed->source);
  const auto *at = reinterpret_cast<const char *>(raw.data());
  EXPECT_EQ(raw.size(), 16u);
  EXPECT_TRUE(at >= bytes.data() && at + raw.size() <= bytes.data() + bytes.size());
}

TEST(RawData, IsTheFieldOfAMessageThatWasBuilt) {
  proto::TensorProto tensor;
  tensor.set_raw_data("abc");
  EXPECT_EQ(rawText(tensor, SourceBytes()), "abc");
}

// Protobuf merges a message that comes twice; the last raw_data holds.
TEST(RawData, LastOfSeveralHolds) {
  std::string bytes =
      modelOfInitializer(lengthDelimited(9, "first") + lengthDelimited(9, "the last"));
  auto parsed = parseInPlace(bytes);
  ASSERT_TRUE(parsed) << parsed.status().message();
  EXPECT_EQ(rawText((*parsed)->graph().initializer(0), parsed->source), "the last");
}

// A file cannot bring references of its own: bytes that look like one are data.
TEST(RawData, BytesLikeAReferenceAreData) {
  std::string forged(16, '\xff');
  std::string bytes = modelOfInitializer(lengthDelimited(9, forged));
  auto parsed = parseInPlace(bytes);
  ASSERT_TRUE(parsed) << parsed.status().message();
  EXPECT_EQ(rawText((*parsed)->graph().initializer(0), parsed->source), forged);
}

TEST(RawData, FieldsOfAnotherWireTypeAreNone) {
  // Field 9 as a varint, and a group around a field 9.
  std::string group = tag(12, 3) + lengthDelimited(9, "in a group") + tag(12, 4);
  std::string bytes = modelOfInitializer(tag(9, 0) + "\x05" + group + lengthDelimited(9, "data"));
  auto parsed = parseInPlace(bytes);
  ASSERT_TRUE(parsed) << parsed.status().message();
  EXPECT_EQ(rawText((*parsed)->graph().initializer(0), parsed->source), "data");
}

TEST(RawData, DamagedMessagesAreRefused) {
  const std::string damaged[] = {
      modelOfInitializer(tag(9, 2) + "\x7f" + "too short"),
      modelOfInitializer(tag(9, 2) + "\xff\xff\xff\xff\x0f"),
      modelOfInitializer(tag(9, 2) + "\xff\xff\xff\xff\xff\x0f"),
      modelOfInitializer(tag(12, 3) + lengthDelimited(9, "open group")),
      modelOfInitializer(tag(12, 3) + tag(11, 4)),
      modelOfInitializer(tag(12, 4)),
      modelOfInitializer(tag(9, 6)),
      modelOfInitializer(std::string(1, '\0')),
  };
  for (const std::string &bytes : damaged) {
    auto parsed = parseInPlace(bytes);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.status().code(), StatusCode::InvalidModel);
    expectContains(parsed.status().message(), "no valid protobuf message");
  }
}

TEST(RawData, NestingIsBounded) {
  std::string groups = std::string(5000, tag(12, 3)[0]);
  EXPECT_FALSE(parseInPlace(modelOfInitializer(groups.substr(0, 100))));
  proto::GraphProto graph;
  graph.add_initializer()->set_raw_data("x");
  for (int i = 0; i < 600; ++i) { // three messages each
    proto::GraphProto outer;
    outer.add_node()->add_attribute()->mutable_g()->Swap(&graph);
    graph.Swap(&outer);
  }
  ModelBuilder b;
  b.graph().Swap(&graph);
  auto parsed = parseInPlace(b.bytes());
  ASSERT_FALSE(parsed);
  expectContains(parsed.status().message(), "nested deeper");
}

// What the parser makes of damaged bytes is the same with and without the walk.
TEST(RawData, AgreesWithTheParserOnDamage) {
  std::string whole = modelOfTensors().bytes();
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = whole;
    for (size_t n = random() % 3 + 1; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    auto parsed = parseInPlace(bytes);
    proto::ModelProto plain;
    bool valid = plain.ParseFromString(bytes);
    ASSERT_EQ(parsed.isOk(), valid) << "damage " << i;
    if (!valid)
      continue;
    proto::ModelProto restored = **parsed;
    restore(restored, parsed->source);
    EXPECT_EQ(restored.SerializeAsString(), plain.SerializeAsString());
  }
}
