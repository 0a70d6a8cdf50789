//===- OptimizedGraph.cpp - a graph that plans are made from --------------===//
#include "backends/plan/OptimizedGraph.h"

#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Weights.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

OptimizedGraph::OptimizedGraph(func::FuncOp main) : function(main) {
  main.walk([&](Operation *op) {
    if (op->getNumResults() == 1)
      if (std::optional<nn::WeightSource> weight = nn::weightSource(op->getResult(0)))
        weights.try_emplace(op->getResult(0), std::move(*weight));
  });
  for (Operation &op : main.getBody().front().without_terminator()) {
    if (isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op))
      continue;
    Operation *root = nn::groupRoot(&op);
    indices[&op] = ops.size();
    ops.push_back(
        {&op, nn::nodeName(op.getLoc()), (root ? root : &op)->getName().getStringRef().str()});
  }
}

const nn::WeightSource *OptimizedGraph::weightOf(Value value) const {
  auto at = weights.find(value);
  return at == weights.end() ? nullptr : &at->second;
}

Expected<nn::ReferenceCall> OptimizedGraph::referenceOf(Operation *op) const {
  {
    std::lock_guard lock(mutex);
    if (auto at = references.find(op); at != references.end())
      return at->second;
  }
  auto call = nn::makeReferenceCall(op);
  if (!call)
    return call.status().withContext(nn::nodeContext(op));
  std::lock_guard lock(mutex);
  return references.try_emplace(op, call.take()).first->second;
}
