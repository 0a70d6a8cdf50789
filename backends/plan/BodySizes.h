//===- BodySizes.h - sizes through branches and bodies --------------------===//
//
// What an nn.run_bodies gives has known sizes when its bodies say so for the sizes at
// hand: both branches the same, a loop whose carried values stay as large as they are,
// slices whose number is known. No stage must wait for the step then.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ir/OutlinedOps.h"
#include "passes/OutlineBodies.h"
#include "quern/Deadline.h"

#include <optional>
#include <vector>

namespace quern::plan {

class OptimizedGraph;
class ShapeEnvironment;

/// A graph with those of the bodies in it.
struct BodyTree {
  /// Null when it is not the same for all sizes: nothing is known of its values then.
  const OptimizedGraph *graph = nullptr;
  const std::vector<passes::OutlinedOp> *outlined = nullptr;
  /// The bodies of each of `outlined`.
  std::vector<std::vector<const BodyTree *>> bodies = {};
};

/// What is known of a value before a run.
struct KnownValue {
  std::optional<std::vector<int64_t>> sizes;
  /// A few integers; absent when not known.
  Tensor elements = {};
};

/// What is known of an nn.run_bodies before a run.
struct BodyCall {
  /// The bodies' arguments: of both branches, in every iteration.
  std::vector<KnownValue> arguments;
  /// The sizes of the results.
  std::vector<std::optional<std::vector<int64_t>>> results;
  /// How often the body runs; of a loop only if nothing ends it earlier.
  std::optional<int64_t> trips;
};

/// As ShapeEnvironment::inferSizes of a table of `graph`, with those of what its bodies give.
/// `bodies` are those in the graph, which may be a variant of that of `bodies`; `depth`
/// counts the bodies around it.
Status inferSizes(ShapeEnvironment &values, const OptimizedGraph &graph, const BodyTree &bodies,
                  const Deadline &deadline, int depth = 0);

/// Looks through the bodies of `op`, one of those of `around`. Finds nothing where a body breaks a
/// rule: that is the run's to report.
BodyCall lookThroughBodies(const BodyTree &around, nn::RunBodiesOp op,
                           const ShapeEnvironment &values, const Deadline &deadline, int depth);

} // namespace quern::plan
