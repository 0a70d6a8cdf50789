//===- PackTreeMasks.cpp - decision trees as masks of leaves --------------===//
#include "backends/native/kernels/PackTreeMasks.h"

#include "backends/native/kernels/PackTrees.h"
#include "runtime/values/CeilDiv.h"

#include <cstring>
#include <vector>

using namespace quern;
using namespace quern::native;
using reference::Trees;

namespace {
constexpr int64_t kMostLeaves = 64;

/// The nodes and leaves of one tree, which ends early where it has too many.
class MaskedTree {
public:
  explicit MaskedTree(const Trees &trees) : trees(trees) {}

  struct Node {
    int32_t number;
    uint64_t mask;
  };
  /// False where masks cannot tell its leaves apart.
  bool visit(int32_t root);

  std::vector<Node> nodes;
  /// Their numbers, from the first way's to the second's.
  std::vector<int32_t> leaves;

private:
  const Trees &trees;
};
} // namespace

/// In depth: the leaves of a node's first way are those that come between it and its second way.
bool MaskedTree::visit(int32_t root) {
  struct Open {
    int32_t place;
    /// The node whose second way this is, among `nodes`, and how many leaves there were before it.
    int64_t node = -1;
    size_t before = 0;
  };
  nodes.clear();
  leaves.clear();
  std::vector<Open> open = {{root}};
  while (!open.empty()) {
    Open at = open.back();
    open.pop_back();
    if (at.node >= 0) {
      size_t count = leaves.size() - at.before;
      nodes[static_cast<size_t>(at.node)].mask = ~(((uint64_t{1} << count) - 1) << at.before);
    }
    if (at.place < 0) {
      leaves.push_back(-1 - at.place);
      // All but one must be a first way's, for a shift by 64 is none.
      if (leaves.size() > kMostLeaves)
        return false;
      continue;
    }
    auto i = static_cast<size_t>(at.place);
    bool isSwapped = trees.tests[i] & reference::kTreeGreater;
    nodes.push_back({at.place, 0});
    if (nodes.size() >= kMostLeaves)
      return false;
    open.push_back({trees.nodes[3 * i + (isSwapped ? 1 : 2)],
                    static_cast<int64_t>(nodes.size()) - 1, leaves.size()});
    open.push_back({trees.nodes[3 * i + (isSwapped ? 2 : 1)]});
  }
  return true;
}

/// Whether what is no number takes the first way.
static bool isFirstUnordered(uint8_t test) {
  return normalizedTest(test) & reference::kTreeUnordered;
}

/// What a node clears of a word.
static uint32_t wordOf(uint64_t mask, int64_t word) {
  return static_cast<uint32_t>(mask >> (word * TreeMasks::kWordBits));
}
static bool clearsIn(const MaskedTree::Node &node, int64_t word) {
  return wordOf(node.mask, word) != ~uint32_t{0};
}

/// The nodes of a word of which no number takes the first way, or the second.
template <typename Visit>
static void visitNodes(const MaskedTree &tree, const Trees &trees, int64_t word, bool unordered,
                       Visit visit) {
  for (const MaskedTree::Node &node : tree.nodes)
    if (clearsIn(node, word) &&
        isFirstUnordered(trees.tests[static_cast<size_t>(node.number)]) == unordered)
      visit(node);
}

std::optional<TreeMasks> TreeMasks::of(const Trees &trees) {
  auto ordered = [](uint8_t test) { return normalizedTest(test) & ~reference::kTreeUnordered; };
  if (trees.tests.empty())
    return std::nullopt;
  TreeMasks masks{.test = ordered(trees.tests[0]),
                  .trees = static_cast<int64_t>(trees.roots.size())};
  for (uint8_t test : trees.tests)
    if (ordered(test) != masks.test)
      return std::nullopt;
  MaskedTree tree(trees);
  for (int32_t root : trees.roots) {
    // A way that leads back would go on until there are too many nodes.
    if (!trees.isPlace(root) || !tree.visit(root))
      return std::nullopt;
    if (tree.leaves.size() > kWordBits)
      masks.leaves = kMostLeaves;
    for (int64_t word = 0; word < kMostLeaves / kWordBits; ++word)
      for (bool unordered : {false, true}) {
        int64_t count = 0;
        visitNodes(tree, trees, word, unordered, [&](const MaskedTree::Node &) { ++count; });
        masks.nodes += ceilDiv(count, int64_t{2}) * 2;
      }
  }
  return masks;
}

int64_t TreeMasks::weightsAt() const {
  // Of vectors.
  constexpr int64_t kAlignment = 64;
  return ceilDiv(nodesAt() + nodes * kNodeBytes, kAlignment) * kAlignment;
}

Expected<Tensor> native::packTreeMasks(const Trees &trees, const Tensor &thresholds,
                                       const Tensor &weights) {
  QUERN_TRY(trees.check());
  std::optional<TreeMasks> masks = TreeMasks::of(trees);
  if (!masks)
    return internalError("trees that have no masks");
  QUERN_ASSIGN(Tensor block, Tensor::allocate(DType::UInt8, {masks->bytes()}));
  auto *bytes = block.mutableData<char>();
  std::memset(bytes, 0, static_cast<size_t>(masks->bytes()));
  auto put = [&](int64_t offset, auto value) {
    std::memcpy(bytes + offset, &value, sizeof(value));
  };
  MaskedTree tree(trees);
  int64_t node = 0, kind = 0;
  auto putNode = [&](float threshold, int32_t feature, uint32_t mask) {
    int64_t at = masks->nodesAt() + node++ * TreeMasks::kNodeBytes;
    put(at, threshold);
    put(at + 4, static_cast<int32_t>(feature * TreeMasks::kRows));
    put(at + 8, mask);
  };
  for (int64_t i = 0; i < masks->trees; ++i) {
    tree.visit(trees.roots[static_cast<size_t>(i)]);
    for (int64_t word = 0; word < masks->words(); ++word)
      for (bool unordered : {false, true}) {
        put(kind++ * 4, static_cast<int32_t>(node));
        visitNodes(tree, trees, word, unordered, [&](const MaskedTree::Node &each) {
          auto n = static_cast<size_t>(each.number);
          putNode(thresholds.data<float>()[n], trees.nodes[3 * n], wordOf(each.mask, word));
        });
        if (node % 2 != 0)
          putNode(0, 0, ~uint32_t{0});
      }
    for (size_t leaf = 0; leaf < tree.leaves.size(); ++leaf)
      put(masks->weightsAt() + (i * masks->leaves + static_cast<int64_t>(leaf)) * 4,
          weights.data<float>()[tree.leaves[leaf]]);
  }
  put(kind * 4, static_cast<int32_t>(node));
  return block;
}
