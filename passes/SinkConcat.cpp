//===- SinkConcat.cpp - what follows a concatenation, before it -----------===//
//
// Normalizations, activations and sums on joined channels are computed on each part by itself where
// convolutions and the like make all of them: there they cost no pass over the image, and batch
// normalization becomes part of the weights.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/SimplifyGraph.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace {
constexpr int64_t kChannelAxis = 1;

/// Whether each element of the result follows from those at its place, and from constants.
bool isByElement(Operation *op) {
  return isa<ElementwiseOpInterface, BatchNormOp>(op) && op->getNumResults() == 1;
}

/// The channels of the parts of an image; nullopt where they are unknown or none is joined.
std::optional<SmallVector<int64_t>> partsOf(ConcatOp concat) {
  SmallVector<int64_t> parts;
  for (Value input : concat.getInputs()) {
    auto type = dyn_cast<RankedTensorType>(input.getType());
    if (concat.getAxis() != kChannelAxis || !type || type.getRank() < 3 ||
        type.isDynamicDim(kChannelAxis))
      return std::nullopt;
    parts.push_back(type.getDimSize(kChannelAxis));
  }
  return parts;
}

/// Whether the parts are made by ops that end with others, and nobody else wants these or what they
/// are joined to as it is.
bool isOfAnchors(ConcatOp concat) {
  auto areByElement = [&](Value value) {
    return llvm::all_of(value.getUsers(), [&](Operation *user) {
      return user == concat || (isByElement(user) && user->getBlock() == concat->getBlock());
    });
  };
  auto isPart = [&](Value part) {
    Operation *op = part.getDefiningOp();
    return op && (isAnchor(fusionKindOf(op)) || isByElement(op)) && areByElement(part);
  };
  return areByElement(concat.getResult()) && llvm::all_of(concat.getInputs(), isPart);
}

/// How an operand goes to the parts of an image of `rank` dimensions and `channels` channels.
struct PartedOperand {
  enum Kind { Joined, Whole, Cut, Other } kind = Other;
  /// Where a constant has the channels.
  int64_t axis = 0;
};
PartedOperand partedOperand(OpOperand &operand, int64_t rank, int64_t channels) {
  Value value = operand.get();
  if (value.getDefiningOp<ConcatOp>())
    return {PartedOperand::Joined};
  RankedTensorType type = staticType(value);
  if (isNone(value) || (type && isConstant(value) && type.getNumElements() == 1))
    return {PartedOperand::Whole};
  if (!type || !isConstant(value) || type.getNumElements() != channels)
    return {};
  int64_t axis = isa<BatchNormOp>(operand.getOwner()) ? 0 : type.getRank() - rank + kChannelAxis;
  return axis >= 0 && type.getDimSize(axis) == channels ? PartedOperand{PartedOperand::Cut, axis}
                                                        : PartedOperand();
}

struct SinkConcat : OpInterfaceRewritePattern<GraphOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(GraphOpInterface op, PatternRewriter &rewriter) const override {
    constexpr size_t kMostParts = 8;
    auto image = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!isByElement(op) || !image || image.getRank() < 3 || image.isDynamicDim(kChannelAxis))
      return rewriter.notifyMatchFailure(op, "it is no elementwise op on images");
    int64_t rank = image.getRank(), channels = image.getDimSize(kChannelAxis);
    SmallVector<int64_t> parts;
    SmallVector<PartedOperand> operands;
    for (OpOperand &operand : op->getOpOperands()) {
      operands.push_back(partedOperand(operand, rank, channels));
      if (operands.back().kind == PartedOperand::Other)
        return rewriter.notifyMatchFailure(op, "an operand is neither joined nor constant");
      if (operands.back().kind != PartedOperand::Joined)
        continue;
      auto concat = operand.get().getDefiningOp<ConcatOp>();
      std::optional<SmallVector<int64_t>> joined = partsOf(concat);
      bool fits = joined && joined->size() <= kMostParts && (parts.empty() || parts == *joined) &&
                  cast<RankedTensorType>(concat.getType()).getShape() == image.getShape();
      if (!fits || !isOfAnchors(concat))
        return rewriter.notifyMatchFailure(op, "its parts are others, or of no anchors");
      parts = *joined;
    }
    if (parts.empty())
      return rewriter.notifyMatchFailure(op, "nothing is joined");
    replace(op, image, parts, operands, rewriter);
    return success();
  }

private:
  static void replace(Operation *op, RankedTensorType image, ArrayRef<int64_t> parts,
                      ArrayRef<PartedOperand> operands, PatternRewriter &rewriter) {
    Value sizes =
        createConstant(rewriter, op->getLoc(), Tensor::ofInts({parts.begin(), parts.end()}));
    SmallVector<SmallVector<Value>> ofParts(parts.size());
    for (auto [operand, how] : llvm::zip_equal(op->getOperands(), operands)) {
      SmallVector<Value> values(parts.size(), operand);
      if (how.kind == PartedOperand::Joined)
        values = llvm::to_vector(operand.getDefiningOp<ConcatOp>().getInputs());
      if (how.kind == PartedOperand::Cut) {
        SmallVector<Type> types;
        for (int64_t part : parts)
          types.push_back(withSize(cast<RankedTensorType>(operand.getType()), how.axis, part));
        values = llvm::to_vector(ValueRange(
            rewriter.create<SplitOp>(op->getLoc(), types, operand, sizes, how.axis).getResults()));
      }
      for (auto [part, value] : llvm::zip_equal(ofParts, values))
        part.push_back(value);
    }
    SmallVector<Value> results;
    for (auto [part, given] : llvm::zip_equal(parts, ofParts)) {
      Operation *computed = rewriter.clone(*op);
      computed->setOperands(given);
      computed->getResult(0).setType(withSize(image, kChannelAxis, part));
      results.push_back(computed->getResult(0));
    }
    rewriter.replaceOpWithNewOp<ConcatOp>(op, image, results, kChannelAxis);
  }

  static Type withSize(RankedTensorType type, int64_t axis, int64_t size) {
    DimVector dims = shapeOf(type)->dims();
    dims[axis] = Dim(size);
    return tensorType(Shape(std::move(dims)), type.getElementType());
  }
};

/// What is split as it was joined is its parts.
struct SplitOfConcat : OpRewritePattern<SplitOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SplitOp op, PatternRewriter &rewriter) const override {
    auto concat = op.getInput().getDefiningOp<ConcatOp>();
    if (!concat || concat.getAxis() != op.getAxis() ||
        concat.getInputs().getTypes() != op.getResultTypes() ||
        !llvm::all_of(op.getResults(), [](Value result) { return bool(staticType(result)); }))
      return rewriter.notifyMatchFailure(op, "it is not split as it was joined");
    rewriter.replaceOp(op, concat.getInputs());
    return success();
  }
};
} // namespace

void passes::populateConcatPatterns(RewritePatternSet &patterns) {
  patterns.add<SinkConcat, SplitOfConcat>(patterns.getContext());
}
