//===- ConvReading.cpp - what of an image and a filter the blocked way reads //
#include "backends/native/lowering/ConvReading.h"

#include "backends/native/lowering/Way.h"
#include "runtime/values/CeilDiv.h"

using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// The tile of vectors that lines of `lineRows` results are computed by.
static TileShape blockedTileShape(const ConvProblem &p, int64_t lineRows) {
  // A tile's vectors are one channel block, or several of one vector that read the same input.
  const Target &target = p.context.target;
  int64_t lanes = target.channelBlock(), vectorsOfBlock = p.outputBlock / lanes;
  if (vectorsOfBlock > 1)
    return chooseBlockTile(target, vectorsOfBlock);
  return chooseConvTile(target, lineRows, ceilDiv(p.outputsPerGroup(), lanes));
}

bool ConvReading::readsAll(const ConvProblem &p) const {
  return !clipsRows && parts.size() == 1 && rows.count == p.window.kernel[kRowAxis] &&
         parts.front().taps.count == p.window.kernel[kColumnAxis];
}

bool ConvReading::hasTapLevels(const ConvProblem &p) const {
  return !isFlat && (p.kernelPositions() > 1 || clipsRows);
}

int64_t ConvReading::lineRows(const ConvProblem &p) const {
  if (isFlat)
    return p.outputPixels();
  return parts.size() > 1 ? kAnyLineRows : p.window.output[kColumnAxis] / parts.front().folds;
}

TileShape ConvReading::tileShape(const ConvProblem &p) const {
  int64_t rows = lineRows(p);
  TileShape shape = blockedTileShape(p, rows);
  return parts.size() > 1 ? shape : evenTiles(shape, rows, p.types().group());
}

ConvAxis native::axisOf(const ConvProblem &p, int a) {
  const WindowShape3 &w = p.window;
  return {w.input[a], w.output[a], w.kernel[a], w.stride[a], w.dilation[a], w.padBegin[a]};
}

int64_t native::startOf(const ConvAxis &axis, const TapRange &taps) {
  return taps.first * axis.dilation - axis.padBegin;
}

/// The places before the image that `taps` meet, and those behind it.
static std::pair<int64_t, int64_t> overhang(const ConvAxis &axis, const TapRange &taps) {
  int64_t start = startOf(axis, taps);
  int64_t last = start + (axis.output - 1) * axis.stride + (taps.count - 1) * axis.dilation;
  return {std::max<int64_t>(-start, 0), std::max<int64_t>(last - (axis.input - 1), 0)};
}

/// Whether a copy of the pixels that are read pays: where several tiles of columns read them, each
/// of them would go over lines of which it needs a part; and tiles of matrices take parts of blocks
/// from pixels side by side only.
static bool takingPixelsPays(const ConvProblem &p) {
  constexpr int64_t kColumns = 128;
  bool isInside = p.kernelPositions() == 1;
  for (int a : {kRowAxis, kColumnAxis}) {
    ConvAxis axis = axisOf(p, a);
    isInside = isInside && axis.padBegin == 0 && (axis.output - 1) * axis.stride < axis.input;
  }
  bool isPart = p.inputType == DType::BFloat16 && p.channels % std::max<int64_t>(p.pixel(), 1) != 0;
  return isInside && p.inputBlock > 0 && p.groups == 1 && (p.outputs > kColumns || isPart);
}

static bool isInPlace(const ConvAxis &axis, const TapRange &taps) {
  return taps.count == 1 && axis.stride == 1 && axis.input == axis.output &&
         startOf(axis, taps) == 0;
}

/// Whether lines are to be computed in `parts`, which need no zeros beside the image, rather than
/// as a whole with `columns` of the filter: that has fewer products, and reads more weights.
static bool partsPay(const ConvProblem &p, const TapRange &columns,
                     llvm::ArrayRef<TapSegment> parts) {
  constexpr size_t kMostParts = 5;
  int64_t width = p.window.output[kColumnAxis];
  if (parts.size() == 1 || parts.size() > kMostParts || p.inputBlock == 0 || width < kAnyLineRows)
    return false;
  TileShape shape = blockedTileShape(p, kAnyLineRows);
  int64_t group = p.types().group();
  double ofParts = 0, taps = 0;
  for (const TapSegment &part : parts) {
    ofParts += double(part.taps.count) * double(costOfRows(part.results, shape, group));
    taps += double(part.taps.count);
  }
  double whole =
      double(columns.count) * double(costOfRows(width, evenTiles(shape, width, group), group));
  double image = double(p.inputPixels()) * double(p.channels),
         all = double(p.window.kernel[kColumnAxis]);
  double weights = double(p.outputs) * double(p.channelsPerGroup()) * double(p.kernelPositions()) *
                   (taps - double(columns.count)) / all;
  double flops = p.flops / double(p.batch) * double(columns.count) / all;
  auto timeOf = [&](double products, double elements) {
    StepCost work{.flops = products},
        moves{.bytesRead = elements * double(dtypeBytes(p.inputType))};
    return nanoseconds(work, p.dtype, p.context.target) +
           nanoseconds(moves, p.dtype, p.context.target);
  };
  return timeOf(flops * ofParts / whole, weights) < timeOf(flops, 2 * image);
}

bool native::hasZeroPadding(mlir::Value image) {
  return isa_and_nonnull<nn::PackOp, nn::GatherChannelsOp>(image.getDefiningOp());
}

bool native::hasOpenPadding(const ConvProblem &p) {
  return isFloat(p.inputType) && p.channelsPerGroup() % p.pixel() != 0 && !hasZeroPadding(p.input);
}

/// Folds of the one line that an image has, none of less than some tiles. The number of threads is
/// not asked, for kernels must not depend on it.
static void foldLine(ConvReading &reading) {
  auto mostFolds = [](const TapSegment &part) {
    constexpr int64_t kFewestResults = 112, kMostFolds = 64;
    return std::clamp<int64_t>(part.results / kFewestResults, 1, kMostFolds);
  };
  if (reading.parts.size() == 1) {
    // Its kernel reads the whole filter, and so is the only one.
    TapSegment &all = reading.parts.front();
    all.folds = mostFolds(all);
    while (all.results % all.folds != 0)
      --all.folds;
    return;
  }
  llvm::SmallVector<TapSegment> parts;
  for (TapSegment part : reading.parts) {
    part.folds = mostFolds(part);
    int64_t rest = part.results % part.folds;
    part.results -= rest;
    parts.push_back(part);
    if (rest > 0)
      parts.push_back({part.first + part.results, rest, part.taps});
  }
  reading.parts = std::move(parts);
}

static ConvReading planLines(const ConvProblem &p, bool onTiles) {
  bool canSkip = p.window.outside == 0;
  auto tapsOf = [&](int a) {
    TapRange reached = canSkip ? reachedTaps(axisOf(p, a)) : TapRange{};
    return reached.count > 0 ? reached : TapRange{0, p.window.kernel[a]};
  };
  ConvReading reading;
  reading.rows = tapsOf(kRowAxis);
  ConvAxis rows = axisOf(p, kRowAxis), columns = axisOf(p, kColumnAxis);
  TapRange ofLine = tapsOf(kColumnAxis);
  reading.parts = {{0, columns.output, ofLine}};
  // The innermost level of a plain image goes through all of the filter.
  bool hasOuterLevels = p.inputBlock > 0 || p.kernelPositions() == 1;
  bool isDense = p.places.column == 1 && p.places.line == columns.output;
  reading.isFlat =
      hasOuterLevels && isDense && isInPlace(rows, reading.rows) && isInPlace(columns, ofLine);
  if (reading.isFlat)
    return reading;
  if (isDense && takingPixelsPays(p)) {
    reading.isFlat = reading.takesPixels = true;
    return reading;
  }
  std::tie(reading.top, reading.bottom) = overhang(rows, reading.rows);
  std::tie(reading.left, reading.right) = overhang(columns, ofLine);
  if (onTiles && hasOpenPadding(p) && reading.hasHalo())
    reading.lastChannels = p.channelsPerGroup() % p.pixel();
  // Parts of an op read the same copy.
  if (!canSkip || onTiles || p.isPart())
    return reading;
  // Loops of known trips and a copy are faster where few rows are left out.
  constexpr double kMostMet = 0.75;
  double met = double(countMeetings(rows)) / double(rows.output * reading.rows.count);
  if (reading.top + reading.bottom > 0 && met < kMostMet) {
    reading.clipsRows = true;
    reading.top = reading.bottom = 0;
  }
  llvm::SmallVector<TapSegment> parts = segmentsOf(columns);
  if (partsPay(p, ofLine, parts)) {
    reading.parts = std::move(parts);
    reading.left = reading.right = 0;
  }
  return reading;
}

ConvReading native::planReading(const ConvProblem &p, bool onTiles) {
  ConvReading reading = planLines(p, onTiles);
  if (p.window.output[kRowAxis] == 1 && !reading.isFlat)
    foldLine(reading);
  return reading;
}

PaddedInput native::padInput(const ConvProblem &p, const ConvReading &reading,
                             std::vector<LoweredStep> &steps) {
  PaddedInput padded;
  padded.planes = p.context.sizesOf(p.input)[1];
  padded.buffer = StepBuffer::of(p.input);
  int64_t height = p.window.input[kRowAxis], width = p.window.input[kColumnAxis];
  LineWork work{.batches = p.batch, .bytesOfA = 1, .threads = p.context.threads};
  if (reading.takesPixels) {
    PixelGrid grid{.planes = p.batch * padded.planes,
                   .height = p.window.output[kRowAxis],
                   .width = p.window.output[kColumnAxis],
                   .planeStride = height * width * p.pixel(),
                   .lineStep = p.window.stride[kRowAxis] * width * p.pixel(),
                   .columnStep = p.window.stride[kColumnAxis] * p.pixel()};
    grid.parts = chooseLineParts(grid.height, work);
    height = grid.height;
    width = grid.width;
    CheckedSize bytes =
        CheckedSize(grid.planes) * height * width * p.pixel() * dtypeBytes(p.inputType);
    padded.buffer = StepBuffer::scratchSpace(0, bytes);
    steps.push_back(takePixels(StepBuffer::of(p.input), padded.buffer, grid,
                               {.dtype = p.inputType, .pixel = p.pixel()}));
  } else if (reading.hasHalo()) {
    HaloShape halo{
        p.batch * padded.planes, height,       width,         p.pixel(),       reading.top,
        reading.bottom,          reading.left, reading.right, p.window.outside};
    height += reading.top + reading.bottom;
    width += reading.left + reading.right;
    halo.parts = chooseLineParts(halo.height, work);
    halo.planesOfImage = padded.planes;
    halo.lastElements = reading.lastChannels;
    CheckedSize bytes =
        CheckedSize(halo.planes) * height * width * p.pixel() * dtypeBytes(p.inputType);
    padded.buffer = StepBuffer::scratchSpace(0, bytes);
    steps.push_back(padHalo(StepBuffer::of(p.input), padded.buffer, halo, p.inputType));
  }
  padded.lineStride = width * p.pixel();
  padded.planeStride = height * padded.lineStride;
  return padded;
}
