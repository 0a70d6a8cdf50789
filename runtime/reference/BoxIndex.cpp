//===- BoxIndex.cpp - boxes by their place along a line -------------------===//
#include "runtime/reference/BoxIndex.h"

#include <algorithm>
#include <cmath>

using namespace quern::reference;

BoxIndex::BoxIndex(double least, double most, int64_t count) {
  double range = most - least;
  if (!std::isfinite(range) || range <= 0)
    return;
  // Looking at an empty cell costs about as much as at a block of boxes.
  constexpr int64_t kMostCells = 256;
  for (int64_t cells = std::clamp<int64_t>(count / 32, 1, kMostCells);; cells /= 2) {
    double size = range / static_cast<double>(cells);
    levels.push_back({least, size, 0, std::vector<Cell>(static_cast<size_t>(cells))});
    if (cells == 1)
      break;
  }
}

int64_t BoxIndex::Level::cellOf(double left) const {
  double cell = (left - least) / size;
  if (!(cell > 0)) // nor a number
    return 0;
  return static_cast<int64_t>(std::min(cell, static_cast<double>(numCells() - 1)));
}

bool BoxIndex::Block::overlapsAny(const Box &box, float areaOfBox, float threshold) const {
  int32_t overlapping = 0;
  for (size_t i = 0; i < kBoxes; ++i) {
    float overlap = overlapOf(box, areaOfBox, {left[i], right[i], top[i], bottom[i]}, area[i]);
    overlapping |= (overlap > 0) & (overlap > threshold);
  }
  return overlapping != 0;
}

void BoxIndex::add(const Box &box, Cell &cell) {
  if (cell.empty() || cell.back().count == Block::kBoxes)
    cell.emplace_back();
  Block &block = cell.back();
  size_t i = block.count++;
  block.left[i] = box.left;
  block.right[i] = box.right;
  block.top[i] = box.top;
  block.bottom[i] = box.bottom;
  block.area[i] = box.area();
}

void BoxIndex::add(const Box &box) {
  double width = double(box.right) - box.left;
  if (std::isfinite(width))
    for (Level &level : levels)
      if (width <= level.size) {
        ++level.count;
        return add(box, level.cells[static_cast<size_t>(level.cellOf(box.left))]);
      }
  add(box, others);
}

bool BoxIndex::overlapsAny(const Box &box, float threshold, int64_t &looks) const {
  float area = box.area();
  auto look = [&](const Cell &cell) {
    return std::any_of(cell.begin(), cell.end(), [&](const Block &block) {
      looks += static_cast<int64_t>(block.count);
      return block.overlapsAny(box, area, threshold);
    });
  };
  for (const Level &level : levels) {
    if (level.count == 0)
      continue;
    // Boxes of which one ends where the other begins share nothing. One cell more, for rounding:
    // numbers are of float32, sums of them of float64.
    int64_t begin = level.cellOf(box.left - level.size) - 1, end = level.cellOf(box.right) + 1;
    for (int64_t cell = std::max<int64_t>(begin, 0); cell <= end && cell < level.numCells(); ++cell)
      if (look(level.cells[static_cast<size_t>(cell)]))
        return true;
  }
  return look(others);
}
