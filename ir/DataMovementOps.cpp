//===- DataMovementOps.cpp - rules of moves and copies --------------------===//
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/TypeRules.h"
#include "runtime/values/CeilDiv.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

InferredTypes CastOp::inferResultTypes(const ShapeFacts &facts) {
  DType from = dtypeOf(elementTypeOf(getInput())), to = dtypeOf(getTo());
  auto castable = [](DType t) {
    return t != DType::Undefined && t != DType::Complex64 && t != DType::Complex128;
  };
  if (!castable(from) || !castable(to))
    return emitOpError("cannot convert ") << elementTypeOf(getInput()) << " to " << getTo();
  std::optional<Shape> shape = facts.shapeOf(getInput());
  return shape ? rankedResult(*this, *shape, getTo(), layoutOf(getInput()))
               : unrankedResult(getTo());
}

/// Whether elements are numbers of whole bytes.
static bool hasBytes(DType dtype) {
  return dtype != DType::Undefined && dtype != DType::String && dtype != DType::Bool &&
         dtypeBits(dtype) >= 8;
}

/// Whether a number of type `whole` is two of type `part`.
static bool isPairOf(Type whole, Type part) {
  auto complex = dyn_cast<ComplexType>(whole);
  return complex && complex.getElementType() == part;
}

InferredTypes BitCastOp::inferResultTypes(const ShapeFacts &facts) {
  Type fromType = elementTypeOf(getInput());
  DType from = dtypeOf(fromType), to = dtypeOf(getTo());
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (isPairOf(fromType, getTo()) || isPairOf(getTo(), fromType)) {
    if (!shape)
      return unrankedResult(getTo());
    DimVector dims = shape->dims();
    if (isPairOf(fromType, getTo())) {
      dims.push_back(Dim(2));
      return rankedResult(*this, Shape(std::move(dims)), getTo());
    }
    if (failed(requireRankAtLeast(*this, *shape, 1)) ||
        failed(requireDim(*this, dims.back(), Dim(2), "the last dimension")))
      return failure();
    dims.pop_back();
    return rankedResult(*this, Shape(std::move(dims)), getTo());
  }
  if (!hasBytes(from) || !hasBytes(to) || dtypeBits(from) != dtypeBits(to))
    return emitOpError("cannot read the bits of ") << fromType << " as " << getTo();
  return shape ? rankedResult(*this, *shape, getTo()) : unrankedResult(getTo());
}

//===----------------------------------------------------------------------===//
// concat and split
//===----------------------------------------------------------------------===//

/// Merges the next input of a concat into the shape so far.
static LogicalResult mergeInput(ConcatOp op, Shape &merged, const Shape &next, int64_t axis) {
  if (next.rank() != merged.rank())
    return op.emitOpError("inputs must have the same rank, found ")
           << merged.rank() << " and " << next.rank();
  for (int64_t i = 0; i < merged.rank(); ++i) {
    if (i == axis)
      continue;
    if (failed(requireDim(op, next[i], merged[i], "dimension " + Twine(i) + " of every input")))
      return failure();
    merged[i] = mergeDims(merged[i], next[i]);
  }
  return success();
}

std::optional<int64_t> ConcatOp::getAxisRank() {
  // The result is ranked as soon as any input is.
  std::optional<Shape> shape = nn::shapeOf(getResult());
  return shape ? std::optional(shape->rank()) : std::nullopt;
}

InferredTypes ConcatOp::inferResultTypes(const ShapeFacts &facts) {
  if (getInputs().empty())
    return emitOpError("needs at least one input");
  Value first = getInputs().front();
  Layout layout = layoutOf(first);
  std::optional<Shape> merged;
  FailureOr<int64_t> axis = failure();
  CheckedSize total;
  Dim sum(0);
  bool known = true;
  for (Value input : getInputs()) {
    if (failed(requireSameElements(*this, input, "every input", first)))
      return failure();
    if (layoutOf(input) != layout)
      return emitOpError("inputs must have the same layout, found ")
             << first.getType() << " and " << input.getType();
    std::optional<Shape> next = facts.shapeOf(input);
    known &= next.has_value();
    if (!next)
      continue;
    if (!merged) {
      axis = resolveAxis(*this, getAxis(), next->rank());
      if (failed(axis))
        return failure();
      merged = next;
    } else if (failed(mergeInput(*this, *merged, *next, *axis))) {
      return failure();
    }
    sum = sum + (*next)[*axis];
    total += CheckedSize((*next)[*axis].isStatic() ? (*next)[*axis].size() : 0);
  }
  if (!merged)
    return unrankedResult(elementTypeOf(first));
  if (layout.isBlocked() && *axis == merged->rank() - 1)
    return emitOpError("cannot concatenate inside of channel blocks");
  if (!total.valid())
    return emitOpError("the size of axis ") << *axis << " overflows";
  if (getInputs().size() > 1)
    (*merged)[*axis] = known ? sum : Dim();
  return rankedResult(*this, *merged, elementTypeOf(first), layout);
}

/// The part sizes of a split whose `sizes` is constant.
static FailureOr<DimVector> givenParts(SplitOp op, ArrayRef<int64_t> sizes, const Dim &whole) {
  if (sizes.size() != op.getNumResults())
    return op.emitOpError("has ") << op.getNumResults() << " results, but " << sizes.size()
                                  << " sizes";
  DimVector parts;
  CheckedSize total;
  for (int64_t size : sizes) {
    if (size < 0)
      return op.emitOpError("sizes must not be negative, found ") << size;
    parts.push_back(Dim(size));
    total += CheckedSize(size);
  }
  if (!total.valid() || !whole.compatibleWith(Dim(total.value())))
    return op.emitOpError("sizes must sum to ")
           << whole.str() << ", found "
           << (total.valid() ? std::to_string(total.value()) : "overflow");
  return parts;
}

/// The sizes of `count` equal parts, of which the last may be smaller.
static FailureOr<DimVector> equalParts(SplitOp op, const Dim &whole) {
  int64_t count = op.getNumResults();
  if (count == 1)
    return DimVector{whole};
  if (whole.isUnknown())
    return DimVector(count);
  if (whole.isSymbolic()) {
    Dim part = ceilDiv(whole, count);
    DimVector parts(count, part);
    parts.back() = whole - part * Dim(count - 1);
    return parts;
  }
  int64_t part = quern::ceilDiv(whole.size(), count);
  CheckedSize last = CheckedSize(whole.size()) - CheckedSize(part) * CheckedSize(count - 1);
  if (!last.valid())
    return op.emitOpError("cannot split ") << whole.str() << " elements into " << count << " parts";
  DimVector parts(count, Dim(part));
  parts.back() = Dim(last.value());
  return parts;
}

InferredTypes SplitOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (getNumResults() == 0)
    return emitOpError("needs at least one result");
  if (failed(requireIndices(facts, *this, getSizes(), "sizes", /*maxRank=*/1)))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput());
  if (!input)
    return SmallVector<InferredType, 1>(getNumResults(), {elementType, std::nullopt});
  FailureOr<int64_t> axis = resolveAxis(*this, getAxis(), input->rank());
  if (failed(axis))
    return failure();
  FailureOr<DimVector> parts = DimVector(getNumResults());
  if (isNone(getSizes()))
    parts = equalParts(*this, (*input)[*axis]);
  else if (std::optional<std::vector<int64_t>> sizes = facts.integersOf(getSizes()))
    parts = givenParts(*this, *sizes, (*input)[*axis]);
  if (failed(parts))
    return failure();
  SmallVector<InferredType, 1> types;
  for (const Dim &part : *parts) {
    (*input)[*axis] = part;
    types.push_back({elementType, *input});
  }
  return types;
}

//===----------------------------------------------------------------------===//
// slice
//===----------------------------------------------------------------------===//

/// The elements that [start, end) with `step` selects of `size`, by the clamping rules of ONNX.
static int64_t slicedSize(int64_t size, int64_t start, int64_t end, int64_t step) {
  auto fromFront = [&](int64_t i, int64_t lowest, int64_t highest) {
    return std::clamp(i < 0 ? i + size : i, lowest, highest);
  };
  if (step > 0) {
    start = fromFront(start, 0, size);
    end = fromFront(end, 0, size);
    return start < end ? quern::ceilDiv(end - start, step) : 0;
  }
  if (size == 0)
    return 0;
  start = fromFront(start, 0, size - 1);
  end = fromFront(end, -1, size - 1);
  // Dividing by the negative step keeps the smallest integer harmless.
  return start > end ? (end - start + 1) / step + 1 : 0;
}

/// The size of a sliced dimension; unknown ones survive only when nothing is cut off.
static Dim slicedDim(const Dim &dim, int64_t start, int64_t end, int64_t step) {
  constexpr int64_t kFar = std::numeric_limits<int32_t>::max();
  if (dim.isStatic())
    return Dim(slicedSize(dim.size(), start, end, step));
  bool whole = (step == 1 && start == 0 && end >= kFar) ||
               (step == -1 && (start == -1 || start >= kFar) && end <= -kFar);
  return whole ? dim : Dim();
}

/// The axes that a slice cuts; nullopt when they are not constant.
static FailureOr<std::optional<SmallVector<int64_t>>> slicedAxes(SliceOp op, int64_t rank,
                                                                 const ShapeFacts &facts) {
  std::optional<std::vector<int64_t>> axes;
  if (!isNone(op.getAxes())) {
    axes = facts.integersOf(op.getAxes());
  } else if (std::optional<int64_t> count = facts.lengthOf(op.getStarts())) {
    if (*count > rank)
      return op.emitOpError("starts must have at most ") << rank << " entries, found " << *count;
    auto all = llvm::seq<int64_t>(0, *count);
    axes.emplace(all.begin(), all.end());
  }
  if (!axes)
    return std::optional<SmallVector<int64_t>>();
  FailureOr<SmallVector<int64_t>> resolved = resolveAxes(op, *axes, rank);
  if (failed(resolved))
    return failure();
  return std::optional(*resolved);
}

/// Checks that starts, ends, axes and steps are index vectors of one length.
static LogicalResult verifySliceOperands(SliceOp op, const ShapeFacts &facts) {
  std::optional<int64_t> length;
  std::pair<Value, StringRef> operands[] = {{op.getStarts(), "starts"},
                                            {op.getEnds(), "ends"},
                                            {op.getAxes(), "axes"},
                                            {op.getSteps(), "steps"}};
  for (auto [operand, name] : operands) {
    if (failed(requireIndices(facts, op, operand, name, /*maxRank=*/1)))
      return failure();
    std::optional<int64_t> next = isNone(operand) ? std::nullopt : facts.lengthOf(operand);
    if (length && next && *length != *next)
      return op.emitOpError() << name << " must have " << *length << " entries, found " << *next;
    length = length ? length : next;
  }
  if (std::optional<std::vector<int64_t>> steps = facts.integersOf(op.getSteps()))
    if (llvm::is_contained(*steps, 0))
      return op.emitOpError("steps must not be 0");
  return success();
}

std::optional<SmallVector<int64_t>> SliceOp::getCutDimensions(const ShapeFacts &facts) {
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (!shape)
    return std::nullopt;
  FailureOr<std::optional<SmallVector<int64_t>>> axes = slicedAxes(*this, shape->rank(), facts);
  return succeeded(axes) ? *axes : std::nullopt;
}

InferredTypes SliceOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(verifySliceOperands(*this, facts)))
    return failure();
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (!shape)
    return unrankedResult(elementType);
  FailureOr<std::optional<SmallVector<int64_t>>> axes = slicedAxes(*this, shape->rank(), facts);
  if (failed(axes))
    return failure();
  if (!*axes)
    return resultOfRank(*this, shape->rank(), elementType);
  std::optional<std::vector<int64_t>> starts = facts.integersOf(getStarts()),
                                      ends = facts.integersOf(getEnds()), steps;
  if (isNone(getSteps()))
    steps.emplace((*axes)->size(), 1);
  else
    steps = facts.integersOf(getSteps());
  for (auto [i, axis] : llvm::enumerate(**axes)) {
    bool known =
        starts && ends && steps && i < starts->size() && i < ends->size() && i < steps->size();
    (*shape)[axis] =
        known ? slicedDim((*shape)[axis], (*starts)[i], (*ends)[i], (*steps)[i]) : Dim();
  }
  return rankedResult(*this, *shape, elementType);
}

//===----------------------------------------------------------------------===//
// tile, pad, gather
//===----------------------------------------------------------------------===//

InferredTypes TileOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireIndices(facts, *this, getRepeats(), "repeats", /*maxRank=*/1)))
    return failure();
  std::optional<Shape> shape = facts.shapeOf(getInput());
  std::optional<int64_t> count = facts.lengthOf(getRepeats());
  if (!shape)
    return count ? resultOfRank(*this, *count, elementType) : unrankedResult(elementType);
  if (count && *count != shape->rank())
    return emitOpError("repeats must have ") << shape->rank() << " entries, found " << *count;
  std::optional<std::vector<int64_t>> repeats = facts.integersOf(getRepeats());
  if (std::optional<DimVector> dims = facts.dimsIn(getRepeats()); dims && !repeats && count) {
    for (auto [i, repeat] : llvm::enumerate(*dims))
      (*shape)[i] = (*shape)[i] * repeat;
    return rankedResult(*this, *shape, elementType);
  }
  if (!repeats)
    return resultOfRank(*this, shape->rank(), elementType);
  for (auto [i, repeat] : llvm::enumerate(*repeats)) {
    if (repeat < 0)
      return emitOpError("repeats must not be negative, found ") << repeat;
    FailureOr<Dim> dim = productOf(*this, {(*shape)[i], Dim(repeat)});
    if (failed(dim))
      return failure();
    (*shape)[i] = *dim;
  }
  return rankedResult(*this, *shape, elementType);
}

/// The size of a padded dimension; negative pads crop.
static FailureOr<Dim> paddedDim(PadOp op, int64_t axis, const Dim &dim, int64_t begin,
                                int64_t end) {
  if (!dim.isStatic())
    return begin == 0 && end == 0   ? dim
           : begin >= 0 && end >= 0 ? dim + Dim(begin) + Dim(end)
                                    : Dim();
  int64_t size = 0;
  if (__builtin_add_overflow(dim.size(), begin, &size) || __builtin_add_overflow(size, end, &size))
    return op.emitOpError("the size of axis ") << axis << " overflows";
  if (size < 0)
    return op.emitOpError("pads ") << begin << " and " << end << " crop more than the "
                                   << dim.size() << " elements of axis " << axis;
  if (op.getMode() != PadMode::Constant && dim.size() == 0 && size > 0)
    return op.emitOpError("mode ")
           << nameOf(op.getMode()) << " has no element to repeat along axis " << axis;
  return Dim(size);
}

InferredTypes PadOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireIndices(facts, *this, getPads(), "pads", /*maxRank=*/1)) ||
      failed(requireSameElements(*this, getValue(), "value", getInput())))
    return failure();
  if (!isNone(getValue()))
    if (std::optional<int64_t> count = facts.lengthOf(getValue()); count && *count != 1)
      return emitOpError("value must have one element, found ") << *count;
  std::optional<Shape> shape = facts.shapeOf(getInput());
  std::optional<int64_t> count = facts.lengthOf(getPads());
  if (count && *count % 2 != 0)
    return emitOpError("pads must have an even number of entries, found ") << *count;
  if (!shape)
    return count ? resultOfRank(*this, *count / 2, elementType) : unrankedResult(elementType);
  if (count && *count != 2 * shape->rank())
    return emitOpError("pads must have ") << 2 * shape->rank() << " entries, found " << *count;
  std::optional<std::vector<int64_t>> pads = facts.integersOf(getPads());
  if (!pads)
    return resultOfRank(*this, shape->rank(), elementType);
  for (int64_t i = 0; i < shape->rank(); ++i) {
    FailureOr<Dim> dim = paddedDim(*this, i, (*shape)[i], (*pads)[i], (*pads)[shape->rank() + i]);
    if (failed(dim))
      return failure();
    (*shape)[i] = *dim;
  }
  return rankedResult(*this, *shape, elementType);
}

InferredTypes GatherOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(requireIndices(facts, *this, getIndices(), "indices",
                            std::numeric_limits<int64_t>::max())))
    return failure();
  std::optional<Shape> input = facts.shapeOf(getInput()), indices = facts.shapeOf(getIndices());
  if (!input)
    return unrankedResult(elementType);
  FailureOr<int64_t> axis = resolveAxis(*this, getAxis(), input->rank());
  if (failed(axis))
    return failure();
  if (!indices)
    return unrankedResult(elementType);
  DimVector dims(input->dims().begin(), input->dims().begin() + *axis);
  llvm::append_range(dims, indices->dims());
  dims.append(input->dims().begin() + *axis + 1, input->dims().end());
  return rankedResult(*this, Shape(std::move(dims)), elementType);
}

//===----------------------------------------------------------------------===//
// resize
//===----------------------------------------------------------------------===//

static LogicalResult verifyResizeAttributes(ResizeOp op) {
  if (isNone(op.getScales()) && isNone(op.getSizes()))
    return op.emitOpError("scales or sizes must be given");
  bool crops = op.getCoordinateTransformationMode() == ResizeCoordinates::TfCropAndResize;
  if (crops && isNone(op.getRoi()))
    return op.emitOpError("tf_crop_and_resize needs roi");
  return success();
}

/// Checks the type and length of scales or roi: a float vector of `length`.
static LogicalResult verifyFloatVector(ResizeOp op, Value vector, StringRef name, int64_t length,
                                       const ShapeFacts &facts) {
  if (isNone(vector))
    return success();
  if (failed(requireFloats(op, vector, name)))
    return failure();
  std::optional<int64_t> found = facts.lengthOf(vector);
  // An empty roi is ONNX's way of leaving it out.
  if (!found || *found == length || (name == "roi" && *found == 0))
    return success();
  return op.emitOpError() << name << " must have " << length << " entries, found " << *found;
}

/// floor(dim * scale) in the arithmetic of float32, as ONNX runtimes compute it.
static FailureOr<Dim> scaledDim(ResizeOp op, const Dim &dim, float scale) {
  if (!(scale > 0) || !std::isfinite(scale))
    return op.emitOpError("scales must be positive and finite, found ") << scale;
  if (!dim.isStatic())
    return scale == 1 ? dim : Dim();
  float size = std::floor(static_cast<float>(dim.size()) * scale);
  if (size >= 0x1p62f)
    return op.emitOpError("a size scaled by ") << scale << " overflows";
  return scale == 1 ? dim : Dim(static_cast<int64_t>(size));
}

InferredTypes ResizeOp::inferResultTypes(const ShapeFacts &facts) {
  Type elementType = elementTypeOf(getInput());
  if (failed(verifyResizeAttributes(*this)) || failed(requireNumbers(*this, getInput(), "input")) ||
      failed(requireIndices(facts, *this, getSizes(), "sizes", /*maxRank=*/1)))
    return failure();
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (!shape)
    return unrankedResult(elementType);
  int64_t rank = shape->rank();
  if (failed(verifyFloatVector(*this, getScales(), "scales", rank, facts)) ||
      failed(verifyFloatVector(*this, getRoi(), "roi", 2 * rank, facts)))
    return failure();
  if (!isNone(getSizes())) {
    std::optional<int64_t> count = facts.lengthOf(getSizes());
    if (count && *count != rank)
      return emitOpError("sizes must have ") << rank << " entries, found " << *count;
    std::optional<std::vector<int64_t>> sizes = facts.integersOf(getSizes());
    std::optional<DimVector> dims = facts.dimsIn(getSizes());
    if (!sizes && dims && dims->size() == static_cast<size_t>(rank))
      return rankedResult(*this, Shape(*dims), elementType);
    if (!sizes)
      return resultOfRank(*this, rank, elementType);
    if (llvm::any_of(*sizes, [](int64_t s) { return s < 0; }))
      return emitOpError("sizes must not be negative, found ") << llvm::join(
                 llvm::map_range(*sizes, [](int64_t s) { return std::to_string(s); }), ", ");
    return rankedResult(*this, Shape::fromSizes(*sizes), elementType);
  }
  std::optional<Tensor> scales = facts.tensorOf(getScales());
  if (!scales || scales->dtype() != DType::Float32)
    return resultOfRank(*this, rank, elementType);
  for (int64_t i = 0; i < rank; ++i) {
    FailureOr<Dim> dim = scaledDim(*this, (*shape)[i], scales->data<float>()[i]);
    if (failed(dim))
      return failure();
    (*shape)[i] = *dim;
  }
  return rankedResult(*this, *shape, elementType);
}

#define GET_OP_CLASSES
#include "ir/DataMovementOps.cpp.inc"

void NNDialect::registerDataMovementOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/DataMovementOps.cpp.inc"
      >();
}
