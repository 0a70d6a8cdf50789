//===- Histogram.cpp - what a tensor's values were like -------------------===//
#include "api/quantize/Histogram.h"

#include <algorithm>
#include <cmath>

using namespace quern::quantization;

/// Afterwards `magnitude` is in range.
void Histogram::widen(double magnitude) {
  if (reach == 0)
    reach = magnitude;
  while (reach < magnitude) {
    std::vector<int64_t> merged(kBins);
    for (int64_t i = 0; i < kBins; ++i)
      merged[static_cast<size_t>(kBins / 4 + i / 2)] += counts[static_cast<size_t>(i)];
    counts = std::move(merged);
    reach *= 2;
  }
}

void Histogram::add(std::span<const float> values) {
  double low = 0, high = 0;
  bool isFirst = total == 0;
  for (float value : values) {
    if (!std::isfinite(value)) {
      nonFinite = true;
      continue;
    }
    low = isFirst ? value : std::min<double>(low, value);
    high = isFirst ? value : std::max<double>(high, value);
    isFirst = false;
  }
  if (isFirst)
    return;
  smallest = total == 0 ? low : std::min(smallest, low);
  largest = total == 0 ? high : std::max(largest, high);
  widen(std::max(std::abs(low), std::abs(high)));
  // Zeros are in the first bin of the upper half, also as long as there is nothing else.
  double perUnit = reach > 0 ? kBins / (2 * reach) : 0;
  for (float value : values) {
    if (!std::isfinite(value))
      continue;
    auto bin = kBins / 2 + static_cast<int64_t>(std::floor(value * perUnit));
    counts[static_cast<size_t>(std::clamp<int64_t>(bin, 0, kBins - 1))]++;
    ++total;
  }
}
