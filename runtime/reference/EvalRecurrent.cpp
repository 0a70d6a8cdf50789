//===- EvalRecurrent.cpp - reference kernel of RNN, GRU and LSTM ----------===//
//
// One sequence of the batch at a time, in double from its first step to its last.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/Recurrent.h"

#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::reference;

namespace {
/// What the operands and attributes of a call say.
struct Recurrence {
  CellKind cell;
  RecurrentDirection direction;
  std::vector<int64_t> activations;
  std::vector<double> alpha, beta;
  double clip, cellClip;
  bool inputForget, linearBeforeReset;
  int64_t steps, batch, directions, gates, hidden;
};

enum Operand { kInput, kRecurrence, kBias, kLengths, kInitialH, kInitialC, kPeepholes };
} // namespace

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

static Status checkDims(const Tensor &operand, std::string_view name, const Tensor::Dims &wanted) {
  if (!operand.isPresent() || operand.dims() == wanted)
    return Status::ok();
  return invalidInput(
      fmt::format("{} must have shape {}, found {}", name, formatDims(wanted), operand.describe()));
}

static Status checkShapes(const TensorList &inputs, const Recurrence &r) {
  int64_t d = r.directions, b = r.batch, h = r.hidden;
  CheckedSize rows = CheckedSize(r.gates) * h;
  CheckedSize columns = rows * d;
  if (!columns.valid())
    return invalidInput("the sizes of the weights overflow");
  QUERN_TRY(checkDims(inputs[kInput], "input", {r.steps, b, columns.value()}));
  QUERN_TRY(checkDims(inputs[kRecurrence], "recurrence", {d, rows.value(), h}));
  QUERN_TRY(checkDims(inputs[kBias], "bias", {d, h}));
  QUERN_TRY(checkDims(inputs[kLengths], "lengths", {b}));
  QUERN_TRY(checkDims(inputs[kInitialH], "initial_h", {d, b, h}));
  QUERN_TRY(checkDims(inputs[kInitialC], "initial_c", {d, b, h}));
  return checkDims(inputs[kPeepholes], "peepholes", {d, 3 * h});
}

static Expected<Recurrence> readCall(const OpCall &call) {
  const Attributes &attributes = call.attributes;
  const Tensor &input = call.inputs[kInput], &weights = call.inputs[kRecurrence];
  if (input.rank() != 3 || weights.rank() != 3)
    return invalidInput(fmt::format("input and recurrence must have rank 3, found {} and {}",
                                    input.describe(), weights.describe()));
  Recurrence r;
  r.cell = attributes.getEnum("cell", CellKind::Lstm);
  r.direction = attributes.getEnum("direction", RecurrentDirection::Forward);
  r.activations = attributes.getInts("activations");
  r.alpha = attributes.getFloats("alpha");
  r.beta = attributes.getFloats("beta");
  r.clip = attributes.getFloat("clip", std::numeric_limits<double>::infinity());
  r.cellClip = attributes.getFloat("cell_clip", std::numeric_limits<double>::infinity());
  r.inputForget = attributes.getInt("input_forget");
  r.linearBeforeReset = attributes.getInt("linear_before_reset");
  r.directions = directionsOf(r.direction);
  r.gates = gatesOf(r.cell);
  r.steps = input.dim(0);
  r.batch = input.dim(1);
  r.hidden = weights.dim(2);
  auto count = static_cast<size_t>(activationsOf(r.cell) * r.directions);
  if (r.activations.size() != count || r.alpha.size() != count || r.beta.size() != count)
    return invalidInput(fmt::format("needs {} activations, found {}", count, r.activations.size()));
  QUERN_TRY(checkShapes(call.inputs, r));
  return r;
}

/// The steps of one sequence. After none the state is still the initial one, which ONNX leaves
/// open: as in TensorFlow, so that a sequence may come in pieces (ONNX Runtime gives zeros).
static Expected<int64_t> lengthOf(const Tensor &lengths, int64_t sequence, int64_t steps) {
  if (!lengths.isPresent())
    return steps;
  int64_t length = lengths.data<int32_t>()[sequence];
  if (length < 0 || length > steps)
    return invalidInput(fmt::format("the length {} of sequence {} is out of range for {} steps",
                                    length, sequence, steps));
  return length;
}

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

static double activate(CellActivation function, double alpha, double beta, double x) {
  switch (function) {
  case CellActivation::Relu:
    return x < 0 ? 0 : x;
  case CellActivation::LeakyRelu:
    return x < 0 ? alpha * x : x;
  case CellActivation::ThresholdedRelu:
    return x > alpha ? x : 0;
  case CellActivation::Tanh:
    return std::tanh(x);
  case CellActivation::ScaledTanh:
    return alpha * std::tanh(beta * x);
  case CellActivation::Sigmoid:
    return 1 / (1 + std::exp(-x));
  case CellActivation::HardSigmoid: {
    double y = alpha * x + beta;
    return y < 0 ? 0 : y > 1 ? 1 : y;
  }
  case CellActivation::Elu:
    return x < 0 ? alpha * std::expm1(x) : x;
  case CellActivation::Softsign:
    return x / (1 + std::abs(x));
  case CellActivation::Softplus:
    return (x < 0 ? 0 : x) + std::log1p(std::exp(-std::abs(x)));
  case CellActivation::Affine:
    return alpha * x + beta;
  }
  return x;
}

namespace {
/// The recurrence of one direction of one sequence, with weights W for states T.
template <typename T, typename W> class SequenceCell {
public:
  SequenceCell(const OpCall &call, const Recurrence &r, std::span<double> memory)
      : call(call), r(r), h(memory.first(r.hidden)), c(memory.subspan(r.hidden, r.hidden)),
        reset(memory.subspan(2 * r.hidden, r.hidden)), sums(memory.subspan(3 * r.hidden)) {}

  Status run(int64_t whichDirection, int64_t whichSequence, int64_t length, Tensor &y);
  /// The h (or c) after the last step.
  void storeState(std::span<const double> state, Tensor &to) const {
    for (int64_t j = 0; j < r.hidden; ++j)
      to.mutableData<T>()[stateOffset() + j] = narrow<T>(state[j]);
  }

  std::span<double> hidden() const { return h; }
  std::span<double> cell() const { return c; }

private:
  int64_t stateOffset() const { return (direction * r.batch + sequence) * r.hidden; }
  void loadState(const Tensor &from, std::span<double> state) const {
    for (int64_t j = 0; j < r.hidden; ++j)
      state[j] = from.isPresent() ? widen(from.data<T>()[stateOffset() + j]) : 0.0;
  }
  /// sums[gate] = what the input gives to the gate + R of the gate times `from`.
  Status sumGate(int64_t gate, int64_t step, std::span<const double> from, bool withInput = true);
  double inputAt(int64_t gate, int64_t step, int64_t j) const {
    int64_t row = (step * r.batch + sequence) * r.directions + direction;
    return widen(call.inputs[kInput].data<T>()[(row * r.gates + gate) * r.hidden + j]);
  }
  /// Activation `number` of the direction: 0 is f, 1 is g, 2 is h.
  double apply(int64_t number, double x) const {
    int64_t i = direction * activationsOf(r.cell) + number;
    return activate(static_cast<CellActivation>(r.activations[i]), r.alpha[i], r.beta[i], x);
  }
  static double bounded(double x, double most) { return x < -most ? -most : x > most ? most : x; }
  double clipped(double x) const { return bounded(x, r.clip); }
  double peephole(int64_t gate, int64_t j) const {
    const Tensor &weights = call.inputs[kPeepholes];
    return weights.isPresent()
               ? widen(weights.data<T>()[(direction * 3 + gate) * r.hidden + j]) * c[j]
               : 0.0;
  }
  double &sum(int64_t gate, int64_t j) { return sums[gate * r.hidden + j]; }

  Status stepRnn(int64_t step);
  Status stepGru(int64_t step);
  Status stepLstm(int64_t step);

  const OpCall &call;
  const Recurrence &r;
  int64_t direction = 0, sequence = 0;
  std::span<double> h, c, reset, sums;
};
} // namespace

/// A state as a factor: narrow weights meet states of their type.
template <typename T, typename W> static double asFactor(double state) {
  return std::is_same_v<T, W> ? state : widen(narrow<W>(state));
}

template <typename T, typename W>
Status SequenceCell<T, W>::sumGate(int64_t gate, int64_t step, std::span<const double> from,
                                   bool withInput) {
  const W *weights =
      call.inputs[kRecurrence].data<W>() + (direction * r.gates + gate) * r.hidden * r.hidden;
  for (int64_t j = 0; j < r.hidden; ++j) {
    QUERN_TRY(call.budget.spend(r.hidden + 16));
    double total = withInput ? inputAt(gate, step, j) : 0;
    for (int64_t k = 0; k < r.hidden; ++k)
      total += asFactor<T, W>(from[k]) * widen(weights[j * r.hidden + k]);
    sum(gate, j) = total;
  }
  return Status::ok();
}

/// h = f(i)
template <typename T, typename W> Status SequenceCell<T, W>::stepRnn(int64_t step) {
  QUERN_TRY(sumGate(0, step, h));
  for (int64_t j = 0; j < r.hidden; ++j)
    h[j] = apply(0, clipped(sum(0, j)));
  return Status::ok();
}

/// z = f(z), r = f(r), h~ = g(of r * h, or r * of h), h = (1 - z) * h~ + z * h
template <typename T, typename W> Status SequenceCell<T, W>::stepGru(int64_t step) {
  QUERN_TRY(sumGate(0, step, h));
  QUERN_TRY(sumGate(1, step, h));
  for (int64_t j = 0; j < r.hidden; ++j)
    reset[j] = apply(0, clipped(sum(1, j)));
  const Tensor &bias = call.inputs[kBias];
  if (r.linearBeforeReset) {
    QUERN_TRY(sumGate(2, step, h, /*withInput=*/false));
    for (int64_t j = 0; j < r.hidden; ++j) {
      double own = bias.isPresent() ? widen(bias.data<T>()[direction * r.hidden + j]) : 0.0;
      sum(2, j) = inputAt(2, step, j) + reset[j] * (sum(2, j) + own);
    }
  } else {
    for (int64_t j = 0; j < r.hidden; ++j)
      reset[j] *= h[j];
    QUERN_TRY(sumGate(2, step, reset));
  }
  for (int64_t j = 0; j < r.hidden; ++j) {
    double z = apply(0, clipped(sum(0, j)));
    h[j] = (1 - z) * apply(1, clipped(sum(2, j))) + z * h[j];
  }
  return Status::ok();
}

/// i = f(i + Pi c), f = f(f + Pf c) or 1 - i, c = f * c + i * g(c~), o = f(o + Po c),
/// h = o * h(c)
template <typename T, typename W> Status SequenceCell<T, W>::stepLstm(int64_t step) {
  enum { kI, kO, kF, kC };
  for (int64_t gate : {kI, kO, kF, kC})
    QUERN_TRY(sumGate(gate, step, h));
  for (int64_t j = 0; j < r.hidden; ++j) {
    double i = apply(0, clipped(sum(kI, j) + peephole(0, j)));
    double f = r.inputForget ? 1 - i : apply(0, clipped(sum(kF, j) + peephole(2, j)));
    c[j] = bounded(f * c[j] + i * apply(1, clipped(sum(kC, j))), r.cellClip);
    h[j] = apply(0, clipped(sum(kO, j) + peephole(1, j))) * apply(2, c[j]);
  }
  return Status::ok();
}

template <typename T, typename W>
Status SequenceCell<T, W>::run(int64_t whichDirection, int64_t whichSequence, int64_t length,
                               Tensor &y) {
  direction = whichDirection;
  sequence = whichSequence;
  bool isReverse = direction == 1 || r.direction == RecurrentDirection::Reverse;
  loadState(call.inputs[kInitialH], h);
  loadState(call.inputs[kInitialC], c);
  for (int64_t s = 0; s < length; ++s) {
    int64_t step = isReverse ? length - 1 - s : s;
    QUERN_TRY(r.cell == CellKind::Lstm  ? stepLstm(step)
              : r.cell == CellKind::Gru ? stepGru(step)
                                        : stepRnn(step));
    T *out =
        y.mutableData<T>() + ((step * r.directions + direction) * r.batch + sequence) * r.hidden;
    for (int64_t j = 0; j < r.hidden; ++j)
      out[j] = narrow<T>(h[j]);
  }
  return Status::ok();
}

/// Runs all sequences in all directions; `state` is memory for one.
template <typename T, typename W>
static Status runSequences(const OpCall &call, const Recurrence &r, std::span<double> state,
                           std::vector<Tensor> &results) {
  SequenceCell<T, W> cell(call, r, state);
  for (int64_t d = 0; d < r.directions; ++d)
    for (int64_t b = 0; b < r.batch; ++b) {
      QUERN_TRY(call.budget.spend(16 + r.hidden));
      QUERN_ASSIGN(int64_t length, lengthOf(call.inputs[kLengths], b, r.steps));
      QUERN_TRY(cell.run(d, b, length, results[0]));
      cell.storeState(cell.hidden(), results[1]);
      if (results.size() > 2)
        cell.storeState(cell.cell(), results[2]);
    }
  return Status::ok();
}

static Expected<std::vector<Tensor>> evalRecurrent(const OpCall &call) {
  QUERN_ASSIGN(Recurrence r, readCall(call));
  DType dtype = call.inputs[kInput].dtype();
  Tensor::Dims stateDims = {r.directions, r.batch, r.hidden};
  CheckedSize products = CheckedSize(r.steps) * r.batch * r.directions * r.gates * r.hidden;
  QUERN_TRY(call.budget.require(products * (CheckedSize(r.hidden) + 16)));
  QUERN_ASSIGN(Tensor y, call.allocateResult(0, dtype, {r.steps, r.directions, r.batch, r.hidden}));
  QUERN_ASSIGN(Tensor lastH, call.allocateResult(1, dtype, stateDims));
  std::vector<Tensor> results = {y, lastH};
  if (r.cell == CellKind::Lstm) {
    QUERN_ASSIGN(Tensor lastC, call.allocateResult(2, dtype, stateDims));
    results.push_back(lastC);
  }
  CheckedSize memory = CheckedSize(3 + r.gates) * r.hidden;
  QUERN_ASSIGN(std::span<double> state, call.budget.scratch<double>(memory));
  DType factors = call.inputs[kRecurrence].dtype();
  if (dtype == factors)
    QUERN_TRY(visitFloat(
        dtype, [&]<typename T>() { return runSequences<T, T>(call, r, state, results); }));
  else if (dtype == DType::Float32 && factors == DType::BFloat16)
    QUERN_TRY((runSequences<float, BFloat16>(call, r, state, results)));
  else if (dtype == DType::Float32 && factors == DType::Float16)
    QUERN_TRY((runSequences<float, Float16>(call, r, state, results)));
  else
    return invalidInput("input and recurrence are of different types");
  return results;
}

std::span<const EvaluatorRow> reference::recurrentEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.recurrent", evalRecurrent},
  };
  return rows;
}
