//===- RowReduction.cpp - reductions inside kernels -----------------------===//
#include "backends/native/kernels/RowReduction.h"

#include "backends/native/kernels/MapKernel.h"
#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// Partial sums of a row: enough to hide the latency of an addition.
static constexpr int64_t kPartials = 4;

Value native::identityOf(KernelBuilder &kb, Combine kind, DType dtype, int64_t lanes) {
  nn::ScalarEmitter e(kb.builder(), kb.loc(), dtype, lanes);
  if (kind == Combine::Add || kind == Combine::Multiply)
    return e.constant(kind == Combine::Add ? 0 : 1);
  if (kind == Combine::MaxNumber)
    kind = Combine::Max;
  double infinity = std::numeric_limits<double>::infinity();
  if (isFloat(dtype))
    return e.constant(kind == Combine::Max ? -infinity : infinity);
  int shift = 64 - dtypeBits(dtype);
  if (isUnsignedInteger(dtype))
    return e.integerConstant(kind == Combine::Max ? 0
                                                  : static_cast<int64_t>(~uint64_t{0} >> shift));
  using Range = std::numeric_limits<int64_t>;
  return e.integerConstant((kind == Combine::Max ? Range::min() : Range::max()) >> shift);
}

Value native::combine(KernelBuilder &kb, Combine kind, DType dtype, int64_t lanes, Value a,
                      Value b) {
  nn::ScalarEmitter e(kb.builder(), kb.loc(), dtype, lanes);
  if (kind == Combine::Add)
    return e.add(a, b);
  if (kind == Combine::Multiply)
    return e.mul(a, b);
  if (kind == Combine::MaxNumber)
    return e.select(e.greater(a, b), a, b);
  if (!isFloat(dtype))
    return kind == Combine::Max ? e.max(a, b) : e.min(a, b);
  // LLVM's own operation, as arith.maximumf would be expanded to comparisons;
  // either zero may win, which saves instructions.
  OpBuilder &ops = kb.builder();
  auto flags = LLVM::FastmathFlagsAttr::get(ops.getContext(), LLVM::FastmathFlags::nsz);
  if (kind == Combine::Max)
    return ops.create<LLVM::MaximumOp>(kb.loc(), a.getType(), a, b, flags);
  return ops.create<LLVM::MinimumOp>(kb.loc(), a.getType(), a, b, flags);
}

Value native::combineLanes(KernelBuilder &kb, Combine kind, DType dtype, Value vector,
                           int64_t lanes) {
  for (; lanes > 1; lanes /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < lanes / 2; ++i) {
      low.push_back(i);
      high.push_back(lanes / 2 + i);
    }
    OpBuilder &ops = kb.builder();
    Value a = ops.create<vector::ShuffleOp>(kb.loc(), vector, vector, low);
    Value b = ops.create<vector::ShuffleOp>(kb.loc(), vector, vector, high);
    vector = combine(kb, kind, dtype, lanes / 2, a, b);
  }
  return kb.builder().create<vector::ExtractOp>(kb.loc(), vector, ArrayRef<int64_t>{0});
}

Value native::combineRows(KernelBuilder &kb, Combine kind, DType dtype,
                          KernelBuilder::Values rows) {
  auto lanes = static_cast<int64_t>(rows.size());
  OpBuilder &ops = kb.builder();
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < lanes / 2; ++i) {
    low.append({i, lanes + i});
    high.append({lanes / 2 + i, lanes + lanes / 2 + i});
  }
  // Each step puts the lanes of two rows between each other, which are half as many for each then.
  while (rows.size() > 1) {
    KernelBuilder::Values next;
    for (size_t i = 0, half = rows.size() / 2; i < half; ++i) {
      Value a = ops.create<vector::ShuffleOp>(kb.loc(), rows[i], rows[half + i], low);
      Value b = ops.create<vector::ShuffleOp>(kb.loc(), rows[i], rows[half + i], high);
      next.push_back(combine(kb, kind, dtype, lanes, a, b));
    }
    rows = std::move(next);
  }
  return rows.front();
}

/// `value` in the first `active` lanes (all when null), `otherwise` in the rest.
static Value keepActive(KernelBuilder &kb, Value value, Value otherwise, Value active,
                        int64_t lanes) {
  if (!active || lanes == 0)
    return value;
  OpBuilder &ops = kb.builder();
  Value count = ops.create<arith::IndexCastOp>(kb.loc(), ops.getIndexType(), active);
  Value mask =
      ops.create<vector::CreateMaskOp>(kb.loc(), VectorType::get({lanes}, ops.getI1Type()), count);
  return ops.create<arith::SelectOp>(kb.loc(), mask, value, otherwise);
}

namespace {
/// One reduceRow.
class RowReducer {
public:
  RowReducer(KernelBuilder &kb, const RowRange &row, Combine kind, const ElementMap &map)
      : kb(kb), row(row), dtype(row.dtype), kind(kind), map(map) {}

  Value reduce();

private:
  /// `accumulator` with the element(s) at `at` added.
  Value step(Value accumulator, Value at, int64_t width, Value active);
  Value join(int64_t width, Value a, Value b) { return combine(kb, kind, dtype, width, a, b); }
  /// Adds [from, to), one vector of `width` (or scalar) at a time.
  Value loop(Value accumulator, Value from, Value to, int64_t width, bool masked = false);

  KernelBuilder &kb;
  const RowRange &row;
  DType dtype;
  Combine kind;
  const ElementMap &map;
};
} // namespace

Value RowReducer::step(Value accumulator, Value at, int64_t width, Value active) {
  Value element = kb.load(kb.advance(row.pointer, at, row.stored), row.stored, width, active);
  Value mapped = map(element, at, width, active);
  mapped = keepActive(kb, mapped, identityOf(kb, kind, dtype, width), active, width);
  return join(width, accumulator, mapped);
}

Value RowReducer::loop(Value accumulator, Value from, Value to, int64_t width, bool masked) {
  return kb.forLoop(from, to, std::max<int64_t>(width, 1), {accumulator},
                    [&](Value at, ValueRange carried) {
                      Value active = masked ? kb.sub(to, at) : Value();
                      return KernelBuilder::Values{step(carried[0], at, width, active)};
                    })[0];
}

Value RowReducer::reduce() {
  Value count = row.count;
  int64_t lanes = kb.target().lanes(dtype);
  int64_t wide = lanes * kPartials;
  Value wideEnd = kb.sub(count, kb.rem(count, kb.index(wide)));
  Value vectorEnd = kb.sub(count, kb.rem(count, kb.index(lanes)));
  KernelBuilder::Values start(kPartials, identityOf(kb, kind, dtype, lanes));
  auto partials = kb.forLoop(kb.index(0), wideEnd, wide, start, [&](Value at, ValueRange carried) {
    KernelBuilder::Values next;
    for (int64_t p = 0; p < kPartials; ++p)
      next.push_back(step(carried[p], kb.add(at, p * lanes), lanes, {}));
    return next;
  });
  Value sum =
      join(lanes, join(lanes, partials[0], partials[1]), join(lanes, partials[2], partials[3]));
  sum = loop(sum, wideEnd, vectorEnd, lanes);
  if (hasMaskedAccess(kb.target(), dtype) && hasMaskedAccess(kb.target(), row.stored))
    return combineLanes(kb, kind, dtype, loop(sum, vectorEnd, count, lanes, /*masked=*/true),
                        lanes);
  return loop(combineLanes(kb, kind, dtype, sum, lanes), vectorEnd, count, 0);
}

Value native::reduceRow(KernelBuilder &kb, const RowRange &row, Combine kind,
                        const ElementMap &map) {
  return RowReducer(kb, row, kind, map).reduce();
}

Value native::reduceColumns(KernelBuilder &kb, const ColumnRange &columns, Combine kind,
                            const ElementMap &map) {
  const auto &[pointer, count, stride, dtype, lanes, active, stored] = columns;
  auto step = [&](Value accumulator, Value at) {
    Value element = kb.load(kb.advance(pointer, kb.mul(at, stride), stored), stored, lanes, active);
    return combine(kb, kind, dtype, lanes, accumulator, map(element, at, lanes, active));
  };
  Value wideEnd = kb.sub(count, kb.rem(count, kb.index(kPartials)));
  KernelBuilder::Values start(kPartials, identityOf(kb, kind, dtype, lanes));
  auto partials =
      kb.forLoop(kb.index(0), wideEnd, kPartials, start, [&](Value at, ValueRange carried) {
        KernelBuilder::Values next;
        for (int64_t p = 0; p < kPartials; ++p)
          next.push_back(step(carried[p], kb.add(at, p)));
        return next;
      });
  Value low = combine(kb, kind, dtype, lanes, partials[0], partials[1]);
  Value high = combine(kb, kind, dtype, lanes, partials[2], partials[3]);
  return kb.forLoop(
      wideEnd, count, 1, {combine(kb, kind, dtype, lanes, low, high)},
      [&](Value at, ValueRange carried) { return KernelBuilder::Values{step(carried[0], at)}; })[0];
}

void native::forEachVector(KernelBuilder &kb, Value count, DType dtype, const VectorBody &body) {
  int64_t lanes = kb.target().lanes(dtype);
  Value vectorEnd = kb.sub(count, kb.rem(count, kb.index(lanes)));
  kb.forLoop(kb.index(0), vectorEnd, lanes, [&](Value at) { body(at, lanes, {}); });
  bool masked = hasMaskedAccess(kb.target(), dtype);
  kb.forLoop(vectorEnd, count, masked ? lanes : 1,
             [&](Value at) { body(at, masked ? lanes : 0, masked ? kb.sub(count, at) : Value()); });
}
