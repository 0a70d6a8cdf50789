//===- InlineKnownBranches.cpp - branches whose condition is constant -----===//
//
// Exporters write a branch for what shapes decide ("squeeze when the dimension is 1");
// with the sizes at hand its condition folds to a constant, and one body is left.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "passes/InferShapes.h"
#include "passes/Passes.h"
#include "runtime/values/TruthValue.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_INLINEKNOWNBRANCHESPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

static std::optional<bool> knownCondition(IfOp op) {
  std::optional<Tensor> condition = constantTensor(op.getCondition());
  if (!condition || condition->dtype() != DType::Bool || condition->numElements() != 1)
    return std::nullopt;
  return truthValue(*condition);
}

/// Puts the ops of a body in the place of its branch.
static void inlineBody(IfOp op, Block &body) {
  Operation *yield = body.getTerminator();
  op->getBlock()->getOperations().splice(op->getIterator(), body.getOperations(), body.begin(),
                                         yield->getIterator());
  op->replaceAllUsesWith(yield->getOperands());
  op->erase();
}

namespace {
struct InlineKnownBranchesPass
    : passes::impl::InlineKnownBranchesPassBase<InlineKnownBranchesPass> {
  void runOnOperation() override {
    // Inner branches come first.
    SmallVector<std::pair<IfOp, bool>> known;
    getOperation().walk([&](IfOp op) {
      if (std::optional<bool> condition = knownCondition(op))
        known.emplace_back(op, *condition);
    });
    if (known.empty())
      return markAllAnalysesPreserved();
    for (auto [op, condition] : known) {
      // The other body goes with its branch, and so may a branch in it.
      Region &region = condition ? op.getThenRegion() : op.getElseRegion();
      inlineBody(op, region.front());
    }
    if (failed(walkGraph(getOperation(), refineResultTypes)))
      return signalPassFailure();
    updateFunctionType(getOperation());
  }
};
} // namespace
