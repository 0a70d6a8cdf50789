//===- LineConvKernel.cpp - convolution along lines of plain images -------===//
#include "backends/native/kernels/LineConvKernel.h"

#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::native;

double native::cyclesOfLineTap(int64_t outputs, int64_t vectors, const CpuRates &rates) {
  constexpr double kLoadsPerCycle = 2;
  auto sums = static_cast<double>(outputs * vectors);
  return std::max({sums / rates.productsPerCycle, rates.productLatency,
                   static_cast<double>(outputs + 2 * vectors) / kLoadsPerCycle});
}

std::string LineConvSpec::name() const {
  return fmt::format(FMT_COMPILE("lines_{}x{}{}"), outputs, pixels(), epilogue.program.label());
}

namespace {
class LineConvEmitter {
public:
  LineConvEmitter(KernelBuilder &kb, const LineConvSpec &spec)
      : kb(kb), spec(spec), types(spec.types), place{types, spec.lanes, /*vectorA=*/false},
        engine(chooseEngine(kb.target(), types, /*group=*/1, spec.lanes)) {}

  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Values = KernelBuilder::Values;

  /// The lines of results [from, to) of a task, and of the tensors what they are of.
  struct Part {
    Value from, to;
    Value image;       ///< the first pixel of the group's first channel
    Value firstOutput; ///< of the group, of all outputs
    Value firstPlane;  ///< of the result: that of the group's first output
  };
  /// A tile: from `output` of the group on, in line y, from pixel x on.
  struct Tile {
    Value output, y, x;
  };

  Value dim(int64_t LineConvDims::*member) { return kb.dim(member); }
  Value filterRows() { return spec.rows > 0 ? kb.index(spec.rows) : dim(&LineConvDims::rows); }
  void emitTask(Value task);
  void copyLines(const Part &part);
  void copyLine(Value from, Value to);
  void fill(Value line, Value from, Value to);
  /// All lines of `outputs` outputs from `first` on.
  void emitOutputs(const Part &part, Value first, int64_t outputs);
  void emitTile(const Part &part, const Tile &tile, int64_t outputs);
  Values addRow(Value image, Value weights, Value weightsOfOutput, int64_t outputs, Values sums);
  void store(const Part &part, const Tile &tile, int64_t outputs, const Values &sums);
  void storeOutput(const Part &part, const Tile &tile, Value output, ValueRange sums);

  KernelBuilder &kb;
  const LineConvSpec &spec;
  const DotTypes &types;
  DotEngine::Place place;
  const DotEngine &engine;
};
} // namespace

void LineConvEmitter::emitTask(Value task) {
  Value plane = kb.div(task, dim(&LineConvDims::parts));
  Value group = kb.rem(plane, dim(&LineConvDims::groups));
  Value pixels = kb.mul(dim(&LineConvDims::height), dim(&LineConvDims::width));
  Part part;
  part.from = kb.mul(kb.rem(task, dim(&LineConvDims::parts)), dim(&LineConvDims::linesOfPart));
  part.to = kb.minSigned(kb.add(part.from, dim(&LineConvDims::linesOfPart)),
                         dim(&LineConvDims::outputHeight));
  part.image = kb.advance(kb.buffer(1), kb.mul(kb.mul(plane, dim(&LineConvDims::channels)), pixels),
                          types.b);
  part.firstOutput = kb.mul(group, dim(&LineConvDims::outputs));
  part.firstPlane = kb.mul(plane, dim(&LineConvDims::outputs));
  copyLines(part);
  Value tall = dim(&LineConvDims::tallTiles);
  kb.forLoop(kb.index(0), tall, 1,
             [&](Value t) { emitOutputs(part, kb.mul(t, spec.outputs), spec.outputs); });
  if (!spec.hasLower)
    return;
  Value first = kb.mul(tall, spec.outputs);
  kb.forLoop(kb.index(0), dim(&LineConvDims::lowerTiles), 1, [&](Value t) {
    emitOutputs(part, kb.add(first, kb.mul(t, spec.outputs - 1)), spec.outputs - 1);
  });
}

//===----------------------------------------------------------------------===//
// The copy
//===----------------------------------------------------------------------===//

/// Those of a channel follow each other: first the one that the first row of the filter meets.
void LineConvEmitter::copyLines(const Part &part) {
  Value stride = dim(&LineConvDims::stride), width = dim(&LineConvDims::width);
  Value firstRow = kb.sub(kb.mul(part.from, stride), dim(&LineConvDims::padTop));
  Value lines =
      kb.add(kb.mul(kb.sub(kb.sub(part.to, part.from), kb.index(1)), stride),
             kb.mul(kb.sub(dim(&LineConvDims::rows), kb.index(1)), dim(&LineConvDims::dilation)));
  lines = kb.add(lines, 1);
  kb.forLoop(kb.index(0), dim(&LineConvDims::channels), 1, [&](Value channel) {
    Value copied = kb.mul(channel, dim(&LineConvDims::copiedLines));
    Value above = kb.mul(channel, dim(&LineConvDims::height));
    kb.forLoop(kb.index(0), lines, 1, [&](Value i) {
      Value to =
          kb.advance(kb.scratch(), kb.mul(kb.add(copied, i), dim(&LineConvDims::pitch)), types.b);
      Value row = kb.add(firstRow, i);
      // A row above the image is a large one without a sign.
      Value exists = kb.builder().create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ult, row,
                                                        dim(&LineConvDims::height));
      kb.ifThen(
          exists,
          [&] { copyLine(kb.advance(part.image, kb.mul(kb.add(above, row), width), types.b), to); },
          [&] { fill(to, kb.index(0), dim(&LineConvDims::pitch)); });
    });
  });
}

/// Zeros are stored by whole vectors, and what there is over them.
void LineConvEmitter::copyLine(Value from, Value to) {
  Value padLeft = dim(&LineConvDims::padLeft), width = dim(&LineConvDims::width);
  Value end = kb.add(padLeft, width), lanes = kb.index(spec.lanes);
  fill(to, kb.index(0), padLeft);
  fill(to, kb.mul(kb.div(end, lanes), spec.lanes), dim(&LineConvDims::pitch));
  Value inside = kb.advance(to, padLeft, types.b), whole = kb.mul(kb.div(width, lanes), spec.lanes);
  kb.forLoop(kb.index(0), whole, spec.lanes, [&](Value x) {
    kb.store(kb.load(kb.advance(from, x, types.b), types.b, spec.lanes),
             kb.advance(inside, x, types.b), types.b, spec.lanes);
  });
  kb.forLoop(whole, width, spec.lanes, [&](Value x) {
    Value rest = kb.sub(width, x);
    kb.store(kb.load(kb.advance(from, x, types.b), types.b, spec.lanes, rest),
             kb.advance(inside, x, types.b), types.b, spec.lanes, rest);
  });
}

void LineConvEmitter::fill(Value line, Value from, Value to) {
  Value zero = nn::ScalarEmitter(kb.builder(), kb.loc(), types.b, spec.lanes).constant(0);
  kb.forLoop(from, to, spec.lanes,
             [&](Value x) { kb.store(zero, kb.advance(line, x, types.b), types.b, spec.lanes); });
}

//===----------------------------------------------------------------------===//
// The sums
//===----------------------------------------------------------------------===//

void LineConvEmitter::emitOutputs(const Part &part, Value first, int64_t outputs) {
  kb.forLoop(part.from, part.to, 1, [&](Value y) {
    kb.forLoop(kb.index(0), dim(&LineConvDims::columnTiles), 1,
               [&](Value t) { emitTile(part, {first, y, kb.mul(t, spec.pixels())}, outputs); });
  });
}

void LineConvEmitter::emitTile(const Part &part, const Tile &tile, int64_t outputs) {
  Value rows = filterRows(), taps = kb.mul(rows, spec.columns);
  Value weightsOfOutput = kb.mul(dim(&LineConvDims::channels), taps);
  Value output = kb.add(part.firstOutput, tile.output);
  Value weights = kb.advance(kb.buffer(0), kb.mul(output, weightsOfOutput), types.a);
  Value pitch = dim(&LineConvDims::pitch), stride = dim(&LineConvDims::stride);
  Value line = kb.mul(kb.sub(tile.y, part.from), stride);
  Value image = kb.advance(kb.scratch(), kb.add(kb.mul(line, pitch), tile.x), types.b);
  Values sums;
  for (int64_t o = 0; o < outputs; ++o) {
    Value start =
        spec.hasBias
            ? kb.splat(kb.load(kb.advance(kb.buffer(3), kb.add(output, o), types.accumulate),
                               types.accumulate, 0),
                       spec.lanes)
            : nn::ScalarEmitter(kb.builder(), kb.loc(), types.accumulate, spec.lanes).constant(0);
    sums.append(static_cast<size_t>(spec.vectors), start);
  }
  Value ofChannel = kb.mul(dim(&LineConvDims::copiedLines), pitch);
  Value ofRow = kb.mul(dim(&LineConvDims::dilation), pitch);
  sums = kb.forLoop(kb.index(0), dim(&LineConvDims::channels), 1, sums,
                    [&](Value channel, ValueRange carried) -> Values {
                      Value lines = kb.advance(image, kb.mul(channel, ofChannel), types.b);
                      Value filter = kb.advance(weights, kb.mul(channel, taps), types.a);
                      auto add = [&](Value row, ValueRange now) {
                        return addRow(kb.advance(lines, kb.mul(row, ofRow), types.b),
                                      kb.advance(filter, kb.mul(row, spec.columns), types.a),
                                      weightsOfOutput, outputs, Values(now));
                      };
                      if (spec.rows == 0)
                        return kb.forLoop(kb.index(0), rows, 1, carried, add);
                      Values all(carried);
                      for (int64_t row = 0; row < spec.rows; ++row)
                        all = add(kb.index(row), all);
                      return all;
                    });
  store(part, tile, outputs, sums);
}

LineConvEmitter::Values LineConvEmitter::addRow(Value image, Value weights, Value weightsOfOutput,
                                                int64_t outputs, Values sums) {
  for (int64_t column = 0; column < spec.columns; ++column) {
    Values pixels;
    for (int64_t v = 0; v < spec.vectors; ++v) {
      Value at = kb.advance(image, column * spec.dilation + v * spec.lanes, types.b);
      pixels.push_back(engine.partOfB(kb, place, engine.loadB(kb, place, at, {}), 0));
    }
    for (int64_t o = 0; o < outputs; ++o) {
      Value at = kb.advance(weights, kb.add(kb.mul(weightsOfOutput, o), column), types.a);
      Value weight = engine.partOfA(kb, place, engine.loadA(kb, place, at, {}), 0);
      for (int64_t v = 0; v < spec.vectors; ++v) {
        Value &sum = sums[o * spec.vectors + v];
        sum = engine.add(kb, place, weight, pixels[v], sum);
      }
    }
  }
  return sums;
}

//===----------------------------------------------------------------------===//
// The results
//===----------------------------------------------------------------------===//

/// A long epilogue is there once for all outputs: sums go by way of memory.
void LineConvEmitter::store(const Part &part, const Tile &tile, int64_t outputs,
                            const Values &sums) {
  int64_t ofOutput = spec.pixels();
  if (outputs == 1 || spec.epilogue.isShort()) {
    for (int64_t o = 0; o < outputs; ++o)
      storeOutput(part, tile, kb.add(tile.output, o),
                  ValueRange(sums).slice(o * spec.vectors, spec.vectors));
    return;
  }
  Value memory = kb.stackSpace(types.accumulate, outputs * ofOutput);
  for (auto [i, sum] : llvm::enumerate(sums))
    kb.store(sum, kb.advance(memory, static_cast<int64_t>(i) * spec.lanes, types.accumulate),
             types.accumulate, spec.lanes);
  kb.forLoop(kb.index(0), kb.index(outputs), 1, [&](Value o) {
    Value from = kb.advance(memory, kb.mul(o, ofOutput), types.accumulate);
    Values loaded;
    for (int64_t v = 0; v < spec.vectors; ++v)
      loaded.push_back(kb.load(kb.advance(from, v * spec.lanes, types.accumulate), types.accumulate,
                               spec.lanes));
    storeOutput(part, tile, kb.add(tile.output, o), loaded);
  });
}

void LineConvEmitter::storeOutput(const Part &part, const Tile &tile, Value output,
                                  ValueRange sums) {
  Value width = dim(&LineConvDims::outputWidth);
  Value ofPlane = kb.mul(dim(&LineConvDims::outputHeight), width);
  Value plane = kb.mul(kb.add(part.firstPlane, output), ofPlane);
  ResultRow vectors;
  vectors.areAdjacent = true;
  for (int64_t v = 0; v < spec.vectors; ++v) {
    Value x = kb.add(tile.x, v * spec.lanes);
    Value pixel = kb.add(kb.mul(tile.y, width), x);
    vectors.at.push_back({kb.add(plane, pixel), kb.add(part.firstOutput, output), pixel});
    vectors.active.emplace_back();
    if (spec.maskColumns)
      vectors.active.back() =
          kb.minSigned(kb.maxSigned(kb.sub(width, x), kb.index(0)), kb.index(spec.lanes));
  }
  emitEpilogueOfRow(kb, spec.epilogue, sums,
                    epilogueBuffers(kb, spec.epilogue, spec.hasBias ? 4 : 3), vectors, spec.lanes,
                    kb.buffer(2));
}

void LineConvSpec::emit(KernelBuilder &kb) const { LineConvEmitter(kb, *this).emit(); }
