//===- Duration.cpp - times that users write ------------------------------===//
#include "tools/quern/Duration.h"

#include <charconv>
#include <cmath>

using namespace quern;
using namespace quern::cli;

Expected<double> cli::parseSeconds(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  double scale = unit == "ms" ? 1e-3 : unit == "s" || unit.empty() ? 1 : unit == "min" ? 60 : 0;
  if (error != std::errc() || !std::isfinite(value) || value < 0 || scale == 0)
    return usageError("'" + std::string(text) + "' is no duration; write 500ms, 3s or 1min");
  return value * scale;
}
