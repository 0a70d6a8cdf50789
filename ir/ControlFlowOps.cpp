//===- ControlFlowOps.cpp - branches and loops ----------------------------===//
#include "ir/ControlFlow.h"
#include "ir/NNDialect.h"
#include "ir/OutlinedOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

static Type joinTensors(TensorType a, TensorType b) {
  Type element = a.getElementType();
  if (element != b.getElementType())
    return {};
  std::optional<Shape> x = shapeOf(a), y = shapeOf(b);
  if (!x || !y || x->rank() != y->rank())
    return UnrankedTensorType::get(element);
  DimVector dims;
  for (int64_t i = 0; i < x->rank(); ++i)
    dims.push_back((*x)[i].provablyEquals((*y)[i]) ? (*x)[i] : Dim());
  return tensorType(Shape(std::move(dims)), element);
}

Type nn::joinTypes(Type a, Type b) {
  if (auto x = dyn_cast<TensorType>(a))
    if (auto y = dyn_cast<TensorType>(b))
      return joinTensors(x, y);
  if (auto x = dyn_cast<SequenceType>(a))
    if (auto y = dyn_cast<SequenceType>(b))
      if (Type joined = joinTypes(x.getElementType(), y.getElementType()))
        return SequenceType::get(joined.getContext(), joined);
  if (auto x = dyn_cast<OptionalType>(a))
    if (auto y = dyn_cast<OptionalType>(b))
      if (Type joined = joinTypes(x.getContentType(), y.getContentType()))
        return OptionalType::get(joined.getContext(), joined);
  if (auto x = dyn_cast<MapType>(a))
    if (auto y = dyn_cast<MapType>(b); y && x.getKeyType() == y.getKeyType())
      if (Type joined = joinTypes(x.getValueType(), y.getValueType()))
        return MapType::get(joined.getContext(), x.getKeyType(), joined);
  return {};
}

/// The type with each tensor in it replaced.
static Type mapTensors(Type type, function_ref<Type(TensorType)> replace) {
  MLIRContext *context = type.getContext();
  if (auto tensor = dyn_cast<TensorType>(type))
    return replace(tensor);
  if (auto sequence = dyn_cast<SequenceType>(type))
    return SequenceType::get(context, mapTensors(sequence.getElementType(), replace));
  if (auto optional = dyn_cast<OptionalType>(type))
    return OptionalType::get(context, mapTensors(optional.getContentType(), replace));
  if (auto map = dyn_cast<MapType>(type))
    return MapType::get(context, map.getKeyType(), mapTensors(map.getValueType(), replace));
  return type;
}

Type nn::withoutSizes(Type type) {
  return mapTensors(type, [](TensorType tensor) -> Type {
    std::optional<Shape> shape = shapeOf(tensor);
    if (!shape)
      return tensor;
    DimVector dims(static_cast<size_t>(shape->rank()));
    return tensorType(Shape(std::move(dims)), tensor.getElementType());
  });
}

Type nn::withoutShapes(Type type) {
  return mapTensors(type, [](TensorType tensor) -> Type {
    return UnrankedTensorType::get(tensor.getElementType());
  });
}

Tensor::Dims nn::loopScalarDims(Value argument) {
  std::optional<Shape> shape = shapeOf(argument);
  // A size that is not known is 1: there is one element.
  return Tensor::Dims(shape ? static_cast<size_t>(shape->rank()) : 0, 1);
}

/// What the bodies' types say: the rules of these ops do not run on numbers.
static InferredType inferredOf(Type type) { return {elementTypeOf(type), shapeOf(type)}; }

/// The values that a body yields. The op's own verifier may see it before that of
/// the body.
static FailureOr<OperandRange> yieldedBy(Operation *op, Region &region) {
  Block &body = region.front();
  auto yield = body.empty() ? nullptr : dyn_cast<YieldOp>(body.back());
  if (!yield)
    return op->emitOpError("a body must end in nn.yield");
  return OperandRange(yield.getValues());
}

/// What iterations give in slices or one by one is stacked: tensors only.
static LogicalResult requireTensor(Operation *op, const Twine &what, Value value) {
  if (isa<TensorType>(value.getType()))
    return success();
  return op->emitOpError(what) << " must be a tensor, found " << value.getType();
}

static LogicalResult requireCount(Operation *op, const Twine &what, size_t found, size_t wanted) {
  if (found == wanted)
    return success();
  return op->emitOpError(what) << " must be " << wanted << ", found " << found;
}

/// Fails unless values of type `from` can be those of a value of type `to`.
static LogicalResult requireFits(Operation *op, const Twine &what, Type from, Type to) {
  if (areCompatible(from, to))
    return success();
  return op->emitOpError(what) << " is " << from << ", wanted " << to;
}

/// A single bool or index, as far as the type tells.
static LogicalResult requireScalar(Operation *op, const Twine &what, Value value, unsigned width) {
  if (isNone(value))
    return success();
  auto type = dyn_cast<TensorType>(value.getType());
  if (!type || !type.getElementType().isSignlessInteger(width))
    return op->emitOpError(what) << " must be of type i" << width << ", found " << value.getType();
  std::optional<Shape> shape = shapeOf(value);
  std::optional<int64_t> elements = shape ? shape->numElements() : std::nullopt;
  if (elements && *elements != 1)
    return op->emitOpError(what) << " must have one element, found " << value.getType();
  return success();
}

/// Whether all runs of the body end with an error: what it yields says nothing then.
static bool alwaysFails(Region &region) {
  return llvm::any_of(region.front(), [](Operation &op) { return isa<FailOp>(op); });
}

InferredTypes IfOp::inferResultTypes(const ShapeFacts &) {
  if (failed(requireScalar(*this, "the condition", getCondition(), 1)))
    return failure();
  FailureOr<OperandRange> a = yieldedBy(*this, getThenRegion()),
                          b = yieldedBy(*this, getElseRegion());
  if (failed(a) || failed(b) ||
      failed(requireCount(*this, "the number of results of the else branch", b->size(), a->size())))
    return failure();
  SmallVector<InferredType, 1> types;
  for (auto [i, x, y] : llvm::enumerate(*a, *b)) {
    Type joined = joinTypes(x.getType(), y.getType());
    if (!joined)
      return emitOpError("result ") << i << " of the then branch is " << x.getType()
                                    << ", that of the else branch " << y.getType();
    if (alwaysFails(getThenRegion()))
      joined = y.getType();
    else if (alwaysFails(getElseRegion()))
      joined = x.getType();
    types.push_back(inferredOf(joined));
  }
  return types;
}

InferredTypes LoopOp::inferResultTypes(const ShapeFacts &) {
  FailureOr<OperandRange> yielded = yieldedBy(*this, getBody());
  if (failed(yielded) || failed(requireScalar(*this, "the trip count", getTripCount(), 64)) ||
      failed(requireScalar(*this, "the condition", getCondition(), 1)))
    return failure();
  size_t carried = getInitial().size();
  Block &body = getBody().front();
  if (failed(requireCount(*this, "the number of the body's arguments", body.getNumArguments(),
                          carried + 2)))
    return failure();
  if (failed(requireScalar(*this, "the iteration number", body.getArgument(0), 64)) ||
      failed(requireScalar(*this, "the body's condition", body.getArgument(1), 1)))
    return failure();
  if (yielded->size() < carried + 1)
    return emitOpError("the body must yield the condition and ")
           << carried << " carried values, found " << yielded->size();
  if (failed(requireScalar(*this, "the yielded condition", (*yielded)[0], 1)))
    return failure();
  SmallVector<InferredType, 1> types;
  for (size_t i = 0; i < carried; ++i) {
    Type argument = body.getArgument(i + 2).getType(), next = (*yielded)[i + 1].getType();
    if (failed(
            requireFits(*this, "carried value " + Twine(i), getInitial()[i].getType(), argument)) ||
        failed(requireFits(*this, "the next carried value " + Twine(i), next, argument)))
      return failure();
    types.push_back(inferredOf(joinTypes(getInitial()[i].getType(), next)));
  }
  for (Value collected : yielded->drop_front(carried + 1)) {
    if (failed(requireTensor(*this, "a collected value", collected)))
      return failure();
    std::optional<Shape> shape = shapeOf(collected);
    if (!shape) {
      types.push_back(inferredOf(collected.getType()));
      continue;
    }
    DimVector dims = shape->dims();
    dims.insert(dims.begin(), Dim());
    auto ranked = rankedResult(*this, Shape(std::move(dims)), elementTypeOf(collected));
    if (failed(ranked))
      return failure();
    types.push_back(ranked->front());
  }
  return types;
}

FailureOr<Type> nn::scanSliceType(Operation *op, Value input, int64_t axis) {
  if (failed(requireTensor(op, "a scanned operand", input)))
    return failure();
  std::optional<Shape> shape = shapeOf(input);
  if (!shape)
    return Type(input.getType());
  FailureOr<int64_t> resolved = resolveAxis(op, axis, shape->rank());
  if (failed(resolved))
    return failure();
  DimVector dims = shape->dims();
  dims.erase(dims.begin() + *resolved);
  return Type(tensorType(Shape(std::move(dims)), elementTypeOf(input)));
}

InferredTypes ScanOp::inferResultTypes(const ShapeFacts &) {
  FailureOr<OperandRange> yielded = yieldedBy(*this, getBody());
  size_t scanned = getInputAxes().size(), collected = getOutputAxes().size();
  if (failed(yielded) ||
      failed(requireCount(*this, "the number of input directions", getInputDirections().size(),
                          scanned)) ||
      failed(requireCount(*this, "the number of output directions", getOutputDirections().size(),
                          collected)))
    return failure();
  if (scanned == 0 || scanned > getInputs().size())
    return emitOpError("cannot scan ") << scanned << " of " << getInputs().size() << " operands";
  size_t states = getInputs().size() - scanned;
  Block &body = getBody().front();
  if (failed(requireCount(*this, "the number of the body's arguments", body.getNumArguments(),
                          getInputs().size())) ||
      failed(
          requireCount(*this, "the number of yielded values", yielded->size(), states + collected)))
    return failure();
  Dim length;
  SmallVector<InferredType, 1> types;
  for (size_t i = 0; i < states; ++i) {
    Type argument = body.getArgument(i).getType(), next = (*yielded)[i].getType();
    if (failed(requireFits(*this, "state " + Twine(i), getInputs()[i].getType(), argument)) ||
        failed(requireFits(*this, "the next state " + Twine(i), next, argument)))
      return failure();
    types.push_back(inferredOf(joinTypes(getInputs()[i].getType(), next)));
  }
  for (size_t i = 0; i < scanned; ++i) {
    Value input = getInputs()[states + i];
    FailureOr<Type> slice = scanSliceType(*this, input, getInputAxes()[i]);
    if (failed(slice) || failed(requireFits(*this, "a slice of operand " + Twine(states + i),
                                            *slice, body.getArgument(states + i).getType())))
      return failure();
    if (std::optional<Shape> shape = shapeOf(input)) {
      const Dim &dim = (*shape)[*resolveAxis(*this, getInputAxes()[i], shape->rank())];
      if (!length.compatibleWith(dim))
        return emitOpError("scans operands of ")
               << length.size() << " and " << dim.size() << " slices";
      length = mergeDims(length, dim);
    }
  }
  for (size_t i = 0; i < collected; ++i) {
    Value value = (*yielded)[states + i];
    if (failed(requireTensor(*this, "a collected value", value)))
      return failure();
    std::optional<Shape> shape = shapeOf(value);
    if (!shape) {
      types.push_back(inferredOf(value.getType()));
      continue;
    }
    FailureOr<int64_t> axis = resolveAxis(*this, getOutputAxes()[i], shape->rank() + 1);
    if (failed(axis))
      return failure();
    DimVector dims = shape->dims();
    dims.insert(dims.begin() + *axis, length);
    auto ranked = rankedResult(*this, Shape(std::move(dims)), elementTypeOf(value));
    if (failed(ranked))
      return failure();
    types.push_back(ranked->front());
  }
  return types;
}

#define GET_OP_CLASSES
#include "ir/ControlFlowOps.cpp.inc"

void NNDialect::registerControlFlowOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/ControlFlowOps.cpp.inc"
      >();
}
