//===- TileUnitTest.cpp - the instructions on tiles of matrices -----------===//
#include "backends/native/codegen/MachinePeak.h"
#include "backends/native/target/X86Features.h"
#include "tests/native/TilesTest.h"

#include <cmath>
#include <cstring>
#include <random>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace quern;
using namespace quern::native;

#if defined(__x86_64__)
namespace {
constexpr int kRows = 5, kGroups = 3, kColumns = 16;

struct Tiles {
  alignas(64) float sums[kRows][kColumns];
  uint16_t a[kRows][kGroups][2];
  uint16_t b[kGroups][kColumns][2];
};

float widened(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0F, value) : value;
}

/// What is left of a result that is too small.
float flushed(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0F, value) : value;
}

/// By the manual's text, one number after the other.
void multiplyByManual(Tiles &tiles) {
  for (int m = 0; m < kRows; ++m)
    for (int n = 0; n < kColumns; ++n) {
      float halves[2] = {0, 0};
      for (int k = 0; k < kGroups; ++k)
        for (int i = 0; i < 2; ++i)
          halves[i] =
              flushed(std::fma(widened(tiles.a[m][k][i]), widened(tiles.b[k][n][i]), halves[i]));
      float sum = flushed(flushed(tiles.sums[m][n]) + flushed(halves[0] + halves[1]));
      tiles.sums[m][n] = sum;
    }
}

__attribute__((target("amx-bf16,amx-tile"))) void multiplyByUnit(Tiles &tiles) {
  alignas(64) uint8_t configuration[64] = {1};
  auto shape = [&](int tile, uint8_t rows, uint8_t bytes) {
    configuration[16 + 2 * tile] = bytes;
    configuration[48 + tile] = rows;
  };
  shape(1, kRows, 64);
  shape(3, kRows, 4 * kGroups);
  shape(5, kGroups, 64);
  _tile_loadconfig(configuration);
  _tile_loadd(1, tiles.sums, sizeof tiles.sums[0]);
  _tile_stream_loadd(3, tiles.a, sizeof tiles.a[0]);
  _tile_loadd(5, tiles.b, sizeof tiles.b[0]);
  _tile_dpbf16ps(1, 3, 5);
  _tile_stored(1, tiles.sums, sizeof tiles.sums[0]);
  alignas(64) uint8_t found[64];
  _tile_storeconfig(found);
  EXPECT_EQ(std::memcmp(found, configuration, sizeof found), 0);
  _tile_release();
}
} // namespace

// The emulator, or the unit, sums up as the manual says, to the bit: subnormal factors and sums,
// cancellation, infinities.
TEST_F(TilesTest, SumsOfBFloat16) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    Tiles tiles;
    // Exponents of a narrow range, so that sums round; now and then from everywhere.
    auto draw = [&] {
      auto bits = static_cast<uint16_t>(random());
      bool isAny = random() % 8 == 0;
      uint16_t exponent = isAny ? bits & 0x7F80 : uint16_t((120 + random() % 12) << 7);
      return static_cast<uint16_t>((bits & 0x807F) | (exponent == 0x7F80 ? 0x3F80 : exponent));
    };
    for (auto &row : tiles.a)
      for (auto &pair : row)
        for (uint16_t &x : pair)
          x = draw();
    for (auto &row : tiles.b)
      for (auto &pair : row)
        for (uint16_t &x : pair)
          x = draw();
    for (auto &row : tiles.sums)
      for (float &x : row)
        x = widened(draw()) * 1.0001F;
    if (round % 10 == 0)
      tiles.a[0][0][0] = 0x7F80;
    Tiles wanted = tiles;
    multiplyByManual(wanted);
    multiplyByUnit(tiles);
    for (int m = 0; m < kRows; ++m)
      for (int n = 0; n < kColumns; ++n) {
        float w = wanted.sums[m][n], f = tiles.sums[m][n];
        ASSERT_TRUE((std::isnan(w) && std::isnan(f)) || std::memcmp(&w, &f, sizeof w) == 0)
            << "round " << round << ", row " << m << ", column " << n << ": " << f << ", not " << w;
      }
  }
}
#endif

// What doctor and bench measure steps by.
TEST_F(TilesTest, PeaksAreOfTiles) {
  auto chains = ProductChains::create(resolveTarget("host").take(), Engine::BFloat16);
  ASSERT_TRUE(chains) << chains.status().message();
  int64_t before = TileEmulator::performed();
  auto operations = chains->run();
  ASSERT_TRUE(operations);
  if (missingOnThisCpu({"amx-bf16"}).empty() && performedFeatures().empty())
    return; // by the unit
  // Tiles are configured, cleared (four) and released around the loop; in it each that is loaded is
  // followed by 16 x 16 sums of 32 products.
  int64_t inLoop = TileEmulator::performed() - before - 6;
  EXPECT_EQ(*operations, double(inLoop) / 2 * 2 * 16 * 16 * 32);
}
