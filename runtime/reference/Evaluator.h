//===- Evaluator.h - reference kernels, MLIR-free -------------------------===//
//
// One readable kernel per op, in files by op family (EvalConv.cpp, ...). The
// interpreter, constant folding and plan steps without native code share them.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Tensor.h"
#include "quern/ValueList.h"
#include "runtime/plan/ReferenceFunction.h"
#include "runtime/reference/ScalarFunction.h"
#include "runtime/running/Budget.h"

#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace quern::reference {

/// The attributes of one op. Getters return the default for a missing one.
class Attributes {
public:
  using Value = std::variant<int64_t, double, std::string, std::vector<int64_t>,
                             std::vector<double>, DType, Tensor>;

  void set(std::string name, Value value) { values[std::move(name)] = std::move(value); }
  /// Says that the op has those that are set, these that are not, and no others: a kernel that
  /// reads another, or one as another type, is wrong then.
  void complete(std::set<std::string, std::less<>> absent);
  /// Told the names of such wrong reads; null but in tests.
  static std::atomic<void (*)(std::string_view name)> onMisread;

  bool has(std::string_view name) const;
  int64_t getInt(std::string_view name, int64_t otherwise = 0) const;
  double getFloat(std::string_view name, double otherwise = 0) const;
  /// A value of an enumeration: its number is stored.
  template <typename E> E getEnum(std::string_view name, E otherwise) const {
    return static_cast<E>(getInt(name, static_cast<int64_t>(otherwise)));
  }
  std::string getString(std::string_view name, std::string otherwise = {}) const;
  std::vector<int64_t> getInts(std::string_view name) const;
  std::vector<double> getFloats(std::string_view name) const;
  DType getDType(std::string_view name) const;
  /// An absent tensor when missing.
  Tensor getTensor(std::string_view name) const;

private:
  /// The value of type T called `name`, or null when missing or of another type.
  template <typename T> const T *find(std::string_view name) const;

  std::map<std::string, Value, std::less<>> values;
  /// See complete; nullopt before.
  std::optional<std::set<std::string, std::less<>>> absent;
};

/// One application of an op to concrete tensors.
struct OpCall {
  /// "nn.conv".
  std::string_view opName;
  const Attributes &attributes;
  /// One per operand; absent tensors stand for `nn.none`.
  TensorList inputs;
  /// How many results the op has, and their declared element types.
  std::span<const DType> resultTypes;
  /// Where memory comes from, for results and scratch, and what long loops ask
  /// whether to go on: every row or tile is spent before it is computed. A kernel
  /// whose work is not about that of reading its operands and writing its results
  /// requires all of it before it begins.
  Budget &budget;
  /// As ReferenceArguments::places.
  std::span<const Tensor> places = {};

  /// Storage for result `number`, zero-filled (empty strings): its place, when it has
  /// one of this type and dims, and from the budget otherwise. It overlaps no operand
  /// and no other result. A result that has the elements of an operand, in their
  /// order, may share the operand's storage instead.
  Expected<Tensor> allocateResult(size_t number, DType dtype, Tensor::Dims dims) const;
  /// As allocateResult, with any contents (of strings too).
  Expected<Tensor> allocateResultUninitialized(size_t number, DType dtype, Tensor::Dims dims) const;
};

/// Computes the results, one per declared result. Shapes are taken from the
/// inputs and checked; errors say what is wrong without naming the node (the
/// caller adds it). Floating sums accumulate in double.
using EvalFunction = Expected<std::vector<Tensor>> (*)(const OpCall &call);

/// The reference kernel of a structured op ("nn.conv"), or null.
EvalFunction findEvaluator(std::string_view opName);

/// Applies a scalar function with NumPy broadcasting: the kernel of every
/// elementwise op. `functions` and `params` are those of its row.
Expected<std::vector<Tensor>> evaluateElementwise(const OpCall &call,
                                                  const ScalarFunctions &functions,
                                                  std::span<const double> params);

/// One row of a family's table of kernels.
struct EvaluatorRow {
  std::string_view opName;
  EvalFunction function;
};
// One table per op family, each in Eval<Family>.cpp.
std::span<const EvaluatorRow> attentionEvaluators();
std::span<const EvaluatorRow> contractionEvaluators();
std::span<const EvaluatorRow> convEvaluators();
std::span<const EvaluatorRow> dataMovementEvaluators();
std::span<const EvaluatorRow> gatherEvaluators();
std::span<const EvaluatorRow> imageEvaluators();
std::span<const EvaluatorRow> labelEvaluators();
std::span<const EvaluatorRow> linearAlgebraEvaluators();
std::span<const EvaluatorRow> normalizationEvaluators();
std::span<const EvaluatorRow> poolEvaluators();
std::span<const EvaluatorRow> quantEvaluators();
std::span<const EvaluatorRow> quantProductEvaluators();
std::span<const EvaluatorRow> randomEvaluators();
std::span<const EvaluatorRow> recurrentEvaluators();
std::span<const EvaluatorRow> reductionEvaluators();
std::span<const EvaluatorRow> selectionEvaluators();
std::span<const EvaluatorRow> signalEvaluators();
std::span<const EvaluatorRow> structureEvaluators();
std::span<const EvaluatorRow> suppressionEvaluators();
std::span<const EvaluatorRow> textEvaluators();
std::span<const EvaluatorRow> treeEvaluators();
std::span<const EvaluatorRow> visionEvaluators();
/// All of them.
std::vector<std::span<const EvaluatorRow>> evaluatorFamilies();

} // namespace quern::reference
