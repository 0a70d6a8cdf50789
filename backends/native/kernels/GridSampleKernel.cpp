//===- GridSampleKernel.cpp - images at places between their pixels -------===//
//
// Where a point lies and what its taps weigh is computed once, in float64, and serves
// all channels.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/GridSampleKernel.h"

#include "backends/native/target/TileChoice.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// Points of a task.
static constexpr int64_t kPointsPerTask = 64;

namespace {
/// An element of a channel: where it is, its weight, and whether it is there at all (null:
/// for sure).
struct Tap {
  Value offset, weight, exists;
};

class GridSampleEmitter {
public:
  GridSampleEmitter(KernelBuilder &kb, const GridSampleSpec &spec) : kb(kb), spec(spec) {}
  void emit();

private:
  using Compare = arith::CmpFPredicate;
  // Dims: channels, points, tasks of an image, sizes of the axes, distances along them.
  Value size(int64_t axis) { return kb.dim(3 + axis); }
  Value distance(int64_t axis) { return kb.dim(3 + spec.axes + axis); }

  // float64 scalars.
  Value number(double value) { return kb.floatConstant(DType::Float64, 0, value); }
  template <typename Op> Value make(Value a, Value b) {
    return kb.builder().create<Op>(kb.loc(), a, b);
  }
  Value plus(Value a, Value b) { return make<arith::AddFOp>(a, b); }
  Value minus(Value a, Value b) { return make<arith::SubFOp>(a, b); }
  Value times(Value a, Value b) { return make<arith::MulFOp>(a, b); }
  Value compare(Compare predicate, Value a, Value b) {
    return kb.builder().create<arith::CmpFOp>(kb.loc(), predicate, a, b);
  }
  Value choose(Value condition, Value a, Value b) {
    return kb.builder().create<arith::SelectOp>(kb.loc(), condition, a, b);
  }
  Value both(Value a, Value b) { return !a ? b : !b ? a : make<arith::AndIOp>(a, b); }
  Value floorOf(Value x) { return kb.builder().create<math::FloorOp>(kb.loc(), x); }
  Value clamp(Value x, Value low, Value high);
  Value reflect(Value x, Value low, Value high);
  Value placeInside(Value x, Value last);
  llvm::SmallVector<Value, 4> weights(Value t);

  llvm::SmallVector<Tap, 4> tapsAlong(int64_t axis, Value x);
  llvm::SmallVector<Tap, 16> tapsOf(Value point);
  void emitPoint(Value image, Value point, Value result);

  KernelBuilder &kb;
  const GridSampleSpec &spec;
};
} // namespace

Value GridSampleEmitter::clamp(Value x, Value low, Value high) {
  x = choose(compare(Compare::OLT, x, low), low, x);
  return choose(compare(Compare::OGT, x, high), high, x);
}

/// `x` turned back at the ends of [low, high] until it lies within.
Value GridSampleEmitter::reflect(Value x, Value low, Value high) {
  Value range = minus(high, low), both = times(range, number(2));
  Value isBelow = compare(Compare::OLT, x, low);
  Value beyond = choose(isBelow, minus(low, x), minus(x, high));
  // How far there and back.
  Value rounds = floorOf(make<arith::DivFOp>(beyond, both));
  Value way = minus(beyond, times(rounds, both));
  Value isBack = compare(Compare::OGE, way, range);
  Value rest = choose(isBack, minus(way, range), way);
  Value fromLow = make<arith::XOrIOp>(isBelow, isBack);
  Value turned = choose(fromLow, plus(low, rest), minus(high, rest));
  Value isInside =
      make<arith::AndIOp>(compare(Compare::OGE, x, low), compare(Compare::OLE, x, high));
  // Of huge numbers rounding leaves nothing; a single pixel has no range.
  Value inside = clamp(choose(isInside, x, turned), low, high);
  return choose(compare(Compare::OGT, range, number(0)), inside, low);
}

/// Where the padding lets a point lie; NaN counts as 0.
Value GridSampleEmitter::placeInside(Value x, Value last) {
  constexpr double kMargin = 8;
  Value edge = number(spec.alignCorners ? 0 : -0.5), farEdge = minus(last, edge);
  Value zero = number(0);
  x = choose(compare(Compare::UNO, x, x), zero, x);
  if (spec.padding == PadMode::Reflect) {
    // Infinities have no place to turn to.
    Value difference = minus(x, x);
    x = choose(compare(Compare::UNO, difference, difference), zero, x);
    return reflect(x, edge, farEdge);
  }
  if (spec.padding == PadMode::Edge && spec.mode != ResizeMode::Cubic)
    return clamp(x, zero, last);
  return clamp(x, number(-kMargin), plus(last, number(kMargin)));
}

/// Of the taps of a point that lies at `t` in [0, 1] after the one before it.
llvm::SmallVector<Value, 4> GridSampleEmitter::weights(Value t) {
  if (spec.mode == ResizeMode::Nearest)
    return {number(1)};
  Value rest = minus(number(1), t);
  if (spec.mode == ResizeMode::Linear)
    return {rest, t};
  constexpr double a = -0.75;
  auto near = [&](Value d) {
    Value inner = minus(times(d, number(a + 2)), number(a + 3));
    return plus(times(times(inner, d), d), number(1));
  };
  auto far = [&](Value d) {
    Value inner = minus(times(d, number(a)), number(5 * a));
    inner = plus(times(inner, d), number(8 * a));
    return minus(times(inner, d), number(4 * a));
  };
  return {far(plus(t, number(1))), near(t), near(rest), far(plus(rest, number(1)))};
}

/// The taps along one axis for the coordinate `x`.
llvm::SmallVector<Tap, 4> GridSampleEmitter::tapsAlong(int64_t axis, Value x) {
  Value lastIndex = kb.sub(size(axis), kb.index(1));
  Value last = kb.builder().create<arith::SIToFPOp>(kb.loc(), kb.builder().getF64Type(), lastIndex);
  auto rounded = [&](Value v) -> Value {
    return kb.builder().create<math::RoundEvenOp>(kb.loc(), v);
  };
  bool isNearest = spec.mode == ResizeMode::Nearest;
  x = placeInside(isNearest ? rounded(x) : x, last);
  Value below = isNearest ? rounded(x) : floorOf(x);
  Value first = kb.builder().create<arith::FPToSIOp>(kb.loc(), kb.builder().getI64Type(), below);
  if (spec.mode == ResizeMode::Cubic)
    first = kb.sub(first, kb.index(1));
  llvm::SmallVector<Tap, 4> taps;
  for (auto [i, weight] : llvm::enumerate(weights(minus(x, below)))) {
    Value at = kb.add(first, static_cast<int64_t>(i));
    Value inside = kb.maxSigned(kb.minSigned(at, lastIndex), kb.index(0));
    Tap tap{kb.mul(inside, distance(axis)), weight, {}};
    if (spec.padding == PadMode::Constant)
      tap.exists =
          kb.builder().create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::eq, at, inside);
    taps.push_back(tap);
  }
  return taps;
}

/// The elements that the point at `point` is made of.
llvm::SmallVector<Tap, 16> GridSampleEmitter::tapsOf(Value point) {
  llvm::SmallVector<Tap, 16> taps = {Tap{kb.index(0), number(1), {}}};
  for (int64_t axis = 0; axis < spec.axes; ++axis) {
    // Coordinates are those of the last axis first.
    Value x = kb.load(kb.advance(point, spec.axes - 1 - axis, spec.points), spec.points, 0);
    if (spec.points == DType::Float32)
      x = kb.builder().create<arith::ExtFOp>(kb.loc(), kb.builder().getF64Type(), x);
    llvm::SmallVector<Tap, 16> more;
    llvm::SmallVector<Tap, 4> along = tapsAlong(axis, x);
    for (const Tap &outer : taps)
      for (const Tap &inner : along)
        more.push_back({kb.add(outer.offset, inner.offset), times(outer.weight, inner.weight),
                        both(outer.exists, inner.exists)});
    taps = more;
  }
  if (spec.dtype == DType::Float32)
    for (Tap &tap : taps)
      tap.weight =
          kb.builder().create<arith::TruncFOp>(kb.loc(), kb.builder().getF32Type(), tap.weight);
  return taps;
}

/// All channels of one point.
void GridSampleEmitter::emitPoint(Value image, Value point, Value result) {
  llvm::SmallVector<Tap, 16> taps = tapsOf(point);
  Value plane = kb.mul(size(0), distance(0)), zero = kb.floatConstant(spec.dtype, 0, 0.0);
  kb.forLoop(kb.index(0), kb.dim(0), 1, [&](Value c) {
    Value channel = kb.advance(image, kb.mul(c, plane), spec.dtype), sum = zero;
    for (const Tap &tap : taps) {
      Value element = kb.load(kb.advance(channel, tap.offset, spec.dtype), spec.dtype, 0);
      if (tap.exists)
        element = choose(tap.exists, element, zero);
      sum = kb.multiplyAdd(tap.weight, element, sum);
    }
    kb.store(sum, kb.advance(result, kb.mul(c, kb.dim(1)), spec.dtype), spec.dtype, 0);
  });
}

void GridSampleEmitter::emit() {
  Value channels = kb.dim(0), points = kb.dim(1), tasks = kb.dim(2);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value n = kb.div(task, tasks), first = kb.mul(kb.rem(task, tasks), kPointsPerTask);
    Value last = kb.minSigned(kb.add(first, kPointsPerTask), points);
    Value plane = kb.mul(size(0), distance(0));
    Value image = kb.advance(kb.buffer(0), kb.mul(n, kb.mul(channels, plane)), spec.dtype);
    Value results = kb.advance(kb.buffer(2), kb.mul(n, kb.mul(channels, points)), spec.dtype);
    kb.forLoop(first, last, 1, [&](Value p) {
      Value number = kb.mul(kb.add(kb.mul(n, points), p), spec.axes);
      emitPoint(image, kb.advance(kb.buffer(1), number, spec.points),
                kb.advance(results, p, spec.dtype));
    });
  });
}

std::string GridSampleSpec::name() const {
  return fmt::format("grid_sample_{}_{}_{}{}_{}_{}", axes, nameOf(mode), nameOf(padding),
                     alignCorners ? "_corners" : "", dtypeName(dtype), dtypeName(points));
}

void GridSampleSpec::emit(KernelBuilder &kb) const { GridSampleEmitter(kb, *this).emit(); }

LoweredStep native::sampleGrid(StepBuffer image, StepBuffer points, StepBuffer result,
                               const GridSampleSpec &spec, const GridSampleSizes &sizes) {
  LoweredStep step;
  step.kernel = kernelOf(spec);
  step.buffers = {std::move(image), std::move(points), std::move(result)};
  int64_t tasks = ceilDiv(sizes.points, kPointsPerTask), distance = 1;
  step.dims = {sizes.channels, sizes.points, tasks};
  step.dims.insert(step.dims.end(), sizes.spatial.begin(), sizes.spatial.end());
  llvm::SmallVector<int64_t> distances(sizes.spatial.size());
  for (size_t axis = sizes.spatial.size(); axis-- > 0; distance *= sizes.spatial[axis])
    distances[axis] = distance;
  step.dims.insert(step.dims.end(), distances.begin(), distances.end());
  step.tasks = sizes.batch * tasks;
  int64_t taps = 1;
  for (int64_t axis = 0; axis < spec.axes; ++axis)
    taps *= spec.mode == ResizeMode::Nearest ? 1 : spec.mode == ResizeMode::Linear ? 2 : 4;
  double bytes = double(sizes.batch) * double(sizes.points) * double(sizes.channels) *
                 double(taps + 1) * double(dtypeBytes(spec.dtype));
  step.grain = chooseMoveGrain(static_cast<int64_t>(bytes) / std::max<int64_t>(step.tasks, 1));
  return step;
}
