//===- Reason.cpp - why something was not done ----------------------------===//
#include "quern/Reason.h"

#include <array>

using namespace quern;

std::string_view quern::reasonCodeName(ReasonCode code) {
  static constexpr std::array<std::string_view, 16> kNames = {
      "no-kernel",    "element-type", "shape",          "attributes",   "broadcast", "layout",
      "not-constant", "unknown-size", "data-dependent", "several-uses", "form",      "order",
      "rounding",     "generator",    "limit",          "missing"};
  return kNames[static_cast<size_t>(code)];
}
