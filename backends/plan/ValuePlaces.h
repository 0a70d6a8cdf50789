//===- ValuePlaces.h - values that lie in others' storage -----------------===//
#pragma once

#include "backends/plan/LowerGraph.h"
#include "ir/NNDialect.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace quern::plan {

/// Which values have no storage of their own: aliases, and the operands of
/// concatenations that are written where they lie in the result.
class ValuePlaces {
public:
  /// Where a value is: bytes of a base value's storage.
  struct Place {
    mlir::Value base;
    int64_t offset = 0;
  };

  explicit ValuePlaces(const LoweredGraph &graph) : ValuePlaces(graph, graph.values) {}
  /// Those for other sizes that the graph has the same ops and aliases for.
  ValuePlaces(const LoweredGraph &graph, const ShapeEnvironment &values)
      : graph(graph), values(values) {}

  Place placeOf(mlir::Value value) const;
  /// Lets the producers of a concatenation's operands write into its result, when the
  /// operands lie there one after the other; or lets the result be where they are. To
  /// be called for the ops from the last to the first. `hasStorage` tells of values
  /// that have a place already.
  void placeConcat(const LoweredOp &op, llvm::function_ref<bool(mlir::Value)> hasStorage);
  /// Whether a concatenation has nothing to do.
  bool isElided(mlir::Operation *op) const { return elided.contains(op); }

private:
  int64_t bytesOf(mlir::Value value) const;
  std::optional<Place> sharedPlace(nn::ConcatOp concat) const;

  const LoweredGraph &graph;
  const ShapeEnvironment &values;
  /// Values inside a concatenation's storage.
  llvm::DenseMap<mlir::Value, Place> parts;
  llvm::DenseSet<mlir::Operation *> elided;
};

} // namespace quern::plan
