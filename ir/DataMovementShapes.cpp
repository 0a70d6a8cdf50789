//===- DataMovementShapes.cpp - rules of ops that view or make shapes -----===//
//
// The other half of DataMovementOps.td: ops that keep the order of elements
// (reshape, squeeze, ...), expand, and ops on shapes (shape, size, range).
//
//===----------------------------------------------------------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

//===----------------------------------------------------------------------===//
// reshape
//===----------------------------------------------------------------------===//

/// Removes from both sides what stands on both, but for static sizes.
static void cancelCommon(DimVector &left, DimVector &right) {
  llvm::erase_if(right, [&](const Dim &d) {
    auto same =
        llvm::find_if(left, [&](const Dim &l) { return l.isSymbolic() && l.provablyEquals(d); });
    bool found = same != left.end();
    if (found)
      left.erase(same);
    return found;
  });
}

/// The product of the static sizes among `dims`, which go; an error on overflow.
static FailureOr<int64_t> takeStatic(ReshapeOp op, DimVector &dims) {
  CheckedSize product(1);
  for (const Dim &d : dims)
    product *= CheckedSize(d.isStatic() ? d.size() : 1);
  if (!product.valid())
    return op.emitOpError("the product of dimensions ") << Shape(dims).str() << " overflows";
  llvm::erase_if(dims, [](const Dim &d) { return d.isStatic(); });
  return product.value();
}

/// Resolves the -1 of a reshape, at position `open` of `result`: the one dimension that makes both
/// sides have equally many elements. Dimensions in `copied` stand on both sides and cancel. Unknown
/// where a dimension of size 0 leaves it open.
static FailureOr<Dim> openDim(ReshapeOp op, const Shape &input, const Shape &result, int64_t open,
                              ArrayRef<bool> copied) {
  DimVector left, right;
  for (int64_t i = 0; i < input.rank(); ++i)
    if (i >= static_cast<int64_t>(copied.size()) || !copied[i] || input[i].isStatic())
      llvm::append_range(left, factorsOf(input[i]));
  for (int64_t i = 0; i < result.rank(); ++i)
    if (i != open && (!copied[i] || result[i].isStatic()))
      llvm::append_range(right, factorsOf(result[i]));
  cancelCommon(left, right);
  FailureOr<int64_t> known = takeStatic(op, left), divisor = takeStatic(op, right);
  if (failed(known) || failed(divisor))
    return failure();
  if (*divisor == 0 || !right.empty())
    return Dim();
  Dim rest(1);
  for (const Dim &d : left)
    rest = rest * d;
  if (*known % *divisor == 0)
    return rest * Dim(*known / *divisor);
  if (left.empty())
    return op.emitOpError("cannot reshape ")
           << input.str() << " so that -1 stands beside " << *divisor << " elements";
  return floorDiv(rest * Dim(*known), *divisor);
}

/// The result shape for the given `sizes`, of which that at `open` is -1 if `isMinusOne`, else
/// perhaps.
static FailureOr<Shape> reshapedTo(ReshapeOp op, const std::optional<Shape> &input,
                                   ArrayRef<Dim> sizes, std::optional<int64_t> open,
                                   bool isMinusOne) {
  SmallVector<bool> copied;
  DimVector dims;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    bool copies = size.isStatic(0) && !op.getAllowzero();
    copied.push_back(copies);
    if (!copies) {
      dims.push_back(size);
    } else if (input && static_cast<int64_t>(i) >= input->rank()) {
      return op.emitOpError("shape entry ")
             << i << " is 0, but the input has rank " << input->rank();
    } else {
      dims.push_back(input ? (*input)[i] : Dim());
    }
  }
  Shape result(std::move(dims));
  if (!input)
    return result;
  if (open) {
    FailureOr<Dim> dim = openDim(op, *input, result, *open, copied);
    if (failed(dim))
      return failure();
    if (isMinusOne && llvm::any_of(result.dims(), [](const Dim &d) { return d.isStatic(0); }))
      return op.emitOpError("-1 cannot be inferred beside a dimension of size 0");
    result[*open] = *dim;
  }
  std::optional<int64_t> before = input->numElements(), after = result.numElements();
  if (before && after && *before != *after)
    return op.emitOpError("cannot reshape ") << input->str() << " to " << result.str();
  return result;
}

/// The same for integers, of which one may be -1.
static FailureOr<Shape> reshapedTo(ReshapeOp op, const std::optional<Shape> &input,
                                   ArrayRef<int64_t> sizes) {
  std::optional<int64_t> open;
  DimVector dims;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    if (size < -1)
      return op.emitOpError("shape entries must be -1 or more, found ") << size;
    if (size == -1 && open)
      return op.emitOpError("shape must hold at most one -1");
    if (size == -1)
      open = i;
    dims.push_back(size == -1 ? Dim() : Dim(size));
  }
  return reshapedTo(op, input, dims, open, /*isMinusOne=*/true);
}

/// The rule but for the layout.
static InferredTypes inferReshape(ReshapeOp op, const ShapeFacts &facts) {
  Type elementType = elementTypeOf(op.getInput());
  if (failed(requireIndices(facts, op, op.getShape(), "shape", /*maxRank=*/1)))
    return failure();
  std::optional<Shape> input = facts.shapeOf(op.getInput());
  if (std::optional<std::vector<int64_t>> sizes = facts.integersOf(op.getShape())) {
    FailureOr<Shape> shape = reshapedTo(op, input, *sizes);
    if (failed(shape))
      return failure();
    return rankedResult(op, *shape, elementType);
  }
  // Sizes that a model computes are sizes indeed, or -1 as a constant.
  if (std::optional<DimVector> sizes = facts.dimsIn(op.getShape())) {
    auto isOpen = [](const Dim &d) { return d.isUnknown(); };
    auto open = llvm::find_if(*sizes, isOpen);
    std::optional<int64_t> position;
    if (llvm::count_if(*sizes, isOpen) == 1)
      position = open - sizes->begin();
    FailureOr<Shape> shape = reshapedTo(op, input, *sizes, position, /*isMinusOne=*/false);
    if (failed(shape))
      return failure();
    return rankedResult(op, *shape, elementType);
  }
  std::optional<int64_t> rank = facts.lengthOf(op.getShape());
  return rank ? resultOfRank(op, *rank, elementType) : unrankedResult(elementType);
}

InferredTypes ReshapeOp::inferResultTypes(const ShapeFacts &facts) {
  InferredTypes types = inferReshape(*this, facts);
  if (succeeded(types))
    types->front().layout = layoutOf(getResult());
  return types;
}

InferredTypes FlattenOp::inferResultTypes(const ShapeFacts &facts) {
  std::optional<Shape> input = facts.shapeOf(getInput());
  int64_t axis = getAxis();
  if (!input)
    return resultOfRank(*this, 2, elementTypeOf(getInput()));
  int64_t rank = input->rank();
  if (axis < -rank || axis > rank)
    return emitOpError("axis must be in [") << -rank << ", " << rank << "], found " << axis;
  ArrayRef<Dim> dims(input->dims());
  size_t split = axis < 0 ? axis + rank : axis;
  FailureOr<Dim> outer = productOf(*this, dims.take_front(split));
  FailureOr<Dim> inner = productOf(*this, dims.drop_front(split));
  if (failed(outer) || failed(inner))
    return failure();
  return rankedResult(*this, Shape({*outer, *inner}), elementTypeOf(getInput()));
}

InferredTypes TransposeOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  std::optional<Shape> input = facts.shapeOf(getInput());
  ArrayRef<int64_t> perm = getPerm();
  auto entries = static_cast<int64_t>(perm.size());
  SmallVector<bool> seen(entries);
  for (int64_t axis : perm) {
    if (axis < 0 || axis >= entries || seen[axis])
      return emitOpError("perm must be a permutation of 0 to ")
             << entries - 1 << ", found " << axis << (axis >= 0 && axis < entries ? " twice" : "");
    seen[axis] = true;
  }
  if (!input)
    return perm.empty() ? unrankedResult(elementType) : resultOfRank(*this, entries, elementType);
  if (!perm.empty() && entries != input->rank())
    return emitOpError("perm must have ") << input->rank() << " entries, found " << entries;
  DimVector dims;
  for (int64_t i = 0; i < input->rank(); ++i)
    dims.push_back((*input)[perm.empty() ? input->rank() - 1 - i : perm[i]]);
  return rankedResult(*this, Shape(std::move(dims)), elementType);
}

//===----------------------------------------------------------------------===//
// squeeze, unsqueeze, expand
//===----------------------------------------------------------------------===//

/// Squeezes without axes: possible only when every size is known.
static InferredTypes squeezeOnes(SqueezeOp op, const Shape &input) {
  Type elementType = elementTypeOf(op.getInput());
  if (!input.isStatic())
    return unrankedResult(elementType);
  DimVector dims;
  for (const Dim &d : input.dims())
    if (!d.isStatic(1))
      dims.push_back(d);
  return rankedResult(op, Shape(std::move(dims)), elementType);
}

InferredTypes SqueezeOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireIndices(facts, *this, getAxes(), "axes", /*maxRank=*/1)))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return unrankedResult(elementType);
  if (isNone(getAxes()))
    return squeezeOnes(*this, *input);
  std::optional<std::vector<int64_t>> axes = facts.integersOf(getAxes());
  std::optional<int64_t> count = facts.lengthOf(getAxes());
  if (count && *count > input->rank())
    return emitOpError("axes must have at most ") << input->rank() << " entries, found " << *count;
  if (!axes)
    return count ? resultOfRank(*this, input->rank() - *count, elementType)
                 : unrankedResult(elementType);
  FailureOr<SmallVector<int64_t>> resolved = resolveAxes(*this, *axes, input->rank());
  if (failed(resolved))
    return failure();
  DimVector dims;
  for (int64_t i = 0; i < input->rank(); ++i) {
    if (!llvm::is_contained(*resolved, i))
      dims.push_back((*input)[i]);
    else if (failed(requireDim(*this, (*input)[i], Dim(1), "squeezed dimension " + Twine(i))))
      return failure();
  }
  return rankedResult(*this, Shape(std::move(dims)), elementType);
}

InferredTypes UnsqueezeOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireIndices(facts, *this, getAxes(), "axes", /*maxRank=*/1)))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput());
  std::optional<int64_t> count = facts.lengthOf(getAxes());
  if (!input || !count)
    return unrankedResult(elementType);
  if (failed(requireSaneRank(*this, *count)))
    return failure();
  int64_t rank = input->rank() + *count;
  std::optional<std::vector<int64_t>> axes = facts.integersOf(getAxes());
  if (!axes)
    return resultOfRank(*this, rank, elementType);
  FailureOr<SmallVector<int64_t>> resolved = resolveAxes(*this, *axes, rank);
  if (failed(resolved))
    return failure();
  DimVector dims;
  auto next = input->dims().begin();
  for (int64_t i = 0; i < rank; ++i)
    dims.push_back(llvm::is_contained(*resolved, i) ? Dim(1) : *next++);
  return rankedResult(*this, Shape(std::move(dims)), elementType);
}

InferredTypes ExpandOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireIndices(facts, *this, getShape(), "shape", /*maxRank=*/1)))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput());
  std::optional<int64_t> count = facts.lengthOf(getShape());
  if (!input || !count)
    return unrankedResult(elementType);
  if (failed(requireSaneRank(*this, *count)))
    return failure();
  Shape target = unknownShape(*count);
  if (std::optional<DimVector> sizes = facts.dimsIn(getShape()))
    target = Shape(*sizes);
  if (std::optional<std::vector<int64_t>> sizes = facts.integersOf(getShape())) {
    if (llvm::any_of(*sizes, [](int64_t s) { return s < 0; }))
      return emitOpError("shape entries must not be negative, found ")
             << *llvm::min_element(*sizes);
    target = Shape::fromSizes(*sizes);
  }
  Expected<Shape> result = broadcastShapes(*input, target);
  if (!result)
    return emitOpError(result.status().message());
  return rankedResult(*this, *result, elementType);
}

//===----------------------------------------------------------------------===//
// shape, range
//===----------------------------------------------------------------------===//

InferredTypes ShapeOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = IntegerType::get(getContext(), 64);
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return resultOfRank(*this, 1, elementType);
  auto count = static_cast<int64_t>(select(input->dims()).size());
  return rankedResult(*this, Shape({Dim(count)}), elementType);
}

/// The length of a range from 0 by 1 to a size.
static Dim rangeToSize(RangeOp op, const ShapeFacts &facts) {
  std::optional<DimVector> start = facts.dimsIn(op.getStart()), limit = facts.dimsIn(op.getLimit()),
                           delta = facts.dimsIn(op.getDelta());
  bool isPlain = start && limit && delta && start->size() == 1 && limit->size() == 1 &&
                 delta->size() == 1 && start->front().isStatic(0) && delta->front().isStatic(1);
  return isPlain ? limit->front() : Dim();
}

/// max(0, ceil((limit - start) / delta)) of floats.
static FailureOr<Dim> floatRange(RangeOp op, double start, double limit, double delta) {
  if (delta == 0)
    return op.emitOpError("delta must not be 0");
  double count = std::ceil((limit - start) / delta);
  if (!(count < 0x1p62))
    return op.emitOpError("has too many elements: from ")
           << start << " to " << limit << " by " << delta;
  return Dim(static_cast<int64_t>(std::max(0.0, count)));
}

/// The same of integers, whose difference may overflow 64 bits.
static FailureOr<Dim> integerRange(RangeOp op, int64_t start, int64_t limit, int64_t delta) {
  if (delta == 0)
    return op.emitOpError("delta must not be 0");
  __int128 distance = static_cast<__int128>(limit) - start;
  __int128 count = distance / delta + (distance % delta != 0 && (distance < 0) == (delta < 0));
  if (count > std::numeric_limits<int64_t>::max())
    return op.emitOpError("has too many elements");
  return Dim(static_cast<int64_t>(std::max<__int128>(0, count)));
}

/// The one element of a constant of type T; nullopt when the value is not constant.
template <typename T> static std::optional<T> scalarOf(Value value, const ShapeFacts &facts) {
  std::optional<Tensor> tensor = facts.tensorOf(value);
  if (!tensor || tensor->numElements() != 1)
    return std::nullopt;
  return tensor->data<T>()[0];
}

template <typename T> static FailureOr<Dim> rangeLength(RangeOp op, const ShapeFacts &facts) {
  std::optional<T> start = scalarOf<T>(op.getStart(), facts),
                   limit = scalarOf<T>(op.getLimit(), facts),
                   delta = scalarOf<T>(op.getDelta(), facts);
  if (!start || !limit || !delta)
    return rangeToSize(op, facts);
  if constexpr (std::is_integral_v<T>)
    return integerRange(op, *start, *limit, *delta);
  else
    return floatRange(op, *start, *limit, *delta);
}

InferredTypes RangeOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getStart());
  if (failed(requireNumbers(*this, getStart(), "start")) ||
      failed(requireSameElements(*this, getLimit(), "limit", getStart())) ||
      failed(requireSameElements(*this, getDelta(), "delta", getStart())))
    return failure();
  for (Value operand : getOperands())
    if (std::optional<int64_t> count = facts.lengthOf(operand); count && *count != 1)
      return emitOpError("start, limit and delta must be scalars, found ") << operand.getType();
  FailureOr<Dim> length = Dim();
  switch (dtypeOf(elementType)) {
  case DType::Float32:
    length = rangeLength<float>(*this, facts);
    break;
  case DType::Float64:
    length = rangeLength<double>(*this, facts);
    break;
  case DType::Int16:
    length = rangeLength<int16_t>(*this, facts);
    break;
  case DType::Int32:
    length = rangeLength<int32_t>(*this, facts);
    break;
  case DType::Int64:
    length = rangeLength<int64_t>(*this, facts);
    break;
  default:
    break;
  }
  if (failed(length))
    return failure();
  return rankedResult(*this, Shape({*length}), elementType);
}

/// How many elements are not zero, only they can tell.
InferredTypes NonZeroOp::inferResultTypes(const ShapeFacts &facts) {
  Type int64 = IntegerType::get(getContext(), 64);
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return rankedResult(*this, Shape({Dim(), Dim()}), int64);
  return rankedResult(*this, Shape({Dim(input->rank()), Dim()}), int64);
}
