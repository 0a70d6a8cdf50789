//===- Turns.h - runners timed in turn ------------------------------------===//
#pragma once

#include "quern/Runner.h"
#include "quern/Statistics.h"

#include <span>
#include <vector>

namespace quern {

/// Runs all of them on the same inputs, in turn for `seconds`, one turn at least, so that what else
/// the machine does meets all alike: milliseconds of a run of each. In a turn the first run of each
/// does not count: it finds in the caches what the others left there. `doing` is what watchers
/// hear, as in "trying bf16".
Expected<std::vector<Statistics>> timeInTurns(std::span<Runner *const> runners,
                                              std::span<const AnyValue> inputs, double seconds,
                                              const std::string &doing);

} // namespace quern
