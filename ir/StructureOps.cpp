//===- StructureOps.cpp - constants, weights, fusion groups, layout -------===//
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

FailureOr<SmallVector<Type>> NoneOp::inferResultTypes() {
  return SmallVector<Type>{NoneType::get(getContext())};
}

FailureOr<SmallVector<Type>> ConstantOp::inferResultTypes() {
  return SmallVector<Type>{getValue().getShapedType()};
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

FailureOr<SmallVector<Type>> WeightOp::inferResultTypes() {
  if (getOffset() < 0)
    return emitOpError("offset must not be negative, found ") << getOffset();
  if (!getType().hasStaticShape())
    return emitOpError("needs a static shape");
  return SmallVector<Type>{getType()};
}

LogicalResult GroupOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes())
    return emitOpError("block arguments must have the types of the inputs");
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValues().getTypes() != getResultTypes())
    return emitOpError("must yield values of its result types");
  return success();
}

FailureOr<SmallVector<Type>> PackOp::inferResultTypes() {
  int64_t block = getBlock();
  if (block <= 0)
    return emitOpError("block must be positive, found ") << block;
  Type elementType = cast<TensorType>(getInput().getType()).getElementType();
  auto shape = shapeOf(getInput().getType());
  if (!shape)
    return SmallVector<Type>{UnrankedTensorType::get(elementType)};
  if (shape->rank() < 2)
    return emitOpError("input needs rank 2 or more, found ") << shape->rank();
  std::vector<Dim> dims = shape->dims();
  dims[1] = dims[1].isStatic() ? Dim((dims[1].size() + block - 1) / block) : Dim();
  dims.push_back(Dim(block));
  return SmallVector<Type>{tensorType(Shape(std::move(dims)), elementType)};
}

FailureOr<SmallVector<Type>> UnpackOp::inferResultTypes() {
  Type elementType = cast<TensorType>(getInput().getType()).getElementType();
  auto shape = shapeOf(getInput().getType());
  if (!shape)
    return SmallVector<Type>{UnrankedTensorType::get(elementType)};
  if (shape->rank() < 3)
    return emitOpError("input needs rank 3 or more, found ") << shape->rank();
  std::vector<Dim> dims = shape->dims();
  if (dims[1].isStatic() && dims.back().isStatic() &&
      (dims[1].size() * dims.back().size() < (int64_t)getChannels() || getChannels() == 0))
    return emitOpError("channels must be 1 to ")
           << dims[1].size() * dims.back().size() << ", found " << getChannels();
  dims[1] = Dim(static_cast<int64_t>(getChannels()));
  dims.pop_back();
  return SmallVector<Type>{tensorType(Shape(std::move(dims)), elementType)};
}

namespace {
/// pack(unpack(x)) is x when the blocked type is the same: no channel was padding.
struct CancelPackOfUnpack : OpRewritePattern<PackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PackOp op, PatternRewriter &rewriter) const override {
    auto unpack = op.getInput().getDefiningOp<UnpackOp>();
    if (!unpack)
      return rewriter.notifyMatchFailure(op, "input is not nn.unpack");
    if (unpack.getInput().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "block sizes differ");
    if (unpack.getChannels() % op.getBlock() != 0)
      return rewriter.notifyMatchFailure(op, "padding channels may hold anything");
    rewriter.replaceOp(op, unpack.getInput());
    return success();
  }
};

/// unpack(pack(x)) is x.
struct CancelUnpackOfPack : OpRewritePattern<UnpackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(UnpackOp op, PatternRewriter &rewriter) const override {
    auto pack = op.getInput().getDefiningOp<PackOp>();
    if (!pack)
      return rewriter.notifyMatchFailure(op, "input is not nn.pack");
    if (pack.getInput().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "channel counts differ");
    rewriter.replaceOp(op, pack.getInput());
    return success();
  }
};
} // namespace

void PackOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<CancelPackOfUnpack>(context);
}

void UnpackOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<CancelUnpackOfPack>(context);
}
