//===- SimplifyPads.cpp - pads of convolutions in one place ---------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/QuantizedValues.h"
#include "passes/SimplifyGraph.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace {
/// The pads of the spatial axes, begins and then ends; none where others are padded, or any is
/// cropped.
std::optional<std::vector<int64_t>> spatialPads(PadOp pad, size_t spatialRank) {
  std::optional<std::vector<int64_t>> pads = constantInts(pad.getPads());
  size_t rank = spatialRank + 2;
  if (!pads || pads->size() != 2 * rank)
    return std::nullopt;
  std::vector<int64_t> spatial;
  for (size_t i = 0; i < pads->size(); ++i) {
    if (i % rank >= 2)
      spatial.push_back((*pads)[i]);
    if ((*pads)[i] < 0 || (i % rank < 2 && (*pads)[i] != 0))
      return std::nullopt;
  }
  return spatial;
}

/// Converters write the pads of strided convolutions as a node before them (TensorFlow's "SAME",
/// Keras' ZeroPadding2D): they become the convolution's, which needs no larger image for them. Each
/// stays smaller than the window, as kernels expect.
struct FoldPadIntoConv : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    auto pad = op.getInput().getDefiningOp<PadOp>();
    std::optional<double> around =
        pad && pad.getMode() == PadMode::Constant ? knownNumber(pad.getValue()) : std::nullopt;
    RankedTensorType weights = staticType(op.getWeights());
    if (!around || !weights || op.getAutoPad() != AutoPad::NotSet)
      return rewriter.notifyMatchFailure(op, "nothing known lies around its image");
    size_t spatialRank = op.getPads().size() / 2;
    std::optional<std::vector<int64_t>> pads = spatialPads(pad, spatialRank);
    if (!pads)
      return rewriter.notifyMatchFailure(op, "not the edges of the image are padded");
    bool isOfBytes = elementTypeOf(op.getInput()).isInteger(8);
    auto value = static_cast<int64_t>(isOfBytes ? *around : 0);
    bool hasPads = llvm::any_of(op.getPads(), [](int64_t p) { return p != 0; });
    if (isOfBytes ? hasPads && value != op.getPadValue() : *around != 0 || std::signbit(*around))
      return rewriter.notifyMatchFailure(op, "other numbers lie around its image");
    for (size_t i = 0; i < pads->size(); ++i) {
      size_t axis = i % spatialRank;
      (*pads)[i] += op.getPads()[i];
      if ((*pads)[i] > (weights.getDimSize(axis + 2) - 1) * op.getDilations()[axis])
        return rewriter.notifyMatchFailure(op, "a window would lie outside of the image");
    }
    rewriter.modifyOpInPlace(op, [&] {
      op.getInputMutable().assign(pad.getInput());
      op.setPads(*pads);
      op.setPadValue(value);
    });
    return success();
  }
};
} // namespace

void passes::populatePadPatterns(RewritePatternSet &patterns) {
  patterns.add<FoldPadIntoConv>(patterns.getContext());
}
