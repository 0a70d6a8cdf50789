//===- WinogradTransform.h - small filters with fewer multiplications -----===//
//
// Winograd's algorithm F(m, r): m neighbouring results of a filter of r weights cost m + r - 1
// products of transformed inputs and weights instead of m r; applied along both axes, tiles of
// m x m results cost the square of that (A. Lavin and S. Gray, "Fast Algorithms for Convolutional
// Neural Networks", CVPR 2016). The points of F(4, 3) are 0, 3/4, -3/4, 3/2, -3/2 and infinity:
// with them sums in float32 are off by about twice what direct ones are, a third of what the usual
// points 1 and 2 give, and all numbers of the transforms of inputs and results are exact. Inputs
// and results are transformed by the points alone, so F(2, 5) has those of F(4, 3).
//
// A filter with a stride of 2 is two that have none and are added up: the first and third weight
// meet pixels at even places, the second those at odd ones (J. Yepez and S.-B. Ko, "Stride 2 1-D,
// 2-D, and 3-D Winograd for Convolutional Neural Networks", IEEE TVLSI 2020). So are those of more
// weights than a single one is exact enough for.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/native/target/Fields.h"
#include "quern/Tensor.h"

namespace quern::native {

/// F(results, taps) of 3 to 8 points; of 1 tap, whose products are the results.
struct WinogradFilter {
  int64_t results = 2, taps = 3;
  /// Which weight and which point of the axis is its first one.
  int64_t firstTap = 0, firstPoint = 0;

  /// Products, of as many inputs.
  int64_t points() const { return results + taps - 1; }
  /// Of the points: infinity, pairs of a number and its negative, 0 where one is left.
  int64_t pairs() const { return (points() - 1) / 2; }
  bool hasZero() const { return points() % 2 == 0; }
  /// All products are with the one weight.
  bool isShared() const { return taps == 1; }
};

/// What a tile is along one axis: neighbouring results of a filter.
struct WinogradAxis {
  int64_t results = 2, taps = 3, stride = 1;

  QUERN_FIELDS(results, taps, stride)
  /// The filters whose results are added up, one of 1 tap last. Their weights and inputs are
  /// `stride` apart, the inputs from pixel `firstTap` on.
  llvm::SmallVector<WinogradFilter, 4> parts() const;
  /// Inputs of a tile.
  int64_t pixels() const { return (results - 1) * stride + taps; }
  /// Points, and those that share a weight, which come last.
  int64_t points() const;
  int64_t sharedPoints() const;
  int64_t ownPoints() const { return points() - sharedPoints(); }
  /// There is one weight, and a point for each result.
  bool isShared() const { return taps == 1; }
  /// Transformed weights.
  int64_t weights() const { return ownPoints() + (sharedPoints() > 0 ? 1 : 0); }
};

/// A tile of an image.
struct WinogradTile {
  WinogradAxis rows, columns;

  QUERN_FIELDS(rows, columns)
  int64_t results() const { return rows.results * columns.results; }
  /// Products of a tile, for each channel and output.
  int64_t points() const { return rows.points() * columns.points(); }
  int64_t weights() const { return rows.weights() * columns.weights(); }
  /// Whether there is code for it, which multiplies less than direct sums.
  bool pays() const;
  /// "4", "2_1x3_s2": the results on the longer side, a filter other than 3 x 3, strides other
  /// than 1.
  std::string label() const;
};

/// A line of inputs of a part of an axis, which are `points()` vectors, transformed.
KernelBuilder::Values transformInputs(KernelBuilder &kb, const WinogradFilter &part,
                                      mlir::ValueRange inputs, int64_t lanes);
/// The results of a line, from its sums of products, point by point.
KernelBuilder::Values transformSums(KernelBuilder &kb, const WinogradAxis &axis,
                                    mlir::ValueRange sums, int64_t lanes);

/// Weights [outputs, channels, rows, columns], or of lines [outputs, channels, columns], of
/// float32, transformed in float64, as [outputs / tileColumns][weight][channels][tileColumns];
/// outputs are padded with zeros to whole tiles.
Expected<Tensor> packWinogradWeights(const Tensor &weights, const WinogradTile &tile,
                                     int64_t tileColumns);

} // namespace quern::native
