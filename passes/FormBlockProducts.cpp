//===- FormBlockProducts.cpp - products with weights that stay small ------===//
//
// nn.matmul and nn.gemm of float32 by an nn.dequantize of constants become nn.block_matmul, whose
// weights stay the small integers that they are in the model: whole blocks along k, or one scale
// for each column or for all. This runs before what is dequantized is folded to float32.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/QuantOps.h"
#include "ir/ShapeFacts.h"
#include "passes/Composer.h"
#include "passes/GraphLog.h"
#include "passes/Passes.h"
#include "passes/QuantizedValues.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_FORMBLOCKPRODUCTSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

namespace {
/// A second factor [k, n] that is dequantized.
struct SmallWeights {
  DequantizeOp op;
  /// The integers are [n, k].
  bool areRowsColumns = false;
  int64_t n = 0, k = 0;
  /// Neighbours along k that share a scale.
  int64_t blockSize = 0;

  int64_t axisOfK() const { return areRowsColumns ? 1 : 0; }
};

/// Kernels read blocks in whole vectors, of any width.
constexpr int64_t kWholeVectors = 16;
} // namespace

static bool isConstantOrNone(Value value) { return isNone(value) || isConstant(value); }

/// How many along k share a scale; 0 when it is none that kernels have.
static int64_t blockSizeOf(DequantizeOp op, int64_t axisOfK, int64_t k) {
  if (isOfTensor(op.getScale()))
    return k;
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + 2 : op.getAxis();
  if (op.getBlockSize() > 0)
    return axis == axisOfK ? std::min<int64_t>(op.getBlockSize(), k) : 0;
  return axis == axisOfK ? 0 : k;
}

/// The second factor of a product, if it is dequantized from small integers in such blocks.
static ReasonOr<SmallWeights> smallWeights(Value factor, bool isTransposed) {
  SmallWeights found;
  if (auto transpose = factor.getDefiningOp<TransposeOp>();
      transpose && transpose.getPerm() == ArrayRef<int64_t>{1, 0}) {
    factor = transpose.getInput();
    isTransposed = !isTransposed;
  }
  found.op = factor.getDefiningOp<DequantizeOp>();
  if (!found.op)
    return Reason{ReasonCode::Form, "its weights are not dequantized"};
  std::optional<Shape> shape = shapeOf(found.op.getX());
  DType dtype = dtypeOf(elementTypeOf(found.op.getX()));
  bool areIntegers = isSignedInteger(dtype) || isUnsignedInteger(dtype);
  if (!isConstant(found.op.getX()) || !isConstant(found.op.getScale()) ||
      !isConstantOrNone(found.op.getZeroPoint()))
    return Reason{ReasonCode::NotConstant, "its weights are not constant"};
  if (!areIntegers || dtypeBits(dtype) > 8 || !shape || shape->rank() != 2 || !shape->isStatic())
    return Reason{ReasonCode::ElementType, "its weights are no matrix of 8-bit integers or less"};
  if (elementTypeOf(found.op.getScale()) != elementTypeOf(found.op.getResult()) ||
      !elementTypeOf(found.op.getResult()).isF32())
    return Reason{ReasonCode::ElementType, "its scales or its weights are not of float32"};
  found.areRowsColumns = isTransposed;
  found.n = (*shape)[isTransposed ? 0 : 1].size();
  found.k = (*shape)[isTransposed ? 1 : 0].size();
  found.blockSize = blockSizeOf(found.op, found.axisOfK(), found.k);
  if (found.blockSize == 0)
    return Reason{ReasonCode::Broadcast, "its weights have scales for rows of k"};
  if (found.k % found.blockSize != 0 || found.blockSize % kWholeVectors != 0)
    return Reason{ReasonCode::Shape, "its blocks are not whole, or of no whole vectors"};
  return found;
}

/// A scale or zero point as [n, blocks]: of all, of columns, or of blocks.
static Value perBlock(Composer &make, Value parameter, SmallWeights weights) {
  int64_t blocks = weights.k / weights.blockSize;
  std::optional<Shape> shape = shapeOf(parameter);
  if (shape->rank() == 2 && shape->numElements() == weights.n * blocks)
    return weights.areRowsColumns ? parameter
                                  : make.create<TransposeOp>(parameter, ArrayRef<int64_t>{1, 0});
  if (!isOfTensor(parameter))
    return make.create<ReshapeOp>(parameter, make.ints({weights.n, 1}), /*allowzero=*/true);
  Value one = make.create<ReshapeOp>(parameter, make.ints({1, 1}), /*allowzero=*/true);
  return make.create<ExpandOp>(one, make.ints({weights.n, blocks}));
}

/// The zero point as nn.block_matmul takes it: none where it is 0, a scalar where it is half the
/// range, which leaves signed weights; else one for each block.
static Value zeroPoint(Composer &make, SmallWeights weights) {
  Value zero = weights.op.getZeroPoint();
  if (isNone(zero))
    return zero;
  DType dtype = dtypeOf(elementTypeOf(zero));
  std::optional<double> known = knownNumber(zero);
  if (known == 0)
    return make.none();
  if (isOfTensor(zero) && isUnsignedInteger(dtype) && known == 1 << (dtypeBits(dtype) - 1))
    return make.create<ReshapeOp>(zero, make.ints({}), /*allowzero=*/true);
  return perBlock(make, zero, weights);
}

/// a times the weights, in float32.
static Value createProduct(PatternRewriter &rewriter, Location loc, Value a, SmallWeights weights) {
  Composer make(rewriter, loc);
  Value integers = weights.op.getX();
  if (!weights.areRowsColumns)
    integers = make.create<TransposeOp>(integers, ArrayRef<int64_t>{1, 0});
  Value scale = perBlock(make, weights.op.getScale(), weights);
  return make.create<BlockMatMulOp>(a, integers, scale, zeroPoint(make, weights),
                                    weights.blockSize);
}

namespace {
struct FormMatMul : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    if (!elementTypeOf(op.getA()).isF32() || !elementTypeOf(op.getResult()).isF32())
      return rewriter.notifyMatchFailure(op, "it is not of float32");
    ReasonOr<SmallWeights> weights = smallWeights(op.getB(), /*isTransposed=*/false);
    if (!weights)
      return rewriter.notifyMatchFailure(op, weights.reason().text);
    rewriter.replaceOp(op, createProduct(rewriter, op.getLoc(), op.getA(), *weights));
    return success();
  }
};

struct FormGemm : OpRewritePattern<GemmOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GemmOp op, PatternRewriter &rewriter) const override {
    bool hasC = !isNone(op.getC());
    if (!elementTypeOf(op.getA()).isF32() || !elementTypeOf(op.getResult()).isF32() ||
        op.getTransA() || op.getAlpha().convertToDouble() != 1 ||
        (hasC && op.getBeta().convertToDouble() != 1))
      return rewriter.notifyMatchFailure(op, "it is not of float32, or it is scaled");
    if (!shapeOf(op.getA().getType()))
      return rewriter.notifyMatchFailure(op, "that A is a matrix is known by the product alone");
    ReasonOr<SmallWeights> weights = smallWeights(op.getB(), op.getTransB());
    if (!weights)
      return rewriter.notifyMatchFailure(op, weights.reason().text);
    Value product = createProduct(rewriter, op.getLoc(), op.getA(), *weights);
    if (hasC)
      product = Composer(rewriter, op.getLoc()).create<AddOp>(product, op.getC());
    rewriter.replaceOp(op, product);
    return success();
  }
};

struct FormBlockProductsPass : passes::impl::FormBlockProductsPassBase<FormBlockProductsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FormMatMul, FormGemm>(&getContext());
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
