//===- LowerPool.cpp - pooling --------------------------------------------===//
#include "backends/native/emit/ElementTypes.h"
#include "backends/native/kernels/MaxPlaceKernel.h"
#include "backends/native/kernels/PoolKernel.h"
#include "backends/native/kernels/ReduceKernel.h"
#include "backends/native/lowering/GroupProgram.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "runtime/reference/WindowShape.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Windows up to this many columns are unrolled.
static constexpr int64_t kMaxUnrolledColumns = 7;

/// A pool, as all its lowerings see it.
namespace {
struct PoolProblem {
  const LoweringContext &context;
  Operation *group = nullptr;
  Value input = {};
  DType dtype = DType::Undefined;
  int64_t block = 0;
  Epilogue epilogue = {};

  ArrayRef<int64_t> spatialSizes(Value v) const {
    return context.sizesOf(v).drop_front(2).drop_back(block ? 1 : 0);
  }
};
} // namespace

/// Fills the axes from the attributes that all windowed pools have.
template <typename Op>
static bool resolveAxes(Op op, const PoolProblem &problem, PoolAxis (&axes)[3]) {
  ArrayRef<int64_t> input = problem.spatialSizes(problem.input);
  size_t rank = input.size();
  for (size_t i = 0; i < rank; ++i) {
    WindowAxis w{input[i],        op.getKernel()[i],     op.getStrides()[i], op.getDilations()[i],
                 op.getPads()[i], op.getPads()[rank + i]};
    auto output = windowOutputSize(w, op.getAutoPad(), op.getCeilMode());
    if (!output)
      return false;
    axes[3 - rank + i] = {w.input, *output, w.kernel, w.stride, w.dilation, w.padBegin, w.padEnd};
  }
  return true;
}

template <typename Op>
static LoweringResult lowerWindows(Op op, PoolProblem &problem, PoolSpec spec) {
  const LoweringContext &context = problem.context;
  PoolAxis axes[3];
  size_t rank = problem.spatialSizes(problem.input).size();
  if (rank < 1 || rank > 3)
    return Reason{ReasonCode::Shape, "pooling over more than three dimensions"};
  if (!resolveAxes(op, problem, axes))
    return Reason{ReasonCode::Shape, "the window does not fit"};
  spec.dtype = problem.dtype;
  int64_t lanes = std::min(problem.block, context.target.lanes(spec.computedType()));
  if (problem.block && problem.block % lanes != 0)
    return Reason{ReasonCode::Layout, "the channel block is no multiple of the vector length"};
  spec.block = problem.block;
  spec.hasDepth = rank == 3;
  spec.columns = axes[2].kernel <= kMaxUnrolledColumns ? axes[2].kernel : 0;
  bool hasPlainVectors = !problem.block && axes[2].stride <= 2;
  spec.columnStride = hasPlainVectors ? axes[2].stride : 0;
  // Windows that overlap do more with each pixel: there asking costs a tenth and more of the time.
  spec.asksAhead = problem.block && spec.columns > 1 && axes[2].stride == spec.columns;
  spec.epilogue = EpilogueCode(problem.epilogue);

  LoweredStep step;
  ArrayRef<int64_t> sizes = context.sizesOf(op.getResult());
  step.kernel = kernelOf(spec);
  step.dims = poolDims(axes, sizes[1]);
  step.buffers = {StepBuffer::of(problem.input), StepBuffer::of(problem.group->getResult(0))};
  addOperands(problem.epilogue, step);
  step.tasks = sizes[0] * sizes[1] * axes[0].output * axes[1].output;
  int64_t taps = axes[0].kernel * axes[1].kernel * axes[2].kernel;
  int64_t rowBytes =
      axes[2].output * std::max<int64_t>(problem.block, 1) * dtypeBytes(problem.dtype);
  step.grain = chooseMoveGrain(rowBytes * taps / 2);
  return oneStep(std::move(step));
}

/// Fills `problem`; a reason when there is no native code for it. `axes` are the
/// rows and columns of an epilogue on plain results.
static std::optional<Misfit> resolvePool(Operation *anchor, ResultAxes axes, PoolProblem &problem) {
  const LoweringContext &context = problem.context;
  problem.group = nn::groupOf(anchor);
  problem.input = nn::outerValue(problem.group, anchor->getOperand(0));
  problem.dtype = dtypeOfValue(anchor->getOperand(0));
  // Windows over half types are computed in float32.
  bool isHalf = problem.dtype == DType::Float16 || problem.dtype == DType::BFloat16;
  if (!isArithmetic(problem.dtype) && (!isHalf || isa<nn::GlobalPoolOp>(anchor)))
    return Reason{ReasonCode::ElementType,
                  "no native pooling of " + std::string(dtypeName(problem.dtype))};
  problem.block = nn::layoutOf(anchor->getOperand(0)).block;
  if (problem.block)
    axes = ResultAxes::ofChannels(
        static_cast<int64_t>(context.sizesOf(problem.group->getResult(0)).size()),
        /*blocked=*/true);
  auto epilogue = buildEpilogue(problem.group, context, axes);
  if (!epilogue)
    return epilogue.reason();
  problem.epilogue = epilogue.take();
  return std::nullopt;
}

template <typename Op>
static LoweringResult lowerWindowed(Op op, const LoweringContext &context, const PoolSpec &spec) {
  PoolProblem problem{.context = context};
  auto rank = static_cast<int64_t>(context.sizesOf(op.getResult()).size());
  if (std::optional<Misfit> reason = resolvePool(op, {{1}, {rank - 1}}, problem))
    return *reason;
  if (spec.kind == PoolSpec::Kind::Average && !isFloat(problem.dtype))
    return Reason{ReasonCode::ElementType, "the average of integers"};
  if (context.elementsOf(problem.group->getResult(0)) == 0)
    return LoweredSteps();
  return lowerWindows(op, problem, spec);
}

/// A global pool is a reduction over all pixels of a channel.
static LoweringResult lower(nn::GlobalPoolOp op, const LoweringContext &context) {
  PoolProblem problem{.context = context};
  if (std::optional<Misfit> reason = resolvePool(op, {{}, {1}}, problem))
    return *reason;
  if (op.getKind() == ReduceKind::Mean && !isFloat(problem.dtype))
    return Reason{ReasonCode::ElementType, "the average of integers"};
  ReasonOr<GroupProgram, Misfit> prologue = buildPrologue(problem.group, op);
  if (!prologue)
    return prologue.reason();
  problem.input = prologue->inputs[0];
  if (context.elementsOf(problem.group->getResult(0)) == 0)
    return LoweredSteps();
  ArrayRef<int64_t> sizes = context.sizesOf(problem.input);
  ReduceSpec spec;
  spec.kind = op.getKind();
  spec.dtype = problem.dtype;
  spec.prologue = prologue->program;
  spec.contiguous = problem.block <= 1;
  spec.epilogue = EpilogueCode(problem.epilogue);
  RowShape shape;
  shape.outer = sizes[0] * sizes[1];
  shape.length = productOf(problem.spatialSizes(problem.input));
  shape.inner = std::max<int64_t>(problem.block, 1);
  LoweredStep step =
      makeReduction(spec, shape, sizes[1] * shape.inner, StepBuffer::of(problem.input),
                    StepBuffer::of(problem.group->getResult(0)));
  addOperands(problem.epilogue, step);
  addInputs(*prologue, step);
  return oneStep(std::move(step));
}

static LoweringResult lower(nn::MaxPoolOp op, const LoweringContext &context) {
  PoolSpec spec;
  spec.kind = PoolSpec::Kind::Max;
  return lowerWindowed(op, context, spec);
}

static LoweringResult lower(nn::AveragePoolOp op, const LoweringContext &context) {
  PoolSpec spec;
  spec.kind = PoolSpec::Kind::Average;
  spec.countsPadding = op.getCountIncludePad();
  return lowerWindowed(op, context, spec);
}

/// Never in a group, nor in channel blocks.
static LoweringResult lower(nn::MaxPoolWithIndicesOp op, const LoweringContext &context) {
  PoolProblem problem{.context = context};
  problem.input = op.getInput();
  problem.dtype = dtypeOfValue(problem.input);
  ArrayRef<int64_t> sizes = context.sizesOf(problem.input);
  size_t rank = sizes.size() - 2;
  if (!isArithmetic(problem.dtype) || dtypeBits(problem.dtype) < 8)
    return Reason{ReasonCode::ElementType,
                  "no native pooling of " + std::string(dtypeName(problem.dtype))};
  if (rank < 1 || rank > 3)
    return Reason{ReasonCode::Shape, "pooling over more than three dimensions"};
  if (context.elementsOf(op.getResult()) == 0)
    return LoweredSteps();
  if (context.elementsOf(problem.input) == 0)
    return Reason{ReasonCode::Shape, "the input is empty"};
  MaxPlaceShape shape;
  shape.planes = sizes[0] * sizes[1];
  if (!resolveAxes(op, problem, shape.axes))
    return Reason{ReasonCode::Shape, "the window does not fit"};
  bool columnMajor = op.getStorageOrder() == 1;
  int64_t stride = 1;
  for (size_t i = 0; i < rank; ++i) {
    size_t a = columnMajor ? 3 - rank + i : 2 - i;
    shape.strides[a] = stride;
    stride *= shape.axes[a].input;
  }
  return oneStep(poolPlaces(shape, problem.dtype, StepBuffer::of(op.getInput()),
                            StepBuffer::of(op.getResult()), StepBuffer::of(op.getIndices())));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::poolLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::GlobalPoolOp, lower>(),
      lowered<nn::MaxPoolOp, lower>(),
      lowered<nn::AveragePoolOp, lower>(),
      lowered<nn::MaxPoolWithIndicesOp, lower>(),
  };
  return rows;
}
