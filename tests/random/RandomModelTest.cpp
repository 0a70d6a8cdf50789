//===- RandomModelTest.cpp - random models, compiled and interpreted ------===//
//
// Ops of all families with all of their attributes, operands of every origin and
// inputs of known and unknown sizes meet in ways that nobody thought of. Larger
// runs: `random-models --help`.
//
//===----------------------------------------------------------------------===//
#include "tests/random/ModelCheck.h"

#include <gtest/gtest.h>

using namespace quern::random;

namespace {
constexpr uint64_t kShards = 20, kModelsOfShard = 25;
constexpr uint64_t kQuantizedShards = 12, kQuantizedOfShard = 25;

class RandomModels : public testing::TestWithParam<uint64_t> {};
class QuantizedModels : public testing::TestWithParam<uint64_t> {};
} // namespace

INSTANTIATE_TEST_SUITE_P(Shards, RandomModels, testing::Range(uint64_t{0}, kShards));

TEST_P(RandomModels, AgreeWithTheInterpreterAtAllLevels) {
  ModelCheck check;
  uint64_t first = GetParam() * kModelsOfShard;
  for (uint64_t seed = first; seed < first + kModelsOfShard; ++seed) {
    std::string wrong = checkSeed(check, seed, ModelCheck::usualConfigs(seed));
    ASSERT_TRUE(wrong.empty()) << wrong;
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, QuantizedModels, testing::Range(uint64_t{0}, kQuantizedShards));

TEST_P(QuantizedModels, AgreeWithTheInterpreter) {
  ModelCheck check;
  uint64_t first = GetParam() * kQuantizedOfShard;
  for (uint64_t seed = first; seed < first + kQuantizedOfShard; ++seed) {
    std::string wrong = checkSeed(check, seed, ModelCheck::oneConfig(seed), DrawMix::Quantized);
    ASSERT_TRUE(wrong.empty()) << wrong;
  }
}
