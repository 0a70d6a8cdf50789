//===- RecurrentCell.h - from the sums of gates to the next state ---------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/native/kernels/RecurrentKernel.h"

namespace quern::native {

/// Vectors of an LSTM's peephole weights; null without any.
struct LstmPeepholes {
  mlir::Value input, output, forget;
};
/// Vectors of the sums of an LSTM's gates.
struct LstmSums {
  mlir::Value input, output, forget, candidate;
};
struct LstmState {
  mlir::Value h, c;
};

/// Emits the arithmetic of a cell on vectors of hidden units.
class RecurrentCell {
public:
  RecurrentCell(KernelBuilder &kb, const RecurrentSpec &spec) : kb(kb), spec(spec) {}

  mlir::Value constant(double value) { return kb.floatConstant(spec.dtype, spec.lanes, value); }
  mlir::Value product(mlir::Value a, mlir::Value b);
  /// Activation `number` (0 is f, 1 is g, 2 is h) of a clipped sum.
  mlir::Value gate(int64_t number, mlir::Value sum) { return activate(number, clipped(sum)); }
  /// (1 - z) * candidate + z * h
  mlir::Value mix(mlir::Value z, mlir::Value candidate, mlir::Value h);
  LstmState lstm(const LstmSums &sums, mlir::Value c, const LstmPeepholes &peepholes);

private:
  mlir::Value activate(int64_t number, mlir::Value x);
  mlir::Value clipped(mlir::Value x);
  mlir::Value bounded(mlir::Value x, std::optional<double> most);

  KernelBuilder &kb;
  const RecurrentSpec &spec;
};

} // namespace quern::native
