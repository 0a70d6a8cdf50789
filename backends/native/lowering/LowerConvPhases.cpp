//===- LowerConvPhases.cpp - transposed convolution as convolutions -------===//
//
// The results of a transposed convolution with a stride of s fall, along each axis, into s phases:
// those of one have the same place between neighbours of the input, and the same taps meet them,
// every s-th of the filter. So each phase is a convolution with a stride of 1 by these, from the
// last to the first, whose results lie s apart (W. Shi et al., "Is the deconvolution layer the same
// as a convolutional layer?", 2016). No sum goes through memory, and no zero is multiplied.
//
//===----------------------------------------------------------------------===//
#include "backends/native/lowering/ConvReading.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/FusionGroup.h"
#include "ir/Types.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// What a phase is along one axis.
struct AxisPhase {
  /// Of the input, and of the filter.
  int64_t input = 1, kernel = 1;
  /// Of the results: the first, how far they are apart, and how many there are.
  int64_t first = 0, stride = 1, results = 1;
  /// The taps that meet them, from the last to the first, and how far before the input's element
  /// of the same number the first of these lies.
  SmallVector<int64_t> taps = {0};
  int64_t padBegin = 0;
};
} // namespace

/// The phases of the results along an axis, of which there are `results`.
static SmallVector<AxisPhase> phasesOf(const WindowAxis &axis, int64_t results) {
  SmallVector<AxisPhase> phases;
  for (int64_t first = 0; first < std::min(axis.stride, results); ++first) {
    AxisPhase phase{.input = axis.input, .kernel = axis.kernel, .first = first};
    phase.stride = axis.stride;
    phase.results = ceilDiv(results - first, axis.stride);
    // Tap k of input x adds to result x * stride + k - padBegin.
    int64_t place = first + axis.padBegin;
    phase.taps.clear();
    for (int64_t k = place % axis.stride; k < axis.kernel; k += axis.stride)
      phase.taps.insert(phase.taps.begin(), k);
    phase.padBegin = static_cast<int64_t>(phase.taps.size()) - 1 - place / axis.stride;
    phases.push_back(std::move(phase));
  }
  return phases;
}

/// All but geometry, weights and epilogue, which the phases have in common; or why there is no
/// native code for it.
static std::optional<Reason> resolveCommon(nn::ConvTransposeOp op, ConvProblem &p) {
  if (std::optional<Reason> reason = bindConv(op, p))
    return reason;
  p.channels = p.context.sizesOf(p.weights)[0];
  p.outputs = p.context.sizesOf(p.weights)[1];
  p.window.channels = p.channels;
  if (std::optional<Reason> reason = passes::refusePhases(op))
    return reason;
  return refuseBlocked(p);
}

/// The phases along rows and columns; a line is an image of one row. Nothing when the window does
/// not fit.
static std::optional<std::array<SmallVector<AxisPhase>, 2>>
resolvePhases(nn::ConvTransposeOp op, const LoweringContext &context) {
  auto spatial = static_cast<int64_t>(op.getStrides().size());
  std::array<SmallVector<AxisPhase>, 2> phases;
  phases[0] = {AxisPhase()};
  ArrayRef<int64_t> results = context.sizesOf(nn::groupOf(op)->getResult(0));
  for (int64_t axis = 0; axis < spatial; ++axis) {
    std::optional<WindowAxis> window = transposedWindow(op, axis, context);
    if (!window || window->padBegin < 0)
      return std::nullopt;
    phases[2 - spatial + axis] = phasesOf(*window, results[2 + axis]);
  }
  return phases;
}

/// The convolution of one phase of `op`, which `common` is of.
static ConvProblem problemOf(const ConvProblem &common, const AxisPhase &rows,
                             const AxisPhase &columns, int64_t allLines, int64_t allColumns) {
  ConvProblem p = common;
  AxisPhase depth;
  std::array<const AxisPhase *, 3> axes = {&depth, &rows, &columns};
  for (auto [a, phase] : llvm::enumerate(axes)) {
    p.window.input[a] = phase->input;
    p.window.output[a] = phase->results;
    p.window.kernel[a] = static_cast<int64_t>(phase->taps.size());
    p.window.stride[a] = p.window.dilation[a] = 1;
    p.window.padBegin[a] = phase->padBegin;
  }
  p.places = {.first = rows.first * allColumns + columns.first,
              .line = rows.stride * allColumns,
              .column = columns.stride,
              .all = allLines * allColumns};
  int64_t positions = rows.kernel * columns.kernel;
  p.filter = FilterView{.outputs = p.outputs,
                        .inputs = p.channels,
                        .outputStride = positions,
                        .inputStride = p.outputs * positions,
                        .positions = {}};
  for (int64_t row : rows.taps)
    for (int64_t column : columns.taps)
      p.filter->positions.push_back(row * columns.kernel + column);
  p.flops = p.countFlops();
  return p;
}

static int64_t countResults(ArrayRef<AxisPhase> phases) {
  int64_t results = 0;
  for (const AxisPhase &phase : phases)
    results += phase.results;
  return results;
}

LoweringResult native::lowerConvPhases(nn::ConvTransposeOp op, const LoweringContext &context) {
  ConvProblem common{.context = context};
  if (std::optional<Reason> reason = resolveCommon(op, common))
    return *reason;
  auto phases = resolvePhases(op, context);
  if (!phases)
    return Reason{ReasonCode::Shape, "the window does not fit the result"};
  auto &[rows, columns] = *phases;
  auto rank = static_cast<int64_t>(context.sizesOf(common.output).size());
  auto epilogue =
      buildEpilogue(nn::groupOf(op), context, ResultAxes::ofChannels(rank, common.isBlocked()));
  if (!epilogue)
    return epilogue.reason();
  common.epilogue = epilogue.take();
  std::vector<ConvProblem> parts;
  double flops = 0;
  for (const AxisPhase &row : rows)
    for (const AxisPhase &column : columns) {
      parts.push_back(problemOf(common, row, column, countResults(rows), countResults(columns)));
      flops += parts.back().flops;
    }
  for (ConvProblem &p : parts)
    p.share = p.flops / flops;
  return lowerBlockedParts(parts);
}
