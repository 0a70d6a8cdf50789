//===- Ranges.h - which values a quantized tensor can have ----------------===//
//
// Pure functions over histograms.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "api/quantize/Histogram.h"
#include "quern/DType.h"

#include <optional>
#include <string_view>

namespace quern::quantization {

/// The values of a tensor that have a neighbour among the quantized ones; others saturate.
struct Range {
  double low = 0, high = 0;

  Range unitedWith(const Range &other) const;
};

enum class RangeMethod { MinMax, Percentile, Entropy, Mse };

/// "min-max", "percentile", "entropy" or "mse".
std::optional<RangeMethod> parseRangeMethod(std::string_view name);

/// The range by one of the methods. All of them have 0 in it. `percentile` is how many of a
/// hundred values that method keeps.
Range chooseRange(const Histogram &histogram, RangeMethod method, double percentile);

/// value = (number - zeroPoint) * scale.
struct Affine {
  float scale = 1;
  int zeroPoint = 0;

  /// The number of a value in [least, most], rounded to nearest even.
  int64_t quantize(double value, int64_t least, int64_t most) const;
};

/// The numbers of int8 or uint8.
inline int64_t leastOf(DType dtype) { return dtype == DType::Int8 ? -128 : 0; }
inline int64_t mostOf(DType dtype) { return dtype == DType::Int8 ? 127 : 255; }

/// Spreads the numbers of int8 or uint8 over a range, so that 0 is one of the values.
Affine affineOf(const Range &range, DType dtype);

} // namespace quern::quantization
