//===- NodeComparison.h - where native code first differs -----------------===//
//
// A model is compared as it runs, fused, blocked, in place: behind each op of its plan, which is a
// node or several that were fused, the results are compared with what the interpreter makes of the
// same op's nodes, from the very operands that native code had. So an error is that of the op which
// made it; none is handed on. Beside it stands how far the value is from the interpreter's own,
// which is the sum of all errors before it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Compare.h"

namespace quern {

/// A value that native code computes and keeps.
struct ComparedNode {
  /// The node whose result it is, which of its results, and what computes it: "conv+relu".
  std::string node;
  size_t result = 0;
  std::string op = {};
  /// All nodes that are computed with it, in order; alone, this one.
  std::vector<std::string> nodes = {};
  /// "float32 1x64x56x56".
  std::string type = {};
  /// Whether it has native code, or runs on the interpreter's kernel.
  bool isNative = true;
  /// How often it was computed: of branches and bodies the worst time is what counts below.
  int64_t runs = 0;

  /// From what the interpreter computes of the same operands; none of what has no native code.
  TensorDifference difference = {};
  /// What that may be, and by how much integers may differ that were rounded.
  Tolerance bound = {};
  int64_t integerBound = 0;
  /// From the interpreter's value of the node in a run of its own; none where it has no such value.
  std::optional<TensorDifference> fromStart = {};

  /// Whether the difference is within its bound.
  bool passes() const;
};

/// A node that there is no value to compare of.
struct UncomparedNode {
  std::string node;
  /// "fused into 'relu1'", "constant since compiling", ...
  std::string reason;
};

struct NodeComparison {
  /// In the order in which they are computed.
  std::vector<ComparedNode> nodes;
  std::vector<UncomparedNode> others;
  /// As `compare` has them.
  std::vector<OutputComparison> outputs;
  Tolerance tolerance;

  enum class Fault {
    None,
    /// Of the code of node `first`: it makes something else of its operands.
    Code,
    /// Of a graph pass: all code does what it should, and an output differs. Node `first` is the
    /// first on the way to it that does.
    Graph,
  };
  Fault fault = Fault::None;
  /// Its number among the nodes; none where there is no fault, or where no node on the way to the
  /// output has a value to compare.
  std::optional<size_t> first = {};
  /// False when the run was cancelled: the nodes are those before.
  bool isComplete = true;

  /// AccuracyMismatch that names the first node that differs, or the outputs.
  Status verdict() const;
};

/// Runs the interpreter and what `compile` makes of the model, once each, on the same inputs.
/// options.tolerance, where given, is the bound of all nodes, too; options.seconds does not count.
Expected<NodeComparison> compareNodes(const Model &model, std::span<const AnyValue> inputs,
                                      const CompileOptions &compile = {},
                                      const RunnerOptions &session = {},
                                      const CompareOptions &options = {});

} // namespace quern
