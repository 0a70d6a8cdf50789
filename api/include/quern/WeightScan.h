//===- WeightScan.h - what is in the weights of a model -------------------===//
#pragma once

#include "quern/Tensor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

/// A float32 weight that a node of the model takes, and what of it a run could do without.
struct WeightFinding {
  /// The node that takes it first: "conv1".
  std::string node;
  Tensor::Dims dims = {};
  int64_t elements = 0, zeros = 0;
  /// Numbers too small for a normal float32, which many processors compute with slowly.
  int64_t subnormals = 0;
  /// Filters of convolutions, columns of matrix products: how many there are, and how many have
  /// nothing but zeros. 0 where weights are neither.
  int64_t slices = 0, zeroSlices = 0;
  /// The node whose weight has the same elements; empty when none before has.
  std::string sameAs = {};

  int64_t bytes() const { return elements * 4; }
};

} // namespace quern
