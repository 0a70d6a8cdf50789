//===- TileChoiceTest.cpp - register tiles and task sizes -----------------===//
#include "backends/native/target/TileChoice.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::native;

namespace {
Target avx512() {
  Target target;
  target.vectorBytes = 64;
  target.vectorRegisters = 32;
  target.isa = {Isa::Avx512, Isa::Avx2, Isa::Fma};
  return target;
}

Target avx2() {
  Target target;
  target.vectorBytes = 32;
  target.isa = {Isa::Avx2, Isa::Fma};
  return target;
}
Target neon() {
  Target target;
  target.arch = Target::Arch::Aarch64;
  target.vectorRegisters = 32;
  target.isa = {Isa::Neon, Isa::Fma};
  return target;
}
} // namespace

static int64_t heightOf(const TileShape &shape) { return shape.heights.front(); }

// Accumulators, the vectors of B and a broadcast must fit the registers.
TEST(TileChoiceTest, TilesFitTheRegisters) {
  for (const Target &target : {avx512(), avx2(), neon(), Target()})
    for (int64_t n = 0; n <= 33; ++n) {
      for (int64_t rows = 1; n > 0 && rows <= 20; ++rows) {
        TileShape conv = chooseConvTile(target, rows, n);
        EXPECT_LE((heightOf(conv) + 1) * conv.vectors + 1, target.vectorRegisters);
        EXPECT_EQ(n % conv.vectors, 0) << "vectors divide the channels";
        EXPECT_LE(conv.heights.size(), kMaxTileHeights);
        EXPECT_TRUE(conv.heights.back() == 1 || rows % 7 == 0);
      }
      TileShape gemm = chooseGemmTile(target, DType::Float32, n * 5);
      EXPECT_LE((heightOf(gemm) + 1) * gemm.vectors + 1, target.vectorRegisters);
      EXPECT_GE(gemm.vectors, 1);
    }
}

// All images but the smallest share the shape of their tiles, and so their weights.
TEST(TileChoiceTest, ImagesShareTiles) {
  for (int64_t lineRows = 6; lineRows <= 200; ++lineRows) {
    EXPECT_EQ(chooseConvTile(avx512(), lineRows, 4).vectors, 2);
    EXPECT_EQ(heightOf(chooseConvTile(avx512(), lineRows, 4)), 14);
  }
  EXPECT_EQ(chooseConvTile(avx512(), 4, 16).vectors, 4);
}

TEST(TileChoiceTest, NoWiderThanTheMatrix) {
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float32, 17).vectors, 2);
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float64, 17).vectors, 3);
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float32, 1000).vectors, 4);
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float32, 1000, /*oneRow=*/true).vectors, 4);
  // Columns that are not there cost time: 96 are two tiles of 48, 80 fill more of these than of 64.
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float32, 96).vectors, 3);
  EXPECT_EQ(heightOf(chooseGemmTile(avx512(), DType::Float32, 96)), 8);
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float32, 80).vectors, 3);
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float32, 96, /*oneRow=*/true).vectors, 3)
      << "weights are packed in one way";
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float32, 192).vectors, 4) << "both fit";
  EXPECT_EQ(chooseGemmTile(avx2(), DType::Float32, 24).vectors, 2) << "too few registers for 3";
  // Of an unknown width: the widest.
  EXPECT_EQ(chooseGemmTile(avx512(), DType::Float32, 0).vectors, 4);
}

TEST(TileChoiceTest, TilesCoverAllRows) {
  for (const Target &target : {avx512(), avx2(), neon(), Target()})
    for (int64_t vectors : {1, 2, 3, 4})
      for (int64_t rows = 1; rows <= 300; ++rows) {
        TileShape shape = chooseConvTile(target, rows, vectors);
        TileCover cover = coverRows(rows, shape.heights, shape.vectors);
        int64_t covered = 0;
        for (size_t i = 0; i < shape.heights.size(); ++i)
          covered += cover[i] * shape.heights[i];
        EXPECT_EQ(covered, rows);
      }
}

TEST(TileChoiceTest, RowsAreSharedWell) {
  TileHeights heights = chooseConvTile(avx512(), 55, 4).heights; // 14, 7, 5, 4, 1
  auto cover = [&](int64_t rows) { return coverRows(rows, heights, 2); };
  EXPECT_EQ(cover(56), (TileCover{4}));
  EXPECT_EQ(cover(7), (TileCover{0, 1}));
  // 15 pixels are three tiles of 5, not one of 14 and one of 1.
  EXPECT_EQ(cover(15), (TileCover{0, 0, 3}));
  EXPECT_EQ(cover(8), (TileCover{0, 0, 0, 2}));
  EXPECT_EQ(cover(113), (TileCover{7, 0, 3}));
}

// Lines that short tiles would end are shared evenly by tall ones, as far as that is worth code.
TEST(TileChoiceTest, LinesAreSharedEvenly) {
  TileShape shape = chooseConvTile(avx512(), kAnyLineRows, 4);
  auto coverOf = [&](int64_t rows, int64_t group) {
    return coverRows(rows, evenTiles(shape, rows, group).heights, shape.vectors, group);
  };
  for (int64_t group : {1, 2, 4}) {
    EXPECT_EQ(evenTiles(shape, 13, group).heights.front(), 14);
    EXPECT_EQ(coverOf(13, group), (TileCover{0, 1})) << "one tile of 13 rows";
    for (int64_t rows : {14, 19, 21, 56, 71, 112, 300})
      EXPECT_EQ(evenTiles(shape, rows, group).heights.data(), shape.heights.data())
          << rows << " rows are covered well";
  }
  // Five rows hide the latency of sums of single products, not of groups.
  EXPECT_EQ(evenTiles(shape, 27).heights.data(), shape.heights.data());
  EXPECT_EQ(coverOf(27, 2), (TileCover{1, 1}));
  EXPECT_EQ(coverOf(55, 2), (TileCover{3, 1}));
  EXPECT_EQ(coverOf(20, 2), (TileCover{2})) << "of ten rows";
}

TEST(TileChoiceTest, EvenTilesCoverAllRowsInNoMoreTime) {
  for (const Target &target : {avx512(), avx2(), neon(), Target()})
    for (int64_t vectors : {1, 2, 3, 4})
      for (int64_t rows = 1; rows <= 300; ++rows) {
        TileShape shape = chooseConvTile(target, kAnyLineRows, vectors);
        TileShape even = evenTiles(shape, rows);
        TileCover cover = coverRows(rows, even.heights, even.vectors);
        int64_t covered = 0;
        for (size_t i = 0; i < even.heights.size(); ++i)
          covered += cover[i] * even.heights[i];
        EXPECT_EQ(covered, rows);
        EXPECT_LE(even.heights.front(), shape.heights.front()) << "the registers hold no more";
        EXPECT_LE(costOfRows(rows, even), costOfRows(rows, shape));
      }
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

TEST(TileChoiceTest, ThreadsKeepTheirLinesOfAnImage) {
  LineWork work{.bytesOfA = 2e5, .bytesOfB = 1e5, .threads = 2};
  EXPECT_EQ(chooseLineParts(14, work), 2);
  EXPECT_EQ(chooseLineParts(4, work), 2);
  EXPECT_EQ(chooseLineParts(3, work), 1) << "two lines to one";
  work.batches = 3;
  EXPECT_EQ(chooseLineParts(14, work), 2);
  work.batches = 4;
  EXPECT_EQ(chooseLineParts(14, work), 1) << "they keep whole images";
  work.batches = 1;
  work.bytesOfB = 3e5;
  EXPECT_EQ(chooseLineParts(14, work), 1) << "each would read all of the weights";
  work = {.bytesOfA = 2e5};
  EXPECT_EQ(chooseLineParts(14, work), 1) << "of one thread";
}

// As many as the caches have room for; and never more than some steps.
TEST(TileChoiceTest, ImagesOfAStep) {
  EXPECT_EQ(chooseImages(8, int64_t{1} << 30), 1);
  EXPECT_EQ(chooseImages(8, 0), 8);
  EXPECT_EQ(chooseImages(1000, 1 << 18), 4);
  EXPECT_EQ(chooseImages(1 << 20, int64_t{1} << 30), 1 << 10);
  EXPECT_EQ(chooseImages(3, CheckedSize(-1)), 1);
}
