//===- WidenFloat16.cpp - half types in float32 ---------------------------===//
//
// What has no code for float16 and bfloat16 gets its operands cast to float32, and its results
// cast back. Constant operands are cast by the FoldConstants after this pass, but for those that
// KeepHalfWeights finds; the casts at the borders of an op fuse with the elementwise ops around it.
//
// With excess precision (as C, XLA and PyTorch call it) elementwise ops are computed in float32,
// too, and what reads a value that has just been computed reads it before it is rounded: the
// roundings that a model's types imply are left out where its result only comes closer to that of
// real numbers. They stay
//  - where the model casts to a half type, and back with a cast of its own;
//  - where something depends on the value's bits: a comparison, an index, rounding to integers,
//    quantizing, and the elementwise ops and moves that lead to these (sizes are computed so);
//  - at results of the graph, bodies, and ops that are not computed in float32.
// Whether one stays depends on the ops alone, on no size, so all plans of a graph agree.
//
// This runs before DecomposeQuantization, which makes casts of its own, and before FoldBatchNorm:
// a batch_norm in float32 becomes a scale and a shift that are not rounded to a half type.
//
//===----------------------------------------------------------------------===//
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "ir/VisionOps.h"
#include "passes/GraphLog.h"
#include "passes/Passes.h"
#include "passes/SmallWeights.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_WIDENFLOAT16PASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

//===----------------------------------------------------------------------===//
// Kinds of ops
//===----------------------------------------------------------------------===//

static bool isHalfTensor(Value value) { return isHalf(elementTypeOf(value)); }

static bool isWideTensor(Value value) {
  Type elements = elementTypeOf(value);
  return elements.isF32() || elements.isF64();
}

/// Whether `op` reads half types and no kernel computes in them. Products that sum up in
/// float32 are computed on half types as they are.
static bool mustWiden(Operation *op) {
  if (!op->hasTrait<WideFloatsOnly>() || llvm::none_of(op->getOperands(), isHalfTensor))
    return false;
  return !isa<ConvOp, ConvTransposeOp, MatMulOp, GemmOp>(op) || isHalfTensor(op->getResult(0));
}

/// Whether the elements of the results are those of operands, which is true before rounding as
/// well as after it.
static bool movesFloats(Operation *op) {
  return op->hasTrait<CommutesWithRounding>() && !op->hasTrait<WideFloatsOnly>();
}

/// Whether `op` has code for half types, in which it computes in float32 and rounds.
static bool roundsByItself(Operation *op) {
  return isa<ElementwiseOpInterface, ResizeOp, CumulateOp>(op);
}

/// Whether a result may jump where an operand changes by the least, though it is a float.
static bool isDiscontinuous(Operation *op) {
  return isa<FloorOp, CeilOp, RoundOp, SignOp, ModOp, FmodOp, ThresholdedReluOp, BitCastOp,
             GridSampleOp, RoiPoolOp>(op);
}

/// Whether it matters to `op` which float it reads, be it the next one: it gives integers, truth
/// values or fewer bits of them, or jumps.
static bool dependsOnBits(Operation *op) {
  auto isFloat = [](Value result) { return isHalfTensor(result) || isWideTensor(result); };
  return isDiscontinuous(op) || !llvm::all_of(op->getResults(), isFloat);
}

namespace {
//===----------------------------------------------------------------------===//
// What reads a value
//===----------------------------------------------------------------------===//

/// Of the values of a block, who reads them.
class Readers {
public:
  void judge(Block &block);

  /// Something depends on its bits, there or behind elementwise ops and moves.
  bool decide(Value value) const { return facts.lookup(value).decide; }
  /// All of them read it in float32 if they can.
  bool areWide(Value value) const { return facts.lookup(value).areWide; }

private:
  struct Facts {
    bool decide = false;
    bool areWide = true;
  };
  Facts factsOf(OpOperand &use) const;

  DenseMap<Value, Facts> facts;
};

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

class Widener {
public:
  explicit Widener(bool hasExcess) : hasExcess(hasExcess) {}
  void run(Block &block);
  /// Says of how many values the rounding was left out.
  void describe(GraphLog &log) const;

private:
  bool isComputed(Operation *op) const;
  bool isMovedWide(Operation *op) const;
  Value widen(Value value, bool mayExceed);
  void compute(Operation *op);
  void readUnrounded(CastOp cast);
  void noteRounding(CastOp rounded, bool isGiven);
  void eraseRoundings();

  Value exceed(Value value);

  bool hasExcess;
  Readers readers;
  /// The float32 copies of values of half types, that several ops may share.
  DenseMap<Value, Value> copies;
  /// What those were before they were rounded, and which the model itself has rounded by a cast.
  DenseMap<Value, Value> unrounded;
  DenseSet<Value> given;
  /// By types those that are read unrounded; a value counts once.
  DenseSet<Value> exceeded;
  llvm::MapVector<Type, size_t> counts;
  /// Roundings of which some are left without users.
  SmallVector<CastOp> roundings;
};
} // namespace

/// Of a user in another block nothing is known. A shape is that of any type.
Readers::Facts Readers::factsOf(OpOperand &use) const {
  Operation *user = use.getOwner();
  if (isa<ShapeOp>(user))
    return {};
  if (user->getBlock() != use.get().getParentBlock() || dependsOnBits(user))
    return {.decide = true, .areWide = false};
  if (mustWiden(user))
    return {};
  if (!roundsByItself(user) && !movesFloats(user) && !isa<CastOp>(user))
    return {.decide = false, .areWide = false};
  Facts result;
  for (Value of : user->getResults()) {
    Facts behind = facts.lookup(of);
    result.decide |= behind.decide;
    // A move is as wide as those behind it; all else computes in float32.
    result.areWide &= movesFloats(user) ? behind.areWide : roundsByItself(user) || isWideTensor(of);
  }
  result.areWide &= !result.decide;
  return result;
}

/// Users come before what they use.
void Readers::judge(Block &block) {
  facts.clear();
  for (Operation &op : llvm::reverse(block))
    for (Value result : op.getResults()) {
      Facts all;
      for (OpOperand &use : result.getUses()) {
        Facts one = factsOf(use);
        all.decide |= one.decide;
        all.areWide &= one.areWide;
      }
      facts[result] = all;
    }
}

static Type widened(Type type) {
  auto tensor = dyn_cast<TensorType>(type);
  return tensor ? Type(tensor.clone(Float32Type::get(type.getContext()))) : type;
}

static CastOp createCast(OpBuilder &builder, Location loc, Value value, Type to) {
  return builder.create<CastOp>(loc, to, value, elementTypeOf(to));
}

/// What `value` was before it was rounded, which is then read; null if it was not.
Value Widener::exceed(Value value) {
  Value exceeding = unrounded.lookup(value);
  if (exceeding && exceeded.insert(value).second)
    ++counts[elementTypeOf(value)];
  return exceeding;
}

void Widener::describe(GraphLog &log) const {
  for (auto [type, count] : counts)
    log.noteUnrounded(dtypeName(dtypeOf(type)), count);
}

/// `value` in float32; if it may, as it was before it was rounded.
Value Widener::widen(Value value, bool mayExceed) {
  if (Value exceeding = mayExceed ? exceed(value) : Value())
    return exceeding;
  Value &copy = copies[value];
  if (!copy) {
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    copy = createCast(builder, value.getLoc(), value, widened(value.getType()));
  }
  return copy;
}

/// `rounded` need not be read where it may be exceeded.
void Widener::noteRounding(CastOp rounded, bool isGiven) {
  unrounded[rounded] = rounded.getInput();
  if (isGiven)
    given.insert(rounded);
  roundings.push_back(rounded);
}

/// Computes `op` in float32. What is moved is as it was: given, if it was.
void Widener::compute(Operation *op) {
  bool mayExceed = hasExcess && !dependsOnBits(op), isGiven = false;
  for (OpOperand &operand : op->getOpOperands()) {
    isGiven |= movesFloats(op) && given.contains(operand.get());
    if (isHalfTensor(operand.get()))
      operand.set(widen(operand.get(), mayExceed));
  }
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  for (Value result : op->getResults()) {
    if (!isHalfTensor(result))
      continue;
    Type half = result.getType();
    result.setType(widened(half));
    CastOp rounded = createCast(builder, op->getLoc(), result, half);
    result.replaceAllUsesExcept(rounded, rounded);
    noteRounding(rounded, isGiven);
  }
}

/// Whether `op` gives a half type that it need not.
bool Widener::isComputed(Operation *op) const {
  return roundsByItself(op) && isHalfTensor(op->getResult(0)) && !dependsOnBits(op) &&
         !readers.decide(op->getResult(0));
}

/// Whether `op` moves what has not been rounded, for nobody who would round it then.
bool Widener::isMovedWide(Operation *op) const {
  bool isWanted =
      llvm::any_of(op->getOperands(), [&](Value operand) { return unrounded.contains(operand); });
  return isWanted && movesFloats(op) && llvm::all_of(op->getResults(), [&](Value result) {
           return isHalfTensor(result) && readers.areWide(result) && !readers.decide(result);
         });
}

/// Of the model's own casts: one that rounds may be exceeded, one that widens exceeds what no
/// cast has rounded.
void Widener::readUnrounded(CastOp cast) {
  Value input = cast.getInput();
  if (isHalfTensor(cast.getResult()) && elementTypeOf(input).isF32())
    return noteRounding(cast, /*isGiven=*/true);
  if (!given.contains(input) && unrounded.contains(input) && isWideTensor(cast.getResult()) &&
      !readers.decide(cast.getResult()))
    cast.getInputMutable().set(exceed(input));
}

/// A cast to the type that its input has, which converters leave behind, is no rounding.
static void eraseCopies(Block &block) {
  for (CastOp cast : llvm::make_early_inc_range(block.getOps<CastOp>()))
    if (isHalfTensor(cast.getInput()) && cast.getInput().getType() == cast.getType()) {
      cast.replaceAllUsesWith(cast.getInput());
      cast.erase();
    }
}

void Widener::run(Block &block) {
  if (hasExcess) {
    eraseCopies(block);
    readers.judge(block);
  }
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (mustWiden(&op) || (hasExcess && (isComputed(&op) || isMovedWide(&op))))
      compute(&op);
    else if (auto cast = dyn_cast<CastOp>(op); cast && hasExcess)
      readUnrounded(cast);
    else if (isa<ShapeOp>(op) && hasExcess && unrounded.contains(op.getOperand(0)))
      op.setOperand(0, unrounded[op.getOperand(0)]);
  }
  eraseRoundings();
}

/// Those that nobody reads, before bodies are looked at, which might have.
void Widener::eraseRoundings() {
  for (CastOp rounded : roundings) {
    if (!rounded.use_empty())
      continue;
    unrounded.erase(rounded);
    given.erase(rounded);
    exceeded.erase(rounded);
    copies.erase(rounded);
    rounded.erase();
  }
  roundings.clear();
}

namespace {
struct WidenFloat16Pass : passes::impl::WidenFloat16PassBase<WidenFloat16Pass> {
  using WidenFloat16PassBase::WidenFloat16PassBase;
  WidenFloat16Pass(const WidenFloat16PassOptions &options, GraphLog *log)
      : WidenFloat16PassBase(options), log(log) {}

  void runOnOperation() override {
    Widener widener(excessPrecision);
    // Outer blocks first: what they round, bodies may read.
    getOperation().walk<WalkOrder::PreOrder>([&](Block *block) { widener.run(*block); });
    if (log)
      widener.describe(*log);
  }

  GraphLog *log = nullptr;
};
} // namespace

std::unique_ptr<Pass> passes::createWidenFloat16Pass(const WidenFloat16PassOptions &options,
                                                     GraphLog *log) {
  return std::make_unique<WidenFloat16Pass>(options, log);
}
