//===- DrawBytes.h - what draws of quantized tensors share ----------------===//
//
// Scales are powers of two, so that quotients are exact and often halves, unless a draw says
// otherwise.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "tests/random/ModelDraw.h"

namespace quern::random {

Tensor drawScales(ModelDraw &draw, const Tensor::Dims &dims, std::initializer_list<float> choices);

/// int8 or uint8.
DType drawByteType(ModelDraw &draw);
/// Elements of any value of an integer type of 2 to 8 bits, now and then only the least and the
/// largest, whose sums saturate where instructions keep them in 16 bits.
Tensor drawBytes(ModelDraw &draw, DType dtype, const Tensor::Dims &dims);
/// The same, more often at the ends.
Tensor drawZeroPoints(ModelDraw &draw, DType dtype, const Tensor::Dims &dims);

/// A leaf of such elements.
Drawn newBytes(ModelDraw &draw, DType dtype, const Tensor::Dims &dims);
/// Bytes that were computed before, or new ones.
Drawn anyBytes(ModelDraw &draw, int64_t minRank, int64_t maxRank);
/// Channels of an image: few, or those that fill blocks, or nearly.
int64_t drawChannels(ModelDraw &draw);

} // namespace quern::random
