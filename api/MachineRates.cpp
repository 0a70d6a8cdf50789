//===- MachineRates.cpp - how fast this machine is, measured --------------===//
#include "quern/MachineRates.h"

#include "backends/native/codegen/MachinePeak.h"
#include "quern/Limits.h"
#include "runtime/running/TimedRounds.h"
#include "runtime/system/MachineFiles.h"

#include <algorithm>
#include <fmt/format.h>
#include <new>
#include <numeric>

using namespace quern;

namespace {
constexpr int kRounds = 20;

/// Memory that is too large for the caches, a part for each thread.
class ReadBuffer {
public:
  static Expected<ReadBuffer> create(int64_t bytes, int threads) {
    ReadBuffer buffer;
    buffer.words.reset(new (std::nothrow) uint64_t[static_cast<size_t>(bytes) / 8]);
    if (!buffer.words)
      return Status(StatusCode::ResourceLimit, fmt::format("cannot allocate {} bytes", bytes));
    buffer.partWords = bytes / 8 / threads;
    buffer.sums.resize(static_cast<size_t>(threads));
    return buffer;
  }
  double partBytes() const { return static_cast<double>(partWords) * 8; }
  /// So that the part gets pages, near the thread.
  void fill(int part) { std::fill_n(words.get() + part * partWords, partWords, part); }
  void read(int part) {
    const uint64_t *begin = words.get() + part * partWords;
    sums[static_cast<size_t>(part)] = std::accumulate(begin, begin + partWords, uint64_t{0});
  }

private:
  std::unique_ptr<uint64_t[]> words;
  int64_t partWords = 0;
  /// What was read is made use of, or it would not be read.
  std::vector<uint64_t> sums;
};
} // namespace

/// Four times what all caches of these threads hold, within bounds: of an L3 of hundreds of
/// megabytes a core has a part only, and a gigabyte takes a second to fill.
static int64_t readBufferBytes(const Machine &machine) {
  int64_t cached = 0;
  for (const CpuCache &cache : machine.caches)
    if (cache.cpus > 0)
      cached = std::max(cached, cache.bytes * ((machine.affinityCpus - 1) / cache.cpus + 1));
  int64_t most = std::min(int64_t{256} << 20, availableMemoryBytes() / 8);
  return std::min(std::max(4 * cached, int64_t{64} << 20), most);
}

static double least(const std::vector<double> &seconds) {
  return *std::min_element(seconds.begin(), seconds.end());
}

static double median(std::vector<double> seconds) {
  auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

/// Measures one peak; the spread is that of the last that was.
static Status measureChains(Engine engine, double EnginePeaks::*peak, MachineRates &rates) {
  QUERN_ASSIGN(native::Target target, native::resolveTarget("host"));
  QUERN_ASSIGN(native::ProductChains chains, native::ProductChains::create(target, engine));
  QUERN_ASSIGN(double operations, chains.run());
  auto run = [&](int) { (void)chains.run(); };
  QUERN_ASSIGN(std::vector<double> alone, timeRounds(1, kRounds, run));
  QUERN_ASSIGN(std::vector<double> together, timeRounds(rates.threads, kRounds, run));
  rates.threadPeaks.*peak = operations / least(alone) * 1e-9;
  rates.peaks.*peak = operations * rates.threads / least(together) * 1e-9;
  rates.spreadPercent = 100 * (median(together) / least(together) - 1);
  return Status::ok();
}

static Status measureArithmetic(MachineRates &rates) {
  QUERN_TRY(measureChains(Engine::BFloat16, &EnginePeaks::bfloat16, rates));
  QUERN_TRY(measureChains(Engine::Int8, &EnginePeaks::int8, rates));
  return measureChains(Engine::Float32, &EnginePeaks::float32, rates);
}

static Status measureReading(const Machine &machine, MachineRates &rates) {
  QUERN_ASSIGN(ReadBuffer buffer, ReadBuffer::create(readBufferBytes(machine), rates.threads));
  auto readAll = [&](int) {
    for (int part = 0; part < rates.threads; ++part)
      buffer.read(part);
  };
  auto fill = [&](int part) { buffer.fill(part); };
  auto read = [&](int part) { buffer.read(part); };
  QUERN_TRY(timeRounds(rates.threads, 1, fill).status());
  QUERN_ASSIGN(std::vector<double> alone, timeRounds(1, kRounds / 4, readAll));
  QUERN_ASSIGN(std::vector<double> together, timeRounds(rates.threads, kRounds / 2, read));
  double bytes = buffer.partBytes() * rates.threads;
  rates.threadReadGBps = bytes / least(alone) * 1e-9;
  rates.readGBps = bytes / least(together) * 1e-9;
  return Status::ok();
}

Expected<MachineRates> quern::measureMachine(int threads) {
  Machine machine = describeMachine();
  if (threads < 0 || threads > machine.affinityCpus)
    return Status(StatusCode::Usage,
                  fmt::format("wanted 1 to {} threads, as there are CPUs; found {}",
                              machine.affinityCpus, threads));
  MachineRates rates;
  rates.threads = threads ? threads : machine.usableCpus;
  CpuTicks before = readCpuTicks("");
  QUERN_TRY(measureArithmetic(rates));
  QUERN_TRY(measureReading(machine, rates));
  CpuTicks after = readCpuTicks("");
  if (after.all > before.all)
    rates.stolenPercent = 100 * static_cast<double>(after.stolen - before.stolen) /
                          static_cast<double>(after.all - before.all);
  return rates;
}
