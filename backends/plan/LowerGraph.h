//===- LowerGraph.h - a fused graph as a list of steps --------------------===//
#pragma once

#include "backends/plan/LoweredStep.h"
#include "backends/plan/OptimizedGraph.h"

#include "llvm/ADT/DenseMap.h"

#include <string>
#include <vector>

namespace quern::plan {

/// One op (or fusion group) of the graph: native steps, or a reference call.
struct LoweredOp {
  mlir::Operation *op = nullptr;
  SharedText nodes;
  std::vector<LoweredStep> steps;
  nn::ReferenceCall reference;
  /// Why there is no native code; empty when there is.
  std::string refusal;
  /// There may be native code once all sizes are known.
  bool needsSizes = false;
};

/// The ops that the graph's outputs depend on, in execution order, for one set of sizes.
struct LoweredGraph {
  std::vector<LoweredOp> ops;
  /// Values that are another value's elements under another shape.
  llvm::DenseMap<mlir::Value, mlir::Value> aliases;
  /// What is known of the values. Whose elements are known is as good as constant.
  ValueTable values;
  /// Groups that have no native code as a whole. There is no plan with them: their
  /// ops, which may have, must be lowered apart.
  std::vector<mlir::Operation *> refusedGroups;

  /// The value that `value` is an alias of, at the end of the chain.
  mlir::Value resolve(mlir::Value value) const;
  /// Whether plans can give the value a fixed place: its sizes are known, and it
  /// holds no strings.
  bool hasPlace(mlir::Value value) const;
};

/// Lowers `graph` for the sizes in `values`. Unsupported when an op has neither native
/// code nor a reference kernel.
Expected<LoweredGraph> lowerGraph(const OptimizedGraph &graph, const OpLowering &lowering,
                                  ValueTable values, const Limits &limits);

/// Puts every op of `group` in its place.
void splitGroup(mlir::Operation *group);

} // namespace quern::plan
