//===- ProfileRow.h - the time a step takes -------------------------------===//
#pragma once

#include "quern/Reason.h"
#include "quern/StepCost.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

namespace quern {

/// The time one plan step has taken, summed over `runs`.
struct ProfileRow {
  std::string nodes;
  std::string kernel;
  /// A reference kernel, not native code.
  bool reference = false;
  /// Why, in a plan of native code.
  std::optional<Reason> reason = {};
  /// Of a step of a branch or a body: by how many it is nested. The row of the step
  /// that runs it is before it, and has its time, too.
  int depth = 0;
  int64_t tasks = 1;
  int64_t runs = 0;
  int64_t nanoseconds = 0;
  /// Of the fastest run; what else the machine did disturbed it least.
  int64_t fastestNanoseconds = 0;

  /// Counts one more run.
  void addRun(int64_t elapsed) {
    fastestNanoseconds = runs == 0 ? elapsed : std::min(fastestNanoseconds, elapsed);
    nanoseconds += elapsed;
    ++runs;
  }
  /// Of one run; 0 when unknown.
  StepCost cost = {};
  /// How long the cost model expects one run to take in one thread; 0 where it cannot tell.
  double expectedNanoseconds = 0;
};

} // namespace quern
