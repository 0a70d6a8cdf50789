//===- Shape.cpp - shapes with static, symbolic and unknown dimensions ----===//
#include "quern/Shape.h"

#include "quern/CheckedSize.h"

#include <algorithm>

using namespace quern;

std::string Dim::str() const {
  if (isStatic())
    return std::to_string(known);
  return isSymbolic() ? name : "?";
}

Shape Shape::fromSizes(std::span<const int64_t> sizes) {
  return Shape(std::vector<Dim>(sizes.begin(), sizes.end()));
}

bool Shape::isStatic() const {
  return std::all_of(dimensions.begin(), dimensions.end(),
                     [](const Dim &d) { return d.isStatic(); });
}

std::optional<std::vector<int64_t>> Shape::sizes() const {
  if (!isStatic())
    return std::nullopt;
  std::vector<int64_t> result;
  for (const Dim &d : dimensions)
    result.push_back(d.size());
  return result;
}

std::optional<int64_t> Shape::numElements() const {
  auto all = sizes();
  if (!all)
    return std::nullopt;
  CheckedSize n = CheckedSize::product(*all);
  return n.valid() ? std::optional(n.value()) : std::nullopt;
}

std::string Shape::str() const {
  if (dimensions.empty())
    return "scalar";
  std::string text;
  for (const Dim &d : dimensions)
    text += (text.empty() ? "" : "x") + d.str();
  return text;
}

Expected<Dim> quern::broadcastDim(const Dim &a, const Dim &b) {
  if (a.isStatic(1))
    return b;
  if (b.isStatic(1) || a.provablyEquals(b))
    return a;
  if (a.isStatic() && b.isStatic())
    return invalidModel("dimensions " + a.str() + " and " + b.str() + " do not broadcast");
  if (a.isStatic())
    return a;
  if (b.isStatic())
    return b;
  return Dim();
}

Expected<Shape> quern::broadcastShapes(const Shape &a, const Shape &b) {
  int64_t rank = std::max(a.rank(), b.rank());
  std::vector<Dim> dims(rank);
  for (int64_t i = 1; i <= rank; ++i) {
    Dim x = i <= a.rank() ? a[a.rank() - i] : Dim(1);
    Dim y = i <= b.rank() ? b[b.rank() - i] : Dim(1);
    auto d = broadcastDim(x, y);
    if (!d)
      return invalidModel("shapes " + a.str() + " and " + b.str() + " do not broadcast");
    dims[rank - i] = d.take();
  }
  return Shape(std::move(dims));
}
