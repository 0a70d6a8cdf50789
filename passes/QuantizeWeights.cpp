//===- QuantizeWeights.cpp - constant weights of products in few bits -----===//
//
// Asked for by CompileOptions::weights. The second factor of nn.matmul and nn.gemm, a constant
// matrix of float32, becomes integers of 8 bits with a scale for each column, or of 4 bits with a
// scale for each block along a column, and is dequantized. FormBlockProducts makes nn.block_matmul
// of these, which keeps them small. All that is made here is constant and folded afterwards.
//
//===----------------------------------------------------------------------===//
#include "ir/NNDialect.h"
#include "ir/QuantOps.h"
#include "passes/Composer.h"
#include "passes/GraphLog.h"
#include "passes/Passes.h"

#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_QUANTIZEWEIGHTSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

namespace {
/// How weights are quantized: symmetric, so that there is no zero point.
struct WeightFormat {
  Type elements;
  /// The integer that the largest magnitude becomes.
  double most = 0;
  /// Neighbours along a column that share a scale; 0: all of it.
  int64_t blockSize = 0;
};

/// A constant second factor [k, n].
struct Factor {
  Value value;
  /// It is [n, k].
  bool areRowsColumns = false;
  int64_t rows = 0, columns = 0;

  int64_t axisOfK() const { return areRowsColumns ? 1 : 0; }
  int64_t k() const { return areRowsColumns ? columns : rows; }
};
} // namespace

static WeightFormat formatOf(int64_t bits, MLIRContext *context) {
  Type elements = IntegerType::get(context, static_cast<unsigned>(bits));
  return bits == 8 ? WeightFormat{elements, 127, 0} : WeightFormat{elements, 7, 32};
}

/// Kernels read blocks of whole vectors.
static constexpr int64_t kWholeVectors = 16;

/// The factor, or why it stays as it is.
static ReasonOr<Factor> factorOf(Value value, bool isTransposed, const WeightFormat &format) {
  std::optional<Shape> shape = shapeOf(value);
  if (!isConstant(value))
    return Reason{ReasonCode::NotConstant, "its weights are not constant"};
  if (!elementTypeOf(value).isF32() || !shape || shape->rank() != 2 || !shape->isStatic())
    return Reason{ReasonCode::ElementType, "its weights are no matrix of float32"};
  Factor factor{value, isTransposed, (*shape)[0].size(), (*shape)[1].size()};
  int64_t whole = format.blockSize ? format.blockSize : kWholeVectors;
  if (factor.k() == 0 || factor.k() % whole != 0 || factor.rows * factor.columns == 0)
    return Reason{ReasonCode::Shape,
                  "the columns of its weights are no multiple of " + std::to_string(whole)};
  return factor;
}

static Value createScalar(Composer &make, float number) {
  Tensor tensor = Tensor::allocate(DType::Float32, {}).take();
  *tensor.mutableData<float>() = number;
  return make.constant(tensor);
}

/// The largest magnitudes that share a scale, as nn.quantize takes scales. Nothing of the weights'
/// size is made on the way.
static Value createMagnitudes(Composer &make, const Factor &factor, const WeightFormat &format) {
  Value value = factor.value;
  int64_t axis = factor.axisOfK();
  if (format.blockSize) {
    int64_t blocks = factor.k() / format.blockSize;
    SmallVector<int64_t> split =
        factor.areRowsColumns ? SmallVector<int64_t>{factor.rows, blocks, format.blockSize}
                              : SmallVector<int64_t>{blocks, format.blockSize, factor.columns};
    value = make.create<ReshapeOp>(value, make.ints(split), /*allowzero=*/true);
    ++axis;
  }
  auto extreme = [&](ReduceKind kind) {
    return make.create<ReduceOp>(value, make.ints({axis}), kind, /*keepdims=*/false,
                                 /*noop_with_empty_axes=*/false);
  };
  Value below = make.create<MulOp>(extreme(ReduceKind::Min), createScalar(make, -1));
  return make.create<MaxOp>(extreme(ReduceKind::Max), below);
}

/// The factor rounded to integers and back.
static Value createQuantized(Composer &make, const Factor &factor, const WeightFormat &format) {
  Value magnitudes = createMagnitudes(make, factor, format);
  Value scale = make.create<MulOp>(magnitudes, createScalar(make, float(1 / format.most)));
  // Zeros by any scale are zeros.
  scale = make.create<MaxOp>(scale, createScalar(make, std::numeric_limits<float>::min()));
  Type wide = elementTypeOf(factor.value);
  // Columns have scales by the other dimension, blocks by this.
  int64_t axis = format.blockSize ? factor.axisOfK() : 1 - factor.axisOfK();
  Value integers = make.create<QuantizeOp>(factor.value, scale, make.none(), format.elements, wide,
                                           axis, format.blockSize, /*saturate=*/true);
  return make.create<DequantizeOp>(integers, scale, make.none(), wide, axis, format.blockSize);
}

namespace {
struct QuantizeWeightsPass : passes::impl::QuantizeWeightsPassBase<QuantizeWeightsPass> {
  using QuantizeWeightsPassBase::QuantizeWeightsPassBase;
  QuantizeWeightsPass(const QuantizeWeightsPassOptions &options, GraphLog *log)
      : QuantizeWeightsPassBase(options), log(log) {}

  void runOnOperation() override {
    if (bits != 8 && bits != 4) {
      getOperation().emitOpError("weights of ") << bits << " bits: wanted 8 or 4";
      return signalPassFailure();
    }
    getOperation().walk([&](Operation *op) {
      if (isa<MatMulOp, GemmOp>(op) && elementTypeOf(op->getOperand(0)).isF32())
        visit(op);
    });
  }

private:
  void visit(Operation *op);

  GraphLog *log = nullptr;
};
} // namespace

void QuantizeWeightsPass::visit(Operation *op) {
  OpBuilder builder(op);
  WeightFormat format = formatOf(bits, &getContext());
  auto gemm = dyn_cast<GemmOp>(op);
  ReasonOr<Factor> factor = factorOf(op->getOperand(1), gemm && gemm.getTransB(), format);
  if (factor && gemm &&
      (gemm.getTransA() || gemm.getAlpha().convertToDouble() != 1 ||
       (!isNone(gemm.getC()) && gemm.getBeta().convertToDouble() != 1)))
    factor = Reason{ReasonCode::Attributes, "it is scaled, or its first factor is transposed"};
  if (factor) {
    Composer make(builder, op->getLoc());
    op->setOperand(1, createQuantized(make, *factor, format));
  } else if (log && factor.reason().code != ReasonCode::NotConstant) {
    Reason reason = factor.reason();
    reason.text = "its weights stay float32: " + reason.text;
    log->refuse(Refusal::Kind::Precision, op->getLoc(), std::move(reason));
  }
}

std::unique_ptr<Pass> passes::createQuantizeWeightsPass(const QuantizeWeightsPassOptions &options,
                                                        GraphLog *log) {
  return std::make_unique<QuantizeWeightsPass>(options, log);
}
