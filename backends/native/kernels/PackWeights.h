//===- PackWeights.h - constant weights in the order kernels read them ----===//
#pragma once

#include "quern/Tensor.h"

#include <functional>

namespace quern::native {

// Sources may lie at any address, see runtime/values/Unaligned.h.

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
/// Tells `done` of ranges of bytes that have been read.
Expected<Tensor> packMatrix(const Tensor &matrix, const MatrixPack &pack,
                            const std::function<void(int64_t begin, int64_t end)> &done = {});

/// A vector padded with zeros to a multiple of `multiple`.
Expected<Tensor> padVector(const Tensor &vector, int64_t multiple);

} // namespace quern::native
