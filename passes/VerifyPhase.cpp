//===- VerifyPhase.cpp - only the legal ops of a phase are left -----------===//
//
// The rules are stated above the pipelines in Pipelines.cpp.
//
//===----------------------------------------------------------------------===//
#include "ir/NNDialect.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_VERIFYPHASEPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

/// Whether a size of a result is neither a number nor an expression over symbols. A branch may
/// be one that is never taken: what it computes can be wrong, and nothing of it known.
static bool hasNamelessSize(Operation *op) {
  return !op->getParentOfType<IfOp>() && llvm::any_of(op->getResults(), [](Value result) {
    std::optional<Shape> shape = shapeOf(result.getType());
    return shape && llvm::any_of(shape->dims(), [](const Dim &dim) { return dim.isUnknown(); });
  });
}

/// Why `op` is illegal in `phase`; null when it is legal.
static const char *reasonAgainst(Operation *op, Phase phase) {
  if (isa<ModuleOp, func::FuncOp, func::ReturnOp>(op))
    return nullptr;
  if (!isa<NNDialect>(op->getDialect()))
    return "is no op of the nn dialect";
  if (phase < Phase::LaidOut && hasBlocks(op))
    return "is blocked before layouts are assigned";
  if (auto axisOp = dyn_cast<AxisOpInterface>(op);
      axisOp && phase >= Phase::Simplified && axisOp.getAxis() < 0 && axisOp.getAxisRank())
    return "has an axis that counts from the end";
  if (phase == Phase::Simplified && hasNamelessSize(op))
    return "has a size that is neither a number nor has a name";
  if (phase < Phase::Fused && isa<GroupOp>(op))
    return "is a group before fusion";
  auto graphOp = dyn_cast<GraphOpInterface>(op);
  if (phase >= Phase::Fused && graphOp && graphOp.getFusionKind() != FusionKind::Opaque &&
      !isa<GroupOp>(op->getParentOp()))
    return "is outside a fusion group";
  return nullptr;
}

namespace {
struct VerifyPhasePass : passes::impl::VerifyPhasePassBase<VerifyPhasePass> {
  using VerifyPhasePassBase::VerifyPhasePassBase;

  void runOnOperation() override {
    markAllAnalysesPreserved();
    std::optional<Phase> verified = parsePhase(phase.getValue());
    if (!verified || *verified > Phase::Fused) {
      getOperation().emitError("no graph phase is named '") << phase << "'";
      return signalPassFailure();
    }
    WalkResult walked = getOperation().walk([&](Operation *op) {
      const char *reason = reasonAgainst(op, *verified);
      if (!reason)
        return WalkResult::advance();
      op->emitOpError("is illegal after phase '") << phase << "': " << reason;
      return WalkResult::interrupt();
    });
    if (walked.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
