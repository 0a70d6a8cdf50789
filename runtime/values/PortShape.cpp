//===- PortShape.cpp - shapes of inputs and outputs -----------------------===//
#include "quern/PortShape.h"

#include "quern/CheckedSize.h"

#include <algorithm>

using namespace quern;

std::string PortDim::str() const {
  if (isStatic())
    return std::to_string(known);
  return isSymbolic() ? name : "?";
}

PortShape PortShape::fromSizes(std::span<const int64_t> sizes) {
  return PortShape(std::vector<PortDim>(sizes.begin(), sizes.end()));
}

bool PortShape::isStatic() const {
  return std::all_of(dimensions.begin(), dimensions.end(),
                     [](const PortDim &d) { return d.isStatic(); });
}

std::optional<std::vector<int64_t>> PortShape::sizes() const {
  if (!isStatic())
    return std::nullopt;
  std::vector<int64_t> result;
  for (const PortDim &d : dimensions)
    result.push_back(d.size());
  return result;
}

std::optional<int64_t> PortShape::numElements() const {
  auto all = sizes();
  if (!all)
    return std::nullopt;
  CheckedSize n = CheckedSize::product(*all);
  return n.valid() ? std::optional(n.value()) : std::nullopt;
}

std::string PortShape::str() const {
  if (dimensions.empty())
    return "scalar";
  std::string text;
  for (const PortDim &d : dimensions)
    text += (text.empty() ? "" : "x") + d.str();
  return text;
}
