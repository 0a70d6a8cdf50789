//===- Explanation.h - what compiling made of a model, and why ------------===//
//
// Of one set of sizes: the steps that run, where each node of the model went, and what
// was decided against. Names of nodes are those of errors and profiles.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/DType.h"
#include "quern/PrecisionChoice.h"
#include "quern/Reason.h"
#include "quern/StepCost.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// A step, and what it computes.
struct ExplainedStep {
  /// What profiles and errors call it: "conv1+relu1".
  std::string name;
  /// Of a kernel step its kernel, of others their op.
  std::string kernel;
  /// Every node of the model whose result it is the one to finish; none of a step that only
  /// moves elements for others.
  std::vector<std::string> nodes = {};
  /// Why it is not native, if it is not.
  std::optional<Reason> reason = {};
  /// Of what can be computed in several ways, the name of the one: "winograd4".
  std::string way = {};
  /// Of products and convolutions: what their factors are, "f32" or "bf16"; else empty.
  std::string precision = {};
  /// Of those what their weights are kept as, where that is not the same: "int4".
  std::string weights = {};
  /// What the problem demands, as far as its sizes are known.
  StepCost cost = {};

  bool isWinograd() const { return way.starts_with("winograd"); }
  bool isNative() const { return !reason; }
  /// Whether it is native depends on sizes that are not known.
  bool needsSizes() const { return reason && reason->code == ReasonCode::UnknownSize; }
};

/// What became of a node of the model.
struct ExplainedNode {
  enum class Fate {
    Step,     ///< step `step` computes its result
    Constant, ///< its result is a constant since compiling, or since these sizes are known
    View,     ///< its result is elements of another value, where they lie
    Body,     ///< it is in a branch or a body, which has plans of its own
    Removed,  ///< others do without it since the pass `by`
    Unused,   ///< no output depends on it
  };
  std::string name;
  Fate fate = Fate::Step;
  size_t step = 0;
  std::string by = {};
};
/// "step", "constant", ...
std::string_view fateName(ExplainedNode::Fate fate);

/// Something that would have made the model faster, and was not done.
struct Refusal {
  enum class Kind {
    Fold,      ///< folding it into the weights of its producer
    Raise,     ///< computing its primitives as one op
    Block,     ///< computing it on channels in blocks
    Precision, ///< computing it at the lower precision that was asked for
    Fuse,      ///< computing nodes in one kernel
    InPlace,   ///< writing a result over an operand
    Update,    ///< writing an output over the input that it continues
  };
  Kind kind;
  Reason reason;

  bool operator==(const Refusal &) const = default;
};
/// "fold", "raise", "block", "precision", "fuse", "in-place", "update".
std::string_view refusalKindName(Refusal::Kind kind);

/// What compiling made of a model, for one set of sizes, or for any.
struct Explanation {
  std::vector<ExplainedStep> steps = {};
  /// In the order of the model, each once.
  std::vector<ExplainedNode> nodes = {};
  std::vector<Refusal> refusals = {};
  /// How many products and convolutions there are, by the precision of their factors.
  std::map<std::string, size_t> products = {};
  /// How many results of float16 and bfloat16, by these names, are read before they are rounded.
  std::map<std::string, size_t> unrounded = {};
  /// What Precision::Auto has come to, where that was asked for.
  std::optional<PrecisionChoice> choice = {};
  /// Whether some are by Winograd's algorithm.
  bool usesWinograd() const {
    return std::any_of(steps.begin(), steps.end(),
                       [](const ExplainedStep &step) { return step.isWinograd(); });
  }
  /// The coarsest type of `unrounded`; Undefined if there are none.
  DType unroundedType() const {
    for (DType type : {DType::BFloat16, DType::Float16})
      if (unrounded.count(std::string(dtypeName(type))) > 0)
        return type;
    return DType::Undefined;
  }
  /// Whether some are of quantized tensors, on their integers.
  bool multipliesBytes() const { return products.count("uint8") > 0; }
};

} // namespace quern
