//===- ShapeEnvironment.h - what is known of values before a run ----------------===//
#pragma once

#include "backends/plan/OptimizedGraph.h"
#include "ir/ShapeFacts.h"
#include "quern/Deadline.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Allocator.h"

namespace quern::plan {

/// The element type of a tensor value.
DType dtypeOfValue(mlir::Value value);
/// The product of `sizes`; 1 when there are none.
int64_t productOf(llvm::ArrayRef<int64_t> sizes);

/// The sizes of a graph's values, and the elements of those that sizes depend on, for
/// one set of input sizes. Static types and constants speak for themselves. Makes and
/// changes no MLIR object. For one thread.
class ShapeEnvironment : public nn::ShapeFacts {
public:
  /// Of values with static types only.
  ShapeEnvironment() = default;
  /// Nothing is known yet of what is not static; `graph` outlives the table. What the table
  /// computes ends at the deadline.
  explicit ShapeEnvironment(const OptimizedGraph &graph, const Deadline &deadline = {})
      : graph(&graph), deadline(deadline), sizes(graph.numValues()),
        tensors(graph.numIndexValues()) {}

  /// Says the sizes of a value: of what is given, before all others are inferred.
  void setSizes(mlir::Value value, llvm::ArrayRef<int64_t> sizes);
  /// Says the elements of such a value, integers that sizes depend on.
  void setElements(mlir::Value value, Tensor elements);
  /// Finds the sizes of all values that the known ones decide, in program order. An error names
  /// the node whose rule they break. `visit`, unless null, is called behind each op, and may
  /// set the sizes of results that the op's rule does not tell.
  Status inferSizes(llvm::function_ref<Status(mlir::Operation *)> visit = nullptr);

  std::optional<nn::Shape> shapeOf(mlir::Value value) const override;
  /// Small integers are computed when they are asked for.
  std::optional<Tensor> tensorOf(mlir::Value value) const override;
  std::optional<nn::DimVector> dimsIn(mlir::Value value) const override;

  /// Whether the elements are known before the run.
  bool isKnown(mlir::Value value) const;
  /// The elements of such a value as a weight, not read yet.
  std::optional<nn::WeightSource> weightOf(mlir::Value value) const;

  /// The bytes of all constants of the graph; 0 where there is none.
  int64_t weightBytes() const { return graph ? graph->weightBytes() : 0; }

  bool hasSizes(mlir::Value value) const;
  uint32_t numberOf(mlir::Value value) const { return graph->factsOf(value).number; }
  /// The sizes of the value with this number; nullopt where they are unknown.
  std::optional<llvm::ArrayRef<int64_t>> sizesAt(uint32_t number) const {
    const OptimizedGraph::ValueFacts &facts = graph->factsAt(number);
    return facts.sizes ? facts.sizes : sizes[number];
  }
  /// Operands of `op` with few elements that would tell the sizes of its results, which
  /// are not known.
  llvm::ArrayRef<mlir::Value> sizeOperandsOf(mlir::Operation *op) const;
  /// Whether the same ops wait for elements to tell sizes, and for the same elements.
  bool hasSameSizeOperands(const ShapeEnvironment &other) const {
    return sizeOperands.size() == other.sizeOperands.size() &&
           llvm::all_of(sizeOperands, [&](const auto &entry) {
             auto at = other.sizeOperands.find(entry.first);
             return at != other.sizeOperands.end() && at->second == entry.second;
           });
  }
  /// The sizes of a value that has them.
  llvm::ArrayRef<int64_t> sizesOf(mlir::Value value) const;
  /// Their product.
  int64_t elementsOf(mlir::Value value) const { return productOf(sizesOf(value)); }
  /// The axis of an nn::AxisOpInterface, counted from the front: in a graph it counts from the end
  /// where the types do not tell the rank.
  int64_t axisOf(mlir::Operation *op) const;

private:
  using Tensors = llvm::SmallVector<Tensor, 2>;
  using MaybeSizes = std::optional<llvm::ArrayRef<int64_t>>;

  MaybeSizes findSizes(mlir::Value value) const;

  bool inferAsModel(size_t node);
  /// The op whose rule is broken; null when all is well.
  mlir::Operation *inferOp(mlir::Operation *op);
  mlir::LogicalResult applyRule(mlir::Operation *op);
  void noteSizeOperands(mlir::Operation *op, llvm::ArrayRef<mlir::Value> asked);
  bool isComputable(mlir::Operation *op) const;
  mlir::Operation *opToCompute(mlir::Value value) const;
  struct Pending;
  mlir::Operation *nextToCompute(Pending &pending) const;
  void computeChain(mlir::Operation *last) const;
  std::optional<Tensors> compute(mlir::Operation *op) const;
  std::optional<Tensors> computeGroup(mlir::Operation *group) const;

  const OptimizedGraph *graph = nullptr;
  Deadline deadline;
  /// By the numbers of values; in `storage`.
  std::vector<MaybeSizes> sizes;
  llvm::BumpPtrAllocator storage;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Value, 2>> sizeOperands;
  /// By the numbers of those that sizes are made of: absent where asking was in vain.
  mutable std::vector<std::optional<Tensor>> tensors;
};

} // namespace quern::plan
