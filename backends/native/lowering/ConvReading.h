//===- ConvReading.h - what of an image and a filter the blocked way reads ===//
//
// A row of pixels of the image, plain or blocked, with zeros around it where the window has pads,
// meets a vector of the result's channels. Taps that meet nothing but padding are left out, where
// padding adds nothing; zeros lie around the image for those that meet it for some results only.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/lowering/ConvTaps.h"
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/target/TileChoice.h"

namespace quern::native {

/// The axes of a convolution in 2-D, in ConvProblem::window.
constexpr int kRowAxis = 1, kColumnAxis = 2;

ConvAxis axisOf(const ConvProblem &p, int axis);
/// Where the first of `taps` lies for the first result.
int64_t startOf(const ConvAxis &axis, const TapRange &taps);

struct ConvReading {
  TapRange rows;
  /// Parts of each line of results, with the columns of the filter that they read.
  llvm::SmallVector<TapSegment> parts;
  /// Each result reads just one pixel, and these lie side by side: at its own place, or copied
  /// there where steps of the window leave others out.
  bool isFlat = false, takesPixels = false;
  /// The kernel leaves out rows of the filter that lie above or below the image.
  bool clipsRows = false;
  /// Lines and columns of zeros.
  int64_t top = 0, bottom = 0, left = 0, right = 0;

  /// Channels that the copy with the halo takes from the last block, which they do not fill: tiles
  /// of matrices read all of it, and find zeros. 0: as it is.
  int64_t lastChannels = 0;

  bool hasHalo() const { return top + bottom + left + right > 0; }
  /// Whether the filter is read as a whole.
  bool readsAll(const ConvProblem &p) const;
  /// Whether the k nest has levels for rows and columns of the filter.
  bool hasTapLevels(const ConvProblem &p) const;
  /// That have tiles of one kernel.
  int64_t lineRows(const ConvProblem &p) const;
  /// Lines of so many results.
  int64_t lines(const ConvProblem &p) const {
    return p.window.output[kRowAxis] * parts.front().folds;
  }
  /// The tiles of vectors that compute them.
  TileShape tileShape(const ConvProblem &p) const;
};

/// Whether channels do not fill their block, and what is beside them may be no number: a step must
/// not take it in.
bool hasOpenPadding(const ConvProblem &p);
/// Whether channels that do not fill their block have zeros beside them.
bool hasZeroPadding(mlir::Value image);

/// How the image is read; `onTiles` of matrices, which read whole lines.
ConvReading planReading(const ConvProblem &p, bool onTiles);

/// The image as it is read, in elements.
struct PaddedInput {
  plan::StepBuffer buffer;
  int64_t lineStride;  ///< between lines
  int64_t planeStride; ///< between blocks of channels, or channels
  int64_t planes;      ///< of one image
};

/// The input itself, or its copy with what lies outside around it or of the pixels that are read,
/// which `steps` then makes.
PaddedInput padInput(const ConvProblem &p, const ConvReading &reading,
                     std::vector<plan::LoweredStep> &steps);

} // namespace quern::native
