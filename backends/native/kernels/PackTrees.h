//===- PackTrees.h - decision trees as their kernel reads them ------------===//
//
// One block of bytes: a header, then records, then tables. The records that the two ways of a node
// lead to are neighbours, so that a step of a walk is an addition: to the place of the first one
// comes 1 where the second way is taken. A record is the threshold and a word with the feature (and
// the test in its upper bits, where tests differ), and the place; in narrow records feature and
// place share the word.
//
// A leaf's threshold is a NaN, with which any comparison ends alike, and its place such that this
// leads to itself: walks that have come to their end may go on beside others. The bits that a NaN
// has to spare are the leaf's number. Thresholds of nodes that are no number have another sign.
//
// Where tests differ by the way of what is no number only, as they do in models of LightGBM and
// XGBoost, a bit is set for the second way: below the feature in narrow records, above it in
// others.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Tensor.h"
#include "runtime/reference/Trees.h"

#include <span>

namespace quern::native {

/// The header's entries, int64: where tables begin, in bytes from the beginning; how many features
/// there must be; how many bits of a narrow record's word are the feature.
enum TreeHeader {
  kTreeRoots,
  kTreeLevels,
  kTreeLeaves,
  kTreeTargets,
  kTreeWeights,
  kTreeFeatures,
  kTreeFeatureBits,
  kTreeHeaderEntries
};

/// How records lie. Places count units of 8 bytes from the header's end.
struct TreeLayout {
  DType dtype;
  bool isWide;

  static constexpr int64_t kHeaderBytes = 64, kUnitBytes = 8;
  /// Roots are in groups: what is missing from the last one leads to a leaf without votes. Each
  /// group has its levels, as many as the deepest tree; those of single trees follow.
  static constexpr int64_t kGroup = 16;
  /// Bits of a wide record's first word that are the feature; above is the test.
  static constexpr int64_t kFeatureBits = 28;
  /// Leaves that narrow records have numbers for.
  static constexpr int64_t kMostNarrowLeaves = int64_t{1} << 22;

  /// Narrow where all is float32, has a common test, and fits.
  static TreeLayout choose(DType dtype, int test, int64_t nodes, int64_t leaves, int64_t roots,
                           int64_t features);

  int64_t units() const { return isWide ? 2 : 1; }
  int64_t wordOffset() const { return dtypeBytes(dtype); }
  int64_t placeOffset() const { return wordOffset() + 4; }
  /// A record of no node, one for each root and two for each node.
  static int64_t records(int64_t nodes, int64_t roots) { return 1 + roots + 2 * nodes; }
  int64_t end(int64_t nodes, int64_t roots) const {
    return kHeaderBytes + records(nodes, roots) * units() * kUnitBytes;
  }
  /// Of the upper four bytes of a threshold those that are all set in leaves only, and where they
  /// are in a record.
  uint32_t leafBits() const { return dtype == DType::Float64 ? 0xFFF80000 : 0xFFC00000; }
  int64_t leafBitsOffset() const { return dtypeBytes(dtype) - 4; }
  /// The word that has a leaf's number, and its bits that are no part of it.
  int64_t leafOffset() const { return dtype == DType::Float64 || !isWide ? 0 : 12; }
  uint32_t numberMask() const {
    return isWide ? ~uint32_t{0} : static_cast<uint32_t>(kMostNarrowLeaves - 1);
  }
};

/// The outcomes after which a walk takes the first way, when ways are swapped so that
/// kTreeGreater is none of them.
uint8_t normalizedTest(uint8_t test);
/// Beside the outcomes of a common test: what is no number takes the way that its node says.
constexpr int kTreeOwnUnordered = 16;
inline bool hasOwnUnordered(int commonTest) {
  return commonTest >= 0 && (commonTest & kTreeOwnUnordered);
}
/// The normalized test that all nodes have, or what they have of it but for kTreeUnordered, with
/// kTreeOwnUnordered; -1 when they differ in more.
int commonTest(std::span<const uint8_t> tests);
/// How many features the nodes ask for; `nodes` has three entries each.
int64_t featuresOf(std::span<const int32_t> nodes);

/// The block of trees whose tables are these; an error when they do not fit each other.
Expected<Tensor> packTrees(const reference::Trees &trees, const Tensor &thresholds,
                           const Tensor &weights);

} // namespace quern::native
