//===- TilesTest.h - tests of kernels on tiles of matrices ----------------===//
//
// On the CPU's own unit where it has one, else on TileEmulator.h.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "tests/native/GraphCheck.h"
#include "tests/native/TileEmulator.h"

#include <optional>

namespace quern::native {

class TilesTest : public testing::Test {
protected:
  void SetUp() override {
    if (!TileEmulator::isPossible())
      GTEST_SKIP() << "this CPU has no AVX-512, which nothing emulates";
    emulator.emplace();
  }

  /// Compiled for this machine with tiles, with 1 and 2 threads, and interpreted; on
  /// guarded memory, too. `tiled`: of how many outputs the products are of tiles.
  static void expectExactOnTiles(const Graph &graph, const std::vector<Tensor> &inputs,
                                 size_t tiled) {
    std::vector<Tensor> wanted = runInterpreted(graph, inputs).take();
    auto executable = compileForTest(graph);
    ASSERT_TRUE(executable) << executable.status().message();
    for (int threads : {1, 2}) {
      auto run = runCompiled(*executable, inputs, threads);
      ASSERT_TRUE(run) << run.status().message();
      expectSameTensors(run->results, wanted, graph.labels());
      size_t found = 0;
      for (const ProfileRow &step : run->steps)
        found += step.kernel.starts_with("tiles_");
      EXPECT_EQ(found, tiled);
    }
    for (GuardedMemory::Side side : {GuardedMemory::Side::Begin, GuardedMemory::Side::End}) {
      auto guarded = runGuarded(**executable, inputs, side);
      ASSERT_TRUE(guarded) << guarded.status().message();
      expectSameTensors(*guarded, wanted, graph.labels());
    }
    EXPECT_FALSE(TileEmulator::isConfigured()) << "tiles are released after every step";
  }

  std::optional<TileEmulator> emulator;
};

} // namespace quern::native
