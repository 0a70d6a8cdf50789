//===- Histogram.h - what a tensor's values were like ---------------------===//
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quern::quantization {

/// Counts the values of a tensor over any number of runs, in memory that does not grow: bins
/// over a range around 0 that doubles, with two neighbours becoming one, when a value is
/// outside.
class Histogram {
public:
  /// An even number of them in each half.
  static constexpr int64_t kBins = 8192;

  void add(std::span<const float> values);

  int64_t count() const { return total; }
  /// Of all values; 0 when there are none.
  double min() const { return smallest; }
  double max() const { return largest; }
  /// Whether one was infinite or no number.
  bool hasNonFinite() const { return nonFinite; }
  /// The bins from -limit() to limit().
  const std::vector<int64_t> &bins() const { return counts; }
  double limit() const { return reach; }
  double binWidth() const { return 2 * reach / kBins; }
  /// The middle of a bin.
  double centre(int64_t bin) const { return (static_cast<double>(bin) + 0.5) * binWidth() - reach; }

private:
  void widen(double magnitude);

  std::vector<int64_t> counts = std::vector<int64_t>(kBins);
  double reach = 0, smallest = 0, largest = 0;
  int64_t total = 0;
  bool nonFinite = false;
};

} // namespace quern::quantization
