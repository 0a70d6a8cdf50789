//===- TileChoiceTest.cpp - register tiles and task sizes -----------------===//
#include "backends/native/lowering/TileChoice.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::native;

namespace {
Target avx512() {
  Target target;
  target.vectorBytes = 64;
  target.vectorRegisters = 32;
  target.hasFma = true;
  return target;
}

Target avx2() {
  Target target;
  target.vectorBytes = 32;
  target.hasFma = true;
  return target;
}
} // namespace

// Accumulators, the vectors of B and a broadcast must fit the registers.
TEST(TileChoiceTest, TilesFitTheRegisters) {
  for (const Target &target : {avx512(), avx2(), Target()})
    for (int64_t rows = 1; rows <= 120; ++rows)
      for (int64_t n = 1; n <= 33; ++n) {
        TileShape conv = chooseConvTile(target, rows, n);
        EXPECT_LE((conv.rows + 1) * conv.vectors + 1, target.vectorRegisters);
        EXPECT_EQ(n % conv.vectors, 0) << "vectors divide the channels";
        EXPECT_GE(conv.rows, 1);
        EXPECT_LE(conv.rows, rows);
        TileShape gemm = chooseGemmTile(target, DType::Float32, rows, n * 5);
        EXPECT_LE((gemm.rows + 1) * gemm.vectors + 1, target.vectorRegisters);
        EXPECT_GE(gemm.rows, 1);
        EXPECT_LE(gemm.rows, rows);
        EXPECT_GE(gemm.vectors, 1);
      }
}

TEST(TileChoiceTest, RowsAreSharedEvenly) {
  EXPECT_EQ(chooseConvTile(avx512(), 56, 4).rows, 14);
  EXPECT_EQ(chooseConvTile(avx512(), 28, 2).rows, 14);
  // 15 pixels are tiles of 8 and 7, not of 14 and 1.
  EXPECT_EQ(chooseConvTile(avx512(), 15, 2).rows, 8);
  EXPECT_EQ(chooseGemmTile(avx2(), DType::Float32, 7, 64).rows, 4);
}

TEST(TileChoiceTest, FewRowsTakeWideTiles) {
  EXPECT_EQ(chooseConvTile(avx512(), 1, 16).vectors, 8);
  EXPECT_EQ(chooseConvTile(avx512(), 4, 16).vectors, 4);
  EXPECT_GT(chooseGemmTile(avx512(), DType::Float32, 1, 1000).vectors,
            chooseGemmTile(avx512(), DType::Float32, 100, 1000).vectors);
  // No wider than the matrix.
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float32, 100, 17).vectors, 2);
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float64, 100, 17).vectors, 3);
}

TEST(TileChoiceTest, TaskSizes) {
  EXPECT_EQ(chooseLineChunks(100, 1, 1e9, /*threads=*/1), 1);
  EXPECT_EQ(chooseLineChunks(100, 1, 1e9, 4), 32);
  EXPECT_EQ(chooseLineChunks(5, 1, 1e9, 4), 5) << "no more chunks than lines";
  EXPECT_EQ(chooseLineChunks(100, 64, 1e9, 4), 1) << "there are tasks enough";
  EXPECT_EQ(chooseLineChunks(100, 1, 1e5, 4), 1) << "too little work to split";
  EXPECT_EQ(chooseGrain(10, 1e9), 1);
  EXPECT_EQ(chooseGrain(10, 100), 10) << "all inline";
  EXPECT_EQ(chooseGrain(0, 0), 1);
  EXPECT_EQ(chooseGrain(100, 1e6), 50);
}
