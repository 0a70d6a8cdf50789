//===- FrozenGraph.h - a graph that nobody changes any more ---------------===//
#pragma once

#include "backends/plan/LowerGraph.h"
#include "ir/OwnedModule.h"

#include <atomic>

namespace quern::plan {

/// A module that all passes have run on, and what is read of it.
class FrozenGraph {
public:
  /// `origins` are the values of the graph that it is a copy of, by number: what they
  /// are here.
  explicit FrozenGraph(nn::OwnedModule &&owned, std::vector<mlir::Value> origins = {});

  const OptimizedGraph &get() const { return graph; }
  mlir::ModuleOp module() const { return *owned.module; }
  /// Of it alone among all that there have been.
  int64_t id() const { return serial; }
  /// What `part`, of the graph that this is a copy of, is here.
  GraphPart translate(const GraphPart &part, const FrozenGraph &original) const;
  mlir::Value translate(mlir::Value value, const FrozenGraph &original) const {
    return origins[original.graph.factsOf(value).number];
  }

private:
  static inline std::atomic<int64_t> lastSerial = 0;

  /// `module` is only read.
  mutable nn::OwnedModule owned;
  OptimizedGraph graph;
  std::vector<mlir::Value> origins;
  int64_t serial;
};

} // namespace quern::plan
