//===- FrozenGraph.cpp - a graph that nobody changes any more -------------===//
#include "backends/plan/FrozenGraph.h"

#include "ir/Signature.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;

FrozenGraph::FrozenGraph(nn::OwnedModule &&owned, std::shared_ptr<const Explanation> past,
                         std::vector<Value> origins)
    : owned(std::move(owned)), graph(nn::findMain(*this->owned.module)), past(std::move(past)),
      origins(std::move(origins)), serial(++lastSerial) {}

/// The values it is given belong to ops that stand as they did; its outputs are the same
/// ones of the graph's.
GraphPart FrozenGraph::translate(const GraphPart &part, const FrozenGraph &original) const {
  GraphPart result;
  result.sizeInputs = part.sizeInputs;
  for (Value input : part.inputs)
    result.inputs.push_back(translate(input, original));
  result.outputNumbers = part.outputNumbers;
  Operation *exit = graph.main().getBody().front().getTerminator();
  for (unsigned number : part.outputNumbers)
    result.outputs.push_back(exit->getOperand(number));
  return result;
}
