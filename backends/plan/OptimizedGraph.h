//===- OptimizedGraph.h - a graph that plans are made from ----------------===//
#pragma once

#include "ir/ReferenceCall.h"
#include "ir/WeightStore.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <mutex>
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
    std::string nodes;
    /// "nn.conv": of a group, its root.
    std::string opName;
  };

  /// Reads the constants and names of `main`, which is in phase Fused.
  explicit OptimizedGraph(mlir::func::FuncOp main);

  mlir::func::FuncOp main() const { return function; }
  /// The ops in program order, without constants.
  const std::vector<Node> &nodes() const { return ops; }
  const Node &nodeOf(mlir::Operation *op) const { return ops[indices.at(op)]; }
  /// The weight that a constant is; null for other values.
  const nn::WeightSource *weightOf(mlir::Value value) const;
  /// The reference kernel of an op, made at the first call. Unsupported when it has
  /// none. Thread-safe.
  Expected<nn::ReferenceCall> referenceOf(mlir::Operation *op) const;

private:
  mlir::func::FuncOp function;
  std::vector<Node> ops;
  llvm::DenseMap<mlir::Operation *, size_t> indices;
  llvm::DenseMap<mlir::Value, nn::WeightSource> weights;
  mutable std::mutex mutex;
  mutable llvm::DenseMap<mlir::Operation *, nn::ReferenceCall> references;
};

} // namespace quern::plan
