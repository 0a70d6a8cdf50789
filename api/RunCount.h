//===- RunCount.h - how far repeated work is, for who watches -------------===//
#pragma once

#include "quern/Progress.h"
#include "quern/Statistics.h"

#include <cstdint>
#include <string>

namespace quern {

/// Tells watchers, now and then, how much is done: texts are made a few times a second only,
/// so that what is measured between two calls does not notice.
class RunCount {
public:
  /// The number stands between the texts: "measuring: 3 runs".
  RunCount(std::string before, std::string after)
      : before(std::move(before)), after(std::move(after)) {}

  /// One more is done. Cancelled when a watcher ends the work.
  Status add() {
    ++done;
    double now = watch.milliseconds();
    if (now < next)
      return Status::ok();
    next = now + kInterval;
    return ProgressScope::check(before + std::to_string(done) + after);
  }

private:
  std::string before, after;
  Stopwatch watch;
  static constexpr double kInterval = 50;
  double next = kInterval;
  int64_t done = 0;
};

/// Whether a watcher ended repeated work whose results so far, `measured` of them, are to be kept.
inline bool isEndedEarly(const Status &status, bool keepsCancelled, int64_t measured) {
  return keepsCancelled && measured > 0 && status.code() == StatusCode::Cancelled;
}

} // namespace quern
