//===- NormalizationOps.cpp - rules of normalizations ---------------------===//
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

/// Checks that a parameter is a float vector with one element per channel.
static LogicalResult verifyPerChannel(Operation *op, Value parameter, StringRef name,
                                      const Dim &channels) {
  if (failed(requireFloats(op, parameter, name)))
    return failure();
  std::optional<Shape> shape = shapeOf(parameter);
  if (!shape)
    return success();
  if (shape->rank() != 1)
    return op->emitOpError() << name << " must have rank 1, found " << shape->rank();
  return requireDim(op, (*shape)[0], channels, "the size of " + name);
}

FailureOr<SmallVector<Type>> BatchNormOp::inferResultTypes() {
  if (failed(requireFloats(*this, getInput(), "input")))
    return failure();
  Dim channels;
  if (std::optional<Shape> input = shapeOf(getInput())) {
    if (failed(requireRankAtLeast(*this, *input, 1)))
      return failure();
    // A vector is a batch of one channel (ONNX opset 9).
    channels = input->rank() == 1 ? Dim(1) : (*input)[1];
  }
  if (failed(verifyPerChannel(*this, getScale(), "scale", channels)) ||
      failed(verifyPerChannel(*this, getBias(), "bias", channels)) ||
      failed(verifyPerChannel(*this, getMean(), "mean", channels)) ||
      failed(verifyPerChannel(*this, getVariance(), "variance", channels)))
    return failure();
  return SmallVector<Type>{getInput().getType()};
}

FailureOr<SmallVector<Type>> InstanceNormOp::inferResultTypes() {
  if (failed(requireFloats(*this, getInput(), "input")) ||
      failed(requireSameElements(*this, getScale(), "scale", getInput())) ||
      failed(requireSameElements(*this, getBias(), "bias", getInput())))
    return failure();
  Dim channels;
  if (std::optional<Shape> input = shapeOf(getInput())) {
    if (failed(requireRankAtLeast(*this, *input, 3)))
      return failure();
    channels = (*input)[1];
  }
  if (failed(verifyPerChannel(*this, getScale(), "scale", channels)) ||
      failed(verifyPerChannel(*this, getBias(), "bias", channels)))
    return failure();
  return SmallVector<Type>{getInput().getType()};
}

FailureOr<SmallVector<Type>> LrnOp::inferResultTypes() {
  if (failed(requireFloats(*this, getInput(), "input")))
    return failure();
  if (int64_t size = getSize(); size < 1)
    return emitOpError("size must be positive, found ") << size;
  std::optional<Shape> input = shapeOf(getInput());
  if (input && failed(requireRankAtLeast(*this, *input, 2)))
    return failure();
  return SmallVector<Type>{getInput().getType()};
}
