//===- EvalRandom.cpp - random numbers ------------------------------------===//
#include "quern/RandomSeed.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Indexing.h"
#include "runtime/reference/Philox.h"

#include <algorithm>
#include <span>

using namespace quern;
using namespace quern::reference;

namespace {
/// The work of four random words.
constexpr int64_t kBlockWork = 16;

/// The blocks of one draw, four words each.
struct Blocks {
  uint64_t seed;
  uint64_t draw;

  std::array<uint32_t, 4> at(int64_t i) const {
    auto low = [](uint64_t word) { return static_cast<uint32_t>(word); };
    auto high = [](uint64_t word) { return static_cast<uint32_t>(word >> 32); };
    auto number = static_cast<uint64_t>(i);
    return philox({low(number), high(number), low(draw), high(draw)}, {low(seed), high(seed)});
  }
};
} // namespace

/// Four numbers of a block, each a multiple of 2^-24 below 1.
static void fill(const Blocks &blocks, int64_t i, std::span<float> numbers) {
  std::array<uint32_t, 4> words = blocks.at(i);
  for (size_t k = 0; k < numbers.size(); ++k)
    numbers[k] = static_cast<float>(words[k] >> 8) * 0x1p-24f;
}

/// Two numbers of a block, each a multiple of 2^-53 below 1.
static void fill(const Blocks &blocks, int64_t i, std::span<double> numbers) {
  std::array<uint32_t, 4> words = blocks.at(i);
  for (size_t k = 0; k < numbers.size(); ++k) {
    uint64_t bits = (uint64_t{words[2 * k]} << 32) | words[2 * k + 1];
    numbers[k] = static_cast<double>(bits >> 11) * 0x1p-53;
  }
}

template <typename T> static Status fillAll(const Blocks &blocks, Tensor &result, Budget &budget) {
  constexpr int64_t kPerBlock = 16 / sizeof(T);
  std::span<T> numbers(result.mutableData<T>(), static_cast<size_t>(result.numElements()));
  int64_t count = (result.numElements() + kPerBlock - 1) / kPerBlock;
  return budget.forParts(count, kBlockWork, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      auto at = static_cast<size_t>(i * kPerBlock);
      fill(blocks, i, numbers.subspan(at, std::min<size_t>(kPerBlock, numbers.size() - at)));
    }
  });
}

static Expected<std::vector<Tensor>> evalRandom(const OpCall &call) {
  DType dtype = call.attributes.getDType("dtype");
  QUERN_ASSIGN(std::vector<int64_t> dims, readInts(call.inputs[0], "shape"));
  if (static_cast<int64_t>(dims.size()) > call.budget.limits().maxRank)
    return invalidInput("the shape has too many dimensions");
  // Nodes with a seed have other keys than the generator of the process, even if seeds are
  // equal.
  Blocks blocks{static_cast<uint64_t>(call.attributes.getInt("seed")) ^ 0x5EED000000000000, 0};
  if (!call.attributes.has("seed")) {
    RandomDraw draw = nextRandomDraw();
    blocks = {draw.seed, draw.number};
  }
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, dtype, dims));
  QUERN_TRY(dtype == DType::Float64 ? fillAll<double>(blocks, result, call.budget)
                                    : fillAll<float>(blocks, result, call.budget));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::randomEvaluators() {
  static constexpr EvaluatorRow rows[] = {{"nn.random", evalRandom}};
  return rows;
}
