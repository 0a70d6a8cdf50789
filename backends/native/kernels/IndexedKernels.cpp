//===- IndexedKernels.cpp - gathers and scatters --------------------------===//
//
// A task is a block of positions: of the three innermost dimensions, after neighbours have
// been merged, at one index of those around them. So no position costs a division. Long
// slices are cut, too.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/IndexedKernels.h"

#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/kernels/RowReduction.h"
#include "backends/native/target/TileChoice.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

#include <array>

using namespace mlir;
using namespace quern;
using namespace quern::native;

CheckedIndex native::loadIndex(KernelBuilder &kb, Value pointer, DType indexType, Value size) {
  OpBuilder &ops = kb.builder();
  auto select = [&](Value condition, Value a, Value b) -> Value {
    return ops.create<arith::SelectOp>(kb.loc(), condition, a, b);
  };
  Value index = kb.load(pointer, indexType, 0);
  if (indexType != DType::Int64)
    index = ops.create<arith::ExtSIOp>(kb.loc(), ops.getI64Type(), index);
  index = select(kb.lessThan(index, kb.index(0)), kb.add(index, size), index);
  Value isOutside = ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::uge, index, size);
  return {select(isOutside, kb.index(0), index), isOutside};
}

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

namespace {
/// The dimensions that a task has a block of; dimensions count from the innermost.
constexpr int64_t kBlocked = 3;
/// The tensors that are walked through, which are also the buffers.
enum Walk { kData, kTuples, kSlices, kWalks };
/// The run-time dims; then size, chunk and number of chunks of each blocked dimension, the
/// sizes of those around, the strides of each walk, and size and stride of each axis.
enum IndexedDim { kSlice, kSliceChunk, kSliceTasks, kFixedDims };

/// Emits the kernel.
class IndexedEmitter {
public:
  IndexedEmitter(KernelBuilder &kb, const IndexedSpec &spec) : kb(kb), spec(spec) {}
  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Place = std::array<Value, kWalks>;

  int64_t rank() const { return kBlocked + spec.outerRank; }
  /// `entry`: 0 size, 1 chunk, 2 number of chunks.
  Value blocked(int64_t d, int64_t entry) { return kb.dim(kFixedDims + 3 * d + entry); }
  Value outerSize(int64_t d) { return kb.dim(kFixedDims + 2 * kBlocked + d); }
  int64_t strides() const { return kFixedDims + 3 * kBlocked + spec.outerRank; }
  Value strideOf(int64_t walk, int64_t d) { return kb.dim(strides() + walk * rank() + d); }
  /// `place` after `steps` along dimension `d`.
  Place moved(Place place, int64_t d, Value steps) {
    for (int64_t walk = 0; walk < kWalks; ++walk)
      place[walk] = kb.add(place[walk], kb.mul(steps, strideOf(walk, d)));
    return place;
  }

  void emitTask(Value task);
  /// The positions of the innermost dimension from `row` on; whether any index is out of
  /// range. `isUnit`: tuples and slices follow each other, which saves registers.
  Value emitLine(const Place &row, Value count, Value sliceBegin, Value sliceCount, bool isUnit);
  /// As emitLine for as many single elements as fill vectors: their indices are looked at
  /// together. Those that are left over begin at the second value.
  std::pair<Value, Value> gatherVectors(const Place &row, Value count);
  /// Moves the slice at `place`; whether its indices are out of range.
  Value emitPosition(const Place &place, Value sliceBegin, Value sliceCount);
  void moveElements(Value data, Value slice, int64_t lanes, Value active = {});
  Value combined(Value element, Value update, int64_t lanes);

  KernelBuilder &kb;
  const IndexedSpec &spec;
};
} // namespace

void IndexedEmitter::emitTask(Value task) {
  Value rest = task, sliceBegin = kb.index(0), sliceCount = kb.index(1);
  auto split = [&](Value parts) {
    Value part = kb.rem(rest, parts);
    rest = kb.div(rest, parts);
    return part;
  };
  auto countFrom = [&](Value begin, Value chunk, Value size) {
    return kb.minSigned(chunk, kb.sub(size, begin));
  };
  if (!spec.isElement) {
    sliceBegin = kb.mul(split(kb.dim(kSliceTasks)), kb.dim(kSliceChunk));
    sliceCount = countFrom(sliceBegin, kb.dim(kSliceChunk), kb.dim(kSlice));
  }
  Place start;
  start.fill(kb.index(0));
  Value counts[kBlocked];
  for (int64_t d = 0; d < kBlocked; ++d) {
    Value begin = kb.mul(split(blocked(d, 2)), blocked(d, 1));
    counts[d] = countFrom(begin, blocked(d, 1), blocked(d, 0));
    start = moved(start, d, begin);
  }
  for (int64_t d = kBlocked; d < rank(); ++d)
    start = moved(start, d, split(outerSize(d)));

  OpBuilder &ops = kb.builder();
  auto isOne = [&](Value stride) -> Value {
    return ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::eq, stride, kb.index(1));
  };
  kb.forLoop(kb.index(0), counts[2], 1, [&](Value i2) {
    Place plane = moved(start, 2, i2);
    kb.forLoop(kb.index(0), counts[1], 1, [&](Value i1) {
      Place row = moved(plane, 1, i1);
      if (!spec.isElement)
        return kb.trapIf(emitLine(row, counts[0], sliceBegin, sliceCount, /*isUnit=*/false),
                         TrapCode::IndexOutOfRange);
      Value isUnit = ops.create<arith::AndIOp>(kb.loc(), isOne(strideOf(kTuples, 0)),
                                               isOne(strideOf(kSlices, 0)));
      auto emitFor = [&](bool unit) {
        kb.trapIf(emitLine(row, counts[0], sliceBegin, sliceCount, unit),
                  TrapCode::IndexOutOfRange);
      };
      kb.ifThen(isUnit, [&] { emitFor(true); }, [&] { emitFor(false); });
    });
  });
}

std::pair<Value, Value> IndexedEmitter::gatherVectors(const Place &row, Value count) {
  OpBuilder &ops = kb.builder();
  int64_t lanes = kb.target().lanes(DType::Int64), axis = strides() + kWalks * rank();
  nn::ScalarEmitter e(ops, kb.loc(), DType::Int64, lanes);
  auto type = VectorType::get({lanes}, ops.getI64Type());
  auto numbers = [&](int64_t step) -> Value {
    SmallVector<int64_t> list;
    for (int64_t i = 0; i < lanes; ++i)
      list.push_back(step * i);
    return ops.create<arith::ConstantOp>(kb.loc(), DenseElementsAttr::get(type, ArrayRef(list)));
  };
  auto compare = [&](arith::CmpIPredicate predicate, Value a, Value b) -> Value {
    return ops.create<arith::CmpIOp>(kb.loc(), predicate, a, b);
  };
  Value zero = numbers(0), size = kb.splat(kb.dim(axis), lanes);
  Value stride = kb.splat(kb.dim(axis + 1), lanes), step = strideOf(kData, 0);
  Value first = e.add(kb.splat(row[kData], lanes), e.mul(numbers(1), kb.splat(step, lanes)));
  Value advanced = kb.splat(kb.mul(step, lanes), lanes);
  Value end = kb.sub(count, kb.rem(count, kb.index(lanes)));
  auto done = kb.forLoop(
      kb.index(0), end, lanes, {compare(arith::CmpIPredicate::ne, zero, zero), first},
      [&](Value i, ValueRange before) {
        Value pointer = kb.advance(kb.buffer(kTuples), kb.add(row[kTuples], i), spec.indexType);
        Value index = kb.load(pointer, spec.indexType, lanes);
        if (spec.indexType != DType::Int64)
          index = ops.create<arith::ExtSIOp>(kb.loc(), type, index);
        Value isNegative = compare(arith::CmpIPredicate::slt, index, zero);
        index = ops.create<arith::SelectOp>(kb.loc(), isNegative, e.add(index, size), index);
        Value isOutside = compare(arith::CmpIPredicate::uge, index, size);
        index = ops.create<arith::SelectOp>(kb.loc(), isOutside, zero, index);
        Value places = e.add(before[1], e.mul(index, stride));
        for (int64_t lane = 0; lane < lanes; ++lane) {
          Value place = ops.create<vector::ExtractOp>(kb.loc(), places, lane);
          moveElements(
              kb.advance(kb.buffer(kData), place, spec.dtype),
              kb.advance(kb.buffer(kSlices), kb.add(kb.add(row[kSlices], i), lane), spec.dtype), 0);
        }
        return KernelBuilder::Values{ops.create<arith::OrIOp>(kb.loc(), before[0], isOutside),
                                     e.add(before[1], advanced)};
      });
  return {ops.create<vector::ReductionOp>(kb.loc(), vector::CombiningKind::OR, done[0]), end};
}

Value IndexedEmitter::emitLine(const Place &row, Value count, Value sliceBegin, Value sliceCount,
                               bool isUnit) {
  OpBuilder &ops = kb.builder();
  Value outside = ops.create<arith::ConstantOp>(kb.loc(), ops.getBoolAttr(false));
  Value begin = kb.index(0);
  if (isUnit && !spec.scatters && spec.tupleLength == 1)
    std::tie(outside, begin) = gatherVectors(row, count);
  // Carried along, for a multiplication per element and walk would show.
  KernelBuilder::Values carried = {outside};
  Place start = row;
  start[kData] = moved(row, 0, begin)[kData];
  carried.append(start.begin(), start.end());
  return kb.forLoop(begin, count, 1, carried, [&](Value i, ValueRange before) {
    Place place = {before[1], before[2], before[3]};
    if (isUnit)
      place = {before[1], kb.add(row[kTuples], i), kb.add(row[kSlices], i)};
    Value outside = emitPosition(place, sliceBegin, sliceCount);
    Place next = moved({before[1], before[2], before[3]}, 0, kb.index(1));
    KernelBuilder::Values after = {ops.create<arith::OrIOp>(kb.loc(), before[0], outside)};
    after.append(next.begin(), next.end());
    return after;
  })[0];
}

Value IndexedEmitter::emitPosition(const Place &place, Value sliceBegin, Value sliceCount) {
  OpBuilder &ops = kb.builder();
  Value tuple =
      kb.advance(kb.buffer(kTuples), kb.mul(place[kTuples], spec.tupleLength), spec.indexType);
  Value offset = place[kData], outside;
  for (int64_t j = 0; j < spec.tupleLength; ++j) {
    int64_t axis = strides() + kWalks * rank() + 2 * j;
    CheckedIndex checked =
        loadIndex(kb, kb.advance(tuple, j, spec.indexType), spec.indexType, kb.dim(axis));
    offset = kb.add(offset, kb.mul(checked.index, kb.dim(axis + 1)));
    outside = !outside ? checked.isOutside
                       : Value(ops.create<arith::OrIOp>(kb.loc(), outside, checked.isOutside));
  }
  if (!outside)
    outside = ops.create<arith::ConstantOp>(kb.loc(), ops.getBoolAttr(false));
  if (spec.isElement) {
    moveElements(kb.advance(kb.buffer(kData), offset, spec.dtype),
                 kb.advance(kb.buffer(kSlices), place[kSlices], spec.dtype), 0);
    return outside;
  }
  Value data = kb.advance(kb.buffer(kData), kb.add(offset, sliceBegin), spec.dtype);
  Value slice = kb.advance(kb.buffer(kSlices),
                           kb.add(kb.mul(place[kSlices], kb.dim(kSlice)), sliceBegin), spec.dtype);
  // The data may have no element at all.
  Value count = ops.create<arith::SelectOp>(kb.loc(), outside, kb.index(0), sliceCount);
  auto moveAt = [&](Value at, int64_t lanes, Value active) {
    moveElements(kb.advance(data, at, spec.dtype), kb.advance(slice, at, spec.dtype), lanes,
                 active);
  };
  if (spec.reduces() && isFloat(spec.dtype) && dtypeBytes(spec.dtype) == 2)
    kb.forLoop(kb.index(0), count, 1, [&](Value at) { moveAt(at, 0, {}); });
  else
    forEachVector(kb, count, spec.dtype, moveAt);
  return outside;
}

void IndexedEmitter::moveElements(Value data, Value slice, int64_t lanes, Value active) {
  if (!spec.scatters)
    return kb.store(kb.load(data, spec.dtype, lanes, active), slice, spec.dtype, lanes, active);
  Value update = kb.load(slice, spec.dtype, lanes, active);
  if (spec.reduces())
    update = combined(kb.load(data, spec.dtype, lanes, active), update, lanes);
  kb.store(update, data, spec.dtype, lanes, active);
}

/// What an element becomes; NaN is both the largest and the smallest. Half types are
/// computed in float32 and rounded, or chosen as they are.
Value IndexedEmitter::combined(Value element, Value update, int64_t lanes) {
  bool isHalf = isFloat(spec.dtype) && dtypeBytes(spec.dtype) == 2;
  DType wide = isHalf ? DType::Float32 : spec.dtype;
  nn::ScalarEmitter stored(kb.builder(), kb.loc(), spec.dtype, lanes);
  nn::ScalarEmitter e(kb.builder(), kb.loc(), wide, lanes);
  Value a = stored.castTo(element, wide), b = stored.castTo(update, wide);
  if (spec.reduction == ScatterReduction::Add)
    return e.castTo(e.add(a, b), spec.dtype);
  if (spec.reduction == ScatterReduction::Mul)
    return e.castTo(e.mul(a, b), spec.dtype);
  Value keeps = spec.reduction == ScatterReduction::Max ? e.less(b, a) : e.less(a, b);
  if (isFloat(wide))
    keeps = kb.builder().create<arith::OrIOp>(kb.loc(), keeps, e.isNan(a));
  return stored.select(keeps, element, update);
}

//===----------------------------------------------------------------------===//
// Step
//===----------------------------------------------------------------------===//

namespace {
/// The index space, merged, of at least kBlocked dimensions, outermost first.
struct Positions {
  Sizes sizes;
  SmallVector<Sizes> strides;
  /// Positions along this dimension can name the same element; -1: none can.
  int64_t dependent = -1;
};

/// How a task's part of one dimension is chosen.
struct Cut {
  int64_t size, chunk;
  int64_t tasks() const { return ceilDiv(size, chunk); }
};
} // namespace

/// Bytes that one task should move.
static constexpr int64_t kTaskBytes = 32 << 10;

static Positions mergePositions(const IndexedMove &move, bool scatters) {
  Positions p{move.sizes, {move.data, move.tuples, move.slices}};
  collapseDimensions(p.sizes, p.strides);
  auto rank = static_cast<int64_t>(p.sizes.size());
  if (scatters)
    for (int64_t d = 0; d < rank; ++d)
      if (p.strides[kData][d] == 0 && p.sizes[d] > 1)
        p.dependent = d;
  // The others may be gone through in any order.
  if (p.dependent >= 0 && p.dependent < rank - 2) {
    auto toSecondLast = [&](Sizes &list) {
      std::rotate(list.begin() + p.dependent, list.begin() + p.dependent + 1, list.end() - 1);
    };
    toSecondLast(p.sizes);
    llvm::for_each(p.strides, toSecondLast);
    p.dependent = rank - 2;
  }
  int64_t wanted = kBlocked + roundOuterRank(std::max<int64_t>(rank - kBlocked, 0));
  auto added = static_cast<size_t>(wanted - rank);
  p.sizes.insert(p.sizes.begin(), added, 1);
  for (Sizes &list : p.strides)
    list.insert(list.begin(), added, 0);
  if (p.dependent >= 0)
    p.dependent += wanted - rank;
  return p;
}

/// The parts of the innermost dimensions, of about `positions` positions.
static std::array<Cut, kBlocked> cutPositions(const Positions &p, int64_t positions) {
  constexpr int64_t kLine = 64;
  auto rank = static_cast<int64_t>(p.sizes.size());
  bool rowsDepend = p.dependent == rank - 2;
  int64_t whole = rowsDepend ? p.sizes[rank - 2] : 1, left = std::max<int64_t>(positions, 1);
  std::array<Cut, kBlocked> cuts;
  for (int64_t d = 0; d < kBlocked; ++d) {
    int64_t size = p.sizes[rank - 1 - d], chunk = std::clamp<int64_t>(left, 1, size);
    if (d == 0 && rowsDepend)
      chunk = std::clamp(left / whole, std::min(kLine, size), size);
    if (p.dependent == rank - 1 - d)
      chunk = size;
    cuts[d] = {size, chunk};
    left = std::max<int64_t>(left / chunk, 1);
  }
  return cuts;
}

/// Whole slices, or parts of long ones.
static Cut cutSlice(const IndexedMove &move, bool dependent) {
  int64_t bytes = dtypeBytes(move.dtype);
  // All tuples are read for each part of the slices.
  int64_t part = (dependent ? kTaskBytes / 8 : kTaskBytes) / bytes;
  return {move.slice, std::max<int64_t>(move.slice <= 2 * part ? move.slice : part, 1)};
}

void IndexedSpec::emit(KernelBuilder &kb) const { IndexedEmitter(kb, *this).emit(); }

static void appendMove(const IndexedMove &move, IndexedSpec spec,
                       std::array<StepBuffer, kWalks> buffers, std::vector<LoweredStep> &steps) {
  if (llvm::is_contained(move.sizes, 0))
    return;
  Positions p = mergePositions(move, spec.scatters);
  auto rank = static_cast<int64_t>(p.sizes.size());
  spec.indexType = move.indexType;
  spec.tupleLength = static_cast<int64_t>(move.axes.size());
  spec.outerRank = rank - kBlocked;
  spec.isElement = move.isElement && move.slice == 1;
  Cut slice = cutSlice(move, p.dependent >= 0);
  int64_t positionBytes =
      2 * slice.chunk * dtypeBytes(move.dtype) + spec.tupleLength * dtypeBytes(move.indexType);
  std::array<Cut, kBlocked> cuts = cutPositions(p, kTaskBytes / positionBytes);

  LoweredStep step;
  step.buffers.assign(std::make_move_iterator(buffers.begin()),
                      std::make_move_iterator(buffers.end()));
  step.tasks = std::max<int64_t>(slice.tasks(), 1);
  step.dims = {slice.size, slice.chunk, step.tasks};
  int64_t taskBytes = positionBytes;
  for (const Cut &cut : cuts) {
    step.dims.insert(step.dims.end(), {cut.size, cut.chunk, cut.tasks()});
    step.tasks *= cut.tasks();
    taskBytes *= cut.chunk;
  }
  for (int64_t d = rank - 1 - kBlocked; d >= 0; --d) {
    step.dims.push_back(p.sizes[d]);
    step.tasks *= p.sizes[d];
  }
  for (const Sizes &strides : p.strides)
    step.dims.insert(step.dims.end(), strides.rbegin(), strides.rend());
  for (const IndexedAxis &axis : move.axes)
    step.dims.insert(step.dims.end(), {axis.size, axis.stride});
  step.grain = chooseMoveGrain(taskBytes);
  step.kernel = kernelOf(spec);
  steps.push_back(std::move(step));
}

void native::appendGather(const IndexedMove &move, StepBuffer from, StepBuffer indices,
                          StepBuffer to, std::vector<LoweredStep> &steps) {
  IndexedSpec spec;
  spec.dtype = bitsOf(move.dtype);
  appendMove(move, spec, {std::move(from), std::move(indices), std::move(to)}, steps);
}

void native::appendScatter(const IndexedMove &move, ScatterReduction reduction, StepBuffer to,
                           StepBuffer indices, StepBuffer from, std::vector<LoweredStep> &steps) {
  IndexedSpec spec;
  spec.scatters = true;
  spec.reduction = reduction;
  spec.dtype = spec.reduces() ? move.dtype : bitsOf(move.dtype);
  appendMove(move, spec, {std::move(to), std::move(indices), std::move(from)}, steps);
}
