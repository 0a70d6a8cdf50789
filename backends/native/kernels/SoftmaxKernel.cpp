//===- SoftmaxKernel.cpp - softmax and arg max of [outer, length, inner] --===//
#include "backends/native/kernels/SoftmaxKernel.h"

#include "ir/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

namespace {
/// Emits a softmax kernel: one pass for the maximum, one that leaves the exponentials in memory
/// and sums them, one that divides.
class SoftmaxEmitter {
public:
  SoftmaxEmitter(KernelBuilder &kb, const SoftmaxSpec &spec)
      : kb(kb), spec(spec), rows(kb, spec.contiguous, spec.dtype),
        operands(epilogueBuffers(kb, spec.epilogue, 2)) {}
  void emit() {
    rows.forEachPiece([&](const RowPiece &piece) { emitPiece(piece); });
  }

private:
  void emitPiece(const RowPiece &piece);
  /// Calls `body` with the index along the row of every vector of the piece.
  void forEachElement(const RowPiece &piece,
                      const std::function<void(Value at, int64_t width, Value active)> &body);
  /// The offset of the elements at index `at` along the row.
  Value offsetOf(const RowPiece &piece, Value at) {
    return kb.add(piece.input, spec.contiguous ? at : kb.mul(at, kb.dim(kRowInner)));
  }
  /// Where their exponentials are.
  Value exponentialsAt(const RowPiece &piece, Value at) {
    if (!spec.needsScratch())
      return kb.advance(kb.buffer(1), offsetOf(piece, at), spec.dtype);
    Value place = spec.contiguous ? at : kb.mul(at, std::max<int64_t>(piece.lanes, 1));
    return kb.advance(kb.scratch(), place, spec.dtype);
  }
  /// A value of the piece's width as one of `width` lanes.
  Value widen(const RowPiece &piece, Value value, int64_t width) {
    return width == piece.lanes ? value : kb.splat(value, width);
  }

  KernelBuilder &kb;
  const SoftmaxSpec &spec;
  RowPieces rows;
  KernelBuilder::Values operands;
};
} // namespace

void SoftmaxEmitter::forEachElement(
    const RowPiece &piece, const std::function<void(Value at, int64_t width, Value active)> &body) {
  if (spec.contiguous)
    return forEachVector(kb, kb.dim(kRowLength), spec.dtype, body);
  kb.forLoop(kb.index(0), kb.dim(kRowLength), 1,
             [&](Value at) { body(at, piece.lanes, piece.active); });
}

void SoftmaxEmitter::emitPiece(const RowPiece &piece) {
  OpBuilder &ops = kb.builder();
  Value largest =
      rows.reduce(piece, Combine::Max, [](Value x, Value, int64_t, Value) { return x; });
  Value sum = rows.reduce(piece, Combine::Add, [&](Value x, Value at, int64_t width, Value active) {
    nn::ScalarEmitter e(ops, kb.loc(), spec.dtype, width);
    Value exponential = ops.create<math::ExpOp>(kb.loc(), e.sub(x, widen(piece, largest, width)));
    if (!spec.logarithm)
      kb.store(exponential, exponentialsAt(piece, at), spec.dtype, width, active);
    return exponential;
  });
  nn::ScalarEmitter scalar(ops, kb.loc(), spec.dtype, piece.lanes);
  Value reciprocal = scalar.div(scalar.constant(1), sum);
  Value logSum = spec.logarithm ? Value(ops.create<math::LogOp>(kb.loc(), sum)) : Value();
  forEachElement(piece, [&](Value at, int64_t width, Value active) {
    nn::ScalarEmitter e(ops, kb.loc(), spec.dtype, width);
    Value offset = offsetOf(piece, at);
    Value from =
        spec.logarithm ? kb.advance(kb.buffer(0), offset, spec.dtype) : exponentialsAt(piece, at);
    Value x = kb.load(from, spec.dtype, width, active);
    Value y = spec.logarithm
                  ? e.sub(e.sub(x, widen(piece, largest, width)), widen(piece, logSum, width))
                  : e.mul(x, widen(piece, reciprocal, width));
    emitEpilogue(kb, spec.epilogue, y, operands, {offset, {}, {}}, width, kb.buffer(1), active);
  });
}

int64_t native::bytesOfSoftmaxScratch(const SoftmaxSpec &spec, const RowShape &shape,
                                      const Target &target) {
  if (!spec.needsScratch())
    return 0;
  CheckedSize bytes = CheckedSize(shape.length) * dtypeBytes(spec.dtype) *
                      (spec.contiguous ? 1 : mostColumnsOfPiece(target, spec.dtype));
  return bytes.valid() ? bytes.value() : std::numeric_limits<int64_t>::max();
}

void SoftmaxSpec::emit(KernelBuilder &kb) const { SoftmaxEmitter(kb, *this).emit(); }

LoweredStep native::makeSoftmax(const SoftmaxSpec &spec, const RowShape &shape, StepBuffer input,
                                StepBuffer result) {
  LoweredStep step;
  // An exponential takes as long as some memory accesses.
  constexpr int64_t kPasses = 6;
  step.dims = planRowTasks(shape, spec.dtype, kPasses, step);
  step.buffers = {std::move(input), std::move(result)};
  step.kernel = kernelOf(spec);
  return step;
}

//===----------------------------------------------------------------------===//
// Arg max and arg min
//===----------------------------------------------------------------------===//

/// Whether `candidate` comes before `leader`: more extreme, or the only NaN.
static Value isBetter(KernelBuilder &kb, const ArgSpec &spec, int64_t lanes, Value candidate,
                      Value leader) {
  OpBuilder &ops = kb.builder();
  nn::ScalarEmitter e(ops, kb.loc(), spec.dtype, lanes);
  Value better = spec.wantMax ? e.less(leader, candidate) : e.less(candidate, leader);
  if (!isFloat(spec.dtype))
    return better;
  Value isNan =
      ops.create<arith::CmpFOp>(kb.loc(), arith::CmpFPredicate::UNO, candidate, candidate);
  Value isNumber = ops.create<arith::CmpFOp>(kb.loc(), arith::CmpFPredicate::ORD, leader, leader);
  Value onlyNan = ops.create<arith::AndIOp>(kb.loc(), isNan, isNumber);
  return ops.create<arith::OrIOp>(kb.loc(), better, onlyNan);
}

static void emitArg(KernelBuilder &kb, const ArgSpec &spec) {
  OpBuilder &ops = kb.builder();
  RowPieces(kb, spec.contiguous, spec.dtype).forEachPiece([&](const RowPiece &piece) {
    auto elementAt = [&](Value at) {
      Value offset = kb.add(piece.input, kb.mul(at, kb.dim(kRowInner)));
      return kb.load(kb.advance(kb.buffer(0), offset, spec.dtype), spec.dtype, piece.lanes,
                     piece.active);
    };
    KernelBuilder::Values first = {elementAt(kb.index(0)), kb.splat(kb.index(0), piece.lanes)};
    auto best =
        kb.forLoop(kb.index(1), kb.dim(kRowLength), 1, first, [&](Value at, ValueRange carried) {
          Value candidate = elementAt(at), leader = carried[0];
          Value wins = isBetter(kb, spec, piece.lanes, candidate, leader);
          if (spec.lastOfEqual) {
            Value loses = isBetter(kb, spec, piece.lanes, leader, candidate);
            nn::ScalarEmitter e(ops, kb.loc(), DType::Bool, piece.lanes);
            wins = e.select(loses, wins, e.integerConstant(1));
          }
          Value index = kb.splat(at, piece.lanes);
          return KernelBuilder::Values{
              ops.create<arith::SelectOp>(kb.loc(), wins, candidate, leader),
              ops.create<arith::SelectOp>(kb.loc(), wins, index, carried[1])};
        });
    kb.store(best[1], kb.advance(kb.buffer(1), piece.result, DType::Int64), DType::Int64,
             piece.lanes, piece.active);
  });
}

void ArgSpec::emit(KernelBuilder &kb) const { emitArg(kb, *this); }

LoweredStep native::makeArg(const ArgSpec &spec, const RowShape &shape, StepBuffer input,
                            StepBuffer result) {
  LoweredStep step;
  step.dims = planRowTasks(shape, spec.dtype, /*passes=*/2, step);
  step.buffers = {std::move(input), std::move(result)};
  step.kernel = kernelOf(spec);
  return step;
}
