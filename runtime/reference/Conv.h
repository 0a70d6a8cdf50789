//===- Conv.h - what the kernels of convolutions share --------------------===//
#pragma once

#include "runtime/reference/Windows.h"

namespace quern::reference {

/// The geometry of a convolution. The window slides over the input and its
/// positions are the result's elements; transposed, it is the other way round.
struct ConvSizes {
  ImageLayout input;
  ImageLayout result;
  WindowSpace windows;
  int64_t groups = 1;
  /// Input and output channels of one group.
  int64_t channels = 0;
  int64_t outputs = 0;
  /// What lies beyond the edges of the input.
  int64_t padValue = 0;
};

/// The data of a convolution.
template <typename T> struct ConvOperands {
  const T *input;
  /// [outputs of all groups, channels, kernel...]; transposed, [channels of all
  /// groups, outputs, kernel...].
  const T *weights;
  /// Null when there is none.
  const T *bias;
  T *result;
};

/// Checks ranks of input and weights, the element type of the bias, which is that of the sums, and
/// the attribute group.
Status checkConvOperands(const OpCall &call, int64_t spatialRank, DType sums);
/// Checks that the bias is absent or has one element per output channel.
Status checkBias(const Tensor &bias, int64_t outputs);

/// The kernel of nn.conv.
Expected<std::vector<Tensor>> evalConv(const OpCall &call);
/// The kernel of nn.conv_transpose.
Expected<std::vector<Tensor>> evalConvTranspose(const OpCall &call);

} // namespace quern::reference
