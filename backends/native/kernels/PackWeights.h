//===- PackWeights.h - constant weights in the order kernels read them ----===//
#pragma once

#include "quern/Tensor.h"

namespace quern::native {

/// Convolution weights [outputs, inputsPerGroup, kernel...] as
/// [outputs / tileColumns][k][tileColumns]. With inputBlock b > 0 the k order is
/// (channel block, kernel position, lane of b); otherwise (channel, kernel
/// position). Missing outputs and lanes are zero.
Expected<Tensor> packConvWeights(const Tensor &weights, int64_t inputBlock, int64_t tileColumns);

/// Depthwise weights [channels, 1, kernel...] as [channels / lanes][kernel...][lanes].
Expected<Tensor> packDepthwiseWeights(const Tensor &weights, int64_t lanes);

/// A matrix [batch][k, n] with elements strideK and strideN apart as
/// [batch][n / tileColumns][k][tileColumns], times `scale`.
struct MatrixPack {
  int64_t batch, k, n, strideK, strideN, tileColumns;
  double scale;
};
Expected<Tensor> packMatrix(const Tensor &matrix, const MatrixPack &pack);

/// A vector padded with zeros to a multiple of `multiple`.
Expected<Tensor> padVector(const Tensor &vector, int64_t multiple);

} // namespace quern::native
