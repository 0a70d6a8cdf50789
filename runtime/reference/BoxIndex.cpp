//===- BoxIndex.cpp - boxes by their place along a line -------------------===//
#include "runtime/reference/BoxIndex.h"

#include <algorithm>
#include <cmath>

using namespace quern::reference;

BoxIndex::BoxIndex(double least, double most, int64_t count) {
  double range = most - least;
  if (!std::isfinite(range) || range <= 0)
    return;
  // Looking at an empty cell costs about as much as at a box.
  constexpr int64_t kMostCells = 1024;
  for (int64_t cells = std::clamp<int64_t>(count / 8, 1, kMostCells);; cells /= 2) {
    double size = range / static_cast<double>(cells);
    levels.push_back({least, size, 0, std::vector<std::vector<Box>>(static_cast<size_t>(cells))});
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

void BoxIndex::add(const Box &box) {
  double width = double(box.right) - box.left;
  if (std::isfinite(width))
    for (Level &level : levels)
      if (width <= level.size) {
        ++level.count;
        level.cells[static_cast<size_t>(level.cellOf(box.left))].push_back(box);
        return;
      }
  others.push_back(box);
}
