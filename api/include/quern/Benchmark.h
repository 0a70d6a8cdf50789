//===- Benchmark.h - what a model costs -----------------------------------===//
#pragma once

#include "quern/Model.h"
#include "quern/Statistics.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace quern {

struct BenchmarkOptions {
  /// How long to measure; one run at least.
  double seconds = 3;
  /// How many runs to measure instead; 0: by time.
  int64_t runs = 0;
  /// Runs after the first one and before measuring.
  int64_t warmup = 3;
  /// Measures before and after the runs what this machine can do with code for this
  /// CPU, as CompileOptions has it; not when empty.
  std::string peakOfCpu = {};
  /// When runs are cancelled, what was measured until then is the result, if anything was.
  bool keepsCancelled = false;
};

struct Benchmark {
  /// Milliseconds: of compiling and planning for these inputs (0 where the caller did
  /// that), of the first run, and of each run in the steady state.
  double compileMs = 0, firstRunMs = 0;
  Statistics steady;
  int64_t runs = 0;
  /// False when runs were cancelled: these are those before.
  bool isComplete = true;
  int threads = 0;
  /// The most memory that this process has had.
  double peakRssMb = 0;
  /// Of the steady state, with RunnerOptions::profile.
  std::vector<ProfileRow> profile;
  /// What all threads together could reach.
  EnginePeaks peaks;

  /// Why the numbers may not be what they seem: "noisy: ...", "few-runs: ...".
  std::vector<std::string> warnings() const;
};

/// Runs again and again on the same inputs.
Expected<Benchmark> benchmark(Runner &runner, std::span<const AnyValue> inputs,
                              const BenchmarkOptions &options = {});

/// Compiles and then runs.
Expected<Benchmark> benchmark(const Model &model, std::span<const AnyValue> inputs,
                              const CompileOptions &compile = {}, const RunnerOptions &session = {},
                              const BenchmarkOptions &options = {});

} // namespace quern
