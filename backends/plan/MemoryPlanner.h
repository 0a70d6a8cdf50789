//===- MemoryPlanner.h - offsets for values with lifetimes ----------------===//
#pragma once

#include "quern/CheckedSize.h"
#include "quern/Deadline.h"
#include "quern/Status.h"

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// A value that occupies memory from the step that writes it to the last step
/// that reads it, both included.
struct Lifetime {
  int64_t firstStep = 0;
  int64_t lastStep = 0;
  int64_t bytes = 0;
  /// The index of the value whose memory this one may take over, or -1. Its
  /// last step must be this one's first: the step reads it and writes this one
  /// element by element.
  int64_t inPlaceOf = -1;
};

struct MemoryPlan {
  /// One per lifetime, each a multiple of kArenaAlignment.
  std::vector<int64_t> offsets;
  int64_t totalBytes = 0;
};

constexpr int64_t kArenaAlignment = 64;

/// Places values so that no two that are alive at one step overlap, except a
/// value and the one it is in place of. Greedy: the largest first, each into
/// the smallest gap that holds it, or above all when more than a thousand others
/// are alive with it. ResourceLimit when sizes overflow, or at the deadline.
Expected<MemoryPlan> planMemory(std::span<const Lifetime> lifetimes, const Deadline &deadline = {});

} // namespace quern
