//===- FormByteLookups.cpp - functions of bytes as tables -----------------===//
//
// What is dequantized, computed element by element and quantized again is a function of 256
// numbers: an activation between quantized layers, a tensor that is brought to another scale. Its
// values are a constant, which folding computes as the interpreter does, so that the integers are
// exactly the model's. A policy says from how many operations on a table pays.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/QuantOps.h"
#include "passes/Composer.h"
#include "passes/Passes.h"
#include "passes/ProductPolicy.h"
#include "passes/QuantizedValues.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_FORMBYTELOOKUPSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

//===----------------------------------------------------------------------===//
// Functions of one tensor
//===----------------------------------------------------------------------===//

namespace {
/// Ops, the last of which gives what they compute of `x` alone, element by element.
struct ByteFunction {
  llvm::SmallSetVector<Operation *, 16> ops;
  Value x;
};
} // namespace

static bool isByteTensor(Value value) {
  return isa<RankedTensorType>(value.getType()) && elementTypeOf(value).isInteger(8);
}

/// Whether an operand is the same number for all elements, or left out.
static bool isNumber(Value value) {
  if (isNone(value))
    return true;
  std::optional<Shape> shape = shapeOf(value.getType());
  return isConstant(value) && shape && shape->numElements() == 1;
}

/// The same of a scale or a zero point: one of blocks is of one shape of tensors, though there is
/// but one block.
static bool isForAll(Value value) {
  std::optional<Shape> shape = shapeOf(value.getType());
  return isNumber(value) && (isNone(value) || shape->rank() <= 1);
}

/// Whether each element that `op` gives follows from those at its place, and numbers.
static bool isOfElements(Operation *op) {
  if (!op || op->getNumResults() != 1)
    return false;
  if (isa<QuantizeOp, DequantizeOp>(op))
    return llvm::all_of(op->getOperands().drop_front(), isForAll);
  return isa<ElementwiseOpInterface, CastOp>(op);
}

/// What the ops read besides numbers.
static llvm::SmallSetVector<Value, 4> inputsOf(const ByteFunction &function) {
  llvm::SmallSetVector<Value, 4> inputs;
  for (Operation *op : function.ops)
    for (Value operand : op->getOperands())
      if (!isNumber(operand) && !function.ops.contains(operand.getDefiningOp()))
        inputs.insert(operand);
  return inputs;
}

/// The input that is to be computed by the function as well: one that is not of bytes, where there
/// is one, for it has to be; else the last, of which others may be operands.
static Operation *nextOf(const llvm::SmallSetVector<Value, 4> &inputs, Block *block) {
  Operation *next = nullptr;
  for (Value input : inputs) {
    Operation *op = input.getDefiningOp();
    bool canBeComputed = isOfElements(op) && op->getBlock() == block;
    if (!isByteTensor(input))
      return canBeComputed ? op : nullptr;
    if (canBeComputed && (!next || next->isBeforeInBlock(op)))
      next = op;
  }
  return next;
}

/// The longest function of one tensor of bytes that `root` ends.
static std::optional<ByteFunction> findFunction(Operation *root) {
  constexpr size_t kMaxOps = 64;
  ByteFunction function;
  std::optional<ByteFunction> found;
  for (Operation *op = root; op && function.ops.size() < kMaxOps;) {
    function.ops.insert(op);
    llvm::SmallSetVector<Value, 4> inputs = inputsOf(function);
    if (inputs.size() == 1 && isByteTensor(inputs.front())) {
      function.x = inputs.front();
      found = function;
    }
    op = nextOf(inputs, root->getBlock());
  }
  return found;
}

//===----------------------------------------------------------------------===//
// What they cost
//===----------------------------------------------------------------------===//

/// About as many operations of float32 as an element takes.
static int64_t costOf(Operation *op) {
  constexpr int64_t kDivision = 4, kElementaryFunction = 20;
  if (isa<CastOp, AddOp, SubOp, MulOp, MinOp, MaxOp, NegOp, AbsOp, ReluOp, RoundOp, CeilOp, FloorOp,
          AndOp, OrOp, NotOp, XorOp, EqualOp, LessOp, LessOrEqualOp, WhereOp, MultiplyAddOp>(op))
    return 1;
  if (isa<DequantizeOp, LeakyReluOp, HardSigmoidOp, ThresholdedReluOp>(op))
    return 3;
  if (isa<QuantizeOp, DivOp, SqrtOp, SoftsignOp>(op))
    return kDivision;
  return kElementaryFunction;
}

static int64_t costOf(const ByteFunction &function) {
  int64_t cost = 0;
  for (Operation *op : function.ops)
    cost += costOf(op);
  return cost;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

/// All bytes, as `type` has them.
static Value createBytes(Composer &make, Type type) {
  std::vector<uint8_t> bytes(kByteTableSize);
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<uint8_t>(i);
  if (type.isUnsignedInteger())
    return make.constant(Tensor::of<uint8_t>({kByteTableSize}, bytes));
  return make.constant(Tensor::of<int8_t>({kByteTableSize}, {bytes.begin(), bytes.end()}));
}

/// The function of all bytes.
static Value createTable(Composer &make, const ByteFunction &function, Value root) {
  SmallVector<Operation *> ops(function.ops.begin(), function.ops.end());
  llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  IRMapping values;
  values.map(function.x, createBytes(make, elementTypeOf(function.x)));
  for (Operation *op : ops) {
    Operation *copy = make.builder().clone(*op, values);
    InferredTypes types = cast<GraphOpInterface>(copy).inferResultTypes(TypeFacts());
    assert(succeeded(types) && "elementwise ops are those of any shape");
    copy->getResult(0).setType(types->front().type());
  }
  // Numbers of some rank give it their rank.
  return make.create<ReshapeOp>(values.lookup(root), make.ints({kByteTableSize}),
                                /*allowzero=*/true);
}

namespace {
struct FormByteLookupsPass : passes::impl::FormByteLookupsPassBase<FormByteLookupsPass> {
  using FormByteLookupsPassBase::FormByteLookupsPassBase;
  FormByteLookupsPass(std::shared_ptr<const ProductPolicy> policy) : policy(std::move(policy)) {}

  void runOnOperation() override {
    int64_t limit = policy ? policy->lookupCost() : AllProducts().lookupCost();
    // From the end on, so that what is a part of a longer function is no longer used.
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : llvm::reverse(ops)) {
      if (!isOfElements(op) || !isByteTensor(op->getResult(0)))
        continue;
      if (op->use_empty()) {
        op->erase();
        continue;
      }
      std::optional<ByteFunction> function = findFunction(op);
      if (function && costOf(*function) > limit)
        replace(op, *function);
    }
  }

  static void replace(Operation *op, const ByteFunction &function) {
    auto type = cast<RankedTensorType>(function.x.getType());
    Value root = op->getResult(0);
    // Numbers of a higher rank make another shape.
    if (type.clone(elementTypeOf(root)) != root.getType())
      return;
    OpBuilder builder(op);
    Composer make(builder, op->getLoc());
    Value table = createTable(make, function, root);
    root.replaceAllUsesWith(make.create<ByteLookupOp>(function.x, table));
  }

  std::shared_ptr<const ProductPolicy> policy;
};
} // namespace

std::unique_ptr<Pass>
passes::createFormByteLookupsPass(std::shared_ptr<const ProductPolicy> policy) {
  return std::make_unique<FormByteLookupsPass>(std::move(policy));
}
