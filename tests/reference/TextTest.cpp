//===- TextTest.cpp - kernels of ops on strings ---------------------------===//
#include "tests/reference/KernelCall.h"

using namespace quern;
using namespace quern::reference;
using Ints = std::vector<int64_t>;
using Strings = std::vector<std::string>;

namespace {
Tensor strings(const Strings &values) {
  return stringTensor({static_cast<int64_t>(values.size())}, values);
}

Attributes normalizing(const char *action, bool sensitive) {
  return makeAttributes(
      {{"case_action", std::string(action)}, {"case_sensitive", int64_t{sensitive}}});
}
} // namespace

TEST(Text, StringsAreConcatenatedWithBroadcasting) {
  Tensor left = stringTensor({2, 1}, {"a", "b"});
  expectStrings(evaluate("nn.string_concat", {left, strings({"x", "", "yz"})}), {2, 3},
                {"ax", "a", "ayz", "bx", "b", "byz"});
  EXPECT_FALSE(
      evaluateError("nn.string_concat", {strings({"a", "b"}), strings({"a", "b", "c"})}).isOk());
}

TEST(Text, StopWordsAreLeftOut) {
  Tensor words = strings({"Monday", "tuesday", "MONDAY"}), stop = strings({"monday"});
  expectStrings(evaluate("nn.string_normalize", {words, stop}, normalizing("NONE", false)), {1},
                {"tuesday"});
  expectStrings(evaluate("nn.string_normalize", {words, stop}, normalizing("UPPER", true)), {3},
                {"MONDAY", "TUESDAY", "MONDAY"});
  Tensor row = words.reshaped({1, 3});
  expectStrings(
      evaluate("nn.string_normalize", {row, strings({"Monday"})}, normalizing("LOWER", true)),
      {1, 2}, {"tuesday", "monday"});
  expectStrings(
      evaluate("nn.string_normalize", {strings({"a"}), strings({"A"})}, normalizing("NONE", false)),
      {1}, {""});
  EXPECT_EQ(evaluateError("nn.string_normalize", {words.reshaped({3, 1}), Tensor()},
                          normalizing("NONE", false))
                .message(),
            "input must have shape [C] or [1, C], found string 3x1");
}

TEST(Text, CasesAreThoseOfUnicode) {
  Tensor words = strings({"\xc3\x84pfel \xce\xa9", "\xff\x41\xc3", "\xf0\x90\x90\x80"});
  expectStrings(evaluate("nn.string_normalize", {words, Tensor()}, normalizing("LOWER", false)),
                {3}, {"\xc3\xa4pfel \xcf\x89", "\xef\xbf\xbd\x61\xef\xbf\xbd", "\xf0\x90\x90\xa8"});
}

TEST(Text, StringsAreSplit) {
  auto split = [](const Strings &texts, const char *delimiter, int64_t most) {
    return evaluateAll("nn.string_split", {strings(texts)},
                       makeAttributes({{"delimiter", std::string(delimiter)}, {"maxsplit", most}}),
                       {DType::String, DType::Int64})
        .take();
  };
  auto parts = split({"a.b", "a..b", ""}, ".", -1);
  expectStrings(parts[0], {3, 3}, {"a", "b", "", "a", "", "b", "", "", ""});
  expectTensor<int64_t>(parts[1], {3}, {2, 3, 1});
  parts = split({" a  b c ", " "}, "", -1);
  expectStrings(parts[0], {2, 3}, {"a", "b", "c", "", "", ""});
  expectTensor<int64_t>(parts[1], {2}, {3, 0});
  parts = split({" a  b  c "}, "", 1);
  expectStrings(parts[0], {1, 2}, {"a", "b  c "});
  parts = split({"a||b||c"}, "||", 1);
  expectStrings(parts[0], {1, 2}, {"a", "b||c"});
  parts = split({}, "", -1);
  EXPECT_EQ(parts[0].dims(), (Tensor::Dims{0, 0}));
}

TEST(Text, PatternsMatchWholeStrings) {
  auto match = [](const Strings &texts, const char *pattern) {
    return evaluateAll("nn.regex_match", {strings(texts)},
                       makeAttributes({{"pattern", std::string(pattern)}}), {DType::Bool});
  };
  expectTensor<bool>((*match({"ab", "abc", "b"}, "a?b"))[0], {3}, {true, false, true});
  // Minutes for a backtracking engine.
  expectTensor<bool>((*match({std::string(64, 'a')}, "(a*)*b"))[0], {1}, {false});
  auto broken = match({"a"}, "(");
  EXPECT_EQ(broken.status().code(), StatusCode::InvalidInput);
  EXPECT_TRUE(broken.status().message().starts_with("'(' is no regular expression: "));
}

namespace {
Attributes grams(const char *mode, int64_t shortest, int64_t longest, int64_t skip) {
  // 2, 3, 5, 4 alone; (5, 6), (7, 8), (6, 7) together.
  return makeAttributes({{"mode", std::string(mode)},
                         {"min_gram_length", shortest},
                         {"max_gram_length", longest},
                         {"max_skip_count", skip},
                         {"ngram_counts", Ints{0, 4}},
                         {"ngram_indexes", Ints{0, 1, 2, 3, 4, 5, 6}},
                         {"weights", std::vector<double>{}}});
}
const Ints kPool = {2, 3, 5, 4, 5, 6, 7, 8, 6, 7};
} // namespace

TEST(Text, GramsAreCounted) {
  Tensor words = Tensor::of<int32_t>({2, 6}, {1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8});
  auto count = [&](const Attributes &attributes) {
    return evaluateAll("nn.tf_idf", {words, Tensor::ofInts(kPool)}, attributes, {DType::Float32})
        .take()[0];
  };
  expectTensor<float>(count(grams("TF", 2, 2, 0)), {2, 7},
                      {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1});
  expectTensor<float>(count(grams("TF", 1, 2, 5)), {2, 7},
                      {0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1});
  Attributes weighted = grams("IDF", 1, 1, 0);
  weighted.set("weights", std::vector<double>{1, 0.5, 2, 1, 1, 1, 1});
  expectTensor<float>(count(weighted), {2, 7}, {0, 0.5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0});
  weighted.set("mode", std::string("TFIDF"));
  expectTensor<float>(count(weighted), {2, 7}, {0, 1.5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0});
  // Weights are those of n-grams, not of columns.
  weighted.set("ngram_indexes", Ints{1, 0, 2, 3, 4, 5, 6});
  expectTensor<float>(count(weighted), {2, 7}, {1.5, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0});
  weighted.set("weights", std::vector<double>{1});
  auto wrong = evaluateAll("nn.tf_idf", {words, Tensor::ofInts(kPool)}, weighted, {DType::Float32});
  EXPECT_EQ(wrong.status().message(), "there are 1 weights of 7 n-grams");
  auto cut = evaluateAll("nn.tf_idf", {words, Tensor::ofInts({1, 2, 3, 4, 5})},
                         grams("TF", 1, 2, 0), {DType::Float32});
  EXPECT_EQ(cut.status().message(), "1 n-grams of length 2 do not fit into a pool of 5 words");
}

TEST(Text, GramsOfStrings) {
  Attributes attributes = grams("TF", 1, 1, 0);
  attributes.set("ngram_counts", Ints{0});
  attributes.set("ngram_indexes", Ints{1, 0});
  auto result = evaluateAll("nn.tf_idf", {strings({"b", "a", "b"}), strings({"a", "b"})},
                            attributes, {DType::Float32});
  ASSERT_TRUE(result) << result.status().message();
  expectTensor<float>((*result)[0], {2}, {2, 1});
}
