//===- FusionGroup.cpp - what a fusion group is made of -------------------===//
#include "ir/FusionGroup.h"

#include "ir/NodeNames.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

FusionKind nn::fusionKindOf(Operation *op) {
  auto graphOp = dyn_cast<GraphOpInterface>(op);
  return graphOp ? graphOp.getFusionKind() : FusionKind::Opaque;
}

Operation *nn::groupAnchor(Operation *group) {
  auto op = dyn_cast<GroupOp>(group);
  if (!op)
    return isAnchor(fusionKindOf(group)) ? group : nullptr;
  for (Operation &inner : op.getBody().front())
    if (isAnchor(fusionKindOf(&inner)))
      return &inner;
  return nullptr;
}

Operation *nn::groupOf(Operation *op) {
  Operation *parent = op->getParentOp();
  return isa_and_nonnull<GroupOp>(parent) ? parent : op;
}

Value nn::outerValue(Operation *group, Value inner) {
  auto argument = dyn_cast<BlockArgument>(inner);
  if (argument && argument.getOwner()->getParentOp() == group)
    return group->getOperand(argument.getArgNumber());
  return inner;
}

/// The results that a group of these ops has.
static SmallVector<Value> resultsOf(ArrayRef<Operation *> members) {
  llvm::SmallPtrSet<Operation *, 16> inside(members.begin(), members.end());
  auto isUsedOutside = [&](Value value) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) { return !inside.contains(user); });
  };
  SmallVector<Value> results;
  for (Operation *op : members)
    for (Value result : op->getResults())
      if (op == members.back() || isUsedOutside(result))
        results.push_back(result);
  return results;
}

GroupOp nn::createGroup(ArrayRef<Operation *> members,
                        llvm::function_ref<bool(Value)> belongsInside) {
  llvm::SetVector<Value> produced, inputs, inside;
  SmallVector<Location> locations;
  for (Operation *op : members) {
    for (Value operand : op->getOperands()) {
      if (belongsInside(operand))
        inside.insert(operand);
      else if (!produced.contains(operand))
        inputs.insert(operand);
    }
    produced.insert(op->result_begin(), op->result_end());
    locations.push_back(op->getLoc());
  }

  SmallVector<Value> results = resultsOf(members);
  OpBuilder builder(members.back());
  Location loc = fusedLocation(locations);
  auto group = builder.create<GroupOp>(loc, ValueRange(results).getTypes(), inputs.getArrayRef());
  Block &body = group.getBody().emplaceBlock();
  builder.setInsertionPointToStart(&body);
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, body.addArgument(input.getType(), input.getLoc()));
  for (Value value : inside)
    builder.clone(*value.getDefiningOp(), mapping);
  for (Operation *op : members)
    builder.clone(*op, mapping);
  SmallVector<Value> yielded;
  for (Value result : results)
    yielded.push_back(mapping.lookup(result));
  builder.create<YieldOp>(loc, yielded);

  for (auto [result, replacement] : llvm::zip_equal(results, group.getResults()))
    result.replaceAllUsesWith(replacement);
  for (Operation *op : llvm::reverse(members))
    op->erase();
  return group;
}
