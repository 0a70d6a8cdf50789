//===- DotMicroKernelTest.cpp - tiles of accumulators, called directly ----===//
//
// What no driver of today asks for: sums that start from C, and sums of another type
// than the operands.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/DotKernel.h"

#include "backends/native/codegen/CodeGen.h"
#include "backends/native/codegen/Jit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

using namespace quern;
using namespace quern::native;

namespace {
constexpr int64_t kRows = 3, kDepth = 10, kBlock = 5;

DotTile tileOf(const Target &target, const DotTypes &types) {
  DotTile tile;
  tile.types = types;
  tile.lanes = target.lanes(types.accumulate);
  tile.levels = {{kDepth / kBlock, kBlock, 1}, {kBlock, 1, 2}};
  tile.rowStrideA = kDepth;
  return tile;
}

/// Runs what `emit` emits on one task.
void run(const Target &target, const std::function<void(KernelBuilder &)> &emit,
         std::vector<void *> buffers) {
  KernelBuilder kb(target, "tile");
  emit(kb);
  auto object = compileKernel(kb.finish(), target);
  ASSERT_TRUE(object) << object.status().message();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit) << jit.status().message();
  ASSERT_TRUE((*jit)->addObject(*object).isOk());
  auto function = (*jit)->lookup("tile");
  ASSERT_TRUE(function) << function.status().message();
  EXPECT_EQ((*function)(buffers.data(), nullptr, 0, 1, /*scratch=*/nullptr), 0);
}

template <typename T> std::vector<T> counted(int64_t size, int64_t modulus) {
  std::vector<T> values;
  for (int64_t i = 0; i < size; ++i)
    values.push_back(static_cast<T>(i % modulus - modulus / 2));
  return values;
}
} // namespace

/// Whatever the number of chains, which the trips of the last level are no multiple of.
static void startFromC(int64_t chains) {
  Target target = resolveTarget("host").take();
  DotTile tile = tileOf(target, DotTypes::all(DType::Float32));
  tile.chains = chains;
  tile.levels.back().unroll = std::max<int64_t>(chains, 2);
  std::vector<float> a = counted<float>(kRows * kDepth, 7),
                     b = counted<float>(kDepth * tile.columns(), 5),
                     c = counted<float>(kRows * tile.columns(), 11), wanted = c;
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t j = 0; j < tile.columns(); ++j)
      for (int64_t k = 0; k < kDepth; ++k)
        wanted[r * tile.columns() + j] += a[r * kDepth + k] * b[k * tile.columns() + j];
  auto emit = [&](KernelBuilder &kb) {
    DotMicroKernel micro(kb, tile, {});
    auto place = [&](size_t i) {
      return kb.advance(kb.buffer(2), static_cast<int64_t>(i) * tile.lanes, DType::Float32);
    };
    KernelBuilder::Values sums;
    for (int64_t i = 0; i < kRows * tile.vectors; ++i)
      sums.push_back(kb.load(place(i), DType::Float32, tile.lanes));
    sums = micro.accumulate(kRows, kb.buffer(0), kb.buffer(1), std::move(sums));
    for (auto [i, sum] : llvm::enumerate(sums))
      kb.store(sum, place(i), DType::Float32, tile.lanes);
  };
  run(target, emit, {a.data(), b.data(), c.data()});
  EXPECT_EQ(c, wanted);
}

TEST(DotMicroKernelTest, StartsFromC) { startFromC(1); }
TEST(DotMicroKernelTest, ChainsAreAddedUp) {
  startFromC(2);
  startFromC(4);
}

TEST(DotMicroKernelTest, SumsInAnotherType) {
  Target target = resolveTarget("host").take();
  DotTile tile = tileOf(target, {DType::Float32, DType::Float32, DType::Float64, DType::Float64});
  std::vector<float> a = counted<float>(kRows * kDepth, 7),
                     b = counted<float>(kDepth * tile.columns(), 5);
  // Too large for float32 sums to be exact.
  a[0] = 1 << 24;
  b[0] = 3;
  std::vector<double> c(kRows * tile.columns()), wanted(c.size());
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t j = 0; j < tile.columns(); ++j)
      for (int64_t k = 0; k < kDepth; ++k)
        wanted[r * tile.columns() + j] +=
            double(a[r * kDepth + k]) * double(b[k * tile.columns() + j]);
  auto emit = [&](KernelBuilder &kb) {
    DotMicroKernel micro(kb, tile, {});
    auto sums = micro.accumulate(kRows, kb.buffer(0), kb.buffer(1), micro.zeros(kRows));
    for (auto [i, sum] : llvm::enumerate(sums))
      kb.store(sum, kb.advance(kb.buffer(2), static_cast<int64_t>(i) * tile.lanes, DType::Float64),
               DType::Float64, tile.lanes);
  };
  run(target, emit, {a.data(), b.data(), c.data()});
  EXPECT_EQ(c, wanted);
}

// All of the next column tile is asked for, by tiles that are many; by few there would be holes.
TEST(DotDims, TilesShareTheNextColumnsOfB) {
  DotSpec spec;
  spec.tile.vectors = 4;
  spec.tile.levels = {{}, {}};
  EXPECT_EQ(spec.tile.linesOfHalfAStep(), 2);
  spec.tile.linesAhead = 2;
  constexpr int64_t kSteps = 100, kBytes = kSteps * 256;
  for (bool flat : {true, false})
    for (int64_t tiles = 1; tiles <= 40; ++tiles) {
      spec.flat = flat;
      DotDims dims;
      dims.levels[0].trip = 20;
      dims.levels[1].trip = kSteps / 20;
      dims.lines = flat ? tiles : 3;
      dims.tiles = {flat ? tiles - 1 : tiles, 1};
      dims.tileStrideB = kBytes / 4;
      dims.shareAhead(spec);
      int64_t sharers = flat ? tiles : 3 * (tiles + 1), ofTile = 2 * kSteps * dims.aheadStride;
      if (sharers < 2) {
        EXPECT_EQ(dims.aheadStride, 0);
        continue;
      }
      // But for a line at the end.
      EXPECT_GE((sharers - 1) * dims.aheadShare + ofTile + 64, kBytes) << tiles;
      EXPECT_LE(dims.aheadShare, ofTile) << tiles;
      EXPECT_LE(dims.aheadStride, 64);
      EXPECT_EQ(dims.aheadShareOfLine, flat ? 0 : (tiles + 1) * dims.aheadShare);
    }
  DotDims without;
  spec.tile.linesAhead = 0;
  without.shareAhead(spec);
  EXPECT_EQ(without.aheadStride, 0);
}

// Parts of k are whole steps, cover it, and are no larger than half of the second cache; what their
// sums need of scratch memory is bounded.
TEST(DotDims, PartsOfK) {
  static constexpr int64_t kHeights[] = {6, 1};
  DotSpec spec;
  spec.flat = spec.splitsK = true;
  spec.heights = kHeights;
  spec.tile.vectors = 4;
  spec.tile.levels = {{.unroll = 2}};
  spec.tile.linesAhead = 2;
  for (int64_t k : {1601, 3072, 3073, 40000})
    for (int64_t lines : {1, 2, 64, 65, 300}) {
      DotDims dims;
      dims.levels[0].trip = k;
      dims.tileStrideB = k * spec.tile.columns();
      dims.lines = dims.linesPerChunk = lines;
      dims.splitK(spec);
      dims.shareAhead(spec);
      EXPECT_EQ(dims.partsOfK == 1, lines == 1);
      EXPECT_LT((dims.partsOfK - 1) * dims.stepsOfPart, k);
      EXPECT_GE(dims.partsOfK * dims.stepsOfPart, k);
      if (lines > 1) {
        EXPECT_EQ(dims.stepsOfPart % 2, 0);
        EXPECT_LE(dims.stepsOfPart * spec.tile.columns() * 4, (256 << 10) + 512);
      }
      EXPECT_GE(dims.lineChunks() * dims.linesPerChunk, lines);
      EXPECT_LE(dims.bytesOfPartialSums(spec), 64 * 6 * 64 * 4);
      EXPECT_EQ(dims.aheadStride > 0, dims.linesPerChunk > 1);
    }
}
