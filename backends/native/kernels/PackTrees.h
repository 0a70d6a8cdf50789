//===- PackTrees.h - decision trees as their kernel reads them ------------===//
//
// One block of bytes: a header, then a record for each node and each leaf, then tables.
// A record is the threshold, the feature (with the test in its upper bits, where tests
// differ), and where the
// two ways lead, in bytes from the beginning; a leaf leads to itself, so that walks that
// have come to their end may go on beside others.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Tensor.h"
#include "runtime/reference/Trees.h"

#include <span>

namespace quern::native {

/// The header's entries, int64: where tables begin, in bytes from the beginning.
enum TreeHeader { kTreeRoots, kTreeLeaves, kTreeTargets, kTreeWeights, kTreeFeatures };

/// Where things are in the block, for elements of one type.
struct TreeLayout {
  DType dtype;
  int64_t nodes;
  int64_t leaves;

  static constexpr int64_t kHeaderBytes = 64;
  /// Roots are in groups: what is missing from the last one leads to a leaf without votes.
  static constexpr int64_t kGroup = 8;
  /// Bits of a record's second word that are the feature; above is the test.
  static constexpr int64_t kFeatureBits = 28;

  int64_t recordBytes() const { return dtype == DType::Float64 ? 24 : 16; }
  int64_t featureOffset() const { return dtypeBytes(dtype); }
  int64_t waysOffset() const { return dtypeBytes(dtype) + 4; }
  int64_t firstLeaf() const { return kHeaderBytes + nodes * recordBytes(); }
  int64_t end() const { return firstLeaf() + (leaves + 1) * recordBytes(); }
};

/// The outcomes after which a walk takes the first way, when ways are swapped so that
/// kTreeGreater is none of them.
uint8_t normalizedTest(uint8_t test);
/// The normalized test that all nodes have; -1 when they differ. Records have none then.
int commonTest(std::span<const uint8_t> tests);

/// The block of trees whose tables are these; an error when they do not fit each other.
Expected<Tensor> packTrees(const reference::Trees &trees, const Tensor &thresholds,
                           const Tensor &weights);

} // namespace quern::native
