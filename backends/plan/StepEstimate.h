//===- StepEstimate.h - how long a step is expected to take ---------------===//
#pragma once

#include <algorithm>
#include <limits>

namespace quern::plan {

/// What a backend expects of a step in one thread, but for the way that its bytes come.
struct StepEstimate {
  /// With all that it reads in the core's own caches; 0: it cannot tell.
  double computeNs = 0;
  /// What of the shorter of computing and moving bytes the longer does not hide.
  double exposed = 0.3;
  /// It reads, or writes, no more of a buffer than so many bytes.
  double mostBytes = std::numeric_limits<double>::infinity();

  /// The whole, when its bytes take so long to come; 0 where nothing is known.
  double nanoseconds(double movingNs) const {
    if (computeNs <= 0)
      return 0;
    return std::max(computeNs, movingNs) + exposed * std::min(computeNs, movingNs);
  }
};

} // namespace quern::plan
