//===- Conv.h - what the kernels of convolutions share --------------------===//
#pragma once

#include "backends/interpreter/Windows.h"

namespace quern::interpreter {

/// Checks element types and ranks of input, weights and bias, and the attribute group.
Status checkConvOperands(const OpCall &call, int64_t spatialRank);
/// Checks that the bias is absent or has one element per output channel.
Status checkBias(const Tensor &bias, int64_t outputs);
/// How many blocks hold `channels` channels.
inline int64_t blocksOf(int64_t channels, int64_t block) {
  return channels / block + (channels % block != 0);
}

/// The kernel of nn.conv_transpose.
Expected<std::vector<Tensor>> evalConvTranspose(const OpCall &call);

} // namespace quern::interpreter
