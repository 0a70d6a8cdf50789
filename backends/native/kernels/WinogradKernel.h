//===- WinogradKernel.h - 3 x 3 convolution by Winograd's algorithm -------===//
//
// On channel blocks, in one step. A task takes some tiles of the image: it transforms their
// inputs, multiplies them with each panel of transformed weights, a product of matrices
// [tiles, channels] x [channels, panel] for each point, and transforms the sums back, all in the
// worker's own memory; then the epilogue.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/DotMicroKernel.h"
#include "backends/native/kernels/EpilogueLoads.h"
#include "backends/native/kernels/WinogradTransform.h"
#include "backends/native/target/TileChoice.h"

namespace quern::native {

/// What shapes the code. A row of the products is a tile of the image.
struct WinogradSpec {
  /// See WinogradTile.
  int64_t results = 2;
  /// The lanes are a channel block, the columns a panel.
  DotTile product;
  TileHeights heights;
  bool hasBias = false;
  EpilogueCode epilogue;

  static constexpr std::string_view kFamily = "winograd";
  QUERN_FIELDS(results, product, heights, hasBias, epilogue)
  WinogradTile tile() const { return {results}; }
  /// "winograd4_14x32_relu".
  std::string name() const;
  void emit(KernelBuilder &kb) const;
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
  /// Channels of a group, and the distance between two blocks of the transformed inputs: those of
  /// all tiles lie side by side in a block.
  int64_t depth = 1, blockStride = 1;
  /// Between points, of transformed inputs and of sums.
  int64_t inputPoint = 1, sumPoint = 1;
  /// How tiles of products cover the tiles of a task, and those of the last.
  TileCover cover{}, lastCover{};
  /// Of DotTile::linesAhead: the bytes of the next point's weights that each tile of products asks
  /// for, and from a line to the next; of the last task, too. 0 where its tiles cannot ask for all.
  int64_t aheadShare = 0, aheadStride = 0, lastAheadShare = 0, lastAheadStride = 0;

  /// Of a worker: transformed inputs, then sums.
  int64_t scratchElements(const WinogradSpec &spec) const {
    return spec.tile().points() * (inputPoint + sumPoint);
  }
};

// Buffers: image, packed weights, result; the bias if there is one; the epilogue's operands.

} // namespace quern::native
