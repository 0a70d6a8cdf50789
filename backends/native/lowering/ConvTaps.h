//===- ConvTaps.h - which taps of a filter lie on the image ---------------===//
//
// A dilated filter, or one on a small image, has taps that meet nothing but padding: always, or for
// the results of one end of a line. Along one axis those that lie on the image are neighbours.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "llvm/ADT/SmallVector.h"

#include <cstdint>

namespace quern::native {

/// One axis of a convolution: result x has tap k at x * stride - padBegin + k * dilation.
struct ConvAxis {
  int64_t input = 1, output = 1, kernel = 1, stride = 1, dilation = 1, padBegin = 0;
};

/// Neighbouring taps.
struct TapRange {
  int64_t first = 0, count = 0;
};

/// The taps that lie on the image for at least one result, and what is between them.
TapRange reachedTaps(const ConvAxis &axis);

/// How many times a tap lies on the image, over all results.
int64_t countMeetings(const ConvAxis &axis);

/// Neighbouring results that have the same taps on the image.
struct TapSegment {
  int64_t first = 0, results = 0;
  TapRange taps;
  /// So many lines of equal length, side by side, that they are computed as where an image has just
  /// one, as sound has: enough for all threads.
  int64_t folds = 1;
};
/// All results, in their order.
llvm::SmallVector<TapSegment> segmentsOf(const ConvAxis &axis);

} // namespace quern::native
