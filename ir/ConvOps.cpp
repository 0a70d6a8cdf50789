//===- ConvOps.cpp - rules of convolution ---------------------------------===//
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"
#include "runtime/reference/WindowShape.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

/// What both convolutions check of types and attributes: `elementType` is that of the sums.
template <typename Op> static LogicalResult verifyCommon(Op op, Type elementType) {
  if (failed(requireAddend(op, op.getBias(), "bias", elementType)))
    return failure();
  if (int64_t group = op.getGroup(); group < 1)
    return op.emitOpError("group must be positive, found ") << group;
  return success();
}

/// Checks the lengths of the window attributes against the spatial rank.
template <typename Op> static LogicalResult verifyWindowLengths(Op op, int64_t spatial) {
  auto length = [](ArrayRef<int64_t> values) { return static_cast<int64_t>(values.size()); };
  if (length(op.getStrides()) == spatial && length(op.getDilations()) == spatial &&
      length(op.getPads()) == 2 * spatial)
    return success();
  return op.emitOpError("strides, dilations and pads must have ")
         << spatial << ", " << spatial << " and " << 2 * spatial << " entries, found "
         << op.getStrides().size() << ", " << op.getDilations().size() << " and "
         << op.getPads().size();
}

/// The window of spatial axis `i`; an unknown size is taken as 1.
template <typename Op>
static WindowAxis windowOf(Op op, int64_t i, const Dim &in, const Dim &kernel) {
  return {.input = in.isStatic() ? in.size() : 1,
          .kernel = kernel.isStatic() ? kernel.size() : 1,
          .stride = op.getStrides()[i],
          .dilation = op.getDilations()[i],
          .padBegin = op.getPads()[i],
          .padEnd = op.getPads()[op.getPads().size() / 2 + i]};
}

/// The bias is [channels].
static LogicalResult verifyBias(const ShapeFacts &facts, Operation *op, Value bias,
                                const Dim &channels) {
  std::optional<Shape> shape = facts.shapeOf(bias);
  if (!shape)
    return success();
  if (shape->rank() != 1)
    return op->emitOpError("bias must have rank 1, found ") << shape->rank();
  return requireDim(op, (*shape)[0], channels, "the size of the bias");
}

//===----------------------------------------------------------------------===//
// conv
//===----------------------------------------------------------------------===//

template <typename Op>
static FailureOr<Dim> convolvedDim(Op op, int64_t i, const Dim &input, const Dim &kernel) {
  AutoPad autoPad = op.getAutoPad();
  WindowAxis axis = windowOf(op, i, input, kernel);
  if (Status status = checkWindow(axis); !status.isOk())
    return op.emitOpError(status.message());
  bool same = autoPad == AutoPad::SameUpper || autoPad == AutoPad::SameLower;
  if (!input.isStatic() || (!same && !kernel.isStatic())) {
    int64_t padding = autoPad == AutoPad::Valid ? 0 : axis.padBegin + axis.padEnd;
    if (same)
      return ceilDiv(input, axis.stride);
    if (!kernel.isStatic())
      return Dim();
    return floorDiv(input + Dim(padding) - Dim(windowExtent(axis)), axis.stride) + Dim(1);
  }
  Expected<int64_t> size = windowOutputSize(axis, autoPad, /*ceilMode=*/false);
  if (!size)
    return op.emitOpError("spatial axis ") << i << ": " << size.status().message();
  return Dim(*size);
}

/// Checks the channels of input and weights, blocked or not.
template <typename Op>
static LogicalResult verifyConvChannels(Op op, const Shape &input, const Shape &weights) {
  const Dim &perGroup = weights[1], &outputs = weights[0];
  int64_t group = op.getGroup(), block = layoutOf(op.getInput()).block;
  if (outputs.isStatic() && outputs.size() % group != 0)
    return op.emitOpError("output channels must be a multiple of group ")
           << group << ", found " << outputs.size();
  if (!perGroup.isStatic())
    return success();
  CheckedSize channels = CheckedSize(perGroup.size()) * CheckedSize(group);
  if (!channels.valid())
    return op.emitOpError("the number of input channels overflows");
  if (block == 0)
    return requireDim(op, input[1], Dim(channels.value()), "input channels");
  return requireDim(op, input[1], Dim(ceilDiv(channels.value(), block)), "input channel blocks");
}

/// The convolution of the operands input and weights of `op`.
template <typename Op>
static InferredTypes inferConvolution(Op op, const ShapeFacts &facts, Type elementType) {
  Layout inputLayout = layoutOf(op.getInput()), resultLayout = layoutOf(op.getResult());
  std::optional<Shape> input = facts.shapeOf(op.getInput()),
                       weights = facts.shapeOf(op.getWeights());
  if (!weights || (!input && (weights->rank() < 3 || resultLayout.isBlocked())))
    return unrankedResult(elementType);
  if (!input) {
    Shape result = unknownShape(weights->rank());
    result[1] = (*weights)[0];
    return rankedResult(op, result, elementType);
  }
  int64_t spatial = weights->rank() - 2;
  if (spatial < 1 || input->rank() != spatial + 2 + inputLayout.isBlocked())
    return op.emitOpError("input rank ")
           << input->rank() << " does not fit weights of rank " << weights->rank();
  if (failed(verifyWindowLengths(op, spatial)) ||
      failed(verifyConvChannels(op, *input, *weights)) ||
      failed(verifyBias(facts, op, op.getBias(), (*weights)[0])))
    return failure();
  DimVector dims = {(*input)[0], (*weights)[0]};
  for (int64_t i = 0; i < spatial; ++i) {
    FailureOr<Dim> dim = convolvedDim(op, i, (*input)[2 + i], (*weights)[2 + i]);
    if (failed(dim))
      return failure();
    dims.push_back(*dim);
  }
  if (resultLayout.isBlocked())
    putIntoBlocks(dims, resultLayout.block);
  return rankedResult(op, Shape(std::move(dims)), elementType, resultLayout);
}

/// Beyond the edges lies an element of the image's type, 0 but for bytes.
static LogicalResult verifyPadValue(ConvOp op) {
  int64_t value = op.getPadValue();
  Type element = elementTypeOf(op.getInput());
  if (value != 0 && !element.isInteger(8))
    return op.emitOpError("pad_value is for images of 8-bit integers");
  int64_t least = element.isUnsignedInteger() ? 0 : INT8_MIN;
  if (value != 0 && (value < least || value > least + UINT8_MAX))
    return op.emitOpError("pad_value ") << value << " is no " << element;
  return success();
}

InferredTypes ConvOp::inferResultTypes(const ShapeFacts &facts) {
  FailureOr<Type> elementType = sumTypeOf(*this, "input", "weights");
  if (failed(elementType) || failed(verifyCommon(*this, *elementType)))
    return failure();
  if (failed(verifyPadValue(*this)))
    return failure();
  return inferConvolution(*this, facts, *elementType);
}

/// Checks what stands for zero: one number, or in the weights one for each output channel.
static LogicalResult verifyZeros(ConvIntegerOp op, const ShapeFacts &facts) {
  if (failed(requireSameElements(op, op.getInputZero(), "the input's zero point", op.getInput())) ||
      failed(
          requireSameElements(op, op.getWeightsZero(), "the weights' zero point", op.getWeights())))
    return failure();
  std::optional<Shape> input = facts.shapeOf(op.getInputZero()),
                       weights = facts.shapeOf(op.getWeightsZero()),
                       filters = facts.shapeOf(op.getWeights());
  if (input && (input->rank() > 1 || input->numElements().value_or(1) != 1))
    return op.emitOpError("the input's zero point must be a scalar, found ") << input->str();
  if (!weights || weights->rank() == 0 || (weights->rank() == 1 && (*weights)[0].isStatic(1)))
    return success();
  if (weights->rank() == 1 && (!filters || (*weights)[0].compatibleWith((*filters)[0])))
    return success();
  return op.emitOpError("the weights' zero point does not fit: ")
         << weights->str() << (filters ? " to " + filters->str() : "");
}

InferredTypes ConvIntegerOp::inferResultTypes(const ShapeFacts &facts) {
  Type sums = IntegerType::get(getContext(), 32);
  if (failed(requireBytes(*this, getInput(), "input")) ||
      failed(requireBytes(*this, getWeights(), "weights")) || failed(verifyCommon(*this, sums)))
    return failure();
  InferredTypes types = inferConvolution(*this, facts, sums);
  if (failed(types) || failed(verifyZeros(*this, facts)))
    return failure();
  return types;
}

//===----------------------------------------------------------------------===//
// conv_transpose
//===----------------------------------------------------------------------===//

static FailureOr<Dim> transposedDim(ConvTransposeOp op, int64_t i, const Dim &input,
                                    const Dim &kernel) {
  WindowAxis axis = windowOf(op, i, input, kernel);
  std::optional<int64_t> wanted;
  if (!op.getOutputShape().empty())
    wanted = op.getOutputShape()[i];
  if (Status status = checkWindow(axis); !status.isOk())
    return op.emitOpError(status.message());
  if (!input.isStatic() || !kernel.isStatic())
    return wanted && *wanted >= 0 ? Dim(*wanted) : Dim();
  Expected<int64_t> size =
      transposedOutputSize(axis, op.getAutoPad(), op.getOutputPadding()[i], wanted);
  if (!size)
    return op.emitOpError("spatial axis ") << i << ": " << size.status().message();
  return Dim(*size);
}

/// The output channels of all groups; checks the input's, blocked or not.
static FailureOr<Dim> transposedChannels(ConvTransposeOp op, const Dim &input,
                                         const Shape &weights) {
  const Dim &channels = weights[0], &perGroup = weights[1];
  int64_t group = op.getGroup(), block = layoutOf(op.getInput()).block;
  if (block == 0 && failed(requireDim(op, channels, input, "the first dimension of the weights")))
    return failure();
  if (block > 0 && channels.isStatic() &&
      failed(requireDim(op, input, Dim(ceilDiv(channels.size(), block)), "input channel blocks")))
    return failure();
  if (channels.isStatic() && channels.size() % group != 0)
    return op.emitOpError("input channels must be a multiple of group ")
           << group << ", found " << channels.size();
  if (!perGroup.isStatic())
    return Dim();
  CheckedSize count = CheckedSize(perGroup.size()) * CheckedSize(group);
  if (!count.valid())
    return op.emitOpError("the number of output channels overflows");
  return Dim(count.value());
}

InferredTypes ConvTransposeOp::inferResultTypes(const ShapeFacts &facts) {
  FailureOr<Type> elementType = sumTypeOf(*this, "input", "weights");
  if (failed(elementType) || failed(verifyCommon(*this, *elementType)))
    return failure();
  Layout inputLayout = layoutOf(getInput()), resultLayout = layoutOf(getResult());
  std::optional<Shape> input = facts.shapeOf(getInput()), weights = facts.shapeOf(getWeights());
  if (!input || !weights)
    return unrankedResult(*elementType);
  int64_t spatial = weights->rank() - 2;
  if (spatial < 1 || input->rank() != weights->rank() + inputLayout.isBlocked())
    return emitOpError("input rank ")
           << input->rank() << " does not fit weights of rank " << weights->rank();
  if (failed(verifyWindowLengths(*this, spatial)))
    return failure();
  auto outputShapeSize = static_cast<int64_t>(getOutputShape().size());
  if (static_cast<int64_t>(getOutputPadding().size()) != spatial ||
      (outputShapeSize != 0 && outputShapeSize != spatial))
    return emitOpError("output_padding and output_shape must have ")
           << spatial << " entries, found " << getOutputPadding().size() << " and "
           << outputShapeSize;
  FailureOr<Dim> outputs = transposedChannels(*this, (*input)[1], *weights);
  if (failed(outputs) || failed(verifyBias(facts, *this, getBias(), *outputs)))
    return failure();
  DimVector dims = {(*input)[0], *outputs};
  for (int64_t i = 0; i < spatial; ++i) {
    FailureOr<Dim> dim = transposedDim(*this, i, (*input)[2 + i], (*weights)[2 + i]);
    if (failed(dim))
      return failure();
    dims.push_back(*dim);
  }
  if (resultLayout.isBlocked())
    putIntoBlocks(dims, resultLayout.block);
  return rankedResult(*this, Shape(std::move(dims)), *elementType, resultLayout);
}

#define GET_OP_CLASSES
#include "ir/ConvOps.cpp.inc"

void NNDialect::registerConvOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/ConvOps.cpp.inc"
      >();
}
