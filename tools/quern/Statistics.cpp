//===- Statistics.cpp - of times ------------------------------------------===//
#include "tools/quern/Statistics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

using namespace quern;
using namespace quern::cli;

static double percentile(const std::vector<double> &sorted, double share) {
  double position = share * static_cast<double>(sorted.size() - 1);
  auto below = static_cast<size_t>(position);
  size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Statistics cli::summarize(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  auto count = static_cast<double>(samples.size());
  Statistics result;
  result.min = samples.front();
  result.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count;
  double squares = 0;
  for (double sample : samples)
    squares += (sample - result.mean) * (sample - result.mean);
  result.standardDeviation = samples.size() > 1 ? std::sqrt(squares / (count - 1)) : 0;
  result.p50 = percentile(samples, 0.50);
  result.p90 = percentile(samples, 0.90);
  result.p99 = percentile(samples, 0.99);
  return result;
}

Expected<double> cli::parseSeconds(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  double scale = unit == "ms" ? 1e-3 : unit == "s" || unit.empty() ? 1 : unit == "min" ? 60 : 0;
  if (error != std::errc() || !std::isfinite(value) || value < 0 || scale == 0)
    return usageError("'" + std::string(text) + "' is no duration; write 500ms, 3s or 1min");
  return value * scale;
}
