//===- ReshapeTargets.cpp - reshapes whose target need not be computed ----===//
#include "passes/ReshapeTargets.h"

#include "ir/Constants.h"
#include "ir/NNDialect.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

/// What nn.reshape without `allowzero` reads as "as many as in the input", and as "what
/// is left".
static constexpr int64_t kCopied = 0, kRest = -1;

static Dim productOf(ArrayRef<Dim> dims) {
  Dim product(1);
  for (const Dim &d : dims)
    product = product * d;
  return product;
}

/// The target as constants, or why there are none.
static Expected<std::vector<int64_t>> constantTarget(const Shape &input, const DimVector &target) {
  std::vector<int64_t> constants;
  int64_t rests = 0, copies = 0;
  for (auto [i, size] : llvm::enumerate(target)) {
    bool isCopy = static_cast<int64_t>(i) < input.rank() && size.provablyEquals(input[i]);
    if (size.isStatic() && size.size() > 0) {
      constants.push_back(size.size());
    } else if (isCopy) {
      constants.push_back(kCopied);
      ++copies;
    } else if (size.isSymbolic()) {
      constants.push_back(kRest);
      ++rests;
    } else {
      return unsupported("a size of the target is unknown, or 0");
    }
  }
  if (rests > 1)
    return unsupported("more than one size is none of the input's");
  // A size of zero among the others would leave the rest undecided.
  bool isDecided = copies == 0 && productOf(input.dims()).provablyEquals(productOf(target));
  if (rests == 1 && !isDecided)
    return unsupported("the other sizes may not decide the one that is none of the input's");
  return constants;
}

namespace {
struct MakeTargetConstant : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    TypeFacts facts;
    if (isConstant(op.getShape()))
      return rewriter.notifyMatchFailure(op, "the target is a constant already");
    std::optional<Shape> input = facts.shapeOf(op.getInput());
    std::optional<DimVector> target = facts.dimsIn(op.getShape());
    if (!input || !target)
      return rewriter.notifyMatchFailure(op, "the input's rank or the target is not known");
    Expected<std::vector<int64_t>> constants = constantTarget(*input, *target);
    if (!constants)
      return rewriter.notifyMatchFailure(
          op, [&](Diagnostic &diagnostic) { diagnostic << constants.status().message(); });
    Value shape = createConstant(rewriter, op.getLoc(), Tensor::ofInts(*constants));
    rewriter.modifyOpInPlace(op, [&] {
      op.getShapeMutable().assign(shape);
      op.setAllowzero(false);
    });
    return success();
  }
};
} // namespace

void passes::populateReshapeTargetPatterns(RewritePatternSet &patterns) {
  patterns.add<MakeTargetConstant>(patterns.getContext());
}
