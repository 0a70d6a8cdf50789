//===- LineConvKernel.h - convolution along lines of plain images ---------===//
//
// Lanes are neighbouring pixels of a line: a vector of the image at each tap of the filter is
// multiplied by a weight of several outputs. The lines that some lines of results read are copied
// to the worker's own memory before, with what lies outside around them, so that nothing asks where
// an image ends. Nothing is unfolded, so filters of few weights, whose products are few for each
// pixel, do not wait for memory.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/DotEngine.h"
#include "backends/native/kernels/EpilogueLoads.h"
#include "backends/native/target/CpuRates.h"

namespace quern::native {

/// What shapes the code.
struct LineConvSpec {
  static constexpr int64_t kMostUnrolled = 16;

  DotTypes types;
  int64_t lanes = 16;
  /// Of a tile: outputs and vectors of a line. Some tiles have one output less.
  int64_t outputs = 8, vectors = 2;
  bool hasLower = false;
  /// Of the filter, along lines; and down the lines, or 0: as many as LineConvDims says, in a loop.
  int64_t columns = 3, dilation = 1, rows = 0;
  /// Whether the last tile of a line has pixels that do not exist.
  bool maskColumns = false;
  bool hasBias = false;
  EpilogueCode epilogue;

  int64_t pixels() const { return vectors * lanes; }

  static constexpr std::string_view kFamily = "line_conv";
  QUERN_FIELDS(types, lanes, outputs, vectors, hasLower, columns, dilation, rows, maskColumns,
               hasBias, epilogue)
  std::string name() const;
  void emit(KernelBuilder &kb) const;
};

/// The run-time dims. A task is some lines of all outputs of a group of channels of an image.
struct LineConvDims {
  int64_t groups = 1, parts = 1, linesOfPart = 1;
  /// Of a group.
  int64_t channels = 1, outputs = 1;
  int64_t height = 1, width = 1, padTop = 0, padLeft = 0;
  int64_t outputHeight = 1, outputWidth = 1;
  /// Of the filter, down the lines.
  int64_t rows = 1, stride = 1, dilation = 1;
  /// Tiles of LineConvSpec::outputs, those of one less, and tiles of a line.
  int64_t tallTiles = 1, lowerTiles = 0, columnTiles = 1;
  /// Of the copy: elements of a line, and lines of a channel.
  int64_t pitch = 16, copiedLines = 1;
};

// Buffers: weights, image, result; the bias if there is one; the epilogue's operands.

/// Cycles of one tap of a tile: its multiply-adds, at the least the time until a sum can be added
/// to again, or its loads, of which those of the image mostly lie on two cache lines.
double cyclesOfLineTap(int64_t outputs, int64_t vectors, const CpuRates &rates);

} // namespace quern::native
