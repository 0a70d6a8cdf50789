//===- TiledAttentionTest.cpp - attention by tiles of matrices ------------===//
#include "tests/native/AttentionGraph.h"
#include "tests/native/TilesTest.h"

using namespace quern;
using namespace quern::native;

// Queries that fill no tile, one, one and a bit, several slabs and tasks; keys that end in a tile,
// between tiles and blocks; values of one tile and of parts of them.
TEST_F(TilesTest, AttentionLikeReference) {
  for (int64_t queries : {1, 9, 16, 17, 33, 97})
    for (int64_t keys : {1, 16, 17, 33, 128, 261})
      for (auto [size, valueSize] :
           {std::pair<int64_t, int64_t>{64, 64}, {32, 33}, {96, 8}, {160, 48}}) {
        Attention attention{.queries = queries, .keys = keys, .size = size, .valueSize = valueSize};
        attention.dtype = "bf16";
        attention.keyPerm = keys % 2 == 0 ? Tensor::Dims{0, 1, 3, 2} : Tensor::Dims{0, 1, 2, 3};
        expectLikeReference(attention);
        EXPECT_FALSE(TileEmulator::isConfigured());
        if (HasFailure())
          return;
      }
}

TEST_F(TilesTest, AttentionWithAllElse) {
  for (bool open : {false, true}) {
    Attention attention{.heads = 4,
                        .queries = 45,
                        .keys = 150,
                        .size = 32,
                        .mask = {4, 45, 150},
                        .softcap = 2,
                        .causal = true,
                        .hasScale = true,
                        .condition = {45, 150},
                        .hiddenScore = -1e30,
                        .offset = 60};
    attention.dtype = "bf16";
    attention.open = open;
    expectLikeReference(attention);
    attention.queryPerm = attention.resultPerm = attention.valuePerm = {0, 2, 1, 3};
    expectLikeReference(attention);
  }
}

// A row has the same bits in tasks of any number of rows, and so with any number of threads; keys
// of other sizes stay on vectors.
TEST_F(TilesTest, AttentionHasTheSameBitsInAllThreads) {
  for (auto [size, kernel] :
       {std::pair<int64_t, const char *>{64, "tiles_bf16_attention"}, {48, "bf16_attention"}}) {
    Attention attention{.heads = 2, .queries = 203, .keys = 300, .size = size, .valueSize = 64};
    attention.dtype = "bf16";
    std::vector<Tensor> inputs = attention.inputs(5);
    std::vector<Tensor> wanted;
    for (int threads : {1, 2}) {
      NativeOptions options;
      options.threads = threads;
      auto executable = compileForTest(attention.graph(), options);
      ASSERT_TRUE(executable) << executable.status().message();
      auto run = runCompiled(*executable, inputs, threads);
      ASSERT_TRUE(run) << run.status().message();
      EXPECT_EQ(run->steps.back().kernel, kernel);
      if (wanted.empty())
        wanted = run->results;
      expectSameTensors(run->results, wanted, {"attention"});
    }
  }
}
