//===- Statistics.cpp - of times ------------------------------------------===//
#include "quern/Statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

using namespace quern;

static double percentile(const std::vector<double> &sorted, double share) {
  double position = share * static_cast<double>(sorted.size() - 1);
  auto below = static_cast<size_t>(position);
  size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

//===----------------------------------------------------------------------===//
// Buckets: 512 for each power of two, by the leading bits of a double
//===----------------------------------------------------------------------===//

constexpr int kDroppedBits = 52 - 9;
/// In milliseconds far below what a clock can tell, and hours.
constexpr double kLowest = 0x1p-24, kHighest = 0x1p+24;

static constexpr uint64_t leadingBits(double value) {
  return std::bit_cast<uint64_t>(value) >> kDroppedBits;
}

constexpr size_t kBuckets = leadingBits(kHighest) - leadingBits(kLowest);

static size_t bucketOf(double sample) {
  double inside = std::clamp(sample, kLowest, kHighest);
  return std::min(leadingBits(inside) - leadingBits(kLowest), uint64_t{kBuckets - 1});
}

static double lowerBound(size_t bucket) {
  return std::bit_cast<double>((leadingBits(kLowest) + bucket) << kDroppedBits);
}

//===----------------------------------------------------------------------===//
// SampleSet
//===----------------------------------------------------------------------===//

SampleSet::SampleSet()
    : smallest(std::numeric_limits<double>::infinity()), largest(-smallest), buckets(kBuckets) {
  samples.reserve(kExactSamples);
}

void SampleSet::add(double sample) {
  ++number;
  smallest = std::min(smallest, sample);
  largest = std::max(largest, sample);
  // Welford's method: no difference of large sums.
  double distance = sample - mean;
  mean += distance / static_cast<double>(number);
  squares += distance * (sample - mean);
  if (samples.size() < kExactSamples)
    samples.push_back(sample);
  ++buckets[bucketOf(sample)];
}

double SampleSet::estimateAt(double rank) const {
  double before = 0;
  size_t bucket = 0;
  while (bucket + 1 < kBuckets && before + static_cast<double>(buckets[bucket]) <= rank)
    before += static_cast<double>(buckets[bucket++]);
  // As if the samples of a bucket were spread evenly over it.
  double share = (rank - before + 0.5) / static_cast<double>(std::max<int64_t>(buckets[bucket], 1));
  double low = lowerBound(bucket), high = lowerBound(bucket + 1);
  return std::clamp(low + std::min(share, 1.0) * (high - low), smallest, largest);
}

Statistics SampleSet::summarize() const {
  Statistics result;
  result.min = smallest;
  result.mean = mean;
  result.standardDeviation = number > 1 ? std::sqrt(squares / static_cast<double>(number - 1)) : 0;
  std::vector<double> sorted;
  if (number <= static_cast<int64_t>(kExactSamples)) {
    sorted = samples;
    std::sort(sorted.begin(), sorted.end());
  }
  auto percentileAt = [&](double share) {
    return sorted.empty() ? estimateAt(share * static_cast<double>(number - 1))
                          : percentile(sorted, share);
  };
  result.p50 = percentileAt(0.50);
  result.p90 = percentileAt(0.90);
  result.p99 = percentileAt(0.99);
  return result;
}
