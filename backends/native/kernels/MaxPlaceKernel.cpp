//===- MaxPlaceKernel.cpp - maxima of windows and their places ------------===//
//
// A task is a line of results. The part of the window that lies on the image is known for
// depth and height; along the line each element is looked at, and not taken beyond.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/MaxPlaceKernel.h"

#include "backends/native/kernels/RowReduction.h"
#include "backends/native/target/TileChoice.h"
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
/// The run-time dims of each axis.
enum AxisDim { kInput, kOutput, kKernel, kStride, kDilation, kPad, kNumber, kAxisDims };

class MaxPlaceEmitter {
public:
  MaxPlaceEmitter(KernelBuilder &kb, DType dtype) : kb(kb), e(kb.builder(), kb.loc(), dtype, 0) {}
  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitLine(task); });
  }

private:
  using Values = KernelBuilder::Values;
  Value axis(int64_t a, AxisDim field) { return kb.dim(a * kAxisDims + field); }
  /// Where the window at `output` begins.
  Value windowBegin(int64_t a, Value output) {
    return kb.sub(kb.mul(output, axis(a, kStride)), axis(a, kPad));
  }
  /// The elements of the window from `begin` that lie inside: the first, the first behind.
  std::pair<Value, Value> insideOf(int64_t a, Value begin);
  Values look(Value plane, Value d, Value h, Value w, ValueRange best);
  void emitLine(Value task);

  KernelBuilder &kb;
  nn::ScalarEmitter e;
};
} // namespace

std::pair<Value, Value> MaxPlaceEmitter::insideOf(int64_t a, Value begin) {
  // The first k with begin + k * dilation >= limit.
  auto countTo = [&](Value limit) {
    Value distance = kb.maxSigned(kb.sub(limit, begin), kb.index(0));
    Value rounded = kb.add(distance, kb.sub(axis(a, kDilation), kb.index(1)));
    return kb.minSigned(kb.div(rounded, axis(a, kDilation)), axis(a, kKernel));
  };
  return {countTo(kb.index(0)), countTo(axis(a, kInput))};
}

/// The best, its number in the plane, after the element at a place of the plane, where `w`
/// may be outside.
MaxPlaceEmitter::Values MaxPlaceEmitter::look(Value plane, Value d, Value h, Value w,
                                              ValueRange best) {
  OpBuilder &ops = kb.builder();
  Value inside = ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ult, w, axis(2, kInput));
  Value column = e.select(inside, w, kb.index(0));
  Value row = kb.add(kb.mul(d, axis(1, kInput)), h);
  Value at = kb.add(kb.mul(row, axis(2, kInput)), column);
  Value x = kb.load(kb.advance(plane, at, e.dtype()), e.dtype(), 0);
  Value exceeds = e.less(best[0], x);
  if (isFloat(e.dtype())) {
    Value firstNan = e.logicalAnd(e.isNan(x), e.logicalNot(e.isNan(best[0])));
    exceeds = e.logicalOr(exceeds, firstNan);
  }
  Value takes = e.logicalAnd(inside, e.logicalOr(kb.lessThan(best[1], kb.index(0)), exceeds));
  Value number = kb.add(kb.add(kb.mul(d, axis(0, kNumber)), kb.mul(h, axis(1, kNumber))),
                        kb.mul(w, axis(2, kNumber)));
  return {e.select(takes, x, best[0]), e.select(takes, number, best[1])};
}

void MaxPlaceEmitter::emitLine(Value task) {
  Value outH = kb.rem(task, axis(1, kOutput)), rest = kb.div(task, axis(1, kOutput));
  Value outD = kb.rem(rest, axis(0, kOutput)), plane = kb.div(rest, axis(0, kOutput));
  Value elements = kb.mul(kb.mul(axis(0, kInput), axis(1, kInput)), axis(2, kInput));
  Value planeBegin = kb.mul(plane, elements);
  Value from = kb.advance(kb.buffer(0), planeBegin, e.dtype());
  Value beginD = windowBegin(0, outD), beginH = windowBegin(1, outH);
  auto depth = insideOf(0, beginD), height = insideOf(1, beginH);
  auto at = [&](int64_t a, Value begin, Value k) {
    return kb.add(begin, kb.mul(k, axis(a, kDilation)));
  };
  Value line = kb.mul(task, axis(2, kOutput));
  Value none = identityOf(kb, Combine::Max, e.dtype(), 0);
  kb.forLoop(kb.index(0), axis(2, kOutput), 1, [&](Value outW) {
    Value beginW = windowBegin(2, outW);
    auto overLine = [&](Value d, Value h, ValueRange best) {
      return kb.forLoop(kb.index(0), axis(2, kKernel), 1, best, [&](Value k, ValueRange b) {
        return look(from, d, h, at(2, beginW, k), b);
      });
    };
    Values first = {none, kb.index(-1)};
    Values best = kb.forLoop(depth.first, depth.second, 1, first, [&](Value kd, ValueRange b) {
      return kb.forLoop(height.first, height.second, 1, b, [&](Value kh, ValueRange c) {
        return overLine(at(0, beginD, kd), at(1, beginH, kh), c);
      });
    });
    Value to = kb.add(line, outW);
    Value isNone = kb.lessThan(best[1], kb.index(0));
    kb.store(best[0], kb.advance(kb.buffer(1), to, e.dtype()), e.dtype(), 0);
    kb.store(e.select(isNone, kb.index(-1), kb.add(planeBegin, best[1])),
             kb.advance(kb.buffer(2), to, DType::Int64), DType::Int64, 0);
  });
}

void MaxPlaceSpec::emit(KernelBuilder &kb) const { MaxPlaceEmitter(kb, dtype).emit(); }

LoweredStep native::poolPlaces(const MaxPlaceShape &shape, DType dtype, StepBuffer input,
                               StepBuffer result, StepBuffer places) {
  LoweredStep step;
  step.buffers = {std::move(input), std::move(result), std::move(places)};
  int64_t taps = 1;
  for (int a = 0; a < 3; ++a) {
    const PoolAxis &axis = shape.axes[a];
    step.dims.insert(step.dims.end(), {axis.input, axis.output, axis.kernel, axis.stride,
                                       axis.dilation, axis.padBegin, shape.strides[a]});
    taps *= axis.kernel;
  }
  step.tasks = shape.planes * shape.axes[0].output * shape.axes[1].output;
  // An element under a window takes as long as moving about 16 bytes.
  int64_t lineBytes = shape.axes[2].output * taps * 16;
  step.grain = chooseMoveGrain(lineBytes);
  step.kernel = kernelOf(MaxPlaceSpec{dtype});
  return step;
}
