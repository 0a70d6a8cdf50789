//===- WinogradTransform.h - small filters with fewer multiplications -----===//
//
// Winograd's algorithm F(m, 3): m neighbouring results of a filter of 3 weights cost m + 2
// products of transformed inputs and weights instead of 3 m; applied along both axes, tiles of
// m x m results cost (m + 2)^2 (A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural
// Networks", CVPR 2016). The points of F(4, 3) are 0, 3/4, -3/4, 3/2, -3/2 and infinity: with them
// sums in float32 are off by about twice what direct ones are, a third of what the usual points 1
// and 2 give, and all numbers of the transforms of inputs and results are exact.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "quern/Tensor.h"

namespace quern::native {

/// Tiles of `results` x `results` results; F(2, 3) or F(4, 3).
struct WinogradTile {
  int64_t results = 2;

  int64_t inputs() const { return results + 2; }
  /// Products of a tile, for each channel and output.
  int64_t points() const { return inputs() * inputs(); }
};

/// The inputs of a tile, row by row, transformed.
KernelBuilder::Values transformInputs(KernelBuilder &kb, WinogradTile tile, mlir::ValueRange inputs,
                                      int64_t lanes);
/// The results of a tile, row by row, from its sums of products, point by point.
KernelBuilder::Values transformSums(KernelBuilder &kb, WinogradTile tile, mlir::ValueRange sums,
                                    int64_t lanes);

/// Weights [outputs, channels, 3, 3] of float32, transformed in float64, as [outputs /
/// tileColumns][point][channels][tileColumns]; outputs are padded with zeros to whole tiles.
Expected<Tensor> packWinogradWeights(const Tensor &weights, WinogradTile tile, int64_t tileColumns);

} // namespace quern::native
