//===- Precision.cpp - what a model is computed in ------------------------===//
#include "quern/Precision.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

using namespace quern;

static constexpr std::array<std::string_view, 5> kNames = {"f32", "bf16", "f16", "int8", "auto"};

std::string_view quern::precisionName(Precision precision) {
  return kNames[static_cast<size_t>(precision)];
}

Expected<Precision> quern::parsePrecision(std::string_view name) {
  auto at = std::find(kNames.begin(), kNames.end(), name);
  if (at == kNames.end())
    return usageError(
        fmt::format("there is no precision '{}'; wanted f32, bf16, f16, int8 or auto", name));
  return static_cast<Precision>(at - kNames.begin());
}

Status quern::checkPrecision(Precision precision) {
  if (precision == Precision::Float32 || precision == Precision::BFloat16)
    return Status::ok();
  return unsupported(fmt::format("precision {} cannot be asked for yet: there are f32, the model's "
                                 "own, and bf16",
                                 precisionName(precision)));
}
