//===- Statistics.h - of times --------------------------------------------===//
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace quern {

/// Of the samples of a SampleSet, in their unit.
struct Statistics {
  double min = 0, mean = 0, standardDeviation = 0, p50 = 0, p90 = 0, p99 = 0;
};

/// Any number of times in bounded memory. Minimum, mean and standard deviation are
/// exact. So are percentiles, which interpolate between neighbours, of up to
/// kExactSamples; of more they are within 0.2 %.
class SampleSet {
public:
  static constexpr size_t kExactSamples = 10'000;

  SampleSet();
  void add(double sample);
  int64_t count() const { return number; }
  /// Of at least one sample.
  Statistics summarize() const;

private:
  /// The sample at `rank`, counted from 0 in ascending order, and between ranks.
  double estimateAt(double rank) const;

  int64_t number = 0;
  double smallest, largest;
  /// And the sum of the squares of the distances from it.
  double mean = 0, squares = 0;
  /// As long as there are few.
  std::vector<double> samples;
  /// How many samples lie in each of the buckets, which are as narrow as they are
  /// near to 0.
  std::vector<int64_t> buckets;
};

/// A clock that starts when it is made.
class Stopwatch {
public:
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  }

private:
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

} // namespace quern
