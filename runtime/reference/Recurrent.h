//===- Recurrent.h - what recurrent ops choose from -----------------------===//
//
// As runtime/reference/Enumerations.h, for attributes of nn.recurrent only.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/reference/Enumerations.h"

#include <cstdint>

namespace quern {

/// What a time step computes.
enum class CellKind { Rnn, Gru, Lstm };

/// In which order a sequence is read; of two directions the second is the reverse.
enum class RecurrentDirection { Forward, Reverse, Bidirectional };

/// The functions of gates, with ONNX's parameters alpha and beta.
enum class CellActivation {
  Relu,
  LeakyRelu,
  ThresholdedRelu,
  Tanh,
  ScaledTanh,
  Sigmoid,
  HardSigmoid,
  Elu,
  Softsign,
  Softplus,
  Affine,
};

template <> inline constexpr std::string_view kEnumNames<CellKind>[] = {"rnn", "gru", "lstm"};
template <>
inline constexpr std::string_view kEnumNames<RecurrentDirection>[] = {"forward", "reverse",
                                                                      "bidirectional"};
template <>
inline constexpr std::string_view kEnumNames<CellActivation>[] = {
    "Relu",        "LeakyRelu", "ThresholdedRelu", "Tanh",     "ScaledTanh", "Sigmoid",
    "HardSigmoid", "Elu",       "Softsign",        "Softplus", "Affine"};

/// Gates of a cell: rows of its weights, in units of the hidden size.
constexpr int64_t gatesOf(CellKind cell) {
  return cell == CellKind::Lstm ? 4 : cell == CellKind::Gru ? 3 : 1;
}
/// Activations of a cell in one direction: f; f and g; f, g and h.
constexpr int64_t activationsOf(CellKind cell) {
  return cell == CellKind::Lstm ? 3 : cell == CellKind::Gru ? 2 : 1;
}
constexpr int64_t directionsOf(RecurrentDirection direction) {
  return direction == RecurrentDirection::Bidirectional ? 2 : 1;
}

} // namespace quern
