//===- LayoutPolicy.cpp - which ops pay on channel-blocked tensors --------===//
#include "passes/LayoutPolicy.h"

#include "ir/Types.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

bool passes::isWithinBlocks(int64_t groups, int64_t inputs, int64_t outputs, int64_t block) {
  if (groups <= 1 || inputs <= 0 || inputs % groups != 0 || outputs % inputs != 0)
    return false;
  int64_t perGroup = inputs / groups, results = outputs / inputs;
  if (perGroup == 1)
    return results == 1 || (results > 0 && block % results == 0);
  return results == 1 && perGroup < block && block % perGroup == 0;
}

/// Groups of several channels, or several results of each channel, where kernels permute them.
static bool isOfSmallGroups(const ConvFacts &conv, int64_t block) {
  return conv.dtype == DType::Float32 && conv.inputType == DType::Float32 &&
         isWithinBlocks(conv.groups, conv.inputs, conv.outputs, block);
}

std::optional<Reason> passes::refuseBlocks(const ConvFacts &conv, const Blocking &blocking) {
  if (conv.dtype != DType::Float32 && conv.dtype != DType::Int32)
    return Reason{ReasonCode::ElementType, "blocked convolution is of float32 and int32 only"};
  if (conv.spatialRank > 2)
    return Reason{ReasonCode::Shape, "blocked convolution is native in one or two dimensions only"};
  if (!conv.hasConstantWeights)
    return Reason{ReasonCode::NotConstant, "blocked convolution needs constant weights and bias"};
  int64_t block = blocking.output;
  bool fillsBlocks = blocking.input == block && (conv.inputs / conv.groups) % block == 0 &&
                     (conv.outputs / conv.groups) % block == 0;
  bool isWithin = conv.isDepthwise() || (blocking.input == block && isOfSmallGroups(conv, block));
  if (conv.groups > 1 && !isWithin && !fillsBlocks)
    return Reason{ReasonCode::Layout, "groups do not fill channel blocks"};
  return std::nullopt;
}

/// Whether padding is at most a third of the channels.
static bool fillsBlocks(int64_t channels, int64_t block) {
  int64_t padded = quern::ceilDiv(channels, block) * block;
  return channels > 0 && padded * 3 <= channels * 4;
}

/// The block of the image; 0: it is read as it is.
static int64_t chooseInputBlock(const ConvFacts &conv, int64_t block) {
  constexpr int64_t kFirstLayer = 4;
  if (conv.groups > 1 || conv.inputs % block == 0)
    return block;
  // What is packed is then read several times; and blocks are what Winograd's algorithm reads.
  if (conv.inputType == conv.dtype)
    return isFloat(conv.dtype) && conv.readsOfPixel > 1 && fillsBlocks(conv.inputs, block) ? block
                                                                                           : 0;
  if (conv.inputs <= kFirstLayer && block > kFirstLayer)
    return kFirstLayer;
  return block;
}

ReasonOr<Blocking> passes::chooseBlocks(const ConvFacts &conv, int64_t block) {
  Blocking blocking{chooseInputBlock(conv, block), block};
  if (std::optional<Reason> reason = refuseBlocks(conv, blocking))
    return *reason;
  bool isWithin = conv.isDepthwise() || isOfSmallGroups(conv, block);
  bool isWhollyTiled =
      conv.isTiled && conv.groups == 1 && blocking.input == block && conv.inputs % block == 0;
  bool pays = isWithin ? conv.outputs >= block
                       : fillsBlocks(conv.outputs, block) || (isWhollyTiled && conv.outputs > 0);
  if (!pays)
    return Reason{ReasonCode::Shape, "its channels do not fill blocks of " + std::to_string(block)};
  return blocking;
}

bool passes::isImageType(Type type) {
  auto image = dyn_cast<RankedTensorType>(type);
  return image && (image.getRank() == 4 || image.getRank() == 3) && !image.isDynamicDim(1) &&
         !layoutOf(image).isBlocked();
}

template <typename Op> static bool isOfImages(Op conv) {
  return isImageType(conv.getInput().getType()) && isImageType(conv.getResult().getType()) &&
         conv.getAutoPad() == AutoPad::NotSet;
}

bool passes::isImage(ConvOp conv) { return isOfImages(conv); }
bool passes::isImage(ConvTransposeOp conv) { return isOfImages(conv); }

Reason passes::noBlockableImage() {
  return {ReasonCode::Shape, "it is not of images in one or two dimensions with known channels"};
}

/// All but how often pixels are read.
template <typename Op> static ConvFacts commonFacts(Op conv) {
  ConvFacts facts;
  facts.dtype = nn::dtypeOf(elementTypeOf(conv.getResult()));
  facts.inputType = nn::dtypeOf(elementTypeOf(conv.getInput()));
  auto input = cast<RankedTensorType>(conv.getInput().getType());
  facts.spatialRank = input.getRank() - 2;
  facts.inputs = input.getDimSize(1);
  facts.outputs = cast<RankedTensorType>(conv.getResult().getType()).getDimSize(1);
  facts.groups = conv.getGroup();
  auto isPackable = [](Value value) {
    return isa_and_nonnull<NoneOp, ConstantOp, WeightOp>(value.getDefiningOp());
  };
  facts.hasConstantWeights = isPackable(conv.getWeights()) && isPackable(conv.getBias());
  return facts;
}

/// Of known weights, the size along spatial axis `i`; else 0.
static int64_t tapsOf(Value weights, size_t i) {
  auto type = dyn_cast<RankedTensorType>(weights.getType());
  return type && type.hasStaticShape() ? type.getDimSize(static_cast<int64_t>(i) + 2) : 0;
}

ConvFacts passes::factsOf(ConvOp conv) {
  ConvFacts facts = commonFacts(conv);
  for (auto [i, stride] : llvm::enumerate(conv.getStrides()))
    if (int64_t taps = tapsOf(conv.getWeights(), i))
      facts.readsOfPixel *= double(taps) / double(stride);
  return facts;
}

ConvFacts passes::factsOf(ConvTransposeOp conv) {
  ConvFacts facts = commonFacts(conv);
  for (size_t i = 0; i < conv.getStrides().size(); ++i)
    facts.readsOfPixel *= double(std::max<int64_t>(tapsOf(conv.getWeights(), i), 1));
  return facts;
}

std::optional<Reason> passes::refusePhases(ConvTransposeOp conv) {
  constexpr int64_t kMostPhases = 16;
  int64_t phases = 1;
  for (auto [i, stride] : llvm::enumerate(conv.getStrides())) {
    if (tapsOf(conv.getWeights(), i) < stride)
      return Reason{ReasonCode::Attributes, "results between its windows are of nothing"};
    phases *= stride;
  }
  auto isOne = [](int64_t value) { return value == 1; };
  if (conv.getGroup() != 1 || !llvm::all_of(conv.getDilations(), isOne))
    return Reason{ReasonCode::Attributes, "it has groups or is dilated"};
  if (llvm::any_of(conv.getPads(), [](int64_t pad) { return pad < 0; }))
    return Reason{ReasonCode::Attributes, "its pads are negative"};
  if (phases > kMostPhases)
    return Reason{ReasonCode::Limit, "its strides have more than " + std::to_string(kMostPhases) +
                                         " places between neighbours"};
  return std::nullopt;
}

ReasonOr<Blocking> ChannelBlocks::blockConv(ConvOp conv) const {
  if (conv.getAutoPad() != AutoPad::NotSet)
    return Reason{ReasonCode::Attributes, "its padding depends on the sizes"};
  ConvFacts facts = factsOf(conv);
  facts.isTiled = isTiled(conv);
  return chooseBlocks(facts, block);
}

ReasonOr<Blocking> ChannelBlocks::blockTransposed(ConvTransposeOp conv) const {
  if (!isImage(conv))
    return noBlockableImage();
  if (std::optional<Reason> reason = refusePhases(conv))
    return *reason;
  ConvFacts facts = factsOf(conv);
  facts.isTiled = isTiled(conv);
  return chooseBlocks(facts, block);
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

/// Whether blocks of such elements can be pooled: what products are of and what they sum up to.
static bool canPool(Operation *pool) {
  Type type = elementTypeOf(pool->getOperand(0));
  if (elementTypeOf(pool->getResult(0)) != type)
    return false;
  return type.isF32() || (type.isBF16() && !isa<GlobalPoolOp>(pool)) ||
         (type.isInteger(8) && isa<MaxPoolOp>(pool));
}

ReasonOr<Blocking> ChannelBlocks::blockPool(Operation *pool, int64_t given) const {
  if (!canPool(pool))
    return Reason{ReasonCode::ElementType,
                  "blocked pooling is of float32, of bfloat16 but for whole "
                  "images, and of the largest of bytes"};
  int64_t channels = cast<RankedTensorType>(pool->getOperand(0).getType()).getDimSize(1);
  if (channels % block != 0 && given != block)
    return Reason{ReasonCode::Layout,
                  "the image is plain, and its channels do not fill blocks of " +
                      std::to_string(block)};
  return Blocking{block, block};
}
