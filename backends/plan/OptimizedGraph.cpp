//===- OptimizedGraph.cpp - a graph that plans are made from --------------===//
#include "backends/plan/OptimizedGraph.h"

#include "backends/plan/IndexData.h"
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

void OptimizedGraph::addFacts(Value value) {
  ValueFacts found;
  found.number = facts.size();
  if (auto type = dyn_cast<RankedTensorType>(value.getType()); type && type.hasStaticShape())
    found.sizes = type.getShape();
  if (std::optional<nn::WeightSource> weight = nn::weightSource(value)) {
    allWeightBytes += weight->numBytes();
    found.weight = &weights.emplace_back(std::move(*weight));
  }
  if (auto type = dyn_cast<TensorType>(value.getType()))
    found.isIndexData = isIndexType(nn::dtypeOf(type.getElementType()));
  if (found.isIndexData)
    found.indexNumber = indexValues++;
  if (!found.sizes && !nn::isNone(value))
    open.push_back(found.number);
  facts.try_emplace(value, found);
}

OptimizedGraph::OptimizedGraph(func::FuncOp main) : function(main) {
  main.walk([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          addFacts(argument);
    for (Value result : op->getResults())
      addFacts(result);
  });
  byNumber.resize(facts.size());
  for (auto &[value, found] : facts)
    byNumber[found.number] = &found;
  for (Operation &op : main.getBody().front().without_terminator()) {
    if (isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op))
      continue;
    Operation *anchor = nn::groupAnchor(&op);
    indices[&op] = ops.size();
    ops.push_back(
        {&op, nn::nodeName(op.getLoc()), (anchor ? anchor : &op)->getName().getStringRef().str()});
  }
}

const AlikeNodes &OptimizedGraph::alike() const {
  std::call_once(compared, [&] { alikeNodes.emplace(*this); });
  return *alikeNodes;
}

std::vector<Value> OptimizedGraph::values() const {
  std::vector<Value> all(facts.size());
  for (auto &[value, found] : facts)
    all[found.number] = value;
  return all;
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
