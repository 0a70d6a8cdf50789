//===- BoxIndex.h - boxes by their place along a line ---------------------===//
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace quern::reference {

/// A box by its corners.
struct Box {
  float left, right, top, bottom;

  float area() const { return (right - left) * (bottom - top); }
};

/// The intersection of two boxes by their union, 0 where they share nothing. In float32, as
/// everybody does: thresholds are met exactly. Without branches, for many at once.
inline float overlapOf(const Box &a, float areaOfA, const Box &b, float areaOfB) {
  Box common{std::max(a.left, b.left), std::min(a.right, b.right), std::max(a.top, b.top),
             std::min(a.bottom, b.bottom)};
  float intersection = common.area(), total = areaOfA + areaOfB - intersection;
  bool isShared = (common.right > common.left) & (common.bottom > common.top) & (intersection > 0) &
                  (areaOfA > 0) & (areaOfB > 0) & (total > 0);
  float overlap = intersection / total;
  return isShared ? overlap : 0;
}

/// Boxes in cells by their left edges, small and large ones apart, so that those that a box may
/// overlap are found without looking at all. Detectors move the boxes of each class to a place of
/// their own, where they meet no others.
class BoxIndex {
public:
  /// For boxes of which most lie between `least` and `most`; about `count` of them.
  BoxIndex(double least, double most, int64_t count);

  void add(const Box &box);

  /// Whether `box` overlaps any box that was added by more than `threshold`, and at all. Adds the
  /// number of boxes that were looked at.
  bool overlapsAny(const Box &box, float threshold, int64_t &looks) const;

private:
  /// As many boxes as are looked at together, each number of all side by side; those that are not
  /// there have no area.
  struct Block {
    static constexpr size_t kBoxes = 8;
    std::array<float, kBoxes> left{}, right{}, top{}, bottom{}, area{};
    size_t count = 0;

    bool overlapsAny(const Box &box, float areaOfBox, float threshold) const;
  };
  /// All but the last one full.
  using Cell = std::vector<Block>;
  static void add(const Box &box, Cell &cell);

  /// Boxes that are not wider than its cells are.
  struct Level {
    double least, size;
    int64_t count = 0;
    std::vector<Cell> cells;

    int64_t numCells() const { return static_cast<int64_t>(cells.size()); }
    /// That of a left edge; what lies beyond the ends is in the first and the last one.
    int64_t cellOf(double left) const;
  };

  std::vector<Level> levels;
  /// What has no place: its numbers are not finite.
  Cell others;
};

} // namespace quern::reference
