//===- LowerGraph.h - a fused graph as a list of steps --------------------===//
#pragma once

#include "backends/plan/LoweredStep.h"
#include "ir/ReferenceCall.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

namespace quern::plan {

/// One op (or fusion group) of the graph: native steps, or a reference call.
struct LoweredOp {
  mlir::Operation *op = nullptr;
  std::string nodes;
  std::vector<LoweredStep> steps;
  nn::ReferenceCall reference;
  /// Why there is no native code; empty when there is.
  std::string refusal;
  /// There may be native code once all sizes are known.
  bool needsSizes = false;
};

/// The graph in execution order.
struct LoweredGraph {
  std::vector<LoweredOp> ops;
  /// Values that are another value's elements under another shape.
  llvm::DenseMap<mlir::Value, mlir::Value> aliases;

  /// The sizes that it was lowered for.
  ValueTable values;

  /// The value that `value` is an alias of, at the end of the chain.
  mlir::Value resolve(mlir::Value value) const;
  /// Whether plans can give the value a fixed place: its sizes are known, and it
  /// holds no strings.
  bool hasPlace(mlir::Value value) const;
};

/// Lowers all ops of `main`, which is in phase Fused, for the sizes in `values`. Groups whose
/// epilogue has no native code are split first. Unsupported when an op has neither native code nor
/// a reference kernel.
Expected<LoweredGraph> lowerGraph(mlir::func::FuncOp main, const OpLowering &lowering,
                                  ValueTable values, const Limits &limits);

} // namespace quern::plan
