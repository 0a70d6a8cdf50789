//===- ModelGraph.cpp - the nodes of a model, and what they take ----------===//
#include "quern/ModelGraph.h"

#include "api/ModelState.h"
#include "ir/NodeNames.h"
#include "ir/Signature.h"

#include <algorithm>
#include <unordered_map>

using namespace quern;

/// A node may have become several ops, which are one after the other.
std::vector<ModelNode> Model::graph() const {
  std::lock_guard lock(state->mutex);
  std::vector<ModelNode> nodes;
  std::unordered_map<std::string, size_t> places;
  llvm::DenseMap<mlir::Operation *, size_t> placeOf;
  for (mlir::Operation &op : nn::findMain(*state->source.module).getBody().front()) {
    std::vector<std::string> names = nn::nodeNames(op.getLoc());
    if (names.empty())
      continue;
    auto [found, isNew] = places.emplace(names.front(), nodes.size());
    if (isNew)
      nodes.push_back({names.front()});
    size_t place = found->second;
    placeOf[&op] = place;
    for (mlir::Value operand : op.getOperands()) {
      auto producer = placeOf.find(operand.getDefiningOp());
      std::vector<size_t> &inputs = nodes[place].inputs;
      if (producer != placeOf.end() && producer->second < place &&
          std::ranges::find(inputs, producer->second) == inputs.end())
        inputs.push_back(producer->second);
    }
  }
  return nodes;
}
