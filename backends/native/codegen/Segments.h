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

/// The normal distribution function of |x|, less 1/2, within 4e-8: segment i is c[0] + ... + c[4]
/// d^4 of d = kGeluSegmentsPerUnit |x| - i from -1/2 to 1/2. Beyond kGeluLimit it is what it is
/// there.
extern const float kGeluSegments[32][5];
constexpr float kGeluSegmentsPerUnit = 5.5f, kGeluLimit = 5.727f;

} // namespace quern::native
