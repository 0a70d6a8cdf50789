//===- EvalTfIdf.cpp - how often n-grams occur ----------------------------===//
#include "runtime/reference/EvalText.h"

#include <fmt/format.h>

#include <map>

using namespace quern;
using namespace quern::reference;

namespace {
/// The n-grams of a pool as a tree of words.
template <typename Word> struct GramTree {
  /// The number of the n-gram that ends here; -1: none does.
  int64_t gram = -1;
  std::map<Word, GramTree> next;
};

/// What to look for.
struct GramOptions {
  int64_t shortest = 1, longest = 1, maxSkip = 0;
  std::vector<int64_t> counts, columns;

  explicit GramOptions(const Attributes &attributes)
      : shortest(attributes.getInt("min_gram_length")),
        longest(attributes.getInt("max_gram_length")), maxSkip(attributes.getInt("max_skip_count")),
        counts(attributes.getInts("ngram_counts")), columns(attributes.getInts("ngram_indexes")) {}
};
} // namespace

/// Puts the n-grams of the wanted lengths into a tree; they are numbered in the pool's order.
template <typename Word>
static Status addGrams(std::span<const Word> pool, const GramOptions &options, GramTree<Word> &tree,
                       Budget &budget) {
  auto total = static_cast<int64_t>(pool.size());
  int64_t gram = 0;
  for (size_t i = 0; i < options.counts.size(); ++i) {
    int64_t begin = options.counts[i], length = static_cast<int64_t>(i) + 1;
    int64_t end = i + 1 < options.counts.size() ? options.counts[i + 1] : total;
    if (begin < 0 || begin > end || end > total || (end - begin) % length != 0)
      return invalidInput(fmt::format("{} n-grams of length {} do not fit into a pool of {} words",
                                      end - begin, length, total));
    for (; begin < end; begin += length, ++gram) {
      QUERN_TRY(budget.spend(length * 64));
      if (gram >= static_cast<int64_t>(options.columns.size()))
        return invalidInput(fmt::format("there are more n-grams than the {} columns given",
                                        options.columns.size()));
      if (length < options.shortest || length > options.longest)
        continue;
      GramTree<Word> *at = &tree;
      for (int64_t k = 0; k < length; ++k)
        at = &at->next[pool[static_cast<size_t>(begin + k)]];
      at->gram = gram;
    }
  }
  return Status::ok();
}

/// Counts the n-grams that start at each word of a row, with `step` from word to word.
template <typename Word, typename Element>
static Status countRow(std::span<const Element> row, const GramTree<Word> &tree, int64_t step,
                       bool withSingles, const GramOptions &options, std::span<int64_t> counts,
                       Budget &budget) {
  auto length = static_cast<int64_t>(row.size());
  for (int64_t start = 0; start < length; ++start) {
    QUERN_TRY(budget.spend(64));
    const GramTree<Word> *at = &tree;
    for (int64_t n = 1, i = start; n <= options.longest && i < length; ++n, i += step) {
      auto next = at->next.find(Word(row[static_cast<size_t>(i)]));
      if (next == at->next.end())
        break;
      at = &next->second;
      if (at->gram >= 0 && (n > 1 || withSingles))
        ++counts[static_cast<size_t>(at->gram)];
      if (step > length - i) // the next word is beyond the row
        break;
    }
  }
  return Status::ok();
}

/// Single words are counted once: skips do not change them.
template <typename Word, typename Element>
static Status countAll(std::span<const Element> row, const GramTree<Word> &tree,
                       const GramOptions &options, std::span<int64_t> counts, Budget &budget) {
  auto length = static_cast<int64_t>(row.size());
  for (int64_t skip = 0; skip <= options.maxSkip && (skip == 0 || skip < length); ++skip) {
    bool withSingles = skip == 0;
    if (!withSingles && options.longest == 1)
      break;
    QUERN_TRY(countRow(row, tree, skip + 1, withSingles, options, counts, budget));
  }
  return Status::ok();
}

/// Adds up the n-grams of each column: their number, or with IDF whether there is one.
static void fillRow(std::span<const int64_t> counts, const std::string &mode,
                    const std::vector<double> &weights, const GramOptions &options, float *row) {
  for (size_t gram = 0; gram < counts.size(); ++gram) {
    if (counts[gram] == 0)
      continue;
    float &cell = row[options.columns[gram]];
    double weight = weights.empty() || mode == "TF" ? 1 : weights[gram];
    if (mode == "IDF")
      cell = static_cast<float>(weight);
    else
      cell += static_cast<float>(weight * static_cast<double>(counts[gram]));
  }
}

template <typename Word, typename Element>
static Expected<std::vector<Tensor>> evalRows(const OpCall &call) {
  const Tensor &input = call.inputs[0], &pool = call.inputs[1];
  GramOptions options(call.attributes);
  int64_t columns = 0;
  for (int64_t column : options.columns) {
    if (column < 0 || column == std::numeric_limits<int64_t>::max())
      return invalidInput(fmt::format("an n-gram has column {}", column));
    columns = std::max(columns, column + 1);
  }
  std::vector<double> weights = call.attributes.getFloats("weights");
  if (!weights.empty() && weights.size() != options.columns.size())
    return invalidInput(
        fmt::format("there are {} weights of {} n-grams", weights.size(), options.columns.size()));
  if (input.rank() > 2)
    return invalidInput("input must have rank 2 or less, found " + input.describe());
  GramTree<Word> tree;
  QUERN_TRY(addGrams(pool.elementsAs<Word>(), options, tree, call.budget));
  int64_t rows = input.rank() == 2 ? input.dim(0) : 1;
  int64_t length = input.rank() == 0 ? 1 : input.dims().back();
  Tensor::Dims dims;
  if (input.rank() == 2)
    dims.push_back(rows);
  dims.push_back(columns);
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, DType::Float32, dims));
  auto grams = static_cast<int64_t>(options.columns.size());
  QUERN_ASSIGN(std::span<int64_t> counts, call.budget.scratch<int64_t>(grams));
  std::string mode = call.attributes.getString("mode");
  for (int64_t row = 0; row < rows; ++row) {
    QUERN_TRY(call.budget.spend(grams * 4));
    std::fill(counts.begin(), counts.end(), 0);
    auto words = input.elementsAs<Element>().subspan(static_cast<size_t>(row * length),
                                                     static_cast<size_t>(length));
    QUERN_TRY((countAll<Word, Element>(words, tree, options, counts, call.budget)));
    fillRow(counts, mode, weights, options, result.mutableData<float>() + row * columns);
  }
  return std::vector<Tensor>{result};
}

static Expected<std::vector<Tensor>> evalTfIdf(const OpCall &call) {
  DType words = call.inputs[0].dtype(), pool = call.inputs[1].dtype();
  if (words == DType::String && pool == DType::String)
    return evalRows<std::string, std::string>(call);
  if (words == DType::Int32 && pool == DType::Int64)
    return evalRows<int64_t, int32_t>(call);
  if (words == DType::Int64 && pool == DType::Int64)
    return evalRows<int64_t, int64_t>(call);
  return invalidInput(fmt::format("cannot look for {} in {}", call.inputs[1].describe(),
                                  call.inputs[0].describe()));
}

std::span<const EvaluatorRow> reference::tfIdfEvaluators() {
  static constexpr EvaluatorRow rows[] = {{"nn.tf_idf", evalTfIdf}};
  return rows;
}
