//===- LayoutPolicy.h - which ops pay on channel-blocked tensors ----------===//
//
// AssignLayouts moves tensors between layouts; whether an op is to be computed on blocks is
// said by a policy, which a backend gives.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ir/NNDialect.h"
#include "quern/Reason.h"
#include "quern/Tensor.h"

#include <cstdint>
#include <optional>

namespace quern::passes {

/// How an op reads its image and gives its result: [N, C/b, H, W, b], or [N, C, H, W] where the
/// channels per block are 0.
struct Blocking {
  int64_t input = 0;
  int64_t output = 0;
};

class LayoutPolicy {
public:
  virtual ~LayoutPolicy() = default;
  /// The blocks that pay for a convolution, of which the result's at least is no 0; or why it is
  /// better off on plain tensors.
  virtual ReasonOr<Blocking> blockConv(nn::ConvOp conv) const = 0;
  /// The same for a transposed convolution.
  virtual ReasonOr<Blocking> blockTransposed(nn::ConvTransposeOp conv) const = 0;
  /// The same for a pool, whose input and result have the same blocks. `given` is the block that
  /// its image comes in, from an op before; 0 when it is plain.
  virtual ReasonOr<Blocking> blockPool(mlir::Operation *pool, int64_t given) const = 0;
};

/// Whether a convolution sums up channels within blocks of `block` only: each by itself, for one
/// result or a divisor of the block, or in groups that have as many results and are less than a
/// block.
bool isWithinBlocks(int64_t groups, int64_t inputs, int64_t outputs, int64_t block);

/// What decides whether a convolution can be computed on blocks, of its types or for some sizes.
struct ConvFacts {
  /// Of its sums, and of the image, which may be narrower.
  DType dtype = DType::Undefined, inputType = DType::Undefined;
  int64_t spatialRank = 0;
  int64_t inputs = 0, outputs = 0, groups = 1;
  /// By results of one output: the taps of the filter over the pixels that it steps by.
  double readsOfPixel = 1;
  /// Weights and bias, which are packed ahead of the run.
  bool hasConstantWeights = false;
  /// Tiles of matrices multiply it where it reads whole blocks: what they multiply for nothing, of
  /// results that do not fill a block, takes less time than vectors or plain images would.
  bool isTiled = false;

  bool isDepthwise() const { return groups > 1 && groups == inputs && groups == outputs; }
};
/// Whether a type is of images in one or two dimensions on a plain layout, with known channels.
bool isImageType(mlir::Type type);
/// Whether a convolution is of such images, with known padding.
bool isImage(nn::ConvOp conv);
bool isImage(nn::ConvTransposeOp conv);
/// Why nothing else is computed on blocks.
Reason noBlockableImage();
/// The block of the tensor that an image with known channels is the nn.unpack of; 0 when it is
/// none.
int64_t sourceBlock(mlir::Value image);
/// What is known of such a convolution.
ConvFacts factsOf(nn::ConvOp conv);
ConvFacts factsOf(nn::ConvTransposeOp conv);
/// Why a transposed convolution does not fall into convolutions, one for each place that a result
/// can have between neighbours of the input, if so: each of them reads what of the filter meets it.
std::optional<Reason> refusePhases(nn::ConvTransposeOp conv);
/// Why no kernel convolves in such blocks, if none does.
std::optional<Reason> refuseBlocks(const ConvFacts &conv, const Blocking &blocking);
/// The blocks of `block` channels that pay, or why none do: padding is to be at most a third of
/// the channels; more for depthwise convolution and small groups, which are slow on plain images,
/// and of results that tiles multiply.
/// An image whose channels do not fill blocks is read as it is; but in float32 in blocks, if its
/// padding is as small, by a filter that reads pixels several times. One whose elements are
/// narrower than the sums is read in blocks all the same, as several are multiplied at once: in
/// such of four channels where it has no more, which suits the first layer.
ReasonOr<Blocking> chooseBlocks(const ConvFacts &conv, int64_t block);

/// The policy of kernels that have one block.
class ChannelBlocks : public LayoutPolicy {
public:
  explicit ChannelBlocks(int64_t block) : block(block) {}
  ReasonOr<Blocking> blockConv(nn::ConvOp conv) const override;
  ReasonOr<Blocking> blockTransposed(nn::ConvTransposeOp conv) const override;
  ReasonOr<Blocking> blockPool(mlir::Operation *pool, int64_t given) const override;

protected:
  /// ConvFacts::isTiled of nn.conv or nn.conv_transpose.
  virtual bool isTiled(mlir::Operation *) const { return false; }

private:
  int64_t block;
};

} // namespace quern::passes
