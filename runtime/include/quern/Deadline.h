//===- Deadline.h - a limit on time ---------------------------------------===//
#pragma once

#include "quern/Status.h"

#include <chrono>
#include <string_view>

namespace quern {

/// A point in time at which work ends with StatusCode::ResourceLimit. By default
/// there is none.
class Deadline {
public:
  using Clock = std::chrono::steady_clock;

  Deadline() = default;
  /// `limit` from now on.
  static Deadline after(std::chrono::nanoseconds limit);

  bool passed() const { return end != Clock::time_point::max() && Clock::now() >= end; }
  /// "time limit of 3s exceeded while running", where `doing` is "running", once
  /// the deadline has passed.
  Status check(std::string_view doing) const;

private:
  Clock::time_point end = Clock::time_point::max();
  /// How long the work might take; for the error.
  std::chrono::nanoseconds limit{};
};

} // namespace quern
