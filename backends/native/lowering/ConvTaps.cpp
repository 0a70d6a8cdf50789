//===- ConvTaps.cpp - which taps of a filter lie on the image -------------===//
#include "backends/native/lowering/ConvTaps.h"

#include "runtime/values/CeilDiv.h"

#include <algorithm>

using namespace quern;
using namespace quern::native;

namespace {
/// Results [from, to).
struct ResultRange {
  int64_t from, to;
  int64_t count() const { return std::max<int64_t>(to - from, 0); }
};
} // namespace

/// Those that have tap `k` on the image.
static ResultRange resultsAt(const ConvAxis &axis, int64_t k) {
  // The first result whose tap lies at `place` or behind it.
  auto firstAt = [&](int64_t place) {
    int64_t distance = std::max<int64_t>(place + axis.padBegin - k * axis.dilation, 0);
    return std::min(ceilDiv(distance, axis.stride), axis.output);
  };
  return {firstAt(0), firstAt(axis.input)};
}

TapRange native::reachedTaps(const ConvAxis &axis) {
  int64_t first = axis.kernel, end = 0;
  for (int64_t k = 0; k < axis.kernel; ++k)
    if (resultsAt(axis, k).count() > 0) {
      first = std::min(first, k);
      end = k + 1;
    }
  return end > 0 ? TapRange{first, end - first} : TapRange{};
}

int64_t native::countMeetings(const ConvAxis &axis) {
  int64_t count = 0;
  for (int64_t k = 0; k < axis.kernel; ++k)
    count += resultsAt(axis, k).count();
  return count;
}

llvm::SmallVector<TapSegment> native::segmentsOf(const ConvAxis &axis) {
  llvm::SmallVector<int64_t> ends = {0, axis.output};
  for (int64_t k = 0; k < axis.kernel; ++k) {
    ResultRange results = resultsAt(axis, k);
    ends.append({results.from, results.to});
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  llvm::SmallVector<TapSegment> segments;
  for (size_t i = 0; i + 1 < ends.size(); ++i) {
    TapSegment segment{ends[i], ends[i + 1] - ends[i], {}};
    for (int64_t k = 0; k < axis.kernel; ++k) {
      ResultRange results = resultsAt(axis, k);
      if (segment.first < results.from || segment.first >= results.to)
        continue;
      if (segment.taps.count++ == 0)
        segment.taps.first = k;
    }
    segments.push_back(segment);
  }
  return segments;
}
