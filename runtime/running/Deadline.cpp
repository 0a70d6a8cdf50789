//===- Deadline.cpp - a limit on time -------------------------------------===//
#include "quern/Deadline.h"

#include "quern/Progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>

using namespace quern;

Deadline Deadline::after(std::chrono::nanoseconds limit) {
  Deadline deadline;
  deadline.limit = limit;
  Clock::time_point now = Clock::now();
  if (limit < Clock::time_point::max() - now)
    deadline.end = now + limit;
  return deadline;
}

/// "3s", "1.5s", "500ms".
static std::string formatDuration(std::chrono::nanoseconds duration) {
  double seconds = std::chrono::duration<double>(duration).count();
  char text[32];
  if (seconds >= 1)
    std::snprintf(text, sizeof text, "%.6gs", seconds);
  else
    std::snprintf(text, sizeof text, "%.6gms", seconds * 1e3);
  return text;
}

// Where the clock is looked at, whoever watches may end the work, too.
Status Deadline::check(std::string_view doing) const {
  QUERN_TRY(ProgressScope::check(doing));
  if (!passed())
    return Status::ok();
  return resourceLimit(
      fmt::format("time limit of {} exceeded while {}", formatDuration(limit), doing));
}
