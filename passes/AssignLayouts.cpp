//===- AssignLayouts.cpp - channel-blocked tensors between convolutions ---===//
//
// Convolutions and pools that profit are put on [N, C/b, H, W, b] tensors between
// nn.pack and nn.unpack; then each nn.unpack sinks through the ops after it until
// it meets the nn.pack of the next convolution and both go. What is left stands
// at the borders of the blocked parts of the graph.
//
// Channels that do not fill their last block leave padding in it. Ops that work
// lane by lane (elementwise, pools, depthwise convolution) may read padding,
// whatever it holds; other convolutions and nn.concat take whole blocks only.
//
//===----------------------------------------------------------------------===//
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/Passes.h"
#include "passes/StaticReshape.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_ASSIGNLAYOUTSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

namespace {
/// N, C, H, W: blocked kernels are two-dimensional.
constexpr int64_t kImageRank = 4;

/// The channels of an image whose rank and channel count are known.
std::optional<int64_t> channelsOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() != kImageRank || type.isDynamicDim(1) || layoutOf(type).isBlocked())
    return std::nullopt;
  return type.getDimSize(1);
}

/// The same of a float32 image: blocked kernels have no other type, but for convolution.
std::optional<int64_t> floatChannelsOf(Value value) {
  return elementTypeOf(value).isF32() ? channelsOf(value) : std::nullopt;
}

/// The same of an image that can be convolved in blocks: float32, or int32 (of quantized ones).
std::optional<int64_t> convChannelsOf(Value value) {
  Type type = elementTypeOf(value);
  return type.isF32() || type.isSignlessInteger(32) ? channelsOf(value) : std::nullopt;
}

/// The type of nn.pack applied to an image.
RankedTensorType blockedType(Type type, int64_t block) {
  DimVector dims = shapeOf(type)->dims();
  dims[1] = Dim(quern::ceilDiv(dims[1].size(), block));
  dims.push_back(Dim(block));
  return tensorType(Shape(std::move(dims)), elementTypeOf(type), {block});
}

Value createPack(OpBuilder &builder, Value image, int64_t block) {
  return builder.create<PackOp>(image.getLoc(), blockedType(image.getType(), block), image);
}

/// The blocked tensor that `image` is the nn.unpack of; null when there is none.
Value blockedSource(Value image, int64_t block) {
  auto unpack = image.getDefiningOp<UnpackOp>();
  if (!unpack || !channelsOf(image) ||
      unpack.getInput().getType() != blockedType(image.getType(), block))
    return {};
  return unpack.getInput();
}

/// `image` as a blocked tensor for an op that works lane by lane.
Value toLanes(OpBuilder &builder, Value image, int64_t block) {
  Value source = blockedSource(image, block);
  return source ? source : createPack(builder, image, block);
}

/// Replaces `op` by a copy with `operands` and a blocked result, and an nn.unpack.
void replaceByBlocked(Operation *op, ValueRange operands, int64_t block,
                      PatternRewriter &rewriter) {
  Operation *blocked = rewriter.clone(*op);
  blocked->setOperands(operands);
  Type plain = op->getResult(0).getType();
  blocked->getResult(0).setType(blockedType(plain, block));
  rewriter.replaceOpWithNewOp<UnpackOp>(op, plain, blocked->getResult(0),
                                        (*shapeOf(plain))[1].size());
}

//===----------------------------------------------------------------------===//
// Convolutions and pools
//===----------------------------------------------------------------------===//

/// Which sides of a convolution are blocked.
struct ConvBlocking {
  bool input;
  bool output;
};

/// Whether padding is at most a third of the channels.
bool fillsBlocks(int64_t channels, int64_t block) {
  int64_t padded = quern::ceilDiv(channels, block) * block;
  return channels > 0 && padded * 3 <= channels * 4;
}

/// The rule of the blocked kernels. Depthwise convolution is so slow on plain
/// images that more padding pays.
ConvBlocking chooseBlocking(int64_t inputs, int64_t outputs, int64_t group, int64_t block) {
  if (group == 1) {
    bool output = fillsBlocks(outputs, block);
    return {output && inputs % block == 0, output};
  }
  bool isDepthwise = group == inputs && group == outputs;
  bool both = isDepthwise ? inputs >= block
                          : (inputs / group) % block == 0 && (outputs / group) % block == 0;
  return {both, both};
}

/// Whether the weights of blocked kernels can be made from `value` ahead of the run.
bool isPackable(Value value) {
  return isa_and_nonnull<NoneOp, ConstantOp, WeightOp>(value.getDefiningOp());
}

/// A 2-D convolution whose channels fill blocks becomes blocked when its weights
/// are constant; when only the output's channels do, it reads plain images.
struct BlockConv : OpRewritePattern<ConvOp> {
  BlockConv(MLIRContext *context, int64_t block) : OpRewritePattern(context), block(block) {}
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    if (layoutOf(op.getResult()).isBlocked())
      return rewriter.notifyMatchFailure(op, "is blocked already");
    if (op.getAutoPad() != AutoPad::NotSet)
      return rewriter.notifyMatchFailure(op, "padding depends on the shape");
    if (!isPackable(op.getWeights()) || !isPackable(op.getBias()))
      return rewriter.notifyMatchFailure(op, "weights that are not constant cannot be packed");
    std::optional<int64_t> inputs = convChannelsOf(op.getInput());
    std::optional<int64_t> outputs = convChannelsOf(op.getResult());
    if (!inputs || !outputs)
      return rewriter.notifyMatchFailure(op, "not float32 or int32 images with known channels");
    ConvBlocking blocking = chooseBlocking(*inputs, *outputs, op.getGroup(), block);
    if (!blocking.output)
      return rewriter.notifyMatchFailure(op, "channels do not fill blocks");
    SmallVector<Value> operands(op->getOperands());
    if (blocking.input)
      operands[0] = toLanes(rewriter, op.getInput(), block);
    replaceByBlocked(op, operands, block, rewriter);
    return success();
  }
  int64_t block;
};

/// A 2-D pool of a blocked image, or of one in whole blocks, becomes blocked.
template <typename Op> struct BlockPool : OpRewritePattern<Op> {
  BlockPool(MLIRContext *context, int64_t block) : OpRewritePattern<Op>(context), block(block) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (layoutOf(op.getInput()).isBlocked())
      return rewriter.notifyMatchFailure(op, "is blocked already");
    std::optional<int64_t> channels = floatChannelsOf(op.getInput());
    if (!channels || !floatChannelsOf(op.getResult()))
      return rewriter.notifyMatchFailure(op, "not float32 images with known channels");
    if (*channels % block != 0 && !blockedSource(op.getInput(), block))
      return rewriter.notifyMatchFailure(op, "the image is plain, with a part of a block");
    replaceByBlocked(op, toLanes(rewriter, op.getInput(), block), block, rewriter);
    return success();
  }
  int64_t block;
};

//===----------------------------------------------------------------------===//
// Sinking nn.unpack
//===----------------------------------------------------------------------===//

/// Whether blockOperand applies.
bool canBlockOperand(Value value, int64_t channels) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() > kImageRank)
    return false;
  return type.hasStaticShape() || (type.getRank() == kImageRank && type.getDimSize(1) == channels);
}

/// An operand of an elementwise op on images of `channels` in the form that
/// broadcasts to blocked images.
Value blockOperand(Value value, int64_t channels, int64_t block, OpBuilder &builder) {
  Shape shape = *shapeOf(value);
  if (shape.numElements() == 1)
    return value;
  SmallVector<int64_t> sizes(kImageRank - shape.rank(), 1);
  for (const Dim &dim : shape.dims())
    sizes.push_back(dim.size());
  if (sizes[1] != channels) {
    sizes.push_back(1);
    return createStaticReshape(builder, value.getLoc(), value, sizes);
  }
  if (shape.rank() != kImageRank)
    value = createStaticReshape(builder, value.getLoc(), value, sizes);
  return toLanes(builder, value, block);
}

/// An op that is indifferent to the layout works on blocked tensors when one of
/// its operands is: the others are packed, the result is unpacked.
struct SinkThroughElementwise : OpInterfaceRewritePattern<GraphOpInterface> {
  SinkThroughElementwise(MLIRContext *context, int64_t block)
      : OpInterfaceRewritePattern(context), block(block) {}
  LogicalResult matchAndRewrite(GraphOpInterface op, PatternRewriter &rewriter) const override {
    if (op.getLayoutKind() != LayoutKind::Agnostic || op->getNumResults() != 1)
      return rewriter.notifyMatchFailure(op, "the op depends on the layout");
    std::optional<int64_t> channels = channelsOf(op->getResult(0));
    if (!channels)
      return rewriter.notifyMatchFailure(op, "the result is no image with known channels");
    auto isBlocked = [&](Value operand) {
      return channelsOf(operand) == channels && blockedSource(operand, block);
    };
    if (llvm::none_of(op->getOperands(), isBlocked))
      return rewriter.notifyMatchFailure(op, "no operand is an unpacked image");
    if (!llvm::all_of(op->getOperands(), [=](Value v) { return canBlockOperand(v, *channels); }))
      return rewriter.notifyMatchFailure(op, "an operand has unknown sizes");
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(blockOperand(operand, *channels, block, rewriter));
    replaceByBlocked(op, operands, block, rewriter);
    return success();
  }
  int64_t block;
};

/// A concatenation of channels whose operands are all of whole blocks, one of
/// them unpacked, concatenates blocks.
struct SinkThroughConcat : OpRewritePattern<ConcatOp> {
  SinkThroughConcat(MLIRContext *context, int64_t block)
      : OpRewritePattern(context), block(block) {}
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    if (op.getAxis() != 1)
      return rewriter.notifyMatchFailure(op, "the axis is not that of the channels");
    auto hasWholeBlocks = [&](Value operand) {
      std::optional<int64_t> channels = channelsOf(operand);
      return channels && *channels % block == 0;
    };
    if (!llvm::all_of(op->getOperands(), hasWholeBlocks) || !channelsOf(op.getResult()))
      return rewriter.notifyMatchFailure(op, "an operand is no image of whole blocks");
    if (llvm::none_of(op->getOperands(), [&](Value v) { return blockedSource(v, block); }))
      return rewriter.notifyMatchFailure(op, "no operand is unpacked");
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(toLanes(rewriter, operand, block));
    rewriter.modifyOpInPlace(op, [&] { op.setAxis(1); });
    replaceByBlocked(op, operands, block, rewriter);
    return success();
  }
  int64_t block;
};

//===----------------------------------------------------------------------===//
// Borders
//===----------------------------------------------------------------------===//

/// nn.pack and nn.unpack of 1x1 images in whole blocks move nothing: reshapes.
template <typename Op> struct MakeBorderReshape : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    auto input = dyn_cast<RankedTensorType>(op.getInput().getType());
    auto result = dyn_cast<RankedTensorType>(op.getResult().getType());
    if (!input || !result || !input.hasStaticShape() || !result.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "shapes are not static");
    RankedTensorType plain = std::is_same_v<Op, PackOp> ? input : result;
    if (!llvm::all_of(plain.getShape().drop_front(2), [](int64_t size) { return size == 1; }))
      return rewriter.notifyMatchFailure(op, "the image is larger than 1x1");
    if (input.getNumElements() != result.getNumElements())
      return rewriter.notifyMatchFailure(op, "channels are padded");
    rewriter.replaceOp(op, createStaticReshape(rewriter, op.getLoc(), op.getInput(),
                                               result.getShape(), layoutOf(result)));
    return success();
  }
};

struct AssignLayoutsPass : passes::impl::AssignLayoutsPassBase<AssignLayoutsPass> {
  using AssignLayoutsPassBase::AssignLayoutsPassBase;

  void runOnOperation() override {
    if (block != 16 && block != 8 && block != 4) {
      getOperation().emitError("block must be 16, 8 or 4, found ") << block;
      return signalPassFailure();
    }
    MLIRContext *context = &getContext();
    RewritePatternSet blocking(context), borders(context);
    blocking.add<BlockConv, BlockPool<MaxPoolOp>, BlockPool<AveragePoolOp>, BlockPool<GlobalPoolOp>,
                 SinkThroughElementwise, SinkThroughConcat>(context, block);
    PackOp::getCanonicalizationPatterns(blocking, context);
    UnpackOp::getCanonicalizationPatterns(blocking, context);
    borders.add<MakeBorderReshape<PackOp>, MakeBorderReshape<UnpackOp>>(context);
    // From the inputs on, as in SimplifyGraph.
    GreedyRewriteConfig config;
    config.useTopDownTraversal = true;
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(blocking), config)) ||
        failed(applyPatternsAndFoldGreedily(getOperation(), std::move(borders), config)))
      signalPassFailure();
  }
};
} // namespace
