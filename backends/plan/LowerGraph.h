//===- LowerGraph.h - a fused graph as a list of steps --------------------===//
#pragma once

#include "backends/plan/LoweredStep.h"
#include "backends/plan/OptimizedGraph.h"
#include "quern/Explanation.h"
#include "quern/StepCost.h"

#include "llvm/ADT/DenseMap.h"

#include <string>
#include <vector>

namespace quern::plan {

/// One op (or fusion group) of the graph: native steps, or a reference call.
struct LoweredOp {
  mlir::Operation *op = nullptr;
  SharedText nodes;
  std::vector<LoweredStep> steps;
  /// Of the whole op, whatever its steps are; none of what runs bodies, whose steps have their own.
  StepCost cost;
  nn::ReferenceCall reference;
  /// Why there is no native code, if there is none.
  std::optional<Reason> reason;
  /// It is an nn.run_bodies.
  bool runsBodies = false;

  /// Whether it takes its operands and gives its results as values, not as buffers.
  bool takesValues() const { return reference || runsBodies; }
};

/// A part of a graph that one plan computes: what lies between some values, which it is
/// given, and the outputs among `outputs`.
struct GraphPart {
  std::vector<mlir::Value> inputs;
  std::vector<mlir::Value> outputs;
  /// Their numbers among the outputs of the graph.
  std::vector<unsigned> outputNumbers;
  /// The numbers of the inputs whose elements sizes depend on: a plan is made for these
  /// elements.
  std::vector<size_t> sizeInputs;

  /// All of the graph.
  static GraphPart wholeOf(mlir::func::FuncOp main);
};

/// An op that a later stage lowers.
struct WaitingOp {
  const OptimizedGraph::Node *node;
  /// Why there is no native code: not yet, or whatever its sizes will be.
  Reason reason;
};
/// That an op is lowered later.
Reason sizeToCome();

/// A group that has no native code as a whole.
struct GroupCut {
  mlir::Operation *group;
  /// The op in it where it is to be cut, see passes::cutGroup.
  mlir::Operation *misfit = nullptr;
};

/// Whether plans can give a value a fixed place: its sizes are known, and it holds no strings.
bool hasPlace(mlir::Value value, const ShapeEnvironment &values);

/// The ops that the part's outputs depend on, in execution order, for one set of sizes.
struct LoweredGraph {
  GraphPart part;
  std::vector<LoweredOp> ops;
  /// What must wait for sizes that `ops` find out, when that is asked for; with no
  /// outputs when nothing must.
  GraphPart later;
  /// The ops that wait, in execution order.
  std::vector<WaitingOp> waiting;
  /// Values that are another value's elements under another shape.
  llvm::DenseMap<mlir::Value, mlir::Value> aliases;
  /// What is known of the values. Whose elements are known is as good as constant.
  ShapeEnvironment values;
  /// Groups that have no native code as a whole. There is no plan with them: their
  /// parts, which may have, must be lowered apart.
  std::vector<GroupCut> refusedGroups;
  /// Why they have none.
  std::vector<Refusal> refusals;

  /// The value that `value` is an alias of, at the end of the chain.
  mlir::Value resolve(mlir::Value value) const;
  /// Whether plans can give the value a fixed place: its sizes are known, and it
  /// holds no strings.
  bool hasPlace(mlir::Value value) const { return plan::hasPlace(value, values); }
  /// The bytes of a value that has a place. An error, which names `nodes`, when a run may not
  /// hold so many.
  Expected<int64_t> checkedBytes(mlir::Value value, const SharedText &nodes,
                                 const Limits &limits) const;
};

/// Whether an op only gives elements another shape or type, moves dimensions of size 1, or expands
/// what is as large already.
bool isAlias(mlir::Operation *op, const ShapeEnvironment &values);
/// Native steps of an op, or the reason why not.
LoweringResult lowerOp(mlir::Operation *op, const OpLowering &lowering,
                       const ShapeEnvironment &values);

/// What becomes of an op whose operands' sizes only a run can tell.
enum class UnknownSizes {
  /// It runs on its reference kernel.
  Reference,
  /// It waits for a stage of its own, where they are known; so does an op with results
  /// whose sizes an operand's elements tell.
  NextStage,
};

/// Lowers a part of `graph` for the sizes in `values`. Unsupported when an op has
/// neither native code nor a reference kernel.
Expected<LoweredGraph> lowerGraph(const OptimizedGraph &graph, GraphPart part,
                                  const OpLowering &lowering, ShapeEnvironment values,
                                  UnknownSizes unknown, const Limits &limits);

} // namespace quern::plan
