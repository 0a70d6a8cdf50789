//===- GraphFamily.h - a graph with its bodies and variants ---------------===//
//
// The graph passes run once, on symbolic sizes. Nobody changes what they leave any more:
// threads make plans of it side by side. Branches and bodies of loops are graphs of their own.
//
// Two decisions may hold for some sizes only. A fusion group may have no native code as a
// whole: a copy of the graph in which it is cut is kept then. And where even ranks
// are not known, passes have little to go by: they run once more for the sizes at hand.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/plan/BodySizes.h"
#include "backends/plan/FrozenGraph.h"
#include "passes/OutlineBodies.h"
#include "passes/Pipelines.h"

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace quern::plan {

using SharedGraph = std::shared_ptr<const FrozenGraph>;

/// Where a group is cut, in any copy of a graph.
struct CutPlace {
  /// Its number among the nodes of the graph.
  size_t group;
  /// That of the misfit among the ops in it; none when they are all put apart.
  std::optional<size_t> misfit;

  bool operator==(const CutPlace &) const = default;
};

/// Thread-safe.
class GraphFamily {
public:
  /// Runs the graph passes on `owned`, whose context is frozen then.
  static Expected<std::shared_ptr<GraphFamily>> create(nn::OwnedModule owned,
                                                       const passes::PipelineOptions &options);

  /// The graph for arguments of which this is known: the same for all, unless it has values
  /// of unknown rank.
  Expected<SharedGraph> graphFor(std::span<const KnownValue> arguments, const Deadline &deadline);
  /// A copy of `graph` with groups of it cut: made, or found.
  Expected<SharedGraph> cutGroups(const SharedGraph &graph, const std::vector<GroupCut> &cuts);

  /// Whether one graph serves all sizes.
  bool isGeneral() const { return general != nullptr; }
  /// The function, with the types that hold for all sizes.
  mlir::func::FuncOp main() const;
  /// The ops whose bodies are families of their own, and these.
  const std::vector<passes::OutlinedOp> &outlined() const { return outlinedOps; }
  const std::vector<std::shared_ptr<GraphFamily>> &bodiesOf(size_t outlinedOp) const {
    return bodies[outlinedOp];
  }
  /// The same for whoever looks through bodies.
  const BodyTree &tree() const { return bodyTree; }

private:
  explicit GraphFamily(const passes::PipelineOptions &options) : options(options) {}

  static Expected<std::shared_ptr<GraphFamily>> make(nn::OwnedModule owned,
                                                     const passes::PipelineOptions &options);
  Status makeBodies(const std::shared_ptr<mlir::MLIRContext> &context);
  Expected<SharedGraph> specialize(std::span<const KnownValue> arguments, const Deadline &deadline);

  /// Of this graph, see passes::optionsOfBody.
  passes::PipelineOptions options;
  /// For all sizes; null when it has values of unknown rank.
  SharedGraph general;
  /// For copies only: of a graph before the last passes, when they have to run for each set
  /// of sizes.
  std::optional<nn::OwnedModule> source;
  /// How often that was done.
  std::atomic<size_t> specialized = 0;

  std::vector<passes::OutlinedOp> outlinedOps;
  std::vector<std::vector<std::shared_ptr<GraphFamily>>> bodies;
  BodyTree bodyTree;

  /// A graph in which some groups of another are cut.
  struct Variant {
    Variant(SharedGraph of, std::vector<CutPlace> cuts)
        : of(std::move(of)), cuts(std::move(cuts)) {}
    SharedGraph of;
    std::vector<CutPlace> cuts;
    /// Held while it is made: who wants the same waits, and nobody else.
    std::mutex mutex;
    SharedGraph graph;
  };
  std::shared_ptr<Variant> variantOf(const SharedGraph &graph, std::vector<CutPlace> cuts);
  static constexpr size_t kMaxVariants = 16;
  /// The most recent ones come first.
  std::list<std::shared_ptr<Variant>> variants;
  std::mutex variantsMutex;
};

} // namespace quern::plan
