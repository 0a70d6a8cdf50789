//===- WinogradKernel.h - small filters by Winograd's algorithm -----------===//
//
// On channel blocks, in one step. A task takes some tiles of the image: it transforms their
// inputs, multiplies them with each panel of transformed weights, a product of matrices
// [points, channels] x [channels, panel] for all points that share a weight, of all tiles, and
// transforms the sums back, all in the worker's own memory; then the epilogue.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/DotMicroKernel.h"
#include "backends/native/kernels/EpilogueLoads.h"
#include "backends/native/kernels/WinogradTransform.h"
#include "backends/native/target/TileChoice.h"

namespace quern::native {

/// What shapes the code. A row of the products is a point of a tile of the image.
struct WinogradSpec {
  WinogradTile tile;
  /// The lanes are a channel block, the columns a panel.
  DotTile product;
  TileHeights heights;
  bool hasBias = false;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "winograd";
  QUERN_FIELDS(tile, product, heights, hasBias, epilogue)
  /// "winograd4_14x32_relu".
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// How tiles of products cover the rows that meet a matrix of weights, and what they ask for ahead.
struct WinogradRows {
  TileCover cover{};
  /// Of DotTile::linesAhead: the bytes of the next matrix that each tile asks for, and from a line
  /// to the next. 0 where the tiles cannot ask for all.
  int64_t aheadShare = 0, aheadStride = 0;
};

/// The run-time dims; strides are in elements. Task t is (some tiles, part of the panels).
struct WinogradDims {
  /// Of all images, of one, and of a line of tiles.
  int64_t tiles = 1, tilesPerImage = 1, tilesPerLine = 1;
  int64_t tilesPerTask = 1;
  /// Into which the panels are divided, so that there are tasks for all threads.
  int64_t panelParts = 1, panelsPerPart = 1, panels = 1;
  /// That read the same channels.
  int64_t panelsOfGroup = 1;
  int64_t inputBlocks = 1, height = 1, width = 1, padTop = 0, padLeft = 0;
  int64_t outputBlocks = 1, outputHeight = 1, outputWidth = 1;
  /// Channels of a group, and the distance between two blocks of the transformed inputs of a point:
  /// those of all tiles lie side by side in a block. Points that share a weight lie together, block
  /// by block.
  int64_t depth = 1, blockStride = 1;
  /// Between points, of transformed inputs and of sums.
  int64_t inputPoint = 1, sumPoint = 1;
  /// Of a task and of the last one, which may have fewer tiles: where each point has a weight of
  /// its own, where those of a line share it, those of a column, and all (kindOf).
  std::array<WinogradRows, 4> rows{}, lastRows{};
  static constexpr int64_t kindOf(bool rowsShare, bool columnsShare) {
    return 2 * int64_t(rowsShare) + int64_t(columnsShare);
  }

  /// Of a worker: transformed inputs, then sums.
  int64_t scratchElements(const WinogradSpec &spec) const {
    return spec.tile.points() * (inputPoint + sumPoint);
  }
};

// Buffers: image, packed weights, result; the bias if there is one; the epilogue's operands.

} // namespace quern::native
