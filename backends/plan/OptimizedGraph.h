//===- OptimizedGraph.h - a graph that plans are made from ----------------===//
#pragma once

#include "backends/plan/AlikeNodes.h"
#include "ir/ReferenceCall.h"
#include "ir/WeightStore.h"
#include "runtime/plan/Boxed.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace quern::plan {

/// A function that all graph passes have run on, with what every plan of it needs.
/// Nobody changes the function any more: threads share it.
class OptimizedGraph {
public:
  struct Node {
    mlir::Operation *op = nullptr;
    /// The ONNX nodes it computes ("conv1+relu1").
    SharedText nodes;
    /// "nn.conv": of a group, its anchor.
    std::string opName;
  };
  /// What is the same of a value whatever the sizes are.
  struct ValueFacts {
    /// Counts the values of the graph, those in regions too.
    uint32_t number = 0;
    /// The sizes, when all are part of the type.
    std::optional<llvm::ArrayRef<int64_t>> sizes = {};
    /// The weight that a constant is; null for other values.
    const nn::WeightSource *weight = nullptr;
    /// Integers or truth values, which sizes may be made of.
    bool isIndexData = false;
    /// Counts these alone.
    uint32_t indexNumber = 0;
  };

  /// Reads the constants and names of `main`, which is in phase Fused.
  explicit OptimizedGraph(mlir::func::FuncOp main);

  mlir::func::FuncOp main() const { return function; }
  /// The ops in program order, without constants.
  const std::vector<Node> &nodes() const { return ops; }
  const Node &nodeOf(mlir::Operation *op) const { return ops[indices.at(op)]; }
  const ValueFacts &factsOf(mlir::Value value) const { return facts.find(value)->second; }
  /// Those of the value with this number.
  const ValueFacts &factsAt(uint32_t number) const { return *byNumber[number]; }
  size_t numValues() const { return facts.size(); }
  size_t numIndexValues() const { return indexValues; }
  /// The bytes of all constants.
  int64_t weightBytes() const { return allWeightBytes; }
  /// The numbers of the values whose sizes no type tells.
  llvm::ArrayRef<uint32_t> openValues() const { return open; }
  /// All values, by their numbers.
  std::vector<mlir::Value> values() const;
  /// Which nodes are planned alike; found out at the first call. Thread-safe.
  const AlikeNodes &alike() const;
  /// The reference kernel of an op, made at the first call. Unsupported when it has
  /// none. Thread-safe.
  Expected<nn::ReferenceCall> referenceOf(mlir::Operation *op) const;

private:
  void addFacts(mlir::Value value);

  mlir::func::FuncOp function;
  std::vector<Node> ops;
  llvm::DenseMap<mlir::Operation *, size_t> indices;
  std::deque<nn::WeightSource> weights;
  llvm::DenseMap<mlir::Value, ValueFacts> facts;
  std::vector<const ValueFacts *> byNumber;
  std::vector<uint32_t> open;
  uint32_t indexValues = 0;
  int64_t allWeightBytes = 0;
  mutable std::once_flag compared;
  mutable std::optional<AlikeNodes> alikeNodes;
  mutable std::mutex mutex;
  mutable llvm::DenseMap<mlir::Operation *, nn::ReferenceCall> references;
};

} // namespace quern::plan
