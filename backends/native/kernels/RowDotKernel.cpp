//===- RowDotKernel.cpp - products of rows with a vector or a few ---------===//
#include "backends/native/kernels/RowDotKernel.h"

#include "backends/native/kernels/RowReduction.h"
#include "backends/native/target/CpuRates.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// Specs
//===----------------------------------------------------------------------===//

std::string RowDotSpec::name() const {
  std::string label = epilogue.program.label();
  return columns == 1 ? "row_dots" + label : fmt::format("row_dots_{}{}", columns, label);
}

int64_t RowDotSpec::mostColumns(const Target &target, DType dtype) {
  return target.lanes(dtype) / 2;
}

int64_t RowDotSpec::rowsOfRound(const Target &target) const {
  int64_t lanes = target.lanes(dtype);
  return lanes / std::gcd(lanes, columns);
}

int64_t RowDotSpec::rowsAtOnce(const Target &target) const {
  // Eight rows of a matrix that comes from memory are as many streams, more than the CPU follows:
  // three columns took twice as long with them. But two units wait for four sums.
  constexpr int64_t kFew = 4, kMost = 8;
  bool wantsSums = columns == 1 && ratesOf(target).productsPerCycle > 1;
  int64_t rows = std::min(wantsSums ? kMost : kFew, rowsOfRound(target));
  // Beside the sums there are a vector of each column, and one of a row.
  while (rows > 1 && rows * columns + columns + 1 > target.vectorRegisters)
    rows /= 2;
  return rows;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
class RowDotEmitter {
public:
  RowDotEmitter(KernelBuilder &kb, const RowDotSpec &spec)
      : kb(kb), spec(spec), lanes(kb.target().lanes(spec.dtype)),
        round(spec.rowsOfRound(kb.target())) {}

  void emit();

private:
  using Values = KernelBuilder::Values;

  void emitTask(Value task);
  /// The results of the rows of a round from `first` on.
  void emitRound(Value first);
  /// The sums of so many rows from `first` on, column by column in each, in all lanes, which are
  /// to be added up.
  Values sumsOf(Value first, int64_t count);
  /// `sums` and the products of a vector of each row at `rows` with one of each column, from
  /// element `at` on, of which `active` are there.
  Values add(const Values &rows, Value at, ValueRange sums, Value active);
  /// What vector `v` of a round reads of operand `i`, which is of rows or of columns, for each of
  /// several columns; null where the epilogue reads it by itself.
  Value operandOf(size_t i, int64_t v, Value firstRow);
  /// The elements of `source` that `lane` numbers.
  Value spread(Value source, llvm::function_ref<int64_t(int64_t)> lane);

  KernelBuilder &kb;
  const RowDotSpec &spec;
  int64_t lanes, round;
  /// Of the operands that are of columns: all of them, in the first lanes.
  Values ofColumns;
};
} // namespace

void RowDotEmitter::emit() {
  Values operands = epilogueBuffers(kb, spec.epilogue, 3);
  for (auto [i, access] : llvm::enumerate(spec.epilogue.access))
    ofColumns.push_back(access == OperandAccess::PerColumn && spec.columns > 1
                            ? kb.load(operands[i], spec.epilogue.program.inputs[i + 1], lanes,
                                      kb.index(spec.columns))
                            : Value());
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task); });
}

void RowDotEmitter::emitTask(Value task) {
  Value first = kb.mul(task, lanes);
  if (round == lanes)
    return emitRound(first);
  Value end = kb.minSigned(kb.add(first, lanes), kb.dim(&RowDotDims::rows));
  kb.forLoop(first, end, round, [&](Value row) { emitRound(row); });
}

RowDotEmitter::Values RowDotEmitter::add(const Values &rows, Value at, ValueRange sums,
                                         Value active) {
  auto load = [&](Value base) {
    return kb.load(kb.advance(base, at, spec.dtype), spec.dtype, lanes, active);
  };
  Values factors, next;
  for (int64_t c = 0; c < spec.columns; ++c)
    factors.push_back(
        load(kb.advance(kb.buffer(1), kb.mul(kb.dim(&RowDotDims::columnStride), c), spec.dtype)));
  for (Value row : rows) {
    Value elements = load(row);
    for (Value factor : factors)
      next.push_back(kb.multiplyAdd(elements, factor, sums[next.size()]));
  }
  return next;
}

/// Behind the last row it is read again; where none of the rows is there, nothing is.
RowDotEmitter::Values RowDotEmitter::sumsOf(Value first, int64_t count) {
  Value last = kb.sub(kb.dim(&RowDotDims::rows), kb.index(1)), depth = kb.dim(&RowDotDims::depth);
  if (count < round)
    depth = kb.builder().create<arith::SelectOp>(
        kb.loc(), kb.lessThan(first, kb.dim(&RowDotDims::rows)), depth, kb.index(0));
  Values rows;
  for (int64_t i = 0; i < count; ++i) {
    Value row = kb.minSigned(kb.add(first, i), last);
    rows.push_back(
        kb.advance(kb.buffer(0), kb.mul(row, kb.dim(&RowDotDims::rowStride)), spec.dtype));
  }
  Values sums(static_cast<size_t>(count * spec.columns),
              identityOf(kb, Combine::Add, spec.dtype, lanes));
  Value whole = kb.mul(kb.div(depth, kb.index(lanes)), lanes);
  sums = kb.forLoop(kb.index(0), whole, lanes, sums,
                    [&](Value at, ValueRange now) { return add(rows, at, now, {}); });
  return kb.forLoop(whole, depth, lanes, sums, [&](Value at, ValueRange now) {
    return add(rows, at, now, kb.sub(depth, at));
  });
}

Value RowDotEmitter::spread(Value source, llvm::function_ref<int64_t(int64_t)> lane) {
  SmallVector<int64_t> numbers;
  for (int64_t i = 0; i < lanes; ++i)
    numbers.push_back(lane(i));
  return kb.builder().create<vector::ShuffleOp>(kb.loc(), source, source, numbers);
}

Value RowDotEmitter::operandOf(size_t i, int64_t v, Value firstRow) {
  if (ofColumns[i])
    return spread(ofColumns[i], [&](int64_t lane) { return (v * lanes + lane) % spec.columns; });
  if (spec.epilogue.access[i] != OperandAccess::PerRow)
    return {};
  DType dtype = spec.epilogue.program.inputs[i + 1];
  Value there = kb.minSigned(kb.sub(kb.dim(&RowDotDims::rows), firstRow), kb.index(round));
  Value ofRows = kb.load(kb.advance(kb.buffer(3 + static_cast<int64_t>(i)), firstRow, dtype), dtype,
                         lanes, there);
  return spread(ofRows, [&](int64_t lane) { return (v * lanes + lane) / spec.columns; });
}

void RowDotEmitter::emitRound(Value first) {
  Values sums, operands = epilogueBuffers(kb, spec.epilogue, 3);
  Value element = kb.mul(first, spec.columns);
  Value left = kb.sub(kb.mul(kb.dim(&RowDotDims::rows), spec.columns), element);
  int64_t atOnce = spec.rowsAtOnce(kb.target()), v = 0;
  for (int64_t row = 0; row < round; row += atOnce) {
    sums.append(sumsOf(kb.add(first, row), atOnce));
    for (; static_cast<int64_t>(sums.size()) >= lanes; ++v) {
      ResultRow place;
      place.at.push_back({.element = kb.add(element, v * lanes), .row = {}, .column = {}});
      Value there = v == 0 ? left : kb.maxSigned(kb.sub(left, kb.index(v * lanes)), kb.index(0));
      place.active.push_back(kb.minSigned(there, kb.index(lanes)));
      SharedOperands read(1);
      for (size_t i = 0; i < spec.epilogue.access.size(); ++i)
        read[0].push_back(operandOf(i, v, first));
      Values whole(sums.begin(), sums.begin() + lanes);
      sums.erase(sums.begin(), sums.begin() + lanes);
      emitEpilogueOfRow(kb, spec.epilogue,
                        combineRows(kb, Combine::Add, spec.dtype, std::move(whole)), operands,
                        place, lanes, kb.buffer(2), read);
    }
  }
}

void RowDotSpec::emit(KernelBuilder &kb) const { RowDotEmitter(kb, *this).emit(); }
