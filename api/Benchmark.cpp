//===- Benchmark.cpp - what a model costs ---------------------------------===//
#include "quern/Benchmark.h"

#include "api/PreparedRunner.h"
#include "api/RunCount.h"
#include "quern/HostCpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

using namespace quern;

/// Not getrusage's: a process inherits that from the one that started it, however large that was.
static double peakRssMb() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmHWM:"))
      return static_cast<double>(std::strtoll(line.c_str() + 6, nullptr, 10)) / 1024;
  return 0;
}

/// The larger of each peak so far and one measured now: around the runs, the
/// machine may have been busy once.
static Status updatePeak(const BenchmarkOptions &options, Benchmark &result) {
  if (options.peakOfCpu.empty())
    return Status::ok();
  QUERN_ASSIGN(EnginePeaks now, measurePeaks(options.peakOfCpu));
  for (double EnginePeaks::*peak :
       {&EnginePeaks::float32, &EnginePeaks::bfloat16, &EnginePeaks::int8})
    result.peaks.*peak = std::max(result.peaks.*peak, now.*peak * result.threads);
  return Status::ok();
}

std::vector<std::string> Benchmark::warnings() const {
  std::vector<std::string> found;
  if (runs < 10)
    found.push_back(
        fmt::format("few-runs: only {} runs; percentiles say little (raise --duration)", runs));
  if (runs > 1 && steady.standardDeviation > 0.1 * steady.mean)
    found.push_back(fmt::format("noisy: the standard deviation is {:.0f} % of the mean; is the "
                                "machine busy?",
                                100 * steady.standardDeviation / steady.mean));
  return found;
}

static Status measure(Runner &runner, std::span<const AnyValue> inputs,
                      const BenchmarkOptions &options, Benchmark &result) {
  std::vector<AnyValue> outputs(runner.outputs().size());
  Stopwatch first;
  QUERN_TRY(runner.run(inputs, outputs));
  result.firstRunMs = first.milliseconds();
  for (int64_t i = 0; i < options.warmup; ++i)
    QUERN_TRY(runner.run(inputs, outputs));
  runner.clearProfile();

  SampleSet samples;
  Stopwatch total;
  auto isDone = [&] {
    return options.runs > 0 ? samples.count() >= options.runs
                            : samples.count() > 0 && total.milliseconds() >= options.seconds * 1e3;
  };
  RunCount count("measuring: ", " runs");
  auto runOnce = [&]() -> Status {
    QUERN_TRY(count.add());
    Stopwatch watch;
    QUERN_TRY(runner.run(inputs, outputs));
    samples.add(watch.milliseconds());
    return Status::ok();
  };
  while (result.isComplete && !isDone()) {
    Status status = runOnce();
    result.isComplete = !isEndedEarly(status, options.keepsCancelled, samples.count());
    if (result.isComplete)
      QUERN_TRY(status);
  }
  result.runs = samples.count();
  result.steady = samples.summarize();
  return Status::ok();
}

Expected<Benchmark> quern::benchmark(Runner &runner, std::span<const AnyValue> inputs,
                                     const BenchmarkOptions &options) {
  Benchmark result;
  result.threads = runner.threads();
  QUERN_TRY(updatePeak(options, result));
  QUERN_TRY(measure(runner, inputs, options, result));
  result.peakRssMb = peakRssMb();
  result.profile = runner.profile();
  QUERN_TRY(updatePeak(options, result));
  return result;
}

Expected<Benchmark> quern::benchmark(const Model &model, std::span<const AnyValue> inputs,
                                     const CompileOptions &compile, const RunnerOptions &session,
                                     const BenchmarkOptions &options) {
  QUERN_ASSIGN(PreparedRunner prepared, prepareRunner(model, inputs, compile, session));
  QUERN_ASSIGN(Benchmark result, quern::benchmark(*prepared.runner, inputs, options));
  result.compileMs = prepared.milliseconds;
  return result;
}
