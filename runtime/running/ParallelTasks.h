//===- ParallelTasks.h - independent tasks on several threads -------------===//
#pragma once

#include "quern/Status.h"

#include <cstddef>
#include <functional>

namespace quern {

/// Calls `task(i)` for all i below `count` on `threads` threads (0: all there are);
/// returns the first error in index order.
Status runParallelTasks(size_t count, int threads, const std::function<Status(size_t)> &task);

} // namespace quern
