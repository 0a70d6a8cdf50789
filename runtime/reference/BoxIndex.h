//===- BoxIndex.h - boxes by their place along a line ---------------------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace quern::reference {

/// A box by its corners.
struct Box {
  float left, right, top, bottom;

  float area() const { return (right - left) * (bottom - top); }
};

/// Boxes in cells by their left edges, small and large ones apart, so that those that a box may
/// overlap are found without looking at all. Detectors move the boxes of each class to a place of
/// their own, where they meet no others.
class BoxIndex {
public:
  /// For boxes of which most lie between `least` and `most`; about `count` of them.
  BoxIndex(double least, double most, int64_t count);

  void add(const Box &box);

  /// Whether `overlaps` holds for any box that was added; it holds for none whose left or right
  /// edge is beyond the other's right or left one. Adds the number of boxes that were looked at.
  template <typename Overlaps> bool any(const Box &box, int64_t &looks, Overlaps &&overlaps) const {
    auto look = [&](const std::vector<Box> &cell) {
      for (const Box &other : cell) {
        ++looks;
        if (overlaps(other))
          return true;
      }
      return false;
    };
    for (const Level &level : levels) {
      if (level.count == 0)
        continue;
      // One cell more, for rounding: numbers are of float32, sums of them of float64.
      int64_t begin = level.cellOf(box.left - level.size) - 1, end = level.cellOf(box.right) + 1;
      for (int64_t cell = begin < 0 ? 0 : begin; cell <= end && cell < level.numCells(); ++cell) {
        if (look(level.cells[static_cast<size_t>(cell)]))
          return true;
      }
    }
    return look(others);
  }

private:
  /// Boxes that are not wider than its cells are.
  struct Level {
    double least, size;
    int64_t count = 0;
    std::vector<std::vector<Box>> cells;

    int64_t numCells() const { return static_cast<int64_t>(cells.size()); }
    /// That of a left edge; what lies beyond the ends is in the first and the last one.
    int64_t cellOf(double left) const;
  };

  std::vector<Level> levels;
  /// What has no place: its numbers are not finite.
  std::vector<Box> others;
};

} // namespace quern::reference
