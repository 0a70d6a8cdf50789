//===- TiledDotTest.cpp - products by tiles of matrices -------------------===//
//
// On the CPU's own unit where it has one, else on TileEmulator.h.
//
//===----------------------------------------------------------------------===//
#include "backends/native/codegen/MachinePeak.h"
#include "backends/native/target/X86Features.h"
#include "tests/native/AttentionGraph.h"
#include "tests/native/GraphCheck.h"
#include "tests/native/NarrowFactors.h"
#include "tests/native/TileEmulator.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <random>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace quern;
using namespace quern::native;
using testing::HasSubstr;

namespace {
class TiledDotTest : public testing::Test {
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
} // namespace

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

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
TEST_F(TiledDotTest, SumsOfBFloat16) {
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

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

namespace {
struct ProductSizes {
  std::vector<int64_t> rows, depths, columns;
};
} // namespace

/// A product of each combination of sizes, `seed` draws their numbers.
static void addProducts(Graph &graph, std::vector<Tensor> &inputs, const NarrowTypes &types,
                        const ProductSizes &sizes, unsigned seed) {
  for (int64_t k : sizes.depths)
    for (int64_t n : sizes.columns)
      for (int64_t m : sizes.rows) {
        GraphValue a = graph.input(typeText({m, k}, types.a));
        inputs.push_back(drawTensor(dtypeOfName(types.a), {m, k}, ++seed));
        GraphValue b = graph.weight(drawTensor(dtypeOfName(types.b), {k, n}, ++seed));
        GraphValue sum = graph.op("nn.matmul", {a, b}, "", "*x" + std::string(types.sums));
        graph.output(graph.op("nn.relu", {sum}), fmt::format("{}x{} by {}", m, k, n));
      }
}

// Rows that fill no half, one, one and a bit, many; columns of one vector to several tiles; k of
// less than a step, of whole ones, and with parts of groups left over.
TEST_F(TiledDotTest, MatrixProducts) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    addProducts(graph, inputs, types, {{15, 16, 31, 65}, {20, 64, 128, 195}, {5, 40, 130}}, 300);
    expectExactOnTiles(graph, inputs, inputs.size());
  }
}

// k in several parts, the last of which may be shorter, for three tiles of rows and more; columns
// of one half, two, three and five vectors.
TEST_F(TiledDotTest, LongProducts) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    addProducts(graph, inputs, types, {{65, 112}, {1024, 1088, 1900}, {16, 32, 48, 64, 80}}, 350);
    expectExactOnTiles(graph, inputs, inputs.size());
  }
}

// Epilogues: biases and residuals of all kinds that follow a product, in parts of k, too, and rows
// that a tile computes again but must not store again, for the residual lies there.
TEST_F(TiledDotTest, Epilogues) {
  Graph graph;
  std::vector<Tensor> inputs;
  for (auto [m, k] : {std::pair<int64_t, int64_t>{20, 96}, {33, 96}, {77, 96}, {77, 1024}}) {
    GraphValue a = graph.input(typeText({m, k}, "ui8")),
               b = graph.weight(drawTensor(DType::Int8, {k, 48}, 7));
    inputs.push_back(drawTensor(DType::UInt8, {m, k}, static_cast<unsigned>(m)));
    GraphValue residual =
        graph.op("nn.matmul", {a, graph.weight(drawTensor(DType::Int8, {k, 48}, 8))}, "", "*xi32");
    GraphValue ofColumn = graph.weight(integerTensor(DType::Int32, {48}, 4));
    GraphValue ofRow = graph.weight(integerTensor(DType::Int32, {m, 1}, 5));
    GraphValue sum = graph.op("nn.matmul", {a, b}, "", "*xi32");
    for (const GraphValue &other : {ofColumn, residual, ofRow})
      sum = graph.op("nn.add", {sum, other});
    graph.output(graph.op("nn.relu", {sum}), fmt::format("{}x{}", m, k));
  }
  expectExactOnTiles(graph, inputs, 8);
}

// Few rows, and few steps, stay on vectors.
TEST_F(TiledDotTest, FewRowsAreNotTiled) {
  Graph graph;
  std::vector<Tensor> inputs;
  unsigned seed = 400;
  auto add = [&](int64_t m, int64_t k) {
    GraphValue a = graph.input(typeText({m, k}, "ui8")),
               b = graph.weight(drawTensor(DType::Int8, {k, 40}, ++seed));
    inputs.push_back(drawTensor(DType::UInt8, {m, k}, ++seed));
    graph.output(graph.op("nn.matmul", {a, b}, "", "*xi32"), fmt::format("{}x{}", m, k));
  };
  add(1, 2048);
  add(2, 130);
  add(5, 64);
  add(4, 1000); // this one is
  expectExactOnTiles(graph, inputs, 1);
}

// Factors that a step packs lie in groups, which are not padded as weights are.
TEST_F(TiledDotTest, ComputedFactorsAreNotTiled) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 450;
    for (int64_t k : {9, 40, 64}) {
      GraphValue a = graph.input(typeText({2, 40, k}, types.a)),
                 b = graph.input(typeText({2, k, 100}, types.b));
      inputs.push_back(drawTensor(dtypeOfName(types.a), {2, 40, k}, ++seed));
      inputs.push_back(drawTensor(dtypeOfName(types.b), {2, k, 100}, ++seed));
      graph.output(graph.op("nn.matmul", {a, b}, "", "*x" + std::string(types.sums)),
                   std::to_string(k));
    }
    expectExactOnTiles(graph, inputs, 0);
  }
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

namespace {
struct TiledConv {
  NarrowConv conv;
  /// Whether it is of tiles for bytes, and for bfloat16.
  bool ofBytes = true, ofBFloat16 = true;
};
} // namespace

// Blocks of 64, 32 and 16 channels, and several; lines of less than half a tile, in pairs of which
// the last may be one, of one tile and of several; strides, padding, dilation of none, groups.
TEST_F(TiledDotTest, Convolutions) {
  const TiledConv cases[] = {
      {{{1, 64, 6, 7}, {64, 64, 3, 3}, 1, 1, 1, 128}},
      {{{2, 128, 9, 9}, {96, 128, 1, 1}}},
      {{{1, 32, 5, 33}, {32, 32, 3, 3}, 1, 1, 1, 7}},
      {{{1, 64, 9, 40}, {64, 64, 3, 3}, 2, 1, 1, 3}},
      {{{1, 48, 14, 14}, {80, 48, 3, 3}, 1, 1, 1, 200}},
      {{{2, 64, 3, 17}, {32, 64, 1, 1}, 2}},
      {{{1, 128, 8, 6}, {128, 64, 3, 3}, 1, 1, 2, 11}},
      {{{1, 64, 1, 20}, {64, 64, 1, 3}, 1, 0}},
      {{{1, 64, 1, 1}, {64, 64, 1, 1}}, false, false},
      {{{1, 3, 13, 11}, {64, 3, 7, 7}, 2, 3, 1, 255}},
      {{{2, 3, 20, 21}, {32, 3, 3, 3}, 2, 1, 1, 100}, false},
      {{{1, 3, 43, 47}, {96, 3, 11, 11}, 4}},
      {{{1, 4, 9, 24}, {32, 4, 5, 5}, 1, 2, 1, 5}},
      {{{1, 24, 5, 40}, {32, 24, 3, 3}, 1, 1, 1, 9}},
      {{{1, 1024, 9, 9}, {64, 1024, 1, 1}}},
      {{{2, 64, 7, 7}, {64, 1, 3, 3}, 1, 1, 64, 3}, false, false},
  };
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 500;
    size_t tiled = 0;
    for (const TiledConv &c : cases) {
      GraphValue x = graph.input(typeText(c.conv.input, types.a));
      inputs.push_back(drawTensor(dtypeOfName(types.a), c.conv.input, ++seed));
      graph.output(addConv(graph, c.conv, types, x, seed += 2),
                   formatDims(c.conv.input) + " with " + formatDims(c.conv.weights));
      tiled += types.a == std::string_view("bf16") ? c.ofBFloat16 : c.ofBytes;
    }
    expectExactOnTiles(graph, inputs, tiled);
  }
}

// Channels that do not fill their block have zeros beside them where a tensor was put into blocks,
// but whatever was computed there after a convolution: not to be multiplied by tiles, for an
// infinite number times a weight of zero is none.
TEST_F(TiledDotTest, PaddingThatIsComputedIsNotMultiplied) {
  Graph graph;
  GraphValue x = graph.input("1x32x8x20xbf16");
  NarrowTypes types{"bf16", "bf16", "f32"};
  GraphValue first = addConv(graph, {{1, 32, 8, 20}, {24, 32, 3, 3}, 1, 1}, types, x, 1);
  GraphValue narrow = graph.op("nn.cast", {graph.op("nn.log", {first})}, "to = bf16", "*xbf16");
  graph.output(addConv(graph, {{1, 24, 8, 20}, {32, 24, 3, 3}, 1, 1}, types, narrow, 2));
  std::vector<Tensor> inputs = {drawTensor(DType::BFloat16, {1, 32, 8, 20}, 1)};
  auto executable = compileForTest(graph);
  ASSERT_TRUE(executable) << executable.status().message();
  auto run = runCompiled(*executable, inputs, 1);
  ASSERT_TRUE(run) << run.status().message();
  size_t tiled = 0;
  for (const ProfileRow &step : run->steps)
    tiled += step.kernel.starts_with("tiles_");
  EXPECT_EQ(tiled, 1u);
}

// What one convolution writes the next one reads, through elementwise ops and pools: images move
// to blocks and back at the ends only.
TEST_F(TiledDotTest, ImagesKeepTheirBlocks) {
  Graph graph;
  GraphValue x = graph.input("1x64x12x12xui8");
  std::vector<Tensor> inputs = {drawTensor(DType::UInt8, {1, 64, 12, 12}, 1)};
  NarrowTypes bytes{"ui8", "i8", "i32"};
  auto narrowed = [&](const GraphValue &sums) {
    return graph.op("nn.cast", {sums}, "to = ui8", "*xui8");
  };
  x = narrowed(addConv(graph, {{1, 64, 12, 12}, {192, 64, 1, 1}}, bytes, x, 2));
  x = narrowed(addConv(graph, {{1, 192, 12, 12}, {192, 1, 3, 3}, 1, 1, 192}, bytes, x, 4));
  x = graph.op("nn.max_pool", {x},
               "kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, "
               "1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false");
  graph.output(addConv(graph, {{1, 192, 6, 6}, {64, 192, 3, 3}, 1, 1}, bytes, x, 6));
  expectExactOnTiles(graph, inputs, 2);
  auto run = runCompiled(*compileForTest(graph), inputs);
  ASSERT_TRUE(run);
  std::vector<std::string> kernels;
  for (const ProfileRow &step : run->steps)
    kernels.push_back(step.kernel);
  EXPECT_THAT(kernels,
              testing::ElementsAre(HasSubstr("transpose"), HasSubstr("tiles_"),
                                   HasSubstr("depthwise"), HasSubstr("pool"), HasSubstr("halo"),
                                   HasSubstr("tiles_"), HasSubstr("transpose")));
}

// What doctor and bench measure steps by.
TEST_F(TiledDotTest, PeaksAreOfTiles) {
  auto chains = ProductChains::create(resolveTarget("host").take(), Engine::BFloat16);
  ASSERT_TRUE(chains) << chains.status().message();
  int64_t before = TileEmulator::performed();
  auto operations = chains->run();
  ASSERT_TRUE(operations);
  if (missingOnThisCpu({"amx-bf16"}).empty() && performedFeatures().empty())
    return; // by the unit
  // Each instruction but those around the loop is 16 x 16 sums of 32 products.
  EXPECT_EQ(*operations, double(TileEmulator::performed() - before - 10) * 2 * 16 * 16 * 32);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

// Queries that fill no tile, one, one and a bit, several slabs and tasks; keys that end in a tile,
// between tiles and blocks; values of one tile and of parts of them.
TEST_F(TiledDotTest, AttentionLikeReference) {
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

TEST_F(TiledDotTest, AttentionWithAllElse) {
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
TEST_F(TiledDotTest, AttentionHasTheSameBitsInAllThreads) {
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

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

/// The instructions between the last label and the jump back to it that multiply tiles most, of
/// the assembly of kernels.
static std::string innerLoopOf(const std::string &assembly) {
  std::string best, label;
  size_t most = 0, begin = 0;
  auto count = [](const std::string &text) {
    size_t found = 0;
    for (size_t at = text.find("\ttdp"); at != std::string::npos; at = text.find("\ttdp", at + 1))
      ++found;
    return found;
  };
  for (size_t line = 0; line < assembly.size();) {
    size_t end = std::min(assembly.find('\n', line), assembly.size());
    std::string text = assembly.substr(line, end - line);
    if (text.starts_with(".LBB")) {
      label = text.substr(0, text.find(':'));
      begin = line;
    } else if (text.starts_with("\tj") && !label.empty() && text.ends_with(label)) {
      std::string loop = assembly.substr(begin, end - begin);
      if (size_t products = count(loop); products > most) {
        most = products;
        best = loop;
      }
    }
    line = end + 1;
  }
  return best;
}

// Four products of two tiles by two in the inner loop, and nothing else that touches memory.
TEST(TiledDotCodeTest, InnerLoopsMultiplyTiles) {
  for (const NarrowTypes &types : kNarrowTypes) {
    SCOPED_TRACE(types.a + std::string(types.b));
    Graph graph;
    GraphValue a = graph.input(typeText({64, 256}, types.a)),
               b = graph.weight(drawTensor(dtypeOfName(types.b), {256, 32}, 1));
    graph.output(graph.op("nn.matmul", {a, b}, "", "*x" + std::string(types.sums)));
    mlir::MLIRContext context;
    auto module = graph.parse(context);
    NativeOptions options;
    options.targetCpu = "sapphirerapids";
    auto assembly = compileToPhase(*module, passes::Phase::Object, options);
    ASSERT_TRUE(assembly) << assembly.status().message();
    std::string loop = innerLoopOf(*assembly);
    auto count = [&](const std::string &text) {
      size_t found = 0;
      for (size_t at = loop.find(text); at != std::string::npos; at = loop.find(text, at + 1))
        ++found;
      return found;
    };
    EXPECT_EQ(count("\ttdp"), 4u) << loop;
    EXPECT_EQ(count("\ttileloadd"), 4u) << loop;
    // A stride may be read again.
    EXPECT_LE(count("(") - count("\tlea"), 5u) << loop;
    EXPECT_THAT(*assembly, HasSubstr("ldtilecfg"));
    EXPECT_THAT(*assembly, HasSubstr("tilerelease"));
  }
}
