//===- ConvWays.h - a convolution, and the ways of computing it -----------===//
#pragma once

#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/lowering/Lowering.h"
#include "ir/NNDialect.h"
#include "passes/LayoutPolicy.h"
#include "runtime/reference/WindowShape.h"

namespace quern::native {

/// Where the results of a convolution lie among all pixels of a plane: side by side, but for those
/// of a part of a transposed one.
struct ResultPlaces {
  int64_t first = 0;
  /// From one line to the next, and from one result to the next in it.
  int64_t line = 0, column = 1;
  /// Pixels of the plane.
  int64_t all = 0;
};

/// A convolution, as all ways of computing it see it.
struct ConvProblem {
  const LoweringContext &context;
  /// Null where it is a part of another op.
  nn::ConvOp op = {};
  mlir::Value input = {}, weights = {}, bias = {}, output = {};
  /// Of the sums, of the image and of the weights.
  DType dtype = DType::Float32, inputType = DType::Float32, weightsType = DType::Float32;
  int64_t batch = 1, channels = 1, outputs = 1, groups = 1;
  int64_t inputBlock = 0, outputBlock = 0;
  /// Spatial geometry in 3-D, leading axes of size 1 when there are fewer.
  WindowShape3 window = {};
  int64_t padEnd[3] = {0, 0, 0};
  ResultPlaces places = {};
  /// Of the weights, those that it reads, where it is a part of a transposed convolution.
  std::optional<FilterView> filter = {};
  Epilogue epilogue = {};
  /// Of the products and sums.
  double flops = 0;
  /// Of the work of its op.
  double share = 1;

  /// Elements of the result are what the epilogue makes of the sums.
  DType resultType() const { return epilogue.program.typeOf(epilogue.program.results[0]); }
  DotTypes types() const { return {inputType, weightsType, dtype, resultType()}; }
  int64_t channelsPerGroup() const { return channels / groups; }
  int64_t outputsPerGroup() const { return outputs / groups; }
  /// Every channel is a group, or small groups of them have as many results each.
  bool isWithinBlocks() const {
    return passes::isWithinBlocks(groups, channels, outputs, outputBlock);
  }
  int64_t inputPixels() const { return window.input[0] * window.input[1] * window.input[2]; }
  int64_t outputPixels() const { return window.output[0] * window.output[1] * window.output[2]; }
  int64_t kernelPositions() const { return window.kernel[0] * window.kernel[1] * window.kernel[2]; }
  double countFlops() const {
    return 2.0 * double(batch) * double(outputPixels()) * double(outputs) *
           double(channelsPerGroup()) * double(kernelPositions());
  }
  /// One of several that make up an op, and read the same image.
  bool isPart() const { return filter.has_value(); }
  /// Of one image.
  CheckedSize unfoldedBytes() const {
    return CheckedSize(channels) * kernelPositions() * outputPixels() * dtypeBytes(inputType);
  }
  bool hasPads() const {
    for (int a = 0; a < 3; ++a)
      if (window.padBegin[a] != 0 || padEnd[a] != 0)
        return true;
    return false;
  }
  /// Adjacent elements of the image that are one pixel's: the block, or one of a plain image.
  int64_t pixel() const { return inputBlock > 0 ? inputBlock : 1; }
  /// What is computed on a blocked result; else on plain images.
  bool isBlocked() const { return outputBlock > 0; }
  /// Each output pixel reads just the input pixel at the same place.
  bool isPointwise() const {
    for (int a = 0; a < 3; ++a)
      if (window.kernel[a] != 1 || window.stride[a] != 1)
        return false;
    return !hasPads();
  }
};

/// Fills values, types, blocks and the batch of a convolution, transposed or not; why there is no
/// native code for it, if an operand is empty.
std::optional<Reason> bindConv(mlir::Operation *op, ConvProblem &p);

/// The product that one step computes.
struct ConvProduct {
  StepBuffer a, b;
  std::optional<StepBuffer> bias = {};
  int64_t batches = 1;
  /// The first element of the result that it computes, and its part of the work.
  int64_t firstResult = 0;
  double share = 1;
};

/// A step that computes `p` or a part of it, but for its dims and tasks. Its buffers are those of
/// the product, the result between them, then the epilogue's operands.
LoweredStep startConvStep(const ConvProblem &p, const KernelSpec &kernel, ConvProduct product);
/// The step of a product of `p`.
LoweredStep makeConvStep(const ConvProblem &p, const KernelSpec &kernel, const DotDims &dims,
                         ConvProduct product);

/// One of the ways.
struct ConvWay {
  /// Why it cannot compute `p`, if it cannot.
  std::optional<Reason> (*refuse)(const ConvProblem &p);
  LoweringResult (*lower)(ConvProblem &p);
  /// The size of the weights as its steps read them, in that of the filters; null: 1.
  double (*weightGrowth)(const ConvProblem &p) = nullptr;
};

// LowerBlockedConv.cpp: on a channel-blocked result.
extern const ConvWay kBlockedConv;
/// Why `p` cannot be computed on blocks of channels at all.
std::optional<Reason> refuseBlocked(const ConvProblem &p);
/// The steps of `parts`, which make up an op, or are a convolution by themselves. Takes the
/// programs of their epilogues away.
LoweredSteps lowerBlockedParts(llvm::MutableArrayRef<ConvProblem> parts);
/// The constant bias, if any, for whole panels of `columns`.
std::optional<StepBuffer> packedConvBias(const ConvProblem &p, int64_t columns);
// LowerDepthwise.cpp: each channel by itself, or a few.
extern const ConvWay kDepthwiseConv;
// LowerWinogradConv.cpp: in tiles of 2 results along an axis, or of 4, with 4 or 5 weights 3.
extern const ConvWay kWinograd2Conv, kWinograd4Conv;
/// An image on channel blocks, as Winograd's algorithm sees it.
struct WinogradImage {
  struct Axis {
    /// Of the result.
    int64_t size;
    int64_t taps = 3, stride = 1;
  };
  int64_t channels, outputs, groups, block;
  Axis rows, columns;

  /// Channels that are summed up.
  int64_t depth() const { return channels / groups; }
};
/// Whether it multiplies less than direct sums by the filter, in code that is not too long.
bool hasWinogradTiles(const WinogradImage &image);
/// The nanoseconds it is expected to take in float32, by the faster of both tiles.
double costOfWinograd(const WinogradImage &image, const Target &target);
// LowerLineConv.cpp: along the lines of plain images.
extern const ConvWay kLineConv;
// LowerPlainConv.cpp: a product with the image, or with its unfolding.
extern const ConvWay kPointwiseConv, kUnfoldedConv;

/// The window of spatial axis `axis` of a transposed convolution, which slides over the result, but
/// that `input` is of the op's input; nothing when it does not fit.
std::optional<WindowAxis> transposedWindow(nn::ConvTransposeOp op, int64_t axis,
                                           const LoweringContext &context);
// LowerConvPhases.cpp: a transposed convolution as one convolution for each place that a result can
// have between neighbours of the input.
LoweringResult lowerConvPhases(nn::ConvTransposeOp op, const LoweringContext &context);

} // namespace quern::native
