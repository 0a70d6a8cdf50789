//===- ReferenceFunction.h - how plans call reference kernels -------------===//
#pragma once

#include "quern/ValueList.h"

#include <functional>
#include <span>
#include <vector>

namespace quern {

class Budget;

/// What a reference kernel is called with.
struct ReferenceArguments {
  /// One per operand; absent tensors stand for operands that were left out.
  ValueList inputs;
  /// Where memory comes from, and what long work asks whether to go on.
  Budget &budget;
  /// For each result the storage that waits for it, with any contents; absent where
  /// there is none, and empty when there is none at all. It overlaps no operand and
  /// no other result. A tensor that is written there needs no copy.
  std::span<const Tensor> places = {};
  /// The inputs, for a kernel that would change one: it may move one out, once, and finds then
  /// whether anybody else holds it. Empty when the caller needs them afterwards.
  std::span<AnyValue> takeable = {};

  /// An operand, moved out where that is allowed.
  AnyValue take(size_t i) const { return takeable.empty() ? inputs[i] : std::move(takeable[i]); }
};

/// Computes the results of one op, of which some may lie in their places and some
/// share the storage of operands.
using ReferenceFunction =
    std::function<Expected<std::vector<AnyValue>>(const ReferenceArguments &arguments)>;

} // namespace quern
