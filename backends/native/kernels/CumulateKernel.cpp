//===- CumulateKernel.cpp - running sums and products ---------------------===//
//
// Each element waits for the one before it. Columns run beside each other: a task goes through
// a strip of them line by line, with the running values in its scratch memory. Rows
// whose elements are adjacent go four at a time, so that their waits overlap.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/CumulateKernel.h"

#include "backends/native/kernels/IndexedKernels.h"
#include "backends/native/kernels/MapKernel.h"
#include "backends/native/target/TileChoice.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// The largest type of running values; what a vector may take behind the last of them.
static constexpr int64_t kMaxWideBytes = 8, kVectorRoom = 64;

namespace {
/// Emits the kernel.
class CumulateEmitter {
public:
  CumulateEmitter(KernelBuilder &kb, const CumulateSpec &spec)
      : kb(kb), spec(spec), wide(!isFloat(spec.dtype)          ? spec.dtype
                                 : dtypeBytes(spec.dtype) == 2 ? DType::Float32
                                                               : DType::Float64) {}
  void emit();

private:
  using Values = KernelBuilder::Values;
  Value identity(int64_t lanes) {
    return nn::ScalarEmitter(kb.builder(), kb.loc(), wide, lanes).constant(spec.isSum ? 0 : 1);
  }
  /// The place along the axis that comes after `i` others.
  Value placeOf(Value i) {
    return spec.reverse ? kb.sub(kb.sub(kb.dim(kRowLength), kb.index(1)), i) : i;
  }
  /// Takes the element(s) at `offset` in and stores the result: the next running value.
  Value step(Value running, Value offset, int64_t lanes, Value active);
  void runRows(Value row, int64_t rows);
  /// As RowReduction's, for vectors of both types.
  void forEachVector(Value count, const VectorBody &body);
  void runStrip(Value task);
  void runAlongRead();

  KernelBuilder &kb;
  const CumulateSpec &spec;
  /// The type that running values are kept in.
  DType wide;
};
} // namespace

Value CumulateEmitter::step(Value running, Value offset, int64_t lanes, Value active) {
  nn::ScalarEmitter stored(kb.builder(), kb.loc(), spec.dtype, lanes);
  nn::ScalarEmitter e(kb.builder(), kb.loc(), wide, lanes);
  Value x = kb.load(kb.advance(kb.buffer(0), offset, spec.dtype), spec.dtype, lanes, active);
  x = stored.castTo(x, wide);
  Value next = spec.isSum ? e.add(running, x) : e.mul(running, x);
  Value result = e.castTo(spec.exclusive ? running : next, spec.dtype);
  kb.store(result, kb.advance(kb.buffer(1), offset, spec.dtype), spec.dtype, lanes, active);
  return next;
}

void CumulateEmitter::runRows(Value row, int64_t rows) {
  Values starts, first(static_cast<size_t>(rows), identity(0));
  for (int64_t r = 0; r < rows; ++r)
    starts.push_back(kb.mul(kb.add(row, r), kb.dim(kRowLength)));
  kb.forLoop(kb.index(0), kb.dim(kRowLength), 1, first, [&](Value i, ValueRange running) {
    Value at = placeOf(i);
    Values next;
    for (auto [start, before] : llvm::zip(starts, running))
      next.push_back(step(before, kb.add(start, at), /*lanes=*/0, {}));
    return next;
  });
}

void CumulateEmitter::forEachVector(Value count, const VectorBody &body) {
  int64_t lanes = kb.target().lanes(wide);
  bool masked = hasMaskedAccess(kb.target(), wide) && hasMaskedAccess(kb.target(), spec.dtype);
  Value vectorEnd = kb.sub(count, kb.rem(count, kb.index(lanes)));
  kb.forLoop(kb.index(0), vectorEnd, lanes, [&](Value at) { body(at, lanes, {}); });
  kb.forLoop(vectorEnd, count, masked ? lanes : 1,
             [&](Value at) { body(at, masked ? lanes : 0, masked ? kb.sub(count, at) : Value()); });
}

void CumulateEmitter::runStrip(Value task) {
  Value outer = kb.div(task, kb.dim(kRowChunks)), inner = kb.dim(kRowInner);
  Value column = kb.mul(kb.rem(task, kb.dim(kRowChunks)), kb.dim(kRowChunk));
  Value count = kb.minSigned(kb.dim(kRowChunk), kb.sub(inner, column));
  Value start = kb.add(kb.mul(kb.mul(outer, kb.dim(kRowLength)), inner), column);
  auto runningAt = [&](Value c) { return kb.advance(kb.scratch(), c, wide); };
  kb.forLoop(kb.index(0), count, 1, [&](Value c) { kb.store(identity(0), runningAt(c), wide, 0); });
  kb.forLoop(kb.index(0), kb.dim(kRowLength), 1, [&](Value i) {
    Value line = kb.add(start, kb.mul(placeOf(i), inner));
    forEachVector(count, [&](Value c, int64_t lanes, Value active) {
      // The scratch memory has room for whole vectors; elements do not.
      Value running = kb.load(runningAt(c), wide, lanes);
      kb.store(step(running, kb.add(line, c), lanes, active), runningAt(c), wide, lanes);
    });
  });
}

/// All rows along the axis in buffer 2, one element at a time.
void CumulateEmitter::runAlongRead() {
  CheckedIndex axis = loadIndex(kb, kb.buffer(2), spec.axisType, kb.index(spec.openRank));
  kb.trapIf(axis.isOutside, TrapCode::IndexOutOfRange);
  nn::ScalarEmitter ints(kb.builder(), kb.loc(), DType::Int64, 0);
  Value one = kb.index(1), outer = one, length = one, inner = one;
  for (int64_t d = 0; d < spec.openRank; ++d) {
    Value before = ints.less(kb.index(d), axis.index), after = ints.less(axis.index, kb.index(d));
    outer = kb.mul(outer, ints.select(before, kb.dim(d), one));
    inner = kb.mul(inner, ints.select(after, kb.dim(d), one));
    length = kb.mul(length, ints.select(ints.logicalOr(before, after), one, kb.dim(d)));
  }
  kb.forLoop(kb.index(0), kb.mul(outer, inner), 1, [&](Value row) {
    Value start = kb.add(kb.mul(kb.div(row, inner), kb.mul(length, inner)), kb.rem(row, inner));
    kb.forLoop(kb.index(0), length, 1, {identity(0)}, [&](Value i, ValueRange running) -> Values {
      Value at = spec.reverse ? kb.sub(kb.sub(length, one), i) : i;
      return {step(running[0], kb.add(start, kb.mul(at, inner)), /*lanes=*/0, {})};
    });
  });
}

void CumulateEmitter::emit() {
  if (spec.openRank > 0)
    return kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value) { runAlongRead(); });
  if (!spec.contiguous)
    return kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { runStrip(task); });
  constexpr int64_t kRows = 4;
  Value groups =
      kb.sub(kb.taskEnd(), kb.rem(kb.sub(kb.taskEnd(), kb.taskBegin()), kb.index(kRows)));
  kb.forLoop(kb.taskBegin(), groups, kRows, [&](Value row) { runRows(row, kRows); });
  kb.forLoop(groups, kb.taskEnd(), 1, [&](Value row) { runRows(row, 1); });
}

void CumulateSpec::emit(KernelBuilder &kb) const { CumulateEmitter(kb, *this).emit(); }

LoweredStep native::makeCumulate(const CumulateSpec &spec, const RowShape &shape, StepBuffer input,
                                 StepBuffer result) {
  LoweredStep step;
  // A strip's lines are pages apart in general: not too short a part of each.
  constexpr int64_t kStrip = 1024;
  int64_t chunk = std::min(shape.inner, kStrip), chunks = ceilDiv(shape.inner, chunk);
  int64_t taskBytes = 2 * shape.length * chunk * dtypeBytes(spec.dtype);
  step.dims = {shape.length, shape.inner, chunk, chunks};
  step.tasks = shape.outer * chunks;
  step.grain = chooseMoveGrain(taskBytes);
  if (!spec.contiguous)
    step.scratchBytes = chunk * kMaxWideBytes + kVectorRoom;
  step.buffers = {std::move(input), std::move(result)};
  step.overwritable = {0};
  step.kernel = kernelOf(spec);
  return step;
}

LoweredStep native::makeCumulateAlong(const CumulateSpec &spec, ArrayRef<int64_t> sizes,
                                      StepBuffer input, StepBuffer axis, StepBuffer result) {
  LoweredStep step;
  step.buffers = {std::move(input), std::move(result), std::move(axis)};
  step.dims.assign(sizes.begin(), sizes.end());
  step.overwritable = {0};
  step.kernel = kernelOf(spec);
  return step;
}
