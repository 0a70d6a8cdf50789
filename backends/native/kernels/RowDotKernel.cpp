//===- RowDotKernel.cpp - products of rows with one vector ----------------===//
#include "backends/native/kernels/RowDotKernel.h"

#include "backends/native/kernels/RowReduction.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
/// Rows whose sums grow together: they hide the latency of the multiply-add, and their addresses
/// fit the registers.
constexpr int64_t kRowsAtOnce = 8;

class RowDotEmitter {
public:
  RowDotEmitter(KernelBuilder &kb, const RowDotSpec &spec)
      : kb(kb), spec(spec), lanes(kb.target().lanes(spec.dtype)) {}

  void emit() {
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
  }

private:
  using Values = KernelBuilder::Values;

  void emitTask(Value task);
  /// The sums of so many rows from `first` on in all lanes, which are to be added up.
  Values sumsOf(Value first, int64_t count);

  KernelBuilder &kb;
  const RowDotSpec &spec;
  int64_t lanes;
};
} // namespace

/// Behind the last row it is read again.
RowDotEmitter::Values RowDotEmitter::sumsOf(Value first, int64_t count) {
  Value last = kb.sub(kb.dim(&RowDotDims::rows), kb.index(1)), depth = kb.dim(&RowDotDims::depth);
  Values rows;
  for (int64_t i = 0; i < count; ++i) {
    Value row = kb.minSigned(kb.add(first, i), last);
    rows.push_back(
        kb.advance(kb.buffer(0), kb.mul(row, kb.dim(&RowDotDims::rowStride)), spec.dtype));
  }
  auto add = [&](Value at, ValueRange sums, Value active) {
    Value factor = kb.load(kb.advance(kb.buffer(1), at, spec.dtype), spec.dtype, lanes, active);
    Values next;
    for (auto [row, sum] : llvm::zip_equal(rows, sums))
      next.push_back(kb.multiplyAdd(
          kb.load(kb.advance(row, at, spec.dtype), spec.dtype, lanes, active), factor, sum));
    return next;
  };
  Values sums(static_cast<size_t>(count), identityOf(kb, Combine::Add, spec.dtype, lanes));
  Value whole = kb.mul(kb.div(depth, kb.index(lanes)), lanes);
  sums = kb.forLoop(kb.index(0), whole, lanes, sums,
                    [&](Value at, ValueRange now) { return add(at, now, {}); });
  return kb.forLoop(whole, depth, lanes, sums,
                    [&](Value at, ValueRange now) { return add(at, now, kb.sub(depth, at)); });
}

void RowDotEmitter::emitTask(Value task) {
  Value first = kb.mul(task, lanes);
  int64_t atOnce = std::min(kRowsAtOnce, lanes);
  Values sums;
  for (int64_t row = 0; row < lanes; row += atOnce)
    sums.append(sumsOf(kb.add(first, row), atOnce));
  ResultPosition at;
  at.element = first;
  Value active = kb.minSigned(kb.sub(kb.dim(&RowDotDims::rows), first), kb.index(lanes));
  emitEpilogue(kb, spec.epilogue, combineRows(kb, Combine::Add, spec.dtype, std::move(sums)),
               epilogueBuffers(kb, spec.epilogue, 3), at, lanes, kb.buffer(2), active);
}

void RowDotSpec::emit(KernelBuilder &kb) const { RowDotEmitter(kb, *this).emit(); }
