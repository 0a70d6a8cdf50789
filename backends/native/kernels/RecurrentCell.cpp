//===- RecurrentCell.cpp - from the sums of gates to the next state -------===//
#include "backends/native/kernels/RecurrentCell.h"

#include "ir/Elementwise.h"
#include "ir/ScalarEmitter.h"

#include <cassert>

using namespace mlir;
using namespace quern;
using namespace quern::native;

Value RecurrentCell::product(Value a, Value b) {
  return nn::ScalarEmitter(kb.builder(), kb.loc(), spec.dtype, spec.lanes).mul(a, b);
}

Value RecurrentCell::clipped(Value x) { return bounded(x, spec.clip); }

Value RecurrentCell::bounded(Value x, std::optional<double> most) {
  if (!most)
    return x;
  nn::ScalarEmitter e(kb.builder(), kb.loc(), spec.dtype, spec.lanes);
  return e.atMost(e.atLeast(x, -*most), *most);
}

/// The functions are rows of the elementwise table, but for two that ONNX has no op of.
Value RecurrentCell::activate(int64_t number, Value x) {
  const RecurrentSpec::Activation &activation = spec.activations[number];
  nn::ScalarEmitter e(kb.builder(), kb.loc(), spec.dtype, spec.lanes);
  Value alpha = e.constant(activation.alpha), beta = e.constant(activation.beta);
  if (activation.function == CellActivation::Affine)
    return e.fma(x, alpha, beta);
  if (activation.function == CellActivation::ScaledTanh)
    return e.mul(alpha, e.tanh(e.mul(beta, x)));
  const nn::ElementwiseInfo *row = nn::lookupElementwiseByOnnxName(nameOf(activation.function));
  assert(row && row->params.size() <= 2 && "an activation without an elementwise op");
  double parameters[] = {activation.alpha, activation.beta};
  return row->emit(e, x, ArrayRef(parameters).take_front(row->params.size()));
}

Value RecurrentCell::mix(Value z, Value candidate, Value h) {
  nn::ScalarEmitter e(kb.builder(), kb.loc(), spec.dtype, spec.lanes);
  return e.add(e.mul(e.sub(e.constant(1), z), candidate), e.mul(z, h));
}

LstmState RecurrentCell::lstm(const LstmSums &sums, Value c, const LstmPeepholes &peepholes) {
  nn::ScalarEmitter e(kb.builder(), kb.loc(), spec.dtype, spec.lanes);
  auto withPeephole = [&](Value sum, Value weight, Value state) {
    return weight ? kb.multiplyAdd(weight, state, sum) : sum;
  };
  Value input = gate(0, withPeephole(sums.input, peepholes.input, c));
  Value forget = spec.inputForget ? e.sub(e.constant(1), input)
                                  : gate(0, withPeephole(sums.forget, peepholes.forget, c));
  Value next = kb.multiplyAdd(forget, c, e.mul(input, gate(1, sums.candidate)));
  next = bounded(next, spec.cellClip);
  Value output = gate(0, withPeephole(sums.output, peepholes.output, next));
  return {e.mul(output, activate(2, next)), next};
}
