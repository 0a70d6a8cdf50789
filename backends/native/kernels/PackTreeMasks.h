//===- PackTreeMasks.h - decision trees as masks of leaves ----------------===//
//
// A tree of few leaves without walks: each leaf is a bit, from the first way's to the second's, and
// every node has a mask with the leaves that are left when the second way is taken there. Of all
// masks whose nodes a row would send there, the lowest bit that all have is the row's leaf: what is
// before it lies on a first way that was not taken, and on its own path nothing clears it.
//
// The order of the nodes decides nothing. Masks are cut into words of 32 bits, and so are the
// nodes: those of a word that clear something of it, by which no number takes the second way, come
// first, then the others. What clears leaves of two words is there twice.
//
// One block of bytes: int32 where both kinds of the nodes of each word of each tree begin, and
// where the last ones end; from `nodesAt` on the nodes, of 12 bytes: threshold, the place of the
// feature among copied rows, mask; from `weightsAt` on `leaves` weights for each tree.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Tensor.h"
#include "runtime/reference/Trees.h"

#include <optional>

namespace quern::native {

struct TreeMasks {
  /// The normalized test of all nodes, but for what is no number.
  int test = 0;
  /// Bits of a mask, for the tree with most leaves: 32 or 64.
  int64_t leaves = 32;
  int64_t trees = 0;
  /// Those of all words of all trees, in whole pairs: a node may be one that clears nothing.
  int64_t nodes = 0;

  static constexpr int64_t kNodeBytes = 12, kWordBits = 32;
  /// Rows that are computed together; features of one number are as many neighbours.
  static constexpr int64_t kRows = 32;

  /// None where a tree has more leaves than a mask, each as often as ways lead to it, or where
  /// tests differ.
  static std::optional<TreeMasks> of(const reference::Trees &trees);

  int64_t words() const { return leaves / kWordBits; }
  int64_t nodesAt() const { return (2 * words() * trees + 1) * 4; }
  int64_t weightsAt() const;
  int64_t bytes() const { return weightsAt() + trees * leaves * 4; }
};

/// The block of trees that have masks, and leaves with the weight of their own number; an error
/// when the tables do not fit each other.
Expected<Tensor> packTreeMasks(const reference::Trees &trees, const Tensor &thresholds,
                               const Tensor &weights);

} // namespace quern::native
