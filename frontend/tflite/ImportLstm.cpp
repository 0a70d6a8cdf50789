//===- ImportLstm.cpp - long short-term memory ----------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"
#include "frontend/tflite/Sequences.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;
using Order = llvm::ArrayRef<int64_t>;

/// Gates as files have them one after another.
enum Gate { kInputGate, kForgetGate, kCellGate, kOutputGate };
/// As nn.recurrent has them.
static constexpr Gate kGates[] = {kInputGate, kOutputGate, kForgetGate, kCellGate};
/// Peepholes are of three gates, the output's is their last.
static constexpr int kPeepholes[] = {0, 2, 1};

static constexpr int kNowhere = 1 << 10;

namespace {
/// Where an op has what belongs to one direction, the first of several where these follow.
struct Places {
  int weights, recurrence, peepholes, biases, projection, h, c;
  int norms = kNowhere, secondWeights = kNowhere;
};

/// One direction, in real numbers, its gates in the order of nn.recurrent. What the op does not
/// have is `nn.none`.
struct Lstm {
  /// [4 * hidden, size of h], [3 * hidden], [4 * hidden]
  Value recurrence, peepholes, norms, biases;
  Value projection, projectionBias, h, c;
  file::Activation activation;
  double cellClip, projectionClip;
  bool isReverse;

  bool isCellOfDialect() const {
    return nn::isNone(projection) && nn::isNone(norms) && cellActivation(activation);
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

static bool canBeSame(const nn::Shape &a, const nn::Shape &b) {
  bool fits = a.rank() == b.rank();
  for (int64_t i = 0; fits && i < a.rank(); ++i)
    fits = a[i].compatibleWith(b[i]);
  return fits;
}

/// Vectors or matrices of all gates, from input `first` on, one below the other. Without an input
/// gate that is 1 - forget gate: the sigmoid of the negated.
static Value joinGates(OpReader &op, int first, llvm::ArrayRef<int> order, bool negates) {
  llvm::SmallVector<Value> parts;
  std::optional<nn::Shape> shape = op.inputShape(first + kForgetGate);
  for (int gate : order) {
    bool isLeftOut = gate == kInputGate && !op.hasInput(first);
    int i = isLeftOut ? first + kForgetGate : first + gate;
    if (!op.hasInput(i)) {
      op.invalid(fmt::format("input {} is left out", i));
      return op.none();
    }
    if (std::optional<nn::Shape> found = op.inputShape(i);
        found && shape && !canBeSame(*found, *shape))
      op.invalid(fmt::format("input {} has shape {}, the forget gate's {}", i, found->str(),
                             shape->str()));
    Value part = op.real(i);
    if (op.failed())
      return op.none();
    parts.push_back(isLeftOut && negates ? op.create<nn::NegOp>(part) : part);
  }
  return op.create<nn::ConcatOp>(mlir::ValueRange(parts), /*axis=*/int64_t{0});
}

static Value joinAll(OpReader &op, int first, bool negates = true) {
  static constexpr int order[] = {kGates[0], kGates[1], kGates[2], kGates[3]};
  return joinGates(op, first, order, negates);
}

/// [steps, batch, 4 * hidden]
static Value inputProduct(OpReader &op, Value x, int weights) {
  return op.create<nn::MatMulOp>(x, op.create<nn::TransposeOp>(joinAll(op, weights), Order{1, 0}));
}

static Lstm readLstm(OpReader &op, const Places &at) {
  Lstm lstm = {};
  Value none = op.none();
  lstm.recurrence = joinAll(op, at.recurrence);
  lstm.peepholes = op.hasInput(at.peepholes + kForgetGate)
                       ? joinGates(op, at.peepholes, kPeepholes, true)
                       : none;
  lstm.norms =
      op.hasInput(at.norms + kForgetGate) ? joinAll(op, at.norms, /*negates=*/false) : none;
  lstm.biases = joinAll(op, at.biases);
  lstm.projection = op.real(at.projection);
  lstm.projectionBias = op.real(at.projection + 1);
  lstm.h = firstState(op, at.h);
  lstm.c = firstState(op, at.c);
  return lstm;
}

//===----------------------------------------------------------------------===//
// Steps that nn.recurrent does not have
//===----------------------------------------------------------------------===//

static Value bounded(OpReader &op, Value x, double most) {
  if (!(most > 0))
    return x;
  Value raised = op.create<nn::MaxOp>(x, constantLike(op, -most, x));
  return op.create<nn::MinOp>(raised, constantLike(op, most, x));
}

/// Each row with a mean of 0 and a deviation of 1.
static Value normalized(OpReader &op, Value x) {
  auto mean = [&](Value value) {
    return op.create<nn::ReduceOp>(value, op.intsConstant({-1}), ReduceKind::Mean,
                                   /*keepdims=*/true, /*noop_with_empty_axes=*/false);
  };
  Value centred = op.create<nn::SubOp>(x, mean(x));
  Value variance = mean(op.create<nn::MulOp>(centred, centred));
  Value least = constantLike(op, 1e-8, variance);
  return op.create<nn::DivOp>(centred,
                              op.create<nn::SqrtOp>(op.create<nn::AddOp>(variance, least)));
}

namespace {
/// Vectors of each gate.
struct Parts {
  llvm::SmallVector<Value> peepholes, norms, biases;
};
} // namespace

static llvm::SmallVector<Value> splitIn(OpReader &op, Value joined, size_t count, int64_t axis) {
  if (nn::isNone(joined))
    return llvm::SmallVector<Value>(count, op.none());
  return llvm::SmallVector<Value>(
      op.createMulti<nn::SplitOp>(count, joined, op.none(), int64_t{axis}));
}

/// What a gate is before its function.
static Value gateOf(OpReader &op, const Parts &parts, size_t gate, Value sum, Value c) {
  if (gate < parts.peepholes.size() && !nn::isNone(parts.peepholes[gate]))
    sum = op.create<nn::AddOp>(sum, op.create<nn::MulOp>(c, parts.peepholes[gate]));
  if (nn::isNone(parts.norms[gate]))
    return sum;
  Value scaled = op.create<nn::MulOp>(normalized(op, sum), parts.norms[gate]);
  return op.create<nn::AddOp>(scaled, parts.biases[gate]);
}

/// h, c after a step; `slice` is what its input gives to the gates.
static llvm::SmallVector<Value> stepOf(OpReader &op, const Lstm &lstm, const Parts &parts,
                                       llvm::ArrayRef<Value> states, Value slice) {
  enum { kI, kO, kF, kC };
  Value turned = op.create<nn::TransposeOp>(lstm.recurrence, Order{1, 0});
  Value sum = op.create<nn::AddOp>(slice, op.create<nn::MatMulOp>(states[0], turned));
  llvm::SmallVector<Value> sums = splitIn(op, sum, 4, -1);
  Value c = states[1];
  auto gate = [&](size_t which, Value state) {
    return gateOf(op, parts, which, sums[which], state);
  };
  Value input = op.create<nn::SigmoidOp>(gate(kI, c)),
        forget = op.create<nn::SigmoidOp>(gate(kF, c));
  Value candidate = createFused(op, gate(kC, c), lstm.activation);
  Value next =
      op.create<nn::AddOp>(op.create<nn::MulOp>(forget, c), op.create<nn::MulOp>(input, candidate));
  next = bounded(op, next, lstm.cellClip);
  Value output = op.create<nn::SigmoidOp>(gate(kO, next));
  Value h = op.create<nn::MulOp>(output, createFused(op, next, lstm.activation));
  if (!nn::isNone(lstm.projection)) {
    h = op.create<nn::GemmOp>(h, lstm.projection, lstm.projectionBias, llvm::APFloat(1.0),
                              llvm::APFloat(1.0), /*trans_a=*/false, /*trans_b=*/true);
    h = bounded(op, h, lstm.projectionClip);
  }
  return {h, next};
}

static Value scanLstm(OpReader &op, const Lstm &lstm, Value gates) {
  Parts parts = {splitIn(op, lstm.peepholes, 3, 0), splitIn(op, lstm.norms, 4, 0),
                 splitIn(op, lstm.biases, 4, 0)};
  Value hidden = dividedSize(op, op.sizeOf(lstm.recurrence, 0), 4);
  Value h = stateOrZeros(op, lstm.h, gates, op.sizeOf(lstm.recurrence, 1));
  Value c = stateOrZeros(op, lstm.c, gates, hidden);
  return scanSteps(op, {h, c}, gates, lstm.isReverse,
                   [&](llvm::ArrayRef<Value> states, Value slice) {
                     return stepOf(op, lstm, parts, states, slice);
                   });
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// `gates`: what the inputs give, [steps, batch, 4 * hidden]. The h of each step.
static Value createLstm(OpReader &op, const Lstm &lstm, Value gates) {
  if (op.failed())
    return op.none();
  // Norms come between: their biases are added after them.
  if (nn::isNone(lstm.norms))
    gates = op.create<nn::AddOp>(gates, lstm.biases);
  if (!lstm.isCellOfDialect())
    return scanLstm(op, lstm, gates);
  CellActivation function = *cellActivation(lstm.activation);
  return createRecurrence(op, {.cell = CellKind::Lstm,
                               .gates = gates,
                               .weights = lstm.recurrence,
                               .h = lstm.h,
                               .c = lstm.c,
                               .peepholes = lstm.peepholes,
                               .activations = {CellActivation::Sigmoid, function, function},
                               .cellClip = lstm.cellClip,
                               .isReverse = lstm.isReverse});
}

template <typename Options> static void setOptions(Lstm &lstm, const Options &options) {
  lstm.activation = options.activation();
  lstm.cellClip = double(options.cell_clip());
  lstm.projectionClip = double(options.projection_clip());
}

static void importLstm(OpReader &op) {
  constexpr Places kPlaces = {.weights = 1,
                              .recurrence = 5,
                              .peepholes = 9,
                              .biases = 12,
                              .projection = 16,
                              .h = 18,
                              .c = 19,
                              .norms = 20};
  const auto &options = op.options<file::LstmOptions>();
  if (options.diagonal())
    return op.unsupported("recurrent weights that are diagonals");
  Value x = sequenceOf(op, 0, options.time_major());
  if (op.failed())
    return;
  Lstm lstm = readLstm(op, kPlaces);
  setOptions(lstm, options);
  Value y = createLstm(op, lstm, inputProduct(op, x, kPlaces.weights));
  setSequence(op, 0, y, options.time_major());
}

/// As for simple networks, a second sequence without weights is what the second direction reads.
static void importBidirectionalLstm(OpReader &op) {
  enum { kSecond = 39 };
  constexpr Places kForward = {.weights = 1,
                               .recurrence = 5,
                               .peepholes = 9,
                               .biases = 12,
                               .projection = 16,
                               .h = 35,
                               .c = 36,
                               .secondWeights = 40};
  constexpr Places kBackward = {.weights = 18,
                                .recurrence = 22,
                                .peepholes = 26,
                                .biases = 29,
                                .projection = 33,
                                .h = 37,
                                .c = 38,
                                .secondWeights = 44};
  const auto &options = op.options<file::BidirectionalLstmOptions>();
  bool isTimeMajor = options.time_major();
  Value x = sequenceOf(op, 0, isTimeMajor), second;
  if (op.hasInput(kSecond))
    second = sequenceOf(op, kSecond, isTimeMajor);
  bool crosses = second && op.hasInput(kForward.secondWeights + kForgetGate);
  llvm::SmallVector<Value> results;
  for (const Places &at : {kForward, kBackward}) {
    bool isReverse = !results.empty();
    Lstm lstm = readLstm(op, at);
    if (op.failed())
      return;
    setOptions(lstm, options);
    lstm.isReverse = isReverse;
    Value gates = inputProduct(op, isReverse && second && !crosses ? second : x, at.weights);
    if (crosses)
      gates = op.create<nn::AddOp>(gates, inputProduct(op, second, at.secondWeights));
    results.push_back(createLstm(op, lstm, gates));
  }
  if (op.failed())
    return;
  if (options.merges())
    return setSequence(op, 0,
                       op.create<nn::ConcatOp>(mlir::ValueRange(results), /*axis=*/int64_t{2}),
                       isTimeMajor);
  setSequence(op, 0, results[0], isTimeMajor);
  setSequence(op, 1, results[1], isTimeMajor);
}

std::span<const OpRow> tflite::lstmImports() {
  static constexpr OpRow rows[] = {
      {Op::BIDIRECTIONAL_SEQUENCE_LSTM, 1, 48, importBidirectionalLstm},
      {Op::UNIDIRECTIONAL_SEQUENCE_LSTM, 1, 24, importLstm},
  };
  return rows;
}
