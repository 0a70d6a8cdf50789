//===- Ranges.cpp - which values a quantized tensor can have --------------===//
#include "api/quantize/Ranges.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace quern;
using namespace quern::quantization;

/// The numbers of 8 bits.
static constexpr int64_t kLevels = 256;

Range Range::unitedWith(const Range &other) const {
  return {std::min(low, other.low), std::max(high, other.high)};
}

std::optional<RangeMethod> quantization::parseRangeMethod(std::string_view name) {
  if (name == "min-max")
    return RangeMethod::MinMax;
  if (name == "percentile")
    return RangeMethod::Percentile;
  if (name == "entropy")
    return RangeMethod::Entropy;
  if (name == "mse")
    return RangeMethod::Mse;
  return std::nullopt;
}

static Range minMaxOf(const Histogram &histogram) {
  return {std::min(histogram.min(), 0.0), std::max(histogram.max(), 0.0)};
}

static Range intersect(const Range &a, const Range &b) {
  return {std::max(a.low, b.low), std::min(a.high, b.high)};
}

//===----------------------------------------------------------------------===//
// Percentile
//===----------------------------------------------------------------------===//

/// Leaves as many values out above as below, or fewer where there are none.
static Range percentileRange(const Histogram &histogram, double percentile) {
  double tail = static_cast<double>(histogram.count()) * (1 - percentile / 100) / 2;
  const std::vector<int64_t> &bins = histogram.bins();
  int64_t first = 0, last = Histogram::kBins - 1;
  auto countOf = [&](int64_t bin) { return static_cast<double>(bins[static_cast<size_t>(bin)]); };
  for (double below = countOf(first); first < last && below <= tail; below += countOf(first))
    ++first;
  for (double above = countOf(last); last > first && above <= tail; above += countOf(last))
    --last;
  double half = histogram.binWidth() / 2;
  Range kept = {std::min(histogram.centre(first) - half, 0.0),
                std::max(histogram.centre(last) + half, 0.0)};
  return intersect(kept, minMaxOf(histogram));
}

//===----------------------------------------------------------------------===//
// Entropy
//===----------------------------------------------------------------------===//

/// How much is lost, in nats, when what the bins [first, last] hold, and what saturates to their
/// ends, is told apart by kLevels numbers only.
static double divergence(const std::vector<int64_t> &bins, int64_t first, int64_t last) {
  int64_t number = last - first + 1;
  std::vector<double> wanted(bins.begin() + first, bins.begin() + last + 1);
  std::vector<double> inRange = wanted;
  for (int64_t i = 0; i < first; ++i)
    wanted.front() += static_cast<double>(bins[static_cast<size_t>(i)]);
  for (int64_t i = last + 1; i < static_cast<int64_t>(bins.size()); ++i)
    wanted.back() += static_cast<double>(bins[static_cast<size_t>(i)]);
  double total = 0, totalInRange = 0;
  for (int64_t i = 0; i < number; ++i) {
    total += wanted[static_cast<size_t>(i)];
    totalInRange += inRange[static_cast<size_t>(i)];
  }
  if (totalInRange == 0)
    return std::numeric_limits<double>::infinity();
  double sum = 0;
  for (int64_t level = 0; level < kLevels; ++level) {
    int64_t begin = level * number / kLevels, end = (level + 1) * number / kLevels;
    double mass = 0;
    int64_t used = 0;
    for (int64_t i = begin; i < end; ++i) {
      mass += inRange[static_cast<size_t>(i)];
      used += wanted[static_cast<size_t>(i)] > 0;
    }
    // Each bin that holds anything gets its share of the level's mass.
    for (int64_t i = begin; i < end; ++i)
      if (double p = wanted[static_cast<size_t>(i)] / total; p > 0) {
        double q = std::max(mass / static_cast<double>(used) / totalInRange, 1e-12);
        sum += p * std::log(p / q);
      }
  }
  return sum;
}

/// The bins with neighbours joined until they hold enough in the mean to be a distribution.
static std::vector<int64_t> joinedBins(const Histogram &histogram) {
  constexpr int64_t kEnough = 16;
  std::vector<int64_t> bins = histogram.bins();
  while (static_cast<int64_t>(bins.size()) > 2 * kLevels &&
         histogram.count() < kEnough * static_cast<int64_t>(bins.size())) {
    std::vector<int64_t> joined(bins.size() / 2);
    for (size_t i = 0; i < bins.size(); ++i)
      joined[i / 2] += bins[i];
    bins = std::move(joined);
  }
  return bins;
}

/// Cuts both sides at one magnitude. Zeros, of which ReLU makes many, are told apart by any
/// scale: their bin counts as its neighbours do, or it alone would ask for the smallest range.
static Range entropyRange(const Histogram &histogram) {
  constexpr int64_t kCandidates = 64;
  std::vector<int64_t> bins = joinedBins(histogram);
  auto size = static_cast<int64_t>(bins.size()), middle = size / 2;
  auto zero = static_cast<size_t>(middle);
  bins[zero] = std::max(bins[zero - 1], bins[zero + 1]);
  Range all = minMaxOf(histogram), best = all;
  double least = std::numeric_limits<double>::infinity();
  double width = 2 * histogram.limit() / static_cast<double>(size);
  for (int64_t i = kCandidates; i >= 4; --i) {
    double magnitude =
        std::max(-all.low, all.high) * static_cast<double>(i) / static_cast<double>(kCandidates);
    Range range = intersect({-magnitude, magnitude}, all);
    auto first = std::max<int64_t>(middle + static_cast<int64_t>(std::floor(range.low / width)), 0);
    auto last = std::min<int64_t>(middle + static_cast<int64_t>(std::ceil(range.high / width)) - 1,
                                  size - 1);
    if (last - first + 1 < kLevels)
      break;
    if (double loss = divergence(bins, first, last); loss < least) {
      least = loss;
      best = range;
    }
  }
  return best;
}

//===----------------------------------------------------------------------===//
// Squared error
//===----------------------------------------------------------------------===//

namespace {
/// Sums over the bins before each: how many values, of them, of their squares.
class Moments {
public:
  explicit Moments(const Histogram &histogram)
      : histogram(histogram), count(Histogram::kBins + 1), sum(count), squares(count) {
    for (int64_t i = 0; i < Histogram::kBins; ++i) {
      auto at = static_cast<size_t>(i);
      auto n = static_cast<double>(histogram.bins()[at]);
      double x = histogram.centre(i);
      count[at + 1] = count[at] + n;
      sum[at + 1] = sum[at] + n * x;
      squares[at + 1] = squares[at] + n * x * x;
    }
  }

  /// The squared error of what saturates at the ends and rounds between them.
  double error(const Range &range) const {
    size_t first = binOf(range.low), last = binOf(range.high);
    double step = (range.high - range.low) / static_cast<double>(kLevels - 1);
    return distance(0, first, range.low) + distance(last, count.size() - 1, range.high) +
           (count[last] - count[first]) * step * step / 12;
  }

private:
  size_t binOf(double value) const {
    double bin = std::round((value + histogram.limit()) / histogram.binWidth());
    return static_cast<size_t>(std::clamp<double>(bin, 0, Histogram::kBins));
  }
  /// Of all values in [from, to) from `value`, squared.
  double distance(size_t from, size_t to, double value) const {
    return (squares[to] - squares[from]) - 2 * value * (sum[to] - sum[from]) +
           value * value * (count[to] - count[from]);
  }

  const Histogram &histogram;
  std::vector<double> count, sum, squares;
};
} // namespace

static Range leastErrorRange(const Histogram &histogram) {
  constexpr int kCandidates = 96;
  Moments moments(histogram);
  Range all = minMaxOf(histogram), best = all;
  double least = moments.error(all);
  for (int i = 1; i <= kCandidates; ++i)
    for (int j = 1; j <= kCandidates; ++j) {
      Range range = {all.low * i / kCandidates, all.high * j / kCandidates};
      if (double error = moments.error(range); error < least) {
        least = error;
        best = range;
      }
    }
  return best;
}

Range quantization::chooseRange(const Histogram &histogram, RangeMethod method, double percentile) {
  if (histogram.limit() == 0)
    return {};
  switch (method) {
  case RangeMethod::MinMax:
    break;
  case RangeMethod::Percentile:
    return percentileRange(histogram, percentile);
  case RangeMethod::Entropy:
    return entropyRange(histogram);
  case RangeMethod::Mse:
    return leastErrorRange(histogram);
  }
  return minMaxOf(histogram);
}

//===----------------------------------------------------------------------===//
// Scale and zero point
//===----------------------------------------------------------------------===//

int64_t Affine::quantize(double value, int64_t least, int64_t most) const {
  double number = std::nearbyint(value / scale) + zeroPoint;
  return static_cast<int64_t>(
      std::clamp(number, static_cast<double>(least), static_cast<double>(most)));
}

Affine quantization::affineOf(const Range &range, DType dtype) {
  double low = std::min(range.low, 0.0), high = std::max(range.high, 0.0);
  auto least = static_cast<double>(leastOf(dtype)), most = static_cast<double>(mostOf(dtype));
  auto scale = static_cast<float>((high - low) / (most - least));
  // So small a range is as good as none; subnormal scales are not.
  if (!(scale >= std::numeric_limits<float>::min()))
    return {1, static_cast<int>(least)};
  double zero = std::nearbyint(least - low / static_cast<double>(scale));
  return {scale, static_cast<int>(std::clamp(zero, least, most))};
}
