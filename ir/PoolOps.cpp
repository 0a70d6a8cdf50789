//===- PoolOps.cpp - rules of pooling -------------------------------------===//
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"
#include "runtime/reference/WindowShape.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

namespace {
/// The attributes of a pooling window.
struct PoolWindow {
  ArrayRef<int64_t> kernel, strides, dilations, pads;
  bool ceilMode;
  AutoPad autoPad;
};
} // namespace

/// Checks the attributes that do not depend on the input's shape.
static LogicalResult verifyWindow(Operation *op, const PoolWindow &w) {
  size_t spatial = w.kernel.size();
  if (spatial < 1)
    return op->emitOpError("kernel must not be empty");
  if (w.strides.size() != spatial || w.dilations.size() != spatial || w.pads.size() != 2 * spatial)
    return op->emitOpError("strides, dilations and pads must have ")
           << spatial << ", " << spatial << " and " << 2 * spatial << " entries, found "
           << w.strides.size() << ", " << w.dilations.size() << " and " << w.pads.size();
  return success();
}

static FailureOr<Dim> pooledDim(Operation *op, const PoolWindow &w, size_t i, const Dim &input) {
  WindowAxis axis{.input = input.isStatic() ? input.size() : 1,
                  .kernel = w.kernel[i],
                  .stride = w.strides[i],
                  .dilation = w.dilations[i],
                  .padBegin = w.pads[i],
                  .padEnd = w.pads[w.kernel.size() + i]};
  if (Status status = checkWindow(axis); !status.isOk())
    return op->emitOpError(status.message());
  int64_t extent = windowExtent(axis);
  // A window that lies in the padding has no maximum and no average.
  if (w.autoPad == AutoPad::NotSet && std::max(axis.padBegin, axis.padEnd) >= extent)
    return op->emitOpError("pads must be smaller than the window of ")
           << extent << " elements, found " << std::max(axis.padBegin, axis.padEnd);
  if (!input.isStatic()) {
    bool same = w.autoPad == AutoPad::SameUpper || w.autoPad == AutoPad::SameLower;
    int64_t padding = w.autoPad == AutoPad::Valid ? 0 : axis.padBegin + axis.padEnd;
    if (input.isUnknown() || (w.ceilMode && axis.stride != 1 && !same))
      return Dim();
    return same ? ceilDiv(input, axis.stride)
                : floorDiv(input + Dim(padding) - Dim(extent), axis.stride) + Dim(1);
  }
  Expected<int64_t> size = windowOutputSize(axis, w.autoPad, w.ceilMode);
  if (!size)
    return op->emitOpError("spatial axis ") << i << ": " << size.status().message();
  return Dim(*size);
}

/// Checks the type and rank of pooled data: [N, C, `spatial` or any number of axes], blocked or
/// not. An unranked input is fine.
static LogicalResult verifyInput(const ShapeFacts &facts, Operation *op, Value input,
                                 std::optional<int64_t> spatial) {
  if (failed(requireNumbers(op, input, "input")))
    return failure();
  std::optional<Shape> shape = facts.shapeOf(input);
  if (!shape)
    return success();
  int64_t blocked = layoutOf(input).isBlocked();
  if (spatial && shape->rank() != *spatial + 2 + blocked)
    return op->emitOpError("input must have rank ")
           << *spatial + 2 + blocked << ", found " << shape->rank();
  return requireRankAtLeast(op, *shape, 2 + blocked);
}

static InferredTypes inferWindowed(Operation *op, Value input, const PoolWindow &w,
                                   const ShapeFacts &facts) {
  if (failed(verifyWindow(op, w)) || failed(verifyInput(facts, op, input, w.kernel.size())))
    return failure();
  int64_t rank = w.kernel.size() + 2;
  Shape shape = facts.shapeOf(input).value_or(unknownShape(rank));
  for (size_t i = 0; i < w.kernel.size(); ++i) {
    FailureOr<Dim> dim = pooledDim(op, w, i, shape[2 + i]);
    if (failed(dim))
      return failure();
    shape[2 + i] = *dim;
  }
  return rankedResult(op, shape, elementTypeOf(input), layoutOf(input));
}

InferredTypes GlobalPoolOp::inferResultTypes(const ShapeFacts &facts) {
  Value input = getInput();
  if (getKind() != ReduceKind::Mean && getKind() != ReduceKind::Max)
    return emitOpError("kind must be mean or max, found ") << nameOf(getKind());
  if (failed(verifyInput(facts, *this, input, std::nullopt)))
    return failure();
  std::optional<Shape> shape = facts.shapeOf(input);
  if (!shape)
    return unrankedResult(elementTypeOf(input));
  Layout layout = layoutOf(input);
  for (int64_t i = 2; i < shape->rank() - layout.isBlocked(); ++i)
    (*shape)[i] = Dim(1);
  return rankedResult(*this, *shape, elementTypeOf(input), layout);
}

InferredTypes MaxPoolOp::inferResultTypes(const ShapeFacts &facts) {
  return inferWindowed(
      *this, getInput(),
      {getKernel(), getStrides(), getDilations(), getPads(), getCeilMode(), getAutoPad()}, facts);
}

InferredTypes AveragePoolOp::inferResultTypes(const ShapeFacts &facts) {
  return inferWindowed(
      *this, getInput(),
      {getKernel(), getStrides(), getDilations(), getPads(), getCeilMode(), getAutoPad()}, facts);
}

InferredTypes MaxPoolWithIndicesOp::inferResultTypes(const ShapeFacts &facts) {
  if (getStorageOrder() > 1)
    return emitOpError("storage_order must be 0 or 1, found ") << getStorageOrder();
  InferredTypes types = inferWindowed(
      *this, getInput(),
      {getKernel(), getStrides(), getDilations(), getPads(), getCeilMode(), getAutoPad()}, facts);
  if (failed(types))
    return failure();
  types->push_back({IntegerType::get(getContext(), 64), types->front().shape});
  return types;
}

#define GET_OP_CLASSES
#include "ir/PoolOps.cpp.inc"

void NNDialect::registerPoolOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/PoolOps.cpp.inc"
      >();
}
