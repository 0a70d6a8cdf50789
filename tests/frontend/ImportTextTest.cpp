//===- ImportTextTest.cpp - strings, selections and images of ONNX --------===//
#include "tests/frontend/RunModel.h"

using namespace quern;
using namespace quern::onnx;
using namespace quern::onnx::test;
using proto::AttributeProto;
using Strings = std::vector<std::string>;

namespace {
constexpr StatusCode kInvalid = StatusCode::InvalidModel;

Tensor strings(const Strings &values) {
  Tensor tensor = Tensor::allocate(DType::String, {static_cast<int64_t>(values.size())}).take();
  std::copy(values.begin(), values.end(), tensor.mutableData<std::string>());
  return tensor;
}

Strings stringsOf(const Tensor &tensor) {
  auto elements = tensor.elementsAs<std::string>();
  return {elements.begin(), elements.end()};
}

void addStrings(ModelBuilder &b, const char *name, const Strings &values) {
  AttributeProto &attribute = b.attribute(name, AttributeProto::STRINGS);
  for (const std::string &value : values)
    attribute.add_strings(value);
}

ModelBuilder &outputs(ModelBuilder &b, std::initializer_list<const char *> names) {
  for (const char *name : names)
    b.graph().add_output()->set_name(name);
  return b;
}
} // namespace

TEST(ImportText, StringNormalizer) {
  ModelBuilder b(10);
  b.input("x", {3}, DType::String).node("StringNormalizer", {"x"}, {"y"});
  b.attr("case_change_action", "UPPER").attr("locale", "en_US");
  addStrings(b, "stopwords", {"Monday"});
  outputs(b, {"y"});
  EXPECT_EQ(stringsOf(run(b, {strings({"monday", "a", "Monday"})})[0]), (Strings{"A"}));
  b.attr("is_case_sensitive", int64_t{1});
  EXPECT_EQ(stringsOf(run(b, {strings({"monday", "a", "Monday"})})[0]), (Strings{"MONDAY", "A"}));
}

TEST(ImportText, SplitConcatAndMatch) {
  ModelBuilder b(20);
  b.input("x", {2}, DType::String).input("z", {1}, DType::String);
  b.node("StringConcat", {"x", "z"}, {"c"});
  b.node("StringSplit", {"c"}, {"p", "n"}).attr("delimiter", "-").attr("maxsplit", int64_t{1});
  b.node("RegexFullMatch", {"c"}, {"m"}).attr("pattern", "[a-c-]*");
  outputs(b, {"p", "n", "m"});
  std::vector<Tensor> results = run(b, {strings({"a-b-c", "d"}), strings({"-"})});
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(stringsOf(results[0]), (Strings{"a", "b-c-", "d", ""}));
  EXPECT_EQ(results[0].dims(), (Tensor::Dims{2, 2}));
  EXPECT_EQ(results[1].data<int64_t>()[1], 2);
  EXPECT_TRUE(results[2].data<bool>()[0]);
  EXPECT_FALSE(results[2].data<bool>()[1]);
}

TEST(ImportText, TfIdfVectorizer) {
  ModelBuilder b(9);
  b.input("x", {4}, DType::String).node("TfIdfVectorizer", {"x"}, {"y"});
  b.attr("mode", "IDF").attr("min_gram_length", int64_t{1}).attr("max_gram_length", int64_t{1});
  b.attr("max_skip_count", int64_t{0}).attr("ngram_counts", std::vector<int64_t>{0});
  b.attr("ngram_indexes", std::vector<int64_t>{1, 0});
  addStrings(b, "pool_strings", {"a", "b"});
  AttributeProto &weights = b.attribute("weights", AttributeProto::FLOATS);
  weights.add_floats(3);
  weights.add_floats(0.5);
  outputs(b, {"y"});
  expectFloats(run(b, {strings({"a", "c", "a", "d"})})[0], {2}, {0, 3});
  ModelBuilder none(9);
  none.input("x", {4}, DType::String).node("TfIdfVectorizer", {"x"}, {"y"});
  outputs(none, {"y"});
  expectError(none, kInvalid,
              {"'y_node'", "wanted one of the attributes 'pool_int64s' and 'pool_strings'"});
}

TEST(ImportText, TokenizerIsRefusedByName) {
  ModelBuilder b(13);
  b.input("x", {2}, DType::String).node("Tokenizer", {"x"}, {"y"}).domain("com.microsoft");
  outputs(b, {"y"});
  expectError(b, StatusCode::Unsupported, {"com.microsoft.Tokenizer (opset 1, 1 node"});
}

TEST(ImportSelection, NonMaxSuppression) {
  ModelBuilder b(11);
  b.input("b", {1, 2, 4}).input("s", {1, 1, 2});
  b.ints("m", {2}).node("NonMaxSuppression", {"b", "s", "m"}, {"y"});
  outputs(b, {"y"});
  Tensor boxes = Tensor::of<float>({1, 2, 4}, {0, 0, 1, 1, 0, 0, 1, 2});
  std::vector<Tensor> results = run(b, {boxes, Tensor::of<float>({1, 1, 2}, {1, 2})});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].describe(), "int64 1x3") << "any overlap is above the threshold of 0";
  EXPECT_EQ(results[0].data<int64_t>()[2], 1);
}

TEST(ImportSelection, Unique) {
  ModelBuilder b(11);
  b.input("x", {2, 2}).node("Unique", {"x"}, {"y", "", "i"});
  b.attr("axis", int64_t{-1}).attr("sorted", int64_t{0});
  outputs(b, {"y", "i"});
  std::vector<Tensor> results = run(b, {Tensor::of<float>({2, 2}, {3, 3, 1, 1})});
  ASSERT_EQ(results.size(), 2u);
  expectFloats(results[0], {2, 1}, {3, 1});
  EXPECT_EQ(results[1].describe(), "int64 2");
}

TEST(ImportImage, ImageDecoder) {
  ModelBuilder b(20);
  b.input("x", {-1}, DType::UInt8).node("ImageDecoder", {"x"}, {"y"}).attr("pixel_format", "BGR");
  outputs(b, {"y"});
  std::string file = "P6 1 1 255 abc";
  std::vector<uint8_t> bytes(file.begin(), file.end());
  std::vector<Tensor> results =
      run(b, {Tensor::of<uint8_t>({static_cast<int64_t>(bytes.size())}, bytes)});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].data<uint8_t>()[0], 'c');
  ModelBuilder wrong(20);
  wrong.input("x", {-1}, DType::UInt8).node("ImageDecoder", {"x"}, {"y"});
  wrong.attr("pixel_format", "CMYK");
  outputs(wrong, {"y"});
  expectError(wrong, kInvalid,
              {"'y_node'", "pixel_format must be RGB, BGR or Grayscale, found CMYK"});
}
