//===- PackTrees.cpp - decision trees as their kernel reads them ----------===//
#include "backends/native/kernels/PackTrees.h"

#include "runtime/values/CeilDiv.h"
#include "runtime/values/Unaligned.h"

#include <algorithm>
#include <cstring>

using namespace quern;
using namespace quern::native;
using reference::Trees;

uint8_t native::normalizedTest(uint8_t test) {
  return test & reference::kTreeGreater ? ~test & 15 : test & 15;
}

int native::commonTest(std::span<const uint8_t> tests) {
  if (tests.empty())
    return -1;
  uint8_t first = normalizedTest(tests[0]);
  bool areLikeFirst = std::all_of(tests.begin(), tests.end(),
                                  [&](uint8_t test) { return normalizedTest(test) == first; });
  return areLikeFirst ? first : -1;
}

namespace {
/// Writes the block.
class TreePacker {
public:
  TreePacker(const Trees &trees, const Tensor &thresholds, const Tensor &weights)
      : trees(trees), thresholds(thresholds), weights(weights),
        layout{thresholds.dtype(), trees.nodeCount(), trees.leafCount()} {}
  Expected<Tensor> pack();

private:
  template <typename T> void put(int64_t offset, T value) {
    std::memcpy(block.mutableData<char>() + offset, &value, sizeof(T));
  }
  /// Puts a table of int32 behind what is there, and where it begins into the header.
  void putInts(TreeHeader entry, std::span<const int32_t> values);
  void putRecord(int64_t offset, const char *threshold, uint32_t word, int64_t first,
                 int64_t second);
  int64_t placeOf(int32_t place) const {
    int64_t record = place >= 0 ? place : trees.nodeCount() - 1 - place;
    return TreeLayout::kHeaderBytes + record * layout.recordBytes();
  }

  const Trees &trees;
  const Tensor &thresholds, &weights;
  TreeLayout layout;
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

void TreePacker::putRecord(int64_t offset, const char *threshold, uint32_t word, int64_t first,
                           int64_t second) {
  if (threshold)
    std::memcpy(block.mutableData<char>() + offset, threshold,
                static_cast<size_t>(dtypeBytes(layout.dtype)));
  put(offset + layout.featureOffset(), word);
  put(offset + layout.waysOffset(), static_cast<int32_t>(first));
  put(offset + layout.waysOffset() + 4, static_cast<int32_t>(second));
}

Expected<Tensor> TreePacker::pack() {
  int64_t groups = ceilDiv(static_cast<int64_t>(trees.roots.size()), TreeLayout::kGroup);
  int64_t tables = groups * TreeLayout::kGroup + static_cast<int64_t>(trees.leaves.size()) + 1 +
                   static_cast<int64_t>(trees.targets.size());
  int64_t bytes = layout.end() + 4 * tables + 8 + weights.numBytes();
  QUERN_ASSIGN(block, Tensor::allocate(DType::UInt8, {bytes}));
  int64_t features = 0;
  bool haveOneTest = commonTest(trees.tests) >= 0;
  for (int64_t i = 0; i < trees.nodeCount(); ++i) {
    std::span<const int32_t> node = trees.nodes.subspan(3 * i, 3);
    features = std::max<int64_t>(features, node[0] + 1);
    uint8_t test = haveOneTest ? 0 : normalizedTest(trees.tests[i]);
    bool isSwapped = trees.tests[i] & reference::kTreeGreater;
    uint32_t word = static_cast<uint32_t>(node[0]) | static_cast<uint32_t>(test)
                                                         << TreeLayout::kFeatureBits;
    putRecord(placeOf(static_cast<int32_t>(i)),
              thresholds.data<char>() + i * dtypeBytes(layout.dtype), word,
              placeOf(node[isSwapped ? 2 : 1]), placeOf(node[isSwapped ? 1 : 2]));
  }
  // One leaf more, without votes, for roots that are missing.
  for (int64_t leaf = 0; leaf <= trees.leafCount(); ++leaf) {
    int64_t place = layout.firstLeaf() + leaf * layout.recordBytes();
    putRecord(place, nullptr, 0, place, place);
  }
  end = layout.end();
  std::vector<int32_t> roots;
  for (int32_t root : trees.roots)
    roots.push_back(static_cast<int32_t>(placeOf(root)));
  roots.resize(static_cast<size_t>(groups * TreeLayout::kGroup),
               static_cast<int32_t>(layout.end() - layout.recordBytes()));
  putInts(kTreeRoots, roots);
  std::vector<int32_t> leaves(trees.leaves.begin(), trees.leaves.end());
  leaves.push_back(leaves.back());
  putInts(kTreeLeaves, leaves);
  putInts(kTreeTargets, trees.targets);
  end = ceilDiv(end, int64_t{8}) * 8;
  put(kTreeWeights * 8, end);
  std::memcpy(block.mutableData<char>() + end, weights.rawData(),
              static_cast<size_t>(weights.numBytes()));
  put(kTreeFeatures * 8, features);
  return block;
}

Expected<Tensor> native::packTrees(const Trees &trees, const Tensor &thresholds,
                                   const Tensor &weights) {
  QUERN_TRY(trees.check());
  QUERN_TRY(trees.checkAcyclic());
  return TreePacker(trees, thresholds, weights).pack();
}
