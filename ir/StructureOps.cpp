//===- StructureOps.cpp - constants, weights, fusion groups, layout -------===//
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"
#include "runtime/lib/CeilDiv.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

InferredTypes NoneOp::inferResultTypes(const ShapeFacts &facts) {
  return SmallVector<InferredType, 1>{{NoneType::get(getContext()), std::nullopt}};
}

InferredTypes ConstantOp::inferResultTypes(const ShapeFacts &facts) {
  auto type = cast<RankedTensorType>(getValue().getShapedType());
  return SmallVector<InferredType, 1>{{type.getElementType(), nn::shapeOf(type)}};
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

InferredTypes WeightOp::inferResultTypes(const ShapeFacts &facts) {
  if (int64_t offset = getOffset(); offset < 0)
    return emitOpError("offset must not be negative, found ") << offset;
  if (!getType().hasStaticShape())
    return emitOpError("needs a static shape");
  DType dtype = dtypeOf(getType().getElementType());
  if (dtype == DType::Undefined || dtype == DType::String)
    return emitOpError("cannot hold elements of type ") << getType().getElementType();
  return rankedResult(*this, *facts.shapeOf(getResult()), getType().getElementType());
}

LogicalResult GroupOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes())
    return emitOpError("block arguments must have the types of the inputs");
  int64_t roots = llvm::count_if(block, [](Operation &op) {
    auto graphOp = dyn_cast<GraphOpInterface>(op);
    return graphOp && graphOp.getFusionKind() == FusionKind::Root;
  });
  if (roots > 1)
    return emitOpError("must hold at most one root, found ") << roots;
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValues().getTypes() != getResultTypes())
    return emitOpError("must yield values of its result types");
  return success();
}

InferredTypes PackOp::inferResultTypes(const ShapeFacts &facts) {
  int64_t block = getBlock();
  if (block <= 0)
    return emitOpError("block must be positive, found ") << block;
  Type elementType = elementTypeOf(getInput());
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (!shape)
    return unrankedResult(elementType);
  if (failed(requireRankAtLeast(*this, *shape, 2)))
    return failure();
  DimVector dims = shape->dims();
  if (dims[1].isStatic())
    dims[1] = Dim(ceilDiv(dims[1].size(), block));
  else
    dims[1] = Dim();
  dims.push_back(Dim(block));
  return rankedResult(*this, Shape(std::move(dims)), elementType);
}

InferredTypes UnpackOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  int64_t channels = getChannels();
  if (channels < 0)
    return emitOpError("channels must not be negative, found ") << channels;
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (!shape)
    return unrankedResult(elementType);
  if (failed(requireRankAtLeast(*this, *shape, 3)))
    return failure();
  DimVector dims = shape->dims();
  FailureOr<Dim> available = productOf(*this, {dims[1], dims.back()});
  if (failed(available))
    return failure();
  if (available->isStatic() && channels > available->size())
    return emitOpError("channels must be at most ") << available->size() << ", found " << channels;
  dims[1] = Dim(channels);
  dims.pop_back();
  return rankedResult(*this, Shape(std::move(dims)), elementType);
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
