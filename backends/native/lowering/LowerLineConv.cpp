//===- LowerLineConv.cpp - convolution along lines of plain images --------===//
#include "backends/native/kernels/LineConvKernel.h"
#include "backends/native/lowering/ConvWays.h"
#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

#include <algorithm>
#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Elements of a line of the copy: whole vectors, which the last tap of the last tile reads.
static int64_t pitchOf(const ConvProblem &p, int64_t pixelsOfTile) {
  const WindowShape3 &w = p.window;
  int64_t lanes = p.context.target.lanes(p.dtype);
  int64_t read = ceilDiv(w.output[2], pixelsOfTile) * pixelsOfTile;
  read += (w.kernel[2] - 1) * w.dilation[2];
  return ceilDiv(std::max(read, w.padBegin[2] + w.input[2]), lanes) * lanes;
}

/// Lines of a channel that `results` lines of results read.
static int64_t linesRead(const ConvProblem &p, int64_t results) {
  const WindowShape3 &w = p.window;
  return (results - 1) * w.stride[1] + (w.kernel[1] - 1) * w.dilation[1] + 1;
}

static double bytesOfCopy(const ConvProblem &p, int64_t pitch, int64_t results) {
  return double(p.channelsPerGroup()) * double(linesRead(p, results)) * double(pitch) *
         double(dtypeBytes(p.inputType));
}

static std::optional<Reason> refuseLines(const ConvProblem &p) {
  if (p.isBlocked() || p.inputBlock > 0)
    return Reason{ReasonCode::Layout, "the image or the result is in blocks"};
  if (p.inputType != p.dtype || p.weightsType != p.dtype)
    return Reason{ReasonCode::ElementType, "factors are narrower than sums"};
  const WindowShape3 &w = p.window;
  auto isOne = [](int64_t size) { return size == 1; };
  if (!isOne(w.input[0]) || !isOne(w.kernel[0]) || !isOne(w.output[0]))
    return Reason{ReasonCode::Shape, "three spatial dimensions"};
  if (!isOne(w.stride[2]) || w.kernel[2] > LineConvSpec::kMostUnrolled)
    return Reason{ReasonCode::Attributes, "steps along lines, or a wide filter"};
  for (int axis : {1, 2})
    if (w.padBegin[axis] < 0 || p.padEnd[axis] < 0)
      return Reason{ReasonCode::Attributes, "negative pads"};
  // What a worker keeps of an image must lie near it. The widest tile reads farthest.
  constexpr double kMostBytes = 512 << 10;
  int64_t widest = 4 * p.context.target.lanes(p.dtype);
  if (bytesOfCopy(p, pitchOf(p, widest), 1) > kMostBytes)
    return Reason{ReasonCode::Limit, "lines of this size"};
  return std::nullopt;
}

/// The tile that is expected to take the least time for all outputs of a line.
static void chooseTile(LineConvSpec &spec, const ConvProblem &p) {
  constexpr int64_t kMostOutputs = 8, kMostVectors = 4;
  const Target &target = p.context.target;
  CpuRates rates = ratesOf(target);
  double least = std::numeric_limits<double>::infinity();
  for (int64_t vectors = 1; vectors <= kMostVectors; ++vectors)
    for (int64_t most = 1; most <= std::min(kMostOutputs, p.outputsPerGroup()); ++most) {
      int64_t tiles = ceilDiv(p.outputsPerGroup(), most);
      int64_t outputs = ceilDiv(p.outputsPerGroup(), tiles);
      // Sums, pixels and a weight.
      if (outputs * vectors + vectors + 1 > target.vectorRegisters)
        continue;
      double cycles = cyclesOfLineTap(outputs, vectors, rates) * double(tiles) *
                      double(ceilDiv(p.window.output[2], vectors * spec.lanes));
      if (cycles > least)
        continue;
      least = cycles;
      spec.outputs = outputs;
      spec.vectors = vectors;
    }
  spec.hasLower = p.outputsPerGroup() % spec.outputs != 0;
}

/// Takes the epilogue's program away.
static LineConvSpec lineSpec(ConvProblem &p) {
  constexpr int64_t kMostTaps = 9;
  LineConvSpec spec;
  spec.types = {p.weightsType, p.inputType, p.dtype, p.resultType()};
  spec.lanes = p.context.target.lanes(p.dtype);
  chooseTile(spec, p);
  spec.columns = p.window.kernel[2];
  if (spec.columns > 1)
    spec.dilation = p.window.dilation[2];
  if (p.kernelPositions() <= kMostTaps)
    spec.rows = p.window.kernel[1];
  spec.maskColumns = p.window.output[2] % spec.pixels() != 0;
  spec.hasBias = bool(p.bias);
  spec.epilogue = EpilogueCode(p.epilogue);
  return spec;
}

static LineConvDims lineDims(const ConvProblem &p, const LineConvSpec &spec) {
  // What is copied for a task stays in the first cache, unless that were few lines.
  constexpr double kBytesOfPart = 32 << 10;
  constexpr int64_t kFewLines = 4;
  const WindowShape3 &w = p.window;
  LineConvDims dims;
  dims.groups = p.groups;
  dims.channels = p.channelsPerGroup();
  dims.outputs = p.outputsPerGroup();
  dims.height = w.input[1];
  dims.width = w.input[2];
  dims.padTop = w.padBegin[1];
  dims.padLeft = w.padBegin[2];
  dims.outputHeight = w.output[1];
  dims.outputWidth = w.output[2];
  dims.rows = w.kernel[1];
  dims.stride = w.stride[1];
  dims.dilation = w.dilation[1];
  int64_t tiles = ceilDiv(dims.outputs, spec.outputs);
  dims.lowerTiles = tiles * spec.outputs - dims.outputs;
  dims.tallTiles = tiles - dims.lowerTiles;
  dims.columnTiles = ceilDiv(dims.outputWidth, spec.pixels());
  dims.pitch = pitchOf(p, spec.pixels());
  int64_t lines = std::min(kFewLines, dims.outputHeight);
  while (lines < dims.outputHeight && bytesOfCopy(p, dims.pitch, lines + 1) <= kBytesOfPart)
    ++lines;
  dims.parts = ceilDiv(dims.outputHeight, lines);
  dims.linesOfPart = ceilDiv(dims.outputHeight, dims.parts);
  dims.copiedLines = linesRead(p, dims.linesOfPart);
  return dims;
}

static LoweringResult lowerLines(ConvProblem &p) {
  LineConvSpec spec = lineSpec(p);
  LineConvDims dims = lineDims(p, spec);
  ConvProduct product{.a = StepBuffer::of(p.weights), .b = StepBuffer::of(p.input)};
  if (p.bias)
    product.bias = StepBuffer::of(p.bias);
  LoweredStep step = startConvStep(p, kernelOf(std::move(spec)), std::move(product));
  step.dims = flattenDims(dims);
  step.tasks = p.batch * p.groups * dims.parts;
  step.grain = chooseGrain(step.tasks, p.flops);
  step.scratchBytes = dims.channels * dims.copiedLines * dims.pitch * dtypeBytes(p.inputType);
  return oneStep(std::move(step));
}

const ConvWay native::kLineConv = {refuseLines, lowerLines};
