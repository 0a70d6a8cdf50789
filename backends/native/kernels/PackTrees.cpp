//===- PackTrees.cpp - decision trees as their kernel reads them ----------===//
#include "backends/native/kernels/PackTrees.h"

#include "runtime/values/CeilDiv.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace quern;
using namespace quern::native;
using reference::Trees;

uint8_t native::normalizedTest(uint8_t test) {
  return test & reference::kTreeGreater ? ~test & 15 : test & 15;
}

int native::commonTest(std::span<const uint8_t> tests) {
  if (tests.empty())
    return -1;
  uint8_t first = normalizedTest(tests[0]), differing = 0;
  for (uint8_t test : tests)
    differing |= normalizedTest(test) ^ first;
  if (differing & ~reference::kTreeUnordered)
    return -1;
  return differing ? (first & ~reference::kTreeUnordered) | kTreeOwnUnordered : first;
}

int64_t native::featuresOf(std::span<const int32_t> nodes) {
  int64_t features = 0;
  for (size_t i = 0; i < nodes.size(); i += 3)
    features = std::max(features, int64_t{nodes[i]} + 1);
  return features;
}

/// Bits for numbers below `count`.
static int64_t bitsFor(int64_t count) {
  return std::bit_width(static_cast<uint64_t>(std::max<int64_t>(count - 1, 0)));
}

TreeLayout TreeLayout::choose(DType dtype, int test, int64_t nodes, int64_t leaves, int64_t roots,
                              int64_t features) {
  int64_t whole = ceilDiv(roots, kGroup) * kGroup;
  bool fits = bitsFor(features) + hasOwnUnordered(test) + bitsFor(records(nodes, whole) + 1) <= 32;
  return {dtype, dtype != DType::Float32 || test < 0 || leaves >= kMostNarrowLeaves || !fits};
}

namespace {
/// Writes the block.
class TreePacker {
public:
  TreePacker(const Trees &trees, const Tensor &thresholds, const Tensor &weights)
      : trees(trees), thresholds(thresholds), weights(weights), test(commonTest(trees.tests)),
        features(featuresOf(trees.nodes)),
        roots(ceilDiv(static_cast<int64_t>(trees.roots.size()), TreeLayout::kGroup) *
              TreeLayout::kGroup),
        layout(TreeLayout::choose(thresholds.dtype(), test, trees.nodeCount(), trees.leafCount(),
                                  roots, features)),
        places(static_cast<size_t>(trees.nodeCount()), 0) {}
  Expected<Tensor> pack();

private:
  template <typename T> void put(int64_t offset, T value) {
    std::memcpy(block.mutableData<char>() + offset, &value, sizeof(T));
  }
  /// Puts a table of int32 behind what is there, and where it begins into the header.
  void putInts(TreeHeader entry, std::span<const int32_t> values);
  /// With the one below the feature, where there is one.
  int64_t featureBits() const { return bitsFor(features) + hasOwnUnordered(test); }
  uint32_t firstWord(size_t node) const;
  void putWords(int64_t offset, uint32_t word, int64_t place);
  void putNode(int64_t place, int32_t node);
  void putLeaf(int64_t place, int32_t leaf);
  int32_t putTree(int64_t place, int32_t root);

  const Trees &trees;
  const Tensor &thresholds, &weights;
  int test;
  int64_t features, roots;
  TreeLayout layout;
  /// Where the records of a node's ways are; 0: they have none yet.
  std::vector<int64_t> places;
  int64_t nextPlace = 0;
  Tensor block;
  int64_t end = 0;
};
} // namespace

void TreePacker::putInts(TreeHeader entry, std::span<const int32_t> values) {
  put(entry * 8, end);
  for (int32_t value : values) {
    put(end, value);
    end += 4;
  }
}

/// The feature of a node, and what there is of its test.
uint32_t TreePacker::firstWord(size_t node) const {
  auto feature = static_cast<uint32_t>(trees.nodes[3 * node]);
  uint32_t own = normalizedTest(trees.tests[node]);
  if (test >= 0)
    own = hasOwnUnordered(test) && !(own & reference::kTreeUnordered);
  if (layout.isWide)
    return feature | own << TreeLayout::kFeatureBits;
  return hasOwnUnordered(test) ? feature << 1 | own : feature;
}

void TreePacker::putWords(int64_t offset, uint32_t word, int64_t place) {
  if (layout.isWide) {
    put(offset + layout.wordOffset(), word);
    put(offset + layout.placeOffset(), static_cast<int32_t>(place));
  } else {
    put(offset + layout.wordOffset(), word | static_cast<uint32_t>(place) << featureBits());
  }
}

/// The record of a node, whose ways get places if they have none.
void TreePacker::putNode(int64_t place, int32_t node) {
  auto i = static_cast<size_t>(node);
  if (places[i] == 0) {
    places[i] = nextPlace;
    nextPlace += 2 * layout.units();
  }
  int64_t offset = TreeLayout::kHeaderBytes + place * TreeLayout::kUnitBytes;
  if (layout.dtype == DType::Float64) {
    double threshold = thresholds.data<double>()[i];
    put(offset, std::isnan(threshold) ? std::numeric_limits<double>::quiet_NaN() : threshold);
  } else {
    float threshold = thresholds.data<float>()[i];
    put(offset, std::isnan(threshold) ? std::numeric_limits<float>::quiet_NaN() : threshold);
  }
  putWords(offset, firstWord(i), places[i]);
}

/// Whatever is compared with no number: it comes out as unordered.
void TreePacker::putLeaf(int64_t place, int32_t leaf) {
  int64_t offset = TreeLayout::kHeaderBytes + place * TreeLayout::kUnitBytes;
  auto number = static_cast<uint32_t>(leaf);
  if (layout.dtype == DType::Float64)
    put(offset, static_cast<uint64_t>(layout.leafBits()) << 32 | number);
  else
    put(offset, layout.leafBits() | (layout.isWide ? 0 : number));
  bool takesFirst = test >= 0 && (test & (reference::kTreeUnordered | kTreeOwnUnordered));
  putWords(offset, 0, takesFirst ? place : place - layout.units());
  if (layout.isWide && layout.dtype != DType::Float64)
    put(offset + layout.leafOffset(), number);
}

/// All records below a root, those of a way near those it leads to; how many levels a walk takes
/// that does not go much deeper than a balanced tree would be. None where the root is a leaf, else
/// one at least: walks that have not come to their end take as many again.
int32_t TreePacker::putTree(int64_t place, int32_t root) {
  struct Visit {
    int64_t place;
    int32_t at, level;
  };
  std::vector<Visit> open = {{place, root, 0}};
  int32_t deepest = 0;
  int64_t leaves = 0;
  while (!open.empty()) {
    Visit visit = open.back();
    open.pop_back();
    if (visit.at < 0) {
      putLeaf(visit.place, -1 - visit.at);
      deepest = std::max(deepest, visit.level);
      ++leaves;
      continue;
    }
    auto i = static_cast<size_t>(visit.at);
    bool isNew = places[i] == 0;
    putNode(visit.place, visit.at);
    if (!isNew)
      continue; // several ways lead to it
    bool isSwapped = trees.tests[i] & reference::kTreeGreater;
    int32_t first = trees.nodes[3 * i + (isSwapped ? 2 : 1)],
            second = trees.nodes[3 * i + (isSwapped ? 1 : 2)];
    open.push_back({places[i] + layout.units(), second, visit.level + 1});
    open.push_back({places[i], first, visit.level + 1});
  }
  deepest = std::min(deepest, static_cast<int32_t>(2 * bitsFor(leaves) + 2));
  return root < 0 ? 0 : std::max(deepest, 1);
}

Expected<Tensor> TreePacker::pack() {
  auto count = static_cast<int64_t>(trees.roots.size());
  int64_t begin = layout.end(trees.nodeCount(), roots);
  int64_t tables = roots + roots / TreeLayout::kGroup + roots +
                   static_cast<int64_t>(trees.leaves.size()) + 1 +
                   static_cast<int64_t>(trees.targets.size());
  int64_t bytes = begin + 4 * tables + 8 + weights.numBytes();
  QUERN_ASSIGN(block, Tensor::allocate(DType::UInt8, {bytes}));
  std::memset(block.mutableData<char>(), 0, static_cast<size_t>(begin));
  // The first record is none; then come the roots.
  nextPlace = (1 + roots) * layout.units();
  std::vector<int32_t> starts, levels(static_cast<size_t>(roots / TreeLayout::kGroup), 0);
  for (int64_t tree = 0; tree < roots; ++tree) {
    int64_t place = (1 + tree) * layout.units();
    // One leaf more, without votes, for roots that are missing.
    auto none = static_cast<int32_t>(-1 - trees.leafCount());
    int32_t level = putTree(place, tree < count ? trees.roots[static_cast<size_t>(tree)] : none);
    starts.push_back(static_cast<int32_t>(place));
    int32_t &ofGroup = levels[static_cast<size_t>(tree / TreeLayout::kGroup)];
    ofGroup = std::max(ofGroup, level);
    levels.push_back(level);
  }
  end = begin;
  putInts(kTreeRoots, starts);
  putInts(kTreeLevels, levels);
  std::vector<int32_t> leaves(trees.leaves.begin(), trees.leaves.end());
  leaves.push_back(leaves.back());
  putInts(kTreeLeaves, leaves);
  putInts(kTreeTargets, trees.targets);
  end = ceilDiv(end, int64_t{8}) * 8;
  put(kTreeWeights * 8, end);
  std::memcpy(block.mutableData<char>() + end, weights.rawData(),
              static_cast<size_t>(weights.numBytes()));
  put(kTreeFeatures * 8, features);
  put(kTreeFeatureBits * 8, featureBits());
  return block;
}

Expected<Tensor> native::packTrees(const Trees &trees, const Tensor &thresholds,
                                   const Tensor &weights) {
  QUERN_TRY(trees.check());
  QUERN_TRY(trees.checkAcyclic());
  return TreePacker(trees, thresholds, weights).pack();
}
