//===- MachinePeak.cpp - what this machine can do, measured ---------------===//
#include "backends/native/codegen/MachinePeak.h"

#include "backends/native/codegen/Jit.h"
#include "backends/native/kernels/DotEngine.h"
#include "backends/native/kernels/TileUnit.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <random>

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// Steps of all chains: about 2 ms; of tiles, where each is much work, 0.5 ms.
constexpr int64_t kIterations = 200'000, kTileIterations = 25'000;

/// Chains that hide the FMA latency and fit the registers beside two operands.
static int64_t chainCount(const Target &target) { return target.vectorRegisters >= 32 ? 24 : 12; }

static DotTypes typesOf(Engine engine) {
  switch (engine) {
  case Engine::BFloat16:
    return {DType::BFloat16, DType::BFloat16, DType::Float32, DType::Float32};
  case Engine::Int8:
    return {DType::UInt8, DType::Int8, DType::Int32, DType::Int32};
  case Engine::Float32:
    break;
  }
  return DotTypes::all(DType::Float32);
}

/// Buffers: the sums, factors A of two steps, which alternate so that no product can be taken out
/// of the loop, and one of B.
static void emitChains(KernelBuilder &kb, const DotTypes &types) {
  int64_t lanes = kb.target().lanes(types.accumulate), group = types.group();
  const DotEngine &engine = chooseEngine(kb.target(), types, group, lanes);
  DotEngine::Place place{types, lanes, /*vectorA=*/false};
  Value b = engine.loadB(kb, place, kb.buffer(2), {});
  auto chain = [&](int64_t i) { return kb.advance(kb.buffer(0), i * lanes, types.accumulate); };
  KernelBuilder::Values sums;
  for (int64_t i = 0; i < chainCount(kb.target()); ++i)
    sums.push_back(kb.load(chain(i), types.accumulate, lanes));
  sums = kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, sums, [&](Value i, ValueRange now) {
    Value step = kb.mul(kb.rem(i, kb.index(2)), group);
    Value a = engine.loadA(kb, place, kb.advance(kb.buffer(1), step, types.a), /*count=*/{});
    KernelBuilder::Values next(now);
    for (int64_t part = 0; part < engine.parts; ++part) {
      Value row = engine.partOfA(kb, place, a, part), column = engine.partOfB(kb, place, b, part);
      for (Value &sum : next)
        sum = engine.add(kb, place, row, column, sum);
    }
    return next;
  });
  for (auto [i, sum] : llvm::enumerate(sums))
    kb.store(sum, chain(static_cast<int64_t>(i)), types.accumulate, lanes);
}

/// The same of tiles: four of sums, as products have them, and factors from the first cache.
constexpr int64_t kSumTiles = 4;
/// Bytes of two tiles of A and two of B.
constexpr int64_t kFactorsOfStep = kSumTiles * TileUnit::kRows * TileUnit::kRowBytes;
static void emitTileChains(KernelBuilder &kb, const DotTypes &types) {
  constexpr int64_t kRows = TileUnit::kRows, kRowBytes = TileUnit::kRowBytes;
  TileUnit unit(kb, types);
  TileUnit::Configuration shapes;
  shapes.rows.fill(kRows);
  shapes.rowBytes.fill(kRowBytes);
  std::array<int64_t, 3> words = shapes.words();
  unit.configure({kb.index(words[0]), kb.index(words[1]), kb.index(words[2])});
  for (int64_t tile = 0; tile < kSumTiles; ++tile)
    unit.clear(tile);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value i) {
    Value step =
        kb.advance(kb.buffer(1), kb.mul(kb.rem(i, kb.index(2)), kFactorsOfStep), DType::UInt8);
    for (int64_t tile = 0; tile < kSumTiles; ++tile)
      unit.load(kSumTiles + tile, kb.advance(step, tile * kRows * kRowBytes, DType::UInt8),
                kb.index(kRowBytes));
    for (int64_t tile = 0; tile < kSumTiles; ++tile)
      unit.multiply(tile, kSumTiles + tile / 2, kSumTiles + 2 + tile % 2);
  });
  unit.release();
}

/// Numbers between 1 and 2, and -1 and -2; bytes of any value. Zeros would be multiplied faster
/// than what models multiply: they take less power, so that the clock is higher (a Granite Rapids
/// core multiplies tiles of them at 3780 GFLOP/s, of these at 3100 to 3400).
static std::vector<ProductChains::CacheLine> drawFactors(DType dtype) {
  uint32_t kept = dtype == DType::BFloat16 ? 0x807f807f : isFloat(dtype) ? 0x807fffff : ~0u;
  uint32_t set = dtype == DType::BFloat16 ? 0x3f803f80 : isFloat(dtype) ? 0x3f800000 : 0;
  std::minstd_rand random;
  std::vector<ProductChains::CacheLine> factors(2 * kFactorsOfStep /
                                                sizeof(ProductChains::CacheLine));
  for (ProductChains::CacheLine &line : factors)
    for (uint32_t &word : line.words)
      word = (static_cast<uint32_t>(random()) << 1 & kept) | set;
  return factors;
}

Expected<ProductChains> ProductChains::create(const Target &target, Engine engine) {
  constexpr const char *kSymbol = "quern_product_chains";
  DotTypes types = typesOf(engine);
  KernelBuilder builder(target, kSymbol);
  bool areTiles = TileUnit::has(target, types);
  areTiles ? emitTileChains(builder, types) : emitChains(builder, types);
  QUERN_ASSIGN(ObjectCode object, compileKernel(builder.finish(), target));
  ProductChains chains;
  QUERN_ASSIGN(chains.jit, Jit::create(target));
  QUERN_TRY(chains.jit->addObject(object));
  QUERN_ASSIGN(chains.kernel, chains.jit->lookup(kSymbol));
  int64_t products = TileUnit::kRows * TileUnit::kRows * TileUnit::kRowBytes;
  chains.operations = areTiles
                          ? 2 * kSumTiles * products / dtypeBytes(types.a)
                          : 2 * types.group() * target.lanes(types.accumulate) * chainCount(target);
  chains.factors = drawFactors(types.a);
  chains.iterations = areTiles ? kTileIterations : kIterations;
  return chains;
}

Expected<double> ProductChains::run() const {
  constexpr int64_t kSumBytes = 24 * 64;
  alignas(64) std::array<char, kSumBytes> sums{};
  std::vector<CacheLine> a = factors;
  void *buffers[] = {sums.data(), a.data(), a.data()};
  if (kernel(buffers, nullptr, 0, iterations, nullptr) != 0)
    return internalError("the kernel that measures the peak refused");
  return double(iterations) * double(operations);
}

/// The best of a few runs.
static Expected<double> measurePeak(const Target &target, Engine engine) {
  QUERN_ASSIGN(ProductChains chains, ProductChains::create(target, engine));
  constexpr int kRuns = 8;
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    auto start = std::chrono::steady_clock::now();
    QUERN_ASSIGN(double operations, chains.run());
    std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, operations / elapsed.count());
  }
  return best;
}

Expected<EnginePeaks> native::measurePeaks(const Target &target) {
  EnginePeaks peaks;
  QUERN_ASSIGN(peaks.float32, measurePeak(target, Engine::Float32));
  QUERN_ASSIGN(peaks.bfloat16, measurePeak(target, Engine::BFloat16));
  QUERN_ASSIGN(peaks.int8, measurePeak(target, Engine::Int8));
  return peaks;
}
