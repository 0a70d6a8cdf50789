//===- Statistics.h - of times --------------------------------------------===//
#pragma once

#include "quern/Status.h"

#include <chrono>
#include <string_view>
#include <vector>

namespace quern::cli {

struct Statistics {
  double min = 0, mean = 0, standardDeviation = 0, p50 = 0, p90 = 0, p99 = 0;
};

/// Of at least one sample. Percentiles interpolate between neighbours.
Statistics summarize(std::vector<double> samples);

/// "500ms", "3s", "1.5s", "2min"; seconds without a unit. Usage error otherwise.
Expected<double> parseSeconds(std::string_view text);

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

} // namespace quern::cli
