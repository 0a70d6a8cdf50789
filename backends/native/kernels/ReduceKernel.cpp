//===- ReduceKernel.cpp - reductions of [outer, length, inner] ------------===//
#include "backends/native/kernels/ReduceKernel.h"

#include "backends/native/target/TileChoice.h"
#include "ir/ScalarEmitter.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// Tasks
//===----------------------------------------------------------------------===//

std::vector<int64_t> native::planRowTasks(const RowShape &shape, DType dtype, int64_t passes,
                                          LoweredStep &step) {
  constexpr int64_t kColumnChunk = 256;
  int64_t chunk = std::min(shape.inner, kColumnChunk);
  int64_t chunks = ceilDiv(shape.inner, chunk);
  int64_t taskBytes = passes * shape.length * chunk * dtypeBytes(dtype);
  step.tasks = shape.outer * chunks;
  step.grain = chooseMoveGrain(taskBytes);
  return {shape.length, shape.inner, chunk, chunks};
}

static constexpr int64_t kCacheLine = 64;

int64_t native::mostColumnsOfPiece(const Target &target, DType dtype) {
  return std::max(target.lanes(dtype), kCacheLine / dtypeBytes(dtype));
}

void RowPieces::forEachPiece(const std::function<void(const RowPiece &)> &body,
                             int64_t linesAtOnce) const {
  Value length = kb.dim(kRowLength), inner = kb.dim(kRowInner);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    if (contiguous)
      return body({kb.mul(task, length), task, 0, {}});
    Value outer = kb.div(task, kb.dim(kRowChunks));
    Value column = kb.mul(kb.rem(task, kb.dim(kRowChunks)), kb.dim(kRowChunk));
    Value count = kb.minSigned(kb.dim(kRowChunk), kb.sub(inner, column));
    auto pieceAt = [&](Value here, int64_t width, Value active) {
      body({kb.add(kb.mul(kb.mul(outer, length), inner), here), kb.add(kb.mul(outer, inner), here),
            width, active});
    };
    // Elements of a column may lie pages apart: take whole cache lines on the way.
    Value lines = kb.index(0);
    auto takePieces = [&](int64_t bytes) {
      int64_t width = bytes / dtypeBytes(dtype);
      Value end = kb.sub(count, kb.rem(count, kb.index(width)));
      kb.forLoop(lines, end, width, [&](Value at) { pieceAt(kb.add(column, at), width, {}); });
      lines = end;
    };
    if (linesAtOnce > 1)
      takePieces(linesAtOnce * kCacheLine);
    if (kb.target().vectorBytes < kCacheLine)
      takePieces(kCacheLine);
    forEachVector(kb, kb.sub(count, lines), dtype, [&](Value at, int64_t width, Value active) {
      pieceAt(kb.add(kb.add(column, lines), at), width, active);
    });
  });
}

Value RowPieces::reduce(const RowPiece &piece, Combine kind, const ElementMap &map) const {
  Value pointer = kb.advance(kb.buffer(0), piece.input, stored);
  if (contiguous)
    return reduceRow(kb, {pointer, kb.dim(kRowLength), dtype, stored}, kind, map);
  ColumnRange columns{
      pointer, kb.dim(kRowLength), kb.dim(kRowInner), dtype, piece.lanes, piece.active, stored};
  return reduceColumns(kb, columns, kind, map);
}

//===----------------------------------------------------------------------===//
// Reduce
//===----------------------------------------------------------------------===//

namespace {
/// Emits one reduction kernel.
class ReduceEmitter {
public:
  ReduceEmitter(KernelBuilder &kb, const ReduceSpec &spec)
      : kb(kb), spec(spec), rows(kb, spec.contiguous, spec.dtype, spec.prologue.inputs[0]) {}
  void emit() {
    rows.forEachPiece([&](const RowPiece &piece) { emitPiece(piece); }, linesAtOnce());
  }

private:
  /// Neighbouring lines come from memory at several times the rate of lines that are rows apart.
  int64_t linesAtOnce() const;
  void emitPiece(const RowPiece &piece);
  /// log(sum(exp(x))), shifted by the maximum so that exp does not overflow.
  Value reduceLogSumExp(const RowPiece &piece);
  /// What the prologue makes of a stored element.
  Value elementOf(Value stored, int64_t lanes);
  /// Reduces map(element).
  Value reduce(const RowPiece &piece, Combine kind,
               llvm::function_ref<Value(Value element, int64_t lanes)> map);
  Value mapElement(Value x, int64_t lanes);
  Value finish(Value sum, int64_t lanes);
  Combine combineKind() const;

  KernelBuilder &kb;
  const ReduceSpec &spec;
  RowPieces rows;
};
} // namespace

int64_t ReduceEmitter::linesAtOnce() const {
  // Four partial results of each are half of the registers.
  constexpr int64_t kLines = 4, kRegisters = 32, kLineBytes = 64;
  const Target &target = kb.target();
  bool fits = target.vectorRegisters >= kRegisters && target.vectorBytes >= kLineBytes;
  return fits && spec.kind != ReduceKind::LogSumExp ? kLines : 1;
}

Combine ReduceEmitter::combineKind() const {
  switch (spec.kind) {
  case ReduceKind::Max:
    return Combine::Max;
  case ReduceKind::Min:
    return Combine::Min;
  case ReduceKind::Prod:
    return Combine::Multiply;
  default:
    return Combine::Add;
  }
}

Value ReduceEmitter::elementOf(Value stored, int64_t lanes) {
  KernelBuilder::Values inputs = {stored};
  auto firstBuffer = static_cast<int64_t>(2 + spec.epilogue.access.size());
  for (size_t i = 1; i < spec.prologue.inputs.size(); ++i) {
    bool isTable = spec.prologue.isTable(static_cast<int>(i));
    inputs.push_back(loadOperand(kb, kb.buffer(firstBuffer + static_cast<int64_t>(i) - 1),
                                 isTable ? OperandAccess::Table : OperandAccess::Scalar,
                                 spec.prologue.inputs[i], {}, lanes));
  }
  return spec.prologue.emit(kb, inputs, lanes)[0];
}

Value ReduceEmitter::reduce(const RowPiece &piece, Combine kind,
                            llvm::function_ref<Value(Value element, int64_t lanes)> map) {
  return rows.reduce(piece, kind, [&](Value stored, Value, int64_t lanes, Value) {
    return map(elementOf(stored, lanes), lanes);
  });
}

Value ReduceEmitter::mapElement(Value x, int64_t lanes) {
  nn::ScalarEmitter e(kb.builder(), kb.loc(), spec.dtype, lanes);
  switch (spec.kind) {
  case ReduceKind::L1:
    if (isFloat(spec.dtype))
      return kb.builder().create<math::AbsFOp>(kb.loc(), x);
    return isUnsignedInteger(spec.dtype)
               ? x
               : e.select(e.less(x, e.constant(0)), e.sub(e.constant(0), x), x);
  case ReduceKind::L2:
  case ReduceKind::SumSquare:
    return e.mul(x, x);
  default:
    return x;
  }
}

Value ReduceEmitter::finish(Value sum, int64_t lanes) {
  OpBuilder &ops = kb.builder();
  switch (spec.kind) {
  case ReduceKind::Mean: {
    nn::ScalarEmitter e(ops, kb.loc(), spec.dtype, lanes);
    Value count = ops.create<arith::SIToFPOp>(
        kb.loc(), nn::registerType(ops.getContext(), spec.dtype, 0), kb.dim(kRowLength));
    return e.div(sum, kb.splat(count, lanes));
  }
  case ReduceKind::L2:
    return ops.create<math::SqrtOp>(kb.loc(), sum);
  case ReduceKind::LogSum:
    return ops.create<math::LogOp>(kb.loc(), sum);
  default:
    return sum;
  }
}

Value ReduceEmitter::reduceLogSumExp(const RowPiece &piece) {
  OpBuilder &ops = kb.builder();
  nn::ScalarEmitter e(ops, kb.loc(), spec.dtype, piece.lanes);
  Value largest = reduce(piece, Combine::Max, [](Value x, int64_t) { return x; });
  // Of infinities (or of nothing) the sum is exact without a shift.
  Value magnitude = ops.create<math::AbsFOp>(kb.loc(), largest);
  Value isInfinite = e.equal(magnitude, e.constant(std::numeric_limits<double>::infinity()));
  Value shift = e.select(isInfinite, e.constant(0), largest);
  Value sum = reduce(piece, Combine::Add, [&](Value x, int64_t lanes) -> Value {
    nn::ScalarEmitter row(ops, kb.loc(), spec.dtype, lanes);
    Value shifts = lanes == piece.lanes ? shift : kb.splat(shift, lanes);
    return ops.create<math::ExpOp>(kb.loc(), row.sub(x, shifts));
  });
  return e.add(shift, ops.create<math::LogOp>(kb.loc(), sum));
}

void ReduceEmitter::emitPiece(const RowPiece &piece) {
  Value result;
  if (spec.kind == ReduceKind::LogSumExp)
    result = reduceLogSumExp(piece);
  else
    result = finish(
        reduce(piece, combineKind(), [&](Value x, int64_t lanes) { return mapElement(x, lanes); }),
        piece.lanes);
  ResultPosition at;
  at.element = piece.result;
  at.column = kb.rem(piece.result, kb.dim(kRowDims));
  emitEpilogue(kb, spec.epilogue, result, epilogueBuffers(kb, spec.epilogue, 2), at, piece.lanes,
               kb.buffer(1), piece.active);
}

std::string ReduceSpec::name() const {
  std::string before = prologue.label(); // "", "_cast_mul"
  return (before.empty() ? "" : before.substr(1) + "_") + "reduce" + epilogue.program.label();
}

void ReduceSpec::emit(KernelBuilder &kb) const { ReduceEmitter(kb, *this).emit(); }

LoweredStep native::makeReduction(const ReduceSpec &spec, const RowShape &shape, int64_t channels,
                                  StepBuffer input, StepBuffer result) {
  LoweredStep step;
  step.dims = planRowTasks(shape, spec.dtype, spec.kind == ReduceKind::LogSumExp ? 2 : 1, step);
  step.dims.push_back(std::max<int64_t>(channels, 1));
  step.buffers = {std::move(input), std::move(result)};
  step.kernel = kernelOf(spec);
  return step;
}
