//===- EvalText.cpp - reference kernels of ops on strings -----------------===//
#include "runtime/reference/EvalText.h"

#include "quern/Utf8.h"
#include "runtime/reference/Indexing.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <clocale>
#include <cwctype>
#include <set>

using namespace quern;
using namespace quern::reference;

/// The work of a string beside that of its characters.
static constexpr int64_t kStringWork = 32;

static Status spendOn(const std::string &text, Budget &budget) {
  return budget.spend(kStringWork + static_cast<int64_t>(text.size()));
}

//===----------------------------------------------------------------------===//
// Concatenation
//===----------------------------------------------------------------------===//

static Expected<std::vector<Tensor>> evalStringConcat(const OpCall &call) {
  const Tensor &left = call.inputs[0], &right = call.inputs[1];
  QUERN_ASSIGN(std::vector<int64_t> dims, broadcastDims(left.dims(), right.dims()));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, DType::String, dims));
  IndexWalk a(dims, broadcastStrides(left.dims(), dims)),
      b(dims, broadcastStrides(right.dims(), dims));
  std::string *to = result.mutableData<std::string>();
  for (; !a.done(); a.next(), b.next(), ++to) {
    *to = left.data<std::string>()[a.offset()];
    *to += right.data<std::string>()[b.offset()];
    QUERN_TRY(spendOn(*to, call.budget));
  }
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Case and stop words
//===----------------------------------------------------------------------===//

namespace {
/// Changes the case of UTF-8 text as Unicode has it, whatever the process's locale is. What
/// is no UTF-8 becomes the replacement character.
class CaseMap {
public:
  explicit CaseMap(bool toUpper) : toUpper(toUpper) {
    static const locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t());
    locale = unicode;
  }
  std::string map(const std::string &text) const;

private:
  wint_t mapOne(wint_t c) const {
    if (!locale)
      return c < 0x80 ? static_cast<wint_t>(toUpper ? std::toupper(static_cast<int>(c))
                                                    : std::tolower(static_cast<int>(c)))
                      : c;
    return toUpper ? towupper_l(c, locale) : towlower_l(c, locale);
  }

  bool toUpper;
  locale_t locale;
};
} // namespace

std::string CaseMap::map(const std::string &text) const {
  std::u32string characters = decodeUtf8(text);
  for (char32_t &c : characters)
    c = static_cast<char32_t>(mapOne(static_cast<wint_t>(c)));
  return encodeUtf8(characters);
}

static Expected<std::vector<Tensor>> evalStringNormalize(const OpCall &call) {
  const Tensor &input = call.inputs[0], &stopwords = call.inputs[1];
  bool isMatrix = input.rank() == 2 && input.dim(0) == 1;
  if (input.rank() != 1 && !isMatrix)
    return invalidInput("input must have shape [C] or [1, C], found " + input.describe());
  std::string action = call.attributes.getString("case_action");
  bool isSensitive = call.attributes.getInt("case_sensitive") != 0;
  CaseMap lower(/*toUpper=*/false), change(/*toUpper=*/action == "UPPER");
  auto keyOf = [&](const std::string &word) { return isSensitive ? word : lower.map(word); };
  std::set<std::string> stops;
  if (stopwords.isPresent())
    for (const std::string &word : stopwords.elementsAs<std::string>()) {
      QUERN_TRY(spendOn(word, call.budget));
      stops.insert(keyOf(word));
    }
  std::vector<const std::string *> kept;
  for (const std::string &word : input.elementsAs<std::string>()) {
    QUERN_TRY(spendOn(word, call.budget));
    if (stops.empty() || !stops.count(keyOf(word)))
      kept.push_back(&word);
  }
  Tensor::Dims dims = input.dims();
  dims.back() = std::max<int64_t>(static_cast<int64_t>(kept.size()), 1);
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, DType::String, dims));
  for (size_t i = 0; i < kept.size(); ++i) {
    QUERN_TRY(spendOn(*kept[i], call.budget));
    result.mutableData<std::string>()[i] = action == "NONE" ? *kept[i] : change.map(*kept[i]);
  }
  return std::vector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Splitting
//===----------------------------------------------------------------------===//

/// At every occurrence of the delimiter, `most` times at most; neighbours have an empty
/// part between them.
static std::vector<std::string_view> splitAt(std::string_view text, std::string_view delimiter,
                                             int64_t most) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (size_t end = text.find(delimiter); end != std::string_view::npos && most > 0; --most) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + delimiter.size();
    end = text.find(delimiter, begin);
  }
  parts.push_back(text.substr(begin));
  return parts;
}

/// At runs of white space, of which none is in a part but the last one.
static std::vector<std::string_view> splitAtSpace(std::string_view text, int64_t most) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  std::vector<std::string_view> parts;
  size_t begin = text.find_first_not_of(kSpace);
  for (; begin != std::string_view::npos; --most) {
    size_t end = most > 0 ? text.find_first_of(kSpace, begin) : std::string_view::npos;
    parts.push_back(text.substr(begin, end - begin));
    begin = end == std::string_view::npos ? end : text.find_first_not_of(kSpace, end);
  }
  return parts;
}

static Expected<std::vector<Tensor>> evalStringSplit(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  std::string delimiter = call.attributes.getString("delimiter");
  int64_t most = call.attributes.getInt("maxsplit");
  most = most < 0 ? std::numeric_limits<int64_t>::max() : most;
  auto split = [&](const std::string &text) {
    return delimiter.empty() ? splitAtSpace(text, most) : splitAt(text, delimiter, most);
  };
  QUERN_ASSIGN(Tensor counts, call.allocateResultUninitialized(1, DType::Int64, input.dims()));
  int64_t longest = 0;
  for (int64_t i = 0; i < input.numElements(); ++i) {
    QUERN_TRY(spendOn(input.data<std::string>()[i], call.budget));
    int64_t &count = counts.mutableData<int64_t>()[i];
    count = static_cast<int64_t>(split(input.data<std::string>()[i]).size());
    longest = std::max(longest, count);
  }
  Tensor::Dims dims = input.dims();
  dims.push_back(longest);
  QUERN_ASSIGN(Tensor parts, call.allocateResult(0, DType::String, dims));
  for (int64_t i = 0; i < input.numElements(); ++i) {
    QUERN_TRY(spendOn(input.data<std::string>()[i], call.budget));
    std::string *to = parts.mutableData<std::string>() + i * longest;
    for (std::string_view part : split(input.data<std::string>()[i]))
      *to++ = part;
  }
  return std::vector<Tensor>{parts, counts};
}

//===----------------------------------------------------------------------===//
// Regular expressions
//===----------------------------------------------------------------------===//

/// RE2 takes linear time and bounded memory for any pattern.
static Expected<std::vector<Tensor>> evalRegexMatch(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  RE2::Options options;
  options.set_log_errors(false);
  std::string pattern = call.attributes.getString("pattern");
  QUERN_TRY(spendOn(pattern, call.budget));
  RE2 regex(pattern, options);
  if (!regex.ok())
    return invalidInput(fmt::format("'{}' is no regular expression: {}", pattern, regex.error()));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, DType::Bool, input.dims()));
  for (int64_t i = 0; i < input.numElements(); ++i) {
    const std::string &text = input.data<std::string>()[i];
    QUERN_TRY(spendOn(text, call.budget));
    result.mutableData<bool>()[i] = RE2::FullMatch(text, regex);
  }
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::textEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.regex_match", evalRegexMatch},
      {"nn.string_concat", evalStringConcat},
      {"nn.string_normalize", evalStringNormalize},
      {"nn.string_split", evalStringSplit},
  };
  return rows;
}
