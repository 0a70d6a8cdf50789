//===- ImportRnn.cpp - simple recurrent networks --------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"
#include "frontend/tflite/Sequences.h"

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

/// Of a direction: weights at `first` [units, size], recurrent weights, biases, state; weights of
/// the second input at `aux`.
static Value createRnn(OpReader &op, Value x, Value second, int first, int aux,
                       file::Activation activation, bool isReverse) {
  using Order = llvm::ArrayRef<int64_t>;
  auto times = [&](Value sequence, int weights) {
    return op.create<nn::MatMulOp>(sequence,
                                   op.create<nn::TransposeOp>(op.real(weights), Order{1, 0}));
  };
  Value gates = times(x, first);
  if (second)
    gates = op.create<nn::AddOp>(gates, times(second, aux));
  gates = op.create<nn::AddOp>(gates, op.real(first + 2));
  Value weights = op.real(first + 1), h = firstState(op, first + 3);
  if (op.failed())
    return op.none();
  if (std::optional<CellActivation> function = cellActivation(activation))
    return createRecurrence(op, {.cell = CellKind::Rnn,
                                 .gates = gates,
                                 .weights = weights,
                                 .h = h,
                                 .c = {},
                                 .peepholes = {},
                                 .activations = {*function},
                                 .isReverse = isReverse});
  Value turned = op.create<nn::TransposeOp>(weights, Order{1, 0});
  h = stateOrZeros(op, h, gates, op.sizeOf(weights, 0));
  return scanSteps(op, {h}, gates, isReverse, [&](llvm::ArrayRef<Value> states, Value slice) {
    Value sum = op.create<nn::AddOp>(slice, op.create<nn::MatMulOp>(states[0], turned));
    return llvm::SmallVector<Value>{createFused(op, sum, activation)};
  });
}

/// Inputs: the sequence, weights, recurrent weights, biases, the state.
static void importSequenceRnn(OpReader &op) {
  const auto &options = op.options<file::SequenceRnnOptions>();
  Value x = sequenceOf(op, 0, options.time_major());
  if (op.failed())
    return;
  Value y = createRnn(op, x, Value(), 1, 0, options.activation(), /*isReverse=*/false);
  setSequence(op, 0, y, options.time_major());
}

/// Inputs: the sequence, four of each direction as above, a second sequence, its weights of each
/// direction. Without these it is what the second direction reads.
static void importBidirectionalRnn(OpReader &op) {
  enum { kForward = 1, kBackward = 5, kSecond = 9, kForwardAux, kBackwardAux };
  const auto &options = op.options<file::BidirectionalRnnOptions>();
  bool isTimeMajor = options.time_major();
  Value x = sequenceOf(op, 0, isTimeMajor), second;
  if (op.hasInput(kSecond))
    second = sequenceOf(op, kSecond, isTimeMajor);
  if (op.failed())
    return;
  bool crosses = second && op.hasInput(kForwardAux) && op.hasInput(kBackwardAux);
  // LiteRT's kernel gives something else than with the steps first.
  if (second && !crosses && !isTimeMajor)
    return op.unsupported("a sequence of its own for the second direction, batches first");
  Value both = crosses ? second : Value();
  Value there = createRnn(op, x, both, kForward, kForwardAux, options.activation(), false);
  Value back = createRnn(op, second && !crosses ? second : x, both, kBackward, kBackwardAux,
                         options.activation(), true);
  if (op.failed())
    return;
  if (options.merges())
    return setSequence(op, 0,
                       op.create<nn::ConcatOp>(mlir::ValueRange{there, back}, /*axis=*/int64_t{2}),
                       isTimeMajor);
  setSequence(op, 0, there, isTimeMajor);
  setSequence(op, 1, back, isTimeMajor);
}

std::span<const OpRow> tflite::rnnImports() {
  static constexpr OpRow rows[] = {
      {Op::BIDIRECTIONAL_SEQUENCE_RNN, 9, 12, importBidirectionalRnn},
      {Op::UNIDIRECTIONAL_SEQUENCE_RNN, 5, 5, importSequenceRnn},
  };
  return rows;
}
