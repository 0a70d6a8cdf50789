//===- AlikeNodes.cpp - nodes of a graph that are planned alike -----------===//
#include "backends/plan/AlikeNodes.h"

#include "backends/plan/IndexData.h"
#include "backends/plan/OptimizedGraph.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/OutlinedOps.h"

#include "llvm/ADT/Hashing.h"

#include <unordered_map>

using namespace mlir;
using namespace quern;
using namespace quern::plan;

static constexpr auto kFlags = OperationEquivalence::Flags::IgnoreLocations;

/// Of an op and those inside, whatever they read.
static size_t hashOf(Operation *op) {
  llvm::hash_code hash = 0;
  op->walk([&](Operation *each) {
    hash = llvm::hash_combine(
        hash, OperationEquivalence::computeHash(each, OperationEquivalence::ignoreHashValue,
                                                OperationEquivalence::ignoreHashValue, kFlags));
  });
  return hash;
}

namespace {
/// Compares two nodes: ops, attributes, types, and which operands are the same value.
class Comparison {
public:
  explicit Comparison(const OptimizedGraph &graph) : graph(graph) {}

  bool areAlike(Operation *a, Operation *b) {
    return OperationEquivalence::isEquivalentTo(
        a, b, [&](Value x, Value y) { return success(correspond(x, y)); },
        [&](Value x, Value y) { pairs.emplace_back(x, y); }, kFlags);
  }

private:
  bool correspond(Value a, Value b) {
    for (auto [x, y] : pairs)
      if (x == a || y == b)
        return x == a && y == b;
    pairs.emplace_back(a, b);
    return a.getType() == b.getType() && nn::isNone(a) == nn::isNone(b) && holdAlike(a, b);
  }
  /// Rules and lowerings may look at constants of few elements (scales of a resize), and at
  /// integers. Others are only packed.
  bool holdAlike(Value a, Value b) const {
    const nn::WeightSource *x = graph.factsOf(a).weight, *y = graph.factsOf(b).weight;
    if (!x || !y || a == b)
      return !x == !y;
    if (x->dtype() == DType::String || x->dims() != y->dims())
      return false;
    if (productOf(x->dims()) > kMaxIndexElements)
      return !graph.factsOf(a).isIndexData || x->key() == y->key();
    Expected<Tensor> left = x->load(), right = y->load();
    return left && right && haveSameElements(*left, *right);
  }

  const OptimizedGraph &graph;
  llvm::SmallVector<std::pair<Value, Value>, 16> pairs;
};
} // namespace

/// The values of a node, and what types tell of it.
AlikeNodes::Node AlikeNodes::describe(Operation *op, const OptimizedGraph &graph) {
  Node node;
  auto add = [&](Value value) {
    const OptimizedGraph::ValueFacts &facts = graph.factsOf(value);
    bool isComputed = facts.isIndexData && !graph.factsOf(nn::outerValue(op, value)).weight;
    node.values.push_back(facts.number);
    node.readsElements |= isComputed;
    node.isSettled &= nn::isNone(value) || (facts.sizes && !isComputed);
  };
  for (Value operand : op->getOperands())
    add(operand);
  op->walk<WalkOrder::PreOrder>([&](Operation *each) {
    for (Value result : each->getResults())
      add(result);
    for (Region &region : each->getRegions())
      for (BlockArgument argument : region.getArguments())
        add(argument);
  });
  return node;
}

AlikeNodes::AlikeNodes(const OptimizedGraph &graph) {
  std::unordered_multimap<size_t, size_t> models;
  nodes.reserve(graph.nodes().size());
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Operation *op = graph.nodes()[i].op;
    nodes.push_back(describe(op, graph));
    nodes[i].model = i;
    // What runs bodies has its own ones.
    if (isa<nn::RunBodiesOp>(op))
      continue;
    size_t hash = hashOf(op);
    auto [begin, end] = models.equal_range(hash);
    auto at = std::find_if(begin, end, [&](const auto &entry) {
      return Comparison(graph).areAlike(graph.nodes()[entry.second].op, op);
    });
    if (at == end)
      models.emplace(hash, i);
    else
      nodes[i].model = at->second;
  }
}
