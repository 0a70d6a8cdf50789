//===- AssignLayouts.cpp - channel-blocked tensors between convolutions ---===//
//
// Convolutions and pools that profit, as a LayoutPolicy says, are put on
// [N, C/b, H, W, b] tensors between nn.pack and nn.unpack; then each nn.unpack sinks through the
// ops after it until it meets the nn.pack of the next convolution and both go. What is left stands
// at the borders of the blocked parts of the graph.
//
// Channels that do not fill their last block leave padding in it. Ops that work
// lane by lane (elementwise, pools, depthwise convolution) may read padding,
// whatever it holds; other convolutions, nn.lrn and nn.concat take whole blocks only.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/QuantOps.h"
#include "ir/Types.h"
#include "passes/GraphLog.h"
#include "passes/LayoutPolicy.h"
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
/// The channels of an image, N, C, H, W or N, C, W, whose rank and channel count are known.
std::optional<int64_t> channelsOf(Value value) {
  return isImageType(value.getType())
             ? std::optional(cast<RankedTensorType>(value.getType()).getDimSize(1))
             : std::nullopt;
}

bool hasStaticSizes(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape();
}

/// The same of two dimensions only: pools have no others.
std::optional<int64_t> planeChannelsOf(Value value) {
  std::optional<int64_t> channels = channelsOf(value);
  return channels && cast<RankedTensorType>(value.getType()).getRank() == 4 ? channels
                                                                            : std::nullopt;
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

} // namespace

int64_t passes::sourceBlock(Value image) {
  auto unpack = image.getDefiningOp<UnpackOp>();
  if (!unpack || !channelsOf(image))
    return 0;
  int64_t block = layoutOf(unpack.getInput()).block;
  return block && unpack.getInput().getType() == blockedType(image.getType(), block) ? block : 0;
}

namespace {
/// The tensor of such blocks that `image` is the nn.unpack of; null when there is none.
Value blockedSource(Value image, int64_t block) {
  return sourceBlock(image) == block ? image.getDefiningOp<UnpackOp>().getInput() : Value();
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

ReasonOr<Blocking> blockingOf(ConvOp op, const LayoutPolicy &policy) {
  return policy.blockConv(op);
}
ReasonOr<Blocking> blockingOf(ConvTransposeOp op, const LayoutPolicy &policy) {
  return policy.blockTransposed(op);
}

/// A convolution in one or two dimensions for which blocks pay becomes blocked, its result at
/// least.
template <typename Op> struct BlockConv : OpRewritePattern<Op> {
  BlockConv(MLIRContext *context, const LayoutPolicy &policy)
      : OpRewritePattern<Op>(context), policy(policy) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (layoutOf(op.getResult()).isBlocked())
      return rewriter.notifyMatchFailure(op, "is blocked already");
    if (!channelsOf(op.getInput()) || !channelsOf(op.getResult()))
      return refuseMatch(rewriter, op, noBlockableImage());
    ReasonOr<Blocking> blocking = blockingOf(op, policy);
    if (!blocking)
      return refuseMatch(rewriter, op, blocking.reason());
    SmallVector<Value> operands(op->getOperands());
    if (blocking->input)
      operands[0] = toLanes(rewriter, op.getInput(), blocking->input);
    replaceByBlocked(op, operands, blocking->output, rewriter);
    return success();
  }
  const LayoutPolicy &policy;
};

/// A 2-D pool for which blocks pay becomes blocked.
template <typename Op> struct BlockPool : OpRewritePattern<Op> {
  BlockPool(MLIRContext *context, const LayoutPolicy &policy)
      : OpRewritePattern<Op>(context), policy(policy) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (layoutOf(op.getInput()).isBlocked())
      return rewriter.notifyMatchFailure(op, "is blocked already");
    // Of anything else than images, a global pool is but a reduction.
    if (!planeChannelsOf(op.getInput()) || !planeChannelsOf(op.getResult()))
      return std::is_same_v<Op, GlobalPoolOp>
                 ? rewriter.notifyMatchFailure(op, "it is not of images")
                 : refuseMatch(rewriter, op, noBlockableImage());
    ReasonOr<Blocking> blocking = policy.blockPool(op, sourceBlock(op.getInput()));
    if (!blocking)
      return refuseMatch(rewriter, op, blocking.reason());
    replaceByBlocked(op, toLanes(rewriter, op.getInput(), blocking->input), blocking->output,
                     rewriter);
    return success();
  }
  const LayoutPolicy &policy;
};

//===----------------------------------------------------------------------===//
// Sinking nn.unpack
//===----------------------------------------------------------------------===//

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

/// What `value`, of known sizes, is a reshape of that changes but the pixels of [N, C, pixels...];
/// else `value`.
Value beforePixels(Value value) {
  auto reshape = value.getDefiningOp<ReshapeOp>();
  if (!reshape || !hasStaticSizes(value) || !hasStaticSizes(reshape.getInput()))
    return value;
  auto from = cast<RankedTensorType>(reshape.getInput().getType()),
       to = cast<RankedTensorType>(value.getType());
  bool keepsChannels = from.getRank() >= 3 && to.getRank() >= 3 && !layoutOf(from).isBlocked() &&
                       from.getShape().take_front(2) == to.getShape().take_front(2);
  return keepsChannels ? reshape.getInput() : value;
}

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
      bool isNumber = type && type.hasStaticShape() && type.getNumElements() == 1;
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

/// A concatenation of channels whose operands are all of whole blocks, one of
/// them unpacked, concatenates blocks.
struct SinkThroughConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    if (op.getAxis() != 1)
      return rewriter.notifyMatchFailure(op, "the axis is not that of the channels");
    int64_t block = 0;
    for (Value operand : op->getOperands())
      block = block ? block : sourceBlock(operand);
    if (!block)
      return rewriter.notifyMatchFailure(op, "no operand is unpacked");
    auto hasWholeBlocks = [&](Value operand) {
      std::optional<int64_t> channels = channelsOf(operand);
      return channels && *channels % block == 0;
    };
    if (!llvm::all_of(op->getOperands(), hasWholeBlocks) || !channelsOf(op.getResult()))
      return rewriter.notifyMatchFailure(op, "an operand is no image of whole blocks");
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(toLanes(rewriter, operand, block));
    rewriter.modifyOpInPlace(op, [&] { op.setAxis(1); });
    replaceByBlocked(op, operands, block, rewriter);
    return success();
  }
};

/// The elements of a blocked tensor of known sizes as a plain [N, C / block, ..., block].
Value viewOfBlocks(OpBuilder &builder, Value blocked) {
  return createStaticReshape(builder, blocked.getLoc(), blocked,
                             cast<RankedTensorType>(blocked.getType()).getShape());
}

/// The image of type `plain` that such a view has, unpacked.
Value imageOfBlocks(OpBuilder &builder, Value view, Type plain, int64_t block) {
  RankedTensorType type = blockedType(plain, block);
  Value blocked =
      createStaticReshape(builder, view.getLoc(), view, type.getShape(), layoutOf(type));
  return builder.create<UnpackOp>(view.getLoc(), plain, blocked, (*shapeOf(plain))[1].size());
}

/// Replaces `op`, whose result is an image of known sizes, by `view`, which has its blocks.
void replaceByBlocksOf(Operation *op, Value view, int64_t block, PatternRewriter &rewriter) {
  rewriter.replaceOp(op, imageOfBlocks(rewriter, view, op->getResult(0).getType(), block));
}

/// The type of such a view.
Type viewType(Type image, int64_t block) {
  RankedTensorType blocked = blockedType(image, block);
  return RankedTensorType::get(blocked.getShape(), blocked.getElementType());
}

/// An unpacked image whose parts have whole blocks is split by blocks.
struct SinkThroughSplit : OpRewritePattern<SplitOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SplitOp op, PatternRewriter &rewriter) const override {
    int64_t block = sourceBlock(op.getInput());
    if (op.getAxis() != 1 || block == 0 || !hasStaticSizes(op.getInput()))
      return rewriter.notifyMatchFailure(op, "it splits no channels of an unpacked image");
    SmallVector<int64_t> parts;
    SmallVector<Type> types;
    for (Value result : op.getResults()) {
      std::optional<int64_t> channels = channelsOf(result);
      if (!channels || *channels % block != 0 || !hasStaticSizes(result))
        return rewriter.notifyMatchFailure(op, "a part is no image of whole blocks");
      parts.push_back(*channels / block);
      types.push_back(viewType(result.getType(), block));
    }
    Value sizes =
        createConstant(rewriter, op.getLoc(), Tensor::ofInts({parts.begin(), parts.end()}));
    auto split = rewriter.create<SplitOp>(
        op.getLoc(), types, viewOfBlocks(rewriter, blockedSource(op.getInput(), block)), sizes,
        /*axis=*/1);
    SmallVector<Value> images;
    for (auto [view, result] : llvm::zip_equal(split.getResults(), op.getResults()))
      images.push_back(imageOfBlocks(rewriter, view, result.getType(), block));
    rewriter.replaceOp(op, images);
    return success();
  }
};

/// A slice of whole blocks of an unpacked image is one of blocks.
struct SinkThroughSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    int64_t block = sourceBlock(op.getInput());
    if (block == 0 || !hasStaticSizes(op.getInput()) || !hasStaticSizes(op.getResult()))
      return rewriter.notifyMatchFailure(op, "it cuts no unpacked image of known sizes");
    std::optional<SmallVector<int64_t>> cut = op.getCutDimensions(TypeFacts());
    std::optional<std::vector<int64_t>> starts = TypeFacts().integersOf(op.getStarts()),
                                        steps = TypeFacts().integersOf(op.getSteps());
    if (!cut || cut->size() != 1 || cut->front() != 1 || !starts || starts->size() != 1 ||
        !(isNone(op.getSteps()) || steps == std::vector<int64_t>{1}))
      return rewriter.notifyMatchFailure(op, "it cuts not just a range of channels");
    int64_t channels = *channelsOf(op.getInput()), count = *channelsOf(op.getResult());
    int64_t start = std::clamp<int64_t>(
        starts->front() < 0 ? starts->front() + channels : starts->front(), 0, channels);
    if (start % block != 0 || count % block != 0)
      return rewriter.notifyMatchFailure(op, "it cuts through a block");
    auto number = [&](int64_t value) {
      return createConstant(rewriter, op.getLoc(), Tensor::ofInts({value}));
    };
    Value view = rewriter.create<SliceOp>(
        op.getLoc(), viewType(op.getResult().getType(), block),
        viewOfBlocks(rewriter, blockedSource(op.getInput(), block)), number(start / block),
        number((start + count) / block), number(1), op.getSteps());
    replaceByBlocksOf(op, view, block, rewriter);
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
    Operation *resized = rewriter.clone(*op);
    resized->setOperand(0, viewOfBlocks(rewriter, blockedSource(op.getInput(), block)));
    if (scales) {
      std::vector<float> all(scales->data<float>(), scales->data<float>() + scales->numElements());
      all.push_back(1);
      resized->setOperand(
          2, createConstant(rewriter, op.getLoc(),
                            Tensor::of<float>({static_cast<int64_t>(all.size())}, all)));
    }
    if (sizes) {
      (*sizes)[1] = quern::ceilDiv((*sizes)[1], block);
      sizes->push_back(block);
      resized->setOperand(3, createConstant(rewriter, op.getLoc(), Tensor::ofInts(*sizes)));
    }
    resized->getResult(0).setType(viewType(op.getResult().getType(), block));
    rewriter.moveOpBefore(resized, op);
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

/// From blocks to others of which one is a multiple of the other, parts of pixels move, not single
/// channels by way of a plain image.
struct MoveBetweenBlocks : OpRewritePattern<PackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PackOp op, PatternRewriter &rewriter) const override {
    auto unpack = op.getInput().getDefiningOp<UnpackOp>();
    auto image = dyn_cast<RankedTensorType>(op.getInput().getType());
    if (!unpack || !image || !image.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "it packs no unpacked image of known sizes");
    int64_t from = layoutOf(unpack.getInput()).block, to = layoutOf(op.getResult()).block;
    int64_t channels = image.getDimSize(1), wide = std::max(from, to), narrow = std::min(from, to);
    if (narrow == 0 || channels % wide != 0 || wide % narrow != 0)
      return rewriter.notifyMatchFailure(op, "channels do not fill both blocks");
    // [N, C / wide, parts, pixels, narrow] and [N, C / wide, pixels, parts, narrow].
    int64_t images = image.getDimSize(0), parts = wide / narrow;
    int64_t pixels = images * channels > 0 ? image.getNumElements() / (images * channels) : 0;
    SmallVector<int64_t> sizes{images, channels / wide, parts, pixels, narrow};
    if (from > to)
      std::swap(sizes[2], sizes[3]);
    Value split = createStaticReshape(rewriter, op.getLoc(), unpack.getInput(), sizes);
    std::swap(sizes[2], sizes[3]);
    Type elements = elementTypeOf(split);
    Value moved = rewriter.create<TransposeOp>(op.getLoc(), RankedTensorType::get(sizes, elements),
                                               split, ArrayRef<int64_t>{0, 1, 3, 2, 4});
    auto result = cast<RankedTensorType>(op.getResult().getType());
    rewriter.replaceOp(
        op, createStaticReshape(rewriter, op.getLoc(), moved, result.getShape(), layoutOf(result)));
    return success();
  }
};

/// Of a transpose that brings the channels of an image [N, C, pixels...] to its end: from dimension
/// 1, or back there.
bool movesChannels(TransposeOp op, bool toEnd) {
  ArrayRef<int64_t> perm = op.getPerm();
  auto rank = static_cast<int64_t>(perm.size());
  auto wanted = [&](int64_t d) {
    if (d == 0)
      return int64_t{0};
    return toEnd ? (d + 1 < rank ? d + 1 : 1) : (d == 1 ? rank - 1 : d - 1);
  };
  for (int64_t d = 0; d < rank; ++d)
    if (perm[d] != wanted(d))
      return false;
  return rank >= 3;
}

/// `value` with dimensions 1 and 2 of `sizes` exchanged: runs of a block of channels move.
Value exchangeBlocks(OpBuilder &builder, Value value, SmallVector<int64_t> sizes) {
  Value view = createStaticReshape(builder, value.getLoc(), value, sizes);
  std::swap(sizes[1], sizes[2]);
  return builder.create<TransposeOp>(value.getLoc(),
                                     RankedTensorType::get(sizes, elementTypeOf(view)), view,
                                     ArrayRef<int64_t>{0, 2, 1, 3});
}

/// Rows of channels, transposed to an image that is packed: blocks of them move, once.
struct PackTransposed : OpRewritePattern<PackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PackOp op, PatternRewriter &rewriter) const override {
    auto transpose = beforePixels(op.getInput()).getDefiningOp<TransposeOp>();
    if (!transpose || !movesChannels(transpose, /*toEnd=*/false) ||
        !hasStaticSizes(transpose.getInput()) || !hasStaticSizes(op.getResult()))
      return rewriter.notifyMatchFailure(op, "it packs no transposed rows of channels");
    auto rows = cast<RankedTensorType>(transpose.getInput().getType());
    auto result = cast<RankedTensorType>(op.getResult().getType());
    int64_t channels = rows.getShape().back(), block = layoutOf(result).block;
    if (channels % block != 0 || rows.getNumElements() == 0)
      return rewriter.notifyMatchFailure(op, "channels do not fill blocks");
    int64_t images = rows.getDimSize(0), pixels = rows.getNumElements() / (images * channels);
    Value moved =
        exchangeBlocks(rewriter, transpose.getInput(), {images, pixels, channels / block, block});
    rewriter.replaceOp(
        op, createStaticReshape(rewriter, op.getLoc(), moved, result.getShape(), layoutOf(result)));
    return success();
  }
};

/// The same the other way round.
struct TransposeUnpacked : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto unpack = beforePixels(op.getInput()).getDefiningOp<UnpackOp>();
    if (!unpack || !movesChannels(op, /*toEnd=*/true) || !hasStaticSizes(unpack.getInput()) ||
        !hasStaticSizes(op.getResult()))
      return rewriter.notifyMatchFailure(op, "it transposes no unpacked image");
    auto rows = cast<RankedTensorType>(op.getResult().getType());
    int64_t channels = rows.getShape().back(), block = layoutOf(unpack.getInput()).block;
    if (channels % block != 0 || rows.getNumElements() == 0)
      return rewriter.notifyMatchFailure(op, "channels do not fill blocks");
    int64_t images = rows.getDimSize(0), pixels = rows.getNumElements() / (images * channels);
    Value moved =
        exchangeBlocks(rewriter, unpack.getInput(), {images, channels / block, pixels, block});
    rewriter.replaceOp(op, createStaticReshape(rewriter, op.getLoc(), moved, rows.getShape()));
    return success();
  }
};

struct AssignLayoutsPass : passes::impl::AssignLayoutsPassBase<AssignLayoutsPass> {
  using AssignLayoutsPassBase::AssignLayoutsPassBase;
  AssignLayoutsPass(std::shared_ptr<const LayoutPolicy> policy, GraphLog *log)
      : policy(std::move(policy)), log(log) {}

  void runOnOperation() override {
    if (!policy && block != 16 && block != 8 && block != 4) {
      getOperation().emitError("block must be 16, 8 or 4, found ") << block;
      return signalPassFailure();
    }
    ChannelBlocks byOption(block);
    const LayoutPolicy &decides = policy ? *policy : byOption;
    MLIRContext *context = &getContext();
    RewritePatternSet blocking(context), borders(context);
    blocking.add<BlockConv<ConvOp>, BlockConv<ConvTransposeOp>, BlockPool<MaxPoolOp>,
                 BlockPool<AveragePoolOp>, BlockPool<GlobalPoolOp>>(context, decides);
    blocking
        .add<SinkPixelReshape, SinkThroughElementwise, SinkThroughConcat, SinkThroughInstanceNorm,
             SinkThroughLrn, SinkThroughPad, SinkThroughResize, SinkThroughSlice, SinkThroughSplit>(
            context);
    PackOp::getCanonicalizationPatterns(blocking, context);
    UnpackOp::getCanonicalizationPatterns(blocking, context);
    borders.add<MakeBorderReshape<PackOp>, MakeBorderReshape<UnpackOp>, MoveBetweenBlocks,
                PackTransposed, TransposeUnpacked>(context);
    // From the inputs on, as in SimplifyGraph.
    GreedyRewriteConfig config;
    config.useTopDownTraversal = true;
    if (failed(
            applyLogged(getOperation(), std::move(blocking), Refusal::Kind::Block, log, config)) ||
        failed(applyPatternsAndFoldGreedily(getOperation(), std::move(borders), config)))
      signalPassFailure();
  }

  /// Null: by the option.
  std::shared_ptr<const LayoutPolicy> policy;
  GraphLog *log = nullptr;
};
} // namespace

std::unique_ptr<Pass> passes::createAssignLayoutsPass(std::shared_ptr<const LayoutPolicy> policy,
                                                      GraphLog *log) {
  return std::make_unique<AssignLayoutsPass>(std::move(policy), log);
}
