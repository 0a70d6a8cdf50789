//===- BlockedImages.cpp - images between nn.unpack and nn.pack -----------===//
#include "passes/BlockedImages.h"

#include "passes/LayoutPolicy.h"
#include "passes/StaticReshape.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

std::optional<int64_t> passes::channelsOf(Value value) {
  return isImageType(value.getType())
             ? std::optional(cast<RankedTensorType>(value.getType()).getDimSize(1))
             : std::nullopt;
}

bool passes::hasStaticSizes(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape();
}

std::optional<int64_t> passes::planeChannelsOf(Value value) {
  std::optional<int64_t> channels = channelsOf(value);
  return channels && cast<RankedTensorType>(value.getType()).getRank() == 4 ? channels
                                                                            : std::nullopt;
}

RankedTensorType passes::blockedType(Type type, int64_t block) {
  DimVector dims = shapeOf(type)->dims();
  dims[1] = Dim(quern::ceilDiv(dims[1].size(), block));
  dims.push_back(Dim(block));
  return tensorType(Shape(std::move(dims)), elementTypeOf(type), {block});
}

int64_t passes::sourceBlock(Value image) {
  auto unpack = image.getDefiningOp<UnpackOp>();
  if (!unpack || !channelsOf(image))
    return 0;
  int64_t block = layoutOf(unpack.getInput()).block;
  return block && unpack.getInput().getType() == blockedType(image.getType(), block) ? block : 0;
}

Value passes::blockedSource(Value image, int64_t block) {
  return sourceBlock(image) == block ? image.getDefiningOp<UnpackOp>().getInput() : Value();
}

Value passes::toLanes(OpBuilder &builder, Value image, int64_t block) {
  Value source = blockedSource(image, block);
  return source
             ? source
             : builder.create<PackOp>(image.getLoc(), blockedType(image.getType(), block), image);
}

void passes::replaceByBlocked(Operation *op, ValueRange operands, int64_t block,
                              PatternRewriter &rewriter) {
  Operation *blocked = rewriter.clone(*op);
  blocked->setOperands(operands);
  Type plain = op->getResult(0).getType();
  blocked->getResult(0).setType(blockedType(plain, block));
  rewriter.replaceOpWithNewOp<UnpackOp>(op, plain, blocked->getResult(0),
                                        (*shapeOf(plain))[1].size());
}

Value passes::viewOfBlocks(OpBuilder &builder, Value blocked) {
  return createStaticReshape(builder, blocked.getLoc(), blocked,
                             cast<RankedTensorType>(blocked.getType()).getShape());
}

Value passes::imageOfBlocks(OpBuilder &builder, Value view, Type plain, int64_t block) {
  RankedTensorType type = blockedType(plain, block);
  Value blocked =
      createStaticReshape(builder, view.getLoc(), view, type.getShape(), layoutOf(type));
  return builder.create<UnpackOp>(view.getLoc(), plain, blocked, (*shapeOf(plain))[1].size());
}

void passes::replaceByBlocksOf(Operation *op, Value view, int64_t block,
                               PatternRewriter &rewriter) {
  rewriter.replaceOp(op, imageOfBlocks(rewriter, view, op->getResult(0).getType(), block));
}

Type passes::viewType(Type image, int64_t block) {
  RankedTensorType blocked = blockedType(image, block);
  return RankedTensorType::get(blocked.getShape(), blocked.getElementType());
}

Value passes::beforePixels(Value value) {
  auto reshape = value.getDefiningOp<ReshapeOp>();
  if (!reshape || !hasStaticSizes(value) || !hasStaticSizes(reshape.getInput()))
    return value;
  auto from = cast<RankedTensorType>(reshape.getInput().getType()),
       to = cast<RankedTensorType>(value.getType());
  bool keepsChannels = from.getRank() >= 3 && to.getRank() >= 3 && !layoutOf(from).isBlocked() &&
                       from.getShape().take_front(2) == to.getShape().take_front(2);
  return keepsChannels ? reshape.getInput() : value;
}
