//===- WinogradTiles.h - a tile of an image to points and back ------------===//
//
// What a Winograd kernel does with one tile besides the products. Both axes are transformed one
// after the other: lines of the tile along the first one go halfway, what lies side by side there
// along the second. Halfway are registers or, of tiles that they have no room for, memory, and then
// the code of a line is there once: LLVM would take longer for all lines of a large tile than for
// the products.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/kernels/WinogradKernel.h"

namespace quern::native {

class WinogradTiles {
public:
  /// At the start of the function: takes memory of the stack.
  WinogradTiles(KernelBuilder &kb, const WinogradSpec &spec);

  /// A tile of a task that has `count` of them.
  struct Tile {
    /// Of all tiles of all images, and of those of the task.
    mlir::Value index, number;
    mlir::Value count;
  };
  /// Inputs of all channels to the worker's memory.
  void transform(const Tile &of);
  /// The sums of products of a panel, at `sums`, to results.
  void finish(const Tile &of, mlir::Value sums, mlir::Value panel);

private:
  using Values = KernelBuilder::Values;
  /// The image of a tile, and its first result.
  struct Place {
    mlir::Value image, y, x;
  };
  /// The pixels of a tile: from line and column `top`, `left` of the image, of which these of the
  /// tile are in the image.
  struct Window {
    mlir::Value top, left, firstLine, endLine, firstColumn, endColumn;
    /// An i1: not all of them are.
    mlir::Value isBorder;
  };
  /// Vectors in a line, `step` elements from one to the next.
  struct Line {
    mlir::Value first, step;
  };
  /// Where the points of a part of each axis are.
  struct PointGrid {
    mlir::Value first, rowStep, columnStep;
  };

  /// Lines of a tile one after the other, in a loop unless its vectors stay in registers.
  void forLines(int64_t count, const std::function<void(mlir::Value)> &body) const;
  Place placeOf(mlir::Value index) const;
  Window windowOf(const Place &at) const;
  /// The element of a line and a column of the tile in a plane of the image.
  mlir::Value offsetOf(const Window &window, mlir::Value line, mlir::Value column) const;
  /// What the filters read of a plane of the image, the first line of them: the image itself, or at
  /// its borders a copy with zeros.
  Line pixelsOf(const Window &window, mlir::Value plane) const;
  /// The points from `base` on, with these strides between points and between the tiles of those
  /// that share a weight; `shift` is added for each of these.
  PointGrid gridOf(const WinogradFilter &rows, const WinogradFilter &columns, mlir::Value base,
                   mlir::Value pointStride, mlir::Value tilesStride, mlir::Value shift) const;
  /// Asks for what the next tile of a line of tiles reads and this one does not.
  void askForNext(const Line &pixels) const;
  void transformBlock(const Tile &of, const Line &pixels, mlir::Value block) const;
  /// Transforms a line of inputs along an axis.
  void transformLine(const WinogradFilter &part, const Line &from, const Line &to) const;
  void finishVector(const Place &at, const Tile &of, mlir::Value sums, mlir::Value block) const;
  /// Bias and epilogue, to the image.
  void storeResults(const Place &at, mlir::Value block) const;

  mlir::Value dim(int64_t WinogradDims::*member) const { return kb.dim(member); }
  mlir::Value select(mlir::Value condition, mlir::Value yes, mlir::Value no) const;
  mlir::Value loadVector(mlir::Value pointer) const;
  void storeVector(mlir::Value vector, mlir::Value pointer) const;
  mlir::Value advance(mlir::Value pointer, mlir::Value elements) const;
  /// Place `number` of those in a line.
  mlir::Value placeIn(const Line &line, int64_t number) const;

  KernelBuilder &kb;
  const WinogradSpec &spec;
  const WinogradTile &tile;
  int64_t lanes;
  /// Most of the vectors of a tile.
  bool fitsRegisters = false;
  /// A copy of the pixels of a tile; lines of it transformed along one axis; its results.
  mlir::Value copy, halfway, results;
};

} // namespace quern::native
