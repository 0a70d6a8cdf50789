//===- InferShapes.cpp - refining types by the ops' shape rules -----------===//
//
// Types flow forward through a graph in SSA form, so that one walk in program
// order reaches the fixpoint.
//
//===----------------------------------------------------------------------===//
#include "passes/InferShapes.h"

#include "ir/NNDialect.h"
#include "ir/OutlinedOps.h"
#include "ir/ThreadDiagnostics.h"
#include "ir/Types.h"
#include "passes/Passes.h"

#include "mlir/IR/Action.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_INFERSHAPESPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

/// A size tells more than a symbol, a symbol more than nothing.
static Dim refineDim(const Dim &declared, const Dim &inferred) {
  if (declared.isStatic() || inferred.isUnknown())
    return declared;
  return inferred;
}

Type passes::refineType(Type declared, const InferredType &inferred) {
  std::optional<Shape> a = shapeOf(declared);
  const std::optional<Shape> &b = inferred.shape;
  if (!b || !isa<TensorType>(declared))
    return declared;
  if (!a)
    return inferred.type();
  if (a->rank() != b->rank())
    return declared;
  DimVector dims;
  for (int64_t i = 0; i < a->rank(); ++i)
    dims.push_back(refineDim((*a)[i], (*b)[i]));
  return tensorType(Shape(std::move(dims)), elementTypeOf(declared), layoutOf(declared));
}

/// The shape rule has checked the range.
static void countAxisFromFront(AxisOpInterface op) {
  std::optional<int64_t> rank = op.getAxisRank();
  if (rank && op.getAxis() < 0)
    op.setAxis(op.getAxis() + *rank);
}

LogicalResult passes::refineResultTypes(Operation *op) {
  auto graphOp = dyn_cast<GraphOpInterface>(op);
  if (!graphOp)
    return success();
  InferredTypes inferred = graphOp.inferResultTypes(TypeFacts());
  if (failed(inferred))
    return failure();
  for (auto [result, type] : llvm::zip(op->getResults(), *inferred))
    result.setType(refineType(result.getType(), type));
  if (auto axisOp = dyn_cast<AxisOpInterface>(op))
    countAxisFromFront(axisOp);
  return success();
}

/// Visits an op of a branch.
static void visitInBranch(Operation *op, function_ref<LogicalResult(Operation *)> visit) {
  ThreadDiagnostics errors(op->getContext());
  if (succeeded(visit(op)))
    return;
  auto fail = OpBuilder(op).create<FailOp>(op->getLoc(), op->getResultTypes(), errors.messages());
  op->replaceAllUsesWith(fail);
  op->erase();
}

namespace {
/// One visit of a walk: as all actions of MLIR, it is not executed when the time is over.
class VisitOpAction : public tracing::ActionImpl<VisitOpAction> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(VisitOpAction)
  using ActionImpl::ActionImpl;
  static constexpr StringLiteral tag = "visit-op";
  void print(raw_ostream &os) const override { os << tag; }
};
} // namespace

LogicalResult passes::walkGraph(func::FuncOp func, function_ref<LogicalResult(Operation *)> visit) {
  auto visitOne = [&](Operation *op) {
    if (op->getParentOfType<IfOp>()) {
      visitInBranch(op, visit);
      return WalkResult::advance();
    }
    return failed(visit(op)) ? WalkResult::interrupt() : WalkResult::advance();
  };
  // New ops are put before the op that is visited: the walk does not see them.
  WalkResult walked = func.walk([&](Operation *op) {
    WalkResult visited = WalkResult::interrupt();
    func.getContext()->executeAction<VisitOpAction>([&] { visited = visitOne(op); }, {op});
    return visited;
  });
  return failure(walked.wasInterrupted());
}

void passes::updateFunctionType(func::FuncOp func) {
  auto exit = cast<func::ReturnOp>(func.getBody().front().getTerminator());
  func.setFunctionType(
      FunctionType::get(func.getContext(), func.getArgumentTypes(), exit.getOperandTypes()));
}

namespace {
struct InferShapesPass : passes::impl::InferShapesPassBase<InferShapesPass> {
  void runOnOperation() override {
    if (failed(walkGraph(getOperation(), refineResultTypes)))
      return signalPassFailure();
    updateFunctionType(getOperation());
  }
};
} // namespace
