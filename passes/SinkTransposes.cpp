//===- SinkTransposes.cpp - channels stay in front ------------------------===//
//
// TensorFlow has the channels of images last, the dialect's windows slide over images that have
// them first: a transpose is before and behind each of them. Where two meet they cancel. Between
// windows there are sums, activations, pads, joins, means over images: a transpose of channels to
// the back sinks below these, until one to the front comes. What follows computes in the order of
// the windows, which is that of channel blocks, and integers are quantized by the convolution that
// makes them. Elements and bits are the same, but sums of means may be in another order.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/QuantOps.h"
#include "ir/Types.h"
#include "passes/Composer.h"
#include "passes/Passes.h"
#include "passes/StaticReshape.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_SINKTRANSPOSESPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

//===----------------------------------------------------------------------===//
// Permutations
//===----------------------------------------------------------------------===//

/// [N, C, spatial...] to [N, spatial..., C]. What has the channels first, dimension i of the
/// result, is dimension toBack(rank)[i].
static SmallVector<int64_t> toBack(int64_t rank) {
  SmallVector<int64_t> perm(rank);
  std::iota(perm.begin(), perm.end(), 1);
  perm.front() = 0;
  perm.back() = 1;
  return perm;
}

static SmallVector<int64_t> toFront(int64_t rank) {
  SmallVector<int64_t> perm(rank);
  std::iota(perm.begin(), perm.end(), -1);
  perm[0] = 0;
  perm[1] = rank - 1;
  return perm;
}

static bool isToFront(Operation *op) {
  auto transpose = dyn_cast<TransposeOp>(op);
  int64_t rank = transpose ? static_cast<int64_t>(transpose.getPerm().size()) : 0;
  return rank >= 3 && transpose.getPerm() == ArrayRef<int64_t>(toFront(rank));
}

/// Whether `value` is made of an image by ops on elements: with three dimensions, [N, C, W] to
/// [N, W, C] may as well be the transpose of a matrix, which matmuls, attention and recurrent
/// networks want where it is.
static bool isOfImage(Value value) {
  constexpr int kMostOps = 8;
  for (int i = 0; i < kMostOps; ++i) {
    Operation *op = value.getDefiningOp();
    if (isa_and_nonnull<ConvOp, ConvTransposeOp, MaxPoolOp, AveragePoolOp>(op))
      return true;
    if (!isa_and_nonnull<ElementwiseOpInterface, CastOp, QuantizeOp, DequantizeOp, ReshapeOp,
                         SqueezeOp, UnsqueezeOp, PadOp, SliceOp>(op))
      return false;
    value = op->getOperand(0);
  }
  return false;
}

/// The transpose to the back that gives `value`.
static TransposeOp backOf(Value value) {
  auto op = value.getDefiningOp<TransposeOp>();
  int64_t rank = op ? static_cast<int64_t>(op.getPerm().size()) : 0;
  bool isBack = rank >= 3 && op.getPerm() == ArrayRef<int64_t>(toBack(rank));
  return isBack && (rank > 3 || isOfImage(op.getInput())) ? op : TransposeOp();
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// Whether nothing else needs what `op` gives but transposes to the front.
static bool isBroughtToFront(Operation *op) { return llvm::all_of(op->getUsers(), isToFront); }

static bool hasStaticSizes(const Shape &shape) {
  for (int64_t i = 0; i < shape.rank(); ++i)
    if (!shape[i].isStatic())
      return false;
  return true;
}

/// Whether all dimensions from `begin` to `end` are 1.
static bool areOnes(const Shape &shape, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    if (!shape[i].isStatic(1))
      return false;
  return true;
}

/// Whether an operand of what gives [N, spatial..., C] can have its channels in front at no cost
/// in each run; `mayMove` where a transpose of it is paid by others that go.
static bool canBeBrought(Value operand, int64_t rank, bool mayMove) {
  if (TransposeOp transpose = backOf(operand))
    return static_cast<int64_t>(transpose.getPerm().size()) == rank;
  std::optional<Shape> shape = shapeOf(operand);
  if (!shape || shape->rank() > rank)
    return false;
  if (areOnes(*shape, 0, shape->rank()))
    return true;
  if (shape->rank() == rank)
    return mayMove || areOnes(*shape, 1, rank - 1) ||
           (isConstant(operand) && hasStaticSizes(*shape));
  return hasStaticSizes(*shape) && (shape->rank() == 1 || isConstant(operand));
}

/// The same of all operands.
static bool canBeBrought(Operation *op) {
  std::optional<Shape> shape = shapeOf(op->getResult(0));
  bool mayMove = isBroughtToFront(op);
  return shape && llvm::all_of(op->getOperands(), [&](Value operand) {
           return canBeBrought(operand, shape->rank(), mayMove);
         });
}

static Value bring(Composer &make, Value operand, int64_t rank) {
  if (TransposeOp transpose = backOf(operand))
    return transpose.getInput();
  Shape shape = *shapeOf(operand);
  if (areOnes(shape, 0, shape.rank()))
    return operand;
  Location loc = operand.getLoc();
  if (shape.rank() == 1) { // of channels
    SmallVector<int64_t> sizes(rank - 1, 1);
    sizes.front() = shape[0].size();
    return createStaticReshape(make.builder(), loc, operand, sizes);
  }
  if (shape.rank() < rank) {
    SmallVector<int64_t> sizes(rank, 1);
    for (int64_t i = 0; i < shape.rank(); ++i)
      sizes[rank - shape.rank() + i] = shape[i].size();
    operand = createStaticReshape(make.builder(), loc, operand, sizes);
  }
  return make.create<TransposeOp>(operand, toFront(rank));
}

//===----------------------------------------------------------------------===//
// Where it pays
//===----------------------------------------------------------------------===//

/// The dimensions that are reduced, where channels, the last one, are not.
static std::optional<SmallVector<int64_t>> reducedButChannels(ReduceOp op) {
  std::optional<SmallVector<int64_t>> axes = op.getReducedDimensions(TypeFacts());
  std::optional<Shape> shape = shapeOf(op.getInput());
  if (!axes || axes->empty() || axes->back() == shape->rank() - 1)
    return std::nullopt;
  return axes;
}

/// Whether the channels of an operand can be brought to the front, or will be: it is computed, in
/// a few steps, of what can be, as the sigmoid of x * sigmoid(x).
static bool willBeBrought(Value operand, int64_t rank, bool mayMove, int mostSteps) {
  if (canBeBrought(operand, rank, mayMove))
    return true;
  Operation *op = operand.getDefiningOp();
  if (mostSteps == 0 || !isa_and_nonnull<ElementwiseOpInterface, CastOp>(op))
    return false;
  std::optional<Shape> shape = shapeOf(operand);
  return shape && shape->rank() == rank && llvm::all_of(op->getOperands(), [&](Value next) {
           return willBeBrought(next, rank, /*mayMove=*/false, mostSteps - 1);
         });
}

/// The same of all operands.
static bool willBeBrought(Operation *op) {
  constexpr int kMostSteps = 4;
  std::optional<Shape> shape = shapeOf(op->getResult(0));
  bool mayMove = isBroughtToFront(op);
  return shape && llvm::all_of(op->getOperands(), [&](Value operand) {
           return willBeBrought(operand, shape->rank(), mayMove, kMostSteps);
         });
}

/// Whether a transpose to the back before `op` would go on behind it, or cancel.
static bool letsThrough(Operation *op) {
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return reducedButChannels(reduce).has_value();
  if (isa<ElementwiseOpInterface, ConcatOp>(op))
    return willBeBrought(op);
  return isa<CastOp, QuantizeOp, DequantizeOp, PadOp, SliceOp, SplitOp>(op) || isToFront(op);
}

/// Whether there are not more transposes afterwards: each that `op` reads goes, or cancels with
/// all that read the result.
static bool pays(Operation *op) {
  if (isBroughtToFront(op))
    return true;
  return llvm::all_of(op->getOperands(), [](Value operand) {
    TransposeOp transpose = backOf(operand);
    return !transpose || llvm::all_of(transpose->getUsers(), letsThrough);
  });
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

/// A copy of `op` on these operands, whose results have the types that follow.
static Operation *copyOn(PatternRewriter &rewriter, Operation *op, ArrayRef<Value> operands) {
  Operation *copy = rewriter.clone(*op);
  copy->setOperands(operands);
  return copy;
}

static LogicalResult inferTypes(Operation *op) {
  InferredTypes types = cast<GraphOpInterface>(op).inferResultTypes(TypeFacts());
  if (failed(types))
    return failure();
  for (auto [result, type] : llvm::zip_equal(op->getResults(), *types))
    result.setType(type.type());
  return success();
}

/// `copy`, which has the channels in front, in place of `op`.
static LogicalResult replaceByBack(PatternRewriter &rewriter, Operation *op, Operation *copy) {
  if (failed(inferTypes(copy)))
    return failure();
  SmallVector<Value> results;
  for (auto [result, front] : llvm::zip_equal(op->getResults(), copy->getResults()))
    results.push_back(rewriter.create<TransposeOp>(op->getLoc(), result.getType(), front,
                                                   toBack(shapeOf(front)->rank())));
  rewriter.replaceOp(op, results);
  return success();
}

namespace {
/// Elementwise ops, whose operands are all brought to the front.
struct SinkBelowElementwise : OpInterfaceRewritePattern<ElementwiseOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(ElementwiseOpInterface op,
                                PatternRewriter &rewriter) const override {
    std::optional<Shape> shape = shapeOf(op->getResult(0));
    if (!shape || llvm::none_of(op->getOperands(), backOf))
      return rewriter.notifyMatchFailure(op, "no operand has its channels brought to the back");
    if (!canBeBrought(op) || !pays(op))
      return rewriter.notifyMatchFailure(op, "transposes would not become fewer");
    Composer make(rewriter, op.getLoc());
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(bring(make, operand, shape->rank()));
    return replaceByBack(rewriter, op, copyOn(rewriter, op, operands));
  }
};

/// Joins of images, which are all brought to the front.
struct SinkBelowConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    std::optional<Shape> shape = shapeOf(op.getResult());
    if (!shape || llvm::none_of(op.getInputs(), backOf))
      return rewriter.notifyMatchFailure(op, "no input has its channels brought to the back");
    if (!canBeBrought(op) || !pays(op))
      return rewriter.notifyMatchFailure(op, "transposes would not become fewer");
    Composer make(rewriter, op.getLoc());
    SmallVector<Value> parts;
    for (Value input : op.getInputs())
      parts.push_back(bring(make, input, shape->rank()));
    auto copy = cast<ConcatOp>(copyOn(rewriter, op, parts));
    int64_t axis = op.getAxis() < 0 ? op.getAxis() + shape->rank() : op.getAxis();
    copy.setAxis(toBack(shape->rank())[axis]);
    return replaceByBack(rewriter, op, copy);
  }
};

/// An op whose first operand alone has dimensions, which its other operands or attributes name.
template <typename Op> struct SinkBelow : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    TransposeOp back = backOf(op->getOperand(0));
    if (!back)
      return rewriter.notifyMatchFailure(op, "its channels are not brought to the back");
    if (!pays(op))
      return rewriter.notifyMatchFailure(op, "transposes would not become fewer");
    SmallVector<Value> operands(op->getOperands());
    operands.front() = back.getInput();
    auto copy = cast<Op>(copyOn(rewriter, op, operands));
    Composer make(rewriter, op.getLoc());
    rewriter.setInsertionPoint(copy);
    bool isRight = renameDimensions(make, op, copy, back.getPerm());
    rewriter.setInsertionPointAfter(copy);
    if (!isRight) {
      rewriter.eraseOp(copy);
      return rewriter.notifyMatchFailure(op, "its dimensions are not known");
    }
    return replaceByBack(rewriter, op, copy);
  }

private:
  static bool renameDimensions(Composer &, CastOp, CastOp, ArrayRef<int64_t>) { return true; }

  static bool renameDimensions(Composer &make, PadOp op, PadOp copy, ArrayRef<int64_t> perm) {
    std::optional<std::vector<int64_t>> pads = constantInts(op.getPads());
    if (!pads || pads->size() != 2 * perm.size())
      return false;
    std::vector<int64_t> moved(pads->size());
    for (auto [i, axis] : llvm::enumerate(perm)) {
      moved[axis] = (*pads)[i];
      moved[perm.size() + axis] = (*pads)[perm.size() + i];
    }
    copy.getPadsMutable().assign(make.ints(moved));
    return true;
  }

  static bool renameDimensions(Composer &make, SliceOp op, SliceOp copy, ArrayRef<int64_t> perm) {
    std::optional<SmallVector<int64_t>> axes = op.getCutDimensions(TypeFacts());
    if (!axes)
      return false;
    for (int64_t &axis : *axes)
      axis = perm[axis];
    copy.getAxesMutable().assign(make.ints(*axes));
    return true;
  }

  static bool renameDimensions(Composer &, SplitOp op, SplitOp copy, ArrayRef<int64_t> perm) {
    int64_t rank = static_cast<int64_t>(perm.size());
    copy.setAxis(perm[op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis()]);
    return true;
  }

  /// Of quantize and dequantize, with scales of the whole tensor or along a dimension.
  template <typename ScaledOp>
  static bool renameDimensions(Composer &, ScaledOp op, ScaledOp copy, ArrayRef<int64_t> perm) {
    std::optional<Shape> scale = shapeOf(op.getScale());
    if (!scale || scale->rank() > 1 || op.getBlockSize() != 0)
      return false;
    int64_t rank = static_cast<int64_t>(perm.size());
    int64_t axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
    if (axis < 0 || axis >= rank) // has no meaning
      axis = 0;
    copy.setAxis(perm[axis]);
    return true;
  }
};

/// Reductions of other dimensions than channels; those that are left may need no transpose.
struct SinkBelowReduce : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &rewriter) const override {
    TransposeOp back = backOf(op.getInput());
    std::optional<SmallVector<int64_t>> axes;
    if (back)
      axes = reducedButChannels(op);
    if (!axes)
      return rewriter.notifyMatchFailure(op, "no channels at the back, or these are reduced");
    if (!pays(op))
      return rewriter.notifyMatchFailure(op, "transposes would not become fewer");
    Composer make(rewriter, op.getLoc());
    SmallVector<int64_t> left, moved;
    for (auto [i, from] : llvm::enumerate(back.getPerm()))
      if (llvm::is_contained(*axes, static_cast<int64_t>(i)))
        moved.push_back(from);
      else
        left.push_back(from);
    Value reduced = make.create<ReduceOp>(back.getInput(), make.ints(moved), op.getKind(),
                                          op.getKeepdims(), op.getNoopWithEmptyAxes());
    // What is left of the dimensions, in the order of the channels in front.
    SmallVector<int64_t> order(left), perm;
    llvm::sort(order);
    for (int64_t from : left)
      perm.push_back(llvm::find(order, from) - order.begin());
    if (op.getKeepdims())
      perm.assign(back.getPerm().begin(), back.getPerm().end());
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), reduced, perm);
    return success();
  }
};

/// Transposes that cancel, or are one.
struct CancelTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    if (!op.getPerm().empty() && llvm::is_sorted(op.getPerm()) &&
        op.getType() == op.getInput().getType()) {
      rewriter.replaceOp(op, op.getInput());
      return success();
    }
    auto inner = op.getInput().getDefiningOp<TransposeOp>();
    if (!inner || op.getPerm().empty() || inner.getPerm().empty())
      return rewriter.notifyMatchFailure(op, "nothing to merge with");
    SmallVector<int64_t> perm;
    for (int64_t axis : op.getPerm())
      perm.push_back(inner.getPerm()[axis]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getInput(), perm);
    return success();
  }
};

struct SinkTransposesPass : passes::impl::SinkTransposesPassBase<SinkTransposesPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SinkBelowElementwise, SinkBelowConcat, SinkBelow<CastOp>, SinkBelow<PadOp>,
                 SinkBelow<SliceOp>, SinkBelow<SplitOp>, SinkBelow<QuantizeOp>,
                 SinkBelow<DequantizeOp>, SinkBelowReduce, CancelTransposes>(&getContext());
    GreedyRewriteConfig config;
    config.useTopDownTraversal = true;
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};
} // namespace
