//===- SinkUnpack.cpp - ops on unpacked images, in channel blocks ---------===//
//
// An nn.unpack sinks through the op that reads its image: that becomes one on blocks, and its
// result is unpacked. Channels that do not fill their last block leave padding in it. Ops that work
// lane by lane may read padding, whatever it holds; nn.lrn takes whole blocks only. What moves
// channels is in SinkChannels.cpp.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/QuantOps.h"
#include "passes/BlockedImages.h"
#include "passes/LayoutPolicy.h"
#include "passes/StaticReshape.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace {
/// Whether blockOperand applies.
bool canBlockOperand(Value value, int64_t channels, int64_t imageRank) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() > imageRank)
    return false;
  return type.hasStaticShape() || (type.getRank() == imageRank && type.getDimSize(1) == channels);
}

/// An operand of an elementwise op on images of this rank and of `channels` in the form that
/// broadcasts to blocked images.
Value blockOperand(Value value, int64_t channels, int64_t imageRank, int64_t block,
                   OpBuilder &builder) {
  Shape shape = *shapeOf(value);
  if (shape.numElements() == 1)
    return value;
  SmallVector<int64_t> sizes(imageRank - shape.rank(), 1);
  for (const Dim &dim : shape.dims())
    sizes.push_back(dim.size());
  if (sizes[1] != channels) {
    sizes.push_back(1);
    return createStaticReshape(builder, value.getLoc(), value, sizes);
  }
  if (shape.rank() != imageRank)
    value = createStaticReshape(builder, value.getLoc(), value, sizes);
  return toLanes(builder, value, block);
}

/// An op that is indifferent to the layout works on blocked tensors when one of
/// its operands is: the others are packed, the result is unpacked.
struct SinkThroughElementwise : OpInterfaceRewritePattern<GraphOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(GraphOpInterface op, PatternRewriter &rewriter) const override {
    if (op.getLayoutKind() != LayoutKind::Agnostic || op->getNumResults() != 1)
      return rewriter.notifyMatchFailure(op, "the op depends on the layout");
    std::optional<int64_t> channels = channelsOf(op->getResult(0));
    if (!channels)
      return rewriter.notifyMatchFailure(op, "the result is no image with known channels");
    int64_t block = 0;
    for (Value operand : op->getOperands())
      if (!block && channelsOf(operand) == channels)
        block = sourceBlock(operand);
    if (!block)
      return rewriter.notifyMatchFailure(op, "no operand is an unpacked image");
    int64_t rank = cast<RankedTensorType>(op->getResult(0).getType()).getRank();
    auto canBlock = [&](OpOperand &operand) {
      return isTable(op, operand.getOperandNumber()) ||
             canBlockOperand(operand.get(), *channels, rank);
    };
    if (!llvm::all_of(op->getOpOperands(), canBlock))
      return rewriter.notifyMatchFailure(op, "an operand has unknown sizes");
    SmallVector<Value> operands;
    for (OpOperand &operand : op->getOpOperands())
      operands.push_back(isTable(op, operand.getOperandNumber())
                             ? operand.get()
                             : blockOperand(operand.get(), *channels, rank, block, rewriter));
    replaceByBlocked(op, operands, block, rewriter);
    return success();
  }
};

/// An elementwise op on an unpacked image whose pixels have been put in a line, or otherwise, is
/// computed before that: in blocks, and where the image is made.
struct SinkPixelReshape : OpInterfaceRewritePattern<GraphOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(GraphOpInterface op, PatternRewriter &rewriter) const override {
    if (op.getLayoutKind() != LayoutKind::Agnostic || op->getNumResults() != 1)
      return rewriter.notifyMatchFailure(op, "the op depends on the layout");
    Value image;
    for (Value operand : op->getOperands())
      if (Value before = beforePixels(operand); !image && before != operand && sourceBlock(before))
        image = before;
    if (!image)
      return rewriter.notifyMatchFailure(op, "no operand is a reshape of an unpacked image");
    ArrayRef<int64_t> shape = cast<RankedTensorType>(image.getType()).getShape();
    SmallVector<Value> operands;
    for (OpOperand &operand : op->getOpOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.get().getType());
      bool isNumber = type && type.hasStaticShape() && type.getNumElements() == 1 &&
                      type.getRank() <= static_cast<int64_t>(shape.size());
      Value before = beforePixels(operand.get());
      bool isImage =
          before != operand.get() && cast<RankedTensorType>(before.getType()).getShape() == shape;
      if (!isImage && !isNumber && !isTable(op, operand.getOperandNumber()))
        return rewriter.notifyMatchFailure(op, "an operand is no such image");
      operands.push_back(isImage ? before : operand.get());
    }
    auto result = cast<RankedTensorType>(op->getResult(0).getType());
    Operation *moved = rewriter.clone(*op);
    moved->setOperands(operands);
    moved->getResult(0).setType(RankedTensorType::get(shape, result.getElementType()));
    rewriter.replaceOp(
        op, createStaticReshape(rewriter, op->getLoc(), moved->getResult(0), result.getShape()));
    return success();
  }
};

/// Pads around the pixels of an unpacked image surround blocks of them.
struct SinkThroughPad : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PadOp op, PatternRewriter &rewriter) const override {
    int64_t block = sourceBlock(op.getInput());
    std::optional<std::vector<int64_t>> pads = constantInts(op.getPads());
    if (block == 0 || !hasStaticSizes(op.getInput()) || !hasStaticSizes(op.getResult()) || !pads)
      return rewriter.notifyMatchFailure(op, "it pads no unpacked image of known sizes");
    size_t rank = pads->size() / 2;
    if ((*pads)[1] != 0 || (*pads)[rank + 1] != 0)
      return rewriter.notifyMatchFailure(op, "it pads channels");
    pads->insert(pads->begin() + static_cast<int64_t>(rank), 0);
    pads->push_back(0);
    Value view = rewriter.create<PadOp>(
        op.getLoc(), viewType(op.getResult().getType(), block),
        viewOfBlocks(rewriter, blockedSource(op.getInput(), block)),
        createConstant(rewriter, op.getLoc(), Tensor::ofInts(*pads)), op.getValue(), op.getMode());
    replaceByBlocksOf(op, view, block, rewriter);
    return success();
  }
};

/// Pixels of an unpacked image that are resized along its lines and columns are so in blocks.
struct SinkThroughResize : OpRewritePattern<ResizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ResizeOp op, PatternRewriter &rewriter) const override {
    int64_t block = sourceBlock(op.getInput());
    if (block == 0 || !hasStaticSizes(op.getInput()) || !hasStaticSizes(op.getResult()) ||
        !isNone(op.getRoi()))
      return rewriter.notifyMatchFailure(op, "it resizes no unpacked image of known sizes");
    auto input = cast<RankedTensorType>(op.getInput().getType());
    if (input.getDimSize(1) != cast<RankedTensorType>(op.getResult().getType()).getDimSize(1))
      return rewriter.notifyMatchFailure(op, "it resizes channels");
    std::optional<Tensor> scales = constantTensor(op.getScales());
    std::optional<std::vector<int64_t>> sizes = constantInts(op.getSizes());
    bool isKnown = (isNone(op.getScales()) || (scales && scales->dtype() == DType::Float32)) &&
                   (isNone(op.getSizes()) || sizes);
    if (!isKnown)
      return rewriter.notifyMatchFailure(op, "its scales or sizes are not constant");
    // Channels that keep their number may be mixed all the same.
    if (scales && scales->data<float>()[1] != 1)
      return rewriter.notifyMatchFailure(op, "it scales channels");
    SmallVector<Value> operands(op->getOperands());
    operands[0] = viewOfBlocks(rewriter, blockedSource(op.getInput(), block));
    if (scales) {
      std::vector<float> all(scales->data<float>(), scales->data<float>() + scales->numElements());
      all.push_back(1);
      operands[2] = createConstant(rewriter, op.getLoc(),
                                   Tensor::of<float>({static_cast<int64_t>(all.size())}, all));
    }
    if (sizes) {
      (*sizes)[1] = quern::ceilDiv((*sizes)[1], block);
      sizes->push_back(block);
      operands[3] = createConstant(rewriter, op.getLoc(), Tensor::ofInts(*sizes));
    }
    Operation *resized = rewriter.clone(*op);
    resized->setOperands(operands);
    resized->getResult(0).setType(viewType(op.getResult().getType(), block));
    replaceByBlocksOf(op, resized->getResult(0), block, rewriter);
    return success();
  }
};

/// A normalization of each channel by itself.
struct SinkThroughInstanceNorm : OpRewritePattern<InstanceNormOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(InstanceNormOp op, PatternRewriter &rewriter) const override {
    int64_t block = sourceBlock(op.getInput());
    if (!block || !elementTypeOf(op.getInput()).isF32())
      return rewriter.notifyMatchFailure(op, "its input is no unpacked image of float32");
    replaceByBlocked(op, {blockedSource(op.getInput(), block), op.getScale(), op.getBias()}, block,
                     rewriter);
    return success();
  }
};

/// A normalization over neighbouring channels reads whole blocks, for what is beside channels that
/// do not fill one would count.
struct SinkThroughLrn : OpRewritePattern<LrnOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LrnOp op, PatternRewriter &rewriter) const override {
    std::optional<int64_t> channels = planeChannelsOf(op.getInput());
    int64_t block = sourceBlock(op.getInput());
    if (!channels || !block || *channels % block != 0)
      return rewriter.notifyMatchFailure(op, "its input is no unpacked image of whole blocks");
    if (!elementTypeOf(op.getInput()).isF32())
      return rewriter.notifyMatchFailure(op, "blocks are of float32 only");
    replaceByBlocked(op, blockedSource(op.getInput(), block), block, rewriter);
    return success();
  }
};
} // namespace

void passes::populateSinkUnpackPatterns(RewritePatternSet &patterns) {
  patterns.add<SinkPixelReshape, SinkThroughElementwise, SinkThroughInstanceNorm, SinkThroughLrn,
               SinkThroughPad, SinkThroughResize>(patterns.getContext());
}
