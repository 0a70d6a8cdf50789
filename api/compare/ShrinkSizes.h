//===- ShrinkSizes.h - smaller dimensions ---------------------------------===//
#pragma once

#include "api/compare/CutModel.h"

#include <compare>
#include <optional>

namespace quern {

/// A way to make a part smaller.
struct SizeChange {
  /// Every dimension of this size, of inputs, constants and attributes, gets another one; or that
  /// of one input alone.
  int64_t from, to;
  std::optional<size_t> input = {};
  int64_t axis = 0;

  auto operator<=>(const SizeChange &) const = default;
};

/// Those that are worth trying, the largest size first.
std::vector<SizeChange> possibleChanges(const ModelPart &part);
/// None when nothing changes.
std::optional<ModelPart> changeSizes(const ModelPart &part, const SizeChange &change);

} // namespace quern
