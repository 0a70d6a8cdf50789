//===- CpuRates.cpp - how fast the cores of a CPU are, as data ------------===//
#include "backends/native/target/CpuRates.h"

#include "llvm/ADT/StringSwitch.h"

using namespace quern;
using namespace quern::native;

namespace {
constexpr double kKiB = 1 << 10, kMiB = 1 << 20;

// Zen 5 and Zen 4 were measured (docs/decisions/code-generation.md, "What a step takes"), Granite
// Rapids and Emerald Rapids' rate of memory, too; the other rows are what their makers say of
// clocks, units and caches. Of the third cache of Intel's servers a core fills a part at its rate.
constexpr double kIntelPairs = 0.25;
constexpr CpuRates kZen5{
    .gigahertz = 4.05, .fromL3 = 110, .fromMemory = 48, .l2Bytes = kMiB, .l3Bytes = 32 * kMiB};
// Its units are half a vector wide.
constexpr CpuRates kZen4{.gigahertz = 3.7,
                         .productsPerCycle = 1,
                         .waitsForWinograd = 0.2,
                         .fromL3 = 60,
                         .fromMemory = 30,
                         .l2Bytes = kMiB,
                         .l3Bytes = 32 * kMiB};
constexpr CpuRates kZen{
    .gigahertz = 3.4, .fromL3 = 50, .fromMemory = 20, .l2Bytes = 512 * kKiB, .l3Bytes = 16 * kMiB};
constexpr CpuRates kGraniteRapids{.gigahertz = 3.8,
                                  .pairsPerProduct = kIntelPairs,
                                  .fromL3 = 30,
                                  .fromMemory = 15,
                                  .l2Bytes = 2 * kMiB,
                                  .l3Bytes = 64 * kMiB};
constexpr CpuRates kSapphireRapids{.gigahertz = 3.0,
                                   .pairsPerProduct = kIntelPairs,
                                   .fromL3 = 20,
                                   .fromMemory = 10,
                                   .l2Bytes = 2 * kMiB,
                                   .l3Bytes = 60 * kMiB};
constexpr CpuRates kSkylakeServer{.gigahertz = 2.8,
                                  .pairsPerProduct = kIntelPairs,
                                  .fromL3 = 20,
                                  .fromMemory = 10,
                                  .l2Bytes = kMiB,
                                  .l3Bytes = 24 * kMiB};
constexpr CpuRates kIntelClient{.gigahertz = 3.5,
                                .productLatency = 5,
                                .fromL3 = 40,
                                .fromMemory = 15,
                                .l2Bytes = 256 * kKiB,
                                .l3Bytes = 8 * kMiB};
constexpr CpuRates kNeoverse{
    .gigahertz = 2.6, .fromL3 = 25, .fromMemory = 15, .l2Bytes = kMiB, .l3Bytes = 32 * kMiB};

/// Of none of these names.
CpuRates usualRates(const Target &target) {
  if (target.arch == Target::Arch::Aarch64)
    return kNeoverse;
  if (target.has(Isa::Avx512))
    return kSkylakeServer;
  CpuRates rates = kIntelClient;
  // A multiplication and an addition take the place of both multiply-adds.
  if (!target.has(Isa::Fma))
    rates.productsPerCycle = 1;
  return rates;
}
} // namespace

CpuRates native::ratesOf(const Target &target) {
  const std::string &name = target.tuneCpu.empty() ? target.cpu : target.tuneCpu;
  return llvm::StringSwitch<CpuRates>(name)
      .Case("znver5", kZen5)
      .Case("znver4", kZen4)
      .Cases("znver1", "znver2", "znver3", kZen)
      .Cases("graniterapids", "graniterapids-d", kGraniteRapids)
      .Cases("sapphirerapids", "emeraldrapids", kSapphireRapids)
      .Cases("skylake-avx512", "cascadelake", "cooperlake", "icelake-server", kSkylakeServer)
      .Cases("haswell", "broadwell", "skylake", kIntelClient)
      .Default(usualRates(target));
}

double native::peakOf(Engine engine, const Target &target) {
  CpuRates rates = ratesOf(target);
  double perVector = 2 * static_cast<double>(target.lanes(DType::Float32));
  double base = rates.gigahertz * rates.productsPerCycle * perVector;
  // Without instructions for groups each is multiplied in parts.
  if (engine == Engine::BFloat16)
    return target.has(Isa::Bf16Dot) ? 2 * rates.pairsPerProduct * base : base;
  if (engine == Engine::Int8)
    return target.has(Isa::Vnni) ? 4 * base : base;
  return base;
}

bool native::hasFastPairs(const Target &target) {
  return target.has(Isa::Bf16Dot) && 2 * ratesOf(target).pairsPerProduct > 1;
}

bool native::hasHalfUnits(const Target &target) {
  return target.has(Isa::Avx512) && ratesOf(target).productsPerCycle < 2;
}
