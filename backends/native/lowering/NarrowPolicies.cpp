//===- NarrowPolicies.cpp - what a target multiplies narrow ---------------===//
#include "backends/native/lowering/NarrowPolicies.h"

#include "backends/native/kernels/AttentionKernel.h"
#include "backends/native/kernels/TiledDotKernel.h"
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/lowering/Way.h"
#include "backends/native/target/CpuRates.h"
#include "ir/AttentionOps.h"
#include "ir/Constants.h"
#include "ir/RecurrentOps.h"
#include "ir/Types.h"
#include "passes/LayoutPolicy.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::passes;

/// Why a convolution in blocks would not read groups of channels, if so.
static std::optional<Reason> refuseChannels(const ConvFacts &conv, int64_t block) {
  ReasonOr<Blocking> blocking = chooseBlocks(conv, block);
  if (!blocking)
    return blocking.reason();
  if (blocking->input == 0)
    return Reason{ReasonCode::Layout,
                  "its input channels do not fill blocks of " + std::to_string(block)};
  return std::nullopt;
}

/// What is known of a convolution once its factors are bfloat16.
template <typename Op> static ConvFacts narrowFacts(Op conv, bool isTiled) {
  ConvFacts facts = factsOf(conv);
  facts.inputType = DType::BFloat16;
  facts.isTiled = isTiled;
  return facts;
}

/// Why a product with an unfolded image, which is packed once more in groups, does not pay, if so.
static std::optional<Reason> refuseUnfolded(nn::ConvOp conv) {
  constexpr int64_t kFewOutputs = 16, kLowDepth = 16;
  auto weights = dyn_cast<RankedTensorType>(conv.getWeights().getType());
  if (!weights || !weights.hasStaticShape())
    return Reason{ReasonCode::Shape, "its weights are of unknown size"};
  int64_t depth = weights.getNumElements() / std::max<int64_t>(weights.getDimSize(0), 1);
  if (weights.getDimSize(0) / conv.getGroup() < kFewOutputs || depth < kLowDepth)
    return Reason{ReasonCode::Shape,
                  "it is computed on plain images, and too few products share what is packed"};
  return std::nullopt;
}

/// What the run rounds or packs of a second factor pays for.
static constexpr int64_t kManyRows = 16;

/// Whether rows share what the run rounds and packs of a second factor: enough that are known, or
/// as many as that has rows or columns.
static bool areManyRows(const nn::Dim &rows, std::initializer_list<nn::Dim> ofSecond) {
  if (rows.isStatic())
    return rows.size() >= kManyRows;
  return llvm::any_of(ofSecond, [&](const nn::Dim &dim) { return rows.provablyEquals(dim); });
}

static Reason fewRows() {
  return {ReasonCode::Shape, "its second factor is computed, and no 16 rows are known to share it"};
}

/// Why a product by a computed factor does not pay, if so.
static std::optional<Reason> refuseComputed(Value a, Value b) {
  std::optional<nn::Shape> rows = nn::shapeOf(a), second = nn::shapeOf(b);
  if (nn::isConstant(b))
    return std::nullopt;
  if (!rows || !second || rows->rank() < 2 || second->rank() < 2)
    return fewRows();
  auto fromEnd = [](const nn::Shape &shape, int64_t i) { return shape[shape.rank() - i]; };
  if (areManyRows(fromEnd(*rows, 2), {fromEnd(*second, 1), fromEnd(*second, 2)}))
    return std::nullopt;
  return fewRows();
}

static std::optional<Reason> refuseAttention(nn::AttentionOp op) {
  std::optional<nn::Shape> query = nn::shapeOf(op.getQuery()), key = nn::shapeOf(op.getKey());
  if (query && key && areManyRows((*query)[op.getQueryPerm()[2]], {(*key)[op.getKeyPerm()[2]]}))
    return std::nullopt;
  return Reason{ReasonCode::Shape, "no 16 queries are known to share its keys and values"};
}

/// What Winograd's algorithm would compute in `block` channels; of images of unknown size nobody
/// can tell.
static std::optional<WinogradImage> winogradImageOf(nn::ConvOp conv, int64_t block) {
  std::optional<nn::Shape> weights = nn::shapeOf(conv.getWeights()),
                           output = nn::shapeOf(conv.getResult());
  if (!weights || !output || weights->rank() < 3 || weights->rank() > 4)
    return std::nullopt;
  int64_t spatial = weights->rank() - 2;
  auto axisOf = [&](int64_t axis) -> std::optional<WinogradImage::Axis> {
    const nn::Dim &taps = (*weights)[2 + axis], &size = (*output)[2 + axis];
    bool isDense = taps.isStatic(1) || (taps.isStatic() && conv.getDilations()[axis] == 1);
    if (!isDense || !size.isStatic())
      return std::nullopt;
    return WinogradImage::Axis{size.size(), taps.size(), conv.getStrides()[axis]};
  };
  // A line is an image of one row.
  std::optional<WinogradImage::Axis> columns = axisOf(spatial - 1),
                                     rows = spatial > 1 ? axisOf(0) : WinogradImage::Axis{1, 1, 1};
  ConvFacts facts = factsOf(conv);
  // Single channels and small groups have a way of their own.
  if (!rows || !columns || isWithinBlocks(facts.groups, facts.inputs, facts.outputs, block))
    return std::nullopt;
  WinogradImage image{facts.inputs, facts.outputs, facts.groups, block, *rows, *columns};
  return hasWinogradTiles(image) ? std::optional(image) : std::nullopt;
}

/// Of direct sums.
static double flopsOf(const WinogradImage &image) {
  return 2.0 * double(image.depth()) * double(image.outputs) *
         double(image.rows.size * image.rows.taps) *
         double(image.columns.size * image.columns.taps);
}

/// Whether Winograd's algorithm, which needs a half or a quarter of the multiplications, is faster
/// on float32 than direct sums on bfloat16.
bool NativePrecision::isFasterByWinograd(nn::ConvOp conv) const {
  if (!hasWinograd || hasTiles())
    return false;
  ConvFacts facts = factsOf(conv);
  ReasonOr<Blocking> blocking = chooseBlocks(facts, target.channelBlock());
  if (!blocking || blocking->input != blocking->output)
    return false;
  std::optional<WinogradImage> image = winogradImageOf(conv, blocking->input);
  return image && costOfWinograd(*image, target) <
                      nanoseconds({.flops = flopsOf(*image)}, DType::BFloat16, target);
}

/// Whether as many rows meet a constant matrix as are multiplied while it comes from memory, half
/// of it in bfloat16.
static bool areFewRows(std::optional<int64_t> rows) {
  constexpr int64_t kFewRows = 4;
  return rows && *rows <= kFewRows;
}

/// The rows of A that meet the same constant B, where they are known.
static std::optional<int64_t> rowsOfA(const std::optional<nn::Shape> &shape) {
  if (!shape || !shape->isStatic())
    return std::nullopt;
  int64_t rows = 1;
  for (int64_t i = 0; i + 1 < shape->rank(); ++i)
    rows *= (*shape)[i].size();
  return rows;
}

/// Whether tiles of matrices multiply rows, if they are known, along so many elements of bfloat16.
static bool areTiled(std::optional<int64_t> rows, int64_t steps, int64_t stepElements) {
  constexpr DType kNarrow = DType::BFloat16, kSums = DType::Float32;
  return !rows || tilesPay({kNarrow, kNarrow, kSums, kSums}, *rows, steps,
                           stepElements * dtypeBytes(kNarrow));
}

bool NativePrecision::hasTiles() const {
  constexpr DType kNarrow = DType::BFloat16, kSums = DType::Float32;
  return TileUnit::has(target, {kNarrow, kNarrow, kSums, kSums});
}

/// On plain images the weights are the rows, and what tiles take of the image is packed in the run.
static bool isTiledPlain(const ConvFacts &conv, const nn::Shape &weights) {
  constexpr int64_t kStep = TileUnit::kRowBytes / 2, kFewOutputs = 32;
  int64_t outputs = conv.outputs / conv.groups;
  int64_t depth = weights.numElements().value_or(0) / std::max<int64_t>(conv.outputs, 1);
  return outputs >= kFewOutputs && areTiled(outputs, ceilDiv(depth, kStep), kStep);
}

bool NativePrecision::isTiledConv(nn::ConvOp conv) const {
  ConvFacts facts = narrowFacts(conv, hasTiles());
  std::optional<nn::Shape> weights = nn::shapeOf(conv.getWeights()),
                           output = nn::shapeOf(conv.getResult());
  int64_t depth = facts.inputs / std::max<int64_t>(facts.groups, 1), block = target.channelBlock();
  if (!isImage(conv) || !weights || !weights->isStatic())
    return false;
  if (!chooseBlocks(facts, block))
    return isTiledPlain(facts, *weights);
  // Pixels of a first layer have four channels, of which a row of the filter's lies together.
  constexpr int64_t kFewChannels = 4;
  bool isFirst = facts.groups == 1 && depth <= kFewChannels;
  // Tiles take a part of a block of single pixels, and zeros beside it from a copy with a halo
  // (LowerBlockedConv.cpp).
  bool hasHalo = llvm::any_of(conv.getPads(), [](int64_t pad) { return pad > 0; });
  bool isOfPixels =
      !hasHalo && weights->rank() == 4 && (*weights)[2].isStatic(1) && (*weights)[3].isStatic(1);
  bool takesParts = facts.groups == 1 && (hasHalo || isOfPixels);
  if (depth == 0 || (depth % block != 0 && !isFirst && !takesParts))
    return false;
  int64_t step = isFirst ? kFewChannels * (*weights)[weights->rank() - 1].size() : block;
  int64_t taps = isFirst ? 1 : ceilDiv(depth, block);
  std::optional<int64_t> pixels = 1;
  for (int64_t axis = 2; axis < weights->rank(); ++axis) {
    taps *= isFirst && axis + 1 == weights->rank() ? 1 : (*weights)[axis].size();
    const nn::Dim &size = (*output)[axis];
    pixels = pixels && size.isStatic() ? std::optional(*pixels * size.size()) : std::nullopt;
  }
  return areTiled(pixels, taps, step);
}

static Reason slowPairs() {
  return {ReasonCode::Form,
          "tiles of matrices do not serve it, and vectors of this CPU multiply float32 faster"};
}

/// On plain images it is a product in float32, and the sum of what that gives.
std::optional<Reason> NativePrecision::refuseTransposed(nn::ConvTransposeOp conv) const {
  int64_t block = target.channelBlock();
  if (!isImage(conv))
    return noBlockableImage();
  if (std::optional<Reason> reason = refusePhases(conv))
    return reason;
  ConvFacts facts = narrowFacts(conv, hasTiles());
  if (std::optional<Reason> reason = refuseChannels(facts, block))
    return reason;
  if (hasFastPairs(target))
    return std::nullopt;
  std::optional<nn::Shape> input = nn::shapeOf(conv.getInput()),
                           weights = nn::shapeOf(conv.getWeights());
  std::optional<int64_t> pixels = 1;
  int64_t steps = ceilDiv(facts.inputs, block);
  for (auto [i, stride] : llvm::enumerate(conv.getStrides())) {
    auto axis = static_cast<int64_t>(i) + 2;
    const nn::Dim &size = (*input)[axis];
    steps *= ceilDiv((*weights)[axis].size(), stride);
    pixels = pixels && size.isStatic() ? std::optional(*pixels * size.size()) : std::nullopt;
  }
  if (hasTiles() && facts.inputs % block == 0 && areTiled(pixels, steps, block))
    return std::nullopt;
  return slowPairs();
}

/// Where pairs of bfloat16 on vectors are slower than float32, tiles must multiply them, or memory
/// be what is waited for.
std::optional<Reason> NativePrecision::refuseSlowPairs(Operation *op) const {
  if (isa<nn::RecurrentOp>(op))
    return std::nullopt;
  if (auto attention = dyn_cast<nn::AttentionOp>(op)) {
    std::optional<nn::Shape> query = nn::shapeOf(attention.getQuery());
    constexpr int64_t kElement = 3;
    if (hasTiles() && query && query->rank() > kElement) {
      const nn::Dim &size = (*query)[attention.getQueryPerm()[kElement]];
      if (size.isStatic() && AttentionSpec::isWholeTiles(size.size()))
        return std::nullopt;
    }
  }
  if (auto conv = dyn_cast<nn::ConvOp>(op)) {
    if (factsOf(conv).isDepthwise() || (hasTiles() && isTiledConv(conv)))
      return std::nullopt;
  } else if (isa<nn::MatMulOp, nn::GemmOp>(op) && nn::isConstant(op->getOperand(1))) {
    constexpr int64_t kStep = TileUnit::kRowBytes / 2;
    std::optional<nn::Shape> first = nn::shapeOf(op->getOperand(0));
    std::optional<int64_t> rows = rowsOfA(first);
    int64_t depth = first && first->rank() > 0 && (*first)[first->rank() - 1].isStatic()
                        ? (*first)[first->rank() - 1].size()
                        : kStep;
    if (areFewRows(rows) || (hasTiles() && areTiled(rows, ceilDiv(depth, kStep), kStep)))
      return std::nullopt;
  }
  return slowPairs();
}

std::optional<Reason> NativePrecision::refuse(Operation *op) const {
  if (!target.has(Isa::Bf16Dot))
    return Reason{ReasonCode::NoKernel, "this CPU has no instruction for products of bfloat16"};
  if (std::optional<Reason> reason = BFloat16Factors::refuse(op))
    return reason;
  if (auto conv = dyn_cast<nn::ConvTransposeOp>(op))
    return refuseTransposed(conv);
  if (passes::sumsFloat32(op) && !hasFastPairs(target))
    if (std::optional<Reason> reason = refuseSlowPairs(op))
      return reason;
  if (auto attention = dyn_cast<nn::AttentionOp>(op))
    return refuseAttention(attention);
  if (isa<nn::MatMulOp, nn::GemmOp>(op))
    return refuseComputed(op->getOperand(0), op->getOperand(1));
  auto conv = dyn_cast<nn::ConvOp>(op);
  if (!conv)
    return std::nullopt;
  if (isImage(conv)) {
    if (isFasterByWinograd(conv))
      return Reason{ReasonCode::Form, "Winograd's algorithm in float32 is faster by estimate"};
    // Where float32 is computed in blocks, or tiles multiply what would not fill them.
    int64_t block = target.channelBlock();
    ConvFacts narrow = narrowFacts(conv, hasTiles());
    if (chooseBlocks(factsOf(conv), block) || chooseBlocks(narrow, block))
      return refuseChannels(narrow, block);
  }
  return refuseUnfolded(conv);
}

int64_t NativeProducts::lookupCost() const {
  // Two permutations and a choice; three instructions for each of 16 rows, by which the bytes of
  // four vectors are looked up, of two on AVX2; elsewhere, what moves the bytes one by one.
  return target.has(Isa::BytePermute) ? 6 : target.has(Isa::Avx512) ? 14 : 32;
}

std::optional<Reason> NativeProducts::refuse(const ProductFacts &product) const {
  if (product.isComputed && (product.rows < 0 ? !product.matchesSecond : product.rows < kManyRows))
    return fewRows();
  if (!product.isConv())
    return std::nullopt;
  ConvFacts facts{
      .dtype = DType::Int32,
      .inputType = DType::UInt8,
      .spatialRank = product.spatialRank,
      .inputs = product.inputs,
      .outputs = product.outputs,
      .groups = product.groups,
      .hasConstantWeights = true,
      .isTiled = TileUnit::has(target, {DType::UInt8, DType::Int8, DType::Int32, DType::Int32})};
  if (product.spatialRank != 2 || product.inputs < 0 || product.outputs < 0)
    return noBlockableImage();
  return refuseChannels(facts, target.channelBlock());
}

/// The block of an image of `channels` channels whose rows tiles read; as all who read or make it
/// choose by its channels, it keeps its layout.
static int64_t widestBlock(int64_t channels, int64_t bytes, int64_t least) {
  int64_t block = TileUnit::kRowBytes / bytes;
  while (block > least && channels % block != 0)
    block /= 2;
  return block;
}

/// Whether Winograd's algorithm on blocks, with whatever padding, is faster than direct sums of a
/// plain image.
bool NativeLayouts::isFasterByWinograd(nn::ConvOp conv) const {
  // That the fastest kernel of plain images reaches of the peak (LineConvKernel).
  constexpr double kShareOfPeak = 0.85;
  ConvFacts facts = factsOf(conv);
  Blocking blocks{target.channelBlock(), target.channelBlock()};
  if (!hasWinograd || facts.dtype != DType::Float32 || facts.inputType != facts.dtype ||
      facts.readsOfPixel <= 1 || refuseBlocks(facts, blocks))
    return false;
  std::optional<WinogradImage> image = winogradImageOf(conv, blocks.input);
  if (!image)
    return false;
  auto bytesOfPadding = [&](int64_t channels) {
    return double(ceilDiv(channels, image->block) * image->block - channels) *
           double(image->rows.size) * double(image->columns.size) * double(dtypeBytes(facts.dtype));
  };
  StepCost padding{.bytesRead = bytesOfPadding(image->channels),
                   .bytesWritten = bytesOfPadding(image->outputs)};
  double winograd = costOfWinograd(*image, target) + nanoseconds(padding, facts.dtype, target);
  return winograd < nanoseconds({.flops = flopsOf(*image) / kShareOfPeak}, facts.dtype, target);
}

/// Where tiles of matrices multiply its factors.
Blocking NativeLayouts::widest(const Blocking &blocking, const ConvFacts &facts) const {
  int64_t least = target.channelBlock(), bytes = dtypeBytes(facts.inputType);
  int64_t input = widestBlock(facts.inputs / facts.groups, bytes, least);
  int64_t output = widestBlock(facts.outputs / facts.groups, bytes, least);
  if (facts.isDepthwise())
    input = output = widestBlock(facts.inputs, bytes, least);
  else if (facts.groups > 1)
    input = output = std::min(input, output);
  return {blocking.input == least ? input : blocking.input, output};
}

bool NativeLayouts::isTiled(Operation *conv) const {
  auto typeOf = [](Value value) { return nn::dtypeOf(nn::elementTypeOf(value)); };
  DType sums = typeOf(conv->getResult(0));
  return TileUnit::has(target,
                       {typeOf(conv->getOperand(0)), typeOf(conv->getOperand(1)), sums, sums});
}

ReasonOr<Blocking> NativeLayouts::blockConv(nn::ConvOp conv) const {
  ReasonOr<Blocking> blocking = ChannelBlocks::blockConv(conv);
  int64_t least = target.channelBlock(), given = sourceBlock(conv.getInput());
  if ((!blocking || blocking->input == 0) && isImage(conv) && isFasterByWinograd(conv))
    return Blocking{least, least};
  if (!blocking)
    return blocking;
  ConvFacts facts = factsOf(conv);
  // What comes in blocks is read so, though channels do not fill the last one.
  if (blocking->input == 0 && given == least && !refuseBlocks(facts, {least, least}))
    blocking = Blocking{least, blocking->output};
  if (isTiled(conv))
    return widest(*blocking, facts);
  // A convolution of each channel by itself follows the image that it is given.
  return facts.isDepthwise() && given > least ? Blocking{given, given} : blocking;
}

ReasonOr<Blocking> NativeLayouts::blockTransposed(nn::ConvTransposeOp conv) const {
  ReasonOr<Blocking> blocking = ChannelBlocks::blockTransposed(conv);
  return blocking && isTiled(conv) ? widest(*blocking, factsOf(conv)) : blocking;
}

ReasonOr<Blocking> NativeLayouts::blockPool(Operation *pool, int64_t given) const {
  ReasonOr<Blocking> blocking = ChannelBlocks::blockPool(pool, given);
  return blocking && given > blocking->input ? Blocking{given, given} : blocking;
}
