//===- AttentionTest.cpp - attention in blocks, compiled ------------------===//
#include "tests/native/AttentionGraph.h"
#include "tests/native/RunnableTargets.h"

#include "backends/native/kernels/AttentionKernel.h"
#include "backends/native/kernels/RecurrentKernel.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

using namespace quern;
using namespace quern::native;

using Dims = Tensor::Dims;

// Tails of tiles, of vectors and of blocks; one of everything.
TEST(AttentionTest, Sizes) {
  for (int64_t queries : {1, 2, 7, 13, 97})
    for (int64_t keys : {1, 16, 17, 130, 261})
      for (auto [size, valueSize] : {std::pair<int64_t, int64_t>{64, 64}, {1, 1}, {20, 80}}) {
        expectLikeReference(
            {.queries = queries, .keys = keys, .size = size, .valueSize = valueSize});
        if (testing::Test::HasFailure())
          return;
      }
}

// Several tasks of a head, and last tiles of keys that are full to different parts.
TEST(AttentionTest, ManyRows) {
  for (int64_t keys : {33, 69, 96, 160, 161})
    expectLikeReference({.heads = 1, .keyHeads = 1, .queries = 400, .keys = keys});
}

TEST(AttentionTest, SizesOfHeads) {
  for (int64_t size : {1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 48, 63, 65, 80, 96, 100, 127, 128})
    for (int64_t valueSize : {size, 129 - size})
      expectLikeReference({.queries = 9, .keys = 140, .size = size, .valueSize = valueSize});
}

TEST(AttentionTest, EveryTarget) {
  for (const std::string &target : runnableTargets())
    for (int64_t queries : {1, 21}) {
      SCOPED_TRACE(target);
      NativeOptions options;
      options.targetCpu = target;
      expectLikeReference({.queries = queries, .keys = 150, .size = 24, .valueSize = 40}, {},
                          options);
      expectLikeReference({.queries = queries,
                           .keys = 150,
                           .mask = {2, 1, 150},
                           .softcap = 2,
                           .causal = true,
                           .offset = 3},
                          {}, options);
    }
}

// Groups of bfloat16 that are full or not, on instructions that multiply them and on others.
TEST(AttentionTest, NarrowFactors) {
  for (const std::string &target : runnableTargets()) {
    NativeOptions options;
    options.targetCpu = target;
    for (bool transposed : {false, true})
      for (int64_t queries : {1, 14})
        for (int64_t keys : {1, 16, 133, 260})
          for (auto [size, valueSize] :
               {std::pair<int64_t, int64_t>{64, 64}, {1, 1}, {17, 80}, {32, 33}}) {
            SCOPED_TRACE(target);
            Attention attention{
                .queries = queries, .keys = keys, .size = size, .valueSize = valueSize};
            attention.dtype = "bf16";
            if (transposed)
              attention.keyPerm = {0, 1, 3, 2};
            expectLikeReference(attention, {}, options);
            if (testing::Test::HasFailure())
              return;
          }
  }
}

TEST(AttentionTest, NarrowFactorsWithAllElse) {
  for (bool open : {false, true}) {
    Attention attention{.heads = 4,
                        .keys = 150,
                        .mask = {4, 1, 150},
                        .softcap = 2,
                        .causal = true,
                        .hasScale = true,
                        .condition = {5, 150},
                        .hiddenScore = -1e30,
                        .offset = 60};
    attention.dtype = "bf16";
    attention.open = open;
    expectLikeReference(attention);
    attention.queryPerm = attention.resultPerm = {0, 2, 1, 3};
    attention.valuePerm = {0, 2, 1, 3};
    expectLikeReference(attention);
  }
}

TEST(AttentionTest, SharedHeads) {
  for (int64_t keyHeads : {1, 2, 3, 6})
    expectLikeReference({.batch = 2, .heads = 6, .keyHeads = keyHeads});
}

TEST(AttentionTest, SoftCapAndScale) {
  for (auto [scale, cap] : {std::pair(0.125, 0.0), {-2.0, 1.5}, {0.0, 30.0}}) {
    Attention attention{.queries = 8, .keys = 40, .scale = scale, .softcap = cap};
    expectLikeReference(attention);
    attention.hasScale = true;
    expectLikeReference(attention);
  }
}

// Heads beside each other, as splitting a row into heads leaves them, and keys as columns.
TEST(AttentionTest, OrdersOfDimensions) {
  const Dims split = {0, 2, 1, 3};
  for (const Dims &key :
       {Dims{0, 1, 2, 3}, split, Dims{0, 1, 3, 2}, Dims{0, 2, 3, 1}, Dims{1, 2, 3, 0}})
    for (int64_t queries : {1, 30}) {
      Attention attention{.batch = 2, .heads = 3, .keyHeads = 3, .queries = queries, .keys = 135};
      attention.size = 20;
      attention.keyPerm = key;
      // Only the last dimension of keys may be apart.
      if (key == Dims{1, 2, 3, 0})
        attention.keyPerm = {1, 2, 0, 3};
      attention.queryPerm = attention.valuePerm = attention.resultPerm = split;
      expectLikeReference(attention);
    }
  expectLikeReference({.queryPerm = {0, 1, 3, 2}});
}

TEST(AttentionTest, Float64) {
  expectLikeReference({.queries = 20, .keys = 150, .mask = {20, 150}, .dtype = "f64"});
}

TEST(AttentionTest, NothingToDo) {
  expectLikeReference({.keys = 0});
  expectLikeReference({.size = 0});
  expectLikeReference({.queries = 0});
  expectLikeReference({.batch = 0});
  expectLikeReference({.valueSize = 0});
}

// As of the composition: a row without a key is NaN, an infinite score makes its row NaN.
TEST(AttentionTest, NotFinite) {
  for (bool zero : {false, true}) {
    Attention attention{.queries = 6, .keys = 300, .mask = {6, 300}};
    attention.zeroMaskedRows = zero;
    std::vector<Tensor> inputs = attention.inputs();
    float *mask = inputs[3].mutableData<float>();
    std::fill_n(mask, 300, -kInfinity);             // nothing
    std::fill_n(mask + 300, 200, -kInfinity);       // nothing in the first block
    std::fill_n(mask + 600 + 100, 200, -kInfinity); // nothing in the last ones
    mask[900 + 299] = kInfinity;
    mask[1200 + 5] = std::numeric_limits<float>::quiet_NaN();
    std::fill_n(mask + 1500, 300, std::numeric_limits<float>::lowest());
    expectLikeReference(attention, inputs);
  }
}

// Scores that differ by more than the range of an exponential, and grow from block to block.
TEST(AttentionTest, SteepScores) {
  Attention attention{.queries = 3, .keys = 400, .mask = {400}};
  std::vector<Tensor> inputs = attention.inputs();
  for (int sign : {1, -1}) {
    for (int i = 0; i < 400; ++i)
      inputs[3].mutableData<float>()[i] = static_cast<float>(sign * i * 10);
    expectLikeReference(attention, inputs);
  }
}

// One kernel serves all lengths and batches.
TEST(AttentionTest, OpenSizes) {
  Attention attention{.mask = {1, 1, 5, 7}, .open = true};
  Graph graph = attention.graph();
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  for (auto [queries, keys] : {std::pair<int64_t, int64_t>{5, 7}, {1, 1}, {1, 200}, {150, 150}}) {
    attention.queries = queries;
    attention.keys = keys;
    attention.mask = {1, 1, queries, keys};
    std::vector<Tensor> inputs = attention.inputs();
    auto run = runCompiled(*executable, inputs);
    auto wanted = runInterpreted(graph, inputs);
    ASSERT_TRUE(run && wanted) << run.status().message();
    expectClose(run->results[0], (*wanted)[0], 1e-5);
  }
}

// Rows have the same bits in tasks of any size.
TEST(AttentionTest, ThreadsDoNotMatter) {
  Attention attention{.queries = 200, .keys = 333, .causal = true};
  Graph graph = attention.graph();
  std::vector<Tensor> inputs = attention.inputs(), results;
  for (int threads : {1, 2, 16}) {
    NativeOptions options;
    options.threads = threads;
    options.kernels = kernelsFor(options.targetCpu);
    auto executable = compileForTest(graph, options);
    ASSERT_TRUE(executable) << executable.status().message();
    auto run = runCompiled(*executable, inputs, threads);
    ASSERT_TRUE(run);
    results.push_back(run->results[0]);
    EXPECT_EQ(std::memcmp(results.back().rawData(), results.front().rawData(),
                          static_cast<size_t>(results.front().numBytes())),
              0)
        << threads;
  }
}
