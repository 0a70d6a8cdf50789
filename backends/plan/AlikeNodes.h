//===- AlikeNodes.h - nodes of a graph that are planned alike -------------===//
#pragma once

#include "mlir/IR/Operation.h"
#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <vector>

namespace quern::plan {

class OptimizedGraph;

/// Which nodes of a graph differ in nothing that rules and lowerings see but their sizes: the
/// layers of a transformer. What was found out for one of them holds for another one that has the
/// same sizes. They are counted as in OptimizedGraph::nodes.
class AlikeNodes {
public:
  explicit AlikeNodes(const OptimizedGraph &graph);

  /// The first node of those that are alike, which may be this one.
  size_t modelOf(size_t node) const { return nodes[node].model; }
  /// The numbers of its operands, of its results, and of all values inside, the same one at the
  /// same place for nodes that are alike.
  llvm::ArrayRef<uint32_t> valuesOf(size_t node) const { return nodes[node].values; }
  /// Whether types tell all sizes, and nothing that sizes are made of is computed.
  bool isSettled(size_t node) const { return nodes[node].isSettled; }
  /// Whether elements that are not constants may decide about it.
  bool readsElements(size_t node) const { return nodes[node].readsElements; }

private:
  struct Node {
    size_t model = 0;
    std::vector<uint32_t> values;
    bool isSettled = true, readsElements = false;
  };
  static Node describe(mlir::Operation *op, const OptimizedGraph &graph);

  std::vector<Node> nodes;
};

} // namespace quern::plan
