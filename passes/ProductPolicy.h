//===- ProductPolicy.h - what pays on 8-bit integers ----------------------===//
//
// FormIntegerProducts knows which products can be computed on 8-bit integers with the same
// integers; whether they are to be is said by a policy, which a backend gives.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Reason.h"

#include <cstdint>
#include <optional>

namespace quern::passes {

/// What decides whether a product of uint8 activations and int8 weights, with sums of int32, is
/// better than the same product of int32 or float32. Sizes that are not known are -1.
struct ProductFacts {
  /// Of a convolution the dimensions of its window; 0 of a matrix product.
  int64_t spatialRank = 0;
  /// Channels, or columns, of the activation and of the result; those of a convolution's groups
  /// together.
  int64_t inputs = -1, outputs = -1;
  int64_t groups = 1;
  /// Products that are summed up.
  int64_t depth = -1;
  /// The second factor is no constant: the run packs it, and sums it up where there are zero
  /// points.
  bool isComputed = false;
  /// The rows of the first, which share what is packed, and whether there are as many as the second
  /// has rows or columns.
  int64_t rows = -1;
  bool matchesSecond = false;

  bool isConv() const { return spatialRank > 0; }
  bool isDepthwise() const { return groups > 1 && groups == inputs && groups == outputs; }
};

class ProductPolicy {
public:
  virtual ~ProductPolicy() = default;
  /// Why the product stays as it is; nullopt where 8-bit integers pay.
  virtual std::optional<Reason> refuse(const ProductFacts &product) const = 0;
  /// What a lookup in a table of bytes costs, in operations on as many elements of float32.
  virtual int64_t lookupCost() const { return 6; }
};

/// The policy of those who want whatever is possible.
class AllProducts : public ProductPolicy {
public:
  std::optional<Reason> refuse(const ProductFacts &) const override { return std::nullopt; }
};

} // namespace quern::passes
