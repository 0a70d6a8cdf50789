//===- FormFusionGroups.cpp - put ops into groups that become kernels -----===//
//
// FusionPolicy decides; this pass tells it the graph and builds the nn.group ops.
//
//===----------------------------------------------------------------------===//
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/NodeNames.h"
#include "ir/QuantOps.h"
#include "ir/Types.h"
#include "passes/FusionPolicy.h"
#include "passes/GraphLog.h"
#include "passes/Passes.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_FORMFUSIONGROUPSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

/// Constants are there from the start, wherever their op stands.
static bool isAlwaysAvailable(Operation *op) { return isa<NoneOp, ConstantOp, WeightOp>(op); }

/// Whether `op` only makes float32 of a half type, or int32 of bytes.
static bool widens(Operation *op) {
  auto cast = dyn_cast<CastOp>(op);
  if (!cast)
    return false;
  Type from = elementTypeOf(cast.getInput()), to = elementTypeOf(cast.getResult());
  return ((from.isF16() || from.isBF16()) && to.isF32()) || (from.isInteger(8) && to.isInteger(32));
}

static FusionRole fusionRole(Operation *op) {
  auto graphOp = dyn_cast<GraphOpInterface>(op);
  if (!graphOp || op->getNumResults() != 1)
    return FusionRole::Opaque;
  switch (graphOp.getFusionKind()) {
  case FusionKind::Opaque:
    return FusionRole::Opaque;
  case FusionKind::Elementwise:
    return FusionRole::Elementwise;
  case FusionKind::Anchor:
    return FusionRole::Anchor;
  case FusionKind::Row:
    return FusionRole::Row;
  }
  llvm_unreachable("all kinds are handled");
}

/// Whether both factors have all dimensions before those of their matrices.
static bool isOfBatches(MatMulOp op, const Shape &result) {
  auto hasBatches = [&](Value factor) {
    std::optional<Shape> shape = shapeOf(factor.getType());
    if (!shape || shape->rank() != result.rank())
      return false;
    for (int64_t d = 0; d + 2 < result.rank(); ++d)
      if (!(*shape)[d].provablyEquals(result[d]))
        return false;
    return true;
  };
  return result.rank() > 2 && hasBatches(op.getA()) && hasBatches(op.getB());
}

/// Dimension 1 of ops on NCHW data, and the last as well when their result is blocked; the last of
/// matrix products and norms, and where each matrix has rows and columns of its own those of all of
/// them. None of reductions, softmax, and norms of several dimensions.
static std::vector<std::vector<int64_t>> operandAxes(Operation *anchor, const Shape &result) {
  int64_t last = result.rank() - 1;
  auto norm = dyn_cast<LayerNormOp>(anchor);
  if (isa<ReduceOp, SoftmaxOp>(anchor) || (norm && norm.getAxis() != last))
    return {};
  if (cast<GraphOpInterface>(anchor).getLayoutKind() == LayoutKind::Blockable)
    return {layoutOf(anchor->getResult(0)).isBlocked() ? std::vector<int64_t>{1, last}
                                                       : std::vector<int64_t>{1}};
  std::vector<std::vector<int64_t>> axes = {{last}};
  if (auto product = dyn_cast<MatMulOp>(anchor); product && isOfBatches(product, result)) {
    std::vector<int64_t> rows, columns;
    for (int64_t d = 0; d < last; ++d) {
      rows.push_back(d);
      columns.push_back(d + 1 < last ? d : last);
    }
    axes.insert(axes.end(), {rows, columns});
  }
  return axes;
}

/// Describes the ops of a block to the policy.
static std::vector<FusionNode> describe(Block &block, ArrayRef<Operation *> ops) {
  DenseMap<Operation *, int64_t> indexOf;
  for (auto [i, op] : llvm::enumerate(ops))
    indexOf[op] = static_cast<int64_t>(i);
  std::vector<FusionNode> nodes(ops.size());
  for (auto [op, node] : llvm::zip(ops, nodes)) {
    node.role = fusionRole(op);
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      if (isNone(operand) || isTable(op, i))
        continue;
      Operation *producer = operand.getDefiningOp();
      bool isNode = producer && producer->getBlock() == &block && !isAlwaysAvailable(producer);
      node.operands.push_back({isNode ? indexOf[producer] : -1, shapeOf(operand.getType())});
    }
    for (Operation *user : op->getUsers())
      node.users.push_back(indexOf[block.findAncestorOpInBlock(*user)]);
    if (op->getNumResults() != 1)
      continue;
    node.shape = shapeOf(op->getResult(0).getType());
    if (isa<TensorType>(op->getResult(0).getType()))
      node.elementBytes = dtypeBytes(nn::dtypeOf(elementTypeOf(op->getResult(0))));
    if (node.isAnchor() && node.shape)
      node.operandAxes = operandAxes(op, *node.shape);
  }
  return nodes;
}

/// Whether `user` multiplies what a reduction gives by `number`.
static bool scalesSums(Value number, Operation *user) {
  return isa<MulOp>(user) && user->getOperand(1) == number &&
         isa_and_nonnull<ReduceOp>(user->getOperand(0).getDefiningOp());
}

/// Whether code that reads this number does as well as code that has it: it is not so of those
/// that make an operation cheaper, as powers of two do a division.
static bool canBeRead(Value value, DenseElementsAttr number, Operation *user) {
  Type type = number.getElementType();
  if (type.isInteger(32))
    return (isa<AddOp, SubOp>(user) || scalesSums(value, user)) &&
           !number.getSplatValue<APInt>().isZero();
  if (!(type.isF32() || type.isF64()) || !isa<AddOp, SubOp, MulOp, DivOp, MultiplyAddOp>(user))
    return false;
  auto real = number.getSplatValue<APFloat>();
  return !real.isZero() &&
         (isa<AddOp, SubOp, MultiplyAddOp>(user) || !real.getExactInverse(nullptr));
}

using Members = SmallVector<Operation *>;
using ValueSet = llvm::SmallDenseSet<Value, 16>;

/// A single number, or null.
static ConstantOp numberOp(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  return constant && constant.getType().getNumElements() == 1 ? constant : nullptr;
}

/// Whether `number` is added to what `user` gets rounded, or subtracted from integers, or times a
/// sum of these, as zero points are: layers may share one by chance.
static bool isZeroPointOf(Value number, Operation *user) {
  if (isa<AddOp>(user))
    return user->getOperand(1) == number &&
           isa_and_nonnull<RoundOp>(user->getOperand(0).getDefiningOp());
  bool isInteger = elementTypeOf(number).isInteger(32);
  return isInteger &&
         (scalesSums(number, user) || (isa<SubOp>(user) && user->getOperand(1) == number));
}

/// Whether `value` is a number that only these ops use, and can read.
static bool isOwnNumber(Value value, const Members &members) {
  ConstantOp constant = numberOp(value);
  auto number = constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : nullptr;
  return number && llvm::all_of(value.getUsers(), [&](Operation *user) {
           return canBeRead(value, number, user) &&
                  (llvm::is_contained(members, user) || isZeroPointOf(value, user));
         });
}

/// The numbers that one group has and no other, as the scales of quantized tensors are: as
/// operands, they do not keep groups from sharing a kernel.
static ValueSet findOwnNumbers(ArrayRef<Members> groups) {
  ValueSet own;
  for (const Members &members : groups)
    for (Operation *op : members)
      for (Value operand : op->getOperands())
        if (isOwnNumber(operand, members))
          own.insert(operand);
  return own;
}

/// Whether `value` says which dimensions are reduced, and is known.
static bool areAxes(Value value) {
  Operation *op = value.getDefiningOp();
  return op && isAlwaysAvailable(op) && llvm::any_of(op->getUsers(), [&](Operation *user) {
           auto reduce = dyn_cast<ReduceOp>(user);
           return reduce && reduce.getAxes() == value;
         });
}

/// Omitted operands, axes and most single numbers are part of the kernel's code.
static bool belongsInside(Value value, const ValueSet &ownNumbers) {
  return isNone(value) || areAxes(value) || (numberOp(value) && !ownNumbers.contains(value));
}

/// The nodes of a refusal: those of the producer, then those of its user.
static void logRefusal(const FusionRefusal &refusal, ArrayRef<Operation *> ops, GraphLog &log) {
  Reason reason = refusal.reason;
  reason.nodes = nodeNames(ops[refusal.producer]->getLoc());
  for (std::string &name : nodeNames(ops[refusal.user]->getLoc()))
    reason.nodes.push_back(std::move(name));
  log.refuse({Refusal::Kind::Fuse, std::move(reason)});
}

/// Gives each elementwise user of what is widened a cast of its own, which its kernel does as it
/// reads: that costs less than a tensor of four bytes an element in memory. They stand where the
/// half or byte is made, so that it is known to be there before others.
static void widenAtUsers(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (!widens(&op))
      continue;
    llvm::SmallSetVector<Operation *, 4> users(op.getUsers().begin(), op.getUsers().end());
    for (Operation *user : users) {
      if (user->getBlock() != &block || fusionRole(user) != FusionRole::Elementwise)
        continue;
      OpBuilder builder(user);
      builder.setInsertionPointAfterValue(op.getOperand(0));
      Operation *own = builder.clone(op);
      user->replaceUsesOfWith(op.getResult(0), own->getResult(0));
    }
    if (op.use_empty())
      op.erase();
  }
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

namespace {
/// Moves what an epilogue reads beside its anchor's result in front of the anchor, where it can be
/// computed there: an epilogue's operands are there before it.
class OperandMover {
public:
  explicit OperandMover(Block &block) : block(block) {}
  void run();

private:
  bool isBefore(Value value, Operation *anchor) const {
    Operation *op = value.getDefiningOp();
    return !op || op->getBlock() != &block || op->isBeforeInBlock(anchor);
  }
  bool collect(Value value, Operation *anchor, llvm::SmallSetVector<Operation *, 8> &ops) const;
  void moveOperands(Operation *user, Operation *anchor);

  Block &block;
  /// The last anchor that the result of an op is computed from, element by element.
  DenseMap<Operation *, Operation *> anchors;
};
} // namespace

/// Collects, operands first, what stands behind the anchor and `value` is computed from; false
/// where that is not elementwise, follows the anchor or is much.
bool OperandMover::collect(Value value, Operation *anchor,
                           llvm::SmallSetVector<Operation *, 8> &ops) const {
  constexpr size_t kMaxOps = 16;
  if (isBefore(value, anchor) || ops.contains(value.getDefiningOp()))
    return true;
  Operation *op = value.getDefiningOp();
  bool canMove = isAlwaysAvailable(op) ||
                 (fusionRole(op) == FusionRole::Elementwise && anchors.lookup(op) != anchor);
  if (!canMove || ops.size() >= kMaxOps)
    return false;
  for (Value operand : op->getOperands())
    if (!collect(operand, anchor, ops))
      return false;
  ops.insert(op);
  return true;
}

void OperandMover::moveOperands(Operation *user, Operation *anchor) {
  for (Value operand : user->getOperands()) {
    Operation *op = operand.getDefiningOp();
    llvm::SmallSetVector<Operation *, 8> ops;
    if (op && anchors.lookup(op) != anchor && collect(operand, anchor, ops))
      for (Operation *moved : ops)
        moved->moveBefore(anchor);
  }
}

void OperandMover::run() {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    FusionRole role = fusionRole(&op);
    if (role == FusionRole::Anchor || role == FusionRole::Row)
      anchors[&op] = &op;
    if (role != FusionRole::Elementwise)
      continue;
    Operation *last = nullptr;
    for (Value operand : op.getOperands())
      if (Operation *anchor = anchors.lookup(operand.getDefiningOp());
          anchor && (!last || last->isBeforeInBlock(anchor)))
        last = anchor;
    if (!last)
      continue;
    anchors[&op] = last;
    moveOperands(&op, last);
  }
}

static void formGroupsIn(Block &block, const FusionLimits &limits, GraphLog *log) {
  if (limits.maxOps > 1) {
    widenAtUsers(block);
    OperandMover(block).run();
  }
  SmallVector<Operation *> ops;
  for (Operation &op : block)
    ops.push_back(&op);
  SmallVector<Members> groups;
  FusionGroups formed = formGroups(describe(block, ops), limits);
  // At one op a group nothing is asked for.
  for (const FusionRefusal &refusal : formed.refusals)
    if (log && limits.maxOps > 1)
      logRefusal(refusal, ops, *log);
  for (const std::vector<int64_t> &group : formed.groups) {
    Members &members = groups.emplace_back();
    for (int64_t index : group)
      members.push_back(ops[index]);
  }
  ValueSet own = findOwnNumbers(groups);
  for (const Members &members : groups)
    createGroup(members, [&](Value value) { return belongsInside(value, own); });
}

/// Erases constants whose only uses have moved into groups.
static void eraseUnusedConstants(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block))
    if (isAlwaysAvailable(&op) && op.use_empty())
      op.erase();
}

namespace {
struct FormFusionGroupsPass : passes::impl::FormFusionGroupsPassBase<FormFusionGroupsPass> {
  using FormFusionGroupsPassBase::FormFusionGroupsPassBase;
  FormFusionGroupsPass(const FormFusionGroupsPassOptions &options, GraphLog *log)
      : FormFusionGroupsPassBase(options), log(log) {}

  void runOnOperation() override {
    FusionLimits limits;
    limits.maxOps = maxOps;
    // Groups that exist already are left alone.
    SmallVector<Block *> blocks;
    getOperation().walk([&](Block *block) {
      if (!isa<GroupOp>(block->getParentOp()))
        blocks.push_back(block);
    });
    for (Block *block : blocks) {
      formGroupsIn(*block, limits, log);
      eraseUnusedConstants(*block);
    }
  }

  GraphLog *log = nullptr;
};
} // namespace

std::unique_ptr<Pass> passes::createFormFusionGroupsPass(const FormFusionGroupsPassOptions &options,
                                                         GraphLog *log) {
  return std::make_unique<FormFusionGroupsPass>(options, log);
}
