//===- PackWeights.h - constant weights in the order kernels read them ----===//
#pragma once

#include "quern/Tensor.h"

#include <functional>
#include <vector>

namespace quern::native {

// Sources may lie at any address, see runtime/values/Unaligned.h. A group is of k elements that
// lie together (DotTypes::group).

/// The elements of weights that are a convolution's, in the order of its filters.
struct FilterView {
  int64_t outputs = 0, inputs = 0;
  /// From one output, and one input channel, to the next.
  int64_t outputStride = 0, inputStride = 0;
  /// Where each kernel position lies.
  std::vector<int64_t> positions;

  /// All of [outputs, inputsPerGroup, kernel...].
  static FilterView all(const Tensor &weights);
};

/// Convolution weights as [outputs / tileColumns][k / group][tileColumns][group]. With inputBlock
/// b > 0 the k order is (channel block, kernel position, lane of b); otherwise (channel, kernel
/// position). Missing outputs and lanes are zero. `group` divides b where it is not 1.
Expected<Tensor> packConvWeights(const Tensor &weights, const FilterView &filter,
                                 int64_t inputBlock, int64_t tileColumns, int64_t group = 1);

/// Weights of groups of as many results as channels, [results, channels of a group, kernel...], as
/// [results / lanes][kernel...][channels of a group][lanes]: of one channel, or of few. Of one,
/// columns of the filter come in groups of `taps`, [groups][lanes][taps], the last filled with 0.
Expected<Tensor> packDepthwiseWeights(const Tensor &weights, int64_t lanes, int64_t taps = 1);

/// A matrix [batch][k, n] with elements strideK and strideN apart as
/// [batch][n / tileColumns][k / group][tileColumns][group], times `scale`; k is padded with zeros
/// to a multiple of `step`, which is one of `group`.
struct MatrixPack {
  int64_t batch, k, n, strideK, strideN, tileColumns;
  double scale;
  int64_t group = 1;
  int64_t step = group;

  int64_t paddedK() const { return (k + step - 1) / step * step; }
};
/// Tells `done` of ranges of bytes that have been read.
Expected<Tensor> packMatrix(const Tensor &matrix, const MatrixPack &pack,
                            const std::function<void(int64_t begin, int64_t end)> &done = {});

/// Weights [n, k], integers of 8 bits or less, less `offset`, as [n / tileColumns][k / group]
/// [tileColumns] words of 32 bits: each of `group` neighbours along k, of 32 / group bits, the
/// first at the lowest. `group` divides k.
Expected<Tensor> packFewBits(const Tensor &weights, int64_t offset, int64_t group,
                             int64_t tileColumns);
/// Numbers [n, blocks] as float32 [n / tileColumns][blocks][tileColumns].
Expected<Tensor> packBlockNumbers(const Tensor &numbers, int64_t tileColumns);

/// A vector padded with zeros to a multiple of `multiple`.
Expected<Tensor> padVector(const Tensor &vector, int64_t multiple);

} // namespace quern::native
