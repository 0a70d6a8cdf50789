//===- WeightNumbers.h - weights as small integers ------------------------===//
//
// Pure functions over tensors.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Tensor.h"

#include <span>
#include <vector>

namespace quern::quantization {

/// Integers and their scales; the zero point is 0.
struct QuantizedWeights {
  Tensor numbers;
  /// float32: a scalar, one for each entry of an axis, or one for each block.
  Tensor scales;
};

/// float32 weights as int8 in [-127, 127], with a scale for each entry of `axis`, or one for all
/// when it is negative. Where `leastScales` (one for each entry of the axis, or none) asks for a
/// larger scale than the weights do, that is taken.
Expected<QuantizedWeights> quantizeToInt8(const Tensor &weights, int64_t axis,
                                          std::span<const double> leastScales = {});

/// A float32 matrix as int4 in [-8, 7], with a scale for each block of so many neighbours along
/// the first axis; the last ones may be fewer. The scale is the one of least squared error among
/// a few.
Expected<QuantizedWeights> quantizeToInt4(const Tensor &matrix, int64_t blockSize);

/// A bias as int32 of these scales, one for each entry or one for all; what does not fit
/// saturates.
Expected<Tensor> quantizeBias(const Tensor &bias, std::span<const double> scales);

/// The scales as doubles.
std::vector<double> scalesOf(const QuantizedWeights &weights);

} // namespace quern::quantization
