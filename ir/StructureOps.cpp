//===- StructureOps.cpp - constants, weights, fusion groups, layout -------===//
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

InferredTypes NoneOp::inferResultTypes(const ShapeFacts &facts) {
  return SmallVector<InferredType, 1>{{NoneType::get(getContext()), std::nullopt}};
}

InferredTypes ConstantOp::inferResultTypes(const ShapeFacts &facts) {
  RankedTensorType type = getType();
  return SmallVector<InferredType, 1>{{type.getElementType(), nn::shapeOf(type), layoutOf(type)}};
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
  return rankedResult(*this, *facts.shapeOf(getResult()), getType().getElementType(),
                      layoutOf(getType()));
}

LogicalResult GroupOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes())
    return emitOpError("block arguments must have the types of the inputs");
  int64_t anchors = llvm::count_if(block, [](Operation &op) {
    auto graphOp = dyn_cast<GraphOpInterface>(op);
    return graphOp && graphOp.getFusionKind() == FusionKind::Anchor;
  });
  if (anchors > 1)
    return emitOpError("must hold at most one anchor, found ") << anchors;
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValues().getTypes() != getResultTypes())
    return emitOpError("must yield values of its result types");
  return success();
}

InferredTypes PackOp::inferResultTypes(const ShapeFacts &facts) {
  Layout layout = layoutOf(getResult());
  if (!layout.isBlocked() || layoutOf(getInput()).isBlocked())
    return emitOpError("puts row-major channels into blocks, found ")
           << getInput().getType() << " and " << getType();
  Type elementType = elementTypeOf(getInput());
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (!shape)
    return unrankedResult(elementType);
  if (failed(requireRankAtLeast(*this, *shape, 2)))
    return failure();
  DimVector dims = shape->dims();
  putIntoBlocks(dims, layout.block);
  return rankedResult(*this, Shape(std::move(dims)), elementType, layout);
}

InferredTypes UnpackOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  int64_t channels = getChannels();
  if (channels < 0)
    return emitOpError("channels must not be negative, found ") << channels;
  if (!layoutOf(getInput()).isBlocked())
    return emitOpError("input must be channel-blocked, found ") << getInput().getType();
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (!shape)
    return unrankedResult(elementType);
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
    if (unpack.getChannels() % layoutOf(op.getType()).block != 0)
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

#define GET_OP_CLASSES
#include "ir/StructureOps.cpp.inc"

void NNDialect::registerStructureOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/StructureOps.cpp.inc"
      >();
}
