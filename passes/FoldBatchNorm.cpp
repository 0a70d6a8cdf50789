//===- FoldBatchNorm.cpp - per-channel scale and shift into weights -------===//
//
// y = (W x + b) * s + t is (W s) x + (b s + t) when s and t are constants of the
// output channels. Sums are rounded in another order than in the model, as by
// every compiler that does this; the new weights are rounded once, from double.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "passes/ChannelConstants.h"
#include "passes/FoldBudget.h"
#include "passes/GraphLog.h"
#include "passes/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cmath>
#include <map>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_FOLDBATCHNORMPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

namespace {
/// y = x * scale + shift by channel.
struct ChannelAffine {
  std::vector<double> scale;
  std::vector<double> shift;

  static ChannelAffine identity(int64_t channels) {
    return {std::vector<double>(channels, 1.0), std::vector<double>(channels, 0.0)};
  }
};

/// A conv, conv_transpose or gemm whose weights and bias can be rewritten.
struct Producer {
  Operation *op = nullptr;
  WeightSource weights;
  ChannelOrder order;
  /// The bias per channel as it is added to the product (beta applied).
  std::vector<double> bias;
};

constexpr unsigned kWeights = 1, kBias = 2;

/// Where the channels lie in the weights of `op`; nullopt for other ops.
std::optional<ChannelOrder> channelOrder(Operation *op, const Tensor::Dims &dims) {
  auto kernelSize = [&] { return CheckedSize::product(std::span(dims).subspan(2)).value(); };
  if (isa<ConvOp>(op))
    return ChannelOrder{.perGroup = dims[0], .inner = dims[1] * kernelSize()};
  if (auto conv = dyn_cast<ConvTransposeOp>(op)) {
    int64_t groups = conv.getGroup();
    return ChannelOrder{groups, dims[0] / groups, dims[1], kernelSize()};
  }
  if (auto gemm = dyn_cast<GemmOp>(op)) {
    if (gemm.getTransB())
      return ChannelOrder{.perGroup = dims[0], .inner = dims[1]};
    return ChannelOrder{.repeats = dims[0], .perGroup = dims[1]};
  }
  return std::nullopt;
}

/// The producer of `value` when its weights may change: they are constant and
/// only `consumer` sees the result.
FailureOr<Producer> matchProducer(Value value, Operation *consumer, PatternRewriter &rewriter) {
  Operation *op = value.getDefiningOp();
  if (!isa_and_nonnull<ConvOp, ConvTransposeOp, GemmOp>(op))
    return rewriter.notifyMatchFailure(consumer, "input is no conv, conv_transpose or gemm");
  if (!value.hasOneUse())
    return refuseMatch(rewriter, consumer,
                       {ReasonCode::SeveralUses, "the producer's result has other uses"});
  std::optional<WeightSource> weights = weightSource(op->getOperand(kWeights));
  if (!weights || !isFloat(weights->dtype()))
    return refuseMatch(rewriter, consumer,
                       {ReasonCode::NotConstant, "the producer's weights are no float constant"});
  if (weights->dtype() != dtypeOf(elementTypeOf(value)))
    return refuseMatch(rewriter, consumer,
                       {ReasonCode::ElementType, "the producer's weights would be rounded"});
  Producer producer{op, *weights, *channelOrder(op, weights->dims()), {}};

  int64_t channels = producer.order.channels();
  Value bias = producer.op->getOperand(kBias);
  auto gemm = dyn_cast<GemmOp>(producer.op);
  if (isNone(bias)) {
    producer.bias.assign(channels, 0.0);
    return producer;
  }
  std::optional<std::vector<double>> values =
      gemm ? channelValues(bias, /*rank=*/2, /*axis=*/1, channels)
           : channelValues(bias, /*rank=*/1, /*axis=*/0, channels);
  if (!values)
    return refuseMatch(rewriter, consumer,
                       {ReasonCode::NotConstant, "the producer's bias is not constant by channel"});
  producer.bias = std::move(*values);
  if (gemm)
    for (double &b : producer.bias)
      b *= gemm.getBeta().convertToDouble();
  return producer;
}

/// The weights times scales, computed when somebody reads them: then it happens in parallel and
/// the product lives only until it is packed.
class WeightScaler {
public:
  explicit WeightScaler(Budget &budget) : budget(budget) {}

  /// An error when the budget does not suffice.
  Expected<WeightSource> scaled(const Producer &producer, const std::vector<double> &scale);
  /// Whether the budget allows for another bias.
  Status chargeBias(int64_t channels, DType dtype) {
    CheckedSize bytes = CheckedSize(channels) * CheckedSize(dtypeBytes(dtype));
    QUERN_TRY(budget.require(channels));
    QUERN_TRY(budget.spend(channels));
    return budget.hold(bytes.value());
  }

private:
  struct Scaling {
    WeightSource weights;
    ChannelOrder order;
    std::vector<double> scale;
  };

  Budget &budget;
  /// Weights that have been scaled, by the key of the result: scaled again, they are their
  /// original by the product of the scales, rounded once. A chain of such ops, which may be as
  /// long as the model's author likes, makes no chain of recipes.
  std::map<std::string, Scaling> scalings;
};

Expected<WeightSource> WeightScaler::scaled(const Producer &producer,
                                            const std::vector<double> &scale) {
  Scaling scaling{producer.weights, producer.order, scale};
  auto before = scalings.find(producer.weights.key());
  if (before != scalings.end() && before->second.order == producer.order) {
    scaling.weights = before->second.weights;
    for (auto [factor, earlier] : llvm::zip_equal(scaling.scale, before->second.scale))
      factor *= earlier;
  }
  const WeightSource &weights = scaling.weights;
  if (weights.recipes() > WeightSource::kMaxRecipes)
    return resourceLimit("the weights are computed from too many others");
  CheckedSize work = CheckedSize(2) * CheckedSize::product(weights.dims());
  QUERN_TRY(budget.require(work));
  QUERN_TRY(budget.spend(work.value()));
  QUERN_TRY(budget.hold(weights.numBytes()));
  WeightRecipe recipe = [scaling]() -> Expected<Tensor> {
    QUERN_ASSIGN(Tensor view, scaling.weights.view());
    QUERN_ASSIGN(Tensor scaled, scaleChannels(view, scaling.order, scaling.scale));
    view = Tensor();
    scaling.weights.release();
    return scaled;
  };
  WeightSource result = WeightSource::computed(weights.dtype(), weights.dims(), std::move(recipe),
                                               std::span(&weights, 1));
  if (before != scalings.end())
    scalings.erase(before);
  scalings.insert_or_assign(result.key(), std::move(scaling));
  return result;
}

/// Replaces producer and consumer by the producer with `affine` folded in.
LogicalResult foldInto(const Producer &producer, const ChannelAffine &affine, Operation *consumer,
                       WeightScaler &scaler, PatternRewriter &rewriter) {
  std::vector<double> shifted(producer.bias.size());
  for (size_t c = 0; c < shifted.size(); ++c)
    shifted[c] = producer.bias[c] * affine.scale[c] + affine.shift[c];
  DType dtype = producer.weights.dtype();
  if (!scaler.chargeBias(static_cast<int64_t>(shifted.size()), dtype).isOk())
    return refuseMatch(rewriter, consumer,
                       {ReasonCode::Limit, "the budget does not suffice for a new bias"});
  Expected<Tensor> bias = tensorFromDoubles(dtype, {static_cast<int64_t>(shifted.size())}, shifted);
  if (!bias)
    return refuseMatch(rewriter, consumer, {ReasonCode::Limit, "the new bias cannot be computed"});
  bool scales = llvm::any_of(affine.scale, [](double s) { return s != 1.0; });
  std::optional<WeightSource> weights;
  if (scales) {
    Expected<WeightSource> scaled = scaler.scaled(producer, affine.scale);
    if (!scaled)
      return refuseMatch(rewriter, consumer,
                         {ReasonCode::Limit, "the new weights cannot be computed"});
    weights = scaled.take();
  }

  rewriter.setInsertionPoint(consumer);
  Location loc = fusedLocation({producer.op->getLoc(), consumer->getLoc()});
  Operation *folded = rewriter.clone(*producer.op);
  folded->setLoc(loc);
  rewriter.setInsertionPoint(folded);
  if (scales)
    folded->setOperand(kWeights, createWeight(rewriter, loc, *weights));
  folded->setOperand(kBias, createConstant(rewriter, loc, *bias));
  if (auto gemm = dyn_cast<GemmOp>(folded))
    gemm.setBetaAttr(rewriter.getF64FloatAttr(1.0));
  rewriter.replaceOp(consumer, folded);
  return success();
}

/// scale / sqrt(variance + epsilon), and the shift that goes with it.
std::optional<ChannelAffine> affineOf(BatchNormOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getScale().getType());
  if (!type || !type.hasStaticShape() || type.getRank() != 1)
    return std::nullopt;
  int64_t channels = type.getDimSize(0);
  auto scale = channelValues(op.getScale(), 1, 0, channels);
  auto bias = channelValues(op.getBias(), 1, 0, channels);
  auto mean = channelValues(op.getMean(), 1, 0, channels);
  auto variance = channelValues(op.getVariance(), 1, 0, channels);
  if (!scale || !bias || !mean || !variance)
    return std::nullopt;
  ChannelAffine affine = ChannelAffine::identity(channels);
  double epsilon = op.getEpsilon().convertToDouble();
  for (int64_t c = 0; c < channels; ++c) {
    affine.scale[c] = (*scale)[c] / std::sqrt((*variance)[c] + epsilon);
    affine.shift[c] = (*bias)[c] - (*mean)[c] * affine.scale[c];
  }
  return affine;
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

/// batch_norm(producer(x)) with constant parameters becomes the producer.
struct FoldBatchNormIntoProducer : OpRewritePattern<BatchNormOp> {
  FoldBatchNormIntoProducer(MLIRContext *context, WeightScaler &scaler)
      : OpRewritePattern(context), scaler(scaler) {}
  LogicalResult matchAndRewrite(BatchNormOp op, PatternRewriter &rewriter) const override {
    FailureOr<Producer> producer = matchProducer(op.getInput(), op, rewriter);
    if (failed(producer))
      return failure();
    std::optional<ChannelAffine> affine = affineOf(op);
    if (!affine || affine->scale.size() != producer->bias.size())
      return refuseMatch(rewriter, op,
                         {ReasonCode::NotConstant, "the parameters are not constant"});
    return foldInto(*producer, *affine, op, scaler, rewriter);
  }
  WeightScaler &scaler;
};

/// producer(x) * c, producer(x) + c and producer(x) - c with a constant by
/// channel become the producer.
template <typename Op> struct FoldArithmeticIntoProducer : OpRewritePattern<Op> {
  FoldArithmeticIntoProducer(MLIRContext *context, WeightScaler &scaler)
      : OpRewritePattern<Op>(context), scaler(scaler) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    bool swapped = !std::is_same_v<Op, SubOp> && isConstant(op.getA());
    Value x = swapped ? op.getB() : op.getA(), constant = swapped ? op.getA() : op.getB();
    if (!isConstant(constant))
      return rewriter.notifyMatchFailure(op, "no operand is constant");
    FailureOr<Producer> producer = matchProducer(x, op, rewriter);
    if (failed(producer))
      return failure();
    auto type = dyn_cast<RankedTensorType>(x.getType());
    if (!type || type != op.getType())
      return refuseMatch(rewriter, op,
                         {ReasonCode::Broadcast, "the operation broadcasts the producer's result"});
    int64_t channels = producer->order.channels();
    auto values = channelValues(constant, type.getRank(), /*axis=*/1, channels);
    if (!values)
      return refuseMatch(rewriter, op,
                         {ReasonCode::Broadcast, "no operand is constant by channel"});
    ChannelAffine affine = ChannelAffine::identity(channels);
    for (int64_t c = 0; c < channels; ++c) {
      if (std::is_same_v<Op, MulOp>)
        affine.scale[c] = (*values)[c];
      else
        affine.shift[c] = std::is_same_v<Op, SubOp> ? -(*values)[c] : (*values)[c];
    }
    return foldInto(*producer, affine, op, scaler, rewriter);
  }
  WeightScaler &scaler;
};

/// A batch_norm with constant parameters and no producer to fold into becomes a
/// multiplication and an addition.
struct DecomposeBatchNorm : OpRewritePattern<BatchNormOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BatchNormOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getInput().getType());
    std::optional<ChannelAffine> affine = affineOf(op);
    if (!type || !affine)
      return rewriter.notifyMatchFailure(op, "unknown rank, or parameters are not constant");
    DType dtype = nn::dtypeOf(type.getElementType());
    // [C, 1...], to be broadcast at dimension 1; of a vector all is one channel.
    Tensor::Dims dims(std::max<int64_t>(type.getRank() - 1, 1), 1);
    dims[0] = static_cast<int64_t>(affine->scale.size());
    Expected<Tensor> scale = tensorFromDoubles(dtype, dims, affine->scale);
    Expected<Tensor> shift = tensorFromDoubles(dtype, dims, affine->shift);
    if (!scale || !shift)
      return rewriter.notifyMatchFailure(op, "the element type is not supported");
    Value product = rewriter.create<MulOp>(op.getLoc(), op.getType(), op.getInput(),
                                           createConstant(rewriter, op.getLoc(), *scale));
    rewriter.replaceOpWithNewOp<AddOp>(op, op.getType(), product,
                                       createConstant(rewriter, op.getLoc(), *shift));
    return success();
  }
};

struct FoldBatchNormPass : passes::impl::FoldBatchNormPassBase<FoldBatchNormPass> {
  using FoldBatchNormPassBase::FoldBatchNormPassBase;
  FoldBatchNormPass(std::shared_ptr<Budget> budget, GraphLog *log)
      : sharedBudget(std::move(budget)), log(log) {}

  void runOnOperation() override {
    Limits limits;
    limits.maxFoldedWork = maxFoldedWork;
    std::shared_ptr<Budget> budget = sharedBudget ? sharedBudget : makeFoldBudget(limits);
    // All folding first: what is decomposed too early would be folded in two steps.
    WeightScaler scaler(*budget);
    RewritePatternSet folding(&getContext()), decomposition(&getContext());
    folding.add<FoldBatchNormIntoProducer, FoldArithmeticIntoProducer<MulOp>,
                FoldArithmeticIntoProducer<AddOp>, FoldArithmeticIntoProducer<SubOp>>(&getContext(),
                                                                                      scaler);
    decomposition.add<DecomposeBatchNorm>(&getContext());
    if (failed(applyLogged(getOperation(), std::move(folding), Refusal::Kind::Fold, log)) ||
        failed(applyPatternsAndFoldGreedily(getOperation(), std::move(decomposition))))
      signalPassFailure();
    else if (Status status = budget->check(); !status.isOk()) {
      getOperation().emitError(status.message());
      signalPassFailure();
    }
  }

  std::shared_ptr<Budget> sharedBudget;
  GraphLog *log = nullptr;
};
} // namespace

std::unique_ptr<Pass> passes::createFoldBatchNormPass(std::shared_ptr<Budget> budget,
                                                      GraphLog *log) {
  return std::make_unique<FoldBatchNormPass>(std::move(budget), log);
}
