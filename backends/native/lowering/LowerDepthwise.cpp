//===- LowerDepthwise.cpp - convolution of each channel, or of a few ------===//
#include "backends/native/kernels/DepthwiseKernel.h"
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/kernels/PoolKernel.h"
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static std::optional<Reason> refuseDepthwise(const ConvProblem &p) {
  if (std::optional<Reason> reason = refuseBlocked(p))
    return reason;
  if (!p.isWithinBlocks() || p.inputBlock != p.outputBlock)
    return Reason{ReasonCode::Attributes, "channels of several blocks are summed up"};
  return std::nullopt;
}

/// Cuts lines evenly where their length allows that, into groups as large as the registers hold
/// beside a row of weights: few pixels are then loaded for each result.
static void cutEvenly(DepthwiseSpec &spec, const ConvProblem &p, int64_t vectors) {
  const WindowShape3 &w = p.window;
  int64_t output = w.output[2], reach = (spec.columns - 1) * spec.dilation;
  constexpr int64_t kMostResults = 14, kFewestResults = 6, kFewestVectors = 4;
  int64_t registers = p.context.target.vectorRegisters / vectors;
  // Of groups of taps the same weights serve twice, and neighbouring windows share little.
  bool takesGroups = spec.tapsAtOnce > 1;
  int64_t besideSums =
      2 + (takesGroups ? 2 * ceilDiv(spec.columns, spec.tapsAtOnce) : spec.columns);
  int64_t fewest = takesGroups ? ceilDiv(kFewestVectors, vectors) : kFewestResults;
  int64_t most = takesGroups ? kMostResults / vectors : kMostResults;
  int64_t results = std::min({output, most, registers - besideSums});
  while (results >= fewest && output % results != 0)
    --results;
  int64_t overBegin = w.padBegin[2];
  int64_t overEnd = (output - 1) * spec.stride + reach - overBegin - (w.input[2] - 1);
  // Only windows of the first and the last group may reach over the ends.
  int64_t step = results * spec.stride;
  if (spec.columns == 0 || results < fewest || std::max(overBegin, overEnd) > step)
    return;
  spec.cut = results == output ? DepthwiseSpec::Cut::Once : DepthwiseSpec::Cut::Evenly;
  spec.results = results;
  spec.overBegin = overBegin;
  spec.overEnd = std::max<int64_t>(overEnd, 0);
}

/// Takes the epilogue's program away.
static DepthwiseSpec depthwiseSpec(ConvProblem &p) {
  DepthwiseSpec spec;
  spec.types = p.types();
  spec.lanes = p.outputBlock;
  spec.group = p.channelsPerGroup();
  spec.resultsOfChannel = p.outputs / p.channels;
  // As many as hide the latency of the multiply-add, where the registers hold them.
  int64_t vectors = p.outputBlock / p.context.target.channelBlock();
  spec.results = (p.context.target.vectorRegisters >= 32 ? 8 : 4) / vectors;
  if (p.window.kernel[2] <= DepthwiseSpec::kMostUnrolled)
    spec.columns = p.window.kernel[2];
  else
    spec.columns = 0;
  spec.stride = p.window.stride[2];
  if (p.window.kernel[2] > 1)
    spec.dilation = p.window.dilation[2];
  if (spec.group == 1 && spec.resultsOfChannel == 1 && spec.dilation == 1 && spec.columns > 1 &&
      dtypeBytes(spec.types.a) == 1)
    spec.tapsAtOnce = spec.types.group();
  cutEvenly(spec, p, vectors);
  // Where there are no pads it is not read.
  spec.hasOutside = p.hasPads() && p.window.outside != 0;
  spec.hasBias = bool(p.bias);
  spec.epilogue = EpilogueCode(p.epilogue);
  return spec;
}

static DepthwiseDims depthwiseDims(const ConvProblem &p, int64_t resultsAtOnce) {
  const WindowShape3 &w = p.window;
  DepthwiseDims dims;
  dims.blocks = ceilDiv(p.outputs, p.outputBlock);
  dims.imageBlocks = ceilDiv(p.channels, p.inputBlock);
  dims.height = w.input[1];
  dims.width = w.input[2];
  dims.padTop = w.padBegin[1];
  dims.padLeft = w.padBegin[2];
  dims.outputHeight = w.output[1];
  dims.outputWidth = w.output[2];
  dims.rows = w.kernel[1];
  dims.stride = w.stride[1];
  dims.dilation = w.dilation[1];
  dims.columns = w.kernel[2];
  dims.outside = w.outside;
  PoolAxis line{.input = w.input[2],
                .output = w.output[2],
                .kernel = w.kernel[2],
                .stride = w.stride[2],
                .dilation = w.dilation[2],
                .padBegin = w.padBegin[2],
                .padEnd = p.padEnd[2]};
  int64_t begin = ceilDiv(line.interiorBegin(), resultsAtOnce) * resultsAtOnce;
  dims.insideBegin = std::min(begin, dims.outputWidth);
  int64_t inside = std::max<int64_t>(line.interiorEnd() - dims.insideBegin, 0);
  dims.insideEnd = dims.insideBegin + inside / resultsAtOnce * resultsAtOnce;
  int64_t threads = p.context.threads;
  double bytes = double(p.channels) * double(dims.height) * double(dims.width) *
                 double(dtypeBytes(p.inputType));
  int64_t chunks = chooseLineChunks(dims.outputHeight, p.batch * dims.blocks, p.flops, threads);
  // What moves into the blocked layout is not computed by lines.
  if (!p.input.getDefiningOp<nn::PackOp>())
    dims.parts = chooseLineParts(dims.outputHeight,
                                 {.batches = p.batch, .bytesOfA = bytes, .threads = threads});
  dims.chunksOfPart = ceilDiv(chunks, dims.parts);
  dims.linesOfChunk = ceilDiv(dims.outputHeight, dims.parts * dims.chunksOfPart);
  return dims;
}

static LoweringResult lowerDepthwise(ConvProblem &p) {
  DepthwiseSpec spec = depthwiseSpec(p);
  DepthwiseDims dims = depthwiseDims(p, spec.results);
  int64_t lanes = spec.lanes, taps = spec.tapsAtOnce;
  StepBuffer weights = StepBuffer::packed(
      *p.context.values.weightOf(p.weights),
      fmt::format(FMT_COMPILE("depthwise {} {}"), lanes, taps),
      [lanes, taps](const Tensor &w, auto &) { return packDepthwiseWeights(w, lanes, taps); });
  ConvProduct product{
      .a = StepBuffer::of(p.input), .b = std::move(weights), .bias = packedConvBias(p, lanes)};
  LoweredStep step = startConvStep(p, kernelOf(std::move(spec)), std::move(product));
  step.dims = flattenDims(dims);
  step.tasks = p.batch * dims.blocks * dims.parts * dims.chunksOfPart;
  step.grain = chooseGrain(step.tasks, p.flops);
  return oneStep(std::move(step));
}

const ConvWay native::kDepthwiseConv = {refuseDepthwise, lowerDepthwise};
