//===- CustomOptions.cpp - options of custom ops --------------------------===//
#include "frontend/tflite/CustomOptions.h"

#include <flatbuffers/flexbuffers.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>

using namespace quern;
using namespace quern::tflite;

NamedOptions::NamedOptions(OpReader &op) : op(op) {
  // The verifier takes the longer the more there is; options have some ten names.
  constexpr size_t kMost = 1 << 16;
  std::span<const uint8_t> found = op.customOptions();
  std::vector<uint8_t> tracker;
  bytes.assign(found.begin(), found.begin() + std::min(found.size(), kMost));
  bytes.push_back(0);
  if (found.size() <= kMost && flexbuffers::VerifyBuffer(bytes.data(), found.size(), &tracker) &&
      flexbuffers::GetRoot(bytes.data(), found.size()).IsMap())
    size = found.size();
  else
    op.invalid("its options are damaged");
}

std::optional<double> NamedOptions::number(const char *name) {
  if (size == 0)
    return std::nullopt;
  flexbuffers::Reference found = flexbuffers::GetRoot(bytes.data(), size).AsMap()[name];
  if (found.IsNull())
    return std::nullopt;
  if (found.IsBool())
    return found.AsBool() ? 1 : 0;
  if (found.IsFloat())
    return found.AsDouble();
  if (found.IsUInt())
    return static_cast<double>(found.AsUInt64());
  if (found.IsInt())
    return static_cast<double>(found.AsInt64());
  op.invalid(fmt::format("option '{}' is not a number", name));
  return std::nullopt;
}

int64_t NamedOptions::getInt(const char *name, int64_t least, int64_t otherwise) {
  double value = number(name).value_or(static_cast<double>(otherwise));
  if (value >= static_cast<double>(least) && value <= std::numeric_limits<int32_t>::max())
    return static_cast<int64_t>(value);
  op.invalid(fmt::format("option '{}' must be {} or more, found {}", name, least, value));
  return least;
}

float NamedOptions::getFloat(const char *name, float otherwise) {
  double value = number(name).value_or(otherwise);
  if (std::abs(value) <= std::numeric_limits<float>::max())
    return static_cast<float>(value);
  op.invalid(fmt::format("option '{}' must be a float32, found {}", name, value));
  return otherwise;
}

bool NamedOptions::getBool(const char *name, bool otherwise) {
  return number(name).value_or(otherwise ? 1 : 0) != 0;
}

std::vector<int64_t> tflite::structOptions(OpReader &op, size_t count) {
  std::span<const uint8_t> found = op.customOptions();
  std::vector<int32_t> fields(count);
  if (found.size() < count * sizeof(int32_t))
    op.invalid(fmt::format("its options have {} bytes, {} are wanted", found.size(),
                           count * sizeof(int32_t)));
  else
    std::memcpy(fields.data(), found.data(), count * sizeof(int32_t));
  return {fields.begin(), fields.end()};
}
