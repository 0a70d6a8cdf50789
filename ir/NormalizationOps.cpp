//===- NormalizationOps.cpp - rules of normalizations ---------------------===//
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"
#include "ir/Types.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

/// Checks that a parameter is a float vector with one element per channel.
static LogicalResult verifyPerChannel(const ShapeFacts &facts, Operation *op, Value parameter,
                                      StringRef name, const Dim &channels) {
  if (failed(requireFloats(op, parameter, name)))
    return failure();
  std::optional<Shape> shape = facts.shapeOf(parameter);
  if (!shape)
    return success();
  if (shape->rank() != 1)
    return op->emitOpError() << name << " must have rank 1, found " << shape->rank();
  return requireDim(op, (*shape)[0], channels, "the size of " + name);
}

InferredTypes BatchNormOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireFloats(*this, getInput(), "input")))
    return failure();
  Dim channels;
  if (std::optional<Shape> input = facts.shapeOf(getInput())) {
    if (failed(requireRankAtLeast(*this, *input, 1)))
      return failure();
    // A vector is a batch of one channel (ONNX opset 9).
    channels = input->rank() == 1 ? Dim(1) : (*input)[1];
  }
  if (failed(verifyPerChannel(facts, *this, getScale(), "scale", channels)) ||
      failed(verifyPerChannel(facts, *this, getBias(), "bias", channels)) ||
      failed(verifyPerChannel(facts, *this, getMean(), "mean", channels)) ||
      failed(verifyPerChannel(facts, *this, getVariance(), "variance", channels)))
    return failure();
  return typeOf(getInput(), facts);
}

InferredTypes InstanceNormOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireFloats(*this, getInput(), "input")) ||
      failed(requireSameElements(*this, getScale(), "scale", getInput())) ||
      failed(requireSameElements(*this, getBias(), "bias", getInput())))
    return failure();
  Dim channels;
  if (std::optional<Shape> input = facts.shapeOf(getInput())) {
    if (failed(requireRankAtLeast(*this, *input, 3)))
      return failure();
    // Blocks may have more channels than there are.
    std::optional<Shape> scale = facts.shapeOf(getScale());
    if (int64_t block = layoutOf(getInput()).block; block == 0)
      channels = (*input)[1];
    else if (scale && scale->rank() == 1 && (*scale)[0].isStatic() &&
             failed(requireDim(*this, (*input)[1], Dim(ceilDiv((*scale)[0].size(), block)),
                               "input channel blocks")))
      return failure();
  }
  if (failed(verifyPerChannel(facts, *this, getScale(), "scale", channels)) ||
      failed(verifyPerChannel(facts, *this, getBias(), "bias", channels)))
    return failure();
  return typeOf(getInput(), facts);
}

/// Checks that a parameter has the sizes of a row, the dimensions from `axis` on.
static LogicalResult verifyPerRowElement(const ShapeFacts &facts, LayerNormOp op, Value parameter,
                                         StringRef name, const Shape &input, int64_t axis) {
  std::optional<Shape> shape = facts.shapeOf(parameter);
  if (!shape)
    return success();
  if (shape->rank() != input.rank() - axis)
    return op.emitOpError() << name << " must have rank " << input.rank() - axis << ", found "
                            << shape->rank();
  for (int64_t i = 0; i < shape->rank(); ++i)
    if (failed(requireDim(op, (*shape)[i], input[axis + i], "a size of " + name.str())))
      return failure();
  return success();
}

InferredTypes LayerNormOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireFloats(*this, getInput(), "input")))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput());
  FailureOr<int64_t> axis = input ? resolveAxis(*this, getAxis(), input->rank()) : 0;
  if (failed(axis))
    return failure();
  for (auto [parameter, name] : {std::pair(getScale(), "scale"), std::pair(getBias(), "bias")})
    if (!isNone(parameter) &&
        (failed(requireSameElements(*this, parameter, name, getInput())) ||
         (input && failed(verifyPerRowElement(facts, *this, parameter, name, *input, *axis)))))
      return failure();
  return typeOf(getInput(), facts);
}

InferredTypes LrnOp::inferResultTypes(const ShapeFacts &facts) {
  if (failed(requireFloats(*this, getInput(), "input")))
    return failure();
  if (int64_t size = getSize(); size < 1)
    return emitOpError("size must be positive, found ") << size;
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (input && failed(requireRankAtLeast(*this, *input, 2)))
    return failure();
  return typeOf(getInput(), facts);
}

#define GET_OP_CLASSES
#include "ir/NormalizationOps.cpp.inc"

void NNDialect::registerNormalizationOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/NormalizationOps.cpp.inc"
      >();
}
