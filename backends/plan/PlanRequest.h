//===- PlanRequest.h - what a plan is made for ----------------------------===//
//
// Where a size depends on data, the plan of the input sizes ends with a step that asks for
// the plan of what follows once the size is known: the next stage. All that can be native is.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/plan/GraphFamily.h"
#include "backends/plan/LowerGraph.h"
#include "runtime/plan/PlanCache.h"

namespace quern::plan {

/// What a run has found out, or is told, of a value: its sizes, and its elements if sizes
/// depend on them.
struct FoundValue {
  mlir::Value value;
  KnownValue known;
};

struct PlanRequest {
  SharedGraph graph;
  /// Of the graph's arguments, and of what earlier stages have found.
  std::vector<FoundValue> found;
  GraphPart part;
  UnknownSizes unknown = UnknownSizes::Reference;
  /// How many stages come before; each is a call of its own in the run.
  int stage = 0;
  static constexpr int kMaxStages = 32;
  /// How many bodies are around the graph.
  int depth = 0;
  /// Differs from that of requests of other graphs, sizes and earlier findings. The part
  /// follows from them: it is what they leave to be done.
  PlanKey before;

  /// All of a graph, for arguments of which this is known.
  static PlanRequest wholeOf(SharedGraph graph, std::span<const KnownValue> arguments,
                             UnknownSizes unknown);
  /// What a plan of this one leaves to be done.
  PlanRequest later(GraphPart left) const;
  /// The same for these inputs of the part.
  Expected<PlanRequest> withInputs(std::span<const AnyValue> operands) const;
  /// The key of its plan for such inputs.
  PlanKey key(std::span<const AnyValue> operands) const;
  /// The same of `variant`, a copy of the graph.
  void moveTo(SharedGraph variant);
};

/// What is known of the operands of a plan: the dims of tensors.
std::vector<KnownValue> knownSizes(std::span<const AnyValue> operands);
/// The same of the arguments of `main`, given these dims, those of other values aside. Nothing
/// when there are no dims.
std::vector<KnownValue> knownSizes(mlir::func::FuncOp main,
                                   std::span<const Tensor::Dims> inputDims);
/// The sizes as a part of a key.
void appendSizes(PlanKey &key, std::span<const KnownValue> values);

} // namespace quern::plan
