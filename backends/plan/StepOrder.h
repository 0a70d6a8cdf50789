//===- StepOrder.h - when the steps of a graph run ------------------------===//
#pragma once

#include "backends/plan/LowerGraph.h"
#include "backends/plan/ValuePlaces.h"

#include <cstdint>
#include <span>
#include <vector>

namespace quern::plan {

/// The order of a plan's steps, and which of them may run side by side.
struct StepOrder {
  struct Entry {
    /// By the number of the op, and which of its steps it is: 0 for all of an op without any.
    size_t op, part;
  };
  std::vector<Entry> entries;
  /// How many of the entries are side by side, from wave to wave.
  std::vector<uint32_t> waves;
  /// For each op the waves of its first and its last step.
  struct Waves {
    int64_t first, last;
  };
  std::vector<Waves> ofOps;
};

/// Orders the steps of `ops`, which are in an order in which they may run; from `firstCopy` on they
/// keep it, each after all others.
StepOrder orderSteps(const LoweredGraph &graph, std::span<const LoweredOp *const> ops,
                     size_t firstCopy, const ValuePlaces &places, const OpLowering &lowering);

} // namespace quern::plan
