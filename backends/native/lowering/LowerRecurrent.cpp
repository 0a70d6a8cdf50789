//===- LowerRecurrent.cpp - RNN, GRU and LSTM -----------------------------===//
//
// One step runs all time steps of all sequences; what the inputs give to the gates comes
// from a matrix product before it.
//
//===----------------------------------------------------------------------===//
#include "backends/native/emit/ElementTypes.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/kernels/RecurrentKernel.h"
#include "backends/native/kernels/TileUnit.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/target/TileChoice.h"
#include "ir/Constants.h"
#include "ir/RecurrentOps.h"
#include "runtime/values/CeilDiv.h"

#include <algorithm>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// The activations of one direction.
static llvm::SmallVector<RecurrentSpec::Activation, 3> activationsIn(nn::RecurrentOp op,
                                                                     int64_t direction) {
  llvm::SmallVector<RecurrentSpec::Activation, 3> activations;
  int64_t count = activationsOf(op.cellKind());
  for (int64_t i = direction * count; i < (direction + 1) * count; ++i)
    activations.push_back(
        {static_cast<CellActivation>(op.getActivations()[i]), op.getAlpha()[i], op.getBeta()[i]});
  return activations;
}

static RecurrentSpec makeSpec(nn::RecurrentOp op, const LoweringContext &context) {
  RecurrentSpec spec;
  spec.cell = op.cellKind();
  spec.factors = dtypeOfValue(op.getRecurrence());
  spec.dtype = dtypeOfValue(op.getInput());
  spec.lanes = context.target.lanes(spec.dtype);
  if (op.getClip())
    spec.clip = op.getClip()->convertToDouble();
  if (op.getCellClip())
    spec.cellClip = op.getCellClip()->convertToDouble();
  spec.inputForget = op.getInputForget();
  spec.linearBeforeReset = op.getLinearBeforeReset();
  spec.hasBias = !nn::isNone(op.getBias());
  spec.hasLengths = !nn::isNone(op.getLengths());
  spec.hasInitialH = !nn::isNone(op.getInitialH());
  spec.hasInitialC = !nn::isNone(op.getInitialC());
  spec.hasPeepholes = !nn::isNone(op.getPeepholes());
  int64_t hidden = context.fixedSize(op.getRecurrence(), 2).value_or(1);
  spec.maskTail = hidden % spec.lanes != 0;
  spec.partialGroup = hidden % spec.types().group() != 0;
  spec.tiled =
      TileUnit::has(context.target, spec.types()) && hidden % RecurrentSpec::kTileDepth == 0;
  for (int64_t vectors = 1; vectors <= 4; ++vectors)
    spec.heights[vectors - 1] = chooseCellHeights(context.target, vectors);
  return spec;
}

/// The sizes but for the directions, all of which have tasks. A task has as many sequences
/// as keep their states in cache, unless there are more threads.
static RecurrentDims makeDims(nn::RecurrentOp op, const LoweringContext &context) {
  constexpr int64_t kMaxRows = 48;
  ArrayRef<int64_t> y = context.sizesOf(op.getY());
  RecurrentDims dims{.steps = y[0], .batch = y[2], .hidden = y[3], .directions = y[1]};
  dims.firstReverse = op.directionKind() == RecurrentDirection::Forward         ? dims.directions
                      : op.directionKind() == RecurrentDirection::Bidirectional ? 1
                                                                                : 0;
  int64_t share = ceilDiv(dims.batch, ceilDiv(context.threads, dims.directions));
  dims.rows = std::min(share, kMaxRows);
  dims.chunks = ceilDiv(dims.batch, dims.rows);
  return dims;
}

/// The recurrence as the kernel reads it: packed ahead of the run when it is constant, by a
/// step otherwise.
static StepBuffer packRecurrence(nn::RecurrentOp op, const RecurrentSpec &spec,
                                 const RecurrentDims &dims, const LoweringContext &context,
                                 std::vector<LoweredStep> &steps) {
  int64_t matrices = dims.directions * gatesOf(spec.cell), hidden = dims.hidden;
  if (std::optional<nn::WeightSource> constant = context.values.weightOf(op.getRecurrence())) {
    MatrixPack pack{matrices, hidden, hidden, 1, hidden, spec.lanes, 1.0, spec.types().group()};
    return StepBuffer::packed(
        *constant, fmt::format("recurrence {} {} {}", hidden, spec.lanes, pack.group),
        [pack](const Tensor &view, const auto &done) { return packMatrix(view, pack, done); });
  }
  CheckedSize columns = CheckedSize(hidden).alignedTo(spec.lanes);
  StepBuffer packed = StepBuffer::scratchSpace(0, CheckedSize(matrices) * hidden * columns *
                                                      dtypeBytes(spec.dtype));
  steps.push_back(packColumns(StepBuffer::of(op.getRecurrence()), packed,
                              {matrices, hidden * hidden, hidden, hidden, 1, hidden, spec.lanes},
                              spec.dtype));
  return packed;
}

/// In the order of RecurrentSpec.
static std::vector<StepBuffer> buffersOf(nn::RecurrentOp op, StepBuffer recurrence) {
  std::vector<StepBuffer> buffers = {StepBuffer::of(op.getInput()), std::move(recurrence),
                                     StepBuffer::of(op.getY()), StepBuffer::of(op.getFinalH())};
  for (Value finalC : op.getFinalC())
    buffers.push_back(StepBuffer::of(finalC));
  for (Value operand :
       {op.getBias(), op.getLengths(), op.getInitialH(), op.getInitialC(), op.getPeepholes()})
    if (!nn::isNone(operand))
      buffers.push_back(StepBuffer::of(operand));
  return buffers;
}

static LoweredStep makeStep(RecurrentSpec spec, const RecurrentDims &dims, int64_t directions,
                            std::vector<StepBuffer> buffers) {
  LoweredStep step;
  step.buffers = std::move(buffers);
  step.dims = flattenDims(dims);
  step.tasks = directions * dims.chunks;
  int64_t columns = ceilDiv(dims.hidden, spec.lanes) * spec.lanes;
  step.scratchBytes = spec.scratchBytes(dims.rows, columns);
  double states =
      double(dims.steps) * double(dims.batch) * double(directions) * double(dims.hidden);
  auto gates = static_cast<double>(gatesOf(spec.cell));
  step.grain = chooseGrain(step.tasks, 2 * states * gates * double(dims.hidden));
  step.share = double(directions) / double(dims.directions);
  step.kernel = kernelOf(std::move(spec));
  return step;
}

static LoweringResult lower(nn::RecurrentOp op, const LoweringContext &context) {
  RecurrentSpec spec = makeSpec(op, context);
  bool isNarrow = spec.factors == DType::BFloat16 && spec.dtype == DType::Float32;
  if (!isWideFloat(spec.factors) && !isNarrow)
    return Reason{ReasonCode::ElementType,
                  "recurrences are native for float32 and float64 only, and for bfloat16 with sums "
                  "of float32"};
  if (isNarrow && !context.values.weightOf(op.getRecurrence()))
    return Reason{ReasonCode::NotConstant, "a recurrence of bfloat16 is not constant"};
  LoweredSteps lowered;
  ArrayRef<int64_t> y = context.sizesOf(op.getY());
  if (y[1] * y[2] * y[3] == 0) // no states: all results are empty
    return lowered;
  RecurrentDims dims = makeDims(op, context);
  StepBuffer recurrence = packRecurrence(op, spec, dims, context, lowered);
  spec.activations = activationsIn(op, 0);
  bool isOneKernel = dims.directions == 1 || activationsIn(op, 1) == spec.activations;
  int64_t perStep = isOneKernel ? dims.directions : 1;
  for (int64_t direction = 0; direction < dims.directions; direction += perStep) {
    spec.activations = activationsIn(op, direction);
    dims.firstDirection = direction;
    lowered.push_back(makeStep(spec, dims, perStep, buffersOf(op, recurrence)));
  }
  return lowered;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::recurrentLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::RecurrentOp, lower>(),
  };
  return rows;
}
