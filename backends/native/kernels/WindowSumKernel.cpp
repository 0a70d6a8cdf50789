//===- WindowSumKernel.cpp - images from the windows over them ------------===//
//
// A task is one line of an image: whatever windows add to it is added while it is in
// the first-level cache, and no two tasks write to one place.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/WindowSumKernel.h"

#include "backends/native/target/TileChoice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
class WindowSumEmitter {
public:
  WindowSumEmitter(KernelBuilder &kb, DType dtype, bool unitStride, bool hasBias)
      : kb(kb), dtype(dtype), unitStride(unitStride), hasBias(hasBias) {}

  void emit();

private:
  /// Per axis: input (of the image), output (window positions), kernel, stride, dilation,
  /// padBegin.
  Value axis(int64_t a, int64_t field) { return kb.dim(a * 6 + field); }
  void emitStart(Value line, Value channel);
  void emitRows(int64_t a, Value row, Value position);
  void emitLine(Value row, Value position);
  void addElements(Value from, Value to, Value first, Value last, Value shift);
  Value sum(Value a, Value b) { return kb.builder().create<arith::AddFOp>(kb.loc(), a, b); }

  KernelBuilder &kb;
  DType dtype;
  bool unitStride, hasBias;
  /// Of the line: its place in the result, its index along the outer axes, its channel's rows.
  Value lineTo, at[2], rows;
};
} // namespace

/// All elements of the line are the bias or zero.
void WindowSumEmitter::emitStart(Value line, Value channel) {
  int64_t lanes = kb.target().lanes(dtype);
  Value start = kb.floatConstant(dtype, lanes, 0.0);
  if (hasBias)
    start = kb.splat(kb.load(kb.advance(kb.buffer(2), channel, dtype), dtype, 0), lanes);
  Value width = axis(2, 0);
  kb.forLoop(kb.index(0), width, lanes, [&](Value x) {
    Value rest = kb.minSigned(kb.sub(width, x), kb.index(lanes));
    kb.store(start, kb.advance(line, x, dtype), dtype, lanes, rest);
  });
}

/// Adds the row of window positions with the elements under them: image position
/// `window position * stride + shift` for positions in [first, last).
void WindowSumEmitter::addElements(Value from, Value to, Value first, Value last, Value shift) {
  if (!unitStride) {
    kb.forLoop(first, last, 1, [&](Value i) {
      Value place = kb.advance(to, kb.add(kb.mul(i, axis(2, 3)), shift), dtype);
      Value element = kb.load(kb.advance(from, i, dtype), dtype, 0);
      kb.store(sum(kb.load(place, dtype, 0), element), place, dtype, 0);
    });
    return;
  }
  int64_t lanes = kb.target().lanes(dtype);
  kb.forLoop(first, last, lanes, [&](Value i) {
    Value rest = kb.minSigned(kb.sub(last, i), kb.index(lanes));
    Value place = kb.advance(to, kb.add(i, shift), dtype);
    Value elements = kb.load(kb.advance(from, i, dtype), dtype, lanes, rest);
    kb.store(sum(kb.load(place, dtype, lanes, rest), elements), place, dtype, lanes, rest);
  });
}

/// The innermost axis: `row` counts the kernel's outer elements, `position` the windows'.
void WindowSumEmitter::emitLine(Value row, Value position) {
  Value positions = kb.mul(kb.mul(axis(0, 1), axis(1, 1)), axis(2, 1));
  kb.forLoop(kb.index(0), axis(2, 2), 1, [&](Value k) {
    Value shift = kb.sub(kb.mul(k, axis(2, 4)), axis(2, 5)), stride = axis(2, 3);
    auto positionsBefore = [&](Value room) {
      Value positive = kb.maxSigned(room, kb.index(0));
      Value count = kb.div(kb.add(positive, kb.sub(stride, kb.index(1))), stride);
      return kb.minSigned(count, axis(2, 1));
    };
    Value first = positionsBefore(kb.sub(kb.index(0), shift));
    Value last = positionsBefore(kb.sub(axis(2, 0), shift));
    Value kernelRow = kb.add(kb.mul(row, axis(2, 2)), k);
    Value offset = kb.add(kb.mul(kernelRow, positions), kb.mul(position, axis(2, 1)));
    addElements(kb.advance(rows, offset, dtype), lineTo, first, last, shift);
  });
}

/// An outer axis: the kernel's elements of which a window reaches the line.
void WindowSumEmitter::emitRows(int64_t a, Value row, Value position) {
  if (a == 2)
    return emitLine(row, position);
  kb.forLoop(kb.index(0), axis(a, 2), 1, [&](Value k) {
    Value begin = kb.sub(kb.add(at[a], axis(a, 5)), kb.mul(k, axis(a, 4)));
    Value inside = kb.maxSigned(begin, kb.index(0));
    Value window = kb.div(inside, axis(a, 3));
    // Before the first window, `inside` is not where it begins.
    auto equals = [&](Value x, Value y) -> Value {
      return kb.builder().create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::eq, x, y);
    };
    kb.ifThen(equals(kb.mul(window, axis(a, 3)), begin), [&] {
      kb.ifThen(kb.lessThan(window, axis(a, 1)), [&] {
        emitRows(a + 1, kb.add(kb.mul(row, axis(a, 2)), k),
                 kb.add(kb.mul(position, axis(a, 1)), window));
      });
    });
  });
}

void WindowSumEmitter::emit() {
  Value height = axis(1, 0), depth = axis(0, 0), channels = kb.dim(18);
  Value positions = kb.mul(kb.mul(axis(0, 1), axis(1, 1)), axis(2, 1));
  Value kernel = kb.mul(kb.mul(axis(0, 2), axis(1, 2)), axis(2, 2));
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value outer = kb.div(task, height), plane = kb.div(outer, depth);
    at[1] = kb.rem(task, height);
    at[0] = kb.rem(outer, depth);
    lineTo = kb.advance(kb.buffer(1), kb.mul(task, axis(2, 0)), dtype);
    rows = kb.advance(kb.buffer(0), kb.mul(plane, kb.mul(kernel, positions)), dtype);
    emitStart(lineTo, kb.rem(plane, channels));
    emitRows(0, kb.index(0), kb.index(0));
  });
}

std::string WindowSumSpec::name() const {
  return "sum_windows_" + std::string(dtypeName(dtype)) + (unitStride ? "" : "_strided") +
         (hasBias ? "_bias" : "");
}

void WindowSumSpec::emit(KernelBuilder &kb) const {
  WindowSumEmitter(kb, dtype, unitStride, hasBias).emit();
}

LoweredStep native::sumWindows(StepBuffer from, StepBuffer to, WindowSum sum, DType dtype) {
  const WindowShape3 &s = sum.shape;
  bool unitStride = s.stride[2] == 1, hasBias = sum.bias.has_value();
  LoweredStep step;
  step.kernel = kernelOf(WindowSumSpec{dtype, unitStride, hasBias});
  step.buffers = {std::move(from), std::move(to)};
  if (hasBias)
    step.buffers.push_back(std::move(*sum.bias));
  double elements = double(sum.images) * double(s.channels), result = elements;
  for (int a = 0; a < 3; ++a) {
    step.dims.insert(step.dims.end(), {s.input[a], s.output[a], s.kernel[a], s.stride[a],
                                       s.dilation[a], s.padBegin[a]});
    elements *= double(s.kernel[a]) * double(s.output[a]);
    result *= double(s.input[a]);
  }
  step.dims.push_back(s.channels);
  step.tasks = sum.images * s.channels * s.input[0] * s.input[1];
  double bytes = (elements + result) * double(dtypeBytes(dtype));
  step.grain = chooseMoveGrain(static_cast<int64_t>(bytes) / std::max<int64_t>(step.tasks, 1));
  return step;
}
