//===- DepthwiseKernel.cpp - a filter for each channel --------------------===//
#include "backends/native/kernels/DepthwiseKernel.h"

#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <map>

using namespace mlir;
using namespace quern;
using namespace quern::native;

std::string DepthwiseSpec::name() const {
  std::string stepped = stride > 1 ? fmt::format(FMT_COMPILE("s{}"), stride) : "";
  return fmt::format(FMT_COMPILE("depthwise_{}{}{}{}"), types.label(), columns, stepped,
                     epilogue.program.label());
}

namespace {
class DepthwiseEmitter {
public:
  DepthwiseEmitter(KernelBuilder &kb, const DepthwiseSpec &spec)
      : kb(kb), spec(spec), types(spec.types), place{types, spec.lanes, /*vectorA=*/true},
        engine(chooseEngine(kb.target(), types, /*group=*/1, spec.lanes)) {}

  void emit();

private:
  using Values = KernelBuilder::Values;

  /// A line of results.
  struct Line {
    Value weights;  ///< of the block
    Value image;    ///< the first pixel of the block
    Value firstRow; ///< of the window, which may lie above the image
    Value from, to; ///< rows of the filter that lie on the image
    Value start;    ///< what sums begin with
    Value result;   ///< index of the first pixel
    Value channel;  ///< of the first lane
  };

  Value dim(int64_t DepthwiseDims::*member) { return kb.dim(member); }
  void emitTask(Value task);
  void emitLine(Value plane, Value y);
  /// The rows of the filter that lie on the image.
  void clip(Line &line);
  /// What rows of the filter outside of the image add.
  Value addOutside(const Line &line, Value from, Value to, Value sum);
  /// Results [from, to) of a line, several at a time; where they are not inside, windows may reach
  /// over the line's ends, and the last results that are summed up may not exist.
  void emitPixels(const Line &line, Value from, Value to, bool areInside);
  Values addRow(const Line &line, Value row, Value x, Values sums, bool areInside);
  /// Stores the result of one sum, of all, or of the first `count`: these by way of memory, so that
  /// the epilogue's code is there once.
  void finish(const Line &line, Value x, Value sum);
  void finishAll(const Line &line, Value x, const Values &sums);
  void finishSome(const Line &line, Value x, const Values &sums, Value count);
  Value weight(const Line &line, Value row, int64_t column) {
    Value at = kb.mul(kb.add(kb.mul(row, spec.columns), column), spec.lanes);
    return engine.loadB(kb, place, kb.advance(line.weights, at, types.b), {});
  }

  KernelBuilder &kb;
  const DepthwiseSpec &spec;
  const DotTypes &types;
  DotEngine::Place place;
  const DotEngine &engine;
  /// A vector of what lies outside; sums on their way to the epilogue.
  Value outside, results;
};
} // namespace

void DepthwiseEmitter::emit() {
  outside = kb.stackSpace(types.a, spec.lanes);
  nn::ScalarEmitter elements(kb.builder(), kb.loc(), types.a, spec.lanes);
  kb.store(elements.constant(static_cast<double>(spec.outside)), outside, types.a, spec.lanes);
  results = kb.stackSpace(types.accumulate, spec.results * spec.lanes);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
}

void DepthwiseEmitter::emitTask(Value task) {
  Value part = kb.rem(task, dim(&DepthwiseDims::parts));
  Value from = kb.mul(part, dim(&DepthwiseDims::linesOfPart));
  Value to = kb.minSigned(kb.add(from, dim(&DepthwiseDims::linesOfPart)),
                          dim(&DepthwiseDims::outputHeight));
  Value plane = kb.div(task, dim(&DepthwiseDims::parts));
  kb.forLoop(from, to, 1, [&](Value y) { emitLine(plane, y); });
}

void DepthwiseEmitter::clip(Line &line) {
  Value zero = kb.index(0), dilation = dim(&DepthwiseDims::dilation);
  // Rows of the filter before the one that reaches `distance` rows down.
  auto rowsBefore = [&](Value distance) {
    Value rounded = kb.add(kb.maxSigned(distance, zero), kb.sub(dilation, kb.index(1)));
    return kb.minSigned(kb.div(rounded, dilation), dim(&DepthwiseDims::rows));
  };
  line.from = rowsBefore(kb.sub(zero, line.firstRow));
  line.to = kb.maxSigned(rowsBefore(kb.sub(dim(&DepthwiseDims::height), line.firstRow)), line.from);
}

void DepthwiseEmitter::emitLine(Value plane, Value y) {
  Line line;
  Value block = kb.rem(plane, dim(&DepthwiseDims::blocks));
  line.channel = kb.mul(block, spec.lanes);
  Value filter = kb.mul(dim(&DepthwiseDims::rows), spec.columns * spec.lanes);
  line.weights = kb.advance(kb.buffer(1), kb.mul(block, filter), types.b);
  Value pixels = kb.mul(dim(&DepthwiseDims::height), dim(&DepthwiseDims::width));
  line.image = kb.advance(kb.buffer(0), kb.mul(plane, kb.mul(pixels, spec.lanes)), types.a);
  line.firstRow = kb.sub(kb.mul(y, dim(&DepthwiseDims::stride)), dim(&DepthwiseDims::padTop));
  line.result = kb.mul(kb.add(kb.mul(plane, dim(&DepthwiseDims::outputHeight)), y),
                       dim(&DepthwiseDims::outputWidth));
  clip(line);
  line.start = nn::ScalarEmitter(kb.builder(), kb.loc(), types.accumulate, spec.lanes).constant(0);
  if (spec.hasBias)
    line.start = kb.load(kb.advance(kb.buffer(3), line.channel, types.accumulate), types.accumulate,
                         spec.lanes);
  if (spec.outside != 0) {
    line.start = addOutside(line, kb.index(0), line.from, line.start);
    line.start = addOutside(line, line.to, dim(&DepthwiseDims::rows), line.start);
  }
  Value begin = dim(&DepthwiseDims::insideBegin), end = dim(&DepthwiseDims::insideEnd);
  emitPixels(line, kb.index(0), begin, /*areInside=*/false);
  emitPixels(line, begin, end, /*areInside=*/true);
  emitPixels(line, end, dim(&DepthwiseDims::outputWidth), /*areInside=*/false);
}

Value DepthwiseEmitter::addOutside(const Line &line, Value from, Value to, Value sum) {
  Value a = engine.loadA(kb, place, outside, {});
  return kb.forLoop(from, to, 1, Values{sum}, [&](Value row, ValueRange now) -> Values {
    Value next = now[0];
    for (int64_t j = 0; j < spec.columns; ++j)
      next = engine.add(kb, place, a, weight(line, row, j), next);
    return {next};
  })[0];
}

void DepthwiseEmitter::emitPixels(const Line &line, Value from, Value to, bool areInside) {
  kb.forLoop(from, to, spec.results, [&](Value x) {
    Values sums = kb.forLoop(
        line.from, line.to, 1, Values(spec.results, line.start),
        [&](Value row, ValueRange now) { return addRow(line, row, x, Values(now), areInside); });
    if (areInside && spec.epilogue.isShort())
      return finishAll(line, x, sums);
    finishSome(line, x, sums, kb.minSigned(kb.sub(to, x), kb.index(spec.results)));
  });
}

DepthwiseEmitter::Values DepthwiseEmitter::addRow(const Line &line, Value row, Value x, Values sums,
                                                  bool areInside) {
  OpBuilder &ops = kb.builder();
  Value y = kb.add(line.firstRow, kb.mul(row, dim(&DepthwiseDims::dilation)));
  Value width = dim(&DepthwiseDims::width);
  Value column = kb.sub(kb.mul(x, spec.stride), dim(&DepthwiseDims::padLeft));
  auto pixel = [&](int64_t offset) -> Value {
    Value at = kb.add(column, offset);
    Value element = kb.mul(kb.add(kb.mul(y, width), at), spec.lanes);
    Value pointer = kb.advance(line.image, element, types.a);
    if (areInside)
      return pointer;
    // A column number below zero is a large one without a sign.
    Value exists = ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ult, at, width);
    return ops.create<arith::SelectOp>(kb.loc(), exists, pointer, outside);
  };
  // Neighbouring windows overlap: what they share is loaded once.
  std::map<int64_t, Value> loaded;
  for (int64_t j = 0; j < spec.columns; ++j) {
    Value b = weight(line, row, j);
    for (auto [p, sum] : llvm::enumerate(sums)) {
      int64_t offset = static_cast<int64_t>(p) * spec.stride + j * spec.dilation;
      Value &a = loaded[offset];
      if (!a)
        a = engine.loadA(kb, place, pixel(offset), {});
      sum = engine.add(kb, place, a, b, sum);
    }
  }
  return sums;
}

void DepthwiseEmitter::finish(const Line &line, Value x, Value sum) {
  Value element = kb.mul(kb.add(line.result, x), spec.lanes);
  emitEpilogue(kb, spec.epilogue, sum, epilogueBuffers(kb, spec.epilogue, spec.hasBias ? 4 : 3),
               {element, {}, line.channel}, spec.lanes, kb.buffer(2));
}

void DepthwiseEmitter::finishAll(const Line &line, Value x, const Values &sums) {
  for (auto [i, sum] : llvm::enumerate(sums))
    finish(line, kb.add(x, static_cast<int64_t>(i)), sum);
}

void DepthwiseEmitter::finishSome(const Line &line, Value x, const Values &sums, Value count) {
  for (auto [i, sum] : llvm::enumerate(sums))
    kb.store(sum, kb.advance(results, static_cast<int64_t>(i) * spec.lanes, types.accumulate),
             types.accumulate, spec.lanes);
  kb.forLoop(kb.index(0), count, 1, [&](Value i) {
    Value at = kb.advance(results, kb.mul(i, spec.lanes), types.accumulate);
    finish(line, kb.add(x, i), kb.load(at, types.accumulate, spec.lanes));
  });
}

void DepthwiseSpec::emit(KernelBuilder &kb) const { DepthwiseEmitter(kb, *this).emit(); }
