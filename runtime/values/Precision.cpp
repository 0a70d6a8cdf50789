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
  if (precision == Precision::Float16)
    return unsupported(
        "there is no native code that multiplies in f16: bf16 has the same size, and "
        "float32's range; a float16 model is computed in float32 as it is");
  if (precision == Precision::Int8)
    return unsupported("int8 needs ranges of activations, which only inputs like those of real use "
                       "tell: quantize the model with quern quantize, which measures what that "
                       "costs, and run what it writes; or ask for bf16 or auto");
  return Status::ok();
}

static constexpr std::array<std::string_view, 2> kWinogradNames = {"auto", "off"};

std::string_view quern::winogradUseName(WinogradUse use) {
  return kWinogradNames[static_cast<size_t>(use)];
}

Expected<WinogradUse> quern::parseWinogradUse(std::string_view name) {
  auto at = std::find(kWinogradNames.begin(), kWinogradNames.end(), name);
  if (at == kWinogradNames.end())
    return usageError(fmt::format("Winograd's algorithm is auto or off, not '{}'", name));
  return static_cast<WinogradUse>(at - kWinogradNames.begin());
}

static constexpr std::array<std::string_view, 3> kWeightNames = {"given", "int8", "int4"};

std::string_view quern::weightTypeName(WeightType type) {
  return kWeightNames[static_cast<size_t>(type)];
}

Expected<WeightType> quern::parseWeightType(std::string_view name) {
  auto at = std::find(kWeightNames.begin(), kWeightNames.end(), name);
  if (at == kWeightNames.end())
    return usageError(fmt::format("there are no weights '{}'; wanted given, int8 or int4", name));
  return static_cast<WeightType>(at - kWeightNames.begin());
}
