//===- Segments.h - functions as a polynomial for each of their segments --===//
#pragma once

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>

namespace quern::native {

/// c[0] + c[1] d + ... + c[5] d^5 for d = |x| - center.
struct Segment {
  float center;
  float c[6];
};

/// An odd function. Its first segment ends at 1/8, further ones at each quarter on the way to the
/// next power of two; beyond `limit` it is what it is there.
struct SegmentedFunction {
  llvm::ArrayRef<Segment> segments;
  float limit;

  /// The bits of a float from this one on count segments: exponent and two of the mantissa.
  static constexpr int64_t kIgnoredBits = 21;
  /// In the first segment; all below is there, too.
  static constexpr float kInFirst = 0.12f;
};

/// Within 2.3 and 1.3 units of the last place, and never above 1.
extern const SegmentedFunction kSegmentedErf, kSegmentedTanh;

} // namespace quern::native
