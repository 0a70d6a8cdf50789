//===- AssignLayouts.cpp - channel-blocked tensors between convolutions ---===//
//
// Convolutions and pools that profit are put on [N, C/b, H, W, b] tensors between
// nn.pack and nn.unpack; then each nn.unpack sinks through the ops after it until
// it meets the nn.pack of the next convolution and both go. What is left stands
// at the borders of the blocked parts of the graph.
//
//===----------------------------------------------------------------------===//
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/Passes.h"
#include "passes/StaticReshape.h"

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

/// The channels of a float32 image whose rank and channel count are known.
std::optional<int64_t> imageChannels(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() != kImageRank || type.isDynamicDim(1) ||
      !type.getElementType().isF32())
    return std::nullopt;
  return type.getDimSize(1);
}

/// The type of nn.pack applied to an image.
RankedTensorType blockedType(Type type, int64_t block) {
  std::vector<Dim> dims = shapeOf(type)->dims();
  dims[1] = Dim((dims[1].size() + block - 1) / block);
  dims.push_back(Dim(block));
  return tensorType(Shape(std::move(dims)), cast<TensorType>(type).getElementType());
}

Value createPack(OpBuilder &builder, Value image, int64_t block) {
  return builder.create<PackOp>(image.getLoc(), blockedType(image.getType(), block), image, block);
}

/// Replaces `op` by a copy on blocked tensors, with `operands` and the named
/// attributes set to `block`, and an nn.unpack.
void replaceByBlocked(Operation *op, ValueRange operands, ArrayRef<StringRef> blockAttributes,
                      int64_t block, PatternRewriter &rewriter) {
  Operation *blocked = rewriter.clone(*op);
  blocked->setOperands(operands);
  for (StringRef name : blockAttributes)
    blocked->setAttr(name, rewriter.getI64IntegerAttr(block));
  Type plain = op->getResult(0).getType();
  blocked->getResult(0).setType(blockedType(plain, block));
  rewriter.replaceOpWithNewOp<UnpackOp>(op, plain, blocked->getResult(0),
                                        cast<RankedTensorType>(plain).getDimSize(1));
}

//===----------------------------------------------------------------------===//
// Convolutions and pools
//===----------------------------------------------------------------------===//

/// Which sides of a convolution are blocked.
struct ConvBlocking {
  bool input;
  bool output;
};

/// The rule of the blocked kernels. They pad channels only for depthwise
/// convolution, where a block of padding costs little and mixes with nothing.
ConvBlocking chooseBlocking(int64_t inputs, int64_t outputs, int64_t group, int64_t block) {
  if (group == 1)
    return {outputs % block == 0 && inputs % block == 0, outputs % block == 0};
  bool isDepthwise = group == inputs && group == outputs;
  bool both = isDepthwise ? inputs >= block
                          : (inputs / group) % block == 0 && (outputs / group) % block == 0;
  return {both, both};
}

/// A 2-D convolution whose channels come in whole blocks becomes blocked; when
/// only the output's do, it reads plain images.
struct BlockConv : OpRewritePattern<ConvOp> {
  BlockConv(MLIRContext *context, int64_t block) : OpRewritePattern(context), block(block) {}
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    if (op.getInputBlock() != 0 || op.getOutputBlock() != 0)
      return rewriter.notifyMatchFailure(op, "is blocked already");
    if (op.getAutoPad() != "NOTSET")
      return rewriter.notifyMatchFailure(op, "padding depends on the shape");
    std::optional<int64_t> inputs = imageChannels(op.getInput());
    std::optional<int64_t> outputs = imageChannels(op.getResult());
    if (!inputs || !outputs)
      return rewriter.notifyMatchFailure(op, "not float32 images with known channels");
    ConvBlocking blocking = chooseBlocking(*inputs, *outputs, op.getGroup(), block);
    if (!blocking.output)
      return rewriter.notifyMatchFailure(op, "channels do not come in whole blocks");
    SmallVector<Value> operands(op->getOperands());
    SmallVector<StringRef> blocked = {"output_block"};
    if (blocking.input) {
      operands[0] = createPack(rewriter, op.getInput(), block);
      blocked.push_back("input_block");
    }
    replaceByBlocked(op, operands, blocked, block, rewriter);
    return success();
  }
  int64_t block;
};

/// A 2-D pool of whole channel blocks becomes blocked.
template <typename Op> struct BlockPool : OpRewritePattern<Op> {
  BlockPool(MLIRContext *context, int64_t block) : OpRewritePattern<Op>(context), block(block) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (op.getBlock() != 0)
      return rewriter.notifyMatchFailure(op, "is blocked already");
    std::optional<int64_t> channels = imageChannels(op.getInput());
    if (!channels || *channels % block != 0 || !imageChannels(op.getResult()))
      return rewriter.notifyMatchFailure(op, "no float32 image with whole channel blocks");
    replaceByBlocked(op, createPack(rewriter, op.getInput(), block), {"block"}, block, rewriter);
    return success();
  }
  int64_t block;
};

//===----------------------------------------------------------------------===//
// Sinking nn.unpack
//===----------------------------------------------------------------------===//

/// Whether `value` is a blocked image of whole blocks made plain.
bool isUnpacked(Value value, int64_t block) {
  auto unpack = value.getDefiningOp<UnpackOp>();
  if (!unpack || static_cast<int64_t>(unpack.getChannels()) % block != 0)
    return false;
  auto type = dyn_cast<RankedTensorType>(unpack.getInput().getType());
  return type && type.getRank() == kImageRank + 1 && type.getShape().back() == block;
}

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
  auto type = cast<RankedTensorType>(value.getType());
  if (type.hasStaticShape() && type.getNumElements() == 1)
    return value;
  SmallVector<int64_t> sizes(kImageRank - type.getRank(), 1);
  llvm::append_range(sizes, type.getShape());
  if (sizes[1] != channels) {
    sizes.push_back(1);
    return createStaticReshape(builder, value.getLoc(), value, sizes);
  }
  if (type.getRank() != kImageRank)
    value = createStaticReshape(builder, value.getLoc(), value, sizes);
  return createPack(builder, value, block);
}

/// An op that is indifferent to the layout works on blocked tensors when one of
/// its operands is: the others are packed, the result is unpacked.
struct SinkThroughElementwise : OpInterfaceRewritePattern<GraphOpInterface> {
  SinkThroughElementwise(MLIRContext *context, int64_t block)
      : OpInterfaceRewritePattern(context), block(block) {}
  LogicalResult matchAndRewrite(GraphOpInterface op, PatternRewriter &rewriter) const override {
    if (op.getLayoutKind() != LayoutKind::Agnostic || op->getNumResults() != 1)
      return rewriter.notifyMatchFailure(op, "the op depends on the layout");
    auto isBlocked = [&](Value operand) { return isUnpacked(operand, block); };
    if (llvm::none_of(op->getOperands(), isBlocked))
      return rewriter.notifyMatchFailure(op, "no operand is a whole unpacked image");
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!type || type.getRank() != kImageRank || type.isDynamicDim(1) ||
        type.getDimSize(1) % block != 0)
      return rewriter.notifyMatchFailure(op, "the result is no image of whole blocks");
    int64_t channels = type.getDimSize(1);
    if (!llvm::all_of(op->getOperands(), [=](Value v) { return canBlockOperand(v, channels); }))
      return rewriter.notifyMatchFailure(op, "an operand has unknown sizes");
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(blockOperand(operand, channels, block, rewriter));
    replaceByBlocked(op, operands, {}, block, rewriter);
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
    auto axis = static_cast<int64_t>(op.getAxis());
    if (axis != 1 && axis != 1 - kImageRank)
      return rewriter.notifyMatchFailure(op, "the axis is not that of the channels");
    auto hasWholeBlocks = [&](Value operand) {
      std::optional<int64_t> channels = imageChannels(operand);
      return channels && *channels % block == 0;
    };
    if (!llvm::all_of(op->getOperands(), hasWholeBlocks) || !imageChannels(op.getResult()))
      return rewriter.notifyMatchFailure(op, "an operand is no image of whole blocks");
    if (llvm::none_of(op->getOperands(), [&](Value v) { return isUnpacked(v, block); }))
      return rewriter.notifyMatchFailure(op, "no operand is unpacked");
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(createPack(rewriter, operand, block));
    rewriter.modifyOpInPlace(op, [&] { op.setAxis(1); });
    replaceByBlocked(op, operands, {}, block, rewriter);
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
    rewriter.replaceOp(
        op, createStaticReshape(rewriter, op.getLoc(), op.getInput(), result.getShape()));
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
    blocking.add<BlockConv, BlockPool<MaxPoolOp>, BlockPool<AveragePoolOp>,
                 BlockPool<GlobalAveragePoolOp>, BlockPool<GlobalMaxPoolOp>, SinkThroughElementwise,
                 SinkThroughConcat>(context, block);
    PackOp::getCanonicalizationPatterns(blocking, context);
    UnpackOp::getCanonicalizationPatterns(blocking, context);
    borders.add<MakeBorderReshape<PackOp>, MakeBorderReshape<UnpackOp>>(context);
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(blocking))) ||
        failed(applyPatternsAndFoldGreedily(getOperation(), std::move(borders))))
      signalPassFailure();
  }
};
} // namespace
