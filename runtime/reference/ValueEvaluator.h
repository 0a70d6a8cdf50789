//===- ValueEvaluator.h - reference kernels on values of any kind ---------===//
//
// Kernels of ops with operands or results that are no tensors. Elements of sequences
// and optionals are shared, never copied. A sequence that nobody reads afterwards is changed
// in its place.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/ValueList.h"
#include "runtime/reference/Evaluator.h"

namespace quern::reference {

/// Values in a sequence: far beyond what models build one by one, and what holds them
/// fits into memory.
inline constexpr int64_t kMaxSequenceLength = int64_t{1} << 20;

/// One application of an op to values.
struct ValueCall {
  /// "nn.sequence_at".
  std::string_view opName;
  const Attributes &attributes;
  /// One per operand; absent tensors stand for `nn.none`.
  ValueList inputs;
  /// The declared types of the results.
  std::span<const ValueType> resultTypes;
  /// As OpCall::budget.
  Budget &budget;
  /// As ReferenceArguments::takeable.
  std::span<AnyValue> takeable = {};

  /// As ReferenceArguments::take.
  AnyValue take(size_t i) const { return takeable.empty() ? inputs[i] : std::move(takeable[i]); }
};

/// As EvalFunction.
using ValueEvalFunction = Expected<std::vector<AnyValue>> (*)(const ValueCall &call);

/// The kernel of an op on values of any kind, or null: then it is one on tensors.
ValueEvalFunction findValueEvaluator(std::string_view opName);

/// One row of a family's table of such kernels.
struct ValueEvaluatorRow {
  std::string_view opName;
  ValueEvalFunction function;
};
std::span<const ValueEvaluatorRow> labelValueEvaluators();
std::span<const ValueEvaluatorRow> sequenceEvaluators();

} // namespace quern::reference
