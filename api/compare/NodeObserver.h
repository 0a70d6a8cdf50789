//===- NodeObserver.h - compares each op of a plan as it runs -------------===//
#pragma once

#include "api/compare/ImportedNodes.h"
#include "backends/plan/StepObserver.h"
#include "quern/NodeComparison.h"

#include "mlir/IR/Operation.h"

#include <map>
#include <memory>
#include <mutex>

namespace quern {

/// What NodeComparison::nodes are made of. It outlives the plans.
class NodeObserver : public plan::StepObserver {
public:
  struct Settings {
    /// The bound of all nodes, where one is given.
    std::optional<Tolerance> tolerance;
    /// Factors are rounded to bfloat16, whatever the types of ops say.
    bool isLowered = false;
    bool flushes = true;
  };
  NodeObserver(ImportedNodes &imported, Settings settings)
      : imported(imported), settings(settings) {}

  plan::StepsAround observe(const plan::ObservedOp &observed) override;

  /// What was compared so far; to be called when nothing runs.
  void finish(NodeComparison &result) const;

private:
  struct Row {
    ComparedNode node;
    /// The rows whose values it takes.
    std::vector<size_t> producers;
    /// The outputs of the model that it is.
    std::vector<unsigned> outputs;
    /// Its channels lie in blocks of so many; 0: they do not.
    int64_t block = 0;
    /// How many comparisons failed before; none if it has not.
    std::optional<size_t> failure;
  };
  /// What the two steps of an op share.
  struct Observed;

  size_t addRow(const plan::ObservedOp &observed, mlir::OpResult value);
  std::vector<size_t> producersOf(const plan::ObservedOp &observed) const;
  Tolerance boundOf(mlir::Operation *op) const;
  Status compare(Observed &op, const ReferenceArguments &found);
  void note(size_t row, const TensorDifference &difference);
  void compareFromStart(size_t row, const AnyValue &found);
  std::optional<size_t> firstOnWay(const std::vector<OutputComparison> &outputs) const;

  ImportedNodes &imported;
  Settings settings;
  mutable std::mutex mutex;
  std::vector<Row> rows;
  std::map<mlir::Operation *, std::vector<size_t>> rowsOf;
  size_t failures = 0;
};

/// The same tensor without blocks: of the channels those that `wanted` has. None when it cannot be
/// that one.
std::optional<Tensor> asPlain(const Tensor &found, int64_t block, const Tensor &wanted);

} // namespace quern
