//===- FusionGroup.cpp - what a fusion group is made of -------------------===//
#include "ir/FusionGroup.h"

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
    return fusionKindOf(group) == FusionKind::Anchor ? group : nullptr;
  for (Operation &inner : op.getBody().front())
    if (fusionKindOf(&inner) == FusionKind::Anchor)
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
