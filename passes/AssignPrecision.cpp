//===- AssignPrecision.cpp - factors that are rounded to bfloat16 ---------===//
//
// Products, convolutions, attention and recurrences of float32 that a PrecisionPolicy accepts get
// their factors through nn.cast to bfloat16; they sum up in float32, and so is their result. Casts
// of constants are folded afterwards.
//
// A value that such an op reads is rounded once, for all of them. When all others that read it
// would do as well with what is rounded, they read that, too, widened again: then the cast stands
// in the kernel of the producer, and only the rounded tensor is ever in memory. What moves
// elements moves rounded ones. Results of the graph, softmax, norms, sums, and what turns small
// errors into large ones (a comparison, a rounding to integers, exp) read the value as it was.
//
//===----------------------------------------------------------------------===//
#include "ir/AttentionOps.h"
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/RecurrentOps.h"
#include "ir/Types.h"
#include "passes/GraphLog.h"
#include "passes/Passes.h"
#include "passes/PrecisionPolicy.h"
#include "passes/SmallWeights.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_ASSIGNPRECISIONPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

static bool isFloat32(Value value) { return elementTypeOf(value).isF32(); }

static Type withElements(Type type, Type elements) {
  return cast<TensorType>(type).clone(elements);
}

/// The first two operands, of attention the values, too; the states that meet a recurrence are
/// computed.
bool passes::isRoundedFactor(OpOperand &operand) {
  unsigned number = operand.getOperandNumber();
  if (isa<RecurrentOp>(operand.getOwner()))
    return number == 1;
  return number < (isa<AttentionOp>(operand.getOwner()) ? 3 : 2);
}

/// Whether the factors are of float32, all of them; weights of 16 bits stand for such.
static bool hasFloat32Factors(Operation *op) {
  return llvm::all_of(op->getOpOperands(), [](OpOperand &operand) {
    return !isRoundedFactor(operand) || isFloat32(operand.get()) || isHalfWeight(operand);
  });
}

bool passes::sumsFloat32(Operation *op) {
  return op->hasTrait<SumsProducts>() && isFloat32(op->getResult(0)) && hasFloat32Factors(op);
}

namespace {
/// Rounds the factors in the blocks of a function, outer ones first.
class FactorRounder {
public:
  FactorRounder(MLIRContext *context, const PrecisionPolicy &policy)
      : policy(policy), narrow(BFloat16Type::get(context)) {}

  /// What is not lowered is said to `log`, unless that is null.
  void run(Block &block, GraphLog *log) {
    choose(block, log);
    for (Operation &op : llvm::reverse(block))
      for (Value result : op.getResults())
        judge(result);
    rewrite(block);
  }

private:
  /// What the users of a value would make of it when it is rounded.
  struct Demand {
    /// One of them has to have it rounded.
    bool isWanted = false;
    /// All of them do as well with it.
    bool suitsAll = false;
  };

  void choose(Block &block, GraphLog *log);
  bool commutes(Operation *op) const;
  SmallVector<OpOperand *> elementsOf(Operation *op) const;
  Demand demandBehind(Operation *op) const;
  Demand demandOf(OpOperand &use) const;
  void judge(Value value);
  bool isToBeRounded(Value value) const;
  bool movesRounded(Operation *op) const;
  void rewrite(Block &block);
  void moveRounded(Operation *op);
  Value rounded(Value value);

  const PrecisionPolicy &policy;
  Type narrow;
  /// The ops that get rounded factors.
  llvm::DenseSet<Operation *> lowered;
  llvm::DenseMap<Value, Demand> demands;
  /// The values that all users read rounded.
  llvm::DenseSet<Value> replaced;
  llvm::DenseMap<Value, Value> roundedValues;
};
} // namespace

/// Finds the ops to be lowered, and says of others why not.
void FactorRounder::choose(Block &block, GraphLog *log) {
  for (Operation &op : block) {
    if (!sumsFloat32(&op))
      continue;
    std::optional<Reason> reason = policy.refuse(&op);
    if (!reason)
      lowered.insert(&op);
    else if (log)
      log->refuse(Refusal::Kind::Precision, op.getLoc(), std::move(*reason));
  }
}

/// Whether rounding the elements that `op` reads rounds those of its results, and nothing else.
bool FactorRounder::commutes(Operation *op) const {
  auto resize = dyn_cast<ResizeOp>(op);
  bool copies = resize && resize.getMode() == ResizeMode::Nearest &&
                resize.getCoordinateTransformationMode() != ResizeCoordinates::TfCropAndResize;
  return (copies || op->hasTrait<CommutesWithRounding>()) && op->getNumResults() > 0 &&
         llvm::all_of(op->getResults(), isFloat32) && !policy.refuse(op);
}

/// The operands whose elements are those of the result; others say which of them.
SmallVector<OpOperand *> FactorRounder::elementsOf(Operation *op) const {
  SmallVector<OpOperand *> operands;
  for (OpOperand &operand : op->getOpOperands())
    if (isFloat32(operand.get()) && !(isa<ResizeOp>(op) && operand.getOperandNumber() > 0))
      operands.push_back(&operand);
  return operands;
}

/// Of all results of an op.
FactorRounder::Demand FactorRounder::demandBehind(Operation *op) const {
  Demand all{false, true};
  for (Value result : op->getResults()) {
    Demand one = demands.lookup(result);
    all.isWanted |= one.isWanted;
    all.suitsAll &= one.suitsAll;
  }
  return all;
}

FactorRounder::Demand FactorRounder::demandOf(OpOperand &use) const {
  Operation *user = use.getOwner();
  if (user->getBlock() != use.get().getParentBlock()) // a body
    return {};
  if (lowered.contains(user))
    return {isRoundedFactor(use), isRoundedFactor(use)};
  if (commutes(user)) {
    if (!llvm::is_contained(elementsOf(user), &use))
      return {};
    Demand behind = demandBehind(user);
    bool isWanted = behind.isWanted && behind.suitsAll;
    // Of several, those that nobody else wants rounded would have to be, too.
    return {isWanted, elementsOf(user).size() == 1 ? behind.suitsAll : isWanted};
  }
  bool computes = isa<ElementwiseOpInterface>(user) && !user->hasTrait<AmplifiesErrors>() &&
                  isFloat32(user->getResult(0));
  return {false, computes};
}

/// Sums up the demands of the users, which have been judged.
void FactorRounder::judge(Value value) {
  if (!isFloat32(value))
    return;
  Demand all{false, true};
  for (OpOperand &use : value.getUses()) {
    Demand one = demandOf(use);
    all.isWanted |= one.isWanted;
    all.suitsAll &= one.suitsAll;
  }
  demands[value] = all;
}

/// Whether the result of an op that computes goes to all users rounded: in the op's own kernel.
/// What has been normalized or summed up stays float32 for those who do not want it rounded.
bool FactorRounder::isToBeRounded(Value value) const {
  Demand demand = demands.lookup(value);
  Operation *op = value.getDefiningOp();
  return demand.isWanted && demand.suitsAll && fusionKindOf(op) != FusionKind::Opaque &&
         !isa<LayerNormOp, SoftmaxOp, ReduceOp>(op);
}

/// Whether an op that only moves elements moves rounded ones: because they are wanted behind it,
/// or because it does not get others.
bool FactorRounder::movesRounded(Operation *op) const {
  if (!commutes(op))
    return false;
  Demand demand = demandBehind(op);
  auto isReplaced = [&](OpOperand *operand) { return replaced.contains(operand->get()); };
  return demand.suitsAll && (demand.isWanted || llvm::any_of(elementsOf(op), isReplaced));
}

/// `value` as bfloat16: made once, where it is made.
Value FactorRounder::rounded(Value value) {
  Value &result = roundedValues[value];
  if (result)
    return result;
  if (elementTypeOf(value) == narrow)
    return result = value;
  // What has been widened comes back as it was.
  if (auto widening = value.getDefiningOp<CastOp>();
      widening && elementTypeOf(widening.getInput()) == narrow)
    return result = widening.getInput();
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  return result = builder.create<CastOp>(value.getLoc(), withElements(value.getType(), narrow),
                                         value, narrow);
}

void FactorRounder::moveRounded(Operation *op) {
  SmallVector<Value> operands(op->getOperands());
  for (OpOperand *operand : elementsOf(op))
    operands[operand->getOperandNumber()] = rounded(operand->get());
  OpBuilder builder(op);
  builder.setInsertionPointAfter(op);
  Operation *moved = builder.clone(*op);
  moved->setOperands(operands);
  for (auto [result, narrowed] : llvm::zip_equal(op->getResults(), moved->getResults())) {
    narrowed.setType(withElements(result.getType(), narrow));
    roundedValues[result] = narrowed;
    replaced.insert(result);
  }
}

void FactorRounder::rewrite(Block &block) {
  SmallVector<Operation *> ops;
  for (Operation &op : block)
    ops.push_back(&op);
  SmallVector<Operation *> movers;
  for (Operation *op : ops) {
    if (movesRounded(op)) {
      moveRounded(op);
      movers.push_back(op);
      continue;
    }
    for (OpOperand &operand : op->getOpOperands()) {
      Value value = operand.get();
      if (lowered.contains(op) && isRoundedFactor(operand)) {
        operand.set(rounded(value));
      } else if (replaced.contains(value)) {
        // Each its own, which stands in its kernel.
        OpBuilder builder(op);
        operand.set(builder.create<CastOp>(op->getLoc(), value.getType(), rounded(value),
                                           elementTypeOf(value)));
      }
    }
    for (Value result : op->getResults())
      if (isFloat32(result) && isToBeRounded(result))
        replaced.insert(result);
  }
  for (Operation *op : llvm::reverse(movers))
    op->erase();
}

namespace {
struct AssignPrecisionPass : passes::impl::AssignPrecisionPassBase<AssignPrecisionPass> {
  using AssignPrecisionPassBase::AssignPrecisionPassBase;
  AssignPrecisionPass(std::shared_ptr<const PrecisionPolicy> policy, GraphLog *log)
      : policy(std::move(policy)), log(log) {}

  void runOnOperation() override {
    BFloat16Factors byDefault;
    FactorRounder rounder(&getContext(), policy ? *policy : byDefault);
    Block *body = &getOperation().getBody().front();
    // What a body reads is rounded around it, once. Of what is in it, it will speak itself: it
    // comes again, as a function.
    getOperation().walk<WalkOrder::PreOrder>(
        [&](Block *block) { rounder.run(*block, block == body ? log : nullptr); });
  }

  /// Null: BFloat16Factors.
  std::shared_ptr<const PrecisionPolicy> policy;
  GraphLog *log = nullptr;
};
} // namespace

std::unique_ptr<Pass>
passes::createAssignPrecisionPass(std::shared_ptr<const PrecisionPolicy> policy, GraphLog *log) {
  return std::make_unique<AssignPrecisionPass>(std::move(policy), log);
}
