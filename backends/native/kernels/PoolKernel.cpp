//===- PoolKernel.cpp - windowed pooling kernels --------------------------===//
//
// Result pixels whose windows lie inside the image are computed several at a
// time: by vectors of channels (blocked layouts) or of neighbouring columns
// (plain ones, stride 1 or 2). Pixels at the border clip their window first.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/PoolKernel.h"

#include "backends/native/emit/Prefetch.h"
#include "backends/native/kernels/ClippedTaps.h"
#include "backends/native/kernels/RowReduction.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::native;

int64_t PoolAxis::interiorBegin() const { return std::min(ceilDiv(padBegin, stride), output); }

int64_t PoolAxis::interiorEnd() const {
  int64_t lastStart = input - 1 - (kernel - 1) * dilation + padBegin;
  int64_t end = lastStart < 0 ? 0 : lastStart / stride + 1;
  return std::clamp(end, interiorBegin(), output);
}

namespace {
/// Dims of one axis, three times: depth, height, width; then the others.
enum AxisDim { kInput, kOutput, kKernel, kStride, kDilation, kPad, kCounted, kAxisDims };
enum PoolDim {
  kDepth = 0,
  kHeight = kAxisDims,
  kWidth = 2 * kAxisDims,
  kInteriorBegin = 3 * kAxisDims,
  kInteriorEnd,
  kPlanes
};

/// A range of window elements along one axis, and how many of them count.
struct TapRange {
  Value begin, end, counted;
};

/// Emits one pooling kernel.
class PoolEmitter {
public:
  PoolEmitter(KernelBuilder &kb, const PoolSpec &spec)
      : kb(kb), spec(spec), computed(spec.computedType()) {}
  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitRow(task); });
  }

private:
  /// The row at hand.
  struct Row {
    Value inputPlane;  ///< element offset of the plane (and channel vector)
    Value resultRow;   ///< element offset of the result's first pixel
    Value channel;     ///< of the first lane
    Value depth, line; ///< input coordinates of the window's first element
    TapRange depthTaps, lineTaps;
  };

  Value axisDim(int axis, int which) { return kb.dim(axis + which); }
  /// The window elements that lie on the input at result position `position`.
  TapRange clip(int axis, Value position);

  void emitRow(Value task);
  void emitPixels(const Row &row);
  /// Pixels [from, to) with the window clipped to the image.
  void emitBorder(const Row &row, Value from, Value to, int64_t lanes);
  /// Pixels whose window is inside: `count` vectors at a time from `from` on;
  /// returns where it stopped short of `to`.
  Value emitInterior(const Row &row, Value from, Value to, int64_t lanes, int64_t count);
  using Taps = std::function<KernelBuilder::Values(Value rowOffset, ValueRange accumulators)>;
  /// Runs `taps` for each line of the window.
  KernelBuilder::Values overLines(const Row &row, KernelBuilder::Values start, const Taps &taps);
  Value loadTap(Value offset, int64_t lanes);
  /// Asks for as many pixels as `count` windows have in a line, some way after `offset`.
  void askAhead(Value offset, int64_t count);
  /// Elements in the type that pools compute in.
  Value loadElements(Value pointer, int64_t lanes);
  /// What half types are compared as, and back.
  Value keysOf(Value bits, int64_t lanes);
  Value bitsOf(Value keys, int64_t lanes);
  /// Bits of negative numbers in the order of integers, and back.
  Value ordered(Value bits, int64_t lanes);
  Combine kind() const { return spec.kind == PoolSpec::Kind::Max ? Combine::Max : Combine::Add; }
  Value combine(Value accumulator, Value element, int64_t lanes) {
    return native::combine(kb, kind(), computed, lanes, accumulator, element);
  }
  Value start(int64_t lanes) { return identityOf(kb, kind(), computed, lanes); }
  void finish(const Row &row, Value accumulator, Value column, Value countedColumns, int64_t lanes);

  int64_t pixel() const { return std::max<int64_t>(spec.block, 1); }
  /// Vector width of pixels in a blocked layout.
  int64_t channelLanes() const { return std::min(spec.block, kb.target().lanes(computed)); }

  KernelBuilder &kb;
  const PoolSpec &spec;
  DType computed;
};
} // namespace

TapRange PoolEmitter::clip(int axis, Value position) {
  Value first = kb.mul(position, axisDim(axis, kStride));
  Value dilation = axisDim(axis, kDilation), kernel = axisDim(axis, kKernel);
  ClippedTaps inside =
      clipTaps(kb, kb.sub(first, axisDim(axis, kPad)), kernel, dilation, axisDim(axis, kInput));
  TapRange taps{inside.from, inside.to, kb.sub(inside.to, inside.from)};
  if (spec.countsPadding)
    taps.counted = clipTaps(kb, first, kernel, dilation, axisDim(axis, kCounted)).to;
  return taps;
}

void PoolEmitter::emitRow(Value task) {
  Value y = kb.rem(task, axisDim(kHeight, kOutput));
  Value plane = kb.div(task, axisDim(kHeight, kOutput));
  Value z = kb.index(0);
  Row row;
  if (spec.hasDepth) {
    z = kb.rem(plane, axisDim(kDepth, kOutput));
    plane = kb.div(plane, axisDim(kDepth, kOutput));
    row.depthTaps = clip(kDepth, z);
  }
  row.lineTaps = clip(kHeight, y);
  auto firstOf = [&](int axis, Value position) {
    return kb.sub(kb.mul(position, axisDim(axis, kStride)), axisDim(axis, kPad));
  };
  row.depth = spec.hasDepth ? firstOf(kDepth, z) : kb.index(0);
  row.line = firstOf(kHeight, y);
  Value image = kb.mul(axisDim(kHeight, kInput), axisDim(kWidth, kInput));
  row.inputPlane = kb.mul(kb.mul(plane, kb.mul(axisDim(kDepth, kInput), image)), pixel());
  row.resultRow = kb.mul(kb.mul(task, axisDim(kWidth, kOutput)), pixel());
  row.channel = kb.mul(kb.rem(plane, kb.dim(kPlanes)), pixel());
  if (spec.block == 0)
    return emitPixels(row);
  for (int64_t lane = 0; lane < spec.block; lane += channelLanes()) {
    Row shifted = row;
    shifted.inputPlane = kb.add(row.inputPlane, lane);
    shifted.resultRow = kb.add(row.resultRow, lane);
    shifted.channel = kb.add(row.channel, lane);
    emitPixels(shifted);
  }
}

void PoolEmitter::emitPixels(const Row &row) {
  Value begin = kb.dim(kInteriorBegin), end = kb.dim(kInteriorEnd);
  int64_t borderLanes = spec.block ? channelLanes() : 0;
  emitBorder(row, kb.index(0), begin, borderLanes);
  if (spec.block) {
    begin = emitInterior(row, begin, end, channelLanes(), 4);
    begin = emitInterior(row, begin, end, channelLanes(), 1);
  } else {
    // Lines are often short: shorter and shorter vectors before single pixels.
    int64_t lanes = spec.columnStride ? kb.target().lanes(computed) : 0;
    begin = lanes ? emitInterior(row, begin, end, lanes, 2) : begin;
    for (; lanes >= 4; lanes /= 2)
      begin = emitInterior(row, begin, end, lanes, 1);
    begin = emitInterior(row, begin, end, 0, 1);
  }
  emitBorder(row, end, axisDim(kWidth, kOutput), borderLanes);
}

KernelBuilder::Values PoolEmitter::overLines(const Row &row, KernelBuilder::Values start,
                                             const Taps &taps) {
  Value width = kb.mul(axisDim(kWidth, kInput), pixel());
  auto linesOf = [&](Value slice, ValueRange carried) {
    return kb.forLoop(row.lineTaps.begin, row.lineTaps.end, 1, carried,
                      [&](Value tap, ValueRange accumulators) {
                        Value line = kb.add(row.line, kb.mul(tap, axisDim(kHeight, kDilation)));
                        Value offset = kb.mul(kb.add(slice, line), width);
                        return taps(kb.add(row.inputPlane, offset), accumulators);
                      });
  };
  if (!spec.hasDepth)
    return linesOf(kb.index(0), start);
  return kb.forLoop(row.depthTaps.begin, row.depthTaps.end, 1, start,
                    [&](Value tap, ValueRange accumulators) {
                      Value slice = kb.add(row.depth, kb.mul(tap, axisDim(kDepth, kDilation)));
                      return linesOf(kb.mul(slice, axisDim(kHeight, kInput)), accumulators);
                    });
}

void PoolEmitter::emitBorder(const Row &row, Value from, Value to, int64_t lanes) {
  kb.forLoop(from, to, 1, [&](Value x) {
    TapRange columns = clip(kWidth, x);
    Value first = kb.sub(kb.mul(x, axisDim(kWidth, kStride)), axisDim(kWidth, kPad));
    auto sum = overLines(row, {start(lanes)}, [&](Value rowOffset, ValueRange accumulators) {
      return kb.forLoop(
          columns.begin, columns.end, 1, accumulators, [&](Value tap, ValueRange carried) {
            Value column = kb.add(first, kb.mul(tap, axisDim(kWidth, kDilation)));
            Value offset = kb.add(rowOffset, kb.mul(column, pixel()));
            Value element = loadElements(kb.advance(kb.buffer(0), offset, spec.dtype), lanes);
            return KernelBuilder::Values{combine(carried[0], element, lanes)};
          });
    });
    finish(row, sum[0], x, columns.counted, lanes);
  });
}

Value PoolEmitter::emitInterior(const Row &row, Value from, Value to, int64_t lanes,
                                int64_t count) {
  // Columns that one vector covers.
  int64_t covered = spec.block || lanes == 0 ? 1 : lanes;
  int64_t step = covered * count;
  Value size = kb.sub(to, from);
  Value stop = kb.sub(to, kb.rem(size, kb.index(step)));
  kb.forLoop(from, stop, step, [&](Value x) {
    SmallVector<Value> firsts;
    for (int64_t u = 0; u < count; ++u) {
      Value column = kb.mul(kb.add(x, u * covered), axisDim(kWidth, kStride));
      firsts.push_back(kb.mul(kb.sub(column, axisDim(kWidth, kPad)), pixel()));
    }
    Value tapStep = kb.mul(axisDim(kWidth, kDilation), pixel());
    auto addTap = [&](Value rowOffset, Value tap, ValueRange accumulators) {
      KernelBuilder::Values next;
      Value offset = kb.add(rowOffset, kb.mul(tap, tapStep));
      for (int64_t u = 0; u < count; ++u)
        next.push_back(combine(accumulators[u], loadTap(kb.add(offset, firsts[u]), lanes), lanes));
      return next;
    };
    KernelBuilder::Values begin(count, start(lanes));
    auto sums = overLines(row, begin, [&](Value rowOffset, ValueRange accumulators) {
      if (spec.columns == 0)
        return kb.forLoop(
            kb.index(0), axisDim(kWidth, kKernel), 1, accumulators,
            [&](Value tap, ValueRange carried) { return addTap(rowOffset, tap, carried); });
      KernelBuilder::Values values(accumulators);
      for (int64_t tap = 0; tap < spec.columns; ++tap)
        values = addTap(rowOffset, kb.index(tap), values);
      askAhead(kb.add(rowOffset, firsts[0]), count);
      return values;
    });
    for (int64_t u = 0; u < count; ++u)
      finish(row, sums[u], kb.add(x, u * covered), axisDim(kWidth, kKernel), lanes);
  });
  return stop;
}

void PoolEmitter::askAhead(Value offset, int64_t count) {
  // Two lines of pixels are read in turns, a short way each, which the CPU's own prefetching does
  // not follow well.
  constexpr int64_t kAheadBytes = 2048, kLineBytes = 64;
  if (!spec.asksAhead || count == 1)
    return;
  int64_t line = kLineBytes / dtypeBytes(spec.dtype), ahead = kAheadBytes / dtypeBytes(spec.dtype);
  for (int64_t i = 0; i < count * spec.columns * spec.block / line; ++i)
    prefetch(kb, kb.advance(kb.buffer(0), kb.add(offset, ahead + i * line), spec.dtype),
             CacheLevel::First);
}

/// Without the sign, the bits of floats are in the order of these; of negative ones all but the
/// sign are turned around.
Value PoolEmitter::ordered(Value bits, int64_t lanes) {
  OpBuilder &ops = kb.builder();
  nn::ScalarEmitter e(ops, kb.loc(), computed, lanes);
  Value signs = ops.create<arith::ShRSIOp>(kb.loc(), bits, e.integerConstant(15));
  Value turned = ops.create<arith::AndIOp>(kb.loc(), signs, e.integerConstant(INT16_MAX));
  return ops.create<arith::XOrIOp>(kb.loc(), bits, turned);
}

/// How far the integers of infinities are from the ends of the type: moved by that, negative
/// infinity is the least of all, and NaNs, which win, are the greatest, of either sign.
static int64_t distanceOfNans(DType dtype) {
  constexpr int64_t kInfinityOfBFloat16 = 0x7f80, kInfinityOfFloat16 = 0x7c00;
  return INT16_MAX - (dtype == DType::BFloat16 ? kInfinityOfBFloat16 : kInfinityOfFloat16);
}

Value PoolEmitter::keysOf(Value bits, int64_t lanes) {
  nn::ScalarEmitter e(kb.builder(), kb.loc(), computed, lanes);
  return e.sub(ordered(bits, lanes), e.integerConstant(distanceOfNans(spec.dtype)));
}

Value PoolEmitter::bitsOf(Value keys, int64_t lanes) {
  nn::ScalarEmitter e(kb.builder(), kb.loc(), computed, lanes);
  return ordered(e.add(keys, e.integerConstant(distanceOfNans(spec.dtype))), lanes);
}

Value PoolEmitter::loadElements(Value pointer, int64_t lanes) {
  if (spec.comparesBits())
    return keysOf(kb.load(pointer, computed, lanes), lanes);
  Value elements = kb.load(pointer, spec.dtype, lanes);
  if (computed == spec.dtype)
    return elements;
  return nn::ScalarEmitter(kb.builder(), kb.loc(), spec.dtype, lanes).castTo(elements, computed);
}

/// The elements under one window element for a vector of pixels. With stride 2
/// the even ones of two overlapping vectors, which end at the last one needed.
Value PoolEmitter::loadTap(Value offset, int64_t lanes) {
  Value pointer = kb.advance(kb.buffer(0), offset, spec.dtype);
  Value low = loadElements(pointer, lanes);
  if (spec.block || lanes == 0 || spec.columnStride == 1)
    return low;
  Value high = loadElements(kb.advance(pointer, lanes - 1, spec.dtype), lanes);
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < lanes; ++i)
    order.push_back(2 * i < lanes ? 2 * i : 2 * i + 1);
  return kb.builder().create<vector::ShuffleOp>(kb.loc(), low, high, order);
}

void PoolEmitter::finish(const Row &row, Value accumulator, Value column, Value countedColumns,
                         int64_t lanes) {
  nn::ScalarEmitter e(kb.builder(), kb.loc(), computed, lanes);
  if (spec.kind == PoolSpec::Kind::Average) {
    Value counted = kb.mul(countedColumns, row.lineTaps.counted);
    if (spec.hasDepth)
      counted = kb.mul(counted, row.depthTaps.counted);
    // A window over padding alone sums up to 0, which must stay 0.
    counted = kb.maxSigned(counted, kb.index(1));
    Value divisor = kb.builder().create<arith::SIToFPOp>(
        kb.loc(), nn::registerType(kb.builder().getContext(), computed, 0), counted);
    accumulator = e.div(accumulator, kb.splat(divisor, lanes));
  }
  if (spec.comparesBits())
    accumulator = kb.builder().create<arith::BitcastOp>(
        kb.loc(), nn::registerType(kb.builder().getContext(), spec.dtype, lanes),
        bitsOf(accumulator, lanes));
  else if (computed != spec.dtype)
    accumulator = e.castTo(accumulator, spec.dtype);
  ResultPosition at;
  at.element = kb.add(row.resultRow, kb.mul(column, pixel()));
  at.row = row.channel;
  at.column = spec.block ? row.channel : column;
  emitEpilogue(kb, spec.epilogue, accumulator, epilogueBuffers(kb, spec.epilogue, 2), at, lanes,
               kb.buffer(1));
}

std::string PoolSpec::name() const {
  std::string text = kind == Kind::Max ? "max_pool" : "average_pool";
  return text + (columns ? std::to_string(columns) : "") + epilogue.program.label();
}

void PoolSpec::emit(KernelBuilder &kb) const { PoolEmitter(kb, *this).emit(); }

std::vector<int64_t> native::poolDims(const PoolAxis (&axes)[3], int64_t planes) {
  std::vector<int64_t> dims;
  for (const PoolAxis &a : axes)
    dims.insert(dims.end(), {a.input, a.output, a.kernel, a.stride, a.dilation, a.padBegin,
                             a.padBegin + a.input + a.padEnd});
  dims.insert(dims.end(), {axes[2].interiorBegin(), axes[2].interiorEnd(), planes});
  return dims;
}
