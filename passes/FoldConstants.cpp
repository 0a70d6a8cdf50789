//===- FoldConstants.cpp - evaluate what does not depend on the inputs ----===//
//
// Ops are evaluated by the interpreter's kernels. Small results become constants
// at once, because shape rules read them; large ones become weights at the end of
// the walk, so that intermediate ones never reach the weight store. These can be
// computed again: nobody keeps them when they have been packed.
// A few bytes of a model can ask for hours of work: what does not fit into the
// budget is left to the run.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/QuantOps.h"
#include "ir/ReferenceCall.h"
#include "ir/Types.h"
#include "passes/FoldBudget.h"
#include "passes/InferShapes.h"
#include "passes/Passes.h"
#include "passes/SmallWeights.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_FOLDCONSTANTSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

namespace {
/// Shapes, axes and scalars fit; they are needed as constants by shape rules.
constexpr int64_t kMaxImmediateBytes = 1024;
/// The work of folding an op, however small.
constexpr int64_t kOpWork = 256;

class ConstantFolder {
public:
  ConstantFolder(Budget &budget, bool keepDequantized, bool keepHalves)
      : budget(budget), keepDequantized(keepDequantized), keepHalves(keepHalves) {}

  /// Refines the types of `op` and folds it if its operands and the budget allow.
  /// Fails when the op's shape rule does, or when the time is over.
  LogicalResult visit(Operation *op) {
    LogicalResult visited = fold(op);
    if (failed(visited))
      forget(op);
    return visited;
  }
  /// Makes constants of the large results that are still used.
  void materialize();

private:
  bool isKnown(Value value) const {
    return isNone(value) || isConstant(value) || large.count(value);
  }
  WeightSource sourceOf(Value value) const;
  std::optional<SmallVector<Tensor>> constantOperands(Operation *op) const;
  WeightSource recomputable(OpResult result, const Tensor &now) const;
  /// Whether passes that follow want the op, not what it evaluates to.
  bool isKept(Operation *op) const {
    return (keepDequantized && isa<DequantizeOp>(op)) ||
           (keepHalves && isa<CastOp>(op) && isWidenedWeight(op->getResult(0)));
  }
  std::optional<std::vector<Tensor>> evaluate(Operation *op);
  LogicalResult fold(Operation *op);
  void forget(Operation *op);
  void record(Operation *op, ArrayRef<Tensor> results);
  bool isOnlyFolded(Value value) const {
    return llvm::all_of(value.getUsers(), [&](Operation *user) { return folded.contains(user); });
  }

  Budget &budget;
  bool keepDequantized, keepHalves;
  llvm::DenseSet<Operation *> folded;
  /// Large results, by value.
  llvm::MapVector<Value, WeightSource> large;
};

/// The result of nn.shape of a static type, whatever the elements are.
std::optional<Tensor> valueFromType(Operation *op) {
  if (!isa<ShapeOp>(op))
    return std::nullopt;
  std::optional<Shape> shape = shapeOf(op->getOperand(0).getType());
  if (!shape)
    return std::nullopt;
  auto sizes = Shape(cast<ShapeOp>(op).select(shape->dims())).sizes();
  return sizes ? std::optional(Tensor::ofInts(*sizes)) : std::nullopt;
}

/// Whether evaluating `op` on constants gives the same as running it.
bool isFoldable(Operation *op) {
  return isa<GraphOpInterface>(op) && !isa<NoneOp, ConstantOp, WeightOp>(op) &&
         op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
         llvm::none_of(op->getResultTypes(), isNestedType);
}

/// The bytes of the results by their types; nullopt when not static.
std::optional<int64_t> resultBytes(Operation *op) {
  CheckedSize total;
  for (Type type : op->getResultTypes()) {
    std::optional<Shape> shape = shapeOf(type);
    std::optional<int64_t> elements = shape ? shape->numElements() : std::nullopt;
    if (!elements)
      return std::nullopt;
    DType dtype = nn::dtypeOf(elementTypeOf(type));
    total += CheckedSize(*elements) * CheckedSize(dtypeBytes(dtype));
  }
  return total.valid() ? std::optional(total.value()) : std::nullopt;
}
} // namespace

/// The weight that `value` is, or an absent tensor.
WeightSource ConstantFolder::sourceOf(Value value) const {
  if (isNone(value))
    return WeightSource::of(Tensor());
  auto it = large.find(value);
  return it != large.end() ? it->second : weightSource(value).value_or(WeightSource::of(Tensor()));
}

static Expected<SmallVector<Tensor>> loadAll(ArrayRef<WeightSource> sources) {
  SmallVector<Tensor> tensors;
  for (const WeightSource &source : sources) {
    QUERN_ASSIGN(Tensor tensor, source.load());
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::optional<SmallVector<Tensor>> ConstantFolder::constantOperands(Operation *op) const {
  // Nothing is read in vain.
  if (!llvm::all_of(op->getOperands(), [&](Value operand) { return isKnown(operand); }))
    return std::nullopt;
  SmallVector<WeightSource> sources;
  for (Value operand : op->getOperands())
    sources.push_back(sourceOf(operand));
  Expected<SmallVector<Tensor>> tensors = loadAll(sources);
  return tensors ? std::optional(tensors.take()) : std::nullopt;
}

/// A result as a weight that evaluates the op again when it is not at hand.
WeightSource ConstantFolder::recomputable(OpResult result, const Tensor &now) const {
  Operation *op = result.getOwner();
  Expected<ReferenceCall> call = makeReferenceCall(op);
  if (!call)
    return WeightSource::of(now);
  SmallVector<WeightSource> sources;
  for (Value operand : op->getOperands())
    sources.push_back(sourceOf(operand));
  auto recipe = [call = call.take(), sources,
                 number = result.getResultNumber()]() -> Expected<Tensor> {
    QUERN_ASSIGN(SmallVector<Tensor> operands, loadAll(sources));
    Budget unlimited{Limits()};
    QUERN_ASSIGN(std::vector<AnyValue> values,
                 call({std::span<const Tensor>(operands), unlimited}));
    QUERN_ASSIGN(std::vector<Tensor> results, tensorsOf(std::move(values)));
    operands.clear();
    for (const WeightSource &source : sources)
      source.release();
    return results[number];
  };
  return WeightSource::computed(now.dtype(), now.dims(), std::move(recipe), sources, now);
}

std::optional<std::vector<Tensor>> ConstantFolder::evaluate(Operation *op) {
  if (std::optional<Tensor> fromType = valueFromType(op))
    return std::vector<Tensor>{*fromType};
  if (!isFoldable(op) || isKept(op))
    return std::nullopt;
  int64_t bytesLeft = budget.limits().maxActivationBytes - budget.heldBytes();
  if (std::optional<int64_t> bytes = resultBytes(op); bytes && *bytes > bytesLeft)
    return std::nullopt;
  std::optional<SmallVector<Tensor>> operands = constantOperands(op);
  if (!operands)
    return std::nullopt;
  if (!budget.spend(kOpWork).isOk())
    return std::nullopt;
  Expected<std::vector<Tensor>> results = nn::evaluateOp(op, *operands, budget);
  budget.beginStep(); // frees scratch memory
  // An error (an index out of range, say) is the run's to report, if it gets there.
  return results ? std::optional(results.take()) : std::nullopt;
}

void ConstantFolder::record(Operation *op, ArrayRef<Tensor> results) {
  OpBuilder builder(op);
  folded.insert(op);
  for (auto [result, tensor] : llvm::zip(op->getResults(), results)) {
    // Allocating it was within the limit, as is holding it.
    (void)budget.hold(tensor.numBytes());
    if (tensor.numBytes() <= kMaxImmediateBytes)
      result.replaceAllUsesWith(createConstant(builder, op->getLoc(), tensor, layoutOf(result)));
    else
      large.insert({result, recomputable(cast<OpResult>(result), tensor)});
  }
  // What was a step on the way is not kept until the last weight is folded, nor are pages of files.
  for (Value operand : op->getOperands())
    if ((large.count(operand) || operand.getDefiningOp<WeightOp>()) && isOnlyFolded(operand))
      sourceOf(operand).release();
}

/// For an op that may be erased: with what is in it.
void ConstantFolder::forget(Operation *op) {
  op->walk([&](Operation *inner) {
    folded.erase(inner);
    for (Value result : inner->getResults())
      large.erase(result);
  });
}

LogicalResult ConstantFolder::fold(Operation *op) {
  if (failed(refineResultTypes(op)))
    return failure();
  std::optional<std::vector<Tensor>> results = evaluate(op);
  if (Status status = budget.check(); !status.isOk())
    return op->emitError(status.message());
  if (!results)
    return success();
  for (auto [type, tensor] : llvm::zip_equal(op->getResultTypes(), *results)) {
    Type exact = RankedTensorType::get(tensor.dims(), elementTypeOf(type));
    if (failed(verifyCompatibleShape(type, exact)))
      return op->emitOpError("evaluates to ") << tensor.describe() << ", but its type is " << type;
  }
  record(op, *results);
  return success();
}

void ConstantFolder::materialize() {
  for (auto &[value, weight] : large) {
    Operation *op = value.getDefiningOp();
    if (isOnlyFolded(value)) {
      weight.release();
      continue;
    }
    OpBuilder builder(op);
    value.replaceAllUsesWith(createWeight(builder, op->getLoc(), weight, layoutOf(value)));
  }
}

/// Erases what no result depends on, users before producers.
static void eraseDeadOps(func::FuncOp func) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
}

namespace {
struct FoldConstantsPass : passes::impl::FoldConstantsPassBase<FoldConstantsPass> {
  using FoldConstantsPassBase::FoldConstantsPassBase;
  FoldConstantsPass(std::shared_ptr<Budget> budget, const FoldConstantsPassOptions &options)
      : FoldConstantsPassBase(options), sharedBudget(std::move(budget)) {}

  void runOnOperation() override {
    Limits limits;
    limits.maxFoldedBytes = maxFoldedBytes;
    limits.maxFoldedWork = maxFoldedWork;
    std::shared_ptr<Budget> budget = sharedBudget ? sharedBudget : makeFoldBudget(limits);
    ConstantFolder folder(*budget, keepDequantized, keepHalves);
    if (failed(walkGraph(getOperation(), [&](Operation *op) { return folder.visit(op); })))
      return signalPassFailure();
    // A branch cannot tell the end of the time from an error of its own.
    if (Status status = budget->check(); !status.isOk()) {
      getOperation().emitError(status.message());
      return signalPassFailure();
    }
    folder.materialize();
    eraseDeadOps(getOperation());
    updateFunctionType(getOperation());
  }

  std::shared_ptr<Budget> sharedBudget;
};
} // namespace

std::unique_ptr<Pass> passes::createFoldConstantsPass(std::shared_ptr<Budget> budget,
                                                      const FoldConstantsPassOptions &options) {
  return std::make_unique<FoldConstantsPass>(std::move(budget), options);
}
