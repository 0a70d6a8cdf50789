//===- ImportText.cpp - ops on strings ------------------------------------===//
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/TextOps.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// A constant vector of strings.
static Value stringsConstant(NodeReader &node, const std::vector<std::string> &strings) {
  auto tensor = Tensor::allocate(DType::String, {static_cast<int64_t>(strings.size())});
  if (!tensor) {
    node.fail(tensor.status());
    return node.none();
  }
  std::copy(strings.begin(), strings.end(), tensor->mutableData<std::string>());
  return node.constant(*tensor);
}

static void importStringConcat(NodeReader &node) {
  node.setOutput(0, node.create<nn::StringConcatOp>(node.input(0), node.input(1)));
}

/// Opset 10 knew the same attributes. Cases are Unicode's, whatever the locale.
static void importStringNormalizer(NodeReader &node) {
  node.ignoreAttribute("locale");
  std::string action = node.getString("case_change_action", "NONE");
  bool isSensitive = node.getBool("is_case_sensitive", false);
  std::vector<std::string> stopwords = node.getStrings("stopwords");
  Value words = stopwords.empty() ? node.none() : stringsConstant(node, stopwords);
  node.setOutput(0, node.create<nn::StringNormalizeOp>(node.input(0), words, action, isSensitive));
}

static void importStringSplit(NodeReader &node) {
  std::string delimiter = node.getString("delimiter", "");
  int64_t most = node.getInt("maxsplit", -1);
  mlir::ResultRange results =
      node.createMulti<nn::StringSplitOp>(2, node.input(0), delimiter, most);
  node.setOutput(0, results[0]);
  node.setOutput(1, results[1]);
}

static void importRegexFullMatch(NodeReader &node) {
  // Without a pattern only the empty string matches.
  node.setOutput(0, node.create<nn::RegexMatchOp>(node.input(0), node.getString("pattern", "")));
}

static void importTfIdfVectorizer(NodeReader &node) {
  std::vector<int64_t> numbers = node.getInts("pool_int64s");
  std::vector<std::string> strings = node.getStrings("pool_strings");
  if (numbers.empty() == strings.empty())
    return node.invalid("wanted one of the attributes 'pool_int64s' and 'pool_strings'");
  Value pool = strings.empty() ? node.intsConstant(numbers) : stringsConstant(node, strings);
  std::string mode = node.getString("mode");
  int64_t shortest = node.getInt("min_gram_length"), longest = node.getInt("max_gram_length"),
          skip = node.getInt("max_skip_count");
  std::vector<int64_t> counts = node.getInts("ngram_counts"),
                       columns = node.getInts("ngram_indexes");
  std::vector<float> floats = node.getFloats("weights");
  std::vector<double> weights(floats.begin(), floats.end());
  if (!node.failed())
    node.setOutput(0, node.create<nn::TfIdfOp>(node.input(0), pool, mode, shortest, longest, skip,
                                               counts, columns, weights));
}

std::span<const OpsetRow> quern::onnx::textImports() {
  static constexpr OpsetRow rows[] = {
      {"RegexFullMatch", 20, kNewestOpset, 1, 1, 1, importRegexFullMatch},
      {"StringConcat", 20, kNewestOpset, 2, 2, 1, importStringConcat},
      {"StringNormalizer", 10, kNewestOpset, 1, 1, 1, importStringNormalizer},
      {"StringSplit", 20, kNewestOpset, 1, 1, 2, importStringSplit},
      {"TfIdfVectorizer", 9, kNewestOpset, 1, 1, 1, importTfIdfVectorizer},
  };
  return rows;
}
