//===- LowerReduction.cpp - reductions, softmax, arg max ------------------===//
#include "backends/native/emit/ElementTypes.h"
#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/kernels/CumulateKernel.h"
#include "backends/native/kernels/SoftmaxKernel.h"
#include "backends/native/kernels/TopKKernel.h"
#include "backends/native/lowering/GroupProgram.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/plan/CostRules.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "runtime/values/Strides.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Why no reduction is native for the elements of `op`, if none is.
static std::optional<Reason> refuseReduction(Operation *op) {
  DType dtype = dtypeOfValue(op->getOperand(0));
  if (isArithmetic(dtype))
    return std::nullopt;
  return Reason{ReasonCode::ElementType, "no native reduction of " + std::string(dtypeName(dtype))};
}

/// `sizes` as [outer, length, inner] with length from axis `begin` to `end`.
static RowShape rowsAlong(ArrayRef<int64_t> sizes, int64_t begin, int64_t end) {
  return {productOf(sizes.take_front(begin)), productOf(sizes.slice(begin, end - begin)),
          productOf(sizes.drop_front(end))};
}

/// Whether all dimensions of `value` from `begin` on are 1, whatever the sizes.
static bool isOneFrom(Value value, int64_t begin, const LoweringContext &context) {
  auto rank = static_cast<int64_t>(context.sizesOf(value).size());
  for (int64_t d = begin; d < rank; ++d)
    if (context.fixedSize(value, d) != 1)
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Reduce
//===----------------------------------------------------------------------===//

/// Which dimensions `op` reduces; nullopt when known only at run time.
static std::optional<std::vector<bool>> reducedDimensions(nn::ReduceOp op,
                                                          const LoweringContext &context) {
  std::optional<SmallVector<int64_t>> dimensions = op.getReducedDimensions(context.values);
  if (!dimensions)
    return std::nullopt;
  std::vector<bool> reduced(context.sizesOf(op.getInput()).size());
  for (int64_t d : *dimensions)
    reduced[static_cast<size_t>(d)] = true;
  return reduced;
}

/// The reduction as one of [outer, length, inner], when the reduced dimensions
/// that matter are neighbours.
static std::optional<RowShape> asRows(Value input, const std::vector<bool> &reduced,
                                      const LoweringContext &context, bool &contiguous) {
  ArrayRef<int64_t> sizes = context.sizesOf(input);
  RowShape shape;
  enum { Outer, Length, Inner } part = Outer;
  for (size_t d = 0; d < sizes.size(); ++d) {
    // A size that is 1 by chance is like any other: the code must not depend on it.
    if (context.fixedSize(input, static_cast<int64_t>(d)) == 1)
      continue;
    if (reduced[d]) {
      if (part == Inner)
        return std::nullopt;
      part = Length;
      shape.length *= sizes[d];
    } else {
      part = part == Outer ? Outer : Inner;
      (part == Outer ? shape.outer : shape.inner) *= sizes[d];
    }
  }
  // Nothing is reduced: go through the elements by vectors.
  if (part == Outer)
    std::swap(shape.outer, shape.inner);
  contiguous = part == Length;
  return shape;
}

/// Copies the input into scratch space with the reduced dimensions last.
static StepBuffer moveReducedLast(Value input, const std::vector<bool> &reduced, RowShape &shape,
                                  const LoweringContext &context, std::vector<LoweredStep> &steps) {
  ArrayRef<int64_t> sizes = context.sizesOf(input);
  Sizes strides = rowMajorStrides<Sizes>(sizes), order, from;
  shape = {};
  for (bool wanted : {false, true})
    for (size_t d = 0; d < sizes.size(); ++d)
      if (reduced[d] == wanted) {
        order.push_back(sizes[d]);
        from.push_back(strides[d]);
        (wanted ? shape.length : shape.outer) *= sizes[d];
      }
  DType dtype = dtypeOfValue(input);
  StepBuffer scratch = StepBuffer::scratchSpace(0, CheckedSize::product(sizes) * dtypeBytes(dtype));
  size_t first = steps.size();
  appendCopy(order, dtype, {StepBuffer::of(input), from}, {scratch, rowMajorStrides<Sizes>(order)},
             steps);
  setShares(steps, first, 0);
  return scratch;
}

namespace {
/// A reduction that there is native code for, and what surrounds it in its group.
struct Reduction {
  ReduceKind kind;
  DType dtype;
  std::vector<bool> reduced;
  /// Of the tensor that is reduced, inputs[0].
  GroupProgram prologue;
  Epilogue epilogue;
  Value result;

  Value input() const { return prologue.inputs[0]; }
};
} // namespace

static ReasonOr<Reduction, Misfit> resolve(nn::ReduceOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseReduction(op))
    return *reason;
  ReduceKind kind = op.getKind();
  DType dtype = dtypeOfValue(op.getInput());
  std::optional<std::vector<bool>> reduced = reducedDimensions(op, context);
  if (!reduced)
    return Reason{ReasonCode::DataDependent, "the axes are known only at run time"};
  bool needsFloats = kind == ReduceKind::Mean || kind == ReduceKind::L2 ||
                     kind == ReduceKind::LogSum || kind == ReduceKind::LogSumExp;
  if (needsFloats && !isFloat(dtype))
    return Reason{ReasonCode::ElementType, "this reduction of integers"};
  Operation *group = nn::groupOf(op);
  ReasonOr<GroupProgram, Misfit> prologue = buildPrologue(group, op);
  if (!prologue)
    return prologue.reason();
  ReasonOr<Epilogue, Misfit> epilogue = buildEpilogue(group, context, {});
  if (!epilogue)
    return epilogue.reason();
  return Reduction{
      kind, dtype, std::move(*reduced), prologue.take(), epilogue.take(), group->getResult(0)};
}

/// Reduces the rows of `input`.
static LoweredStep reduceRows(Reduction &r, const RowShape &shape, bool contiguous,
                              StepBuffer input) {
  ReduceSpec spec;
  spec.kind = r.kind;
  spec.dtype = r.dtype;
  spec.prologue = r.prologue.program;
  spec.contiguous = contiguous;
  spec.epilogue = EpilogueCode(r.epilogue);
  LoweredStep step = makeReduction(spec, shape, 1, std::move(input), StepBuffer::of(r.result));
  addOperands(r.epilogue, step);
  addInputs(r.prologue, step);
  return step;
}

static std::optional<Reason> refuseRows(Operation *op, const LoweringContext &context) {
  ReasonOr<Reduction, Misfit> r = resolve(cast<nn::ReduceOp>(op), context);
  if (!r)
    return r.reason();
  bool contiguous = true;
  if (!asRows(r->input(), r->reduced, context, contiguous))
    return Reason{ReasonCode::Layout, "the reduced dimensions are not neighbours"};
  return std::nullopt;
}

static LoweringResult lowerRows(Operation *op, const LoweringContext &context) {
  ReasonOr<Reduction, Misfit> r = resolve(cast<nn::ReduceOp>(op), context);
  if (!r)
    return r.reason();
  if (context.elementsOf(r->result) == 0)
    return LoweredSteps();
  bool contiguous = true;
  RowShape shape = *asRows(r->input(), r->reduced, context, contiguous);
  return oneStep(reduceRows(*r, shape, contiguous, StepBuffer::of(r->input())));
}

static std::optional<Reason> refuseMoved(Operation *op, const LoweringContext &context) {
  ReasonOr<Reduction, Misfit> r = resolve(cast<nn::ReduceOp>(op), context);
  return r ? std::nullopt : std::optional<Reason>(r.reason());
}

static LoweringResult lowerMoved(Operation *op, const LoweringContext &context) {
  ReasonOr<Reduction, Misfit> r = resolve(cast<nn::ReduceOp>(op), context);
  if (!r)
    return r.reason();
  LoweredSteps lowered;
  if (context.elementsOf(r->result) == 0)
    return lowered;
  RowShape shape;
  StepBuffer moved = moveReducedLast(r->input(), r->reduced, shape, context, lowered);
  lowered.push_back(reduceRows(*r, shape, /*contiguous=*/true, std::move(moved)));
  return lowered;
}

static double costRows(Operation *op, const LoweringContext &context) {
  return nanoseconds(costOf(nn::groupOf(op), context.values), dtypeOfValue(op->getOperand(0)),
                     context.target);
}

/// The copy reads and writes all elements.
static double costMoved(Operation *op, const LoweringContext &context) {
  DType dtype = dtypeOfValue(op->getOperand(0));
  double bytes = double(context.elementsOf(op->getOperand(0))) * double(dtypeBytes(dtype));
  return costRows(op, context) +
         nanoseconds({.bytesRead = bytes, .bytesWritten = bytes}, dtype, context.target);
}

static std::span<const Way> reduceWays() {
  static constexpr Way ways[] = {{"rows", refuseRows, costRows, lowerRows},
                                 {"moved", refuseMoved, costMoved, lowerMoved}};
  return ways;
}

//===----------------------------------------------------------------------===//
// Softmax and arg max
//===----------------------------------------------------------------------===//

static LoweringResult lower(nn::SoftmaxOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseReduction(op))
    return *reason;
  SoftmaxSpec spec;
  spec.dtype = dtypeOfValue(op.getInput());
  if (!isFloat(spec.dtype))
    return Reason{ReasonCode::ElementType, "softmax of integers"};
  Operation *group = nn::groupOf(op);
  Value input = nn::outerValue(group, op.getInput());
  ArrayRef<int64_t> sizes = context.sizesOf(input);
  auto rank = static_cast<int64_t>(sizes.size());
  int64_t axis = context.values.axisOf(op), end = op.getTrailing() ? rank : axis + 1;
  RowShape shape = rowsAlong(sizes, axis, end);
  ReasonOr<Epilogue, Misfit> found = buildEpilogue(group, context, {});
  if (!found)
    return found.reason();
  if (context.elementsOf(input) == 0)
    return LoweredSteps();
  Epilogue epilogue = found.take();
  spec.logarithm = op.getLogarithm();
  spec.contiguous = isOneFrom(input, end, context);
  spec.epilogue = EpilogueCode(epilogue);
  int64_t scratchBytes = bytesOfSoftmaxScratch(spec, shape, context.target);
  if (scratchBytes > kMostSoftmaxScratch)
    return Reason{ReasonCode::Limit, "its exponentials need too much memory"};
  LoweredStep step =
      makeSoftmax(spec, shape, StepBuffer::of(input), StepBuffer::of(group->getResult(0)));
  step.scratchBytes = scratchBytes;
  addOperands(epilogue, step);
  return oneStep(std::move(step));
}

static LoweringResult lower(nn::ArgReduceOp op, const LoweringContext &context) {
  if (std::optional<Reason> reason = refuseReduction(op))
    return *reason;
  ArgSpec spec;
  spec.dtype = dtypeOfValue(op.getInput());
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  int64_t axis = context.values.axisOf(op);
  RowShape shape = rowsAlong(sizes, axis, axis + 1);
  if (context.elementsOf(op.getResult()) == 0)
    return LoweredSteps();
  if (shape.length == 0)
    return Reason{ReasonCode::Shape, "the axis is empty"};
  spec.wantMax = op.getKind() == ReduceKind::Max;
  spec.lastOfEqual = op.getSelectLastIndex();
  spec.contiguous = isOneFrom(op.getInput(), axis + 1, context);
  return oneStep(
      makeArg(spec, shape, StepBuffer::of(op.getInput()), StepBuffer::of(op.getResult())));
}

//===----------------------------------------------------------------------===//
// Running sums and the largest
//===----------------------------------------------------------------------===//

static LoweringResult lower(nn::CumulateOp op, const LoweringContext &context) {
  CumulateSpec spec;
  spec.dtype = dtypeOfValue(op.getInput());
  spec.isSum = op.getKind() == ReduceKind::Sum;
  spec.exclusive = op.getExclusive();
  spec.reverse = op.getReverse();
  ArrayRef<int64_t> sizes = context.sizesOf(op.getInput());
  auto rank = static_cast<int64_t>(sizes.size());
  if (!isComputable(spec.dtype))
    return Reason{ReasonCode::ElementType,
                  "no native running sum of " + std::string(dtypeName(spec.dtype))};
  if (rank == 0 || context.elementsOf(op.getAxis()) != 1)
    return Reason{ReasonCode::Shape, "an axis that is not one number"};
  auto axes = context.values.integersOf(op.getAxis());
  StepBuffer input = StepBuffer::of(op.getInput()), result = StepBuffer::of(op.getResult());
  if (!axes) {
    if (context.elementsOf(op.getInput()) == 0)
      return Reason{ReasonCode::Shape, "of an empty tensor only the axis is checked"};
    spec.openRank = rank;
    spec.axisType = dtypeOfValue(op.getAxis());
    return oneStep(makeCumulateAlong(spec, sizes, std::move(input), StepBuffer::of(op.getAxis()),
                                     std::move(result)));
  }
  int64_t axis = axes->front() < 0 ? axes->front() + rank : axes->front();
  if (axis < 0 || axis >= rank)
    return Reason{ReasonCode::Shape, "an axis out of range"};
  if (context.elementsOf(op.getInput()) == 0)
    return LoweredSteps();
  spec.contiguous = isOneFrom(op.getInput(), axis + 1, context);
  return oneStep(
      makeCumulate(spec, rowsAlong(sizes, axis, axis + 1), std::move(input), std::move(result)));
}

/// Appends the copy of [outer, rows, columns] at `from` to [outer, columns, rows] at `to`.
static void appendTurn(int64_t outer, int64_t rows, int64_t columns, DType dtype, StepBuffer from,
                       StepBuffer to, std::vector<LoweredStep> &steps) {
  size_t first = steps.size();
  appendCopy({outer, columns, rows}, dtype, {std::move(from), {rows * columns, 1, columns}},
             {std::move(to), {rows * columns, rows, 1}}, steps, {true, true, true});
  setShares(steps, first, 0);
}

/// Rows whose elements are apart are copied to where they are not, and the results back.
static LoweringResult lower(nn::TopKOp op, const LoweringContext &context) {
  TopKSpec spec{dtypeOfValue(op.getInput()), op.getLargest()};
  if (!isComputable(spec.dtype))
    return Reason{ReasonCode::ElementType,
                  "no native order of " + std::string(dtypeName(spec.dtype))};
  int64_t axis = context.values.axisOf(op);
  RowShape shape = rowsAlong(context.sizesOf(op.getInput()), axis, axis + 1);
  int64_t count = context.sizesOf(op.getValues())[axis];
  auto k = context.values.integersOf(op.getK());
  if (!k || k->size() != 1 || k->front() != count)
    return Reason{ReasonCode::DataDependent, "k is known only at run time"};
  if (shape.length > kMaxTopKLength)
    return Reason{ReasonCode::Limit, "the axis is too long"};
  if (context.elementsOf(op.getValues()) == 0)
    return LoweredSteps();
  LoweredSteps lowered;
  StepBuffer input = StepBuffer::of(op.getInput()), values = StepBuffer::of(op.getValues()),
             indices = StepBuffer::of(op.getIndices());
  bool isContiguous = isOneFrom(op.getInput(), axis + 1, context);
  if (!isContiguous) {
    auto scratch = [&](uint32_t number, Value value, DType dtype) {
      return StepBuffer::scratchSpace(number, CheckedSize::product(context.sizesOf(value)) *
                                                  CheckedSize(dtypeBytes(dtype)));
    };
    input = scratch(0, op.getInput(), spec.dtype);
    values = scratch(1, op.getValues(), spec.dtype);
    indices = scratch(2, op.getIndices(), DType::Int64);
    appendTurn(shape.outer, shape.length, shape.inner, spec.dtype, StepBuffer::of(op.getInput()),
               input, lowered);
  }
  lowered.push_back(
      selectTopK(spec, {shape.outer * shape.inner, shape.length, count}, input, values, indices));
  if (!isContiguous) {
    appendTurn(shape.outer, shape.inner, count, spec.dtype, values, StepBuffer::of(op.getValues()),
               lowered);
    appendTurn(shape.outer, shape.inner, count, DType::Int64, indices,
               StepBuffer::of(op.getIndices()), lowered);
  }
  return lowered;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::reductionLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::ReduceOp>(reduceWays()), lowered<nn::SoftmaxOp, lower>(),
      lowered<nn::ArgReduceOp, lower>(),   lowered<nn::CumulateOp, lower>(),
      lowered<nn::TopKOp, lower>(),
  };
  return rows;
}
