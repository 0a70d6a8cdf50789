//===- FormIntegerProducts.cpp - products on 8-bit integers ---------------===//
//
// What a model computes on numbers that it has quantized is computed on these: u8 activations by
// constant s8 weights, with sums of int32, as instructions multiply them. Zero points of
// activations become part of a bias, by the sums of weights; beyond the edges of an image lies its
// zero point. Activations are multiplied by each other in the same way, with sums that the run
// makes of both. A policy says which products pay.
//
// Products of integers keep their integers. Those of dequantized floats are scaled once: where
// they are quantized again by one factor in float32, as ONNX Runtime does it, so that the integers
// are its.
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/QuantOps.h"
#include "passes/FloatProducts.h"
#include "passes/GraphLog.h"
#include "passes/IntegerFactors.h"
#include "passes/Passes.h"
#include "passes/ProductPolicy.h"
#include "passes/QuantizedValues.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_FORMINTEGERPRODUCTSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

//===----------------------------------------------------------------------===//
// Products of integers
//===----------------------------------------------------------------------===//

static int64_t sizeOf(const std::optional<Shape> &shape, int64_t dim) {
  return shape && (*shape)[dim].isStatic() ? (*shape)[dim].size() : -1;
}

/// The facts of a convolution; that it has weights of known sizes has been seen to.
template <typename Op> static ProductFacts factsOfConv(Op op, Value weights) {
  Shape shape = *shapeOf(weights.getType());
  ProductFacts facts{.spatialRank = shape.rank() - 2, .outputs = sizeOf(shape, 0)};
  facts.groups = op.getGroup();
  facts.inputs = sizeOf(shape, 1) * facts.groups;
  facts.depth = sizeOf(shape, 1);
  for (int64_t d = 2; d < shape.rank(); ++d)
    facts.depth *= sizeOf(shape, d);
  return facts;
}

static ProductFacts factsOfProduct(Value weights) {
  Shape shape = *shapeOf(weights.getType());
  return {.inputs = sizeOf(shape, 0), .outputs = sizeOf(shape, 1), .depth = sizeOf(shape, 0)};
}

/// The facts of a product of two activations, of ranks that are known.
static ProductFacts factsOfComputed(const Factors &factors) {
  Shape a = *shapeOf(factors.x.getType()), b = *shapeOf(factors.weights.getType());
  auto fromEnd = [](const Shape &shape, int64_t i) { return shape[shape.rank() - i]; };
  auto sizeOf = [](const Dim &dim) { return dim.isStatic() ? dim.size() : -1; };
  Dim rows = fromEnd(a, 2);
  ProductFacts facts{.inputs = sizeOf(fromEnd(a, 1)), .outputs = sizeOf(fromEnd(b, 1))};
  facts.depth = facts.inputs;
  facts.isComputed = true;
  facts.rows = sizeOf(rows);
  facts.matchesSecond = rows.provablyEquals(fromEnd(b, 1)) || rows.provablyEquals(fromEnd(b, 2));
  return facts;
}

/// Whether nothing of a window hangs over the edges, whatever the sizes.
template <typename Op> static bool hasNoPads(Op op) {
  bool isSame = op.getAutoPad() == AutoPad::SameUpper || op.getAutoPad() == AutoPad::SameLower;
  return !isSame && (op.getAutoPad() == AutoPad::Valid ||
                     llvm::all_of(op.getPads(), [](int64_t pad) { return pad == 0; }));
}

/// Whether the pads are numbers, none of which is negative.
template <typename Op> static bool hasKnownPads(Op op) {
  return op.getAutoPad() == AutoPad::NotSet &&
         llvm::all_of(op.getPads(), [](int64_t pad) { return pad >= 0; });
}

/// Why the convolution `op` of these cannot be one of bytes, or is better off without.
template <typename Op>
static std::optional<Reason> refuseConv(Op op, const Factors &factors,
                                        const ProductPolicy &policy) {
  if (std::optional<Reason> reason = refuseWeights(factors.weights, factors.weightsZero, 0))
    return reason;
  if (!isNone(factors.xZero) && !knownNumber(factors.xZero) && !hasNoPads(op) && !hasKnownPads(op))
    return Reason{ReasonCode::NotConstant,
                  "what lies beyond the edges is no constant, and how much follows from sizes"};
  return policy.refuse(factsOfConv(op, factors.weights));
}

/// Why the activations of a matrix product are none that nn.matmul gives the result's rank for.
static std::optional<Reason> refuseActivations(Value x) {
  std::optional<Shape> shape = shapeOf(x.getType());
  if (!shape || shape->rank() < 2)
    return Reason{ReasonCode::Shape, "the activations are no matrices, or of unknown rank"};
  return std::nullopt;
}

/// Why two activations are not multiplied as bytes, if they are not.
static std::optional<Reason> refuseComputed(const Factors &factors, const ProductPolicy &policy) {
  for (Value factor : {factors.x, factors.weights})
    if (std::optional<Reason> reason = refuseActivations(factor))
      return reason;
  if (!isOfTensor(factors.xZero) || !isOfTensor(factors.weightsZero))
    return Reason{ReasonCode::Broadcast, "an activation has several zero points"};
  return policy.refuse(factsOfComputed(factors));
}

static std::optional<Reason> refuseProduct(const Factors &factors, const ProductPolicy &policy) {
  if (!isConstant(factors.weights))
    return refuseComputed(factors, policy);
  std::optional<Shape> weights = shapeOf(factors.weights.getType());
  if (!weights || weights->rank() != 2)
    return Reason{ReasonCode::Shape, "the weights are no matrix"};
  if (std::optional<Reason> reason = refuseActivations(factors.x))
    return reason;
  if (!isNone(factors.xZero) && !shapeOf(factors.xZero.getType()))
    return Reason{ReasonCode::UnknownSize, "a zero point of unknown rank"};
  if (std::optional<Reason> reason = refuseWeights(factors.weights, factors.weightsZero, 1))
    return reason;
  return policy.refuse(factsOfProduct(factors.weights));
}

/// A vector along the channels of images, which `spatialRank` dimensions follow.
static Value alongChannels(Composer &make, Value vector, int64_t spatialRank) {
  SmallVector<int64_t> axes;
  for (int64_t i = 1; i <= spatialRank; ++i)
    axes.push_back(i);
  return make.create<UnsqueezeOp>(vector, make.ints(axes));
}

/// One number as a scalar; of a rank that is known, or a constant.
static Value asScalar(Composer &make, Value value) {
  std::optional<Shape> shape = shapeOf(value.getType());
  if (shape && shape->rank() == 0)
    return value;
  return make.create<ReshapeOp>(value, make.ints({}), /*allowzero=*/true);
}

/// `x` with the pads of `op` around it, in which its zero point lies.
template <typename Op> static Value padWith(Composer &make, Op op, Value x, Value zero) {
  size_t spatialRank = op.getPads().size() / 2;
  SmallVector<int64_t> pads(2, 0); // those of images and channels
  llvm::append_range(pads, op.getPads().take_front(spatialRank));
  pads.append(2, 0);
  llvm::append_range(pads, op.getPads().drop_front(spatialRank));
  return make.create<PadOp>(
      x, make.ints(pads), make.convert(asScalar(make, zero), elementTypeOf(x)), PadMode::Constant);
}

/// The sums of a convolution that is not refused; `bias` is of int32 or none. The zero point adds
/// -zero * (sum of weights) to all sums of a channel: what lies beyond the edges is as far from it
/// as anything.
template <typename Op>
static Value narrowConv(Composer &make, Op op, const Factors &factors, Value bias) {
  Type wide = make.builder().getI32Type();
  Value weights = centredWeights(make, factors.weights, factors.weightsZero, 0);
  Value x = asUnsigned(make, factors.x), zero = unsignedZero(make, factors.x, factors.xZero);
  Value offset;
  int64_t beyond = 0;
  bool isKnown = knownNumber(factors.xZero).has_value();
  if (zero)
    offset = make.create<MulOp>(asScalar(make, zero), sumsOfWeights(make, weights, 0));
  SmallVector<int64_t> pads(op.getPads());
  if (zero && !isKnown && !hasNoPads(op)) {
    x = padWith(make, op, x, zero);
    pads.assign(pads.size(), 0);
  }
  if (zero && isKnown) {
    bool isShifted = !elementTypeOf(factors.x).isUnsignedInteger();
    beyond = static_cast<int64_t>(*knownNumber(factors.xZero)) + (isShifted ? 128 : 0);
    if (isNone(bias))
      bias = make.constant(Tensor::of<int32_t>({}, {0}));
    bias = make.create<SubOp>(bias, offset);
  }
  Value sums = make.createOf<ConvOp>(wide, x, weights, bias, op.getStrides(), op.getDilations(),
                                     pads, op.getGroup(), op.getAutoPad(), beyond);
  if (!zero || isKnown)
    return sums;
  int64_t spatialRank = shapeOf(weights.getType())->rank() - 2;
  return make.create<SubOp>(sums, alongChannels(make, offset, spatialRank));
}

/// The sums in int32 of `bytes` less `zero`, which may be null, along the dimension `axis`, which
/// stays as 1.
static Value sumsAlong(Composer &make, Value bytes, Value zero, int64_t axis) {
  Value value = make.convert(bytes, make.builder().getI32Type());
  if (zero)
    value = make.create<SubOp>(value, zero);
  return make.create<ReduceOp>(value, make.ints({axis}), ReduceKind::Sum, /*keepdims=*/true,
                               /*noop_with_empty_axes=*/true);
}

/// The sums of a product of two activations that is not refused. Of a with the zero point p and b
/// with q, sum (a - p) (b - q) = sum a b - q sum a - p sum (b - q).
static Value narrowComputed(Composer &make, const Factors &factors) {
  Value a = asUnsigned(make, factors.x), b = asSigned(make, factors.weights);
  Value p = unsignedZero(make, factors.x, factors.xZero),
        q = signedZero(make, factors.weights, factors.weightsZero);
  for (Value *zero : {&p, &q})
    if (*zero)
      *zero = asScalar(make, *zero);
  // They are there before the product, whose epilogue takes them.
  SmallVector<Value> offsets;
  if (q)
    offsets.push_back(make.create<MulOp>(sumsAlong(make, a, {}, -1), q));
  if (p)
    offsets.push_back(make.create<MulOp>(sumsAlong(make, b, q, -2), p));
  Value sums = make.createOf<MatMulOp>(make.builder().getI32Type(), a, b);
  for (Value offset : offsets)
    sums = make.create<SubOp>(sums, offset);
  return sums;
}

/// The sums of a matrix product that is not refused. The zero point is one number, or one for
/// each row of x.
static Value narrowProduct(Composer &make, const Factors &factors) {
  if (!isConstant(factors.weights))
    return narrowComputed(make, factors);
  Value weights = centredWeights(make, factors.weights, factors.weightsZero, 1);
  Value x = asUnsigned(make, factors.x), zero = unsignedZero(make, factors.x, factors.xZero);
  Value sums = make.createOf<MatMulOp>(make.builder().getI32Type(), x, weights);
  if (!zero)
    return sums;
  std::optional<Shape> shape = shapeOf(zero.getType());
  if (shape->rank() == 1 && shape->numElements() == 1)
    zero = asScalar(make, zero);
  else if (shape->rank() == 1)
    zero = make.create<UnsqueezeOp>(zero, make.ints({1}));
  Value offset = make.create<MulOp>(zero, sumsOfWeights(make, weights, -1));
  return make.create<SubOp>(sums, offset);
}

/// Puts `value` in the place of `op`. A zero point for each row may say how many there are: what
/// uses `op` (a result, the end of a body) has been declared without that.
static void replace(PatternRewriter &rewriter, Operation *op, Value value) {
  value.setType(op->getResult(0).getType());
  rewriter.replaceOp(op, value);
}

namespace {
/// A pattern that asks a policy.
template <typename Op> struct PolicyPattern : OpRewritePattern<Op> {
  PolicyPattern(MLIRContext *context, const ProductPolicy &policy)
      : OpRewritePattern<Op>(context), policy(policy) {}
  const ProductPolicy &policy;
};

/// nn.conv_integer of constant weights.
struct NarrowConvInteger : PolicyPattern<ConvIntegerOp> {
  using PolicyPattern::PolicyPattern;
  LogicalResult matchAndRewrite(ConvIntegerOp op, PatternRewriter &rewriter) const override {
    Factors factors{op.getInput(), op.getInputZero(), op.getWeights(), op.getWeightsZero()};
    if (std::optional<Reason> reason = refuseConv(op, factors, policy))
      return refuseMatch(rewriter, op, *reason);
    Composer make(rewriter, op.getLoc());
    replace(rewriter, op, narrowConv(make, op, factors, op.getBias()));
    return success();
  }
};

/// nn.matmul_integer.
struct NarrowMatMulInteger : PolicyPattern<MatMulIntegerOp> {
  using PolicyPattern::PolicyPattern;
  LogicalResult matchAndRewrite(MatMulIntegerOp op, PatternRewriter &rewriter) const override {
    Factors factors{op.getA(), op.getAZero(), op.getB(), op.getBZero()};
    if (std::optional<Reason> reason = refuseProduct(factors, policy))
      return refuseMatch(rewriter, op, *reason);
    Composer make(rewriter, op.getLoc());
    replace(rewriter, op, narrowProduct(make, factors));
    return success();
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Products of dequantized floats
//===----------------------------------------------------------------------===//

/// Why a product of dequantized floats stays as it is, if it does.
static std::optional<Reason> refuse(const FloatProduct &product, const ProductPolicy &policy) {
  if (auto conv = dyn_cast<ConvOp>(product.op))
    return refuseConv(conv, product.factors, policy);
  if (!product.isTransposed)
    return refuseProduct(product.factors, policy);
  if (std::optional<Reason> reason = refuseActivations(product.factors.x))
    return reason;
  if (std::optional<Reason> reason =
          refuseWeights(product.factors.weights, product.factors.weightsZero, 0))
    return reason;
  ProductFacts facts = factsOfProduct(product.factors.weights);
  return policy.refuse({.inputs = facts.outputs, .outputs = facts.inputs, .depth = facts.outputs});
}

/// The sums in int32, with a bias of these.
static Value sumsOf(Composer &make, const FloatProduct &product) {
  Value none = make.none();
  Value bias = product.integerBias ? product.integerBias : none;
  if (auto conv = dyn_cast<ConvOp>(product.op))
    return narrowConv(make, conv, product.factors, bias);
  Factors factors = product.factors;
  if (product.isTransposed) {
    // The zero points have been subtracted then: they are along the other dimension.
    factors.weights = make.create<TransposeOp>(
        centredWeights(make, factors.weights, factors.weightsZero, 0), ArrayRef<int64_t>{1, 0});
    factors.weightsZero = none;
  }
  Value sums = narrowProduct(make, factors);
  return isNone(bias) ? sums : make.create<AddOp>(sums, bias);
}

/// What is one number or one for each channel, as it broadcasts to the result.
static Value ofChannels(Composer &make, Value value, const FloatProduct &product) {
  if (shapeOf(value.getType())->numElements() == 1)
    return asScalar(make, value);
  return product.spatialRank == 0 ? value : alongChannels(make, value, product.spatialRank);
}

namespace {
/// A product whose floats are quantized again at once: its integers are those of ONNX Runtime's
/// QLinearConv and QLinearMatMul. What bounds floats between (relu, clip) bounds what is scaled.
struct RequantizeProduct : PolicyPattern<QuantizeOp> {
  using PolicyPattern::PolicyPattern;
  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override;
};

/// Any other product: its floats are scaled integers.
template <typename Op> struct ScaleProduct : PolicyPattern<Op> {
  using PolicyPattern<Op>::PolicyPattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    std::optional<FloatProduct> product = matchFloatProduct(op);
    if (!product)
      return rewriter.notifyMatchFailure(op, "its factors are not dequantized");
    if (std::optional<Reason> reason = refuse(*product, this->policy))
      return refuseMatch(rewriter, op, *reason);
    Composer make(rewriter, op.getLoc());
    Value scale = make.create<MulOp>(asScalar(make, product->xScale),
                                     ofChannels(make, product->weightsScale, *product));
    Value value = make.create<MulOp>(
        make.convert(sumsOf(make, *product), make.builder().getF32Type()), scale);
    if (product->hasFloatBias())
      value = make.create<AddOp>(value, ofBias(make, *product));
    replace(rewriter, op, value);
    return success();
  }

  /// That of a matrix product may broadcast in any way.
  static Value ofBias(Composer &make, const FloatProduct &product) {
    return product.spatialRank == 0 ? product.floatBias
                                    : alongChannels(make, product.floatBias, product.spatialRank);
  }
};
} // namespace

/// Whether `op` bounds one float by a constant, or by 0.
static bool isBound(Operation *op) {
  if (isa<ReluOp>(op))
    return true;
  return isa<MaxOp, MinOp>(op) && knownNumber(op->getOperand(1)) &&
         shapeOf(op->getOperand(1).getType())->numElements() == 1;
}

LogicalResult RequantizeProduct::matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const {
  std::optional<double> scale = knownNumber(op.getScale());
  if (!op.getPrecision().isF32() || !elementTypeOf(op.getTo()).isInteger(8) || !scale ||
      !(*scale > 0) || !elementTypeOf(op.getScale()).isF32() || !knownNumber(op.getZeroPoint()))
    return rewriter.notifyMatchFailure(op, "it does not quantize to bytes of one scale");
  SmallVector<Operation *> bounds;
  Operation *producer = op.getX().getDefiningOp();
  while (producer && producer->hasOneUse() && isBound(producer)) {
    bounds.push_back(producer);
    producer = producer->getOperand(0).getDefiningOp();
  }
  if (!producer || !producer->hasOneUse() || !isa<ConvOp, MatMulOp, GemmOp>(producer))
    return rewriter.notifyMatchFailure(op, "no product is quantized");
  std::optional<FloatProduct> product = matchFloatProduct(producer);
  if (!product || product->hasFloatBias())
    return rewriter.notifyMatchFailure(op, "the factors of the product are not dequantized");
  if (std::optional<Reason> reason = refuse(*product, policy))
    return refuseMatch(rewriter, producer, *reason);

  Composer make(rewriter, producer->getLoc());
  Value sums = sumsOf(make, *product), ofResult = asScalar(make, op.getScale());
  Value factor =
      make.create<DivOp>(make.create<MulOp>(asScalar(make, product->xScale),
                                            ofChannels(make, product->weightsScale, *product)),
                         ofResult);
  Value value = make.create<MulOp>(make.convert(sums, rewriter.getF32Type()), factor);
  for (Operation *bound : llvm::reverse(bounds)) {
    Composer at(rewriter, bound->getLoc());
    auto scaled = [&] { return at.create<DivOp>(asScalar(at, bound->getOperand(1)), ofResult); };
    if (isa<ReluOp>(bound))
      value = at.create<ReluOp>(value);
    else if (isa<MaxOp>(bound))
      value = at.create<MaxOp>(value, scaled());
    else
      value = at.create<MinOp>(value, scaled());
  }
  Composer last(rewriter, op.getLoc());
  Value one = last.constant(Tensor::of<float>({}, {1}));
  replace(rewriter, op,
          last.create<QuantizeOp>(value, one, op.getZeroPoint(), op.getTo(), op.getPrecision()));
  return success();
}

namespace {
struct FormIntegerProductsPass
    : passes::impl::FormIntegerProductsPassBase<FormIntegerProductsPass> {
  using FormIntegerProductsPassBase::FormIntegerProductsPassBase;
  FormIntegerProductsPass(std::shared_ptr<const ProductPolicy> policy, GraphLog *log)
      : policy(std::move(policy)), log(log) {}

  void runOnOperation() override {
    if (!policy && all)
      policy = std::make_shared<AllProducts>();
    if (!policy)
      return markAllAnalysesPreserved();
    MLIRContext *context = &getContext();
    // First what is quantized again, which the second would leave nothing of.
    RewritePatternSet first(context), second(context), third(context);
    first.add<NarrowConvInteger, NarrowMatMulInteger, RequantizeProduct>(context, *policy);
    populateRequantizedSums(first);
    second.add<ScaleProduct<ConvOp>, ScaleProduct<MatMulOp>, ScaleProduct<GemmOp>>(context,
                                                                                   *policy);
    populateByteShifts(third);
    for (RewritePatternSet *patterns : {&first, &second, &third})
      if (failed(applyLogged(getOperation(), std::move(*patterns), Refusal::Kind::Raise, log)))
        return signalPassFailure();
  }

  std::shared_ptr<const ProductPolicy> policy;
  GraphLog *log = nullptr;
};
} // namespace

std::unique_ptr<Pass>
passes::createFormIntegerProductsPass(std::shared_ptr<const ProductPolicy> policy, GraphLog *log) {
  return std::make_unique<FormIntegerProductsPass>(std::move(policy), log);
}
