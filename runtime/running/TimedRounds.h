//===- TimedRounds.h - the same work in several threads at once -----------===//
#pragma once

#include "quern/Status.h"

#include <functional>
#include <vector>

namespace quern {

/// Calls `work(thread)` in `threads` threads at once, the caller's being number 0, and that
/// `rounds` times: the seconds of each round, from the start of the first thread to the end of
/// the last. ResourceLimit when there cannot be as many threads; nothing has run then.
Expected<std::vector<double>> timeRounds(int threads, int rounds,
                                         const std::function<void(int thread)> &work);

} // namespace quern
