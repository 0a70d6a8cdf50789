//===- StructureOps.cpp - constants, weights, fusion groups, layout -------===//
#include "ir/NNDialect.h"
#include "ir/NodeNames.h"
#include "ir/TypeRules.h"

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

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
    return graphOp && isAnchor(graphOp.getFusionKind());
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

bool nn::movesBlocks(Operation *op) { return isa<PackOp, UnpackOp, GatherChannelsOp>(op); }

InferredTypes GatherChannelsOp::inferResultTypes(const ShapeFacts &facts) {
  Layout layout = layoutOf(getResult());
  if (getInputs().empty())
    return emitOpError("needs an input");
  if (!layout.isBlocked())
    return emitOpError("puts channels into blocks, found ") << getType();
  Type elementType = elementTypeOf(getInputs().front());
  std::optional<Shape> first = facts.shapeOf(getInputs().front());
  if (!first)
    return unrankedResult(elementType);
  DimVector dims = first->dims();
  int64_t available = 0;
  for (Value input : getInputs()) {
    std::optional<Shape> shape = facts.shapeOf(input);
    if (!layoutOf(input).isBlocked() || !shape || !(*shape)[1].isStatic())
      return emitOpError("inputs must be of a known number of blocks, found ") << input.getType();
    if (elementTypeOf(input) != elementType || shape->rank() != first->rank())
      return emitOpError("inputs must be alike, found ") << input.getType();
    for (int64_t i = 0; i + 1 < shape->rank(); ++i) {
      if (i == 1)
        continue;
      if (failed(requireDim(*this, (*shape)[i], dims[i], "dimension " + Twine(i))))
        return failure();
      dims[i] = mergeDims(dims[i], (*shape)[i]);
    }
    available += (*shape)[1].size() * layoutOf(input).block;
  }
  for (int64_t lane : getLanes())
    if (lane < -1 || lane >= available)
      return emitOpError("lanes must be in [-1, ") << available << "), found " << lane;
  dims.pop_back();
  dims[1] = Dim(static_cast<int64_t>(getLanes().size()));
  putIntoBlocks(dims, layout.block);
  return rankedResult(*this, Shape(std::move(dims)), elementType, layout);
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

int64_t lanesOf(Value blocked) {
  auto type = cast<RankedTensorType>(blocked.getType());
  return type.getDimSize(1) * layoutOf(type).block;
}

/// What is gathered of what is gathered is gathered at once.
struct GatherOfGather : OpRewritePattern<GatherChannelsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GatherChannelsOp op, PatternRewriter &rewriter) const override {
    constexpr size_t kMostInputs = 8;
    if (llvm::none_of(op.getInputs(), [](Value input) {
          return input.getDefiningOp<GatherChannelsOp>() != nullptr;
        }))
      return rewriter.notifyMatchFailure(op, "no input is gathered");
    // Of each lane of the inputs where it comes from.
    SmallVector<std::pair<Value, int64_t>> origins;
    for (Value input : op.getInputs()) {
      auto inner = input.getDefiningOp<GatherChannelsOp>();
      size_t begin = origins.size();
      for (int64_t lane = 0; lane < lanesOf(input); ++lane)
        origins.emplace_back(inner ? Value() : input, lane);
      if (!inner)
        continue;
      SmallVector<std::pair<Value, int64_t>> ofInner;
      for (Value source : inner.getInputs())
        for (int64_t lane = 0; lane < lanesOf(source); ++lane)
          ofInner.emplace_back(source, lane);
      for (auto [i, lane] : llvm::enumerate(inner.getLanes()))
        if (lane >= 0)
          origins[begin + i] = ofInner[lane];
    }
    llvm::SmallMapVector<Value, int64_t, 8> firstLanes;
    int64_t available = 0;
    SmallVector<int64_t> lanes;
    for (int64_t lane : op.getLanes()) {
      auto [source, offset] = lane < 0 ? std::pair(Value(), int64_t{0}) : origins[lane];
      if (source && firstLanes.try_emplace(source, available).second)
        available += lanesOf(source);
      lanes.push_back(source ? firstLanes[source] + offset : -1);
    }
    if (firstLanes.empty() || firstLanes.size() > kMostInputs)
      return rewriter.notifyMatchFailure(op, "it would be of none, or of too many");
    SmallVector<Value> inputs(llvm::make_first_range(firstLanes));
    SmallVector<Location> locations{op.getLoc()};
    for (Value input : op.getInputs())
      if (auto inner = input.getDefiningOp<GatherChannelsOp>())
        locations.push_back(inner.getLoc());
    rewriter.replaceOp(op, rewriter.create<GatherChannelsOp>(fusedLocation(locations), op.getType(),
                                                             inputs, lanes));
    return success();
  }
};

/// All channels of one input, in their order, are that input.
struct GatherOfAll : OpRewritePattern<GatherChannelsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GatherChannelsOp op, PatternRewriter &rewriter) const override {
    int64_t first = 0;
    for (Value input : op.getInputs()) {
      auto isItsOwn = [&](auto lane) {
        return lane.value() == first + static_cast<int64_t>(lane.index());
      };
      if (input.getType() == op.getType() &&
          llvm::all_of(llvm::enumerate(op.getLanes()), isItsOwn)) {
        rewriter.replaceOp(op, input);
        return success();
      }
      first += lanesOf(input);
    }
    return rewriter.notifyMatchFailure(op, "channels are left out or move");
  }
};
} // namespace

void GatherChannelsOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                                   MLIRContext *context) {
  patterns.add<GatherOfAll, GatherOfGather>(context);
}

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
