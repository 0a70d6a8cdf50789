//===- SplitGroup.cpp - fusion groups taken apart -------------------------===//
#include "passes/SplitGroup.h"

#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace quern;
using namespace quern::passes;

static bool isConstantLike(Operation *op) {
  return isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op);
}

SmallVector<Operation *> passes::splitGroup(Operation *op) {
  auto group = cast<nn::GroupOp>(op);
  OpBuilder builder(group);
  IRMapping mapping;
  Block &body = group.getBody().front();
  for (auto [argument, operand] : llvm::zip(body.getArguments(), group.getInputs()))
    mapping.map(argument, operand);
  SmallVector<Operation *> ops;
  for (Operation &inner : body.without_terminator())
    ops.push_back(builder.clone(inner, mapping));
  for (auto [result, yielded] : llvm::zip(group.getResults(), body.getTerminator()->getOperands()))
    result.replaceAllUsesWith(mapping.lookupOrDefault(yielded));
  group.erase();
  return ops;
}

/// Whether others use a result of an op before the last of `members`.
static bool hasSeveralResults(ArrayRef<Operation *> members) {
  llvm::SmallPtrSet<Operation *, 16> inside(members.begin(), members.end());
  auto isOutside = [&](Operation *user) { return !inside.contains(user); };
  return llvm::any_of(members.drop_back(),
                      [&](Operation *op) { return llvm::any_of(op->getUsers(), isOutside); });
}

/// How many of the ops stay with the first one when the op at `misfit` does not.
static size_t countKept(ArrayRef<Operation *> ops, size_t misfit) {
  size_t kept = std::max<size_t>(misfit, 1);
  while (kept > 1 && hasSeveralResults(ops.take_front(kept)))
    --kept;
  return kept;
}

void passes::cutGroup(Operation *group, Operation *misfit) {
  size_t place = 0;
  for (Operation &inner : cast<nn::GroupOp>(group).getBody().front()) {
    if (&inner == misfit)
      break;
    place += isConstantLike(&inner) ? 0 : 1;
  }
  SmallVector<Operation *> all = splitGroup(group), ops, constants;
  if (!misfit)
    return;
  for (Operation *op : all)
    (isConstantLike(op) ? constants : ops).push_back(op);
  auto belongsInside = [&](Value value) {
    return llvm::is_contained(constants, value.getDefiningOp());
  };
  size_t kept = countKept(ops, place);
  for (ArrayRef<Operation *> part :
       {ArrayRef(ops).take_front(kept), ArrayRef(ops).drop_front(kept)})
    if (part.size() > 1)
      nn::createGroup(part, belongsInside);
  for (Operation *constant : constants)
    if (constant->use_empty())
      constant->erase();
}
