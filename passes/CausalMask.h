//===- CausalMask.h - masks that let queries see no later keys ------------===//
#pragma once

#include "ir/Shape.h"

#include "mlir/IR/PatternMatch.h"

#include <limits>
#include <optional>

namespace quern::passes {

/// What hides a score when it is added, negated.
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A mask that is 0 where key <= query + offset, and -infinity elsewhere.
struct CausalMask {
  /// One int64; null: `constant` is the offset.
  mlir::Value offset;
  int64_t constant = 0;
};

/// Whether `mask`, which is added to the scores of so many queries and keys, is one: a constant,
/// or a choice by comparing the numbers of keys with those of queries.
std::optional<CausalMask> matchCausalMask(mlir::Value mask, const nn::Dim &queries,
                                          const nn::Dim &keys);

} // namespace quern::passes
