//===- FrozenGraph.h - a graph that nobody changes any more ---------------===//
#pragma once

#include "backends/plan/LowerGraph.h"
#include "ir/OwnedModule.h"
#include "quern/Explanation.h"

#include <atomic>
#include <memory>

namespace quern::plan {

/// A module that all passes have run on, and what is read of it.
class FrozenGraph {
public:
  FrozenGraph(nn::OwnedModule &&owned, Explanation history)
      : FrozenGraph(std::move(owned), std::make_shared<const Explanation>(std::move(history)), {}) {
  }
  /// A copy of `original`; `origins` are the values of that, by number: what they are here.
  FrozenGraph(nn::OwnedModule &&owned, const FrozenGraph &original,
              std::vector<mlir::Value> origins)
      : FrozenGraph(std::move(owned), original.past, std::move(origins)) {}

  const OptimizedGraph &get() const { return graph; }
  mlir::ModuleOp module() const { return *owned.module; }
  /// What the passes have said: nodes and refusals. There are no steps yet.
  const Explanation &history() const { return *past; }
  /// Of it alone among all that there have been.
  int64_t id() const { return serial; }
  /// What `part`, of the graph that this is a copy of, is here.
  GraphPart translate(const GraphPart &part, const FrozenGraph &original) const;
  mlir::Value translate(mlir::Value value, const FrozenGraph &original) const {
    return origins[original.graph.factsOf(value).number];
  }

private:
  FrozenGraph(nn::OwnedModule &&owned, std::shared_ptr<const Explanation> past,
              std::vector<mlir::Value> origins);

  static inline std::atomic<int64_t> lastSerial = 0;

  /// `module` is only read.
  mutable nn::OwnedModule owned;
  OptimizedGraph graph;
  std::shared_ptr<const Explanation> past;
  std::vector<mlir::Value> origins;
  int64_t serial;
};

} // namespace quern::plan
