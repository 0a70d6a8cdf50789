//===- DepthwiseKernel.cpp - a filter for each channel, or for a few ------===//
#include "backends/native/kernels/DepthwiseKernel.h"

#include "backends/native/kernels/ClippedTaps.h"
#include "backends/native/kernels/LineTask.h"
#include "backends/native/kernels/TapGroups.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <functional>
#include <map>

using namespace mlir;
using namespace quern;
using namespace quern::native;

std::string DepthwiseSpec::name() const {
  std::string stepped = stride > 1 ? fmt::format(FMT_COMPILE("s{}"), stride) : "";
  std::string width = columns > 0 ? fmt::format(FMT_COMPILE("{}"), columns) : "wide";
  std::string kind = group > 1 ? fmt::format(FMT_COMPILE("grouped{}"), group)
                     : resultsOfChannel > 1
                         ? fmt::format(FMT_COMPILE("depthwise{}x"), resultsOfChannel)
                         : "depthwise";
  return fmt::format(FMT_COMPILE("{}_{}{}{}{}"), kind, types.label(), width, stepped,
                     epilogue.program.label());
}

namespace {
class DepthwiseEmitter {
public:
  DepthwiseEmitter(KernelBuilder &kb, const DepthwiseSpec &spec)
      : kb(kb), spec(spec), types(spec.types), place{types, spec.lanes, /*vectorA=*/true},
        engine(chooseEngine(kb.target(), types, /*group=*/1, spec.lanes)) {
    if (spec.tapsAtOnce > 1)
      tapGroups.emplace(kb, spec);
  }

  void emit();

private:
  using Values = KernelBuilder::Values;

  /// A line of results.
  struct Line {
    Value weights;    ///< of the block
    Value image;      ///< the first pixel of the block, or of the part of one that is read
    Value firstRow;   ///< of the window, which may lie above the image
    ClippedTaps rows; ///< of the filter
    Value start;      ///< what sums begin with
    Value result;     ///< index of the first pixel
    Value channel;    ///< of the first lane
  };

  Value dim(int64_t DepthwiseDims::*member) { return kb.dim(member); }
  void emitTask(Value task);
  void emitLine(Value plane, Value y);
  /// The first element of the image that a block of a plane of results reads.
  Value imageOf(Value plane, Value block, Value pixels);
  /// What rows of the filter outside of the image add.
  Value addOutside(const Line &line, Value from, Value to, Value sum);
  /// Results [from, to) of a line, several at a time; where they are not inside, windows may reach
  /// over the line's ends, and the last results that are summed up may not exist.
  void emitPixels(const Line &line, Value from, Value to, bool areInside);
  Values addRow(const Line &line, Value row, Value x, Values sums, bool areInside);
  /// The same of one channel of each group.
  Values addChannel(const Line &line, Value row, Value x, int64_t channel, Values sums,
                    bool areInside);
  /// The results from x on, `spec.results` of them, of a line that is cut evenly. The first and
  /// last pixels of their windows lie outside, this many; less than none: so many follow.
  void emitGroup(const Line &line, Value x, int64_t outsideFirst, int64_t outsideLast);
  Values addRowOfGroup(const Line &line, Value row, Value x, Values sums, int64_t outsideFirst,
                       int64_t outsideLast);
  Values addChannelOfGroup(const Line &line, Value row, Value x, int64_t channel, Values sums,
                           int64_t outsideFirst, int64_t outsideLast);
  /// Of packed weights, in elements.
  Value sizeOfRow();
  Value weightsOfRow(const Line &line, Value row) {
    return kb.advance(line.weights, kb.mul(row, sizeOfRow()), types.b);
  }
  /// Adds what `body` does for each column of a row of the filter. Its number is 0 in a loop.
  using ColumnBody = std::function<Values(Value column, int64_t number, Values sums)>;
  Values forColumns(Values sums, const ColumnBody &body);
  /// Stores the results of sums side by side, or of the first `count`: these by way of memory, so
  /// that the epilogue's code is there once.
  void finish(const Line &line, Value x, const Values &sums);
  void finishSome(const Line &line, Value x, const Values &sums, Value count);
  Value columns() {
    return spec.columns > 0 ? kb.index(spec.columns) : dim(&DepthwiseDims::columns);
  }
  /// That the windows of spec.results neighbouring results reach over.
  int64_t pixelsOfResults() const {
    return (spec.results - 1) * spec.stride + (spec.columns - 1) * spec.dilation + 1;
  }
  /// The pixel at `pointer`: in all lanes of a group its channel of this number.
  Value pixelAt(Value pointer, int64_t channel);
  Value weight(const Line &line, Value row, Value column, int64_t channel) {
    Value at = kb.mul(kb.add(kb.mul(column, spec.group), channel), spec.lanes);
    return engine.loadB(kb, place, kb.advance(weightsOfRow(line, row), at, types.b), {});
  }

  KernelBuilder &kb;
  const DepthwiseSpec &spec;
  const DotTypes &types;
  DotEngine::Place place;
  const DotEngine &engine;
  /// Of DepthwiseSpec::tapsAtOnce.
  std::optional<TapGroups> tapGroups;
  /// A vector of what lies outside; sums on their way to the epilogue.
  Value outside, results;
};
} // namespace

void DepthwiseEmitter::emit() {
  outside = kb.stackSpace(types.a, spec.lanes);
  Value number = nn::ScalarEmitter(kb.builder(), kb.loc(), types.a, spec.lanes).constant(0);
  if (spec.hasOutside) {
    Value byte = kb.builder().create<arith::TruncIOp>(kb.loc(), kb.builder().getI8Type(),
                                                      dim(&DepthwiseDims::outside));
    number = kb.splat(byte, spec.lanes);
  }
  kb.store(number, outside, types.a, spec.lanes);
  results = kb.stackSpace(types.accumulate, spec.results * spec.lanes);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
}

void DepthwiseEmitter::emitTask(Value task) {
  LineTask lines = lineTaskOf(kb, task,
                              {.columns = dim(&DepthwiseDims::blocks),
                               .parts = dim(&DepthwiseDims::parts),
                               .chunksOfPart = dim(&DepthwiseDims::chunksOfPart),
                               .linesOfChunk = dim(&DepthwiseDims::linesOfChunk),
                               .lines = dim(&DepthwiseDims::outputHeight)});
  Value plane = kb.add(kb.mul(lines.image, dim(&DepthwiseDims::blocks)), lines.column);
  kb.forLoop(lines.from, lines.to, 1, [&](Value y) { emitLine(plane, y); });
}

void DepthwiseEmitter::emitLine(Value plane, Value y) {
  Line line;
  Value block = kb.rem(plane, dim(&DepthwiseDims::blocks));
  line.channel = kb.mul(block, spec.lanes);
  Value filter = kb.mul(dim(&DepthwiseDims::rows), sizeOfRow());
  line.weights = kb.advance(kb.buffer(1), kb.mul(block, filter), types.b);
  Value pixels = kb.mul(dim(&DepthwiseDims::height), dim(&DepthwiseDims::width));
  line.image = kb.advance(kb.buffer(0), imageOf(plane, block, pixels), types.a);
  line.firstRow = kb.sub(kb.mul(y, dim(&DepthwiseDims::stride)), dim(&DepthwiseDims::padTop));
  line.result = kb.mul(kb.add(kb.mul(plane, dim(&DepthwiseDims::outputHeight)), y),
                       dim(&DepthwiseDims::outputWidth));
  line.rows = clipTaps(kb, line.firstRow, dim(&DepthwiseDims::rows), dim(&DepthwiseDims::dilation),
                       dim(&DepthwiseDims::height));
  line.start = nn::ScalarEmitter(kb.builder(), kb.loc(), types.accumulate, spec.lanes).constant(0);
  if (spec.hasBias)
    line.start = kb.load(kb.advance(kb.buffer(3), line.channel, types.accumulate), types.accumulate,
                         spec.lanes);
  if (spec.hasOutside) {
    line.start = addOutside(line, kb.index(0), line.rows.from, line.start);
    line.start = addOutside(line, line.rows.to, dim(&DepthwiseDims::rows), line.start);
  }
  Value width = dim(&DepthwiseDims::outputWidth);
  if (spec.cut == DepthwiseSpec::Cut::Anyhow) {
    Value begin = dim(&DepthwiseDims::insideBegin), end = dim(&DepthwiseDims::insideEnd);
    emitPixels(line, kb.index(0), begin, /*areInside=*/false);
    emitPixels(line, begin, end, /*areInside=*/true);
    return emitPixels(line, end, width, /*areInside=*/false);
  }
  if (spec.cut == DepthwiseSpec::Cut::Once)
    return emitGroup(line, kb.index(0), spec.overBegin, spec.overEnd);
  Value last = kb.sub(width, kb.index(spec.results));
  // Another group follows.
  int64_t behind = std::max<int64_t>(spec.results * spec.stride - spec.overEnd, 0);
  emitGroup(line, kb.index(0), spec.overBegin, -behind);
  kb.forLoop(kb.index(spec.results), last, spec.results,
             [&](Value x) { emitGroup(line, x, 0, -behind); });
  emitGroup(line, last, 0, spec.overEnd);
}

Value DepthwiseEmitter::sizeOfRow() {
  if (spec.tapsAtOnce > 1)
    return kb.index(ceilDiv(spec.columns, spec.tapsAtOnce) * spec.tapsAtOnce * spec.lanes);
  return kb.mul(columns(), spec.group * spec.lanes);
}

Value DepthwiseEmitter::imageOf(Value plane, Value block, Value pixels) {
  if (spec.resultsOfChannel == 1)
    return kb.mul(plane, kb.mul(pixels, spec.lanes));
  Value parts = kb.index(spec.resultsOfChannel);
  Value first =
      kb.mul(kb.div(plane, dim(&DepthwiseDims::blocks)), dim(&DepthwiseDims::imageBlocks));
  Value inBlock = kb.mul(kb.rem(block, parts), spec.lanes / spec.resultsOfChannel);
  return kb.add(kb.mul(kb.add(first, kb.div(block, parts)), kb.mul(pixels, spec.lanes)), inBlock);
}

Value DepthwiseEmitter::addOutside(const Line &line, Value from, Value to, Value sum) {
  Value a = tapGroups ? Value() : pixelAt(outside, 0);
  return kb.forLoop(from, to, 1, Values{sum}, [&](Value row, ValueRange now) -> Values {
    if (tapGroups)
      return {tapGroups->addSame(tapGroups->weightsAt(weightsOfRow(line, row)), outside, now[0])};
    return forColumns(Values(now), [&](Value j, int64_t, Values next) -> Values {
      for (int64_t channel = 0; channel < spec.group; ++channel)
        next[0] = engine.add(kb, place, a, weight(line, row, j, channel), next[0]);
      return next;
    });
  })[0];
}

DepthwiseEmitter::Values DepthwiseEmitter::forColumns(Values sums, const ColumnBody &body) {
  if (spec.columns == 0)
    return kb.forLoop(kb.index(0), columns(), 1, sums,
                      [&](Value j, ValueRange now) { return body(j, 0, Values(now)); });
  for (int64_t j = 0; j < spec.columns; ++j)
    sums = body(kb.index(j), j, std::move(sums));
  return sums;
}

void DepthwiseEmitter::emitPixels(const Line &line, Value from, Value to, bool areInside) {
  kb.forLoop(from, to, spec.results, [&](Value x) {
    Values sums = kb.forLoop(
        line.rows.from, line.rows.to, 1, Values(spec.results, line.start),
        [&](Value row, ValueRange now) { return addRow(line, row, x, Values(now), areInside); });
    if (areInside && spec.epilogue.isShortForFewSums())
      return finish(line, x, sums);
    finishSome(line, x, sums, kb.minSigned(kb.sub(to, x), kb.index(spec.results)));
  });
}

Value DepthwiseEmitter::pixelAt(Value pointer, int64_t channel) {
  DotEngine::Place part = place;
  part.lanes = spec.lanes / spec.resultsOfChannel;
  Value pixel = engine.loadA(kb, part, pointer, {});
  if (spec.group == 1 && spec.resultsOfChannel == 1)
    return pixel;
  SmallVector<int64_t> lanes;
  for (int64_t lane = 0; lane < spec.lanes; ++lane)
    lanes.push_back(spec.group > 1 ? lane / spec.group * spec.group + channel
                                   : lane / spec.resultsOfChannel);
  return kb.builder().create<vector::ShuffleOp>(kb.loc(), pixel, pixel, lanes);
}

DepthwiseEmitter::Values DepthwiseEmitter::addRow(const Line &line, Value row, Value x, Values sums,
                                                  bool areInside) {
  for (int64_t channel = 0; channel < spec.group; ++channel)
    sums = addChannel(line, row, x, channel, std::move(sums), areInside);
  return sums;
}

DepthwiseEmitter::Values DepthwiseEmitter::addChannel(const Line &line, Value row, Value x,
                                                      int64_t channel, Values sums,
                                                      bool areInside) {
  OpBuilder &ops = kb.builder();
  Value y = kb.add(line.firstRow, kb.mul(row, dim(&DepthwiseDims::dilation)));
  Value width = dim(&DepthwiseDims::width);
  Value column = kb.sub(kb.mul(x, spec.stride), dim(&DepthwiseDims::padLeft));
  auto pixel = [&](Value offset) -> Value {
    Value at = kb.add(column, offset);
    Value element = kb.mul(kb.add(kb.mul(y, width), at), spec.lanes);
    Value pointer = kb.advance(line.image, element, types.a);
    if (areInside)
      return pointer;
    // A column number below zero is a large one without a sign.
    Value exists = ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ult, at, width);
    return ops.create<arith::SelectOp>(kb.loc(), exists, pointer, outside);
  };
  if (tapGroups) {
    tapGroups->addRow(
        tapGroups->weightsAt(weightsOfRow(line, row)),
        [&](int64_t i) -> TapGroups::Pixel {
          if (i >= pixelsOfResults()) // meets weights of zero
            return {outside};
          return {pixel(kb.index(i)), areInside};
        },
        sums);
    return sums;
  }
  // Neighbouring windows overlap: what they share is loaded once.
  std::map<int64_t, Value> loaded;
  return forColumns(std::move(sums), [&](Value j, int64_t number, Values next) {
    Value b = weight(line, row, j, channel);
    for (auto [p, sum] : llvm::enumerate(next)) {
      int64_t apart = static_cast<int64_t>(p) * spec.stride;
      Value &a = loaded[apart + number * spec.dilation];
      if (!a)
        a = pixelAt(pixel(kb.add(kb.mul(j, spec.dilation), apart)), channel);
      sum = engine.add(kb, place, a, b, sum);
    }
    return next;
  });
}

void DepthwiseEmitter::emitGroup(const Line &line, Value x, int64_t outsideFirst,
                                 int64_t outsideLast) {
  Values sums =
      kb.forLoop(line.rows.from, line.rows.to, 1, Values(spec.results, line.start),
                 [&](Value row, ValueRange now) {
                   return addRowOfGroup(line, row, x, Values(now), outsideFirst, outsideLast);
                 });
  if (spec.epilogue.isShortForFewSums())
    return finish(line, x, sums);
  finishSome(line, x, sums, kb.index(spec.results));
}

DepthwiseEmitter::Values DepthwiseEmitter::addRowOfGroup(const Line &line, Value row, Value x,
                                                         Values sums, int64_t outsideFirst,
                                                         int64_t outsideLast) {
  for (int64_t channel = 0; channel < spec.group; ++channel)
    sums = addChannelOfGroup(line, row, x, channel, std::move(sums), outsideFirst, outsideLast);
  return sums;
}

/// Pixel by pixel: each is added to all sums whose windows it is in, so that one of them is in a
/// register at a time, beside the sums and the weights of the row.
DepthwiseEmitter::Values DepthwiseEmitter::addChannelOfGroup(const Line &line, Value row, Value x,
                                                             int64_t channel, Values sums,
                                                             int64_t outsideFirst,
                                                             int64_t outsideLast) {
  Value y = kb.add(line.firstRow, kb.mul(row, dim(&DepthwiseDims::dilation)));
  Value first = kb.sub(kb.mul(x, spec.stride), kb.index(spec.overBegin));
  Value pixel = kb.mul(kb.add(kb.mul(y, dim(&DepthwiseDims::width)), first), spec.lanes);
  int64_t pixels = pixelsOfResults();
  auto existsAt = [&](int64_t i) { return i >= outsideFirst && i < pixels - outsideLast; };
  auto pointerTo = [&](int64_t i) {
    return kb.advance(line.image, kb.add(pixel, i * spec.lanes), types.a);
  };
  if (tapGroups) {
    tapGroups->addRow(
        tapGroups->weightsAt(weightsOfRow(line, row)),
        [&](int64_t i) -> TapGroups::Pixel {
          if (existsAt(i))
            return {pointerTo(i), /*isInLine=*/true};
          return {outside};
        },
        sums);
    return sums;
  }
  Values weights;
  for (int64_t j = 0; j < spec.columns; ++j)
    weights.push_back(weight(line, row, kb.index(j), channel));
  for (int64_t i = 0; i < pixels; ++i) {
    bool exists = existsAt(i);
    if (!exists && !spec.hasOutside)
      continue;
    Value a;
    for (int64_t j = 0; j < spec.columns; ++j) {
      int64_t distance = i - j * spec.dilation, result = distance / spec.stride;
      if (distance < 0 || distance % spec.stride != 0 || result >= spec.results)
        continue;
      if (!a)
        a = pixelAt(exists ? pointerTo(i) : outside, channel);
      sums[result] = engine.add(kb, place, a, weights[j], sums[result]);
    }
  }
  return sums;
}

void DepthwiseEmitter::finish(const Line &line, Value x, const Values &sums) {
  ResultRow pixels;
  pixels.areAdjacent = true;
  for (size_t i = 0; i < sums.size(); ++i) {
    Value element = kb.mul(kb.add(kb.add(line.result, x), static_cast<int64_t>(i)), spec.lanes);
    pixels.at.push_back({element, {}, line.channel});
    pixels.active.emplace_back();
  }
  emitEpilogueOfRow(kb, spec.epilogue, sums,
                    epilogueBuffers(kb, spec.epilogue, spec.hasBias ? 4 : 3), pixels, spec.lanes,
                    kb.buffer(2));
}

void DepthwiseEmitter::finishSome(const Line &line, Value x, const Values &sums, Value count) {
  for (auto [i, sum] : llvm::enumerate(sums))
    kb.store(sum, kb.advance(results, static_cast<int64_t>(i) * spec.lanes, types.accumulate),
             types.accumulate, spec.lanes);
  kb.forLoop(kb.index(0), count, 1, [&](Value i) {
    Value at = kb.advance(results, kb.mul(i, spec.lanes), types.accumulate);
    finish(line, kb.add(x, i), {kb.load(at, types.accumulate, spec.lanes)});
  });
}

void DepthwiseSpec::emit(KernelBuilder &kb) const { DepthwiseEmitter(kb, *this).emit(); }
