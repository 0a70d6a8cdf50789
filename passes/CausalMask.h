//===- CausalMask.h - masks that let queries see no later keys ------------===//
#pragma once

#include "ir/Shape.h"

#include "mlir/IR/PatternMatch.h"

#include <optional>

namespace quern::passes {

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
